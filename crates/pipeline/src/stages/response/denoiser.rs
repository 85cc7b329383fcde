//! The denoiser of one scan: the convolutional models, optionally mixed with linear readouts of
//! fixed features.

use crate::artifacts::Shares;
use anyhow::{Context as _, Result};
use brainprior_images::StimulusSet;
use brainprior_recording::{Responses, Scan, Tier};
use brainprior_response_model::{
    CrossFitted, Ensemble, Features, LinearModel, Metrics, Mixture, correlations,
};
use brainprior_similarity::{ErrorVariances, held_out_correlation, standardizing_weights};
use ndarray::{Array2, Axis};
use std::collections::BTreeSet;

/// Models fitted to all scans.
#[derive(Clone, Copy)]
pub(crate) struct Fitted<'a> {
    /// If false, only the linear readouts predict.
    pub(crate) convolutional: bool,
    pub(crate) ensemble: &'a Ensemble,
    pub(crate) crossed: Option<&'a CrossFitted>,
    /// Features of every predicted image.
    pub(crate) features: Option<&'a Features>,
}

/// Predicts the responses of one scan.
pub(crate) struct Denoiser<'a> {
    fitted: Fitted<'a>,
    index: usize,
    scan: &'a Scan,
    linear: Option<(LinearModel, Mixture)>,
    v: Vec<Option<f32>>,
    variances: ErrorVariances,
    held_out_similarity: Option<f64>,
}

impl<'a> Denoiser<'a> {
    /// The denoiser of scan number `index`. Mixing weights, correlations v and variances come from
    /// trials to which no model was fitted: all trials outside the test tier if models are
    /// cross-fitted, otherwise those of the validation tier. The variances are those of predictions
    /// at mean behavior, as used for targets, where behavioral modulation of a trial is noise, as
    /// it is between repeats. Among mixtures of both models, the one is chosen whose similarities
    /// of these images are closest to those of their trials, with equal weights.
    pub(crate) fn new(fitted: Fitted<'a>, index: usize, scan: &'a Scan, seed: u64) -> Result<Self> {
        let (held_out, convolutional) = match fitted.crossed {
            Some(crossed) => crossed.held_out(index, scan)?,
            None => {
                let trials = scan.trials_in(Tier::Validation);
                let predicted = fitted.ensemble.predict_trials(index, scan, &trials)?;
                (trials, predicted)
            }
        };
        let images = images_of(scan, &held_out);
        let mut predicted = convolutional;
        let mut of_images = of_convolutional(fitted, index, &images)?;
        let equal = standardizing_weights(scan);
        let correlation = |predicted: &Responses| {
            held_out_correlation(scan, &held_out, predicted, &equal, &equal)
        };
        if !fitted.convolutional {
            predicted.fill(0.0);
        }
        let (mut linear, mut held_out_similarity) = (None, None);
        match fitted.features {
            None => held_out_similarity = correlation(&of_images)?,
            Some(features) => {
                let model = LinearModel::fit(scan, &scan.trials_in(Tier::Train), features, seed)?;
                let of_linear = model.predict_trials(scan, &held_out)?;
                let images_of_linear = model.predict(images.ids())?;
                let candidates = Mixture::candidates(scan, &held_out, &predicted, &of_linear);
                let mut best: Option<(Mixture, Responses)> = None;
                for mixture in candidates {
                    let mixed = mixed(&mixture, &of_images, &images_of_linear)?;
                    let found = correlation(&mixed)?;
                    if best.is_none() || found > held_out_similarity {
                        (best, held_out_similarity) = (Some((mixture, mixed)), found);
                    }
                }
                let (mixture, mixed) =
                    best.context("the mixture of least error is always tried")?;
                of_images = mixed;
                predicted = mixture.mix(&predicted, &of_linear);
                linear = Some((model, mixture));
            }
        }
        let v = match (fitted.crossed, &linear) {
            (_, Some(_)) => {
                correlations(scan, &held_out, &predicted, fitted.ensemble.varies(index)?)
            }
            (Some(crossed), None) => crossed.v_a(index)?.to_vec(),
            (None, None) => fitted.ensemble.v_a(index)?.to_vec(),
        };
        let shown = held_out
            .iter()
            .map(|trial| images.position(scan.stimuli().ids()[scan.trial_image()[*trial]]));
        let shown = shown
            .collect::<Option<Vec<usize>>>()
            .context("every held-out trial shows a held-out image")?;
        let variances =
            ErrorVariances::of(scan, &held_out, &of_images.values().select(Axis(0), &shown))?;
        Ok(Self { fitted, index, scan, linear, v, variances, held_out_similarity })
    }

    /// Predicted responses to images, at mean behavior and gaze.
    pub(crate) fn predict(&self, images: &StimulusSet) -> Result<Responses> {
        let convolutional = of_convolutional(self.fitted, self.index, images)?;
        match &self.linear {
            None => Ok(convolutional),
            Some((linear, mixture)) => {
                mixed(mixture, &convolutional, &linear.predict(images.ids())?)
            }
        }
    }

    /// Prediction performance on single trials of the test tier.
    pub(crate) fn metrics(&self, seed: u64) -> Result<Metrics> {
        let predict = |trials: &[usize]| -> brainprior_response_model::Result<Array2<f32>> {
            let convolutional =
                self.fitted.ensemble.predict_trials(self.index, self.scan, trials)?;
            match &self.linear {
                None => Ok(convolutional),
                Some((linear, mixture)) => {
                    Ok(mixture.mix(&convolutional, &linear.predict_trials(self.scan, trials)?))
                }
            }
        };
        Ok(Metrics::of(self.scan, self.fitted.ensemble.varies(self.index)?, seed, &predict)?)
    }

    /// Correlation of prediction and response over held-out trials, per neuron.
    pub(crate) fn v(&self) -> &[Option<f32>] {
        &self.v
    }

    /// Error variances of predictions and single trials.
    pub(crate) fn variances(&self) -> &ErrorVariances {
        &self.variances
    }

    /// Correlation of the similarities of held-out images with those of their trials, with equal
    /// weights; `None` if there are too few images.
    pub(crate) fn held_out_similarity(&self) -> Option<f64> {
        self.held_out_similarity
    }

    /// Weight of each model, if two are mixed.
    pub(crate) fn shares(&self) -> Option<Shares> {
        let (_, mixture) = self.linear.as_ref()?;
        Some(Shares { convolutional: mixture.convolutional(), linear: mixture.linear() })
    }
}

/// The distinct images of trials.
fn images_of(scan: &Scan, trials: &[usize]) -> StimulusSet {
    let shown: BTreeSet<usize> = trials.iter().map(|trial| scan.trial_image()[*trial]).collect();
    scan.stimuli().subset(&shown.into_iter().collect::<Vec<_>>())
}

/// Predictions of the convolutional models at mean behavior and gaze.
fn of_convolutional(fitted: Fitted<'_>, index: usize, images: &StimulusSet) -> Result<Responses> {
    Ok(match fitted.crossed {
        Some(crossed) => crossed.predict(index, images)?,
        None => fitted.ensemble.predict(index, images)?,
    })
}

/// Mixes both models' predictions of the same images.
fn mixed(mixture: &Mixture, convolutional: &Responses, linear: &Responses) -> Result<Responses> {
    let values = mixture.mix(convolutional.values(), linear.values());
    Ok(Responses::new(
        convolutional.scan(),
        convolutional.kind(),
        convolutional.ids().to_vec(),
        values,
    )?)
}
