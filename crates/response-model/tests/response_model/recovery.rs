//! A fit recovers what generated a simulated scan.

use brainprior_images::StimulusSet;
use brainprior_recording::simulation::{SimulationConfig, Subunit, truth_for};
use brainprior_response_model::{
    Config, CoreConfig, FitOptions, OptimizationConfig, ReadoutConfig, ResponseModel, fit,
};

fn pearson(pairs: &[(f64, f64)]) -> f64 {
    let n = pairs.len() as f64;
    let (mx, my) =
        (pairs.iter().map(|p| p.0).sum::<f64>() / n, pairs.iter().map(|p| p.1).sum::<f64>() / n);
    let sum =
        |f: &dyn Fn(f64, f64) -> f64| pairs.iter().map(|(x, y)| f(x - mx, y - my)).sum::<f64>();
    sum(&|x, y| x * y) / (sum(&|x, _| x * x) * sum(&|_, y| y * y)).sqrt()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[test]
fn predicts_unseen_images_and_finds_fields_gaze_and_gains() {
    let simulation = SimulationConfig {
        neurons: 40,
        repeats: 6,
        fraction_unresponsive: 0.0,
        max_gaze_shift: 2.0,
        ..Default::default()
    };
    let simulated = crate::fixture::simulated(1000, 40, &simulation);
    let (scan, truth) = (&simulated.scan, &simulated.truth);
    let config = Config {
        core: CoreConfig {
            channels: Some(vec![8, 8]),
            kernels: vec![9, 3],
            ..CoreConfig::default()
        },
        readout: ReadoutConfig { l1: Some(0.001), ..ReadoutConfig::default() },
        optimization: OptimizationConfig {
            batch_images: 32,
            max_epochs: 15,
            ..OptimizationConfig::default()
        },
        ..Config::default()
    };
    let model = fit(&[scan], &config, FitOptions { seed: 1, ..FitOptions::default() }).unwrap();

    let metrics = model.metrics(0, scan, 1).unwrap();
    let to_average = metrics.median_to_average.unwrap();
    assert!(to_average.value > 0.45 && to_average.low < to_average.value, "{to_average:?}");
    assert!(metrics.fraction_oracle.unwrap().value > 0.8, "{:?}", metrics.fraction_oracle);

    // At the mean behavior and zero shift, against the noise-free responses to images of the test
    // tier.
    let oracle: Vec<usize> = scan.repeats().into_keys().collect();
    let images = scan.stimuli().subset(&oracle);
    let predicted = model.predict(0, &images).unwrap();
    let expected = truth_for(scan, truth).unwrap().select(images.ids()).unwrap();
    let neuron = |n: usize| {
        let columns = (predicted.values().column(n), expected.values().column(n));
        columns
            .0
            .iter()
            .zip(columns.1)
            .map(|(&p, &e)| (f64::from(p), f64::from(e)))
            .collect::<Vec<_>>()
    };
    let against_truth = median((0..40).map(|n| pearson(&neuron(n))).collect());
    assert!(against_truth > 0.6, "predicted against true responses: {against_truth}");
    // In the scan's units, the predicted mean is the true mean.
    let ratios = (0..40).map(|n| {
        neuron(n).iter().map(|p| p.0).sum::<f64>() / neuron(n).iter().map(|p| p.1).sum::<f64>()
    });
    let ratio = median(ratios.collect());
    assert!((0.85..1.15).contains(&ratio), "{ratio}");

    let positions = model.positions(0).unwrap().into_iter().zip(truth.neurons());
    let distance = median(
        positions
            .map(|([x, y], cell)| {
                let (x, y) = ((x + 1.0) / 2.0 * 32.0 - 0.5, (y + 1.0) / 2.0 * 20.0 - 0.5);
                // The center of a neuron's excitatory and inhibitory subunits.
                let weight: f32 = cell.subunits.iter().map(|unit| unit.weight.abs()).sum();
                let center = |of: fn(&Subunit) -> f32| {
                    cell.subunits.iter().map(|unit| unit.weight.abs() * of(unit)).sum::<f32>()
                        / weight
                };
                f64::from((x - center(|unit| unit.x)).hypot(y - center(|unit| unit.y)))
            })
            .collect(),
    );
    assert!(distance < 3.5, "median distance of fields {distance} pixels");

    // The gaze shift is linear in the pupil center.
    let pupil = scan.pupil_center().unwrap();
    let gaze = truth.constants();
    let shifts = model.shifts(0, pupil).unwrap().unwrap();
    let recovery = model.recovery(0, scan, truth).unwrap();
    for k in 0..2 {
        let pair = |(shift, row): (&[f32; 2], ndarray::ArrayView1<f32>)| {
            let from_mean = |j: usize| f64::from(row[j]) - gaze.pupil_center_mean[j];
            let true_shift =
                gaze.gaze_matrix[k][0] * from_mean(0) + gaze.gaze_matrix[k][1] * from_mean(1);
            (f64::from(shift[k]), true_shift)
        };
        let r = pearson(&shifts.iter().zip(pupil.rows()).map(pair).collect::<Vec<_>>());
        assert!(r > 0.9, "axis {k}: fitted against true shift {r}");
        assert!((recovery.shift_correlations().unwrap()[k] - r).abs() < 1e-6);
    }

    // Gains over trials of neurons that behavior modulates.
    let behavior = scan.behavior().unwrap();
    let gains = model.gains(0, behavior).unwrap().unwrap();
    let of_neuron = |n: usize| {
        let pair = |(t, row): (usize, ndarray::ArrayView1<f32>)| {
            let scaled =
                |k: usize| (f64::from(row[k]) - gaze.behavior_mean[k]) / gaze.behavior_std[k];
            let log_gain: f64 =
                (0..3).map(|k| f64::from(truth.neurons()[n].behavior_gain[k]) * scaled(k)).sum();
            (f64::from(gains[(t, n)].ln()), log_gain)
        };
        pearson(&behavior.rows().into_iter().enumerate().map(pair).collect::<Vec<_>>())
    };
    let r = median((0..40).map(of_neuron).collect());
    assert!(r > 0.8, "fitted against true log gain {r}");
    assert!((recovery.median_gain_correlation().unwrap() - r).abs() < 0.01, "{recovery:?}");

    saved_model_predicts_the_same(&model, &images);
}

fn saved_model_predicts_the_same(model: &ResponseModel, images: &StimulusSet) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    model.save(&path).unwrap();
    let loaded = ResponseModel::load(&path).unwrap();
    assert_eq!(loaded.predict(0, images).unwrap(), model.predict(0, images).unwrap());
    assert_eq!(loaded.v_a(0).unwrap(), model.v_a(0).unwrap());
    assert_eq!(loaded.config(), model.config());
    let again = folder.path().join("again.safetensors");
    loaded.save(&again).unwrap();
    assert!(std::fs::read(&path).unwrap() == std::fs::read(&again).unwrap());
    let mut bytes = std::fs::read(&again).unwrap();
    let start = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: serde_json::Value = serde_json::from_slice(&bytes[8..start]).unwrap();
    let (name, tensor) = header
        .as_object()
        .unwrap()
        .iter()
        .find(|(name, _)| name.ends_with("running_variance"))
        .unwrap();
    let second = start + tensor["data_offsets"][0].as_u64().unwrap() as usize + 4;
    bytes[second..second + 4].copy_from_slice(&(-0.25f32).to_le_bytes());
    std::fs::write(&path, &bytes).unwrap();
    let message = ResponseModel::load(&path).unwrap_err().to_string();
    for part in ["model.safetensors", name, "variances of at least 0", "element 1, -0.25"] {
        assert!(message.contains(part), "{part:?} is not in {message:?}");
    }
    std::fs::write(&path, &std::fs::read(&again).unwrap()[..2000]).unwrap();
    let message = ResponseModel::load(&path).unwrap_err().to_string();
    assert!(message.contains("model.safetensors"), "{message}");
}
