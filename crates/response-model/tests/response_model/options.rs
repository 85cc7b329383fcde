//! Every core, readout and loss can be fitted, predicts, and can be saved and loaded.

use crate::fixture;
use brainprior_recording::{Neurons, Scan, Tier};
use brainprior_response_model::{
    Config, CoreConfig, CoreKind, CoreOutput, Error, FitOptions, LossKind, PositionSource,
    ReadoutKind, ResponseModel, fit,
};
use ndarray::Array2;

fn fits_and_keeps(name: &str, scan: &Scan, config: &Config) -> ResponseModel {
    let model = fit(&[scan], config, FitOptions { seed: 1, ..FitOptions::default() })
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    let predicted = model.predict(0, scan.stimuli()).unwrap();
    assert!(predicted.values().iter().all(|v| v.is_finite() && *v > 0.0), "{name}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    model.save(&path).unwrap();
    assert_eq!(
        ResponseModel::load(&path).unwrap().predict(0, scan.stimuli()).unwrap(),
        predicted,
        "{name}"
    );
    model
}

#[test]
fn every_core() {
    let (scan, config) = fixture::tiny();
    for (kind, depth_separable, output, pad_input) in [
        (CoreKind::Stacked, true, CoreOutput::Last, false),
        (CoreKind::Stacked, false, CoreOutput::All, false),
        (CoreKind::Dense, true, CoreOutput::All, true),
    ] {
        let core = CoreConfig {
            kind,
            depth_separable,
            output,
            pad_input,
            l2: 0.01,
            ..config.core.clone()
        };
        fits_and_keeps(&format!("{core:?}"), &scan, &Config { core, ..config.clone() });
    }
    let mut config = config;
    config.core = CoreConfig { kernels: vec![33, 3], pad_input: false, ..config.core };
    let error =
        fit(&[&scan], &config, FitOptions { seed: 1, ..FitOptions::default() }).unwrap_err();
    assert!(matches!(error, Error::Configuration { key: "core.kernels", .. }), "{error}");
}

#[test]
fn every_readout_and_loss() {
    let (scan, config) = fixture::tiny();
    for (kind, loss) in [
        (ReadoutKind::Gaussian, LossKind::Gaussian),
        (ReadoutKind::Factorized, LossKind::ZeroInflatedGamma),
        (ReadoutKind::Pyramid, LossKind::Gamma),
    ] {
        let mut config = config.clone();
        config.readout.kind = kind;
        config.shifter.enabled = kind != ReadoutKind::Factorized;
        config.loss.kind = loss;
        fits_and_keeps(&format!("{kind:?}, {loss:?}"), &scan, &config);
    }
    let mut config = config;
    config.readout.kind = ReadoutKind::Factorized;
    let error =
        fit(&[&scan], &config, FitOptions { seed: 1, ..FitOptions::default() }).unwrap_err();
    assert!(matches!(error, Error::Configuration { key: "shifter.enabled", .. }), "{error}");
}

#[test]
fn the_static_model_of_walker_2019() {
    let (scan, small) = fixture::tiny();
    let mut config = Config::walker2019();
    config.core.channels = Some(vec![4, 4, 4]);
    config.core.kernels = vec![5, 3, 3];
    config.readout.levels = small.readout.levels;
    config.optimization.max_epochs = 2;
    let model = fits_and_keeps("walker2019", &scan, &config);
    assert_eq!(model.response_std(0).unwrap()[0], 1.0, "responses stay in the units of the scan");
}

#[test]
fn the_gaussian_loss_takes_negative_responses() {
    let (scan, mut config) = fixture::tiny();
    let mut parts = fixture::parts(&scan);
    parts.responses.mapv_inplace(|r| r - 0.3);
    let negative = Scan::new(parts).unwrap();
    config.loss.kind = LossKind::Gaussian;
    fits_and_keeps("gaussian", &negative, &config);
}

#[test]
fn positions_come_from_cortex_where_it_is_a_map_of_the_visual_field() {
    let (scan, mut config) = fixture::tiny();
    config.readout.kind = ReadoutKind::Gaussian;
    config.readout.positions = PositionSource::Cortical;
    let error = fit(&[&scan], &config, FitOptions { seed: 1, ..FitOptions::default() });
    let has_coordinates = scan.neurons().coordinates().is_some();
    assert!(has_coordinates || matches!(error, Err(Error::NoCoordinates { .. })));
    let mut parts = fixture::parts(&scan);
    let count = parts.neurons.len();
    let coordinates =
        Array2::from_shape_fn(
            (count, 3),
            |(n, k)| if k == 2 { 100.0 } else { (n * (k + 1)) as f32 * 40.0 },
        );
    parts.neurons = Neurons::new(
        (0..count as i64).collect(),
        vec!["V1".into(); count],
        vec!["L2/3".into(); count],
        Some(coordinates),
    )
    .unwrap();
    let model = fits_and_keeps("cortical", &Scan::new(parts).unwrap(), &config);
    let positions = model.positions(0).unwrap();
    assert!(
        positions.iter().flatten().all(|p| p.abs() < 1.0) && positions[0] != positions[5],
        "{positions:?}"
    );
}

#[test]
fn one_neuron_and_one_oracle_image_and_thousands_of_neurons_fit() {
    let (scan, mut config) = fixture::tiny();
    config.optimization.max_epochs = 1;
    let with_neurons = |count: usize| {
        let mut parts = fixture::parts(&scan);
        let (trials, own) = parts.responses.dim();
        parts.responses =
            Array2::from_shape_fn((trials, count), |(t, n)| scan.responses()[(t, n % own)]);
        parts.neurons = Neurons::unnamed(count);
        Scan::new(parts).unwrap()
    };
    for count in [1, 20_000] {
        let scan = with_neurons(count);
        let model =
            fit(&[&scan], &config, FitOptions { seed: 1, ..FitOptions::default() }).unwrap();
        assert_eq!(model.predict(0, scan.stimuli()).unwrap().values().ncols(), count);
    }
    // Without repeats there are no metrics, and the error says so.
    let mut parts = fixture::parts(&scan);
    let mut seen = std::collections::HashSet::new();
    let kept: Vec<usize> = (0..parts.tiers.len())
        .filter(|&t| parts.tiers[t] != Tier::Test || seen.insert(parts.trial_image[t]))
        .collect();
    let rows = ndarray::Axis(0);
    parts.responses = parts.responses.select(rows, &kept);
    parts.behavior = parts.behavior.map(|of| of.select(rows, &kept));
    parts.pupil_center = parts.pupil_center.map(|of| of.select(rows, &kept));
    parts.trial_image = kept.iter().map(|&t| parts.trial_image[t]).collect();
    parts.tiers = kept.iter().map(|&t| parts.tiers[t]).collect();
    let once = Scan::new(parts).unwrap();
    let model = fit(&[&once], &config, FitOptions { seed: 1, ..FitOptions::default() }).unwrap();
    let error = model.metrics(0, &once, 1).unwrap_err();
    assert!(matches!(error, Error::Recording(_)), "{error}");
}
