//! Simulated scans against what is known about them: their ground truth, their statistics, and
//! those of mouse V1.
#![cfg(feature = "hdf5")]

use brainprior_images::StimulusSet;
use brainprior_images::procedural::natural_stimuli;
use brainprior_recording::simulation::{
    Simulated, SimulationConfig, Truth, read_truth, simulate, truth_for, write_truth,
};
use brainprior_recording::{Tier, read_scan, write_static_hdf5};
use ndarray::Axis;
use std::path::PathBuf;

/// A file of the shared data; if it is missing, prints a reason and returns `None`.
#[allow(clippy::print_stderr)]
fn shared(name: &str) -> Option<PathBuf> {
    let path =
        PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")).join(name);
    if !path.exists() {
        eprintln!("skipped: {} is not there", path.display());
        return None;
    }
    Some(path)
}

fn median(values: impl Iterator<Item = f32>) -> f32 {
    let mut values: Vec<f32> = values.collect();
    values.sort_by(f32::total_cmp);
    values[values.len() / 2]
}

/// Without behavioral gain and gaze shift, the mean over many repeats converges to the truth as
/// expected by chance.
#[test]
fn the_truth_is_the_mean_over_many_repeats() {
    let images = natural_stimuli(60, 36, 64, 3);
    let (single, oracle): (Vec<usize>, Vec<usize>) = (0..60).partition(|image| *image < 50);
    let config = SimulationConfig {
        neurons: 30,
        repeats: 600,
        behavior_gain: 0.0,
        max_gaze_shift: 0.0,
        ..Default::default()
    };
    let Simulated { scan, truth } =
        simulate("sim", &images.subset(&single), &images.subset(&oracle), &config).unwrap();
    let mut squares = vec![];
    for (image, trials) in scan.repeats() {
        assert_eq!(trials.len(), 600);
        let mean =
            scan.responses().select(Axis(0), &trials).mapv(f64::from).mean_axis(Axis(0)).unwrap();
        for (neuron, cell) in truth.neurons().iter().enumerate() {
            let rate = f64::from(truth.expected_responses()[[image, neuron]]);
            let per_event = (1.0 + 1.0 / f64::from(cell.event_gamma_shape))
                / f64::from(cell.events_per_unit_rate);
            let standard_error = (rate * per_event / 600.0).sqrt();
            let deviation = (mean[neuron] - rate) / standard_error;
            assert!(
                deviation.abs() < 6.0,
                "image {image}, neuron {neuron}: {} instead of {rate} +- {standard_error}",
                mean[neuron]
            );
            squares.push((deviation * deviation) as f32);
        }
    }
    let mean = squares.iter().sum::<f32>() / squares.len() as f32;
    assert!((0.7..1.4).contains(&mean), "mean squared deviation in standard errors {mean}");
}

/// The signal has its target fraction of the single-trial variance for each neuron, including
/// behavior.
#[test]
fn the_signal_has_its_share_of_the_variance() {
    let images = natural_stimuli(500, 36, 64, 4);
    let config = SimulationConfig { neurons: 60, max_gaze_shift: 0.0, ..Default::default() };
    let no_oracle = images.subset(&[]);
    let Simulated { scan, truth } = simulate("sim", &images, &no_oracle, &config).unwrap();
    let mut ratios = vec![];
    for (neuron, cell) in truth.neurons().iter().enumerate().filter(|(_, cell)| cell.responsive) {
        let variance = scan.responses().column(neuron).mapv(f64::from).var(0.0);
        ratios
            .push((f64::from(cell.signal_variance) / variance / f64::from(cell.target_snr)) as f32);
    }
    let middle = median(ratios.iter().copied());
    assert!((0.85..1.15).contains(&middle), "{middle}");
    assert_eq!(ratios.len(), 54);
}

#[test]
fn any_number_of_threads_simulates_the_same() {
    let images = natural_stimuli(150, 36, 64, 5);
    let (single, oracle): (Vec<usize>, Vec<usize>) = (0..150).partition(|image| *image < 140);
    let run = |threads, seed| {
        let config = SimulationConfig { neurons: 50, seed, repeats: 3, ..Default::default() };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            simulate("sim", &images.subset(&single), &images.subset(&oracle), &config).unwrap()
        })
    };
    let (one, three, other) = (run(1, 7), run(3, 7), run(3, 8));
    assert_eq!(one.scan.responses(), three.scan.responses());
    assert_eq!(one.scan.behavior(), three.scan.behavior());
    assert_eq!(one.scan.trial_image(), three.scan.trial_image());
    assert_eq!(one.truth, three.truth);
    assert_ne!(one.scan.responses(), other.scan.responses());
    assert_ne!(one.truth, other.truth);
}

