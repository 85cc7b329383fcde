//! Paired comparisons of two networks with a known ratio.

use brainprior_robustness::{
    CensoredPairs, Counts, Error, ImageRecord, LabeledBatch, MinimalPerturbations, Norm,
    PairedRatio, Perturbation, Search, mean_ratio, median, paired_ratio,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const SEARCH: Search = Search { largest: 1.0, tolerance: 0.01 };

/// The result for one image under one network.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Image {
    Wrong,
    Falls(f32),
    Withstands,
}
use Image::{Falls, Withstands, Wrong};

/// Images of one black pixel, so that the nearest adversarial value equals the distance.
fn images(count: usize) -> LabeledBatch {
    LabeledBatch::new(1, 1, 1, vec![0.0; count], vec![0; count]).unwrap()
}

fn network(images: &[Image]) -> MinimalPerturbations {
    let record = |image: &Image| ImageRecord {
        already: *image == Wrong,
        nearest: if let Falls(size) = image {
            Some((vec![*size], "test".to_owned()))
        } else {
            None
        },
        counts: Counts::default(),
    };
    MinimalPerturbations::restore(Norm::Linf, images.iter().map(record).collect())
}

fn compare(one: &[Image], other: &[Image]) -> PairedRatio {
    paired_ratio(&network(one), &network(other), &images(one.len()), SEARCH, 1000, 3).unwrap()
}

fn own_median(network_images: &[Image]) -> f64 {
    let perturbations =
        network(network_images).perturbations(&images(network_images.len()), SEARCH);
    median(&perturbations, 0, 0).unwrap().value.found().unwrap()
}

/// Sizes that double and halve without rounding.
fn sizes(count: usize, seed: u64) -> Vec<f32> {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|_| generator.random_range(0.01f32..0.45)).collect()
}

#[test]
fn twice_as_robust_on_every_image_is_a_ratio_of_two_exactly() {
    let sizes = sizes(151, 1);
    let reference: Vec<Image> = sizes.iter().map(|size| Falls(*size)).collect();
    let doubled: Vec<Image> = sizes.iter().map(|size| Falls(2.0 * size)).collect();
    let found = compare(&doubled, &reference);
    assert_eq!((found.ratio(), found.interval(), found.images()), (2.0, (2.0, 2.0), 151));
    assert_eq!(compare(&reference, &doubled).ratio(), 0.5);
}

#[test]
fn the_ratio_is_over_images_that_both_classify_rightly() {
    let sizes = sizes(200, 2);
    // The network is correct on the first 80 images, the reference on all but the first 20.
    let doubled: Vec<Image> =
        (0..200).map(|index| if index < 80 { Falls(2.0 * sizes[index]) } else { Wrong }).collect();
    let reference: Vec<Image> =
        (0..200).map(|index| if index >= 20 { Falls(sizes[index]) } else { Wrong }).collect();
    let found = compare(&doubled, &reference);
    assert_eq!((found.ratio(), found.interval(), found.images()), (2.0, (2.0, 2.0), 60));
}

/// An inaccurate network is correct on the easy images only, so its own median is misleading.
#[test]
fn medians_of_own_images_mislead_where_the_paired_ratio_does_not() {
    let sizes: Vec<f32> = (1..=1000).map(|index| index as f32 / 1001.0).collect();
    let reference: Vec<Image> = sizes.iter().map(|size| Falls(*size)).collect();
    let inaccurate: Vec<Image> =
        sizes.iter().map(|size| if *size > 0.28 { Falls(0.97 * size) } else { Wrong }).collect();
    let own = own_median(&inaccurate) / own_median(&reference);
    assert!((own - 1.24).abs() < 0.005, "{own}");
    let found = compare(&inaccurate, &reference);
    assert!((found.ratio() - 0.97).abs() < 1e-6 && found.interval().1 < 1.0, "{found:?}");
    // Accuracy over all images agrees: it is lower at every epsilon until both networks fail on all
    // images.
    let epsilons: Vec<f64> = (0..19).map(|step| f64::from(step) / 20.0).collect();
    let at = |network_images: &[Image]| {
        network(network_images).accuracies(&images(1000), SEARCH, &epsilons).unwrap()
    };
    for (epsilon, (ours, theirs)) in
        epsilons.iter().zip(at(&inaccurate).into_iter().zip(at(&reference)))
    {
        assert!(
            ours.correct() < theirs.correct() && ours.images() == 1000,
            "{epsilon}: {ours:?}, {theirs:?}"
        );
    }
}

