//! Evaluates the similarities of predictions on held-out trials outside the test tier.

use crate::compare::where_defined;
use crate::oracle::means;
use crate::{Result, ScanWeights, TargetWeights, pearson, repeat_reliability, similarity};
use brainprior_recording::{Fitting, ResponseKind, Responses, Scan, Tier};
use std::collections::BTreeMap;

/// Largest number of images whose pairs are compared: two million pairs. More would cost memory
/// without adding information.
const MOST_IMAGES: usize = 2000;

/// Correlation over pairs of images between the similarities of `predicted` responses and those of
/// the mean over `trials` of each image, with the weights `of_predicted` and `of_measured`. `None`
/// if similarities do not vary, as with two images.
///
/// The best model of single neurons need not have the best similarities, which sum over the
/// predictions of all neurons. This value selects the best model without the test tier or any
/// ground truth.
///
/// # Errors
/// Returns an error if `predicted` lacks an image of `trials` or if [`similarity`] fails.
pub fn held_out_correlation(
    scan: &Scan,
    trials: &[usize],
    predicted: &Responses,
    of_predicted: &[f32],
    of_measured: &[f32],
) -> Result<Option<f64>> {
    let measured = means(scan, &by_image(scan, trials))?;
    if measured.ids().len() < 3 {
        return Ok(None);
    }
    let predicted = predicted.select(measured.ids())?;
    let says = |weights: &[f32]| weights.iter().any(|weight| *weight > 0.0);
    if !says(of_predicted)
        || !says(of_measured)
        || !varies(&predicted, of_predicted)
        || !varies(&measured, of_measured)
    {
        return Ok(None);
    }
    where_defined(pearson(
        &similarity(&predicted, of_predicted)?,
        &similarity(&measured, of_measured)?,
    ))
}

/// The chosen weights of targets, and the evidence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChosenWeights {
    /// The weights whose targets are closer to noise-free similarities.
    pub weights: TargetWeights,
    /// Correlation between the similarities of predictions and noise-free ones at equal weights,
    /// averaged over scans; `None` if no scan has an estimate.
    pub equal: Option<f64>,
    /// The same with predictions weighted by w v and noise-free responses by w.
    pub signal_to_noise: Option<f64>,
}

/// Chooses the weights of targets: equal weights, unless targets weighted by w v are closer to
/// noise-free similarities weighted by w.
///
/// The comparison uses held-out images outside the test tier: all of them if predictions are
/// cross-fitted, otherwise those of the validation tier. The correlation with noise-free
/// similarities is the correlation with the similarities of their trials, divided by the square
/// root of the reliability of these (Spearman 1904). The reliability r of single-trial similarities
/// comes from the repeated images, like w; for the mean over k trials it is k r / (1 + (k - 1) r).
/// Neither predictions for the test tier nor any ground truth is used.
///
/// # Errors
/// Returns an error if predictions lack a held-out image or if [`similarity`] fails.
pub fn choose_weights(scans: &[(&Scan, &Responses, &ScanWeights)]) -> Result<ChosenWeights> {
    let over_scans = |of: TargetWeights| -> Result<Option<f64>> {
        let found = scans.iter().map(|(scan, predicted, weights)| {
            nearness(scan, predicted, &ScanWeights::clone(weights).with_targets(of))
        });
        let found: Vec<f64> = found.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect();
        Ok((!found.is_empty()).then(|| found.iter().sum::<f64>() / found.len() as f64))
    };
    let (equal, signal_to_noise) =
        (over_scans(TargetWeights::Equal)?, over_scans(TargetWeights::SignalToNoise)?);
    let weights =
        if signal_to_noise > equal { TargetWeights::SignalToNoise } else { TargetWeights::Equal };
    Ok(ChosenWeights { weights, equal, signal_to_noise })
}

/// Correlation between the similarities of predictions and noise-free ones, weighted like targets.
fn nearness(scan: &Scan, predicted: &Responses, weights: &ScanWeights) -> Result<Option<f64>> {
    let Some(of_predicted) = weights.target_of_predicted() else { return Ok(None) };
    let crossed = predicted.kind() == ResponseKind::Predicted(Fitting::CrossFitted);
    let is_held_out =
        |tier: Tier| if crossed { tier != Tier::Test } else { tier == Tier::Validation };
    let trials: Vec<usize> =
        (0..scan.tiers().len()).filter(|trial| is_held_out(scan.tiers()[*trial])).collect();
    let found =
        held_out_correlation(scan, &trials, predicted, of_predicted, weights.target_of_measured())?;
    let reliability = where_defined(repeat_reliability(scan, weights.target_of_measured()))?;
    let (Some(found), Some(reliability)) = (found, reliability) else { return Ok(None) };
    let images = by_image(scan, &trials);
    let each = images.values().map(Vec::len).sum::<usize>() as f64 / images.len() as f64;
    let of_one = reliability.single_trials;
    let of_mean = each * of_one / (1.0 + (each - 1.0) * of_one);
    Ok((of_mean > 0.0).then(|| found / of_mean.sqrt()))
}

/// Trials by image, for the first images.
fn by_image(scan: &Scan, trials: &[usize]) -> BTreeMap<usize, Vec<usize>> {
    let mut of_image: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for trial in trials {
        of_image.entry(scan.trial_image()[*trial]).or_default().push(*trial);
    }
    of_image.into_iter().take(MOST_IMAGES).collect()
}