#[test]
fn scans_have_the_trials_and_tiers_asked_for() {
    let images = natural_stimuli(110, 36, 64, 6);
    let (single, oracle): (Vec<usize>, Vec<usize>) = (0..110).partition(|image| *image < 100);
    let config = SimulationConfig { neurons: 20, ..Default::default() };
    let Simulated { scan, truth } =
        simulate("sim", &images.subset(&single), &images.subset(&oracle), &config).unwrap();
    let count = |tier| scan.trials_in(tier).len();
    assert_eq!((count(Tier::Train), count(Tier::Validation), count(Tier::Test)), (90, 10, 100));
    assert_eq!(scan.repeats().len(), 10);
    assert_eq!(scan.stimuli().ids(), images.ids());
    assert_eq!(truth.ids(), Some(images.ids()));
    assert!(scan.responses().iter().all(|response| *response >= 0.0));
    assert_eq!(scan.behavior().unwrap().dim(), (200, 3));

    let other = SimulationConfig { seed: config.seed + 1, ..config.clone() };
    let other =
        simulate("other", &images.subset(&single), &images.subset(&oracle), &other).unwrap();
    let error = truth_for(&scan, &other.truth).unwrap_err().to_string();
    assert!(error.contains("as those of scan sim follow its own"), "{error}");

    let overlapping =
        simulate("sim", &images, &images.subset(&oracle), &config).unwrap_err().to_string();
    assert!(overlapping.contains("10 of 10"), "{overlapping}");
    assert!(simulate("sim", &images.subset(&[]), &images, &config).is_err());
    let gray =
        StimulusSet::new(36, 64, [0.2, 0.4].iter().flat_map(|gray| vec![*gray; 36 * 64]).collect())
            .unwrap();
    assert!(simulate("sim", &gray, &images, &config).unwrap_err().to_string().contains("contrast"));
}

#[test]
fn truths_come_back_from_disk() {
    let images = natural_stimuli(60, 36, 64, 7);
    let (single, oracle): (Vec<usize>, Vec<usize>) = (0..60).partition(|image| *image < 50);
    let config = SimulationConfig { neurons: 12, ..Default::default() };
    let Simulated { scan, truth } =
        simulate("sim", &images.subset(&single), &images.subset(&oracle), &config).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sim.truth.h5");
    write_truth(&path, &truth).unwrap();
    assert_eq!(read_truth(&path).unwrap(), truth);
    let spec = include_str!("../../../data-specs/truth.toml");
    let file = hdf5::File::open(&path).unwrap();
    for group in file.groups().unwrap() {
        for name in group.member_names().unwrap() {
            let entry = format!("path = \"{}/{name}\"", group.name().trim_start_matches('/'));
            assert!(spec.contains(&entry), "no {entry} in the spec");
        }
    }
    // The parameters of a neuron with one subunit are stored with those of the subunits.
    let described =
        spec.matches("[[dataset]]").count() - spec.matches("of a neuron of one subunit: ").count();
    assert_eq!(
        file.groups().unwrap().iter().map(|group| group.len() as usize).sum::<usize>(),
        described
    );
    file.close().unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    write_truth(&path, &truth).unwrap();
    assert!(write_truth(&folder.path().join("nowhere/sim.truth.h5"), &truth).is_err());

    let aligned = truth_for(&scan, &truth).unwrap();
    assert_eq!(aligned.values(), truth.expected_responses());
    assert_eq!(aligned.ids(), scan.stimuli().ids());

    // A file stores rows in order of presentation, so its images are in another order; they are
    // matched by content.
    let file = folder.path().join("sim.h5");
    write_static_hdf5(&file, &scan).unwrap();
    let read = read_scan(&file).unwrap();
    assert_ne!(read.stimuli().ids(), scan.stimuli().ids());
    let reordered = truth_for(&read, &truth).unwrap();
    assert_eq!(reordered, aligned.select(read.stimuli().ids()).unwrap());

    let unnamed = Truth::new(
        truth.expected_responses().clone(),
        None,
        truth.neurons().to_vec(),
        truth.constants().clone(),
    );
    let unnamed = unnamed.unwrap();
    assert_eq!(truth_for(&scan, &unnamed).unwrap(), aligned);
    assert_eq!(truth_for(&read, &unnamed).unwrap(), reordered);
    let half = Truth::new(
        truth.expected_responses().select(Axis(0), &[3, 2, 1]),
        Some([3, 2, 1].map(|row| images.ids()[row]).to_vec()),
        truth.neurons().to_vec(),
        truth.constants().clone(),
    );
    let error = truth_for(&scan, &half.unwrap()).unwrap_err().to_string();
    assert!(error.contains(&images.ids()[0].to_string()), "{error}");
}