#[test]
fn images_that_withstand_keep_their_side() {
    let ours = [Withstands, Falls(0.2), Falls(0.2), Withstands, Wrong];
    let theirs = [Falls(0.1), Withstands, Falls(0.1), Withstands, Withstands];
    let found = compare(&ours, &theirs);
    // Ratios infinity, 0, 2 and 1: the median is halfway, in logarithms, between 1 and 2.
    assert!((found.ratio() - 2f64.sqrt()).abs() < 1e-12);
    assert_eq!(
        (found.images(), found.censored()),
        (4, CensoredPairs { network: 1, reference: 1, both: 1 })
    );
    assert_eq!(
        compare(&[Withstands, Withstands, Falls(0.2)], &[Falls(0.1); 3]).ratio(),
        f64::INFINITY
    );
    assert_eq!(compare(&[Falls(0.1); 3], &[Withstands, Withstands, Falls(0.2)]).ratio(), 0.0);
    assert_eq!(compare(&[Withstands, Falls(0.1)], &[Falls(0.1), Withstands]).ratio(), 1.0);
    // Results beyond the search are censored for both networks.
    let short = Search { largest: 0.15, ..SEARCH };
    let found =
        paired_ratio(&network(&[Falls(0.3)]), &network(&[Falls(0.2)]), &images(1), short, 10, 0)
            .unwrap();
    assert_eq!((found.ratio(), found.censored().both), (1.0, 1));
}

/// The definition, image by image, sharing no code with the library.
fn naive(ours: &[Image], theirs: &[Image]) -> f64 {
    let mut logs: Vec<f64> = Vec::new();
    for (ours, theirs) in ours.iter().zip(theirs) {
        if *ours != Wrong && *theirs != Wrong {
            let size =
                |image: &Image| if let Falls(size) = image { f64::from(*size) } else { 1e300 };
            logs.push(size(ours).ln() - size(theirs).ln());
        }
    }
    let below = |value: f64| logs.iter().filter(|log| **log < value).count();
    let up_to = |value: f64| logs.iter().filter(|log| **log <= value).count();
    let ranked =
        |rank: usize| *logs.iter().find(|log| below(**log) <= rank && rank < up_to(**log)).unwrap();
    (0.5 * (ranked((logs.len() - 1) / 2) + ranked(logs.len() / 2))).exp()
}

#[test]
fn ratios_are_those_of_a_naive_reference_and_of_the_other_side_inverted() {
    let mut generator = ChaCha8Rng::seed_from_u64(9);
    let mut draw = |count: usize, center: f32| -> Vec<Image> {
        let mut one = || match generator.random_range(0..10) {
            0 | 1 => Wrong,
            2 => Withstands,
            _ => Falls(center * generator.random_range(0.2f32..2.0)),
        };
        (0..count).map(|_| one()).collect()
    };
    for count in 40..120 {
        let (ours, theirs) = (draw(count, 0.3), draw(count, 0.2));
        let found = compare(&ours, &theirs);
        let expected = naive(&ours, &theirs);
        assert!((found.ratio() / expected - 1.0).abs() < 1e-9, "{found:?}, expected {expected}");
        let (low, high) = found.interval();
        assert!(low <= found.ratio() && found.ratio() <= high);
        assert!((compare(&theirs, &ours).ratio() * found.ratio() - 1.0).abs() < 1e-9);
    }
}

#[test]
fn bootstrap_intervals_have_the_width_of_a_median_and_repeat() {
    // Logarithms uniform over a unit interval: the standard error of their median is 1 / (2
    // sqrt(n)).
    let ours: Vec<Image> = (0..400)
        .map(|index| Falls((0.1 * ((f64::from(index) + 0.5) / 400.0).exp()) as f32))
        .collect();
    let found = compare(&ours, &[Falls(0.1); 400]);
    let (low, high) = found.interval();
    let expected = 1.96 / (2.0 * 20.0);
    assert!(
        (low.ln() - (0.5 - expected)).abs() < 0.015 && (high.ln() - (0.5 + expected)).abs() < 0.015,
        "{low} {high}"
    );
    assert_eq!(found, compare(&ours, &[Falls(0.1); 400]));
}

