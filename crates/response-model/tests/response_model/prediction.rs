//! Predictions of single models, ensembles and cross-fitted models.

use crate::fixture;
use brainprior_recording::{Fitting, ResponseKind, Responses, Scan, Tier};
use brainprior_response_model::{
    BehavioralState, Config, CrossFitted, Ensemble, Error, FitOptions, ResponseModel, fit,
};
use ndarray::{Array1, Array2, ArrayView1, Axis};

fn fitted(scan: &Scan, config: &Config, seed: u64) -> ResponseModel {
    fit(&[scan], config, FitOptions { seed, ..FitOptions::default() }).unwrap()
}

fn close(a: &Array2<f32>, b: &Array2<f32>) -> bool {
    a.dim() == b.dim() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-5 * a.abs().max(1e-3))
}

#[test]
fn a_state_is_that_of_a_trial_with_its_behavior_and_shift() {
    let (scan, config) = fixture::tiny();
    let model = fitted(&scan, &config, 1);
    let trials = scan.trials_in(Tier::Validation);
    let predicted = model.predict_trials(0, &scan, &trials).unwrap();
    let shifts = model.shifts(0, scan.pupil_center().unwrap()).unwrap().unwrap();
    for (row, &t) in trials.iter().enumerate() {
        let behavior = Some(scan.behavior().unwrap().row(t).to_vec());
        let image = scan.stimuli().subset(&[scan.trial_image()[t]]);
        let alike =
            model.predict_at(0, &image, &BehavioralState { behavior, shift: shifts[t] }).unwrap();
        let expected = predicted.row(row).insert_axis(ndarray::Axis(0)).to_owned();
        assert!(
            close(alike.values(), &expected),
            "trial {t}: {:?}, as a trial {expected:?}",
            alike.values()
        );
    }
    let wrong = BehavioralState { behavior: Some(vec![1.0]), ..Default::default() };
    let error = model.predict_at(0, scan.stimuli(), &wrong).unwrap_err();
    assert!(matches!(&error, Error::Behavior { columns: 3, .. }), "{error}");
}

#[test]
fn a_stream_of_images_is_predicted_as_a_set_and_says_when_one_is_of_another_size() {
    let (scan, config) = fixture::tiny();
    let model = fitted(&scan, &config, 1);
    let set = model.predict(0, scan.stimuli()).unwrap();
    let mut rows = Vec::new();
    // Each image three times, which a stimulus set does not allow.
    let images =
        (0..3 * scan.stimuli().len()).map(|i| scan.stimuli().image(i % scan.stimuli().len()));
    model
        .predict_stream(0, images, &BehavioralState::default(), &mut |row| rows.push(row.to_vec()))
        .unwrap();
    assert_eq!(rows.len(), 3 * scan.stimuli().len());
    for (i, row) in rows.iter().enumerate() {
        let expected = set.values().row(i % scan.stimuli().len());
        assert!(
            row.iter().zip(expected).all(|(a, b)| (a - b).abs() <= 1e-5 * a.abs()),
            "image {i}"
        );
    }
    let short = [0.5f32; 7];
    let error = model
        .predict_stream(0, [&short[..]], &BehavioralState::default(), &mut |_| {})
        .unwrap_err();
    assert!(matches!(error, Error::Pixels { height: 20, width: 32, found: 7 }), "{error}");
}

#[test]
fn an_ensemble_averages_its_models() {
    let (scan, config) = fixture::tiny();
    let models = || vec![fitted(&scan, &config, 1), fitted(&scan, &config, 2)];
    let [a, b] = &models()[..] else { unreachable!() };
    let mean = (a.predict(0, scan.stimuli()).unwrap().values()
        + b.predict(0, scan.stimuli()).unwrap().values())
        / 2.0;
    let ensemble = Ensemble::new(models(), &[&scan]).unwrap();
    assert!(close(ensemble.predict(0, scan.stimuli()).unwrap().values(), &mean));
    let trials = scan.trials_in(Tier::Test);
    let of_trials = (a.predict_trials(0, &scan, &trials).unwrap()
        + b.predict_trials(0, &scan, &trials).unwrap())
        / 2.0;
    assert!(close(&ensemble.predict_trials(0, &scan, &trials).unwrap(), &of_trials));
    assert_eq!(ensemble.v_a(0).unwrap().len(), 6);
    assert_eq!(ensemble.metrics(0, &scan, 1).unwrap().single_trial.len(), 6);
    let one = Ensemble::new(vec![fitted(&scan, &config, 1)], &[&scan]).unwrap();
    assert_eq!(one.v_a(0).unwrap(), a.v_a(0).unwrap());
    assert_eq!(one.metrics(0, &scan, 1).unwrap(), a.metrics(0, &scan, 1).unwrap());
    assert!(matches!(Ensemble::new(Vec::new(), &[&scan]), Err(Error::NoModels)));
}

