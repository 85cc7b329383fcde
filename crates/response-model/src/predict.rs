//! Predictions for any image in a behavioral state, and for the trials of a scan.

use brainprior_images::StimulusSet;
use brainprior_recording::{Fitting, ResponseKind, Responses, Scan, Tier};
use candle_core::Tensor;
use ndarray::{Array2, ArrayView1};

use crate::error::{Error, Result};
use crate::model::{ResponseModel, ScanModel, rows};
use crate::presentations::{covariates, image_batch};
use crate::readout::read;
use crate::statistics::correlation;

/// Number of images or trials per forward pass.
const BATCH: usize = 64;

/// The state of the animal for which responses are predicted. The default is that of the paper's
/// target: the mean behavior of the training trials, and receptive fields at their average
/// position.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BehavioralState {
    /// Behavior in the scan's units and columns (pupil dilation, its derivative, running speed);
    /// `None` for the training mean.
    pub behavior: Option<Vec<f32>>,
    /// Shift of all receptive fields, (x, y) in half image widths and heights.
    pub shift: [f32; 2],
}

impl ResponseModel {
    /// Predicts responses of scan number `scan` to `stimuli` in the scan's units, in the default
    /// [`BehavioralState`]. The paper's similarities are computed from these. They are marked
    /// in-sample, since `stimuli` may include training images.
    ///
    /// # Errors
    /// Returns [`Error::NoSuchScan`] or [`Error::ImageSize`].
    pub fn predict(&self, scan: usize, stimuli: &StimulusSet) -> Result<Responses> {
        self.predict_at(scan, stimuli, &BehavioralState::default())
    }

    /// Like [`ResponseModel::predict`], in any behavioral state.
    ///
    /// # Errors
    /// Returns [`Error::NoSuchScan`], [`Error::ImageSize`] or [`Error::Behavior`].
    #[expect(clippy::missing_panics_doc, reason = "a row comes for each image")]
    pub fn predict_at(
        &self,
        scan: usize,
        stimuli: &StimulusSet,
        at: &BehavioralState,
    ) -> Result<Responses> {
        let part = self.part(scan)?;
        self.check_size(&part.name, stimuli)?;
        let neurons = part.normalization.varies.len();
        let mut predicted = Vec::with_capacity(stimuli.len() * neurons);
        let images = (0..stimuli.len()).map(|i| stimuli.image(i));
        self.predict_stream(scan, images, at, &mut |row| predicted.extend(row))?;
        let values =
            Array2::from_shape_vec((stimuli.len(), neurons), predicted).expect("one row an image");
        let kind = ResponseKind::Predicted(Fitting::InSample);
        Ok(Responses::new(&part.name, kind, stimuli.ids().to_vec(), values)?)
    }

