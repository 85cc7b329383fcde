//! Measured or predicted responses of one population to distinct images.

use crate::{Error, Result, Scan, Tier};
use brainprior_images::ImageId;
use ndarray::{Array2, Axis};
use std::collections::HashMap;

/// How responses were computed from trials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measurement {
    /// One trial per image.
    SingleTrial,
    /// The repeat average of each image.
    RepeatMean,
}

/// The images on which a response model was fitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fitting {
    /// The fitted images include the predicted ones.
    InSample,
    /// Each image is predicted by a model that was not fitted on its trials.
    CrossFitted,
}

/// The origin of responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseKind {
    /// Measured, from the trials of a scan.
    Measured(Measurement),
    /// Predicted by a response model.
    Predicted(Fitting),
    /// Noise-free expected responses of a simulated scan.
    Expected,
}

/// One response per image and neuron, `[images, neurons]`; images are distinct and values finite.
#[derive(Clone, Debug, PartialEq)]
pub struct Responses {
    scan: String,
    kind: ResponseKind,
    ids: Vec<ImageId>,
    values: Array2<f32>,
}

impl Responses {
    /// Takes one row of `values` per image in `ids`.
    ///
    /// # Errors
    /// Returns an error if the numbers of rows and images differ, an image occurs twice, or a value
    /// is not finite.
    pub fn new(
        scan: &str,
        kind: ResponseKind,
        ids: Vec<ImageId>,
        values: Array2<f32>,
    ) -> Result<Self> {
        if values.nrows() != ids.len() {
            return Err(Error::Size {
                what: "rows of responses",
                expected: format!("{}, one per image", ids.len()),
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

    /// Name of the scan that the neurons belong to.
    pub fn scan(&self) -> &str {
        &self.scan
    }

    /// The origin of the responses.
    pub fn kind(&self) -> ResponseKind {
        self.kind
    }

    /// The image of each row.
    pub fn ids(&self) -> &[ImageId] {
        &self.ids
    }

    /// `[images, neurons]`, in arbitrary units per neuron.
    pub fn values(&self) -> &Array2<f32> {
        &self.values
    }

    /// The rows of `images`, in that order.
    ///
    /// # Errors
    /// Returns an error if an image is missing or given twice.
    pub fn select(&self, images: &[ImageId]) -> Result<Self> {
        let position: HashMap<ImageId, usize> =
            self.ids.iter().enumerate().map(|(row, id)| (*id, row)).collect();
        let missing = |id| Error::MissingImage { scan: self.scan.clone(), id };
        let rows: Vec<usize> = images
            .iter()
            .map(|id| position.get(id).copied().ok_or_else(|| missing(*id)))
            .collect::<Result<_>>()?;
        Self::new(&self.scan, self.kind, images.to_vec(), self.values.select(Axis(0), &rows))
    }
}

impl Scan {
    /// The first trial of each image that is not in the test tier, in the order of
    /// [`Scan::stimuli`].
    pub fn single_trials(&self) -> Responses {
        let mut first = vec![None; self.stimuli().len()];
        for (trial, image) in self.trial_image().iter().enumerate() {
            if self.tiers()[trial] != Tier::Test {
                first[*image].get_or_insert(trial);
            }
        }
        self.measured(
            Measurement::SingleTrial,
            first.into_iter().enumerate().filter_map(|(image, trial)| Some((image, trial?))),
        )
    }

    /// The `index`-th trial (from 0) of each oracle image that has that many, in the order of
    /// [`Scan::stimuli`].
    pub fn repeat(&self, index: usize) -> Responses {
        let repeats = self.repeats();
        let trials =
            repeats.iter().filter_map(|(image, trials)| Some((*image, *trials.get(index)?)));
        self.measured(Measurement::SingleTrial, trials)
    }

    /// The repeat average of each oracle image, in the order of [`Scan::stimuli`]; empty without
    /// repeats.
    pub fn repeat_means(&self) -> Responses {
        let repeats = self.repeats();
        let mut values = Array2::zeros((repeats.len(), self.neurons().len()));
        for (mut row, trials) in values.rows_mut().into_iter().zip(repeats.values()) {
            let mut sums = vec![0.0f64; self.neurons().len()];
            for trial in trials {
                sums.iter_mut()
                    .zip(self.responses().row(*trial))
                    .for_each(|(sum, value)| *sum += f64::from(*value));
            }
            row.iter_mut()
                .zip(sums)
                .for_each(|(mean, sum)| *mean = (sum / trials.len() as f64) as f32);
        }
        let ids = repeats.keys().map(|image| self.stimuli().ids()[*image]).collect();
        Responses {
            scan: self.name().to_owned(),
            kind: ResponseKind::Measured(Measurement::RepeatMean),
            ids,
            values,
        }
    }

    fn measured(
        &self,
        measurement: Measurement,
        trials: impl Iterator<Item = (usize, usize)>,
    ) -> Responses {
        let (images, trials): (Vec<usize>, Vec<usize>) = trials.unzip();
        Responses {
            scan: self.name().to_owned(),
            kind: ResponseKind::Measured(measurement),
            ids: images.iter().map(|image| self.stimuli().ids()[*image]).collect(),
            values: self.responses().select(Axis(0), &trials),
        }
    }
}
