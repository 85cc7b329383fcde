//! The files in `shared/data` next to the workspace, if they exist: their numbers must match those
//! computed elsewhere.
#![cfg(feature = "hdf5")]
#![allow(clippy::print_stderr, reason = "a skipped test says why")]

use brainprior_recording::{Scan, Tier, read_scan, reliability};
use std::path::{Path, PathBuf};

/// A file; if it is missing, prints a reason and returns `None`.
fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(name);
    if !path.exists() {
        eprintln!("skipped: there is no {}", path.display());
        return None;
    }
    Some(path)
}

fn median(values: impl Iterator<Item = f32>) -> f32 {
    let mut values: Vec<f32> = values.collect();
    values.sort_by(f32::total_cmp);
    (values[(values.len() - 1) / 2] + values[values.len() / 2]) / 2.0
}

/// `medians` over all neurons, computed with NumPy: w, jackknife and conservative oracle,
/// explainable variance, SNR. The oracle values are also in the table of the data's README (0.374,
/// 0.382, 0.437).
fn check_simulated(name: &str, neurons: usize, medians: [f32; 5]) {
    let Some(path) = shared(name) else { return };
    let scan = read_scan(&path).unwrap();
    assert_eq!(format!("{}.h5", scan.name()), name);
    assert_eq!(scan.responses().dim(), (6000, neurons));
    assert_eq!(
        (scan.stimuli().len(), scan.stimuli().height(), scan.stimuli().width()),
        (5100, 36, 64)
    );
    let trials = [Tier::Train, Tier::Validation, Tier::Test].map(|tier| scan.trials_in(tier).len());
    assert_eq!(trials, [4500, 500, 1000]);
    let repeats = scan.repeats();
    assert_eq!(repeats.len(), 100);
    assert!(repeats.values().all(|trials| trials.len() == 10));
    assert_eq!(scan.behavior().unwrap().dim(), (6000, 3));
    assert_eq!(scan.pupil_center().unwrap().dim(), (6000, 2));
    assert_eq!(
        (scan.neurons().area()[0].as_str(), scan.neurons().layer()[0].as_str()),
        ("V1", "L2/3")
    );
    assert_eq!(scan.neurons().coordinates().unwrap().dim(), (neurons, 3));

    let reliability = reliability(&scan).unwrap();
    assert_eq!((reliability.excluded, reliability.images, reliability.trials), (0, 100, 1000));
    let found = [
        &reliability.w,
        &reliability.oracle_jackknife,
        &reliability.oracle_conservative,
        &reliability.explainable_variance,
        &reliability.snr,
    ]
    .map(|values| median(values.iter().flatten().copied()));
    let differences = found.iter().zip(medians).map(|(found, expected)| (found - expected).abs());
    assert!(
        differences.fold(0.0, f32::max) < 2e-6,
        "{name}: expected {medians:?}, found {found:?}"
    );

    assert_eq!(scan.single_trials().ids().len(), 5000);
    assert_eq!(scan.repeat_means().ids(), scan.repeat(9).ids());
    assert_eq!(scan.repeat(10).ids().len(), 0);
}

#[test]
fn simulated_scan_a() {
    check_simulated("sim-scan-a.h5", 400, [0.596666, 0.374116, 0.530479, 0.202363, 0.391612]);
}

#[test]
fn simulated_scan_b() {
    check_simulated("sim-scan-b.h5", 400, [0.604620, 0.381742, 0.535532, 0.208342, 0.402121]);
}

#[test]
fn simulated_scan_c() {
    check_simulated("sim-scan-c.h5", 2000, [0.665865, 0.436629, 0.572562, 0.253889, 0.487714]);
}

#[test]
fn scans_share_their_images() {
    let (Some(a), Some(b)) = (shared("sim-scan-a.h5"), shared("sim-scan-b.h5")) else { return };
    let (a, b) = (read_scan(&a).unwrap(), read_scan(&b).unwrap());
    assert!(a.stimuli().ids().iter().all(|id| b.stimuli().position(*id).is_some()));
}

#[test]
fn allen() {
    let Some(path) = shared("allen-vc-511510667.h5") else { return };
    let scan: Scan = read_scan(&path).unwrap();
    assert_eq!(scan.responses().dim(), (118, 212));
    assert_eq!((scan.stimuli().height(), scan.stimuli().width()), (31, 31));
    assert!(
        scan.behavior().is_none()
            && scan.pupil_center().is_none()
            && scan.neurons().coordinates().is_none()
    );
    assert!(scan.responses().iter().any(|response| *response < 0.0));
    let error = reliability(&scan).unwrap_err().to_string();
    assert!(error.contains("repeats"), "{error}");
}
