//! Cross-fitting: each image is predicted by a model that was not fitted on its trials.

use std::collections::HashMap;

use brainprior_images::{ImageId, StimulusSet};
use brainprior_recording::{Fitting, ResponseKind, Responses, Scan, ScanParts, Tier};
use ndarray::{Array2, ArrayView1};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::config::Config;
use crate::error::{Error, Result};
use crate::fit::{FitEvent, FitOptions, fit};
use crate::model::ResponseModel;
use crate::predict::correlations;

/// One model per fold of the unrepeated images.
///
/// The paper predicts in-sample: the model that predicts the responses to an image was fitted on a
/// noisy trial of that image among others, so its predictions contain some of that noise. Here, the
/// model that predicts an image is neither trained nor validated on trials of that image in any
/// scan.
///
/// **Predictions are centered by fold.** Each model learns the mean response of each neuron from
/// its training trials, which exclude its fold: if the responses in the fold happen to be strong,
/// the model that predicts them has a lower mean. Uncorrected, these means would separate the
/// images of different folds in similarities, and would correlate negatively with the responses in
/// v_a. Therefore all models predict the same images, those of the scan that belong to a fold, and
/// each model's predictions are shifted, neuron by neuron, by the mean over all models minus its
/// own mean over these images. Because the images are the same, the means differ only by the
/// models, so true differences between the images of two folds are preserved. For v_a the same is
/// done over the scan's trials of these images. A shift may make a small rate negative. The mean
/// that all models then share is one number per neuron, which affects no similarity and no
/// correlation.
#[derive(Debug)]
pub struct CrossFitted {
    models: Vec<ResponseModel>,
    fold_of: HashMap<ImageId, usize>,
    /// For each scan, model and neuron: the shift that centers predictions of images, in the scan's
    /// units.
    shifts: Vec<Vec<Vec<f32>>>,
    /// For each scan and neuron.
    v_a: Vec<Vec<Option<f32>>>,
}

impl CrossFitted {
    /// Fits `folds` models to `scans`, each without the trials of one fold of the images.
    /// [`FitOptions::checkpoint`] is a folder for the checkpoints of the fits, from which an
    /// interrupted call resumes. The observer receives [`FitEvent::Fold`] before the events of each
    /// fold.
    ///
    /// # Errors
    /// Returns [`Error::Configuration`] if `folds` is below 2 or above the number of images, or any
    /// error of [`fit`](crate::fit).
    pub fn fit(
        scans: &[&Scan],
        config: &Config,
        folds: usize,
        mut options: FitOptions,
    ) -> Result<Self> {
        let (device, seed, checkpoints) =
            (options.device.clone(), options.seed, options.checkpoint);
        let fold_of = assign(scans, folds, seed)?;
        let mut models = Vec::with_capacity(folds);
        for fold in 0..folds {
            let without: Vec<Scan> =
                scans.iter().map(|scan| held_out(scan, &fold_of, fold)).collect::<Result<_>>()?;
            let checkpoint =
                checkpoints.map(|folder| folder.join(format!("fold{fold}.checkpoint")));
            let without: Vec<&Scan> = without.iter().collect();
            options.tell(FitEvent::Fold { fold });
            let mut tell = |event| options.tell(event);
            let of_fold = FitOptions {
                device: device.clone(),
                seed: seed.wrapping_add(fold as u64),
                checkpoint: checkpoint.as_deref(),
                observer: Some(&mut tell),
            };
            models.push(fit(&without, config, of_fold)?);
        }
        let mut fitted = Self { models, fold_of, shifts: Vec::new(), v_a: Vec::new() };
        for (s, scan) in scans.iter().enumerate() {
            let shifts = fitted.shifts_of_images(s, scan)?;
            fitted.shifts.push(shifts);
            let v_a = fitted.held_out_correlation(s, scan)?;
            fitted.v_a.push(v_a);
        }
        Ok(fitted)
    }

    /// The models, one per fold.
    pub fn models(&self) -> &[ResponseModel] {
        &self.models
    }

    /// For each neuron, the correlation between its responses to all images in a training or
    /// validation tier and the held-out predictions, centered by fold.
    ///
    /// # Errors
    /// Returns [`Error::NoSuchScan`] if there is no scan of this number.
    pub fn v_a(&self, scan: usize) -> Result<&[Option<f32>]> {
        self.v_a
            .get(scan)
            .map(Vec::as_slice)
            .ok_or(Error::NoSuchScan { index: scan, len: self.v_a.len() })
    }

