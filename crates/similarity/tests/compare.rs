//! Comparisons of matrices: against rsatoolbox's values, and what must hold for any.

use brainprior_images::ImageId;
use brainprior_recording::{Measurement, ResponseKind, Responses};
use brainprior_similarity::{
    Bootstrap, Error, Measure, SimilarityMatrix, average, bootstrap_images, bootstrap_neurons, bootstrap_scans, compare,
    noise_ceiling, repeat_noise_ceiling, similarity, vectors,
};
use ndarray::Array2;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn ids(count: usize) -> Vec<ImageId> {
    (0..count as u64).map(ImageId::from_u64).collect()
}

/// Made by `golden/make_rsatoolbox.py`.
fn golden() -> (Vec<SimilarityMatrix>, serde_json::Value) {
    let golden: serde_json::Value = serde_json::from_str(include_str!("golden/rsatoolbox.json")).unwrap();
    let images = golden["images"].as_u64().unwrap() as usize;
    let matrices = golden["similarities"].as_array().unwrap().iter().map(|triangle| {
        let packed = triangle.as_array().unwrap().iter().map(|value| value.as_f64().unwrap() as f32).collect();
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
                assert!((found - expected).abs() < 1e-9, "{}: {i}, {j}: expected {expected}, found {found}", measure.name());
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
            assert!((found - expected).abs() < 1e-9, "{}: expected {expected}, found {found}", measure.name());
        }
    }
    let found = noise_ceiling(Measure::DebiasedCka, &matrices).unwrap();
    assert!(found.lower < found.upper, "{found:?}");
    assert!(matches!(noise_ceiling(Measure::Pearson, &matrices[..1]), Err(Error::Size { .. })));
}

fn population(images: usize, neurons: usize, shared: f32, seed: u64) -> Array2<f32> {
    let mut signal = ChaCha8Rng::seed_from_u64(77);
    let mut noise = ChaCha8Rng::seed_from_u64(seed);
    Array2::from_shape_fn((images, neurons), |_| shared * signal.random_range(-1.0f32..1.0) + noise.random_range(-1.0f32..1.0))
}

fn matrix(values: &Array2<f32>) -> SimilarityMatrix {
    vectors(&ids(values.nrows()), values.view(), &vec![1.0; values.ncols()], "made").unwrap()
}

#[test]
fn the_debiased_alignment_of_unrelated_matrices_is_zero_and_the_biased_one_is_not() {
    let mean = |measure: Measure| -> f64 {
        let one = |k: u64| {
            compare(measure, &matrix(&population(20, 10, 0.0, 2 * k)), &matrix(&population(20, 10, 0.0, 2 * k + 1))).unwrap()
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
        assert!((compare(measure, &a.select(&order).unwrap(), &b).unwrap() - expected).abs() < 1e-9, "{measure:?}");
        assert!((compare(measure, &b, &a).unwrap() - expected).abs() < 1e-9, "{measure:?}");
        assert!(measure == Measure::KendallTauA || (compare(measure, &a, &a).unwrap() - 1.0).abs() < 1e-9, "{measure:?}");
    }
}

#[test]
fn intervals_over_images_cover_the_truth_about_as_often_as_they_say() {
    // The agreement of two noisy populations over very many images, and intervals from 40 of them at a time.
    let (a, b) = (population(2000, 30, 1.0, 1), population(2000, 30, 1.0, 2));
    let truth = compare(Measure::Pearson, &matrix(&a), &matrix(&b)).unwrap();
    let mut covered = 0;
    for sample in 0..50 {
        let rows = sample * 40..(sample + 1) * 40;
        let cut = |values: &Array2<f32>| matrix(&values.slice(ndarray::s![rows.clone(), ..]).to_owned());
        let how = Bootstrap { resamples: 200, level: 0.9, seed: sample as u64 };
        let found = bootstrap_images(Measure::Pearson, &cut(&a), &cut(&b), how).unwrap();
        assert!(found.low < found.value && found.value < found.high && found.standard_error > 0.0, "{found:?}");
        covered += usize::from(found.low <= truth && truth <= found.high);
    }
    assert!((36..=50).contains(&covered), "{covered} of 50");
}

#[test]
fn resamples_are_the_same_for_any_number_of_threads_and_leave_out_pairs_of_an_image_with_itself() {
    let (a, b) = (matrix(&population(25, 20, 1.0, 1)), matrix(&population(25, 20, 0.0, 2)));
    let how = Bootstrap { resamples: 100, ..Bootstrap::default() };
    for measure in Measure::ALL {
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| bootstrap_images(measure, &a, &b, how).unwrap())
        };
        assert_eq!(on(1), on(3), "{measure:?}");
    }
    // Pairs of an image with itself agree in any two matrices; were they counted, unrelated matrices would seem to agree.
    let found = bootstrap_images(Measure::Pearson, &a, &b, Bootstrap { resamples: 400, ..how }).unwrap();
    assert!((found.low + found.high) / 2.0 - found.value < found.standard_error, "{found:?}");
    assert!(bootstrap_images(Measure::Pearson, &a, &b, Bootstrap { resamples: 1, ..how }).is_err());
}

