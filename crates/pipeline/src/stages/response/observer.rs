//! Progress reports of the fits.

use super::EPOCHS;
use crate::artifacts::ResponseEpoch;
use crate::run::{Bar, Context};
use crate::tensorboard::{self, Step};
use anyhow::Result;
use brainprior_artifact::json;
use brainprior_response_model::FitEvent;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Learning curves by fit and epoch.
pub(super) type Curves = BTreeMap<String, BTreeMap<usize, ResponseEpoch>>;

/// Reports the progress of fits and keeps their learning curves.
pub(super) struct FitProgress<'a> {
    context: &'a Context,
    folder: PathBuf,
    /// The curves of all fits, stored with their checkpoints so that the curve of a resumed fit is
    /// complete.
    curves: Curves,
    fit: String,
    bar: Box<dyn Bar>,
    message: String,
    unwritten: Option<anyhow::Error>,
}

impl<'a> FitProgress<'a> {
    pub(super) fn new(context: &'a Context, folder: &Path) -> Self {
        Self {
            context,
            curves: json::read(&folder.join(EPOCHS)).unwrap_or_default(),
            folder: folder.to_path_buf(),
            fit: String::new(),
            bar: context.progress.bar("response model", 1),
            message: String::new(),
            unwritten: None,
        }
    }

    pub(super) fn start(&mut self, fit: String) {
        self.fit = fit;
    }

    /// Returns an error if a curve could not be written.
    pub(super) fn check(&mut self) -> Result<()> {
        self.unwritten.take().map_or(Ok(()), Err)
    }

    /// The curves of all fits, and that of this fit for TensorBoard, in a folder of its own.
    fn write(&self) -> Result<()> {
        json::write(&self.folder.join(EPOCHS), &self.curves)?;
        let step = |epoch: &ResponseEpoch| Step {
            epoch: epoch.epoch,
            scalars: vec![
                ("loss/training".to_owned(), epoch.loss),
                ("correlation/validation".to_owned(), epoch.validation_correlation),
            ],
        };
        let steps: Vec<Step> = self.curves[&self.fit].values().map(step).collect();
        tensorboard::write(&self.folder.join(self.fit.replace(' ', "")), &steps)
    }

    pub(super) fn observe(&mut self, event: &FitEvent) {
        let progress = &self.context.progress;
        match event {
            FitEvent::Fold { fold } => self.fit = format!("fold {fold}"),
            FitEvent::Step { epoch, done, total } => {
                let most = self.context.config.response.optimization.max_epochs;
                self.bar.set((epoch * total + done) as u64, (most * total) as u64, &self.message);
            }
            FitEvent::Epoch { epoch, train_loss, validation_correlation, .. } => {
                let point = ResponseEpoch {
                    epoch: epoch + 1,
                    loss: *train_loss,
                    validation_correlation: *validation_correlation,
                };
                self.curves.entry(self.fit.clone()).or_default().insert(epoch + 1, point);
                self.unwritten = self.unwritten.take().or(self.write().err());
                self.message = format!(
                    "{}, epoch {}, validation correlation {validation_correlation:.3}",
                    self.fit,
                    epoch + 1
                );
            }
            FitEvent::WithoutModulator { scan } => progress.line(&format!(
                "    {scan}: no behavior data, so its rates have no gain modulation"
            )),
            FitEvent::WithoutShifter { scan } => progress.line(&format!(
                "    {scan}: no pupil center, so its receptive fields do not shift"
            )),
            FitEvent::NeverVarying { scan, neurons } => {
                progress.line(&format!("    {scan}: {neurons} neurons are constant over the training trials and are left out"));
            }
            FitEvent::Resumed { epochs } => progress
                .line(&format!("    response model, {}: resuming after epoch {epochs}", self.fit)),
            _ => {}
        }
    }
}
