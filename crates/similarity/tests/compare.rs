//! Comparisons of matrices: against rsatoolbox's values, and properties that always hold.

use brainprior_images::ImageId;
use brainprior_similarity::{
    Error, HalfSamples, Measure, SimilarityMatrix, agreement, average, compare,
    interval_over_images, interval_over_neurons, interval_over_scans, mean_agreement,
    noise_ceiling, vectors,
};
use ndarray::Array2;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn ids(count: usize) -> Vec<ImageId> {
    (0..count as u64).map(ImageId::from_u64).collect()
}

/// Made by `golden/make_rsatoolbox.py`.
fn golden() -> (Vec<SimilarityMatrix>, serde_json::Value) {
    let golden: serde_json::Value =
        serde_json::from_str(include_str!("golden/rsatoolbox.json")).unwrap();
    let images = golden["images"].as_u64().unwrap() as usize;
    let matrices = golden["similarities"].as_array().unwrap().iter().map(|triangle| {
        let packed = triangle
            .as_array()
            .unwrap()
            .iter()
            .map(|value| value.as_f64().unwrap() as f32)
            .collect();
        SimilarityMatrix::new(ids(images), packed, vec![]).unwrap()
    });
    (matrices.collect(), golden)
}

#[test]
fn measures_equal_those_of_rsatoolbox() {
    let (matrices, golden) = golden();
    for measure in Measure::ALL {
        for (i, first) in matrices.iter().enumerate() {
            for (j, second) in matrices.iter().enumerate() {
                let expected = golden["measures"][measure.name()][i][j].as_f64().unwrap();
                let found = compare(measure, first, second).unwrap();
                assert!(
                    (found - expected).abs() < 1e-9,
                    "{}: {i}, {j}: expected {expected}, found {found}",
                    measure.name()
                );
            }
        }
    }
}

#[test]
fn noise_ceilings_equal_those_of_rsatoolbox() {
    let (matrices, golden) = golden();
    let matrices: Vec<&SimilarityMatrix> = matrices.iter().collect();
    for measure in Measure::ALL.into_iter().filter(|measure| *measure != Measure::DebiasedCka) {
        let found = noise_ceiling(measure, &matrices).unwrap();
        for (found, at) in [(found.lower, 0), (found.upper, 1)] {
            let expected = golden["noise_ceilings"][measure.name()][at].as_f64().unwrap();
            assert!(
                (found - expected).abs() < 1e-9,
                "{}: expected {expected}, found {found}",
                measure.name()
            );
        }
    }
    let found = noise_ceiling(Measure::DebiasedCka, &matrices).unwrap();
    assert!(found.lower < found.upper, "{found:?}");
    assert!(matches!(noise_ceiling(Measure::Pearson, &matrices[..1]), Err(Error::Size { .. })));
}

fn population(images: usize, neurons: usize, shared: f32, seed: u64) -> Array2<f32> {
    let mut signal = ChaCha8Rng::seed_from_u64(77);
    let mut noise = ChaCha8Rng::seed_from_u64(seed);
    Array2::from_shape_fn((images, neurons), |_| {
        shared * signal.random_range(-1.0f32..1.0) + noise.random_range(-1.0f32..1.0)
    })
}

fn matrix(values: &Array2<f32>) -> SimilarityMatrix {
    vectors(&ids(values.nrows()), values.view(), &vec![1.0; values.ncols()], "made").unwrap()
}

#[test]
fn the_debiased_alignment_of_unrelated_matrices_is_zero_and_the_biased_one_is_not() {
    let mean = |measure: Measure| -> f64 {
        let one = |k: u64| {
            compare(
                measure,
                &matrix(&population(20, 10, 0.0, 2 * k)),
                &matrix(&population(20, 10, 0.0, 2 * k + 1)),
            )
            .unwrap()
        };
        (0..200).map(one).sum::<f64>() / 200.0
    };
    assert!(mean(Measure::DebiasedCka).abs() < 0.02);
    assert!(mean(Measure::WhitenedCosine) > 0.3);
}

#[test]
fn measures_do_not_depend_on_the_order_of_the_images() {
    let (a, b) = (matrix(&population(30, 20, 1.0, 1)), matrix(&population(30, 20, 1.0, 2)));
    let mut order = ids(30);
    order.reverse();
    order.swap(3, 17);
    for measure in Measure::ALL {
        let expected = compare(measure, &a, &b).unwrap();
        assert!(
            (compare(measure, &a.select(&order).unwrap(), &b).unwrap() - expected).abs() < 1e-9,
            "{measure:?}"
        );
        assert!((compare(measure, &b, &a).unwrap() - expected).abs() < 1e-9, "{measure:?}");
        assert!(
            measure == Measure::KendallTauA
                || (compare(measure, &a, &a).unwrap() - 1.0).abs() < 1e-9,
            "{measure:?}"
        );
    }
}

