//! Batches of distinct images over all scans: one pass through the core serves every scan.

use brainprior_images::StimulusSet;
use brainprior_recording::{Scan, Tier};
use candle_core::{Device, Tensor};

use crate::error::Result;
use crate::model::ResponseModel;
use crate::normalization::{ColumnNormalization, ImageNormalization, ScanNormalization};

/// An image with at most one trial of it per scan.
///
/// The core's output depends only on the image, not on behavior or gaze, and scans share images, so
/// an image passes through the core once for all its trials. Repeats within a scan become further
/// presentations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Presentation {
    /// Index into the union of all scans' images.
    pub(crate) image: usize,
    /// For each scan, the row of its trial.
    pub(crate) trials: Vec<Option<usize>>,
}

/// The presentations of all scans of a fit.
pub(crate) struct Presentations<'a> {
    scans: &'a [&'a Scan],
    images: StimulusSet,
    training_trials: Vec<Vec<usize>>,
    training: Vec<Presentation>,
    validation: Vec<Presentation>,
}

/// The part of a batch that belongs to one scan; rows of `[batch, ...]` without a trial are zero
/// and have weight zero.
pub(crate) struct ScanBatch {
    pub(crate) responses: Tensor,
    pub(crate) weights: Tensor,
    pub(crate) covariates: Covariates,
}

/// Z-scored covariates of a batch, `[batch, columns]`; `None` if the scan has none.
#[derive(Default)]
pub(crate) struct Covariates {
    pub(crate) behavior: Option<Tensor>,
    pub(crate) pupil: Option<Tensor>,
}

impl<'a> Presentations<'a> {
    pub(crate) fn new(scans: &'a [&'a Scan]) -> Result<Self> {
        let images =
            StimulusSet::union(&scans.iter().map(|scan| scan.stimuli()).collect::<Vec<_>>())?;
        let in_tier = |tier: Tier| -> Vec<Vec<usize>> {
            scans.iter().map(|scan| scan.trials_in(tier)).collect()
        };
        let training_trials = in_tier(Tier::Train);
        let training = present(scans, &images, &training_trials);
        let validation = present(scans, &images, &in_tier(Tier::Validation));
        Ok(Self { scans, images, training_trials, training, validation })
    }

    /// For each scan, the trials in its training tier.
    pub(crate) fn training_trials(&self) -> &[Vec<usize>] {
        &self.training_trials
    }

    pub(crate) fn training(&self) -> &[Presentation] {
        &self.training
    }

    pub(crate) fn validation(&self) -> &[Presentation] {
        &self.validation
    }

    /// The training images, each once.
    pub(crate) fn training_images(&self) -> impl Iterator<Item = &[f32]> + Clone {
        let mut indices: Vec<usize> = self.training.iter().map(|p| p.image).collect();
        indices.sort_unstable();
        indices.dedup();
        indices.into_iter().map(|i| self.images.image(i))
    }

    /// Normalized images of `presentations`, `[batch, 1, height, width]`.
    pub(crate) fn image_batch(
        &self,
        presentations: &[&Presentation],
        by: &ImageNormalization,
        device: &Device,
    ) -> Result<Tensor> {
        image_batch(presentations.iter().map(|p| self.images.image(p.image)), by, device)
    }

    /// The part of scan `scan` in a batch; `None` if it has no trial of these images. `weight` is
    /// the weight of each trial and neuron. The batch is on the device of the model.
    pub(crate) fn scan_batch(
        &self,
        scan: usize,
        presentations: &[&Presentation],
        model: &ResponseModel,
        weight: f32,
    ) -> Result<Option<ScanBatch>> {
        let (by, loss, device) =
            (&model.scans[scan].normalization, &model.config.loss, model.device());
        let trials: Vec<Option<usize>> = presentations.iter().map(|p| p.trials[scan]).collect();
        if trials.iter().all(Option::is_none) {
            return Ok(None);
        }
        let recorded = self.scans[scan];
        let (rows, neurons) = (trials.len(), recorded.responses().ncols());
        let mut responses = Vec::with_capacity(rows * neurons);
        let mut weights = Vec::with_capacity(rows * neurons);
        for trial in &trials {
            match trial {
                Some(trial) => {
                    responses.extend(by.responses(recorded.responses().row(*trial).iter(), loss));
                    weights
                        .extend(by.varies.iter().map(|&varies| if varies { weight } else { 0.0 }));
                }
                None => {
                    responses.resize(responses.len() + neurons, 0.0);
                    weights.resize(weights.len() + neurons, 0.0);
                }
            }
        }
        Ok(Some(ScanBatch {
            responses: Tensor::from_vec(responses, (rows, neurons), device)?,
            weights: Tensor::from_vec(weights, (rows, neurons), device)?,
            covariates: covariates(recorded, &trials, by, device)?,
        }))
    }
}

/// Normalized images, `[batch, 1, height, width]`.
pub(crate) fn image_batch<'a>(
    images: impl Iterator<Item = &'a [f32]>,
    by: &ImageNormalization,
    device: &Device,
) -> Result<Tensor> {
    let mut pixels = Vec::new();
    images.for_each(|image| by.apply(image, &mut pixels));
    let count = pixels.len() / (by.height * by.width);
    Ok(Tensor::from_vec(pixels, (count, 1, by.height, by.width), device)?)
}

/// Z-scored covariates of `trials`; zero, the training mean, for missing trials.
pub(crate) fn covariates(
    scan: &Scan,
    trials: &[Option<usize>],
    by: &ScanNormalization,
    device: &Device,
) -> Result<Covariates> {
    let gather = |values: Option<&ndarray::Array2<f32>>, by: &Option<ColumnNormalization>| {
        let (Some(values), Some(by)) = (values, by) else { return Ok(None) };
        let mut rows = Vec::with_capacity(trials.len() * by.columns());
        for trial in trials {
            match trial {
                Some(trial) => rows.extend(by.apply(values.row(*trial).iter())),
                None => rows.resize(rows.len() + by.columns(), 0.0),
            }
        }
        Tensor::from_vec(rows, (trials.len(), by.columns()), device).map(Some)
    };
    Ok(Covariates {
        behavior: gather(scan.behavior(), &by.behavior)?,
        pupil: gather(scan.pupil_center(), &by.pupil)?,
    })
}

/// The presentations of the given trials of each scan.
fn present(scans: &[&Scan], images: &StimulusSet, trials: &[Vec<usize>]) -> Vec<Presentation> {
    let mut of_image: Vec<Vec<Vec<usize>>> = vec![vec![Vec::new(); scans.len()]; images.len()];
    for (s, (scan, trials)) in scans.iter().zip(trials).enumerate() {
        let ids = scan.stimuli().ids();
        let in_union: Vec<usize> =
            ids.iter().map(|id| images.position(*id).expect("the union has every image")).collect();
        for trial in trials {
            of_image[in_union[scan.trial_image()[*trial]]][s].push(*trial);
        }
    }
    let mut presentations = Vec::new();
    for (image, trials) in of_image.iter().enumerate() {
        for k in 0..trials.iter().map(Vec::len).max().unwrap_or(0) {
            let trials = trials.iter().map(|of_scan| of_scan.get(k).copied()).collect();
            presentations.push(Presentation { image, trials });
        }
    }
    presentations
}
