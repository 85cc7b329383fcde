//! Options of the loss and of the optimizer.

use brainprior_kernels::Precision;
use serde::{Deserialize, Serialize};

/// The loss between rate and response, both in units of the neuron's training standard deviation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LossConfig {
    /// The distribution of a response around its rate.
    pub kind: LossKind,
    /// Added to the rate inside the logarithm of the Poisson loss: rate - response log(rate + eps).
    pub poisson_eps: f64,
    /// Responses up to this value, in standard deviations of the neuron, count as zeros in the
    /// zero-inflated gamma loss.
    pub zero_threshold: f64,
    /// If true, negative responses count as 0. If false, they are an error, except for the Gaussian
    /// loss.
    pub rectify_negative: bool,
}

/// The distribution of a response r around its rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LossKind {
    /// rate - r log(rate + eps): the variance is proportional to the rate.
    Poisson,
    /// (r - rate)^2 / 2: the variance is constant.
    Gaussian,
    /// log(rate) + r / rate: the standard deviation is proportional to the rate.
    Gamma,
    /// Zero with probability exp(-a rate), else gamma distributed with shape k, where a and k are
    /// learned per neuron and the rate is the expected response. This is how deconvolved calcium
    /// signals look: a random number of events of random size (after Wei et al. 2020, "A
    /// zero-inflated gamma model for deconvolved calcium imaging traces").
    ZeroInflatedGamma,
}

/// Adam, with learning rate decays on plateaus of the validation correlation (Lurz et al. 2021).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizationConfig {
    /// Adam's learning rate in the first epoch.
    pub learning_rate: f64,
    /// Distinct images per step; every scan contributes its trials of these images.
    pub batch_images: usize,
    /// Largest number of epochs.
    pub max_epochs: usize,
    /// Epochs without a better validation correlation before a decay; `None` (as text,
    /// `"automatic"`) chooses them by the number of training images, see
    /// [`Config::for_images`](crate::Config::for_images).
    #[serde(with = "super::automatic")]
    pub patience: Option<usize>,
    /// Number of decays; the fit ends at the plateau after the last one.
    pub decays: usize,
    /// Factor of the learning rate at a decay, where the best state is restored, too.
    pub decay_factor: f64,
    /// Largest norm of the whole gradient; larger gradients are scaled down.
    pub gradient_clip: f64,
    /// Decay per step of the running average of the parameters, which is validated and kept (Polyak
    /// averaging); 0 keeps the parameters themselves.
    pub averaging: f64,
    /// Precision of the core's features and gradients during the fit. Validation and predictions
    /// always use f32.
    #[serde(skip_serializing_if = "Precision::is_f32")]
    pub precision: Precision,
}

impl Default for LossConfig {
    fn default() -> Self {
        Self {
            kind: LossKind::Poisson,
            poisson_eps: 1e-8,
            zero_threshold: 1e-3,
            rectify_negative: false,
        }
    }
}

impl Default for OptimizationConfig {
    fn default() -> Self {
        Self {
            learning_rate: 5e-3,
            batch_images: 64,
            max_epochs: 200,
            patience: Some(5),
            decays: 3,
            decay_factor: 0.3,
            gradient_clip: 10.0,
            averaging: 0.99,
            precision: Precision::F32,
        }
    }
}
