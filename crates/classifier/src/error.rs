//! What can go wrong between a data set and a trained network.

use brainprior_images::ImageId;
use std::path::PathBuf;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or written.
    #[error("{path}: {doing}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file does not have the layout of `data-specs/checkpoint.toml`, or not that of a training state.
    #[error("{path}: {dataset}: expected {expected}, found {found}; {advice}")]
    Layout {
        /// The file.
        path: PathBuf,
        /// The tensor or the header.
        dataset: String,
        /// What the layout asks for.
        expected: String,
        /// What is there.
        found: String,
        /// What to do.
        advice: &'static str,
    },
    /// A folder holds the state of a training with other settings, another seed or other data.
    #[error(
        "{path}: {what}: expected {expected}, found {found}; it belongs to another training, use another folder or remove it"
    )]
    OtherTraining {
        /// The state file.
        path: PathBuf,
        /// What differs: a setting by its path, the seed, the data.
        what: String,
        /// As asked for now.
        expected: String,
        /// As stored.
        found: String,
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
    /// The loss is not a finite number any more. Nothing of that step was taken in, and the network of the last finished
    /// epoch is kept.
    #[error(
        "epoch {epoch}, step {step}, learning rate {learning_rate}: the loss is {loss} (cross entropy {cross_entropy}, similarity \
         loss {}) on a batch of {} labelled images ({}){}; lower learning_rate or alpha{}",
        .similarity_loss.map_or("none".to_owned(), |loss| loss.to_string()),
        .images.len(),
        listed(.images),
        .first_pair.map_or(String::new(), |pair| format!(" and the pairs from number {pair} on")),
        .kept.as_ref().map_or(String::new(), |kept| format!("; the network of the last good epoch is {}", kept.display())),
    )]
    Diverged {
        /// Epoch, from 0.
        epoch: usize,
        /// Step of that epoch, from 0.
        step: usize,
        /// The learning rate of that step.
        learning_rate: f64,
        /// The joint loss.
        loss: f64,
        /// Its first part.
        cross_entropy: f64,
        /// Its second part, before alpha. `None` without a target.
        similarity_loss: Option<f64>,
        /// Which labelled images were in the batch.
        images: Vec<usize>,
        /// Number of the batch's first pair, over the whole training. `None` without a target.
        first_pair: Option<u64>,
        /// The network after the last finished epoch. `None` where none was finished.
        kept: Option<PathBuf>,
    },
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
