//! Unusual and bad scans.

use crate::fixture;
use brainprior_artifact::archive;
use brainprior_recording::{Scan, Tier};
use brainprior_response_model::{Config, Error, FitEvent, FitOptions, ResponseModel, fit};

fn events_of(scan: &Scan, config: &Config) -> (ResponseModel, Vec<FitEvent>) {
    let mut events = Vec::new();
    let model = fit(
        &[scan],
        config,
        FitOptions {
            seed: 1,
            observer: Some(&mut |event| events.push(event)),
            ..FitOptions::default()
        },
    )
    .unwrap();
    (model, events)
}

fn refused(scan: &Scan, config: &Config) -> Error {
    fit(&[scan], config, FitOptions { seed: 1, ..FitOptions::default() }).unwrap_err()
}

#[test]
fn scans_without_behavior_or_pupil_fit_without_and_say_so() {
    let (scan, config) = fixture::tiny();
    let (model, events) = events_of(&scan, &config);
    assert!(
        !events.iter().any(|e| matches!(
            e,
            FitEvent::WithoutModulator { .. } | FitEvent::WithoutShifter { .. }
        ))
    );
    assert!(model.shifts(0, scan.pupil_center().unwrap()).unwrap().is_some());

    let mut parts = fixture::parts(&scan);
    let (behavior, pupil) = (parts.behavior.take().unwrap(), parts.pupil_center.take().unwrap());
    let bare = Scan::new(parts).unwrap();
    let (model, events) = events_of(&bare, &config);
    assert!(events.contains(&FitEvent::WithoutModulator { scan: "sim".into() }));
    assert!(events.contains(&FitEvent::WithoutShifter { scan: "sim".into() }));
    assert!(
        model.gains(0, &behavior).unwrap().is_none() && model.shifts(0, &pupil).unwrap().is_none()
    );
    assert!(matches!(
        model.predict_trials(0, &scan, &[0]),
        Err(Error::ScanMismatch { what: "columns of behavior", .. })
    ));
}

#[test]
fn scans_of_different_neurons_share_a_core() {
    let (scan, config) = fixture::tiny();
    let mut parts = fixture::parts(&scan);
    parts.name = "fewer".into();
    parts.responses = parts.responses.slice(ndarray::s![.., ..4]).to_owned();
    parts.neurons = brainprior_recording::Neurons::unnamed(4);
    // Only some of the trials, so that most batches have images that this scan did not train on.
    for tier in parts.tiers.iter_mut().filter(|tier| **tier == Tier::Train).step_by(2) {
        *tier = Tier::Test;
    }
    let fewer = Scan::new(parts).unwrap();
    let model =
        fit(&[&scan, &fewer], &config, FitOptions { seed: 1, ..FitOptions::default() }).unwrap();
    assert_eq!(model.scan_count(), 2);
    assert_eq!(model.predict(0, scan.stimuli()).unwrap().values().ncols(), 6);
    let predicted = model.predict(1, scan.stimuli()).unwrap();
    assert_eq!(
        (predicted.values().ncols(), predicted.scan(), predicted.ids()),
        (4, "fewer", scan.stimuli().ids())
    );
    assert!(matches!(
        model.predict(2, scan.stimuli()),
        Err(Error::NoSuchScan { index: 2, len: 2 })
    ));
    assert!(matches!(
        model.metrics(0, &fewer, 1),
        Err(Error::ScanMismatch { what: "neurons", .. })
    ));
}

#[test]
fn trials_are_predicted_in_the_order_asked_for() {
    let (scan, mut config) = fixture::tiny();
    config.optimization.max_epochs = 1;
    let (model, _) = events_of(&scan, &config);
    let trials: Vec<usize> = (0..scan.trial_image().len()).collect();
    let all = model.predict_trials(0, &scan, &trials).unwrap();
    let backwards =
        model.predict_trials(0, &scan, &trials.iter().rev().copied().collect::<Vec<_>>()).unwrap();
    for (&t, row) in trials.iter().zip(all.rows()) {
        let other = backwards.row(trials.len() - 1 - t);
        assert!(row.iter().zip(other).all(|(a, b)| (a - b).abs() <= 1e-4 * a.abs()), "trial {t}");
    }
    let count = trials.len();
    let beyond = model.predict_trials(0, &scan, &[count]).unwrap_err();
    assert!(
        matches!(beyond, Error::NoSuchTrial { trial, trials, .. } if trial == count && trials == count)
    );
}

