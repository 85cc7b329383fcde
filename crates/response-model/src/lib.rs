#![doc = include_str!("../README.md")]
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
mod variables;

pub use brainprior_kernels::Precision;
pub use config::{
    Config, CoreConfig, CoreKind, CoreOutput, GainPlacement, KernelStart, LossConfig, LossKind,
    ModulatorConfig, NormalizationConfig, OptimizationConfig, OutputConfig, OutputKind,
    PositionSource, ReadoutConfig, ReadoutKind, ShifterConfig, ShifterKind,
};
pub use core::Core;
pub use cross_fit::CrossFitted;
pub use ensemble::Ensemble;
pub use error::{Error, Result};
pub use fit::{FitEvent, FitOptions, fit};
pub use linear::{Features, LinearModel};
pub use metrics::{LEAST_FEV, Metrics};
pub use mixture::Mixture;
pub use model::ResponseModel;
pub use network::ScanNetwork;
pub use predict::{BehavioralState, correlations};
pub use recovery::Recovery;
pub use statistics::Interval;
