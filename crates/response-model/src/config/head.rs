//! Options of what each scan has for itself: readout, shifter, modulator.

use serde::{Deserialize, Serialize};

/// How neurons read the core.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReadoutConfig {
    /// What a neuron reads.
    pub kind: ReadoutKind,
    /// Scales of a pyramid: the core's output, and its averages over blocks of 2, 4, ... pixels.
    pub levels: usize,
    /// Where the positions of a pyramid or Gaussian readout come from.
    pub positions: PositionSource,
    /// Standard deviation that the sampled positions of a Gaussian readout start with, in half image widths and heights.
    pub spread: f64,
    /// Weight of the mean over neurons of the sum of absolute weights; of a factorized readout, of the product of the sums over
    /// space and over channels.
    pub l1: f64,
}

/// What a neuron reads of the core's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadoutKind {
    /// One position, at several scales (Sinz et al. 2018).
    Pyramid,
    /// One position of the finest scale, drawn in training from a learned Gaussian, its mean in prediction (Lurz et al. 2021).
    Gaussian,
    /// A map over space times weights over channels (Klindt et al. 2017, "Neural system identification for large populations
    /// separating what and where"). It has no position, so that it goes with no shifter.
    Factorized,
}

/// Where a readout's positions come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PositionSource {
    /// Learned for each neuron, from a start that reverse correlation finds.
    Located,
    /// A perceptron from the neuron's place in cortex, the same for all neurons of a scan (Lurz et al. 2021): retinotopy. The scan
    /// needs coordinates of its neurons.
    Cortical,
}

/// The shifter: a perceptron from the z-scored pupil centre to a shift of all receptive fields (Walker et al. 2019).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ShifterConfig {
    /// False: receptive fields do not move, whatever the pupil does.
    pub enabled: bool,
    /// What is between pupil and shift.
    pub kind: ShifterKind,
    /// Units of the hidden layer of a perceptron.
    pub hidden: usize,
}

/// What makes a shift of a pupil centre.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShifterKind {
    /// One hidden layer, tanh (Sinz et al. 2018).
    Perceptron,
    /// None (Walker et al. 2019).
    Affine,
}

/// The output nonlinearity, from what a readout finds to a rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OutputConfig {
    /// Its kind.
    pub kind: OutputKind,
    /// Of Softplus, log(1 + exp(beta x)) / beta: how sharply it bends; where it starts, if it is learned.
    pub beta: f64,
    /// True: beta is learned, one for each scan.
    pub learn_beta: bool,
}

/// An output nonlinearity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputKind {
    /// ELU(x) + 1 (Sinz et al. 2018).
    Elu,
    /// log(1 + exp(beta x)) / beta.
    Softplus,
}

/// Which inputs are brought to one scale by their statistics over training; behaviour and pupil always are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NormalizationConfig {
    /// Pixels less their mean, over their standard deviation.
    pub images: bool,
    /// Responses over each neuron's standard deviation.
    pub responses: bool,
}

/// The modulator: a perceptron from z-scored behaviour to the logarithm of a gain per neuron (Sinz et al. 2018).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModulatorConfig {
    /// False: rates do not depend on behaviour.
    pub enabled: bool,
    /// Units of the hidden layer, the rank of the gains.
    pub hidden: usize,
    /// Where the gain enters.
    pub placement: GainPlacement,
    /// Weight of the mean over neurons of the squared weights of the last layer.
    pub l2: f64,
}

/// Where the modulator's gain enters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GainPlacement {
    /// On the readout's value, before the output nonlinearity: ELU(gain x) + 1. For values below zero, that is rates
    /// below one standard deviation, a larger gain means a lower rate; sparse neurons then learn inverted gains.
    BeforeOutput,
    /// On the rate, gain (ELU(x) + 1): the gain is what multiplies the expected response.
    OnRate,
}

impl Default for ReadoutConfig {
    fn default() -> Self {
        Self { kind: ReadoutKind::Pyramid, levels: 5, positions: PositionSource::Located, spread: 0.1, l1: 0.001 }
    }
}

impl ReadoutConfig {
    /// Scales that are read: 1 for all but a pyramid.
    pub(crate) fn scales(&self) -> usize {
        if self.kind == ReadoutKind::Pyramid { self.levels } else { 1 }
    }
}

impl Default for ShifterConfig {
    fn default() -> Self {
        Self { enabled: true, kind: ShifterKind::Perceptron, hidden: 5 }
    }
}

impl Default for OutputConfig {
    fn default() -> Self {
        Self { kind: OutputKind::Elu, beta: 1.0, learn_beta: false }
    }
}

impl Default for NormalizationConfig {
    fn default() -> Self {
        Self { images: true, responses: true }
    }
}

impl Default for ModulatorConfig {
    fn default() -> Self {
        Self { enabled: true, hidden: 8, placement: GainPlacement::OnRate, l2: 0.05 }
    }
}
