#![doc = include_str!("../README.md")]
//!
//! The loss is cross-entropy + alpha x similarity loss. The cross-entropy is that of labeled
//! images. The similarity loss is computed on pairs of stimuli: the similarity of a pair in the
//! network, a learned combination over the stem and the stages, should match its entry in a
//! [`SimilarityMatrix`](brainprior_similarity::SimilarityMatrix) of any origin (section 3 of the
//! paper). Both batches pass through the same network. The learning rate schedule, centering and
//! stem follow the paper or, if it does not say, the public code pixel-reg.
//!
//! The same seed gives the same bytes for any number of threads and after any interruption.
//!
//! The network is also a candle module, with weights from a `VarBuilder`: see
//! [`ResNet::from_vars`].

mod adversarial;
mod architecture;
mod blur;
mod candle;
mod checkpoint;
mod config;
mod error;
mod folder;
mod force;
mod loader;
mod network;
mod objective;
mod options;
mod pairs;
mod report;
mod rng;
mod split;
mod state;
mod target;
mod train;

pub use brainprior_kernels::Precision;
pub use config::{Centering, Mixture, NetConfig, RobustTraining, RunningStatistics, TrainConfig};
pub use error::{Divergence, Error, Result};
pub use network::{Evaluation, ResNet};
pub use options::TrainOptions;
pub use pairs::pair_numbers;
pub use report::{EpochReport, TrainEvent, Trained};
pub use split::Split;
pub use target::{PairSource, SampledPairs, Target};
pub use train::train;