/// Whether every image's weighted vector differs from the mean over images; otherwise there is no
/// cosine.
fn varies(responses: &Responses, weights: &[f32]) -> bool {
    let Some(mean) = responses.values().mean_axis(ndarray::Axis(0)) else { return false };
    responses
        .values()
        .rows()
        .into_iter()
        .all(|row| row.iter().zip(&mean).zip(weights).any(|((v, m), w)| (v - m) * w != 0.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use brainprior_images::StimulusSet;
    use brainprior_recording::simulation::{SimulationConfig, simulate};
    use brainprior_recording::{ScanParts, reliability};
    use ndarray::Array2;

    /// A simulated scan whose last 40 single-trial images are in the validation tier, and its
    /// ground truth.
    fn known() -> (Scan, Responses) {
        let grating = |image: usize| {
            (0..12 * 16).map(move |pixel| {
                let (x, y, angle) = ((pixel % 16) as f32, (pixel / 16) as f32, image as f32 * 0.7);
                0.5 + 0.5 * (0.6 * (x * angle.cos() + y * angle.sin()) + image as f32).sin()
            })
        };
        let set = |images: std::ops::Range<usize>| {
            StimulusSet::new(12, 16, images.flat_map(grating).collect()).unwrap()
        };
        let config = SimulationConfig { neurons: 60, repeats: 6, ..Default::default() };
        let simulated = simulate("small", &set(0..80), &set(80..110), &config).unwrap();
        let scan = simulated.scan;
        let tier = |trial: &usize| {
            if *trial >= 40 && *trial < 80 { Tier::Validation } else { Tier::Train }
        };
        let tiers = scan.trial_image().iter().zip(scan.tiers());
        let tiers = tiers
            .map(|(image, is)| if *is == Tier::Test { Tier::Test } else { tier(image) })
            .collect();
        let truth = simulated.truth.expected_responses().clone();
        let expected = Responses::new(
            "small",
            ResponseKind::Predicted(Fitting::InSample),
            scan.stimuli().ids().to_vec(),
            truth,
        );
        let scan = Scan::new(ScanParts {
            name: "small".into(),
            stimuli: scan.stimuli().clone(),
            image_labels: None,
            trial_image: scan.trial_image().to_vec(),
            tiers,
            responses: scan.responses().clone(),
            behavior: None,
            pupil_center: None,
            neurons: scan.neurons().clone(),
            trial_idx: None,
            origin: scan.origin(),
        });
        (scan.unwrap(), expected.unwrap())
    }

    #[test]
    fn held_out_trials_tell_the_truth_from_half_of_it() {
        let (scan, truth) = known();
        let equal = crate::standardizing_weights(&scan);
        let trials = scan.trials_in(Tier::Validation);
        let of = |responses: &Responses| {
            held_out_correlation(&scan, &trials, responses, &equal, &equal).unwrap().unwrap()
        };
        let half = truth.values().clone()
            * ndarray::Array1::from_shape_fn(60, |n| if n < 30 { 1.0 } else { 0.0 });
        let half = Responses::new("small", truth.kind(), truth.ids().to_vec(), half).unwrap();
        assert!(of(&truth) > of(&half), "{} {}", of(&truth), of(&half));
        // Constant predictions give no estimate, and neither do two images.
        let none = Responses::new(
            "small",
            truth.kind(),
            truth.ids().to_vec(),
            Array2::ones(truth.values().raw_dim()),
        )
        .unwrap();
        assert_eq!(held_out_correlation(&scan, &trials, &none, &equal, &equal).unwrap(), None);
        assert_eq!(
            held_out_correlation(&scan, &trials[..2], &truth, &equal, &equal).unwrap(),
            None
        );
    }

    #[test]
    fn weights_are_those_whose_targets_are_nearer_to_noise_free_similarities() {
        let (scan, truth) = known();
        let weights_with = |v: &[Option<f32>]| {
            ScanWeights::new(&scan, &reliability(&scan).unwrap(), Some(v)).unwrap()
        };
        // The model predicts half of the neurons, and noise for the other half; v reveals which.
        let mut noisy = truth.values().clone();
        for ((image, n), value) in noisy.indexed_iter_mut() {
            if n >= 30 {
                *value = ((image * 7919 + n * 104_729) % 1009) as f32 / 100.0;
            }
        }
        let noisy = Responses::new("small", truth.kind(), truth.ids().to_vec(), noisy).unwrap();
        let v: Vec<Option<f32>> = (0..60).map(|n| (n < 30).then_some(0.8)).collect();
        let chosen = choose_weights(&[(&scan, &noisy, &weights_with(&v))]).unwrap();
        assert_eq!(chosen.weights, TargetWeights::SignalToNoise, "{chosen:?}");
        // It predicts all of them, but v claims otherwise.
        let v: Vec<Option<f32>> = (0..60).map(|n| (n % 12 == 0).then_some(0.8)).collect();
        let chosen = choose_weights(&[(&scan, &truth, &weights_with(&v))]).unwrap();
        assert_eq!(chosen.weights, TargetWeights::Equal, "{chosen:?}");
        assert!(chosen.equal > Some(0.8), "{chosen:?}");
        assert_eq!(choose_weights(&[]).unwrap().weights, TargetWeights::Equal);
    }
}
