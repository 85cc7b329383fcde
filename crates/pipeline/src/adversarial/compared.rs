//! Paired comparison of two networks' smallest perturbations, as artifacts.

use super::blocks::search;
use super::summary::RESAMPLES;
use crate::artifacts::{Ratio, SeedRatio};
use anyhow::Result;
use brainprior_robustness::{
    Error, LabeledBatch, MinimalPerturbations, PairedRatio, mean_ratio, paired_ratio,
};

/// The ratio of the networks of each seed; `None` if there is no image that both classify
/// correctly.
pub(crate) type BySeed = Vec<(u64, Option<PairedRatio>)>;

/// Ratio of a network's smallest perturbations to those of a reference with the same seed.
pub(crate) fn compare(
    network: &MinimalPerturbations,
    reference: &MinimalPerturbations,
    labeled: &LabeledBatch,
    seed: u64,
) -> Result<Option<PairedRatio>> {
    match paired_ratio(
        network,
        reference,
        labeled,
        search(network.norm(), labeled.area()),
        RESAMPLES,
        seed,
    ) {
        Err(Error::NoImages) => Ok(None),
        found => Ok(Some(found?)),
    }
}

/// The ratio averaged over seeds.
pub(crate) fn over_seeds(seeds: &BySeed) -> Ratio {
    let all: Option<Vec<PairedRatio>> = seeds.iter().map(|(_, found)| *found).collect();
    let mean = all.and_then(|seeds| mean_ratio(&seeds));
    let interval = mean.and_then(|mean| mean.interval);
    Ratio {
        ratio: mean.map(|mean| mean.ratio),
        low: interval.map(|interval| interval.0),
        high: interval.map(|interval| interval.1),
        seeds: seeds.iter().map(|(seed, found)| of_seed(*seed, found.as_ref())).collect(),
    }
}

fn of_seed(seed: u64, found: Option<&PairedRatio>) -> SeedRatio {
    let Some(found) = found else {
        return SeedRatio { seed, ratio: None, low: None, high: None, images: 0, censored: [0; 3] };
    };
    let known = |value: f64| (value > 0.0 && value.is_finite()).then_some(value);
    let censored = found.censored();
    SeedRatio {
        seed,
        ratio: known(found.ratio()),
        low: known(found.interval().0),
        high: known(found.interval().1),
        images: found.images(),
        censored: [censored.network, censored.reference, censored.both],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use brainprior_robustness::{Counts, ImageRecord, Norm};

    /// One black pixel per image, so that the nearest adversarial value is the distance; 0 if the
    /// network is wrong.
    fn network(sizes: &[f32]) -> MinimalPerturbations {
        let record = |size: &f32| ImageRecord {
            already: *size == 0.0,
            nearest: (*size > 0.0).then(|| (vec![*size], "test".to_owned())),
            counts: Counts::default(),
        };
        MinimalPerturbations::restore(Norm::Linf, sizes.iter().map(record).collect())
    }

    fn compared(network_sizes: &[f32], reference: &[f32]) -> Option<PairedRatio> {
        let images =
            LabeledBatch::new(1, 1, 1, vec![0.0; reference.len()], vec![0; reference.len()])
                .unwrap();
        compare(&network(network_sizes), &network(reference), &images, 1).unwrap()
    }

    #[test]
    fn an_inaccurate_network_gains_nothing_by_the_images_that_it_gets_wrong() {
        // Correct only on the two robust images, on which it is no more robust.
        let found = compared(&[0.0, 0.0, 0.0, 0.4, 0.4], &[0.1, 0.1, 0.1, 0.4, 0.4]).unwrap();
        assert_eq!((found.ratio(), found.images()), (1.0, 2));
    }

    #[test]
    fn seeds_have_an_interval_from_two_on() {
        let double = compared(&[0.25, 0.5], &[0.125, 0.25]);
        let one = over_seeds(&vec![(0, double)]);
        assert_eq!(
            (one.ratio, one.low, one.seeds[0].low, one.seeds[0].images),
            (Some(2.0), None, Some(2.0), 2)
        );
        let half = compared(&[0.125, 0.25], &[0.25, 0.5]);
        let two = over_seeds(&vec![(0, double), (1, half)]);
        assert!((two.ratio.unwrap() - 1.0).abs() < 1e-12);
        // Log ratios ln 2 and -ln 2: mean 0, standard error ln 2.
        assert!((two.high.unwrap().ln() - 12.706 * 2f64.ln()).abs() < 1e-3, "{two:?}");
    }

    #[test]
    fn a_seed_without_an_image_in_common_leaves_the_mean_out() {
        let none = compared(&[0.0, 0.5], &[0.125, 0.0]);
        let found = over_seeds(&vec![(0, compared(&[0.5], &[0.25])), (1, none)]);
        assert_eq!(
            (found.ratio, found.seeds[0].ratio, found.seeds[1].images),
            (None, Some(2.0), 0)
        );
    }
}
