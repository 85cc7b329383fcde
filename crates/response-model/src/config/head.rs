//! Options of the parts that each scan has: readout, shifter, modulator.

use serde::{Deserialize, Serialize};

/// How neurons read from the core.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReadoutConfig {
    /// The kind of readout.
    pub kind: ReadoutKind,
    /// Number of scales of a pyramid: the core's output, and its averages over blocks of 2, 4, ...
    /// pixels.
    pub levels: usize,
    /// The source of the positions of a pyramid or Gaussian readout.
    pub positions: PositionSource,
    /// Initial standard deviation of the sampled positions of a Gaussian readout, in half image
    /// widths and heights.
    pub spread: f64,
    /// Weight of the L1 penalty: the sum of absolute weights (for a factorized readout, the product
    /// of the sums over space and over channels), averaged over neurons. `None` (as text,
    /// `"automatic"`) chooses it by the number of training images, see
    /// [`Config::for_images`](crate::Config::for_images).
    #[serde(with = "super::automatic")]
    pub l1: Option<f64>,
}

/// The kind of readout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadoutKind {
    /// One position per neuron, at several scales (Sinz et al. 2018).
    Pyramid,
    /// One position at the finest scale, sampled from a learned Gaussian in training, at its mean
    /// in prediction (Lurz et al. 2021).
    Gaussian,
    /// A spatial map times channel weights (Klindt et al. 2017, "Neural system identification for
    /// large populations separating what and where"). It has no position, so it cannot be combined
    /// with a shifter.
    Factorized,
}

/// The source of a readout's positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PositionSource {
    /// Learned for each neuron, initialized by reverse correlation.
    Located,
    /// Predicted from the neuron's position in cortex by a perceptron shared by all neurons of a
    /// scan (Lurz et al. 2021): retinotopy. The scan needs neuron coordinates.
    Cortical,
}

/// The shifter, from the z-scored pupil center to a shift of all receptive fields (Walker et al.
/// 2019).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ShifterConfig {
    /// If false, receptive fields do not move with the pupil.
    pub enabled: bool,
    /// The kind of map from pupil to shift.
    pub kind: ShifterKind,
    /// Number of hidden units of a perceptron.
    pub hidden: usize,
}

/// The kind of map from pupil center to shift.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShifterKind {
    /// A perceptron with one hidden layer, tanh (Sinz et al. 2018).
    Perceptron,
    /// An affine map (Walker et al. 2019).
    Affine,
}

/// The output nonlinearity, from a readout's value to a rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OutputConfig {
    /// The kind of nonlinearity.
    pub kind: OutputKind,
    /// Sharpness of Softplus, log(1 + exp(beta x)) / beta; the initial value if it is learned.
    pub beta: f64,
    /// If true, beta is learned, one per scan.
    pub learn_beta: bool,
}

/// The kind of output nonlinearity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputKind {
    /// ELU(x) + 1 (Sinz et al. 2018).
    Elu,
    /// log(1 + exp(beta x)) / beta.
    Softplus,
}

/// Which inputs are normalized by training statistics; behavior and pupil always are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NormalizationConfig {
    /// If true, subtracts the mean of the pixels and divides by their standard deviation.
    pub images: bool,
    /// If true, divides responses by each neuron's standard deviation.
    pub responses: bool,
}

/// The modulator: a perceptron from z-scored behavior to a log gain per neuron (Sinz et al. 2018).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModulatorConfig {
    /// If false, rates do not depend on behavior.
    pub enabled: bool,
    /// Number of hidden units, which is the rank of the gains.
    pub hidden: usize,
    /// Where the gain is applied.
    pub placement: GainPlacement,
    /// Weight of the squared weights of the last layer, averaged over neurons.
    pub l2: f64,
}

/// Where the modulator's gain is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GainPlacement {
    /// To the readout's value, before the output nonlinearity: ELU(gain x) + 1. For values below
    /// zero, that is, rates below one standard deviation, a larger gain means a lower rate; sparse
    /// neurons then learn inverted gains.
    BeforeOutput,
    /// To the rate: gain (ELU(x) + 1), so that the gain multiplies the expected response.
    OnRate,
}

impl Default for ReadoutConfig {
    fn default() -> Self {
        Self {
            kind: ReadoutKind::Pyramid,
            levels: 5,
            positions: PositionSource::Located,
            spread: 0.1,
            l1: None,
        }
    }
}

impl ReadoutConfig {
    /// Number of scales: 1 for all kinds but the pyramid.
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
