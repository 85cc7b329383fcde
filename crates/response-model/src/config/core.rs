//! Options of the core.

use serde::{Deserialize, Serialize};

/// The convolutional core that all neurons of all scans share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CoreConfig {
    /// The input of each layer.
    pub kind: CoreKind,
    /// Output channels of each layer; `None` (as text, `"automatic"`) chooses them by the number of
    /// training images, see [`Config::for_images`](crate::Config::for_images).
    #[serde(with = "super::automatic")]
    pub channels: Option<Vec<usize>>,
    /// Side of each layer's square kernels, in pixels of that layer's input; odd.
    pub kernels: Vec<usize>,
    /// Stride of the first layer in pixels. A stride of 2 makes all later layers four times
    /// cheaper; half a cycle of the highest frequency must still be longer than the stride.
    pub stride: usize,
    /// If false, kernels of the first layer stay within the image, and receptive fields near its
    /// border use the closest features (as usual with Gaussian readouts). If true, the image is
    /// padded with zeros, the training mean.
    pub pad_input: bool,
    /// Standard deviation in pixels of the Gaussian window in which local contrast is measured. In
    /// addition to the image, the first layer then receives the image divided by its local
    /// contrast, since cortical cells divide by the activity around them (Carandini & Heeger 2012).
    /// `None` (as text, `"none"`) uses only the image.
    #[serde(with = "window")]
    pub contrast_window: Option<f64>,
    /// If true, layers from the second on are depth-separable: one plane per input channel, then a
    /// mixture of channels (Lurz et al. 2021). This needs fewer weights, and less computation for
    /// large kernels.
    pub depth_separable: bool,
    /// The layers that the readouts use.
    pub output: CoreOutput,
    /// The initialization of the first layer's kernels.
    pub start: KernelStart,
    /// Weight of the squared Laplacian of the first layer's kernels, relative to their squared
    /// norm.
    pub smoothness: f64,
    /// Weight of the group sparsity of the later layers' kernels: the sum of the norms of the
    /// planes, relative to the layer's norm. For separable kernels, the groups are the weights of
    /// the mixture.
    pub group_sparsity: f64,
    /// Weight of the mean square of the later layers' weights. Batch norm cancels the scale of a
    /// kernel, so this changes no prediction directly, but keeps kernels from growing, which would
    /// shrink the relative step of the optimizer.
    pub l2: f64,
}

/// The input of each layer of a core.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CoreKind {
    /// All earlier layers (Sinz et al. 2018).
    Dense,
    /// The preceding layer (Lurz et al. 2021).
    Stacked,
}

/// The core layers that the readouts use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CoreOutput {
    /// The concatenation of all layers.
    All,
    /// The last layer.
    Last,
}

/// The initialization of the first layer's kernels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KernelStart {
    /// Independent normal numbers.
    Normal,
    /// Gabor filters with four phases each, spread over the orientations and frequencies of mouse
    /// V1. Training adjusts them; this saves many epochs.
    Gabor,
}

/// Serializes a window as a number or a word, since TOML cannot express a missing value.
mod window {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged, expecting = "expected a number of pixels or \"none\"")]
    enum Text {
        Pixels(f64),
        Absent(Word),
    }

    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Word {
        None,
    }

    pub(super) fn serialize<S: Serializer>(
        window: &Option<f64>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        window.map_or(Text::Absent(Word::None), Text::Pixels).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<f64>, D::Error> {
        Ok(match Text::deserialize(deserializer)? {
            Text::Pixels(window) => Some(window),
            Text::Absent(Word::None) => None,
        })
    }
}

impl Default for CoreConfig {
    fn default() -> Self {
        Self {
            kind: CoreKind::Dense,
            channels: None,
            kernels: vec![17, 9, 9],
            stride: 2,
            pad_input: true,
            contrast_window: Some(6.0),
            depth_separable: false,
            output: CoreOutput::All,
            start: KernelStart::Gabor,
            smoothness: 0.02,
            group_sparsity: 0.0005,
            l2: 0.0,
        }
    }
}

impl CoreConfig {
    /// The depth-separable core of Lurz et al. 2021, as used by neuralpredictors and the Sensorium
    /// baselines: four layers of 64 channels; readouts use the last.
    pub fn stacked() -> Self {
        Self {
            kind: CoreKind::Stacked,
            channels: Some(vec![64; 4]),
            kernels: vec![9, 7, 7, 7],
            pad_input: false,
            contrast_window: None,
            depth_separable: true,
            output: CoreOutput::Last,
            ..Self::default()
        }
    }

    /// Number of input planes of the first layer.
    pub(crate) fn planes(&self) -> usize {
        if self.contrast_window.is_some() { 2 } else { 1 }
    }

    /// Number of zeros on each side of the image.
    pub(crate) fn padding(&self) -> usize {
        if self.pad_input { self.kernels[0] / 2 } else { 0 }
    }
}
