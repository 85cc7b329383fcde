//! The history of a training, written after each epoch as JSON and for TensorBoard.

use super::HISTORY;
use crate::artifacts::TrainingEpoch;
use crate::tensorboard::{self, Step};
use anyhow::Result;
use brainprior_artifact::json;
use brainprior_classifier::EpochReport;
use std::path::{Path, PathBuf};

/// Keeps both files in the folder of a training up to date.
pub(super) struct Followed {
    folder: PathBuf,
    history: Vec<TrainingEpoch>,
    unwritten: Option<anyhow::Error>,
}

impl Followed {
    /// Continues the history of an interrupted training.
    pub(super) fn in_folder(folder: &Path) -> Self {
        let history = json::read(&folder.join(HISTORY)).unwrap_or_default();
        Self { folder: folder.to_path_buf(), history, unwritten: None }
    }

    /// Adds an epoch, which replaces the same and later epochs of an interrupted training.
    pub(super) fn add(&mut self, report: &EpochReport) {
        let epoch = of(report);
        self.history.retain(|earlier| earlier.epoch < epoch.epoch);
        self.history.push(epoch);
        let written = self.write();
        self.unwritten = self.unwritten.take().or(written.err());
    }

    /// Writes all epochs of a finished training and returns their number. If the training was
    /// killed between a checkpoint and its report, that epoch was not added before.
    pub(super) fn finish(mut self, reports: &[EpochReport]) -> Result<usize> {
        self.unwritten.take().map_or(Ok(()), Err)?;
        self.history = reports.iter().map(of).collect();
        self.write()?;
        Ok(self.history.len())
    }

    fn write(&self) -> Result<()> {
        json::write(&self.folder.join(HISTORY), &self.history)?;
        tensorboard::write(&self.folder, &self.history.iter().map(step).collect::<Vec<_>>())
    }
}

fn of(report: &EpochReport) -> TrainingEpoch {
    TrainingEpoch {
        epoch: report.epoch + 1,
        loss: report.loss,
        cross_entropy: report.cross_entropy,
        similarity_loss: report.similarity_loss,
        train_accuracy: report.train_accuracy,
        validation_loss: report.validation_loss,
        validation_accuracy: report.validation_accuracy,
        pair_correlation: report.pair_correlation,
        gamma: report.gamma.clone(),
    }
}

fn step(epoch: &TrainingEpoch) -> Step {
    let known = [
        ("accuracy/training", Some(epoch.train_accuracy)),
        ("accuracy/validation", Some(epoch.validation_accuracy)),
        ("loss/training", Some(epoch.loss)),
        ("loss/training_cross_entropy", Some(epoch.cross_entropy)),
        ("loss/validation_cross_entropy", Some(epoch.validation_loss)),
        ("similarity/loss", epoch.similarity_loss),
        ("similarity/correlation_with_target", epoch.pair_correlation),
    ];
    let mut scalars: Vec<(String, f64)> =
        known.into_iter().filter_map(|(tag, value)| Some((tag.to_owned(), value?))).collect();
    // Without a target no layer is weighted.
    if epoch.similarity_loss.is_some() {
        let layers = epoch.gamma.iter().enumerate();
        scalars.extend(layers.map(|(layer, share)| (format!("gamma/{layer}"), *share)));
    }
    Step { epoch: epoch.epoch, scalars }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::fs;

    fn report(epoch: usize) -> EpochReport {
        EpochReport {
            epoch,
            loss: 1.0 / (epoch + 1) as f64,
            cross_entropy: 0.5,
            similarity_loss: epoch.is_multiple_of(2).then_some(0.25),
            train_accuracy: 0.5,
            validation_loss: 0.5,
            validation_accuracy: 0.5,
            pair_correlation: None,
            gamma: vec![0.5, 0.5],
        }
    }

    fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
        let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        paths.map(|path| (path.file_name().unwrap().into(), fs::read(&path).unwrap())).collect()
    }

    #[test]
    fn a_training_killed_anywhere_tells_of_every_epoch_once() {
        let folder = || tempfile::tempdir().unwrap();
        let reports: Vec<EpochReport> = (0..4).map(report).collect();
        let whole = folder();
        let mut followed = Followed::in_folder(whole.path());
        reports.iter().for_each(|report| followed.add(report));
        assert_eq!(followed.finish(&reports).unwrap(), 4);
        assert_eq!(files(whole.path()).len(), 2);
        // Reported up to `killed`; resumed one epoch earlier, there, or one later, so that the last
        // epoch was not reported.
        for killed in 1..4 {
            for resumed in killed - 1..=killed + 1 {
                let cut = folder();
                let mut followed = Followed::in_folder(cut.path());
                reports[..killed].iter().for_each(|report| followed.add(report));
                let mut followed = Followed::in_folder(cut.path());
                reports.iter().skip(resumed).for_each(|report| followed.add(report));
                followed.finish(&reports).unwrap();
                assert!(
                    files(cut.path()) == files(whole.path()),
                    "killed after {killed}, resumed after {resumed}"
                );
            }
        }
    }

    #[test]
    fn what_cannot_be_written_is_said_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let mut followed = Followed::in_folder(&folder.path().join("gone"));
        followed.add(&report(0));
        assert!(
            format!("{:#}", followed.finish(&[report(0)]).unwrap_err()).contains("history.json")
        );
    }
}
