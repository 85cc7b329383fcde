//! Targets of scans and their evaluation on oracle images, on simulated scans with known ground
//! truth.

use brainprior_images::{LabeledImages, StimulusSet};
use brainprior_recording::simulation::{SimulationConfig, simulate, truth_for};
use brainprior_recording::{Reliability, Responses, Scan, ScanParts, Tier, reliability};
use brainprior_similarity::{
    Agreement, Images, ScanWeights, Weighting, compare_oracle_images, label_similarity, pearson,
    similarity, similarity_over_scans, single_trial_similarity, standardizing_weights, vectors,
};
use ndarray::{Array2, Axis};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const NEURONS: usize = 40;
const REPEATS: usize = 6;

fn stimuli(count: usize, seed: u64) -> StimulusSet {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    StimulusSet::new(
        16,
        24,
        (0..count * 16 * 24).map(|_| generator.random_range(0.0..1.0)).collect(),
    )
    .unwrap()
}

struct Known {
    scan: Scan,
    reliability: Reliability,
    truth: Responses,
}

fn known(seed: u64) -> Known {
    known_of(NEURONS, 20, seed)
}

fn known_of(neurons: usize, oracle: usize, seed: u64) -> Known {
    let config =
        SimulationConfig { neurons, repeats: REPEATS, seed, ..SimulationConfig::default() };
    let simulated = simulate("s", &stimuli(60, 1), &stimuli(oracle, 2), &config).unwrap();
    let truth = truth_for(&simulated.scan, &simulated.truth).unwrap();
    Known { reliability: reliability(&simulated.scan).unwrap(), truth, scan: simulated.scan }
}

#[test]
fn a_perfect_denoiser_agrees_with_the_truth_and_beats_the_repeat_average() {
    let known = known(3);
    let weights =
        ScanWeights::new(&known.scan, &known.reliability, Some(&[Some(1.0); NEURONS])).unwrap();
    let found = compare_oracle_images(
        &known.scan,
        Some((&known.truth).into()),
        Some(&known.truth),
        &weights,
    )
    .unwrap();
    assert_eq!((found.single_trials.len(), found.other_repeats.len()), (REPEATS, REPEATS));
    let to_truth = found.to_truth.unwrap();
    let correlation = |found: Option<Agreement>| found.unwrap().correlation;
    let perfect = to_truth.denoised_equal_weights.unwrap();
    assert!((perfect.correlation - 1.0).abs() < 1e-9, "{perfect:?}");
    assert!(
        (perfect.slope - 1.0).abs() < 1e-6 && (perfect.spread_ratio - 1.0).abs() < 1e-6,
        "{perfect:?}"
    );
    assert!(
        correlation(to_truth.single_trials) < correlation(to_truth.repeat_average),
        "{to_truth:?}"
    );
    assert!(correlation(to_truth.repeat_average) < 1.0, "{to_truth:?}");
    let to_others = found.to_other_repeats;
    assert!(
        correlation(to_others.denoised) > correlation(to_others.single_trials),
        "{to_others:?}"
    );
    assert_eq!(
        found.weightings.iter().map(|one| one.weighting).collect::<Vec<_>>(),
        Weighting::ALL
    );
    for one in &found.weightings {
        let to_truth = one.to_truth.unwrap();
        assert!((correlation(to_truth.denoised) - 1.0).abs() < 1e-9, "{one:?}");
        let single = to_truth.single_trials.unwrap();
        let interval = single.interval.unwrap();
        assert!(
            interval.low <= single.correlation && single.correlation <= interval.high,
            "{single:?}"
        );
    }
    assert!(found.repeat_average.provenance().iter().any(|step| step.contains("training tier")));

    // Computed by hand, for the first repeat.
    let ids = found.repeat_average.ids();
    let by_hand =
        similarity(&known.scan.repeat(0).select(ids).unwrap(), &weights.measured).unwrap();
    assert_eq!(found.single_trials[0].packed(), by_hand.packed());
}

#[test]
fn a_trial_is_compared_with_the_repeats_that_it_is_not_among() {
    // Responses of pure noise: a trial agrees with an average that contains it, but not with the
    // others.
    let known = known(3);
    let (mut with_itself, mut left_out) = (0.0, 0.0);
    let mut noise = |seed: u64| {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        let scan = changed(&known.scan, |parts| {
            parts.responses.mapv_inplace(|_| generator.random_range(0.0f32..1.0))
        });
        let weights = ScanWeights::new(&scan, &reliability(&scan).unwrap(), None).unwrap();
        let found = compare_oracle_images(&scan, None, None, &weights).unwrap();
        let of = |trial| pearson(trial, &found.repeat_average).unwrap();
        with_itself += found.single_trials.iter().map(of).sum::<f64>() / (REPEATS * 16) as f64;
        left_out += found.to_other_repeats.single_trials.unwrap().correlation / 16.0;
        (scan, weights, found)
    };
    (1..16).for_each(|seed| drop(noise(seed)));
    let (scan, weights, found) = noise(0);
    assert!(with_itself > 0.1 && left_out.abs() < 0.04, "{with_itself}, without itself {left_out}");

    // Computed by hand: the mean over the trials of each image except the last.
    let others: Vec<Responses> = (0..REPEATS - 1).map(|repeat| scan.repeat(repeat)).collect();
    let mean =
        others.iter().fold(Array2::zeros(others[0].values().dim()), |sum: Array2<f64>, one| {
            sum + one.values().mapv(f64::from) / (REPEATS - 1) as f64
        });
    let mean = mean.mapv(|value| value as f32);
    let by_hand = vectors(others[0].ids(), mean.view(), &weights.measured, "by hand").unwrap();
    assert!(pearson(&by_hand, &found.other_repeats[REPEATS - 1]).unwrap() > 1.0 - 1e-9);
}