fn seed_of(ratio: f32) -> PairedRatio {
    compare(&[Falls(0.1 * ratio)], &[Falls(0.1)])
}

#[test]
fn seeds_are_summed_up_by_student_t_over_logarithms() {
    let two = mean_ratio(&[seed_of(1.5), seed_of(1.8)]).unwrap();
    let (a, b) = (f64::from(0.15f32 / 0.1f32).ln(), f64::from(0.18f32 / 0.1f32).ln());
    let (low, high) = two.interval.unwrap();
    assert!((two.ratio.ln() - 0.5 * (a + b)).abs() < 1e-6);
    // The standard error of two values is half their difference.
    assert!((0.5 * (high / low).ln() - 12.706 * 0.5 * (b - a)).abs() < 1e-4, "{two:?}");
    assert!(low < 1.0, "two seeds show little: {two:?}");

    // Eleven seeds, beyond many printed tables: 1, 2, ..., 11 have a standard deviation of
    // sqrt(11).
    let seeds: Vec<PairedRatio> =
        (1..=11).map(|step| seed_of((0.1 * f64::from(step)).exp() as f32)).collect();
    let many = mean_ratio(&seeds).unwrap();
    let (low, high) = many.interval.unwrap();
    assert!((many.ratio.ln() - 0.6).abs() < 1e-6 && many.seeds == 11);
    assert!((0.5 * (high / low).ln() - 2.228 * 0.1).abs() < 1e-4, "{many:?}");
}

#[test]
fn too_little_has_no_mean_or_no_interval() {
    assert_eq!(mean_ratio(&[]), None);
    let alone = mean_ratio(&[seed_of(2.0)]).unwrap();
    assert!((alone.ratio - 2.0).abs() < 1e-6 && alone.interval.is_none());
    assert_eq!(mean_ratio(&[seed_of(2.0), compare(&[Withstands], &[Falls(0.1)])]), None);
}

#[test]
fn networks_that_cannot_be_compared_are_refused() {
    let compare = |one: &MinimalPerturbations, other: &MinimalPerturbations, count| {
        paired_ratio(one, other, &images(count), SEARCH, 10, 0).unwrap_err()
    };
    let one = network(&[Falls(0.1), Wrong]);
    assert!(matches!(compare(&one, &network(&[Wrong, Falls(0.1)]), 2), Error::NoImages));
    assert!(matches!(compare(&one, &network(&[Falls(0.1)]), 2), Error::Size { .. }));
    assert!(matches!(compare(&one, &one, 1), Error::Size { .. }));
    let euclidean = MinimalPerturbations::restore(Norm::L2, one.records().to_vec());
    let error = compare(&euclidean, &one, 2).to_string();
    assert!(error.contains("Linf") && error.contains("L2"), "{error}");
}

#[test]
fn accuracies_count_all_images_and_end_where_the_search_ends() {
    let minimal = network(&[Falls(0.25), Wrong, Withstands, Falls(0.5), Wrong]);
    let search = Search { largest: 0.75, ..SEARCH };
    let counts = |epsilons: &[f64]| -> Vec<(usize, usize)> {
        let accuracies = minimal.accuracies(&images(5), search, epsilons).unwrap();
        accuracies.into_iter().map(|accuracy| (accuracy.correct(), accuracy.images())).collect()
    };
    // A perturbation of exactly epsilon succeeds.
    assert_eq!(counts(&[0.0, 0.2, 0.25, 0.5, 0.75]), [(3, 5), (3, 5), (2, 5), (1, 5), (1, 5)]);
    let error = minimal.accuracies(&images(5), search, &[0.1, 0.8]).unwrap_err();
    assert!(
        matches!(error, Error::Level { index: 1, .. }) && error.to_string().contains("0.75"),
        "{error}"
    );
    assert!(minimal.accuracies(&images(4), search, &[0.1]).is_err());
    assert_eq!(
        minimal.perturbations(&images(5), search).len(),
        3,
        "medians are over correctly classified images"
    );
    assert!(minimal.perturbations(&images(5), search).contains(&Perturbation::Censored(0.75)));
}
