//! The state of an unfinished fit, from which it goes on to the same result.

use std::collections::BTreeMap;
use std::path::Path;

use brainprior_recording::Scan;
use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::schedule::Schedule;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::file::{self, Contents};
use crate::variables::{State, Variables};

const FORMAT: &str = "brainprior response-model checkpoint, version 4";
/// Prefixes of the tensors' names.
const CURRENT: &str = "current.";
const AVERAGE: &str = "average.";
const BEST: &str = "best.";
const ADAM: &str = "adam.";
const SCHEDULE: &str = "schedule";

/// What a checkpoint belongs to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Identity {
    format: String,
    seed: u64,
    config: Config,
    scans: Vec<ScanIdentity>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct ScanIdentity {
    name: String,
    content: String,
}

/// All that a fit has learned and its place in the schedule.
#[derive(Debug)]
pub(super) struct Checkpoint {
    pub(super) schedule: Schedule,
    pub(super) current: State,
    pub(super) average: State,
    pub(super) best: State,
    pub(super) adam: State,
}

impl Identity {
    pub(super) fn of(scans: &[&Scan], config: &Config, seed: u64) -> Self {
        let scans = scans.iter().map(|scan| ScanIdentity { name: scan.name().to_owned(), content: content(scan) }).collect();
        Self { format: FORMAT.to_owned(), seed, config: config.clone(), scans }
    }

    fn check(&self, found: &Identity, path: &Path) -> Result<()> {
        let fields = |identity: &Identity| serde_json::to_value(identity).expect("an identity is plain data");
        match first_difference("", &fields(found), &fields(self)) {
            None => Ok(()),
            Some((what, found, expected)) => Err(Error::ForeignCheckpoint { path: path.to_owned(), what, found, expected }),
        }
    }
}

/// The first field in which two values differ, by its keys, with both values of it.
fn first_difference(name: &str, found: &Value, expected: &Value) -> Option<(String, String, String)> {
    let below = |key: &str| if name.is_empty() { key.to_owned() } else { format!("{name}.{key}") };
    match (found, expected) {
        (Value::Object(a), Value::Object(b)) => a.keys().chain(b.keys().filter(|key| !a.contains_key(*key))).find_map(|key| {
            first_difference(&below(key), a.get(key).unwrap_or(&Value::Null), b.get(key).unwrap_or(&Value::Null))
        }),
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            (0..a.len()).find_map(|index| first_difference(&below(&index.to_string()), &a[index], &b[index]))
        }
        _ if found == expected => None,
        _ => Some((name.to_owned(), found.to_string(), expected.to_string())),
    }
}

impl Checkpoint {
    /// The checkpoint at `path`, if there is one, for the model of `variables`.
    pub(super) fn read(path: &Path, identity: &Identity, variables: &Variables) -> Result<Option<Self>> {
        if !path.exists() {
            return Ok(None);
        }
        let contents: Contents<Identity> = Contents::read(path, FORMAT)?;
        identity.check(&contents.header, path)?;
        let [epochs, steps, learning_rate, best, since_best, decays, finished] =
            contents.vector::<f64>(SCHEDULE, 7)?.try_into().expect("seven values");
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
            current: contents.state(CURRENT, variables)?,
            average: contents.state(AVERAGE, variables)?,
            best: contents.state(BEST, variables)?,
            adam: contents.under(ADAM),
        }))
    }

    /// Writes it to `path`, whole or not at all.
    pub(super) fn write(&self, path: &Path, identity: &Identity) -> Result<()> {
        let mut tensors = BTreeMap::new();
        for (prefix, state) in [(CURRENT, &self.current), (AVERAGE, &self.average), (BEST, &self.best), (ADAM, &self.adam)] {
            tensors.extend(state.iter().map(|(name, tensor)| (format!("{prefix}{name}"), tensor.clone())));
        }
        let s = &self.schedule;
        let finished = f64::from(u8::from(s.finished));
        let schedule = [s.epochs as f64, s.steps as f64, s.learning_rate, s.best, s.since_best as f64, s.decays as f64, finished];
        tensors.insert(SCHEDULE.to_owned(), Tensor::new(&schedule, &Device::Cpu)?);
        file::write(path, identity, tensors)
    }
}

/// FNV-1a over all that a fit reads of a scan.
fn content(scan: &Scan) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    let mut take = |bits: u64| {
        for byte in bits.to_le_bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    };
    scan.stimuli().ids().iter().for_each(|id| take(id.to_u64()));
    scan.trial_image().iter().for_each(|&image| take(image as u64));
    scan.tiers().iter().for_each(|tier| take(*tier as u64));
    let arrays = [Some(scan.responses()), scan.behavior(), scan.pupil_center()];
    for array in arrays {
        take(array.map_or(0, |array| 1 + array.ncols() as u64));
        array.into_iter().flatten().for_each(|value| take(u64::from(value.to_bits())));
    }
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_field_that_differs_is_named() {
        let value = |config: &Config| serde_json::to_value(config).unwrap();
        let mut other = Config::default();
        assert_eq!(first_difference("config", &value(&other), &value(&Config::default())), None);
        other.core.contrast_window = 10.0;
        let found = first_difference("config", &value(&other), &value(&Config::default())).unwrap();
        assert_eq!(found, ("config.core.contrast_window".into(), "10.0".into(), "6.0".into()));
        other = Config::default();
        other.core.kernels[1] = 5;
        let (name, ..) = first_difference("config", &value(&other), &value(&Config::default())).unwrap();
        assert_eq!(name, "config.core.kernels.1");
    }
}