#[test]
fn the_root_of_the_reliability_is_what_the_truth_reaches() {
    // Each ceiling is estimated from the repeats alone.
    for seed in [3, 4] {
        let known = known_of(80, 40, seed);
        let weights = ScanWeights::new(&known.scan, &known.reliability, None).unwrap();
        let found = compare_oracle_images(&known.scan, None, Some(&known.truth), &weights).unwrap();
        assert_eq!(
            found.weightings.len(),
            Weighting::ALL.len() - 1,
            "no response model gives weights v"
        );
        for one in &found.weightings {
            let (reliability, to_truth) = (one.reliability.unwrap(), one.to_truth.unwrap());
            let (single, average) =
                (to_truth.single_trials.unwrap(), to_truth.repeat_average.unwrap());
            let off = [
                reliability.ceiling_of_single_trials() - single.correlation,
                reliability.ceiling_of_average() - average.correlation,
            ];
            assert!(off.iter().all(|off| off.abs() < 0.06), "{off:?}: {one:?}");
        }
    }
}

#[test]
fn a_scan_of_repeats_alone_needs_neither_training_images_nor_a_response_model() {
    let known = known(3);
    let test = known.scan.trials_in(Tier::Test);
    let scan = changed(&known.scan, |parts| {
        parts.trial_image = test.iter().map(|trial| parts.trial_image[*trial]).collect();
        parts.tiers = vec![Tier::Test; test.len()];
        parts.responses = parts.responses.select(Axis(0), &test);
        parts.behavior = None;
        parts.pupil_center = None;
        parts.trial_idx = None;
    });
    let weights = ScanWeights::new(&scan, &reliability(&scan).unwrap(), None).unwrap();
    let of = |neuron: usize| {
        let values = scan.responses().column(neuron).mapv(f64::from);
        1.0 / values.std(0.0)
    };
    assert!(
        weights
            .equal
            .iter()
            .enumerate()
            .all(|(neuron, weight)| (f64::from(*weight) / of(neuron) - 1.0).abs() < 1e-5)
    );
    let found = compare_oracle_images(&scan, None, None, &weights).unwrap();
    assert!(found.denoised.is_none() && found.truth.is_none() && found.to_truth.is_none());
    assert!(found.to_other_repeats.denoised.is_none());
    assert!(found.to_other_repeats.single_trials.unwrap().correlation > 0.0);
    assert!(found.weightings.iter().all(|one| one.reliability.is_some() && one.to_truth.is_none()));
    assert!(
        found.repeat_average.provenance().iter().any(|step| step.contains("no training tier")),
        "{:?}",
        found.repeat_average
    );

    let error =
        compare_oracle_images(&scan, Some((&known.truth).into()), None, &weights).unwrap_err();
    assert!(error.to_string().contains("weights of denoised responses"), "{error}");
}

#[test]
fn two_oracle_images_have_matrices_and_no_correlation() {
    let known = known(3);
    let kept: Vec<usize> = known.scan.repeats().into_keys().take(2).collect();
    let trials: Vec<usize> = (0..known.scan.tiers().len())
        .filter(|trial| {
            known.scan.tiers()[*trial] != Tier::Test
                || kept.contains(&known.scan.trial_image()[*trial])
        })
        .collect();
    let scan = changed(&known.scan, |parts| {
        parts.trial_image = trials.iter().map(|trial| parts.trial_image[*trial]).collect();
        parts.tiers = trials.iter().map(|trial| parts.tiers[*trial]).collect();
        parts.responses = parts.responses.select(Axis(0), &trials);
        parts.behavior = None;
        parts.pupil_center = None;
        parts.trial_idx = None;
    });
    let weights =
        ScanWeights::new(&scan, &reliability(&scan).unwrap(), Some(&[Some(1.0); NEURONS])).unwrap();
    let found =
        compare_oracle_images(&scan, Some((&known.truth).into()), Some(&known.truth), &weights)
            .unwrap();
    assert_eq!((found.repeat_average.len(), found.single_trials.len()), (2, REPEATS));
    assert!(
        found.to_other_repeats.single_trials.is_none()
            && found.to_truth.unwrap().repeat_average.is_none()
    );
    assert!(found.weightings.iter().all(|one| one.reliability.is_none()));
}