#[test]
fn damaged_truths_say_where() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sim.truth.h5");
    let images = natural_stimuli(30, 36, 64, 8);
    let config = SimulationConfig { neurons: 4, ..Default::default() };
    let truth = simulate("sim", &images, &images.subset(&[]), &config).unwrap().truth;
    let broken = |breaking: &dyn Fn(&hdf5::File)| {
        write_truth(&path, &truth).unwrap();
        let file = hdf5::File::open_rw(&path).unwrap();
        breaking(&file);
        file.close().unwrap();
        let error = read_truth(&path).unwrap_err().to_string();
        assert!(error.contains("sim.truth.h5"), "{error}");
        error
    };
    let missing = broken(&|file| file.unlink("subunits/sigma").unwrap());
    assert!(missing.contains("subunits/sigma"), "{missing}");
    let short = broken(&|file| {
        file.unlink("parameters/x").unwrap();
        file.new_dataset_builder().with_data(&[1.0_f32, 2.0]).create("parameters/x").unwrap();
    });
    assert!(
        short.contains("parameters/x")
            && short.contains("shape (4)")
            && short.contains("shape (2)"),
        "{short}"
    );
    let infinite = broken(&|file| {
        file.dataset("parameters/y")
            .unwrap()
            .write_raw(&[1.0_f32, f32::INFINITY, 2.0, 3.0])
            .unwrap();
    });
    assert!(
        infinite.contains("parameters/y") && infinite.contains("inf at position 1"),
        "{infinite}"
    );
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    assert!(read_truth(&path).unwrap_err().to_string().contains("sim.truth.h5"));
    assert!(read_truth(&folder.path().join("none.h5")).is_err());
}

/// Ground truths of scans simulated by other code, without image identities and, for the first,
/// without a luminance part.
#[test]
fn truths_of_other_simulators_are_read() {
    for (name, neurons, unresponsive, luminance) in
        [("sim-scan-a", 400, 39, false), ("sim-scan-c", 2000, 202, true)]
    {
        let Some(path) = shared(&format!("{name}.truth.h5")) else { return };
        let truth = read_truth(&path).unwrap();
        assert_eq!(truth.expected_responses().dim(), (5100, neurons));
        assert_eq!(truth.neurons().iter().filter(|cell| !cell.responsive).count(), unresponsive);
        assert!(truth.neurons().iter().all(|cell| cell.subunits.len() == 1
            && cell.subunits[0].weight == 1.0
            && cell.suppression == 0.0));
        assert_eq!(truth.neurons().iter().any(|cell| cell.subunits[0].luminance != 0.0), luminance);
        assert_eq!(truth.ids(), None);
        assert!(truth.constants().gaze_matrix[0][0] > 0.3 && truth.constants().drive_knee == 8.0);
    }
}

/// The rows of such a truth correspond to the images with these labels in the scan file: the mean
/// over ten repeats correlates with its own row and no other.
#[test]
fn truths_of_other_simulators_are_matched_by_label() {
    let (Some(file), Some(truth)) = (shared("sim-scan-a.h5"), shared("sim-scan-a.truth.h5")) else {
        return;
    };
    let (scan, truth) = (read_scan(&file).unwrap(), read_truth(&truth).unwrap());
    let measured = scan.repeat_means();
    let expected = truth_for(&scan, &truth).unwrap().select(measured.ids()).unwrap();
    let correlation = |neuron: usize, offset: usize| {
        let (a, b) = (measured.values().column(neuron), expected.values().column(neuron));
        let (a, b) = (
            a.mapv(f64::from) - f64::from(a.mean().unwrap()),
            b.mapv(f64::from) - f64::from(b.mean().unwrap()),
        );
        let count = a.len();
        let dot: f64 = (0..count).map(|image| a[image] * b[(image + offset) % count]).sum();
        (dot / (a.dot(&a) * b.dot(&b)).sqrt()) as f32
    };
    let responsive: Vec<usize> =
        (0..400).filter(|neuron| truth.neurons()[*neuron].responsive).collect();
    let (own, other) = (
        median(responsive.iter().map(|n| correlation(*n, 0))),
        median(responsive.iter().map(|n| correlation(*n, 1))),
    );
    assert!(own > 0.6 && other.abs() < 0.1, "{own} with its own row, {other} with the next");
}
