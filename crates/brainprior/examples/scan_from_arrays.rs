//! Makes a scan from arrays: images, responses, and the tier of each trial.
#![allow(clippy::print_stdout)]

use brainprior::images::procedural::natural_stimuli;
use brainprior::ndarray::Array2;
use brainprior::recording::{
    Neurons, Origin, Scan, ScanParts, Tier, read_scan, reliability, write_sensorium,
};

fn main() -> anyhow::Result<()> {
    // 30 images of 18 x 32 pixels; `StimulusSet::new(height, width, pixels)` takes your own.
    let stimuli = natural_stimuli(30, 18, 32, 1);
    // Twenty are shown once, to train on and to validate. Ten more, the oracle images, are shown
    // eight times each.
    let trial_image: Vec<usize> = (0..20).chain((0..80).map(|trial| 20 + trial % 10)).collect();
    let tiers = [vec![Tier::Train; 16], vec![Tier::Validation; 4], vec![Tier::Test; 80]].concat();
    // Responses [trials, neurons]: each neuron sees the brightness of one pixel, and some noise.
    let respond = |(trial, neuron): (usize, usize)| {
        stimuli.image(trial_image[trial])[100 * neuron + 50]
            + 0.02 * ((trial * 37 + neuron * 11) % 23) as f32
    };
    let scan = Scan::new(ScanParts {
        name: "arrays".into(),
        responses: Array2::from_shape_fn((100, 5), respond),
        stimuli,
        image_labels: None,
        trial_image,
        tiers,
        behavior: None,
        pupil_center: None,
        neurons: Neurons::unnamed(5),
        trial_idx: None,
        origin: Origin::default(),
    })?;
    println!("signal-to-noise ratio of each neuron: {:?}", reliability(&scan)?.w);

    // A Sensorium folder. With the feature `scans`, `write_static_hdf5` writes one file instead.
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("arrays");
    write_sensorium(&path, &scan)?;
    println!("read again: {:?} responses", read_scan(&path)?.responses().dim());
    Ok(())
}
