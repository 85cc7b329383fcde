//! Predictive models of neural responses: the expected response of a population to any image,
//! without single-trial noise.
//!
//! All neurons of all scans share a convolutional core. Each scan adds a pyramid readout (one
//! position per neuron, read at several scales), a shifter (receptive fields move with the pupil)
//! and a modulator (behavior scales the rates), as in Sinz et al. 2018 and Walker et al. 2019, on
//! which Li et al. 2019 (section 2) build. The model is trained with a Poisson loss on single
//! trials. [`ResponseModel::predict`] then gives the denoised responses from which representational
//! similarities are computed, and [`ResponseModel::v_a`] the neurons' validation correlations.
//!
//! Two design choices make fits fast on a CPU. The core's output depends only on the image, so
//! batches consist of distinct images over all scans, and one pass through the core serves every
//! scan's trials of them. And receptive fields are located by reverse correlation before training,
//! which saves the readout many epochs.
//!
//! ```
//! use brainprior_images::StimulusSet;
//! use brainprior_recording::simulation::{SimulationConfig, simulate};
//! use brainprior_response_model::{Config, FitEvent, ResponseModel, fit};
//!
//! // A simulated scan of gratings; `brainprior_recording::read_scan` reads a recorded one.
//! let grating = |image: usize| (0..18 * 32).map(move |pixel| {
//!     let (x, y, angle) = ((pixel % 32) as f32, (pixel / 32) as f32, image as f32 * 0.7);
//!     0.5 + 0.5 * (0.4 * (x * angle.cos() + y * angle.sin()) + image as f32).sin()
//! });
//! let set = |images: std::ops::Range<usize>| StimulusSet::new(18, 32, images.flat_map(grating).collect());
//! let simulation = SimulationConfig { neurons: 20, ..Default::default() };
//! let scan = simulate("sim", &set(0..100)?, &set(100..110)?, &simulation)?.scan;
//!
//! let mut config = Config::small();
//! config.optimization.max_epochs = 2;
//! let mut correlations = Vec::new();
//! let model = fit(&[&scan], &config, 1, None, &mut |event| {
//!     if let FitEvent::Epoch { validation_correlation, .. } = event {
//!         correlations.push(validation_correlation);
//!     }
//! })?;
//! assert_eq!(correlations.len(), 2);
//! assert_eq!(model.v_a(0)?.len(), 20);
//!
//! // Saves the weights, and the configuration in `model.json` next to them.
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("model.safetensors");
//! model.save(&path)?;
//! let denoised = ResponseModel::load(&path)?.predict(0, scan.stimuli())?;
//! assert_eq!(denoised.values().dim(), (110, 20));
//! assert_eq!(denoised.values(), model.predict(0, scan.stimuli())?.values());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod config;
mod core;
mod cross_fit;
mod ensemble;
mod error;
mod file;
mod fit;
mod head;
mod held;
mod linear;
mod loss;
mod metrics;
mod mixture;
mod model;
mod modulator;
mod network;
mod normalization;
mod output;
mod predict;
mod presentations;
mod readout;
mod receptive_field;
mod recovery;
mod save;
mod shifter;
mod statistics;
mod training_trials;
mod variables;

pub use brainprior_kernels::Precision;
pub use config::{
    Config, CoreConfig, CoreKind, CoreOutput, GainPlacement, KernelStart, LossConfig, LossKind, ModulatorConfig,
    NormalizationConfig, OptimizationConfig, OutputConfig, OutputKind, PositionSource, ReadoutConfig, ReadoutKind, ShifterConfig,
    ShifterKind,
};
pub use core::Core;
pub use cross_fit::CrossFitted;
pub use ensemble::Ensemble;
pub use error::{Error, Result};
pub use fit::{FitEvent, fit, fit_on};
pub use linear::{Features, LinearModel};
pub use metrics::{LEAST_FEV, Metrics};
pub use mixture::Mixture;
pub use model::ResponseModel;
pub use network::ScanNetwork;
pub use predict::{BehavioralState, correlations};
pub use recovery::Recovery;
pub use statistics::Interval;
pub use training_trials::TrainingTrials;
