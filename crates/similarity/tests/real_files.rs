//! The scans in `shared/data` next to the workspace, if they exist: similarities of single trials
//! and of repeat averages against those of the known truth, with the values NumPy computed.
#![cfg(feature = "hdf5")]

use brainprior_recording::simulation::{Truth, read_truth};
use brainprior_recording::{Responses, Scan, read_scan, reliability};
use brainprior_similarity::{
    ScanWeights, SimilarityMatrix, Weighting, compare_oracle_images, measured_weights, pearson,
    product_of_weights, repeat_reliability, similarity, spread, standardizing_weights, vectors,
};
use ndarray::Axis;
use std::path::{Path, PathBuf};

/// A file; if it is missing, prints a reason and returns `None`.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(name);
    if !path.exists() {
        eprintln!("skipped: there is no {}", path.display());
        return None;
    }
    Some(path)
}

/// Pearson correlation with the truth's similarities, for single trials (averaged over the repeats)
/// and for repeat averages.
fn against_truth(scan: &Scan, truth: &Truth, weights: &[f32]) -> [f64; 2] {
    let means = scan.repeat_means();
    // Both the files and the truth identify an image by its row in the stimulus file.
    let labels = scan.image_labels().unwrap();
    let rows: Vec<usize> = means
        .ids()
        .iter()
        .map(|id| labels[scan.stimuli().position(*id).unwrap()] as usize)
        .collect();
    let expected = truth.expected_responses().select(Axis(0), &rows);
    let expected = vectors(means.ids(), expected.view(), weights, "truth").unwrap();
    let correlation = |responses: &Responses| {
        pearson(&similarity(responses, weights).unwrap(), &expected).unwrap()
    };
    let single = (0..10).map(|repeat| correlation(&scan.repeat(repeat))).sum::<f64>() / 10.0;
    [single, correlation(&means)]
}

/// `expected`: single trials and repeat averages in units of each neuron's standard deviation over
/// the training tier, the same times w, and in the units of the file.
fn check(name: &str, expected: [[f64; 2]; 3]) {
    let (Some(path), Some(truth)) =
        (shared(&format!("{name}.h5")), shared(&format!("{name}.truth.h5")))
    else {
        return;
    };
    let (scan, truth) = (read_scan(&path).unwrap(), read_truth(&truth).unwrap());
    let standardized = standardizing_weights(&scan);
    let w = measured_weights(&reliability(&scan).unwrap());
    let weighted = product_of_weights(&standardized, &w).unwrap();
    let equal = vec![1.0; w.len()];
    for (weights, expected) in [&standardized, &weighted, &equal].into_iter().zip(expected) {
        let found = against_truth(&scan, &truth, weights);
        for (found, expected) in found.into_iter().zip(expected) {
            assert!(
                (found - expected).abs() < 0.0015,
                "{name}: expected {expected}, found {found}"
            );
        }
    }
}

#[test]
fn simulated_scan_a() {
    check("sim-scan-a", [[0.513, 0.933], [0.595, 0.942], [0.369, 0.849]]);
}

#[test]
fn simulated_scan_b() {
    check("sim-scan-b", [[0.489, 0.923], [0.579, 0.936], [0.345, 0.831]]);
}

#[test]
fn simulated_scan_c() {
    check("sim-scan-c", [[0.773, 0.980], [0.795, 0.981], [0.712, 0.975]]);
}

#[test]
fn single_trials_of_a_whole_scan() {
    let Some(path) = shared("sim-scan-a.h5") else { return };
    let scan = read_scan(&path).unwrap();
    let matrix = similarity(&scan.single_trials(), &standardizing_weights(&scan)).unwrap();
    assert_eq!((matrix.len(), matrix.pairs()), (5000, 12_497_500));
    let spread = spread(&matrix);
    // Centered vectors of 5000 images are nearly orthogonal on average: the mean of all pairs is
    // about -1 / 5000.
    assert!(spread.mean.abs() < 0.01 && spread.maximum <= 1.0, "{spread:?}");
    assert!(
        spread.standard_deviation > 1.0 / 400f64.sqrt(),
        "more than neurons without any correlation: {spread:?}"
    );
}

/// One trial against the mean of the others, at equal weights and times w; and with itself included
/// in the mean.
fn check_repeats(name: &str, expected: [[f64; 2]; 2]) -> Option<SimilarityMatrix> {
    let scan = read_scan(&shared(&format!("real/{name}"))?).unwrap();
    let weights = ScanWeights::new(&scan, &reliability(&scan).unwrap(), None).unwrap();
    let found = compare_oracle_images(&scan, None, None, &weights).unwrap();
    for (weighting, weights, expected) in [
        (Weighting::Equal, &weights.equal, expected[0]),
        (Weighting::SignalToNoise, &weights.measured, expected[1]),
    ] {
        let of = found.weightings.iter().find(|one| one.weighting == weighting).unwrap();
        let average = similarity(&scan.repeat_means(), weights).unwrap();
        let trials = found.single_trials.len();
        let with_itself = (0..trials).map(|repeat| {
            pearson(&similarity(&scan.repeat(repeat), weights).unwrap(), &average).unwrap()
        });
        let values = [
            of.to_other_repeats.single_trials.unwrap().correlation,
            with_itself.sum::<f64>() / trials as f64,
        ];
        for (found, expected) in values.into_iter().zip(expected) {
            assert!(
                (found - expected).abs() < 0.001,
                "{name}, {weighting:?}: expected {expected}, found {found}"
            );
        }
    }
    Some(similarity(&scan.repeat_means(), &weights.equal).unwrap())
}

#[test]
fn trials_of_macaque_v4_agree_with_the_others_less_than_with_a_mean_that_holds_them() {
    check_repeats("cowley2023-macaque-v4/v4-210325.h5", [[0.425, 0.532], [0.525, 0.621]]);
}

#[test]
fn mouse_v1_is_compared_without_training_images_or_a_model() {
    let first = check_repeats(
        "antolik2016-mouse-v1/region1-validation.h5",
        [[0.375, 0.467], [0.510, 0.581]],
    );
    let second = check_repeats(
        "antolik2016-mouse-v1/region2-validation.h5",
        [[0.230, 0.360], [0.327, 0.450]],
    );
    let (Some(first), Some(second)) = (first, second) else { return };
    let found = pearson(&first, &second).unwrap();
    assert!((found - 0.514).abs() < 0.001, "the two regions' repeat means: {found}");
}

#[test]
fn split_halves_of_real_recordings_repeat_as_numpy_found() {
    for (name, expected) in [
        ("cowley2023-macaque-v4/v4-210325.h5", [0.768, 0.826]),
        ("antolik2016-mouse-v1/region1-validation.h5", [0.770, 0.863]),
        ("antolik2016-mouse-v1/region2-validation.h5", [0.485, 0.612]),
    ] {
        let Some(path) = shared(&format!("real/{name}")) else { continue };
        let scan = read_scan(&path).unwrap();
        let weights = ScanWeights::new(&scan, &reliability(&scan).unwrap(), None).unwrap();
        for (weights, expected) in [&weights.equal, &weights.measured].into_iter().zip(expected) {
            let found = repeat_reliability(&scan, weights).unwrap();
            // With its own splits, whose mean varies by about 0.01.
            assert!(
                (found.average - expected).abs() < 0.03,
                "{name}: expected {expected}, found {found:?}"
            );
            assert!((found.ceiling_of_average() - found.average.sqrt()).abs() < 1e-12);
        }
    }
}