#[test]
fn neurons_that_never_vary_and_outliers_do_no_harm() {
    let (scan, config) = fixture::tiny();
    let mut parts = fixture::parts(&scan);
    parts.responses.column_mut(0).fill(0.0);
    parts.responses.column_mut(1).fill(2.5);
    let train = scan.trials_in(Tier::Train);
    parts.responses[(train[5], 2)] = 1e6;
    let odd = Scan::new(parts).unwrap();
    let (model, events) = events_of(&odd, &config);
    assert!(events.contains(&FitEvent::NeverVarying { scan: "sim".into(), neurons: 2 }));
    let predicted = model.predict(0, scan.stimuli()).unwrap();
    assert!(predicted.values().iter().all(|v| v.is_finite()));
    assert!(predicted.values().column(0).iter().all(|v| *v == 0.0));
    assert!(predicted.values().column(1).iter().all(|v| (v - 2.5).abs() < 1e-5));
    let v_a = model.v_a(0).unwrap();
    assert!(v_a[0].is_none() && v_a[1].is_none() && v_a[3].is_some_and(f32::is_finite), "{v_a:?}");
    let metrics = model.metrics(0, &odd, 1).unwrap();
    assert!(
        metrics.single_trial[0].is_none()
            && metrics.to_average[1].is_none()
            && metrics.feve[0].is_none()
    );
}

#[test]
fn negative_responses_are_refused_or_rectified() {
    let (scan, mut config) = fixture::tiny();
    let mut parts = fixture::parts(&scan);
    parts.responses[(4, 3)] = -0.25;
    parts.responses[(9, 1)] = -1.0;
    let negative = Scan::new(parts).unwrap();
    let error = refused(&negative, &config);
    let first = (4, 3, -0.25);
    assert!(
        matches!(error, Error::NegativeResponses { count: 2, trial, neuron, value, .. } if (trial, neuron, value) == first),
        "{error}"
    );
    assert!(error.to_string().contains("loss.rectify_negative = true"), "{error}");
    config.loss.rectify_negative = true;
    events_of(&negative, &config);
}

#[test]
fn what_cannot_be_fitted_is_named() {
    let (scan, config) = fixture::tiny();
    assert!(matches!(
        fit(&[], &config, FitOptions { seed: 1, ..FitOptions::default() }),
        Err(Error::NoScans)
    ));

    let mut parts = fixture::parts(&scan);
    parts
        .tiers
        .iter_mut()
        .filter(|tier| **tier == Tier::Validation)
        .for_each(|tier| *tier = Tier::Train);
    let error = refused(&Scan::new(parts).unwrap(), &config);
    assert!(matches!(error, Error::TooFewTrials { tier: "validation", found: 0, .. }), "{error}");

    let mut parts = fixture::parts(&scan);
    parts
        .tiers
        .iter_mut()
        .filter(|tier| **tier == Tier::Train)
        .for_each(|tier| *tier = Tier::Validation);
    let error = refused(&Scan::new(parts).unwrap(), &config);
    assert!(matches!(error, Error::TooFewTrials { tier: "train", found: 0, .. }), "{error}");

    let mut parts = fixture::parts(&scan);
    parts.responses.fill(1.0);
    let error = refused(&Scan::new(parts).unwrap(), &config);
    assert!(matches!(error, Error::NothingVaries { neurons: 6, .. }), "{error}");

    let mut parts = fixture::parts(&scan);
    parts.stimuli = fixture::stimuli(parts.stimuli.len(), 16, 32, 9);
    let small = Scan::new(parts).unwrap();
    let error = fit(&[&scan, &small], &config, FitOptions { seed: 1, ..FitOptions::default() })
        .unwrap_err();
    assert!(
        matches!(error, Error::ImageSize { expected_height: 20, found_height: 16, .. }),
        "{error}"
    );

    let mut config = config;
    config.readout.levels = 0;
    assert!(matches!(refused(&scan, &config), Error::Configuration { key: "readout.levels", .. }));
}

#[test]
fn a_header_that_names_more_numbers_than_the_file_holds_takes_no_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let config = Config::default();
    let mut config = serde_json::to_value(&config).unwrap();
    let written = |config: &serde_json::Value, height: usize| {
        let header = serde_json::json!({
            "format": "brainprior response-model, version 4", "config": config, "height": height, "width": 16, "scans": [],
        });
        let numbers: Vec<u8> = [0.5f32, 1.0].iter().flat_map(|value| value.to_le_bytes()).collect();
        let view = archive::TensorView::new(archive::Dtype::F32, vec![2], &numbers).unwrap();
        archive::write(&path, &header, [("image.mean_std", view)]).unwrap();
        ResponseModel::load(&path).unwrap_err().to_string()
    };
    let error = written(&config, usize::MAX);
    assert!(error.contains("height and width: expected sizes from 1 to 65536"), "{error}");
    // Kernels with this many channels would take a terabyte.
    config["core"]["channels"] = serde_json::json!([1 << 20, 1 << 20]);
    config["core"]["kernels"] = serde_json::json!([9, 7]);
    let error = written(&config, 16);
    assert!(
        error.contains("model.safetensors: core.")
            && error.contains("a tensor of this name, found none"),
        "{error}"
    );
}
