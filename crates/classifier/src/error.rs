//! What can go wrong between a data set and a trained network.

use brainprior_artifact::FileError;
use brainprior_artifact::identity::Difference;
use brainprior_images::ImageId;
use std::fmt;
use std::path::PathBuf;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or written, or does not have the layout of `data-specs/checkpoint.toml` or that of a training
    /// state.
    #[error(transparent)]
    File(#[from] FileError),
    /// A folder holds the state of a training with other settings, another seed or other data.
    #[error("{path}: {difference}; it belongs to another training, use another folder or remove it")]
    OtherTraining {
        /// The state file.
        path: PathBuf,
        /// The first thing that differs: a setting by its name, an input, the seed.
        difference: Difference,
    },
    /// A setting outside its range.
    #[error("{setting}: expected {expected}, found {found}")]
    Setting {
        /// The setting.
        setting: &'static str,
        /// Its range, in words.
        expected: &'static str,
        /// Its value.
        found: String,
    },
    /// Sizes that do not fit together.
    #[error("{what}: expected {expected}, found {found}")]
    Size {
        /// What has the size.
        what: &'static str,
        /// The size asked for.
        expected: String,
        /// The size given.
        found: String,
    },
    /// The target has similarities of an image that is not among the stimuli.
    #[error(
        "image {index} of the target matrix ({id}) is not among the {stimuli} stimuli; give the stimuli that it was computed from"
    )]
    MissingStimulus {
        /// Index in the matrix.
        index: usize,
        /// Its identity.
        id: ImageId,
        /// How many stimuli there are.
        stimuli: usize,
    },
    /// The loss is not a finite number any more.
    #[error("{0}; lower learning_rate or alpha")]
    Diverged(Box<Divergence>),
    /// Another process trains in this folder.
    #[error("{folder}: another process is training here; wait for it, or use another folder")]
    Busy {
        /// The folder.
        folder: PathBuf,
    },
    /// A tensor operation refused, mostly for a shape that does not fit.
    #[error("tensor operation: {0}")]
    Tensor(#[from] candle_core::Error),
    /// The images refused.
    #[error(transparent)]
    Images(#[from] brainprior_images::Error),
}

/// A loss that is not a finite number. Nothing of that step was taken in, and the network of the last finished epoch is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Divergence {
    /// Epoch, from 0.
    pub epoch: usize,
    /// Step of that epoch, from 0.
    pub step: usize,
    /// The learning rate of that step.
    pub learning_rate: f64,
    /// The joint loss.
    pub loss: f64,
    /// Its first part.
    pub cross_entropy: f64,
    /// Its second part, before alpha. `None` without a target.
    pub similarity_loss: Option<f64>,
    /// Which labeled images were in the batch.
    pub images: Vec<usize>,
    /// Number of the batch's first pair, over the whole training. `None` without a target.
    pub first_pair: Option<u64>,
    /// The network after the last finished epoch. `None` where none was finished.
    pub kept: Option<PathBuf>,
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self { epoch, step, learning_rate, loss, cross_entropy, .. } = self;
        write!(
            f,
            "epoch {epoch}, step {step}, learning rate {learning_rate}: the loss is {loss} (cross entropy {cross_entropy}"
        )?;
        if let Some(similarity_loss) = self.similarity_loss {
            write!(f, ", similarity loss {similarity_loss}")?;
        }
        write!(f, ") on a batch of {} labeled images ({})", self.images.len(), listed(&self.images))?;
        if let Some(pair) = self.first_pair {
            write!(f, " and the pairs from number {pair} on")?;
        }
        if let Some(kept) = &self.kept {
            write!(f, "; the network of the last good epoch is {}", kept.display())?;
        }
        Ok(())
    }
}

/// The first of many numbers.
fn listed(numbers: &[usize]) -> String {
    const SHOWN: usize = 8;
    let mut text = numbers.iter().take(SHOWN).map(usize::to_string).collect::<Vec<_>>().join(", ");
    if numbers.len() > SHOWN {
        text += ", ...";
    }
    text
}

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;
