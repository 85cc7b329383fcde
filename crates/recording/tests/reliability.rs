//! Reliability against a plain reference implementation, and where it is undefined.

mod fixture;

use brainprior_images::StimulusSet;
use brainprior_recording::{Error, Neurons, Origin, Scan, ScanParts, Tier, reliability};
use ndarray::Array2;
use proptest::prelude::*;

/// A scan of one neuron with `responses[image][repeat]`, all in the test tier.
fn scan_of(responses: &[Vec<f32>]) -> Scan {
    let trial_image: Vec<usize> = responses
        .iter()
        .enumerate()
        .flat_map(|(image, trials)| vec![image; trials.len()])
        .collect();
    let trials = trial_image.len();
    Scan::new(ScanParts {
        name: "one neuron".into(),
        stimuli: StimulusSet::new(
            1,
            1,
            (0..responses.len()).map(|image| image as f32 / 255.0).collect(),
        )
        .unwrap(),
        image_labels: None,
        trial_image,
        tiers: vec![Tier::Test; trials],
        responses: Array2::from_shape_vec((trials, 1), responses.concat()).unwrap(),
        behavior: None,
        pupil_center: None,
        neurons: Neurons::unnamed(1),
        trial_idx: None,
        origin: Origin::default(),
    })
    .unwrap()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn variance(values: &[f64], ddof: f64) -> f64 {
    values.iter().map(|value| (value - mean(values)).powi(2)).sum::<f64>()
        / (values.len() as f64 - ddof)
}

/// The definitions, written out literally.
fn naive(responses: &[Vec<f32>]) -> [f64; 5] {
    let repeated: Vec<Vec<f64>> = responses
        .iter()
        .filter(|trials| trials.len() > 1)
        .map(|trials| trials.iter().map(|value| f64::from(*value)).collect())
        .collect();
    let means: Vec<f64> = repeated.iter().map(|trials| mean(trials)).collect();
    let noise =
        |ddof| mean(&repeated.iter().map(|trials| variance(trials, ddof)).collect::<Vec<_>>());
    let all = repeated.concat();
    let mut others = vec![];
    for trials in &repeated {
        for left_out in 0..trials.len() {
            let rest: Vec<f64> = (0..trials.len())
                .filter(|trial| *trial != left_out)
                .map(|trial| trials[trial])
                .collect();
            others.push(mean(&rest));
        }
    }
    let covariance = mean(
        &all.iter()
            .zip(&others)
            .map(|(a, b)| (a - mean(&all)) * (b - mean(&others)))
            .collect::<Vec<_>>(),
    );
    [
        (variance(&means, 1.0) / noise(1.0)).sqrt(),
        covariance / (variance(&all, 0.0) * variance(&others, 0.0)).sqrt(),
        (variance(&means, 0.0) / (variance(&means, 0.0) + noise(0.0))).sqrt(),
        (variance(&all, 1.0) - noise(1.0)) / variance(&all, 1.0),
        variance(&means, 0.0) / noise(0.0),
    ]
}

proptest! {
    #[test]
    fn as_the_reference(responses in prop::collection::vec(prop::collection::vec(-5.0f32..20.0, 1..6), 2..9)) {
        let images = responses.iter().filter(|trials| trials.len() > 1).count();
        let found = reliability(&scan_of(&responses));
        if images < 2 {
            let typed = matches!(found, Err(Error::NoRepeats { .. }));
            prop_assert!(typed);
        } else {
            let found = found.unwrap();
            let all = [&found.w, &found.oracle_jackknife, &found.oracle_conservative, &found.explainable_variance, &found.snr];
            for (found, expected) in all.map(|values| f64::from(values[0].unwrap())).iter().zip(naive(&responses)) {
                prop_assert!((found - expected).abs() <= 1e-5 * (1.0 + expected.abs()), "{} {}", found, expected);
            }
            prop_assert_eq!((found.excluded, found.images), (0, images));
        }
    }
}

#[test]
fn neurons_that_never_vary_are_counted() {
    let mut parts = fixture::parts(true);
    parts.responses.column_mut(1).fill(0.1);
    // Equal in every repeat but different between images: eta is 0 and w would be infinite.
    let by_image: Vec<f32> = parts.trial_image.iter().map(|image| *image as f32 * 0.3).collect();
    parts.responses.column_mut(4).assign(&ndarray::Array1::from(by_image));
    let found = reliability(&Scan::new(parts).unwrap()).unwrap();
    assert_eq!((found.excluded, found.images, found.trials), (2, 2, 8));
    for values in [
        &found.w,
        &found.oracle_jackknife,
        &found.oracle_conservative,
        &found.explainable_variance,
        &found.snr,
    ] {
        let defined: Vec<bool> = values.iter().map(Option::is_some).collect();
        assert_eq!(defined, [true, false, true, true, false]);
        assert!(values.iter().flatten().all(|value| value.is_finite()));
    }
}

#[test]
fn no_repeats_is_an_error() {
    let mut parts = fixture::parts(true);
    parts
        .trial_image
        .iter_mut()
        .zip(&mut parts.tiers)
        .filter(|(image, _)| **image > 7)
        .for_each(|(_, tier)| *tier = Tier::Train);
    let scan = Scan::new(parts).unwrap();
    let error = reliability(&scan).unwrap_err().to_string();
    assert!(
        error.contains("scan small") && error.contains("found 0") && error.contains("tier test"),
        "{error}"
    );
    assert_eq!(scan.repeat_means().ids().len(), 0);
}

#[test]
fn more_noise_is_less_reliable() {
    let signal: Vec<f32> = (0..50).map(|image| (image * 7 % 50) as f32).collect();
    let with = |noise: f32| -> f32 {
        let repeats = |signal: &f32| {
            [-1.0, 1.0, -0.5, 0.5].map(|deviation| signal + noise * deviation).to_vec()
        };
        reliability(&scan_of(&signal.iter().map(repeats).collect::<Vec<_>>())).unwrap().w[0]
            .unwrap()
    };
    assert!((with(1.0) / with(2.0) - 2.0).abs() < 1e-4);
}
