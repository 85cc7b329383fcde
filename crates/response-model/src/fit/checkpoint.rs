//! Checkpoints: the state of an unfinished fit, which resumes to the same result.

use std::collections::BTreeMap;
use std::path::Path;

use brainprior_artifact::archive::{self, Archive};
use brainprior_artifact::hash::{Hash, Hasher};
use brainprior_artifact::identity::Identity;
use brainprior_recording::Scan;
use candle_core::{Device, Tensor};
use serde::Serialize;

use super::schedule::Schedule;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::file;
use crate::variables::{State, Variables};

const FORMAT: &str = "brainprior response-model checkpoint, version 6";
const ADVICE: &str = "delete the checkpoint to start over, or give another path";
/// Prefixes of the tensor names.
const CURRENT: &str = "current.";
const AVERAGE: &str = "average.";
const BEST: &str = "best.";
const ADAM: &str = "adam.";
const SCHEDULE: &str = "schedule";

#[derive(Serialize)]
struct Settings<'a> {
    format: &'static str,
    config: &'a Config,
    /// Names of the scans.
    scans: Vec<&'a str>,
}

/// Everything a fit has learned, and its position in the schedule.
#[derive(Debug)]
pub(super) struct Checkpoint {
    pub(super) schedule: Schedule,
    pub(super) current: State,
    pub(super) average: State,
    pub(super) best: State,
    pub(super) adam: State,
}

/// The identity of the fit that a checkpoint belongs to.
pub(super) fn identity(scans: &[&Scan], config: &Config, seed: u64) -> Identity {
    let settings =
        Settings { format: FORMAT, config, scans: scans.iter().map(|scan| scan.name()).collect() };
    let contents = scans.iter().enumerate().map(|(s, scan)| (format!("scan {s}"), content(scan)));
    contents
        .fold(Identity::new(&settings, seed), |identity, (name, hash)| identity.input(name, hash))
}

impl Checkpoint {
    /// Reads the checkpoint at `path`, if it exists, for the model with `variables`.
    pub(super) fn read(
        path: &Path,
        identity: &Identity,
        variables: &Variables,
    ) -> Result<Option<Self>> {
        if !path.exists() {
            return Ok(None);
        }
        let archive = Archive::read(path, ADVICE)?;
        if let Some(difference) = identity.first_difference(&archive.header()?) {
            return Err(Error::ForeignCheckpoint { path: path.to_owned(), difference });
        }
        let [epochs, steps, learning_rate, best, since_best, decays, finished] =
            archive.values::<f64>(SCHEDULE, &[7])?.try_into().expect("seven values");
        let schedule = Schedule {
            epochs: epochs as usize,
            steps: steps as usize,
            learning_rate,
            best,
            since_best: since_best as usize,
            decays: decays as usize,
            finished: finished != 0.0,
        };
        Ok(Some(Self {
            schedule,
            current: file::state(&archive, CURRENT, variables)?,
            average: file::state(&archive, AVERAGE, variables)?,
            best: file::state(&archive, BEST, variables)?,
            adam: file::under(&archive, ADAM)?,
        }))
    }

    /// Writes the checkpoint to `path` atomically.
    pub(super) fn write(&self, path: &Path, identity: &Identity) -> Result<()> {
        let mut tensors = BTreeMap::new();
        for (prefix, state) in [
            (CURRENT, &self.current),
            (AVERAGE, &self.average),
            (BEST, &self.best),
            (ADAM, &self.adam),
        ] {
            tensors.extend(
                state.iter().map(|(name, tensor)| (format!("{prefix}{name}"), tensor.clone())),
            );
        }
        let s = &self.schedule;
        let finished = f64::from(u8::from(s.finished));
        let schedule = [
            s.epochs as f64,
            s.steps as f64,
            s.learning_rate,
            s.best,
            s.since_best as f64,
            s.decays as f64,
            finished,
        ];
        tensors.insert(SCHEDULE.to_owned(), Tensor::new(&schedule, &Device::Cpu)?);
        Ok(archive::write(path, identity, tensors)?)
    }
}

/// Hash of everything a fit reads from a scan.
fn content(scan: &Scan) -> Hash {
    let mut hasher = Hasher::default();
    scan.stimuli().ids().iter().for_each(|id| hasher.update(&id.to_u64().to_le_bytes()));
    scan.trial_image().iter().for_each(|image| hasher.update(&(*image as u64).to_le_bytes()));
    scan.tiers().iter().for_each(|tier| hasher.update(&[*tier as u8]));
    let arrays = [
        Some(scan.responses()),
        scan.behavior(),
        scan.pupil_center(),
        scan.neurons().coordinates(),
    ];
    for array in arrays {
        hasher.update(&array.map_or(0, |array| 1 + array.ncols() as u64).to_le_bytes());
        array.into_iter().flatten().for_each(|value| hasher.update(&value.to_le_bytes()));
    }
    hasher.finish()
}