/// Two noisy measurements of one population whose signal has a few strong dimensions.
fn measured_twice(images: usize, neurons: usize, seed: u64) -> [SimilarityMatrix; 2] {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    let mut mixing = ChaCha8Rng::seed_from_u64(5);
    let normal = |generator: &mut ChaCha8Rng| {
        (0..12).map(|_| generator.random_range(-0.5f32..0.5)).sum::<f32>()
    };
    let mixing = Array2::from_shape_fn((neurons, neurons), |(_, dimension)| {
        normal(&mut mixing) / (1.0 + dimension as f32).sqrt()
    });
    let signal =
        Array2::from_shape_fn((images, neurons), |_| normal(&mut generator)).dot(&mixing.t());
    [(); 2].map(|()| matrix(&signal.mapv(|value| value + 1.5 * normal(&mut generator))))
}

#[test]
fn intervals_over_images_cover_the_truth_about_as_often_as_they_say() {
    const IMAGES: usize = 40;
    const SAMPLES: u64 = 200;
    for measure in Measure::ALL {
        // The whitened cosine has a bias that depends on the number of images, so the truth is the
        // mean over other samples of as many images.
        let of =
            |[first, second]: [SimilarityMatrix; 2]| compare(measure, &first, &second).unwrap();
        let truth =
            (0..600).map(|sample| of(measured_twice(IMAGES, 30, 10_000 + sample))).sum::<f64>()
                / 600.0;
        let mut covered = 0;
        for sample in 0..SAMPLES {
            let [first, second] = measured_twice(IMAGES, 30, sample);
            let how = HalfSamples { count: 200, level: 0.95, seed: sample };
            let found =
                interval_over_images(measure, &first, &second, how).unwrap().interval.unwrap();
            covered += u64::from(found.low <= truth && truth <= found.high);
        }
        let share = covered as f64 / SAMPLES as f64;
        assert!(
            (0.9..=0.99).contains(&share),
            "{}: {share} of {SAMPLES} contain {truth}",
            measure.name()
        );
    }
}

#[test]
fn an_interval_holds_its_own_value() {
    let how = HalfSamples { count: 100, ..HalfSamples::default() };
    for measure in Measure::ALL {
        for seed in 0..12 {
            let images = 8 + 5 * seed as usize;
            let shared = seed as f32 / 8.0;
            let (a, b) = (
                matrix(&population(images, 12, shared, 2 * seed)),
                matrix(&population(images, 12, shared, 2 * seed + 1)),
            );
            for (first, second) in [(&a, &b), (&b, &a), (&a, &a)] {
                let found = interval_over_images(measure, first, second, how).unwrap();
                let interval = found.interval.unwrap();
                let held = interval.low <= found.value && found.value <= interval.high;
                assert!(
                    held && interval.low >= -1.0 && interval.high <= 1.0,
                    "{measure:?}, {images} images: {found:?}"
                );
            }
            let itself = interval_over_images(measure, &a, &a, how).unwrap();
            let interval = itself.interval.unwrap();
            assert!(
                itself.value > 1.0 - 1e-9 && interval.low > 1.0 - 1e-9,
                "{measure:?} of a matrix with itself: {itself:?}"
            );
        }
    }
}

#[test]
fn halves_are_the_same_for_any_number_of_threads() {
    let (a, b) = (matrix(&population(25, 20, 1.0, 1)), matrix(&population(25, 20, 0.0, 2)));
    let how = HalfSamples { count: 100, ..HalfSamples::default() };
    for measure in Measure::ALL {
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| interval_over_images(measure, &a, &b, how).unwrap())
        };
        assert_eq!(on(1), on(3), "{measure:?}");
    }
    assert!(
        interval_over_images(Measure::Pearson, &a, &b, HalfSamples { count: 1, ..how }).is_err()
    );
}

#[test]
fn few_images_have_a_value_and_no_interval() {
    for images in 3..8 {
        let (a, b) =
            (matrix(&population(images, 20, 1.0, 1)), matrix(&population(images, 20, 1.0, 2)));
        for measure in Measure::ALL
            .into_iter()
            .filter(|measure| images > 3 || *measure != Measure::DebiasedCka)
        {
            let found = interval_over_images(measure, &a, &b, HalfSamples::default()).unwrap();
            assert_eq!(
                (found.value, found.interval),
                (compare(measure, &a, &b).unwrap(), None),
                "{measure:?}"
            );
        }
    }
    let pair = matrix(&population(2, 20, 1.0, 1));
    for measure in [Measure::Pearson, Measure::Spearman, Measure::KendallTauA] {
        assert!(
            matches!(compare(measure, &pair, &pair), Err(Error::Constant { .. })),
            "{measure:?} of one pair"
        );
    }
}

