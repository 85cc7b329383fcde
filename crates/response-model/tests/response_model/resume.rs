//! The same bytes result after an interruption and with any number of threads.

use std::path::Path;

use crate::fixture;
use brainprior_recording::Scan;
use brainprior_response_model::{Config, Error, FitEvent, FitOptions, fit};

fn fitted(
    scan: &Scan,
    config: &Config,
    checkpoint: Option<&Path>,
    observe: &mut dyn FnMut(FitEvent),
) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    fit(
        &[scan],
        config,
        FitOptions { seed: 7, checkpoint, observer: Some(observe), ..FitOptions::default() },
    )
    .unwrap()
    .save(&path)
    .unwrap();
    std::fs::read(path).unwrap()
}

#[test]
fn a_resumed_fit_gives_the_bytes_of_an_uninterrupted_one() {
    let (scan, mut config) = fixture::tiny();
    config.optimization.patience = Some(1);
    let folder = tempfile::tempdir().unwrap();
    let (whole, interrupted) = (folder.path().join("whole"), folder.path().join("interrupted"));
    let first = fitted(&scan, &config, Some(&whole), &mut |event| {
        // At the end of epoch 2 the file still holds epochs 0 and 1, as after a kill in epoch 2.
        if matches!(event, FitEvent::Epoch { epoch: 2, .. }) {
            std::fs::copy(&whole, &interrupted).unwrap();
        }
    });
    let mut resumed = None;
    let second = fitted(&scan, &config, Some(&interrupted), &mut |event| {
        if let FitEvent::Resumed { epochs } = event {
            resumed = Some(epochs);
        }
    });
    assert_eq!(resumed, Some(2));
    assert!(first == second, "models differ");
    assert!(
        std::fs::read(&whole).unwrap() == std::fs::read(&interrupted).unwrap(),
        "checkpoints differ"
    );

    let mut epochs = 0;
    let third = fitted(&scan, &config, Some(&whole), &mut |event| {
        epochs += usize::from(matches!(event, FitEvent::Epoch { .. }))
    });
    assert!(first == third && epochs == 0, "a finished fit is not run again");
    assert!(
        first == fitted(&scan, &config, None, &mut |_| {}),
        "the checkpoint does not change the fit"
    );
}

#[test]
fn threads_do_not_change_the_bytes() {
    let (scan, config) = fixture::tiny();
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| fitted(&scan, &config, None, &mut |_| {}))
    };
    assert!(with(1) == with(3));
}

#[test]
fn a_checkpoint_of_another_fit_is_refused() {
    let (scan, config) = fixture::tiny();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint");
    fit(
        &[&scan],
        &config,
        FitOptions { seed: 7, checkpoint: Some(&path), ..FitOptions::default() },
    )
    .unwrap();
    let other_seed = fit(
        &[&scan],
        &config,
        FitOptions { seed: 8, checkpoint: Some(&path), ..FitOptions::default() },
    )
    .unwrap_err();
    assert!(
        matches!(&other_seed, Error::ForeignCheckpoint { difference, .. } if difference.what == "seed"),
        "{other_seed}"
    );
    let mut other = config.clone();
    other.core.kernels[1] = 5;
    let other_config = fit(
        &[&scan],
        &other,
        FitOptions { seed: 7, checkpoint: Some(&path), ..FitOptions::default() },
    )
    .unwrap_err()
    .to_string();
    assert!(
        other_config.contains("setting config.core.kernels.1: expected 5, found 3"),
        "{other_config}"
    );
    let mut changed = fixture::parts(&scan);
    changed.responses[(3, 1)] += 1.0;
    let changed = Scan::new(changed).unwrap();
    let other_scan = fit(
        &[&changed],
        &config,
        FitOptions { seed: 7, checkpoint: Some(&path), ..FitOptions::default() },
    )
    .unwrap_err();
    assert!(
        matches!(&other_scan, Error::ForeignCheckpoint { difference, .. } if difference.what == "input scan 0"),
        "{other_scan}"
    );

    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let truncated = fit(
        &[&scan],
        &config,
        FitOptions { seed: 7, checkpoint: Some(&path), ..FitOptions::default() },
    )
    .unwrap_err();
    assert!(
        matches!(truncated, Error::File(_)) && truncated.to_string().contains("checkpoint"),
        "{truncated}"
    );
}