    /// Predicts responses like [`ResponseModel::predict`], each image by the model that was not
    /// fitted on it, centered by fold. Images without a fold, such as the repeated ones, get the
    /// mean over all models, since no model was fitted on them. The shifts sum to zero over models,
    /// so this is the mean of the centered predictions, too.
    ///
    /// # Errors
    /// See [`ResponseModel::predict`].
    pub fn predict(&self, scan: usize, stimuli: &StimulusSet) -> Result<Responses> {
        let name = self.models[0].scan_name(scan)?.to_owned();
        let neurons = self.models[0].response_std(scan)?.len();
        let mut values = Array2::<f32>::zeros((stimuli.len(), neurons));
        for (fold, model) in self.models.iter().enumerate() {
            let share = |i: usize| match self.fold_of.get(&stimuli.ids()[i]) {
                Some(of) if *of == fold => 1.0,
                Some(_) => 0.0,
                None => 1.0 / self.models.len() as f32,
            };
            let own: Vec<usize> = (0..stimuli.len()).filter(|&i| share(i) > 0.0).collect();
            let predicted = model.predict(scan, &stimuli.subset(&own))?;
            let shift = ArrayView1::from(&self.shifts[scan][fold]);
            for (&i, row) in own.iter().zip(predicted.values().rows()) {
                values.row_mut(i).scaled_add(share(i), &(&row + &shift));
            }
        }
        let kind = ResponseKind::Predicted(Fitting::CrossFitted);
        Ok(Responses::new(&name, kind, stimuli.ids().to_vec(), values)?)
    }

    /// The shifts that center each model's predictions of images, over the images of `scan` that
    /// belong to a fold.
    fn shifts_of_images(&self, s: usize, scan: &Scan) -> Result<Vec<Vec<f32>>> {
        let ids = scan.stimuli().ids();
        let images: Vec<usize> =
            (0..ids.len()).filter(|&i| self.fold_of.contains_key(&ids[i])).collect();
        let images = scan.stimuli().subset(&images);
        let means: Vec<Vec<f64>> = self
            .models
            .iter()
            .map(|model| Ok(means(model.predict(s, &images)?.values())))
            .collect::<Result<_>>()?;
        Ok(shifts(&means))
    }

    /// The trials of `recorded`, scan number `scan` of the fit, whose images belong to a fold, in
    /// ascending order, and the held-out prediction of each, `[trials, neurons]`, centered by fold.
    ///
    /// # Errors
    /// See [`ResponseModel::predict_trials`].
    pub fn held_out(&self, scan: usize, recorded: &Scan) -> Result<(Vec<usize>, Array2<f32>)> {
        let fold = |trial: usize| {
            self.fold_of.get(&recorded.stimuli().ids()[recorded.trial_image()[trial]]).copied()
        };
        let (trials, folds): (Vec<usize>, Vec<usize>) = (0..recorded.trial_image().len())
            .filter_map(|trial| Some((trial, fold(trial)?)))
            .unzip();
        let of_models =
            self.models.iter().map(|model| model.predict_trials(scan, recorded, &trials));
        let predicted = each_by_its_own(of_models, &folds, recorded.responses().ncols())?;
        Ok((trials, predicted))
    }

    fn held_out_correlation(&self, s: usize, scan: &Scan) -> Result<Vec<Option<f32>>> {
        let (trials, predicted) = self.held_out(s, scan)?;
        let mut varies = vec![true; predicted.ncols()];
        for model in &self.models {
            varies
                .iter_mut()
                .zip(&model.part(s)?.normalization.varies)
                .for_each(|(all, varies)| *all &= varies);
        }
        Ok(correlations(scan, &trials, &predicted, &varies))
    }
}

/// Takes the predictions `[rows, neurons]` of each model for the same rows, and returns each row
/// from the model of its fold, centered.
fn each_by_its_own(
    of_models: impl Iterator<Item = Result<Array2<f32>>>,
    folds: &[usize],
    neurons: usize,
) -> Result<Array2<f32>> {
    let mut own = Array2::zeros((folds.len(), neurons));
    let mut levels = Vec::new();
    for (model, predicted) in of_models.enumerate() {
        let predicted = predicted?;
        for (row, _) in folds.iter().enumerate().filter(|(_, fold)| **fold == model) {
            own.row_mut(row).assign(&predicted.row(row));
        }
        levels.push(means(&predicted));
    }
    let shifts = shifts(&levels);
    for (mut row, &fold) in own.rows_mut().into_iter().zip(folds) {
        row += &ArrayView1::from(&shifts[fold]);
    }
    Ok(own)
}

/// Mean of each column.
fn means(predicted: &Array2<f32>) -> Vec<f64> {
    let mean = |column: ArrayView1<f32>| {
        column.iter().map(|value| f64::from(*value)).sum::<f64>() / predicted.nrows() as f64
    };
    predicted.columns().into_iter().map(mean).collect()
}

/// For each model and neuron, the mean over all models minus the model's own mean. `levels` are the
/// means over the same rows.
fn shifts(levels: &[Vec<f64>]) -> Vec<Vec<f32>> {
    let common =
        |n: usize| levels.iter().map(|of_model| of_model[n]).sum::<f64>() / levels.len() as f64;
    levels
        .iter()
        .map(|of_model| {
            of_model.iter().enumerate().map(|(n, level)| (common(n) - level) as f32).collect()
        })
        .collect()
}