#[test]
fn a_neuron_that_hardly_ever_responds_does_not_outweigh_the_others() {
    let known = known(3);
    let scan = changed(&known.scan, |parts| {
        parts.responses.column_mut(0).mapv_inplace(|value| value / 1e6);
        parts.responses.column_mut(1).fill(0.25);
    });
    let weights = standardizing_weights(&scan);
    let mean = weights[2..].iter().map(|weight| 1.0 / weight).sum::<f32>() / NEURONS as f32;
    assert!(
        (weights[0] * mean / 100.0 - 1.0).abs() < 1e-3,
        "{} for a mean deviation of {mean}",
        weights[0]
    );
    assert_eq!(weights[1], 0.0, "it never varies");
}

/// The same scan with other content.
fn changed(scan: &Scan, change: impl FnOnce(&mut ScanParts)) -> Scan {
    let mut parts = ScanParts {
        name: scan.name().into(),
        stimuli: scan.stimuli().clone(),
        image_labels: None,
        trial_image: scan.trial_image().to_vec(),
        tiers: scan.tiers().to_vec(),
        responses: scan.responses().clone(),
        behavior: scan.behavior().cloned(),
        pupil_center: scan.pupil_center().cloned(),
        neurons: scan.neurons().clone(),
        trial_idx: scan.trial_idx().map(<[i64]>::to_vec),
        origin: scan.origin(),
    };
    change(&mut parts);
    Scan::new(parts).unwrap()
}

#[test]
fn an_oracle_image_that_was_not_denoised_is_named() {
    let known = known(3);
    let weights =
        ScanWeights::new(&known.scan, &known.reliability, Some(&[Some(1.0); NEURONS])).unwrap();
    let missing = known.scan.repeat_means().ids()[0];
    let others: Vec<_> = known.truth.ids().iter().copied().filter(|id| *id != missing).collect();
    let others = known.truth.select(&others).unwrap();
    let error =
        compare_oracle_images(&known.scan, Some((&others).into()), None, &weights).unwrap_err();
    assert!(error.to_string().contains(&missing.to_string()), "{error}");
}

#[test]
fn single_trials_are_averaged_over_the_scans_that_show_them() {
    let (first, second) = (known(3), known(4));
    let weights = [&first, &second].map(|known| {
        ScanWeights::new(&known.scan, &known.reliability, Some(&[Some(1.0); NEURONS])).unwrap()
    });
    let shown = first.scan.single_trials().ids().to_vec();
    let targets = first.scan.stimuli().subset(&(0..first.scan.stimuli().len()).collect::<Vec<_>>());
    let positions: Vec<usize> = shown.iter().map(|id| targets.position(*id).unwrap()).collect();
    let targets = targets.subset(&positions);
    let scans = [(&first.scan, &weights[0]), (&second.scan, &weights[1])];
    let found = single_trial_similarity(&scans, &targets).unwrap();
    assert_eq!(found.ids(), targets.ids());
    let trials =
        [&first, &second].map(|known| known.scan.single_trials().select(targets.ids()).unwrap());
    let by_hand = similarity_over_scans(
        &[(&trials[0], &weights[0].measured), (&trials[1], &weights[1].measured)],
        Images::Identical,
    )
    .unwrap();
    assert!(pearson(&found, &by_hand).unwrap() > 1.0 - 1e-9);

    // An oracle image was shown only in the test tier, which is not used for targets.
    let oracle = first.scan.repeat_means().ids()[0];
    let oracle = first.scan.stimuli().position(oracle).unwrap();
    let error =
        single_trial_similarity(&scans, &first.scan.stimuli().subset(&[oracle, positions[0]]))
            .unwrap_err();
    assert!(error.to_string().contains("image"), "{error}");
}

#[test]
fn single_trials_of_scans_without_a_common_image_are_those_of_the_largest() {
    let config = |seed| SimulationConfig {
        neurons: NEURONS,
        repeats: REPEATS,
        seed,
        ..SimulationConfig::default()
    };
    let of = |count: usize, images: u64, seed: u64| {
        simulate(
            &format!("day {seed}"),
            &stimuli(count, images),
            &stimuli(5, images + 100),
            &config(seed),
        )
        .unwrap()
        .scan
    };
    let (small, large) = (of(20, 1, 1), of(30, 2, 2));
    let weights = [&small, &large]
        .map(|scan| ScanWeights::new(scan, &reliability(scan).unwrap(), None).unwrap());
    let shown = |scan: &Scan| {
        let ids = scan.single_trials().ids().to_vec();
        scan.stimuli()
            .subset(&ids.iter().map(|id| scan.stimuli().position(*id).unwrap()).collect::<Vec<_>>())
    };
    let all = StimulusSet::union(&[&shown(&small), &shown(&large)]).unwrap();
    let found =
        single_trial_similarity(&[(&small, &weights[0]), (&large, &weights[1])], &all).unwrap();
    assert_eq!(found.ids(), shown(&large).ids());
    assert!(
        found.provenance().last().unwrap().contains("30 of 50 images, those of day 2"),
        "{:?}",
        found.provenance()
    );
}

#[test]
fn labels_find_images_of_one_class_alike() {
    let pixels: Vec<u8> = (0..4 * 7).map(|index| (index % 251) as u8).collect();
    // The last image repeats the first, with its label.
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
