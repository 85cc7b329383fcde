//! An image in the validation tier of any scan is used for training in none.
#![allow(clippy::print_stderr, reason = "a skipped test says why")]

use std::path::Path;

use crate::fixture;
use brainprior_recording::{Scan, Tier, read_scan};
use brainprior_response_model::{Error, FitEvent, FitOptions, ResponseModel, TrainingTrials, fit};

/// The scan of [`fixture::tiny`], unchanged and as another scan with the same images, whose
/// validation tier has the images of the first `validating` training trials instead of its own.
fn overlapping(validating: usize) -> (Scan, Scan) {
    let (first, _) = fixture::tiny();
    let mut parts = fixture::parts(&first);
    parts.name = "other".into();
    let validation = first.trials_in(Tier::Validation);
    validation.iter().for_each(|&trial| parts.tiers[trial] = Tier::Train);
    first.trials_in(Tier::Train)[..validating]
        .iter()
        .for_each(|&trial| parts.tiers[trial] = Tier::Validation);
    (first, Scan::new(parts).unwrap())
}

#[test]
fn trials_of_an_image_that_validates_elsewhere_are_left_out_and_counted() {
    let (first, other) = overlapping(10);
    let training = TrainingTrials::of(&[&first, &other]);
    let (train, validation) = (first.trials_in(Tier::Train), first.trials_in(Tier::Validation));
    assert_eq!(training.left_out(), [10, validation.len()]);
    assert_eq!(training.trials(), [&train[10..], &train[10..]]);
    let alone = TrainingTrials::of(&[&first]);
    assert_eq!((alone.trials(), alone.left_out()), (&[train][..], &[0][..]));
}

#[test]
fn a_fit_does_not_see_the_trials_of_images_that_validate_in_another_scan() {
    let (first, other) = overlapping(10);
    let (_, mut config) = fixture::tiny();
    config.optimization.max_epochs = 2;
    let fitted = |first: &Scan| -> (ResponseModel, Vec<FitEvent>) {
        let mut events = Vec::new();
        let model = fit(
            &[first, &other],
            &config,
            FitOptions {
                seed: 1,
                observer: Some(&mut |event| events.push(event)),
                ..FitOptions::default()
            },
        )
        .unwrap();
        (model, events)
    };
    let predict =
        |model: &ResponseModel| [0, 1].map(|scan| model.predict(scan, first.stimuli()).unwrap());
    let (model, events) = fitted(&first);
    let left_out = |scan: &str, trials| FitEvent::LeftOut { scan: scan.into(), trials };
    assert!(events.contains(&left_out("sim", 10)), "{events:?}");
    assert!(
        events.contains(&left_out("other", first.trials_in(Tier::Validation).len())),
        "{events:?}"
    );
    // Everything recorded in a trial is changed.
    let with_another = |trial: usize| {
        let mut parts = fixture::parts(&first);
        parts.responses.row_mut(trial).fill(50.0);
        parts.behavior.as_mut().unwrap().row_mut(trial).fill(7.0);
        parts.pupil_center.as_mut().unwrap().row_mut(trial).fill(7.0);
        predict(&fitted(&Scan::new(parts).unwrap()).0)
    };
    let train = first.trials_in(Tier::Train);
    assert!(
        with_another(train[3]) == predict(&model),
        "a trial whose image is in the other scan's validation tier affected the fit"
    );
    assert!(with_another(train[10]) != predict(&model), "a training trial did not affect the fit");
}

#[test]
fn scans_whose_tiers_leave_nothing_to_train_are_refused() {
    let (first, config) = fixture::tiny();
    let marked = first.trials_in(Tier::Train).len();
    let (first, other) = overlapping(marked - 1);
    let error = fit(&[&first, &other], &config, FitOptions { seed: 1, ..FitOptions::default() })
        .unwrap_err();
    assert!(
        matches!(&error, Error::ValidateElsewhere { scan, trials, left_out } if scan == "sim" && (*trials, *left_out) == (marked, marked - 1)),
        "{error}"
    );
}

/// Each of the three scans divides the same 5,000 images differently, with 500 for validation: 451
/// and 452 of those of scan a would be used for training in another scan.
#[test]
fn shared_scans_validate_on_images_that_others_would_train() {
    let mut scans = Vec::new();
    for name in ["sim-scan-a.h5", "sim-scan-b.h5", "sim-scan-c.h5"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(name);
        if !path.exists() {
            eprintln!("skipped: there is no {}", path.display());
            return;
        }
        scans.push(read_scan(&path).unwrap());
    }
    let [a, b, c] = &scans[..] else { unreachable!("three scans were read") };
    assert_eq!(TrainingTrials::of(&[a, b]).left_out()[1], 452);
    assert_eq!(TrainingTrials::of(&[a, c]).left_out()[1], 451);
    let all = TrainingTrials::of(&[a, b, c]);
    assert_eq!(all.left_out(), [866; 3]);
    for (scan, (trials, left_out)) in
        [a, b, c].into_iter().zip(all.trials().iter().zip(all.left_out()))
    {
        assert_eq!(trials.len() + left_out, scan.trials_in(Tier::Train).len());
        let validates = |trial: &usize| {
            let id = scan.stimuli().ids()[scan.trial_image()[*trial]];
            [a, b, c].iter().any(|other| {
                let shows = |t: &usize| other.stimuli().ids()[other.trial_image()[*t]] == id;
                other.stimuli().position(id).is_some()
                    && other.trials_in(Tier::Validation).iter().any(shows)
            })
        };
        assert!(!trials.iter().step_by(20).any(validates), "{}", scan.name());
    }
}
