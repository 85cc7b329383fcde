//! All that a training goes on from after an interruption.

use crate::architecture::Architecture;
use crate::archive::{self, Archive};
use crate::checkpoint::{collect, restore};
use crate::objective::Centers;
use crate::{EpochReport, Error, NetConfig, ResNet, Result, Target, TrainConfig};
use brainprior_images::LabeledImages;
use candle_core::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

const FORMAT: &str = "brainprior-training-state";
const VERSION: u32 = 2;
const FILE: &str = "training-state.safetensors";

/// What makes two trainings the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Identity {
    config: TrainConfig,
    seed: u64,
    data: String,
    target: String,
}

impl Identity {
    pub(crate) fn new(data: &LabeledImages, target: &Target, config: &TrainConfig, seed: u64) -> Self {
        let mut hash = Sha256::new();
        for size in [data.channels(), data.height(), data.width(), data.classes()] {
            hash.update((size as u64).to_le_bytes());
        }
        hash.update(data.pixels());
        hash.update(data.labels());
        let data = hex(hash);
        let mut hash = Sha256::new();
        if let Some((stimuli, source)) = target.pairs() {
            hash.update((stimuli.height() as u64).to_le_bytes());
            hash.update((stimuli.width() as u64).to_le_bytes());
            // The identity of a stimulus is its content.
            hash.update(source.fingerprint());
        }
        Self { config: config.clone(), seed, data, target: hex(hash) }
    }
}

fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[derive(Serialize, Deserialize)]
struct Description {
    identity: Identity,
    batches: u64,
    best_epoch: usize,
    best_batches: u64,
}

/// A training after some epochs.
pub(crate) struct State {
    pub(crate) network: ResNet,
    /// Velocities of the gradient descent, by name.
    pub(crate) velocities: Vec<(String, Tensor)>,
    pub(crate) centers: Centers,
    pub(crate) best: ResNet,
    pub(crate) best_epoch: usize,
    pub(crate) epochs: Vec<EpochReport>,
}

/// Where the state of a training is kept.
pub(crate) fn path(folder: &Path) -> PathBuf {
    folder.join(FILE)
}

impl State {
    /// The same on a device, but for the velocities, which the optimizer takes there.
    pub(crate) fn to_device(&self, device: &Device) -> Result<Self> {
        Ok(Self {
            network: self.network.to_device(device)?,
            velocities: self.velocities.clone(),
            centers: self.centers.to_device(device)?,
            best: self.best.to_device(device)?,
            best_epoch: self.best_epoch,
            epochs: self.epochs.clone(),
        })
    }

    /// Writes the state, replacing that of an earlier epoch in one move.
    pub(crate) fn write(&self, path: &Path, identity: &Identity) -> Result<()> {
        let mut tensors = BTreeMap::new();
        collect(&self.network, "network.", &mut tensors);
        collect(&self.best, "best.", &mut tensors);
        tensors.extend(self.velocities.iter().map(|(name, tensor)| (format!("velocities.{name}"), tensor.clone())));
        tensors.extend(self.centers.tensors().iter().map(|(layer, center)| (format!("centers.{layer}"), center.clone())));
        let rows: Vec<f64> = self.epochs.iter().flat_map(EpochReport::row).collect();
        let columns = EpochReport::columns(self.network.config().layer_count());
        tensors.insert("epochs".into(), Tensor::from_vec(rows, (self.epochs.len(), columns), &Device::Cpu)?);
        let description = Description {
            identity: identity.clone(),
            batches: self.network.batches(),
            best_epoch: self.best_epoch,
            best_batches: self.best.batches(),
        };
        archive::write(path, FORMAT, VERSION, description, tensors)
    }

    /// The state at `path` of a training of this network, if there is one.
    pub(crate) fn read(path: &Path, identity: &Identity, net: &NetConfig) -> Result<Option<Self>> {
        if !path.exists() {
            return Ok(None);
        }
        let bytes = archive::read_bytes(path)?;
        let file = Archive::open(path, &bytes)?;
        let found: Description = file.metadata(FORMAT, VERSION)?;
        identity.check(&found.identity, path)?;
        let names = file.names();
        let velocities = names
            .iter()
            .filter_map(|name| name.strip_prefix("velocities.").map(|short| (name, short)))
            .map(|(name, short)| Ok((short.to_owned(), file.tensor(name, DType::F32, &file.shape(name)?)?)))
            .collect::<Result<_>>()?;
        let centers = Architecture::layer_channels(net)
            .into_iter()
            .enumerate()
            .filter(|(layer, _)| names.contains(&format!("centers.{layer}").as_str()))
            .map(|(layer, channels)| Ok((layer, file.tensor(&format!("centers.{layer}"), DType::F32, &[channels])?)))
            .collect::<Result<_>>()?;
        let columns = EpochReport::columns(net.layer_count());
        let done = file.shape("epochs")?.first().copied().unwrap_or_default();
        let rows = file.tensor("epochs", DType::F64, &[done, columns])?.to_vec2::<f64>()?;
        Ok(Some(Self {
            network: restore(&file, "network.", net, found.batches)?,
            velocities,
            centers: Centers::from_tensors(centers),
            best: restore(&file, "best.", net, found.best_batches)?,
            best_epoch: found.best_epoch,
            epochs: rows.iter().enumerate().map(|(epoch, row)| EpochReport::from_row(epoch, row)).collect(),
        }))
    }
}

impl Identity {
    /// As JSON.
    pub(crate) fn describe(&self) -> String {
        serde_json::to_string(self).expect("plain data without maps")
    }

    fn check(&self, found: &Self, path: &Path) -> Result<()> {
        let other = |what: String, expected: String, found: String| {
            if expected == found {
                return Ok(());
            }
            Err(Error::OtherTraining { path: path.to_owned(), what, expected, found })
        };
        for (setting, (expected, found)) in differences(&settings(&self.config), &settings(&found.config)) {
            other(setting, expected, found)?;
        }
        other("seed".into(), self.seed.to_string(), found.seed.to_string())?;
        other("SHA-256 of the labeled images".into(), self.data.clone(), found.data.clone())?;
        other("SHA-256 of the target".into(), self.target.clone(), found.target.clone())
    }
}

/// Every setting by its path, as JSON.
fn settings(config: &TrainConfig) -> BTreeMap<String, String> {
    fn flatten(path: &str, value: &serde_json::Value, into: &mut BTreeMap<String, String>) {
        match value {
            serde_json::Value::Object(fields) => fields.iter().for_each(|(name, value)| {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                flatten(&path, value, into);
            }),
            value => drop(into.insert(path.to_owned(), value.to_string())),
        }
    }
    let mut flat = BTreeMap::new();
    flatten("", &serde_json::to_value(config).expect("plain data without maps"), &mut flat);
    flat
}

/// What two sets of settings disagree in: the setting, its value in each.
fn differences(first: &BTreeMap<String, String>, second: &BTreeMap<String, String>) -> Vec<(String, (String, String))> {
    let names: BTreeSet<&String> = first.keys().chain(second.keys()).collect();
    let value = |settings: &BTreeMap<String, String>, name: &str| settings.get(name).map_or("none".to_owned(), String::clone);
    let both = |name: &String| (name.clone(), (value(first, name), value(second, name)));
    names.into_iter().map(both).filter(|(_, (first, second))| first != second).collect()
}
