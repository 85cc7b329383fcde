//! Options of the loss and of the optimization.

use brainprior_kernels::Precision;
use serde::{Deserialize, Serialize};

/// The loss between rate and response, both in units of the neuron's training standard deviation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LossConfig {
    /// What a response is taken to be around its rate.
    pub kind: LossKind,
    /// Added to the rate within the logarithm of the Poisson loss, rate - response log(rate + eps).
    pub poisson_eps: f64,
    /// Responses up to this, in standard deviations of the neuron, are the zeros of the zero-inflated gamma loss.
    pub zero_threshold: f64,
    /// True: negative responses are taken as 0. False: they are an error, but for the Gaussian loss.
    pub rectify_negative: bool,
}

/// What a response r is taken to be around its rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LossKind {
    /// rate - r log(rate + eps): a variance that is proportional to the rate.
    Poisson,
    /// (r - rate)^2 / 2: one variance for all rates.
    Gaussian,
    /// log(rate) + r / rate: a standard deviation that is proportional to the rate.
    Gamma,
    /// Zero with probability exp(-a rate), else gamma distributed with a shape k, a and k learned for each neuron, such that the
    /// rate stays the expected response: what deconvolved calcium signals look like, a random number of events of random size
    /// (after Wei et al. 2020, "A zero-inflated gamma model for deconvolved calcium imaging traces").
    ZeroInflatedGamma,
}

/// Adam with decays on the plateau of the validation correlation (Lurz et al. 2021).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizationConfig {
    /// Adam's learning rate in the first epoch.
    pub learning_rate: f64,
    /// Distinct images a step; every scan contributes its trials of these.
    pub batch_images: usize,
    /// Epochs at most.
    pub max_epochs: usize,
    /// Epochs without a better validation correlation before a decay.
    pub patience: usize,
    /// Decays; the fit ends at the plateau after the last.
    pub decays: usize,
    /// Factor of the learning rate at a decay; the best state is restored with it.
    pub decay_factor: f64,
    /// Largest norm of the whole gradient; longer ones are scaled down.
    pub gradient_clip: f64,
    /// Decay a step of the running average of the parameters that is validated and kept (Polyak averaging); 0 keeps
    /// the parameters themselves.
    pub averaging: f64,
    /// What the core's features and gradients are computed in while the model is fitted. Validation and predictions are always f32.
    #[serde(skip_serializing_if = "Precision::is_f32")]
    pub precision: Precision,
}

impl Default for LossConfig {
    fn default() -> Self {
        Self { kind: LossKind::Poisson, poisson_eps: 1e-8, zero_threshold: 1e-3, rectify_negative: false }
    }
}

impl Default for OptimizationConfig {
    fn default() -> Self {
        Self {
            learning_rate: 5e-3,
            batch_images: 64,
            max_epochs: 200,
            patience: 5,
            decays: 3,
            decay_factor: 0.3,
            gradient_clip: 10.0,
            averaging: 0.99,
            precision: Precision::F32,
        }
    }
}
