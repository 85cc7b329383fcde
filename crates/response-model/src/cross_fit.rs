//! Cross-fitting: each image is predicted by a model that never saw its trials.

use std::collections::HashMap;
use std::path::Path;

use brainprior_images::{ImageId, StimulusSet};
use brainprior_recording::{Fitting, ResponseKind, Responses, Scan, ScanParts, Tier};
use candle_core::Device;
use ndarray::Array2;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::config::Config;
use crate::error::{Error, Result};
use crate::fit::{FitEvent, fit_on};
use crate::model::ResponseModel;
use crate::predict::correlations;

/// One model for each fold of the images that are not repeated.
///
/// The paper predicts in-sample: the responses to an image come from a model that was fitted, among others, to a noisy trial of
/// that image, and so carry some of its noise. Here the trials of an image, in all scans, are neither trained nor validated on by
/// the model that predicts it.
#[derive(Debug)]
pub struct CrossFitted {
    models: Vec<ResponseModel>,
    fold_of: HashMap<ImageId, usize>,
    /// For each scan and neuron.
    v_a: Vec<Vec<Option<f32>>>,
}

impl CrossFitted {
    /// Fits `folds` models to `scans`, each without the trials of a part of the images. `checkpoints` is a folder for the fits'
    /// checkpoints: an interrupted call takes them up. `observe` is told the number of the fold with each event.
    ///
    /// # Errors
    /// [`Error::Configuration`] where `folds` is below 2 or above the number of images; as [`fit`](crate::fit).
    pub fn fit(
        scans: &[&Scan],
        config: &Config,
        folds: usize,
        seed: u64,
        checkpoints: Option<&Path>,
        observe: &mut dyn FnMut(usize, FitEvent),
    ) -> Result<Self> {
        Self::fit_on(&Device::Cpu, scans, config, folds, seed, checkpoints, observe)
    }

    /// [`CrossFitted::fit`] on a device, as [`fit_on`].
    ///
    /// # Errors
    /// As [`CrossFitted::fit`]; too little memory on the device.
    pub fn fit_on(
        device: &Device,
        scans: &[&Scan],
        config: &Config,
        folds: usize,
        seed: u64,
        checkpoints: Option<&Path>,
        observe: &mut dyn FnMut(usize, FitEvent),
    ) -> Result<Self> {
        let fold_of = assign(scans, folds, seed)?;
        let mut models = Vec::with_capacity(folds);
        for fold in 0..folds {
            let without: Vec<Scan> = scans.iter().map(|scan| held_out(scan, &fold_of, fold)).collect::<Result<_>>()?;
            let checkpoint = checkpoints.map(|folder| folder.join(format!("fold{fold}.checkpoint")));
            let without: Vec<&Scan> = without.iter().collect();
            let mut told = |event| observe(fold, event);
            models.push(fit_on(device, &without, config, seed.wrapping_add(fold as u64), checkpoint.as_deref(), &mut told)?);
        }
        let mut fitted = Self { models, fold_of, v_a: Vec::new() };
        for (s, scan) in scans.iter().enumerate() {
            let v_a = fitted.held_out_correlation(s, scan)?;
            fitted.v_a.push(v_a);
        }
        Ok(fitted)
    }

    /// The models, one for each fold.
    pub fn models(&self) -> &[ResponseModel] {
        &self.models
    }

    /// Correlation of each neuron's responses to all images that were shown once with the predictions of the models that never
    /// saw them.
    ///
    /// # Errors
    /// [`Error::NoSuchScan`].
    pub fn v_a(&self, scan: usize) -> Result<&[Option<f32>]> {
        self.v_a.get(scan).map(Vec::as_slice).ok_or(Error::NoSuchScan { index: scan, len: self.v_a.len() })
    }

    /// Predicted responses as [`ResponseModel::predict`], each image's by the model that never saw it. Images of no fold, such as
    /// the repeated ones, get the mean over all models, which have none seen them.
    ///
    /// # Errors
    /// As [`ResponseModel::predict`].
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
            for (&i, row) in own.iter().zip(predicted.values().rows()) {
                values.row_mut(i).scaled_add(share(i), &row);
            }
        }
        let kind = ResponseKind::Predicted(Fitting::CrossFitted);
        Ok(Responses::new(&name, kind, stimuli.ids().to_vec(), values)?)
    }

    fn held_out_correlation(&self, s: usize, scan: &Scan) -> Result<Vec<Option<f32>>> {
        let neurons = scan.responses().ncols();
        let (mut trials, mut predicted) = (Vec::new(), Vec::new());
        let mut varies = vec![true; neurons];
        for (fold, model) in self.models.iter().enumerate() {
            let in_fold = |t: &usize| self.fold_of.get(&scan.stimuli().ids()[scan.trial_image()[*t]]) == Some(&fold);
            let own: Vec<usize> = (0..scan.trial_image().len()).filter(in_fold).collect();
            predicted.extend(model.predict_trials(s, scan, &own)?);
            trials.extend(own);
            let of_model = &model.part(s)?.normalization.varies;
            varies.iter_mut().zip(of_model).for_each(|(all, varies)| *all &= varies);
        }
        let predicted = Array2::from_shape_vec((trials.len(), neurons), predicted).expect("one row a trial");
        Ok(correlations(scan, &trials, &predicted, &varies))
    }
}

/// A fold for each image outside the test tiers, the same in all scans, of nearly equal sizes in each tier.
fn assign(scans: &[&Scan], folds: usize, seed: u64) -> Result<HashMap<ImageId, usize>> {
    let mut fold_of = HashMap::new();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    for tier in [Tier::Validation, Tier::Train] {
        let mut images: Vec<ImageId> = Vec::new();
        for scan in scans {
            images.extend(scan.trials_in(tier).iter().map(|&t| scan.stimuli().ids()[scan.trial_image()[t]]));
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

/// The scan with the trials of fold `fold` in the test tier, which no fit looks at.
fn held_out(scan: &Scan, fold_of: &HashMap<ImageId, usize>, fold: usize) -> Result<Scan> {
    let held = |t: usize| fold_of.get(&scan.stimuli().ids()[scan.trial_image()[t]]) == Some(&fold);
    let tiers = scan.tiers().iter().enumerate().map(|(t, tier)| if held(t) { Tier::Test } else { *tier }).collect();
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
