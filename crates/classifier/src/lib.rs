//! Residual networks trained to classify while their similarities follow a neural target.
//!
//! The loss is cross-entropy + alpha x similarity loss. The cross-entropy is that of labeled images. The similarity
//! loss is computed on pairs of stimuli: the similarity of a pair in the network, a learned combination over the stem
//! and the stages, should match its entry in a [`SimilarityMatrix`](brainprior_similarity::SimilarityMatrix) of any
//! origin (section 3 of the paper). Both batches pass through the same network. The learning rate schedule, centering
//! and stem follow the paper or, if it does not say, the public code pixel-reg.
//!
//! The same seed gives the same bytes for any number of threads and after any interruption.
//!
//! The network is also a candle module, with weights from a `VarBuilder`: see [`ResNet::from_vars`].
//!
//! ```
//! use brainprior_classifier::{ResNet, Target, TrainConfig, train};
//! use brainprior_images::LabeledImages;
//!
//! // Dark and bright images, 8 x 8 pixels.
//! let labels: Vec<u8> = (0..40).map(|image| image % 2).collect();
//! let pixels = labels.iter().flat_map(|label| (0..64).map(move |pixel| 100 * label + pixel)).collect();
//! let data = LabeledImages::new(1, 8, 8, pixels, labels, vec!["dark".into(), "bright".into()])?;
//!
//! let config = TrainConfig { blocks: vec![1, 1], base_channels: 4, epochs: 3, batch: 10, ..TrainConfig::default() };
//! let folder = tempfile::tempdir()?;
//! let trained = train(&data, &Target::None, &config, 1, folder.path(), &mut |_| ())?;
//! assert!(trained.last.evaluate(&data)?.accuracy > 0.9);
//!
//! let file = folder.path().join("network.safetensors");
//! trained.network.save(&file)?;
//! assert_eq!(ResNet::load(&file)?.config(), &config.net(1, 2));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

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
pub use pairs::pair_numbers;
pub use report::{EpochReport, TrainEvent, Trained};
pub use split::Split;
pub use target::{PairSource, SampledPairs, Target};
pub use train::{train, train_on};