/// Assigns a fold to each image outside the test tiers: the same in all scans, with nearly equal
/// sizes in each tier.
fn assign(scans: &[&Scan], folds: usize, seed: u64) -> Result<HashMap<ImageId, usize>> {
    let mut fold_of = HashMap::new();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    for tier in [Tier::Validation, Tier::Train] {
        let mut images: Vec<ImageId> = Vec::new();
        for scan in scans {
            images.extend(
                scan.trials_in(tier).iter().map(|&t| scan.stimuli().ids()[scan.trial_image()[t]]),
            );
        }
        images.retain(|id| !fold_of.contains_key(id));
        images.sort_unstable();
        images.dedup();
        images.shuffle(&mut rng);
        fold_of.extend(images.into_iter().enumerate().map(|(i, id)| (id, i % folds.max(1))));
    }
    if folds < 2 || folds > fold_of.len() {
        let expected = "at least 2, and at most as many as images outside the test tier";
        return Err(Error::Configuration { key: "folds", found: folds.to_string(), expected });
    }
    Ok(fold_of)
}

/// The scan with the trials of fold `fold` moved to the test tier, which no fit uses.
fn held_out(scan: &Scan, fold_of: &HashMap<ImageId, usize>, fold: usize) -> Result<Scan> {
    let held = |t: usize| fold_of.get(&scan.stimuli().ids()[scan.trial_image()[t]]) == Some(&fold);
    let tiers = scan
        .tiers()
        .iter()
        .enumerate()
        .map(|(t, tier)| if held(t) { Tier::Test } else { *tier })
        .collect();
    Ok(Scan::new(ScanParts {
        name: scan.name().to_owned(),
        stimuli: scan.stimuli().clone(),
        image_labels: scan.image_labels().map(<[i64]>::to_vec),
        trial_image: scan.trial_image().to_vec(),
        tiers,
        responses: scan.responses().clone(),
        behavior: scan.behavior().cloned(),
        pupil_center: scan.pupil_center().cloned(),
        neurons: scan.neurons().clone(),
        trial_idx: scan.trial_idx().map(<[i64]>::to_vec),
        origin: scan.origin(),
    })?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::correlation;
    use ndarray::{Axis, arr2};

    fn centered(of_models: &[Array2<f32>], folds: &[usize]) -> Array2<f32> {
        each_by_its_own(of_models.iter().cloned().map(Ok), folds, of_models[0].ncols()).unwrap()
    }

    #[test]
    fn levels_of_models_go_and_differences_of_images_stay() {
        // The images of fold 2 have by far the strongest responses: this is not an artifact.
        let truth =
            arr2(&[[1.0f32, 2.0], [2.0, 1.0], [1.5, 0.5], [0.5, 4.0], [9.0, 8.0], [8.0, 7.5]]);
        let levels = [[0.5f32, -1.0], [-0.25, 0.5], [2.0, 0.25]];
        let of_models: Vec<Array2<f32>> =
            levels.iter().map(|level| &truth + &ArrayView1::from(level)).collect();
        let folds = [0, 1, 2, 2, 1, 0];
        let found = centered(&of_models, &folds);
        for n in 0..2 {
            let common = levels.iter().map(|level| level[n]).sum::<f32>() / 3.0;
            for image in 0..6 {
                assert!(
                    (found[[image, n]] - truth[[image, n]] - common).abs() < 1e-6,
                    "image {image}: {found}"
                );
            }
        }
        // The result does not depend on the division of the images.
        let divided_otherwise = centered(&of_models, &[2, 2, 1, 1, 0, 0]);
        assert!((&found - &divided_otherwise).iter().all(|difference| difference.abs() < 1e-6));
    }

    /// Models that learned only their training mean: uncentered, they predict the most where
    /// responses are the weakest.
    #[test]
    fn models_that_know_nothing_are_not_set_against_the_responses() {
        let responses = [1.0f32, 2.0, 4.0, 8.0, 3.0, 6.0];
        let folds = [0, 0, 1, 1, 2, 2];
        let trained = |fold: usize| {
            (0..6).filter(|&i| folds[i] != fold).map(|i| responses[i]).sum::<f32>() / 4.0
        };
        let of_models: Vec<Array2<f32>> =
            (0..3).map(|fold| Array2::from_elem((6, 1), trained(fold))).collect();
        let against = |predicted: &[f32]| {
            correlation(
                predicted.iter().zip(&responses).map(|(p, r)| (f64::from(*p), f64::from(*r))),
            )
        };
        let as_they_stand: Vec<f32> = folds.iter().map(|fold| trained(*fold)).collect();
        assert!(against(&as_they_stand).unwrap() < -0.5, "{:?}", against(&as_they_stand));
        let found = centered(&of_models, &folds).index_axis(Axis(1), 0).to_vec();
        assert_eq!(against(&found), None, "{found:?} varies");
    }
}
