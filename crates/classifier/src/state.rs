//! The complete state from which an interrupted training resumes.

use crate::architecture::Architecture;
use crate::checkpoint::{collect, restore, tensor};
use crate::objective::Centers;
use crate::{EpochReport, Error, NetConfig, ResNet, Result, Target, TrainConfig};
use brainprior_artifact::archive::{self, Archive};
use brainprior_artifact::hash::Hasher;
use brainprior_artifact::identity::Identity;
use brainprior_images::LabeledImages;
use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const FORMAT: &str = "brainprior-training-state";
const VERSION: u32 = 2;
/// Advice to users whose state is damaged or written by another version.
const ADVICE: &str = "use another folder, or remove this one and train again";
const FILE: &str = "training-state.safetensors";

/// Everything that must match for a training to be resumed.
pub(crate) fn identity(
    data: &LabeledImages,
    target: &Target,
    config: &TrainConfig,
    seed: u64,
) -> Identity {
    let mut images = Hasher::default();
    for size in [data.channels(), data.height(), data.width(), data.classes()] {
        images.update(&(size as u64).to_le_bytes());
    }
    images.update(data.pixels());
    images.update(data.labels());
    let mut pairs = Hasher::default();
    if let Some((stimuli, source)) = target.pairs() {
        pairs.update(&(stimuli.height() as u64).to_le_bytes());
        pairs.update(&(stimuli.width() as u64).to_le_bytes());
        // A stimulus is identified by its content.
        pairs.update(&source.fingerprint());
    }
    Identity::new(config, seed)
        .input("labeled images", images.finish())
        .input("target", pairs.finish())
}

/// Kind of the file.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Kind {
    format: String,
    version: u32,
}

#[derive(Serialize, Deserialize)]
struct Header {
    #[serde(flatten)]
    kind: Kind,
    identity: Identity,
    batches: u64,
    best_epoch: usize,
    best_batches: u64,
}

fn kind() -> Kind {
    Kind { format: FORMAT.to_owned(), version: VERSION }
}

/// A training after some epochs.
pub(crate) struct State {
    pub(crate) network: ResNet,
    /// Momentum of the parameters, by name.
    pub(crate) velocities: Vec<(String, Tensor)>,
    pub(crate) centers: Centers,
    pub(crate) best: ResNet,
    pub(crate) best_epoch: usize,
    pub(crate) epochs: Vec<EpochReport>,
}

/// Path of the state file of a training.
pub(crate) fn path(folder: &Path) -> PathBuf {
    folder.join(FILE)
}

impl State {
    /// The same on another device, except for the momentum, which the optimizer moves.
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

    /// Writes the state, atomically replacing that of an earlier epoch.
    pub(crate) fn write(&self, path: &Path, identity: &Identity) -> Result<()> {
        let mut tensors = BTreeMap::new();
        collect(&self.network, "network.", &mut tensors);
        collect(&self.best, "best.", &mut tensors);
        tensors.extend(
            self.velocities
                .iter()
                .map(|(name, tensor)| (format!("velocities.{name}"), tensor.clone())),
        );
        tensors.extend(
            self.centers
                .tensors()
                .iter()
                .map(|(layer, center)| (format!("centers.{layer}"), center.clone())),
        );
        let rows: Vec<f64> = self.epochs.iter().flat_map(EpochReport::row).collect();
        let columns = EpochReport::columns(self.network.config().layer_count());
        tensors.insert(
            "epochs".into(),
            Tensor::from_vec(rows, (self.epochs.len(), columns), &Device::Cpu)?,
        );
        let header = Header {
            kind: kind(),
            identity: identity.clone(),
            batches: self.network.batches(),
            best_epoch: self.best_epoch,
            best_batches: self.best.batches(),
        };
        Ok(archive::write(path, &header, tensors)?)
    }

    /// Reads the state at `path` for this network, if there is one.
    pub(crate) fn read(path: &Path, identity: &Identity, net: &NetConfig) -> Result<Option<Self>> {
        if !path.exists() {
            return Ok(None);
        }
        let file = Archive::read(path, ADVICE)?;
        let found: Kind = file.header()?;
        if found != kind() {
            let found = format!("{}, version {}", found.format, found.version);
            return Err(file
                .mismatch("metadata", format!("{FORMAT}, version {VERSION}"), found)
                .into());
        }
        let found: Header = file.header()?;
        if let Some(difference) = identity.first_difference(&found.identity) {
            return Err(Error::OtherTraining { path: path.to_owned(), difference });
        }
        let names = file.names();
        let velocities = names
            .iter()
            .filter_map(|name| name.strip_prefix("velocities.").map(|short| (name, short)))
            .map(|(name, short)| {
                Ok((short.to_owned(), tensor(&file, name, file.tensor(name)?.shape())?))
            })
            .collect::<Result<_>>()?;
        let centers = Architecture::layer_channels(net)
            .into_iter()
            .enumerate()
            .filter(|(layer, _)| names.contains(&format!("centers.{layer}")))
            .map(|(layer, channels)| {
                Ok((layer, tensor(&file, &format!("centers.{layer}"), &[channels])?))
            })
            .collect::<Result<_>>()?;
        let columns = EpochReport::columns(net.layer_count());
        let done = file.tensor("epochs")?.shape().first().copied().unwrap_or_default();
        let rows = file.values::<f64>("epochs", &[done, columns])?;
        Ok(Some(Self {
            network: restore(&file, "network.", net, found.batches)?,
            velocities,
            centers: Centers::from_tensors(centers),
            best: restore(&file, "best.", net, found.best_batches)?,
            best_epoch: found.best_epoch,
            epochs: rows
                .chunks_exact(columns)
                .enumerate()
                .map(|(epoch, row)| EpochReport::from_row(epoch, row))
                .collect(),
        }))
    }
}
