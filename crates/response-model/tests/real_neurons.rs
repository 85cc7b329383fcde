//! Readouts of fixed features on recorded neurons of macaque V4, whose data are not part of the
//! repository.

use std::path::Path;

use brainprior_classifier::ResNet;
use brainprior_images::StimulusSet;
use brainprior_recording::{Scan, Tier, read_scan, reliability};
use brainprior_response_model::{Error, Features, LinearModel, Mixture};
use brainprior_similarity::{
    Denoised, ErrorVariances, ScanWeights, TargetWeights, Weighting, compare_oracle_images,
};
use candle_core::{Device, Tensor};
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
    let network = ResNet::built_in().unwrap();
    let (height, width) = (stimuli.height(), stimuli.width());
    let batches = stimuli.pixels().chunks(32 * height * width).map(|pixels| -> Result<_, Error> {
        let size = (pixels.len() / (height * width), 1, height, width);
        let images = Tensor::from_slice(pixels, size, &Device::Cpu)?;
        Ok(network.layer_outputs(&images).unwrap()[2..].to_vec())
    });
    let bank = Features::of(stimuli).unwrap();
    let with_network = bank.clone().with_network(batches).unwrap();
    let equal = (Weighting::Equal, 0.425, 0.08);
    check(&scan, &bank, &[equal]);
    check(&scan, &with_network, &[equal, (Weighting::SignalToNoise, 0.525, 0.04)]);
}

/// Checks, for each weighting, the correlation of one trial and by how much denoised responses are
/// nearer.
#[track_caller]
fn check(scan: &Scan, features: &Features, expected: &[(Weighting, f64, f64)]) {
    let model = LinearModel::fit(scan, &scan.trials_in(Tier::Train), features, 1).unwrap();
    let held_out = scan.trials_in(Tier::Validation);
    let of_linear = model.predict_trials(scan, &held_out).unwrap();
    let none = Array2::zeros(of_linear.raw_dim());
    let mixture = Mixture::candidates(scan, &held_out, &none, &of_linear).swap_remove(0);
    assert!(
        (0.3..1.5).contains(&mixture.linear()) && mixture.convolutional() == 0.0,
        "{mixture:?}"
    );
    let variances = ErrorVariances::of(scan, &held_out, &mixture.mix(&none, &of_linear)).unwrap();
    let responses = model.predict(scan.repeat_means().ids()).unwrap();
    let weights = ScanWeights::new(scan, &reliability(scan).unwrap(), Some(model.v_a()))
        .unwrap()
        .with_targets(TargetWeights::Equal);
    let denoised = Denoised { responses: &responses, variances: Some(&variances) };
    let found = compare_oracle_images(scan, Some(denoised), None, &weights).unwrap();
    for &(weighting, of_trial, nearer) in expected {
        let same = found.weightings.iter().find(|of| of.weighting == weighting).unwrap();
        let same = same.to_other_repeats;
        let [trial, denoised, combined] =
            [same.single_trials, same.denoised, same.combined].map(Option::unwrap);
        assert!((trial.correlation - of_trial).abs() < 0.001, "{weighting:?}: {trial:?}");
        assert!(denoised.correlation > trial.correlation + nearer, "{weighting:?}: {denoised:?}");
        assert!(combined.correlation > denoised.correlation + 0.05, "{weighting:?}: {combined:?}");
        for sized in [denoised, combined] {
            assert!((0.9..1.11).contains(&sized.spread_ratio), "{weighting:?}: {sized:?}");
        }
    }
}
