//! Targets made from scans, and what oracle images say about them, on simulated scans whose truth is known.

use brainprior_images::{LabeledImages, StimulusSet};
use brainprior_recording::simulation::{SimulationConfig, simulate, truth_for};
use brainprior_recording::{Reliability, Responses, Scan, reliability};
use brainprior_similarity::{
    Images, ScanWeights, Weighting, compare_oracle_images, label_similarity, pearson, similarity, similarity_over_scans,
    single_trial_similarity,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const NEURONS: usize = 40;
const REPEATS: usize = 6;

fn stimuli(count: usize, seed: u64) -> StimulusSet {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    StimulusSet::new(16, 24, (0..count * 16 * 24).map(|_| generator.random_range(0.0..1.0)).collect()).unwrap()
}

struct Known {
    scan: Scan,
    reliability: Reliability,
    truth: Responses,
}

fn known(seed: u64) -> Known {
    let config = SimulationConfig { neurons: NEURONS, repeats: REPEATS, seed, ..SimulationConfig::default() };
    let simulated = simulate("s", &stimuli(60, 1), &stimuli(20, 2), &config).unwrap();
    let truth = truth_for(&simulated.scan, &simulated.truth).unwrap();
    Known { reliability: reliability(&simulated.scan).unwrap(), truth, scan: simulated.scan }
}

#[test]
fn a_perfect_denoiser_agrees_with_the_truth_and_beats_the_repeat_average() {
    let known = known(3);
    let weights = ScanWeights::new(&known.scan, &known.reliability, &[1.0; NEURONS]).unwrap();
    let found = compare_oracle_images(&known.scan, &known.truth, Some(&known.truth), &weights).unwrap();
    assert_eq!(found.single_trials.len(), REPEATS);
    let to_truth = found.to_truth.unwrap();
    assert!((to_truth.denoised_equal_weights - 1.0).abs() < 1e-9, "{to_truth:?}");
    assert!(to_truth.single_trials < to_truth.repeat_average && to_truth.repeat_average < 1.0, "{to_truth:?}");
    assert!(found.to_repeat_average.denoised > found.to_repeat_average.single_trials, "{:?}", found.to_repeat_average);
    assert_eq!(found.weightings.iter().map(|one| one.weighting).collect::<Vec<_>>(), Weighting::ALL);
    for one in &found.weightings {
        assert!((one.denoised.value - 1.0).abs() < 1e-9, "{one:?}");
        assert!(one.single_trials.low <= one.single_trials.value && one.single_trials.value <= one.single_trials.high);
        assert!(one.ceiling_lower <= one.ceiling_upper, "{one:?}");
    }

    // By hand, for the first repeat.
    let ids = found.repeat_average.ids();
    let by_hand = similarity(&known.scan.repeat(0).select(ids).unwrap(), &weights.measured).unwrap();
    assert_eq!(found.single_trials[0].packed(), by_hand.packed());
}

#[test]
fn without_truth_the_repeat_average_is_all_there_is() {
    let known = known(3);
    let weights = ScanWeights::new(&known.scan, &known.reliability, &[1.0; NEURONS]).unwrap();
    let found = compare_oracle_images(&known.scan, &known.truth, None, &weights).unwrap();
    assert!(found.truth.is_none() && found.to_truth.is_none() && found.weightings.is_empty());
}

#[test]
fn an_oracle_image_that_was_not_denoised_is_named() {
    let known = known(3);
    let weights = ScanWeights::new(&known.scan, &known.reliability, &[1.0; NEURONS]).unwrap();
    let missing = known.scan.repeat_means().ids()[0];
    let others: Vec<_> = known.truth.ids().iter().copied().filter(|id| *id != missing).collect();
    let error = compare_oracle_images(&known.scan, &known.truth.select(&others).unwrap(), None, &weights).unwrap_err();
    assert!(error.to_string().contains(&missing.to_string()), "{error}");
}

#[test]
fn single_trials_are_averaged_over_the_scans_that_show_them() {
    let (first, second) = (known(3), known(4));
    let weights = [&first, &second].map(|known| ScanWeights::new(&known.scan, &known.reliability, &[1.0; NEURONS]).unwrap());
    let shown = first.scan.single_trials().ids().to_vec();
    let targets = first.scan.stimuli().subset(&(0..first.scan.stimuli().len()).collect::<Vec<_>>());
    let positions: Vec<usize> = shown.iter().map(|id| targets.position(*id).unwrap()).collect();
    let targets = targets.subset(&positions);
    let scans = [(&first.scan, &weights[0]), (&second.scan, &weights[1])];
    let found = single_trial_similarity(&scans, &targets).unwrap();
    assert_eq!(found.ids(), targets.ids());
    let trials = [&first, &second].map(|known| known.scan.single_trials().select(targets.ids()).unwrap());
    let by_hand =
        similarity_over_scans(&[(&trials[0], &weights[0].measured), (&trials[1], &weights[1].measured)], Images::Identical)
            .unwrap();
    assert!(pearson(&found, &by_hand).unwrap() > 1.0 - 1e-9);

    // An oracle image was shown in the test tier alone, from which no target is made.
    let oracle = first.scan.repeat_means().ids()[0];
    let oracle = first.scan.stimuli().position(oracle).unwrap();
    let error = single_trial_similarity(&scans, &first.scan.stimuli().subset(&[oracle, positions[0]])).unwrap_err();
    assert!(error.to_string().contains("image"), "{error}");
}

#[test]
fn labels_find_images_of_one_class_alike() {
    let pixels: Vec<u8> = (0..4 * 7).map(|index| (index % 251) as u8).collect();
    // The last image is the first again, with its label.
    let pixels = [&pixels[..], &pixels[..4]].concat();
    let names = ["a", "b", "c"].map(str::to_owned).to_vec();
    let images = LabeledImages::new(1, 2, 2, pixels, vec![0, 0, 1, 1, 2, 2, 0, 0], names).unwrap();
    let (stimuli, matrix) = label_similarity(&images, 6).unwrap();
    assert_eq!((stimuli.len(), matrix.ids()), (6, stimuli.ids()));
    for i in 0..6 {
        for j in 0..i {
            let expected = if i / 2 == j / 2 { 1.0 } else { -0.5 };
            assert!((matrix.get(i, j) - expected).abs() < 1e-6, "{i}, {j}: {}", matrix.get(i, j));
        }
    }
    let (stimuli, _) = label_similarity(&images, 100).unwrap();
    assert_eq!(stimuli.len(), 7, "an image is taken once");
}