#[test]
fn agreement_tells_size_from_order() {
    let a = matrix(&population(20, 30, 1.0, 1));
    let half = SimilarityMatrix::new(
        ids(20),
        a.packed().iter().map(|value| value / 2.0 + 0.1).collect(),
        vec![],
    )
    .unwrap();
    let found = agreement(&half, &a).unwrap();
    assert!((found.correlation - 1.0).abs() < 1e-9 && found.interval.is_none(), "{found:?}");
    assert!(
        (found.slope - 0.5).abs() < 1e-6 && (found.spread_ratio - 0.5).abs() < 1e-6,
        "{found:?}"
    );

    // Twice as large as it should be, and half of it is noise.
    let b = matrix(&population(20, 30, 1.0, 2));
    let found = agreement(&b, &a).unwrap();
    let (mean_a, mean_b) = (mean(a.packed()), mean(b.packed()));
    let sum = |of: &dyn Fn(f64, f64) -> f64| -> f64 {
        a.packed()
            .iter()
            .zip(b.packed())
            .map(|(x, y)| of(f64::from(*x) - mean_a, f64::from(*y) - mean_b))
            .sum()
    };
    assert!((found.slope - sum(&|x, y| x * y) / sum(&|x, _| x * x)).abs() < 1e-9, "{found:?}");
    assert!(
        (found.spread_ratio - (sum(&|_, y| y * y) / sum(&|x, _| x * x)).sqrt()).abs() < 1e-9,
        "{found:?}"
    );
    let both = mean_agreement(&[(&half, &a), (&b, &a)], HalfSamples::default()).unwrap();
    assert!((both.slope - (0.5 + found.slope) / 2.0).abs() < 1e-6, "{both:?}");
    assert!(
        both.interval.is_some_and(
            |interval| interval.low < both.correlation && both.correlation < interval.high
        ),
        "{both:?}"
    );
}

fn mean(values: &[f32]) -> f64 {
    values.iter().map(|value| f64::from(*value)).sum::<f64>() / values.len() as f64
}

#[test]
fn errors_over_neurons_are_those_of_other_neurons_and_scans_have_intervals() {
    let how = HalfSamples { count: 100, ..HalfSamples::default() };
    // Twenty groups of a hundred neurons each: the halves of one group against the other groups.
    let truth = matrix(&population(30, 2000, 100.0, 9));
    let values = population(30, 2000, 1.0, 3);
    let group = |group: usize| values.slice(ndarray::s![.., group * 100..(group + 1) * 100]);
    let agreement =
        |of: usize| compare(Measure::Pearson, &matrix(&group(of).to_owned()), &truth).unwrap();
    let agreements: Vec<f64> = (0..20).map(agreement).collect();
    let mean = agreements.iter().sum::<f64>() / 20.0;
    let deviation =
        (agreements.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 19.0).sqrt();
    let found =
        interval_over_neurons(Measure::Pearson, &ids(30), group(0), &[1.0; 100], &truth, how)
            .unwrap();
    let interval = found.interval.unwrap();
    assert!(
        found.value == agreements[0] && interval.low < found.value && found.value < interval.high,
        "{found:?}"
    );
    assert!(
        (0.5..2.0).contains(&(interval.standard_error / deviation)),
        "{found:?}, over groups {deviation}"
    );

    let truth = matrix(&population(30, 40, 100.0, 9));
    let scans: Vec<SimilarityMatrix> =
        (0..8).map(|scan| matrix(&population(30, 40, 1.0, 100 + scan))).collect();
    let scans: Vec<&SimilarityMatrix> = scans.iter().collect();
    let found = interval_over_scans(Measure::Spearman, &scans, &truth, how).unwrap();
    assert!(
        (found.value - compare(Measure::Spearman, &average(&scans).unwrap(), &truth).unwrap())
            .abs()
            < 1e-12
    );
    let interval = found.interval.unwrap();
    assert!(
        interval.low < found.value && found.value < interval.high && interval.standard_error > 0.0,
        "{found:?}"
    );
    assert!(matches!(
        interval_over_scans(Measure::Spearman, &scans[..1], &truth, how),
        Err(Error::Size { .. })
    ));
}