#[test]
fn cross_fitted_predictions_do_not_move_with_the_image_s_own_trials() {
    let (scan, mut config) = fixture::tiny();
    config.optimization.max_epochs = 2;
    let cross = |scan: &Scan| {
        CrossFitted::fit(&[scan], &config, 3, FitOptions { seed: 5, ..FitOptions::default() })
            .unwrap()
    };
    let predict = |of: &CrossFitted| -> Responses { of.predict(0, scan.stimuli()).unwrap() };
    let before = cross(&scan);
    assert_eq!(predict(&before).kind(), ResponseKind::Predicted(Fitting::CrossFitted));
    assert_eq!(before.v_a(0).unwrap().len(), 6);
    // Changed responses to one training image affect all models but the one that predicts the
    // image.
    let trial = scan.trials_in(Tier::Train)[4];
    let mut parts = fixture::parts(&scan);
    parts.responses.row_mut(trial).fill(9.0);
    let after = cross(&Scan::new(parts).unwrap());
    let (before, after) = (predict(&before), predict(&after));
    // The mean that all folds share may change, which shifts every image equally.
    let change = after.values() - before.values();
    let level = change.row(scan.trial_image()[trial]);
    let with_it: Vec<usize> = (0..scan.stimuli().len())
        .filter(|&i| {
            change.row(i).iter().zip(level).all(|(change, level)| (change - level).abs() < 1e-5)
        })
        .collect();
    let single = scan.trials_in(Tier::Train).len() + scan.trials_in(Tier::Validation).len();
    assert_eq!(
        with_it.len(),
        single / 3,
        "the images of the trial's fold, whose model was not fitted on it"
    );
    let error =
        CrossFitted::fit(&[&scan], &config, 1, FitOptions { seed: 5, ..FitOptions::default() })
            .unwrap_err();
    assert!(matches!(error, Error::Configuration { key: "folds", .. }), "{error}");
}

#[test]
fn predictions_of_folds_are_shifted_to_the_mean_of_all_models_over_the_same_images() {
    let (scan, mut config) = fixture::tiny();
    config.optimization.max_epochs = 1;
    let cross_fitted =
        CrossFitted::fit(&[&scan], &config, 3, FitOptions { seed: 5, ..FitOptions::default() })
            .unwrap();
    let found = cross_fitted.predict(0, scan.stimuli()).unwrap();
    let of_models: Vec<Array2<f32>> = cross_fitted
        .models()
        .iter()
        .map(|model| model.predict(0, scan.stimuli()).unwrap().values().clone())
        .collect();
    let once: Vec<usize> = (0..scan.trial_image().len())
        .filter(|&t| scan.tiers()[t] != Tier::Test)
        .map(|t| scan.trial_image()[t])
        .collect();
    let levels: Vec<_> =
        of_models.iter().map(|of| of.select(Axis(0), &once).mean_axis(Axis(0)).unwrap()).collect();
    let common = (&levels[0] + &levels[1] + &levels[2]) / 3.0;
    assert!(
        levels.iter().all(|level| (level - &common).iter().any(|shift| shift.abs() > 1e-3)),
        "{levels:?}"
    );
    let alike =
        |a: &Array1<f32>, b: ArrayView1<f32>| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5);
    let mut predicted_by = [0; 3];
    for &image in &once {
        let by: Vec<usize> = (0..3)
            .filter(|&k| {
                alike(&(&of_models[k].row(image) - &levels[k] + &common), found.values().row(image))
            })
            .collect();
        assert_eq!(by.len(), 1, "image {image}");
        predicted_by[by[0]] += 1;
    }
    assert_eq!(predicted_by, [once.len() / 3; 3]);
    for image in (0..scan.stimuli().len()).filter(|image| !once.contains(image)) {
        let mean =
            (&of_models[0].row(image) + &of_models[1].row(image) + of_models[2].row(image)) / 3.0;
        assert!(alike(&mean, found.values().row(image)), "repeated image {image}");
    }
}
