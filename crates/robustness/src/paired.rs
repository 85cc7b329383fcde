//! Paired comparison of two networks on the same images: the ratio of their smallest perturbations.

use crate::student::half_width_of_mean;
use crate::{Error, LabeledBatch, MinimalPerturbations, Perturbation, Result, Search};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Images that both networks classify correctly and that withstood every attack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CensoredPairs {
    /// Under the network only: the ratio is unknown but large, and counts as infinite.
    pub network: usize,
    /// Under the reference only: the ratio counts as zero.
    pub reference: usize,
    /// Under both: neither network is known to be more robust, so the ratio counts as one.
    pub both: usize,
}

/// The median ratio of a network's smallest perturbations to those of a reference, over the images
/// that both classify correctly.
///
/// Medians over each network's own correct images would favor the less accurate network, whose
/// correct images are the easy ones. Here each image is compared with itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PairedRatio {
    log_ratio: f64,
    log_low: f64,
    log_high: f64,
    images: usize,
    censored: CensoredPairs,
}

impl PairedRatio {
    /// The ratio, above 1 if the network is more robust than the reference. It is infinite or 0 if
    /// more than half of the images withstand everything under one network only.
    pub fn ratio(&self) -> f64 {
        self.log_ratio.exp()
    }

    /// The 95% bootstrap interval over images, which are resampled together with both of their
    /// perturbations. It covers the variation between images; [`mean_ratio`] covers that between
    /// trainings.
    pub fn interval(&self) -> (f64, f64) {
        (self.log_low.exp(), self.log_high.exp())
    }

    /// Number of images that both networks classify correctly.
    pub fn images(&self) -> usize {
        self.images
    }

    /// Images that withstood every attack.
    pub fn censored(&self) -> CensoredPairs {
        self.censored
    }
}

/// Compares two networks of one seed on the images on which both were attacked. The interval uses
/// `resamples` bootstrap samples of the images and the random stream of `seed`.
///
/// Log ratios are compared, so that swapping the networks inverts the ratio. Perturbations above
/// the largest size searched are censored there, so that both networks are cut at the same size. An
/// image that withstands under one network only then ranks above all ratios found; a median depends
/// only on this rank, and the true value is known to lie on that side. An image that withstands
/// under both is a tie and counts as a ratio of 1 (Gehan, 1965): leaving it out would remove the
/// most robust images from the median of two robust networks, and counting it biases towards no
/// difference.
///
/// # Errors
/// Returns [`Error::Size`] if the two differ in norm or number of images, and [`Error::NoImages`]
/// if no image is classified correctly by both.
pub fn paired_ratio(
    network: &MinimalPerturbations,
    reference: &MinimalPerturbations,
    labeled: &LabeledBatch,
    search: Search,
    resamples: usize,
    seed: u64,
) -> Result<PairedRatio> {
    if network.norm() != reference.norm() {
        let (expected, found) = (
            format!("{:?}, the norm of the reference", reference.norm()),
            format!("{:?}", network.norm()),
        );
        return Err(Error::Size { what: "norm of the network's perturbations", expected, found });
    }
    paired_ratio_of(
        &network.of_all_images(labeled, search)?,
        &reference.of_all_images(labeled, search)?,
        resamples,
        seed,
    )
}

/// Like [`paired_ratio`], for the perturbations of all images in the same order, 0 for a
/// misclassified image. Use it when the adversarial images themselves were not kept.
///
/// # Errors
/// Returns [`Error::Size`] if the numbers of images differ, and [`Error::NoImages`] if no image is
/// classified correctly by both.
pub fn paired_ratio_of(
    network: &[Perturbation],
    reference: &[Perturbation],
    resamples: usize,
    seed: u64,
) -> Result<PairedRatio> {
    if network.len() != reference.len() {
        let (expected, found) = (
            format!("{}, as many as of the reference", reference.len()),
            network.len().to_string(),
        );
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
    let mut medians: Vec<f64> = (0..resamples)
        .map(|_| {
            median((0..images).map(|_| log_ratios[generator.random_range(0..images)]).collect())
        })
        .collect();
    medians.sort_by(f64::total_cmp);
    let log_ratio = median(log_ratios);
    let at = |quantile: f64| match medians.len() {
        0 => log_ratio,
        count => medians[((count - 1) as f64 * quantile).round() as usize],
    };
    Ok(PairedRatio { log_ratio, log_low: at(0.025), log_high: at(0.975), images, censored })
}

/// The middle value, or the mean of the two middle ones. The mean of a finite value and infinity is
/// infinity, and that of the two infinities is 0.
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

/// The ratio of two networks' smallest perturbations, averaged over seeds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MeanRatio {
    /// Geometric mean of the ratios of the seeds.
    pub ratio: f64,
    /// Its 95% interval by Student's t on the logarithms; `None` for a single seed.
    pub interval: Option<(f64, f64)>,
    /// Number of seeds.
    pub seeds: usize,
}

/// Averages the ratios of several seeds, to estimate the result of retraining both networks. `None`
/// if there are no seeds, or if a ratio is infinite or 0 because too many images are censored.
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
