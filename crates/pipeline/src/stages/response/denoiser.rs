//! What predicts one scan's responses: the convolutional models, and linear readouts of fixed features mixed in.

use crate::artifacts::Shares;
use anyhow::Result;
use brainprior_images::StimulusSet;
use brainprior_recording::{Responses, Scan, Tier};
use brainprior_response_model::{CrossFitted, Ensemble, Features, LinearModel, Metrics, Mixture, TrainingTrials, correlations};
use brainprior_similarity::ErrorVariances;
use ndarray::{Array2, Axis};

/// The fitted models of all scans.
#[derive(Clone, Copy)]
pub(crate) struct Fitted<'a> {
    /// False: the convolutional models are left out, and linear readouts predict alone.
    pub(crate) convolutional: bool,
    pub(crate) ensemble: &'a Ensemble,
    pub(crate) crossed: Option<&'a CrossFitted>,
    /// Of every image that is predicted.
    pub(crate) features: Option<&'a Features>,
    pub(crate) training: &'a TrainingTrials,
}

/// What predicts the responses of one scan.
pub(crate) struct Denoiser<'a> {
    fitted: Fitted<'a>,
    index: usize,
    scan: &'a Scan,
    linear: Option<(LinearModel, Mixture)>,
    v: Vec<Option<f32>>,
    variances: ErrorVariances,
}

impl<'a> Denoiser<'a> {
    /// For scan number `index`. Shares of the models, correlations v and variances are taken from trials that no model was
    /// fitted to: all outside the test tier where models are cross-fitted, else those of the validation tier. Variances are those of
    /// predictions at the mean behaviour, as targets are made: what behaviour explains of a trial is noise there, as it is between repeats.
    pub(crate) fn new(fitted: Fitted<'a>, index: usize, scan: &'a Scan, seed: u64) -> Result<Self> {
        let (held_out, convolutional) = match fitted.crossed {
            Some(crossed) => crossed.held_out(index, scan)?,
            None => {
                let trials = scan.trials_in(Tier::Validation);
                let predicted = fitted.ensemble.predict_trials(index, scan, &trials)?;
                (trials, predicted)
            }
        };
        let (mut linear, mut predicted) = (None, convolutional);
        if !fitted.convolutional {
            predicted.fill(0.0);
        }
        if let Some(features) = fitted.features {
            let model = LinearModel::fit(scan, &fitted.training.trials()[index], features, seed)?;
            let of_linear = model.predict_trials(scan, &held_out)?;
            let mixture = Mixture::of(scan, &held_out, &predicted, &of_linear);
            predicted = mixture.mix(&predicted, &of_linear);
            linear = Some((model, mixture));
        }
        let v = match (fitted.crossed, &linear) {
            (_, Some(_)) => correlations(scan, &held_out, &predicted, fitted.ensemble.varies(index)?),
            (Some(crossed), None) => crossed.v_a(index)?.to_vec(),
            (None, None) => fitted.ensemble.v_a(index)?.to_vec(),
        };
        let at_mean_behavior = predict_images(fitted, index, linear.as_ref(), scan.stimuli())?;
        let shown: Vec<usize> = held_out.iter().map(|trial| scan.trial_image()[*trial]).collect();
        let variances = ErrorVariances::of(scan, &held_out, &at_mean_behavior.values().select(Axis(0), &shown))?;
        Ok(Self { fitted, index, scan, linear, v, variances })
    }

    /// Predicted responses to images, at the mean behaviour and gaze.
    pub(crate) fn predict(&self, images: &StimulusSet) -> Result<Responses> {
        predict_images(self.fitted, self.index, self.linear.as_ref(), images)
    }

    /// How well single trials of the test tier are predicted.
    pub(crate) fn metrics(&self, seed: u64) -> Result<Metrics> {
        let predict = |trials: &[usize]| -> brainprior_response_model::Result<Array2<f32>> {
            let convolutional = self.fitted.ensemble.predict_trials(self.index, self.scan, trials)?;
            match &self.linear {
                None => Ok(convolutional),
                Some((linear, mixture)) => Ok(mixture.mix(&convolutional, &linear.predict_trials(self.scan, trials)?)),
            }
        };
        Ok(Metrics::of(self.scan, self.fitted.ensemble.varies(self.index)?, seed, &predict)?)
    }

    /// Correlation of prediction and response over held-out trials, of each neuron.
    pub(crate) fn v(&self) -> &[Option<f32>] {
        &self.v
    }

    /// How far predictions and single trials can be trusted.
    pub(crate) fn variances(&self) -> &ErrorVariances {
        &self.variances
    }

    /// What each model contributes, where two are mixed.
    pub(crate) fn shares(&self) -> Option<Shares> {
        let (_, mixture) = self.linear.as_ref()?;
        Some(Shares { convolutional: mixture.convolutional(), linear: mixture.linear() })
    }
}

/// Predicted responses to images, at the mean behaviour and gaze.
fn predict_images(
    fitted: Fitted<'_>,
    index: usize,
    linear: Option<&(LinearModel, Mixture)>,
    images: &StimulusSet,
) -> Result<Responses> {
    let convolutional = match fitted.crossed {
        Some(crossed) => crossed.predict(index, images)?,
        None => fitted.ensemble.predict(index, images)?,
    };
    let Some((linear, mixture)) = linear else { return Ok(convolutional) };
    let values = mixture.mix(convolutional.values(), linear.predict(images.ids())?.values());
    Ok(Responses::new(convolutional.scan(), convolutional.kind(), convolutional.ids().to_vec(), values)?)
}
