//! Validation trials train nothing, but their images may train in another scan.

use crate::fixture;
use brainprior_recording::{Scan, Tier};
use brainprior_response_model::{FitOptions, fit};

/// The scan of [`fixture::tiny`], unchanged and as another scan with the same images, in which its
/// validation trials belong to the training tier and some of its training trials validate.
fn overlapping() -> (Scan, Scan) {
    let (first, _) = fixture::tiny();
    let mut parts = fixture::parts(&first);
    parts.name = "other".into();
    let validation = first.trials_in(Tier::Validation);
    validation.iter().for_each(|&trial| parts.tiers[trial] = Tier::Train);
    first.trials_in(Tier::Train)[..10]
        .iter()
        .for_each(|&trial| parts.tiers[trial] = Tier::Validation);
    (first, Scan::new(parts).unwrap())
}

/// The scan with everything that was recorded in one trial changed.
fn with_another(scan: &Scan, trial: usize) -> Scan {
    let mut parts = fixture::parts(scan);
    parts.responses.row_mut(trial).fill(50.0);
    parts.behavior.as_mut().unwrap().row_mut(trial).fill(7.0);
    parts.pupil_center.as_mut().unwrap().row_mut(trial).fill(7.0);
    Scan::new(parts).unwrap()
}

#[test]
fn a_validation_trial_trains_nothing_but_its_image_may_train_in_another_scan() {
    let (first, other) = overlapping();
    let (_, mut config) = fixture::tiny();
    // With a single epoch, validation has nothing to choose.
    config.optimization.max_epochs = 1;
    let predicted = |first: &Scan, other: &Scan| {
        let options = FitOptions { seed: 1, ..FitOptions::default() };
        let model = fit(&[first, other], &config, options).unwrap();
        [0, 1].map(|scan| model.predict(scan, first.stimuli()).unwrap())
    };
    let undisturbed = predicted(&first, &other);
    let validates = first.trials_in(Tier::Validation)[0];
    assert!(
        predicted(&with_another(&first, validates), &other) == undisturbed,
        "a validation trial affected the fit"
    );
    assert!(
        predicted(&first, &with_another(&other, validates)) != undisturbed,
        "the other scan's training trial of the same image did not affect the fit"
    );
    let trains = other.trials_in(Tier::Validation)[3];
    assert!(
        predicted(&with_another(&first, trains), &other) != undisturbed,
        "a training trial of an image that validates in the other scan did not affect the fit"
    );
}
