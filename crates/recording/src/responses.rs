//! Responses of one population to distinct images, measured or predicted.

use crate::{Error, Result, Scan, Tier};
use brainprior_images::ImageId;
use ndarray::{Array2, Axis};
use std::collections::HashMap;

/// How measured responses were taken from the trials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measurement {
    /// One trial of each image.
    SingleTrial,
    /// The mean over all repeats of each image.
    RepeatMean,
}

/// Which images the model that predicted was fitted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fitting {
    /// The predicted images among them.
    InSample,
    /// Each image is predicted by a model that never saw its trials.
    CrossFitted,
}

/// Where responses come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseKind {
    /// From a scan's trials.
    Measured(Measurement),
    /// From a response model.
    Predicted(Fitting),
    /// Known, because the scan is simulated.
    Expected,
}

/// One response for each image and neuron, `[images, neurons]`: distinct images, finite values.
#[derive(Clone, Debug, PartialEq)]
pub struct Responses {
    scan: String,
    kind: ResponseKind,
    ids: Vec<ImageId>,
    values: Array2<f32>,
}

impl Responses {
    /// From one row of `values` for each of `ids`.
    ///
    /// # Errors
    /// A number of rows other than that of `ids`; an image given twice; a value that is not finite.
    pub fn new(scan: &str, kind: ResponseKind, ids: Vec<ImageId>, values: Array2<f32>) -> Result<Self> {
        if values.nrows() != ids.len() {
            return Err(Error::Size {
                what: "rows of responses",
                expected: format!("{}, one for each image", ids.len()),
                found: values.nrows().to_string(),
            });
        }
        let mut rows = HashMap::with_capacity(ids.len());
        for (second, id) in ids.iter().enumerate() {
            if let Some(first) = rows.insert(*id, second) {
                return Err(Error::Duplicate { first, second, id: *id });
            }
        }
        crate::scan::all_finite("responses", &values)?;
        Ok(Self { scan: scan.to_owned(), kind, ids, values })
    }

    /// Name of the scan whose neurons these are.
    pub fn scan(&self) -> &str {
        &self.scan
    }

    /// Where they come from.
    pub fn kind(&self) -> ResponseKind {
        self.kind
    }

    /// The image of each row.
    pub fn ids(&self) -> &[ImageId] {
        &self.ids
    }

    /// `[images, neurons]`, in arbitrary units of each neuron.
    pub fn values(&self) -> &Array2<f32> {
        &self.values
    }

    /// The rows of `images`, in that order.
    ///
    /// # Errors
    /// An image that is not there, or given twice.
    pub fn select(&self, images: &[ImageId]) -> Result<Self> {
        let position: HashMap<ImageId, usize> = self.ids.iter().enumerate().map(|(row, id)| (*id, row)).collect();
        let missing = |id| Error::MissingImage { scan: self.scan.clone(), id };
        let rows: Vec<usize> =
            images.iter().map(|id| position.get(id).copied().ok_or_else(|| missing(*id))).collect::<Result<_>>()?;
        Self::new(&self.scan, self.kind, images.to_vec(), self.values.select(Axis(0), &rows))
    }
}

impl Scan {
    /// One trial of each image that is not in the test tier: its first, in the order of [`Scan::stimuli`].
    pub fn single_trials(&self) -> Responses {
        let mut first = vec![None; self.stimuli().len()];
        for (trial, image) in self.trial_image().iter().enumerate() {
            if self.tiers()[trial] != Tier::Test {
                first[*image].get_or_insert(trial);
            }
        }
        self.measured(Measurement::SingleTrial, first.into_iter().enumerate().filter_map(|(image, trial)| Some((image, trial?))))
    }

    /// The `index`-th trial (from 0) of each oracle image that has so many, in the order of [`Scan::stimuli`].
    pub fn repeat(&self, index: usize) -> Responses {
        let repeats = self.repeats();
        let trials = repeats.iter().filter_map(|(image, trials)| Some((*image, *trials.get(index)?)));
        self.measured(Measurement::SingleTrial, trials)
    }

    /// Mean over the trials of each oracle image, in the order of [`Scan::stimuli`]; no row where nothing was repeated.
    pub fn repeat_means(&self) -> Responses {
        let repeats = self.repeats();
        let mut values = Array2::zeros((repeats.len(), self.neurons().len()));
        for (mut row, trials) in values.rows_mut().into_iter().zip(repeats.values()) {
            let mut sums = vec![0.0f64; self.neurons().len()];
            for trial in trials {
                sums.iter_mut().zip(self.responses().row(*trial)).for_each(|(sum, value)| *sum += f64::from(*value));
            }
            row.iter_mut().zip(sums).for_each(|(mean, sum)| *mean = (sum / trials.len() as f64) as f32);
        }
        let ids = repeats.keys().map(|image| self.stimuli().ids()[*image]).collect();
        Responses { scan: self.name().to_owned(), kind: ResponseKind::Measured(Measurement::RepeatMean), ids, values }
    }

    fn measured(&self, measurement: Measurement, trials: impl Iterator<Item = (usize, usize)>) -> Responses {
        let (images, trials): (Vec<usize>, Vec<usize>) = trials.unzip();
        Responses {
            scan: self.name().to_owned(),
            kind: ResponseKind::Measured(measurement),
            ids: images.iter().map(|image| self.stimuli().ids()[*image]).collect(),
            values: self.responses().select(Axis(0), &trials),
        }
    }
}
