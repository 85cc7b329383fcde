//! Errors of training and of networks.

use brainprior_artifact::FileError;
use brainprior_artifact::identity::Difference;
use brainprior_images::ImageId;
use std::fmt;
use std::path::PathBuf;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file cannot be read or written, or does not have the layout of
    /// `data-specs/checkpoint.toml` or of a training state.
    #[error(transparent)]
    File(#[from] FileError),
    /// A folder holds the state of a training with other settings, another seed or other data.
    #[error(
        "{path}: {difference}; the folder belongs to another training: use another folder or remove this one"
    )]
    OtherTraining {
        /// The state file.
        path: PathBuf,
        /// The first difference: a setting by name, an input, or the seed.
        difference: Difference,
    },
    /// A setting is out of range.
    #[error("{setting}: expected {expected}, found {found}")]
    Setting {
        /// The setting.
        setting: &'static str,
        /// Its range in words.
        expected: &'static str,
        /// Its value.
        found: String,
    },
    /// Two sizes do not match.
    #[error("{what}: expected {expected}, found {found}")]
    Size {
        /// The quantity whose size is wrong.
        what: &'static str,
        /// The expected size.
        expected: String,
        /// The size found.
        found: String,
    },
    /// The target has similarities for an image that is not among the stimuli.
    #[error(
        "image {index} of the target matrix ({id}) is not among the {stimuli} stimuli; pass the stimuli from which it was computed"
    )]
    MissingStimulus {
        /// Index in the matrix.
        index: usize,
        /// Its identity.
        id: ImageId,
        /// Number of stimuli.
        stimuli: usize,
    },
    /// The loss is no longer finite.
    #[error("{0}; lower learning_rate or alpha")]
    Diverged(Box<Divergence>),
    /// Another process is training in this folder.
    #[error("{folder}: another process is training here; wait for it, or use another folder")]
    Busy {
        /// The folder.
        folder: PathBuf,
    },
    /// A tensor operation failed, usually because shapes do not match.
    #[error("tensor operation: {0}")]
    Tensor(#[from] candle_core::Error),
    /// An error of the images.
    #[error(transparent)]
    Images(#[from] brainprior_images::Error),
}

/// A loss that is not finite. The failing step is discarded, and the network of the last finished
/// epoch is kept.
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
    /// Its cross-entropy term.
    pub cross_entropy: f64,
    /// Its similarity term, before alpha. `None` without a target.
    pub similarity_loss: Option<f64>,
    /// Indices of the labeled images in the batch.
    pub images: Vec<usize>,
    /// Number of the batch's first pair, counted over the whole training. `None` without a target.
    pub first_pair: Option<u64>,
    /// The network after the last finished epoch, if there is one.
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
        write!(
            f,
            ") on a batch of {} labeled images ({})",
            self.images.len(),
            listed(&self.images)
        )?;
        if let Some(pair) = self.first_pair {
            write!(f, " and the pairs from number {pair} on")?;
        }
        if let Some(kept) = &self.kept {
            write!(f, "; the network of the last good epoch is {}", kept.display())?;
        }
        Ok(())
    }
}

/// The first few of many numbers.
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