#[test]
fn resamples_without_an_agreement_are_left_out() {
    let (a, b) = (matrix(&population(5, 20, 1.0, 1)), matrix(&population(5, 20, 1.0, 2)));
    for measure in [Measure::Pearson, Measure::Spearman, Measure::Cosine] {
        let found = bootstrap_images(measure, &a, &b, Bootstrap::default()).unwrap();
        assert!(found.low <= found.high && found.standard_error.is_finite(), "{measure:?}: {found:?}");
    }
}

#[test]
fn errors_over_neurons_are_those_of_other_neurons_and_scans_have_intervals() {
    let how = Bootstrap { resamples: 100, ..Bootstrap::default() };
    // Twenty groups of a hundred neurons each; what resampling one says of the others.
    let truth = matrix(&population(30, 2000, 100.0, 9));
    let values = population(30, 2000, 1.0, 3);
    let group = |group: usize| values.slice(ndarray::s![.., group * 100..(group + 1) * 100]);
    let agreement = |of: usize| compare(Measure::Pearson, &matrix(&group(of).to_owned()), &truth).unwrap();
    let agreements: Vec<f64> = (0..20).map(agreement).collect();
    let mean = agreements.iter().sum::<f64>() / 20.0;
    let deviation = (agreements.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 19.0).sqrt();
    let found = bootstrap_neurons(Measure::Pearson, &ids(30), group(0), &[1.0; 100], &truth, how).unwrap();
    assert!(found.value == agreements[0] && found.low < found.high, "{found:?}");
    assert!((0.5..2.0).contains(&(found.standard_error / deviation)), "{found:?}, over groups {deviation}");

    let truth = matrix(&population(30, 40, 100.0, 9));
    let scans: Vec<SimilarityMatrix> = (0..8).map(|scan| matrix(&population(30, 40, 1.0, 100 + scan))).collect();
    let scans: Vec<&SimilarityMatrix> = scans.iter().collect();
    let found = bootstrap_scans(Measure::Spearman, &scans, &truth, how).unwrap();
    assert!((found.value - compare(Measure::Spearman, &average(&scans).unwrap(), &truth).unwrap()).abs() < 1e-12);
    assert!(found.low < found.value && found.standard_error > 0.0, "{found:?}");
    assert!(matches!(bootstrap_scans(Measure::Spearman, &scans[..1], &truth, how), Err(Error::Size { .. })));
}

#[test]
fn the_truth_reaches_the_ceiling_over_repeats() {
    let truth = population(40, 60, 100.0, 0);
    let repeats: Vec<Responses> = (0..10)
        .map(|repeat| {
            let mut noise = ChaCha8Rng::seed_from_u64(repeat);
            let values = truth.mapv(|value| value / 100.0 + noise.random_range(-1.5f32..1.5));
            Responses::new("made", ResponseKind::Measured(Measurement::SingleTrial), ids(40), values).unwrap()
        })
        .collect();
    let truth = matrix(&truth);
    for measure in Measure::ALL {
        let ceiling = repeat_noise_ceiling(measure, &repeats, &[1.0; 60]).unwrap();
        let single = |repeat: &Responses| compare(measure, &truth, &similarity(repeat, &[1.0; 60]).unwrap()).unwrap();
        let reached = repeats.iter().map(single).sum::<f64>() / 10.0;
        assert!(ceiling.lower - 0.02 < reached && reached < ceiling.upper, "{measure:?}: {reached} in {ceiling:?}");
    }
    let cut = vec![repeats[0].clone(), repeats[1].select(&ids(39)).unwrap()];
    assert!(matches!(repeat_noise_ceiling(Measure::Pearson, &cut, &[1.0; 60]), Err(Error::Size { .. })));
}
