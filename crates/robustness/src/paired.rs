//! Two networks on the same images: how many times larger the perturbations have to be that mislead one of them.

use crate::student::half_width_of_mean;
use crate::{Error, LabeledBatch, MinimalPerturbations, Perturbation, Result, Search};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Among the images that both networks classify rightly, those that withstood every attack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CensoredPairs {
    /// Under the network alone: it is more robust there by an unknown factor, which counts as infinite.
    pub network: usize,
    /// Under the reference alone: the factor counts as zero.
    pub reference: usize,
    /// Under both: neither is known to be more robust, so that the factor counts as one.
    pub both: usize,
}

/// The smallest perturbations of a network over those of a reference, in the median over the images that both classify
/// rightly.
///
/// A median of each network's own images favors the less accurate of the two, whose remaining images are the easy ones. Here
/// each image is compared with itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PairedRatio {
    log_ratio: f64,
    log_low: f64,
    log_high: f64,
    images: usize,
    censored: CensoredPairs,
}

impl PairedRatio {
    /// The ratio: above 1 where the network is more robust than the reference. Infinite or 0 where more than half of the
    /// images withstand everything under one network alone.
    pub fn ratio(&self) -> f64 {
        self.log_ratio.exp()
    }

    /// Its interval of 95% over images drawn with replacement, each with both of its perturbations. It says what other images
    /// would change; what other trainings would change, [`mean_ratio`] says.
    pub fn interval(&self) -> (f64, f64) {
        (self.log_low.exp(), self.log_high.exp())
    }

    /// Images that both networks classify rightly, over which it was taken.
    pub fn images(&self) -> usize {
        self.images
    }

    /// Those of them that withstood every attack.
    pub fn censored(&self) -> CensoredPairs {
        self.censored
    }
}

/// Compares two networks of one seed on the images on which both were attacked. The interval is over `resamples` draws of
/// images, from a stream of `seed`.
///
/// The logarithms of the ratios are compared, so that the ratio of the reference over the network is one over that of the
/// network over the reference. Perturbations beyond the largest size that was searched count as censored there, so that both
/// networks are cut at one size. An image that withstands under one network alone then stands above all that was found: for
/// a median its rank is what counts, and the true value is known to lie on that side. An image that withstands under both
/// is a tie and counts as a ratio of 1 (Gehan, 1965): to leave it out would take the most robust images from the median of
/// two robust networks, and to count it draws towards no difference.
///
/// # Errors
/// Returns [`Error::Size`] if the two have other norms or other numbers of images, and [`Error::NoImages`] if there is no image
/// that both classify rightly.
pub fn paired_ratio(
    network: &MinimalPerturbations,
    reference: &MinimalPerturbations,
    labeled: &LabeledBatch,
    search: Search,
    resamples: usize,
    seed: u64,
) -> Result<PairedRatio> {
    if network.norm() != reference.norm() {
        let (expected, found) = (format!("{:?}, as of the reference", reference.norm()), format!("{:?}", network.norm()));
        return Err(Error::Size { what: "norm of the network's perturbations", expected, found });
    }
    paired_ratio_of(&network.of_all_images(labeled, search)?, &reference.of_all_images(labeled, search)?, resamples, seed)
}

/// As [`paired_ratio`], of perturbations of all images in one order, 0 where an image is misclassified as it is: what is left of two
/// networks when their adversarial images are not kept.
///
/// # Errors
/// Returns [`Error::Size`] if the two have other numbers of images, and [`Error::NoImages`] if there is no image that both classify
/// rightly.
pub fn paired_ratio_of(network: &[Perturbation], reference: &[Perturbation], resamples: usize, seed: u64) -> Result<PairedRatio> {
    if network.len() != reference.len() {
        let (expected, found) = (format!("{}, as of the reference", reference.len()), network.len().to_string());
        return Err(Error::Size { what: "perturbations of the network", expected, found });
    }
    let mut censored = CensoredPairs::default();
    let mut log_ratios = Vec::new();
    for (network, reference) in network.iter().zip(reference) {
        let log_ratio = match (network.found(), reference.found()) {
            (Some(0.0), _) | (_, Some(0.0)) => continue,
            (Some(network), Some(reference)) => (network / reference).ln(),
            (None, Some(_)) => {
                censored.network += 1;
                f64::INFINITY
            }
            (Some(_), None) => {
                censored.reference += 1;
                f64::NEG_INFINITY
            }
            (None, None) => {
                censored.both += 1;
                0.0
            }
        };
        log_ratios.push(log_ratio);
    }
    let images = log_ratios.len();
    if images == 0 {
        return Err(Error::NoImages);
    }
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    let mut medians: Vec<f64> =
        (0..resamples).map(|_| median((0..images).map(|_| log_ratios[generator.random_range(0..images)]).collect())).collect();
    medians.sort_by(f64::total_cmp);
    let log_ratio = median(log_ratios);
    let at = |quantile: f64| match medians.len() {
        0 => log_ratio,
        count => medians[((count - 1) as f64 * quantile).round() as usize],
    };
    Ok(PairedRatio { log_ratio, log_low: at(0.025), log_high: at(0.975), images, censored })
}

/// The middle value, or the mean of the two middle ones. Halfway from a finite value to infinity is infinity, and halfway
/// between the two infinities is 0.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let (low, high) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
    if low == high {
        low
    } else if low.is_infinite() && high.is_infinite() {
        0.0
    } else {
        0.5 * (low + high)
    }
}

/// The ratio of two networks' smallest perturbations over seeds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MeanRatio {
    /// Geometric mean of the seeds' ratios.
    pub ratio: f64,
    /// Its interval of 95% by Student's t over the logarithms; `None` of a single seed.
    pub interval: Option<(f64, f64)>,
    /// Seeds it was taken over.
    pub seeds: usize,
}

/// What the seeds' ratios say together: what other trainings of the two networks would give. `None` of no seeds, and where a
/// seed's ratio is infinite or 0, since too many of its images are censored.
pub fn mean_ratio(seeds: &[PairedRatio]) -> Option<MeanRatio> {
    if seeds.is_empty() || seeds.iter().any(|seed| seed.log_ratio.is_infinite()) {
        return None;
    }
    let count = seeds.len();
    let mean = seeds.iter().map(|seed| seed.log_ratio).sum::<f64>() / count as f64;
    let squares = seeds.iter().map(|seed| (seed.log_ratio - mean).powi(2)).sum::<f64>();
    let half = half_width_of_mean((squares / count.saturating_sub(1).max(1) as f64).sqrt(), count);
    let interval = half.map(|half| ((mean - half).exp(), (mean + half).exp()));
    Some(MeanRatio { ratio: mean.exp(), interval, seeds: count })
}
