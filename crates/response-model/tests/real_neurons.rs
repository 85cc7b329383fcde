//! Readouts of fixed features on recorded neurons of macaque V4, whose data are not part of the
//! repository.

use std::path::Path;

use brainprior_images::StimulusSet;
use brainprior_recording::{Tier, read_scan, reliability};
use brainprior_response_model::{Features, LinearModel, Mixture, TrainingTrials};
use brainprior_similarity::{
    Denoised, ErrorVariances, ScanWeights, TargetWeights, compare_oracle_images,
};
use ndarray::Array2;

const V4: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../../shared/data/real/cowley2023-macaque-v4/v4-210325.h5"
);

#[test]
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn on_macaque_v4_denoised_responses_are_nearer_to_the_repeats_than_a_trial_and_both_combined_nearer_still()
 {
    if !Path::new(V4).exists() {
        eprintln!("skipped: there is no {V4}");
        return;
    }
    let scan = read_scan(Path::new(V4)).unwrap();
    let stimuli: &StimulusSet = scan.stimuli();
    let features = Features::of(stimuli, &[]).unwrap();
    let training = TrainingTrials::of(&[&scan]);
    let model = LinearModel::fit(&scan, &training.trials()[0], &features, 1).unwrap();
    let held_out = scan.trials_in(Tier::Validation);
    let of_linear = model.predict_trials(&scan, &held_out).unwrap();
    let none = Array2::zeros(of_linear.raw_dim());
    let mixture = Mixture::candidates(&scan, &held_out, &none, &of_linear).swap_remove(0);
    assert!(
        (0.3..1.5).contains(&mixture.linear()) && mixture.convolutional() == 0.0,
        "{mixture:?}"
    );
    let variances = ErrorVariances::of(&scan, &held_out, &mixture.mix(&none, &of_linear)).unwrap();
    let responses = model.predict(scan.repeat_means().ids()).unwrap();
    let weights = ScanWeights::new(&scan, &reliability(&scan).unwrap(), Some(model.v_a()))
        .unwrap()
        .with_targets(TargetWeights::Equal);
    let denoised = Denoised { responses: &responses, variances: Some(&variances) };
    let found =
        compare_oracle_images(&scan, Some(denoised), None, &weights).unwrap().to_other_repeats;
    let [trial, denoised, combined] =
        [found.single_trials, found.denoised, found.combined].map(Option::unwrap);
    assert!((trial.correlation - 0.425).abs() < 0.001, "{trial:?}");
    assert!(denoised.correlation > trial.correlation + 0.08, "{denoised:?}");
    assert!(combined.correlation > denoised.correlation + 0.05, "{combined:?}");
    for sized in [denoised, combined] {
        assert!((0.9..1.11).contains(&sized.spread_ratio), "{sized:?}");
    }
}