    /// Predicts one image after another and passes each row of responses, one value per neuron in
    /// the scan's units, to `take`. Memory does not grow with the number of images. Each image has
    /// height x width values, row-major, in the scale of the training images.
    ///
    /// # Errors
    /// Returns [`Error::NoSuchScan`], [`Error::ImageSize`] if an image has the wrong number of
    /// pixels, or [`Error::Behavior`].
    pub fn predict_stream<'a>(
        &self,
        scan: usize,
        images: impl IntoIterator<Item = &'a [f32]>,
        at: &BehavioralState,
        take: &mut dyn FnMut(&[f32]),
    ) -> Result<()> {
        let part = self.part(scan)?;
        let behavior = self.state(part, at)?;
        let mut images = images.into_iter();
        loop {
            let batch: Vec<&[f32]> = images.by_ref().take(BATCH).collect();
            if batch.is_empty() {
                return Ok(());
            }
            let area = self.image.height * self.image.width;
            if let Some(image) = batch.iter().find(|image| image.len() != area) {
                return Err(Error::Pixels {
                    height: self.image.height,
                    width: self.image.width,
                    found: image.len(),
                });
            }
            let count = batch.len();
            let pyramid =
                self.pyramid(&image_batch(batch.into_iter(), &self.image, self.device())?)?;
            let shift = match at.shift {
                [0.0, 0.0] => None,
                shift => Some(
                    Tensor::new(&shift, self.device())?
                        .unsqueeze(0)?
                        .broadcast_as((count, 2))?
                        .contiguous()?,
                ),
            };
            let values = &read(&[part.head.reading(shift)], &pyramid)?[0];
            let behavior = behavior
                .as_ref()
                .map(|row| row.broadcast_as((count, row.dim(1)?))?.contiguous())
                .transpose()?;
            for row in part.head.rates(values, behavior.as_ref())?.to_vec2::<f32>()? {
                take(&part.in_scan_units(&row).collect::<Vec<_>>());
            }
        }
    }

    /// Predicts responses `[trials, neurons]` in trials of `recorded`, scan number `scan` of the
    /// fit, with each trial's behavior and pupil, in the scan's units.
    ///
    /// # Errors
    /// Returns [`Error::NoSuchScan`], [`Error::ScanMismatch`] if `recorded` is another scan, or
    /// [`Error::NoSuchTrial`].
    #[expect(clippy::missing_panics_doc, reason = "every image shown is among the images")]
    pub fn predict_trials(
        &self,
        scan: usize,
        recorded: &Scan,
        trials: &[usize],
    ) -> Result<Array2<f32>> {
        let part = self.part(scan)?;
        self.check_scan(part, recorded)?;
        let count = recorded.trial_image().len();
        if let Some(&trial) = trials.iter().find(|&&t| t >= count) {
            return Err(Error::NoSuchTrial { scan: part.name.clone(), trial, trials: count });
        }
        // Sorted by image, so that repeats of an image share its pass through the core.
        let mut order: Vec<usize> = (0..trials.len()).collect();
        order.sort_by_key(|&i| recorded.trial_image()[trials[i]]);
        let mut predicted = Array2::zeros((trials.len(), part.normalization.varies.len()));
        for chunk in order.chunks(BATCH) {
            let shown: Vec<usize> =
                chunk.iter().map(|&i| recorded.trial_image()[trials[i]]).collect();
            let mut images = shown.clone();
            images.dedup();
            let pyramid = self.pyramid(&image_batch(
                images.iter().map(|&i| recorded.stimuli().image(i)),
                &self.image,
                self.device(),
            )?)?;
            let pyramid = pyramid.rows(
                &shown
                    .iter()
                    .map(|i| images.binary_search(i).expect("sorted") as u32)
                    .collect::<Vec<_>>(),
            )?;
            let rows: Vec<Option<usize>> = chunk.iter().map(|&i| Some(trials[i])).collect();
            let own = covariates(recorded, &rows, &part.normalization, self.device())?;
            let values = &read(&[part.head.reading(part.head.shift(&own)?)], &pyramid)?[0];
            let rates = part.head.rates(values, own.behavior.as_ref())?;
            for (&i, rates) in chunk.iter().zip(rates.to_vec2::<f32>()?) {
                predicted
                    .row_mut(i)
                    .iter_mut()
                    .zip(part.in_scan_units(&rates))
                    .for_each(|(value, rate)| *value = rate);
            }
        }
        Ok(predicted)
    }

    /// Correlation of predictions with observations over the trials of `tier`, for each neuron.
    pub(crate) fn tier_correlation(
        &self,
        scan: usize,
        recorded: &Scan,
        tier: Tier,
    ) -> Result<Vec<Option<f32>>> {
        let trials = recorded.trials_in(tier);
        let predicted = self.predict_trials(scan, recorded, &trials)?;
        Ok(correlations(recorded, &trials, &predicted, &self.scans[scan].normalization.varies))
    }

    /// The z-scored behavior `[1, columns]` of a state; `None` for the training mean.
    fn state(&self, part: &ScanModel, at: &BehavioralState) -> Result<Option<Tensor>> {
        let columns = part.normalization.behavior.as_ref().map_or(0, |by| by.columns());
        match (&at.behavior, &part.normalization.behavior) {
            (None, _) => Ok(None),
            (Some(row), Some(by)) if row.len() == columns && row.iter().all(|v| v.is_finite()) => {
                let row = ArrayView1::from(row.as_slice()).insert_axis(ndarray::Axis(0)).to_owned();
                rows(&row, by, self.device()).map(Some)
            }
            (Some(row), _) => {
                Err(Error::Behavior { scan: part.name.clone(), columns, found: row.clone() })
            }
        }
    }
}

/// Correlation over `trials` of each neuron's predictions `[trials, neurons]` with its recorded
/// responses; `None` if the neuron does not vary in training (`varies`) or over these trials.
pub fn correlations(
    recorded: &Scan,
    trials: &[usize],
    predicted: &Array2<f32>,
    varies: &[bool],
) -> Vec<Option<f32>> {
    let neuron = |n: usize| {
        let observed = recorded.responses().column(n);
        let pairs = trials
            .iter()
            .zip(predicted.column(n))
            .map(|(&t, &p)| (f64::from(p), f64::from(observed[t])));
        if varies[n] { correlation(pairs).map(|r| r as f32) } else { None }
    };
    (0..varies.len()).map(neuron).collect()
}

impl ScanModel {
    /// Rates of one trial or image in the scan's units; a neuron that was constant in training
    /// keeps its value.
    fn in_scan_units<'a>(&'a self, rates: &'a [f32]) -> impl Iterator<Item = f32> + 'a {
        let by = &self.normalization;
        (0..rates.len())
            .map(|n| if by.varies[n] { rates[n] } else { by.response_mean[n] } * by.response_std[n])
    }
}
