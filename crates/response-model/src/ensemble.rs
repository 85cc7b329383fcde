//! Ensembles: models of the same scans, such as fits with several seeds, whose predictions are
//! averaged.

use brainprior_images::StimulusSet;
use brainprior_recording::{Responses, Scan, Tier};
use ndarray::Array2;

use crate::error::{Error, Result};
use crate::metrics::Metrics;
use crate::model::ResponseModel;
use crate::predict::{BehavioralState, correlations};

/// Models of the same scans, whose predictions are averaged. Averaging cancels effects of the
/// random initialization.
#[derive(Debug)]
pub struct Ensemble {
    models: Vec<ResponseModel>,
    /// For each scan and neuron.
    v_a: Vec<Vec<Option<f32>>>,
}

impl Ensemble {
    /// Creates an ensemble of `models`, which were fitted to `scans` in that order. The validation
    /// correlations v_a are those of the averaged predictions.
    ///
    /// # Errors
    /// Returns [`Error::NoModels`] without models, or [`Error::ScanMismatch`] if a model has other
    /// scans.
    pub fn new(models: Vec<ResponseModel>, scans: &[&Scan]) -> Result<Self> {
        if models.is_empty() {
            return Err(Error::NoModels);
        }
        for model in &models {
            if model.scan_count() != scans.len() {
                let (expected, found) = (scans.len().to_string(), model.scan_count().to_string());
                let scan = scans.first().map_or_else(String::new, |scan| scan.name().to_owned());
                return Err(Error::ScanMismatch {
                    scan,
                    what: "scans of a model in the ensemble",
                    expected,
                    found,
                });
            }
        }
        let mut ensemble = Self { models, v_a: Vec::new() };
        for (s, scan) in scans.iter().enumerate() {
            let trials = scan.trials_in(Tier::Validation);
            let v_a = match &ensemble.models[..] {
                [model] => model.v_a(s)?.to_vec(),
                _ => correlations(
                    scan,
                    &trials,
                    &ensemble.predict_trials(s, scan, &trials)?,
                    ensemble.varies(s)?,
                ),
            };
            ensemble.v_a.push(v_a);
        }
        Ok(ensemble)
    }

    /// The models.
    pub fn models(&self) -> &[ResponseModel] {
        &self.models
    }

    /// Like [`ResponseModel::v_a`], for the averaged predictions.
    ///
    /// # Errors
    /// Returns [`Error::NoSuchScan`] if there is no scan of this number.
    pub fn v_a(&self, scan: usize) -> Result<&[Option<f32>]> {
        self.v_a
            .get(scan)
            .map(Vec::as_slice)
            .ok_or(Error::NoSuchScan { index: scan, len: self.v_a.len() })
    }

    /// Like [`ResponseModel::predict`], averaged over the models.
    ///
    /// # Errors
    /// See [`ResponseModel::predict`].
    pub fn predict(&self, scan: usize, stimuli: &StimulusSet) -> Result<Responses> {
        self.predict_at(scan, stimuli, &BehavioralState::default())
    }

    /// Like [`ResponseModel::predict_at`], averaged over the models.
    ///
    /// # Errors
    /// See [`ResponseModel::predict_at`].
    pub fn predict_at(
        &self,
        scan: usize,
        stimuli: &StimulusSet,
        at: &BehavioralState,
    ) -> Result<Responses> {
        let first = self.models[0].predict_at(scan, stimuli, at)?;
        let values = self.averaged(first.values().clone(), |model| {
            Ok(model.predict_at(scan, stimuli, at)?.values().clone())
        })?;
        Ok(Responses::new(first.scan(), first.kind(), first.ids().to_vec(), values)?)
    }

    /// Like [`ResponseModel::predict_trials`], averaged over the models.
    ///
    /// # Errors
    /// See [`ResponseModel::predict_trials`].
    pub fn predict_trials(
        &self,
        scan: usize,
        recorded: &Scan,
        trials: &[usize],
    ) -> Result<Array2<f32>> {
        let predict = |model: &ResponseModel| model.predict_trials(scan, recorded, trials);
        self.averaged(predict(&self.models[0])?, predict)
    }

    /// Like [`ResponseModel::metrics`], for the averaged predictions.
    ///
    /// # Errors
    /// See [`ResponseModel::metrics`].
    pub fn metrics(&self, scan: usize, recorded: &Scan, seed: u64) -> Result<Metrics> {
        Metrics::of(recorded, self.varies(scan)?, seed, &|trials| {
            self.predict_trials(scan, recorded, trials)
        })
    }

    /// Which neurons of a scan vary over the training trials.
    ///
    /// # Errors
    /// Returns [`Error::NoSuchScan`] if there is no scan of this number.
    pub fn varies(&self, scan: usize) -> Result<&[bool]> {
        Ok(&self.models[0].part(scan)?.normalization.varies)
    }

    /// The mean of `first`, the values of the first model, and the values of the other models.
    fn averaged(
        &self,
        first: Array2<f32>,
        of: impl Fn(&ResponseModel) -> Result<Array2<f32>>,
    ) -> Result<Array2<f32>> {
        let mut sum = first;
        for model in &self.models[1..] {
            sum += &of(model)?;
        }
        Ok(sum / self.models.len() as f32)
    }
}
