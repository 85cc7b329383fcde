//! Options of the core.

use serde::{Deserialize, Serialize};

/// The convolutional core that all neurons of all scans share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CoreConfig {
    /// What each layer reads.
    pub kind: CoreKind,
    /// Output channels of each layer.
    pub channels: Vec<usize>,
    /// Side of each layer's square kernels, pixels of that layer's input; odd.
    pub kernels: Vec<usize>,
    /// Stride of the first layer, pixels. 2 makes everything behind it four times cheaper; half a cycle must still be
    /// longer than the stride at the finest tuning.
    pub stride: usize,
    /// False: the first layer's kernels stay within the image, and receptive fields near its border are read at the features
    /// next to it (the usual choice with Gaussian readouts). True: zeros around the image, the mean of training.
    pub pad_input: bool,
    /// Standard deviation, pixels, of the Gaussian window over which local contrast is measured: beside the image, the first
    /// layer sees it divided by that, as cortical cells divide by the activity around them (Carandini & Heeger 2012). `None`, as
    /// text `"none"`: the image alone.
    #[serde(with = "window")]
    pub contrast_window: Option<f64>,
    /// True: from the second layer on, a plane for each input channel and then a mixture of channels (Lurz et al. 2021)
    /// instead of full kernels: fewer weights, and less work where kernels are large.
    pub depth_separable: bool,
    /// Which layers the readouts see.
    pub output: CoreOutput,
    /// Where the first layer's kernels start.
    pub start: KernelStart,
    /// Weight of the squared Laplacian of the first layer's kernels, as a share of their squared norm.
    pub smoothness: f64,
    /// Weight of the group sparsity of the later layers' kernels: sum of the norms of the planes, over the layer's norm. Of
    /// separable kernels, the mixture's weights are the groups.
    pub group_sparsity: f64,
    /// Weight of the mean square of the later layers' weights. Batch norm takes the scale of a kernel away again, so that this
    /// keeps the optimiser's steps from becoming small against kernels that grew, and changes no prediction by itself.
    pub l2: f64,
}

/// What each layer of a core reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CoreKind {
    /// All earlier layers (Sinz et al. 2018).
    Dense,
    /// The layer before it (Lurz et al. 2021).
    Stacked,
}

/// Which layers of a core the readouts see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CoreOutput {
    /// The concatenation of all.
    All,
    /// The last one.
    Last,
}

/// Where the kernels of the first layer start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KernelStart {
    /// Independent normal numbers.
    Normal,
    /// Gabor filters, four phases each, spread over the orientations and frequencies of mouse V1: training starts where it
    /// would otherwise take many epochs to get to, and moves them from there.
    Gabor,
}

/// A window as text: a number or a word, since TOML has nothing for what is absent.
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

    pub(super) fn serialize<S: Serializer>(window: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
        window.map_or(Text::Absent(Word::None), Text::Pixels).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
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
            channels: vec![32, 32, 32],
            kernels: vec![17, 3, 3],
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
    /// The depth-separable core of Lurz et al. 2021, as neuralpredictors and the Sensorium baselines use it: four layers of 64
    /// channels, the last of which is read.
    pub fn stacked() -> Self {
        Self {
            kind: CoreKind::Stacked,
            channels: vec![64; 4],
            kernels: vec![9, 7, 7, 7],
            pad_input: false,
            contrast_window: None,
            depth_separable: true,
            output: CoreOutput::Last,
            ..Self::default()
        }
    }

    /// Planes that the first layer sees.
    pub(crate) fn planes(&self) -> usize {
        if self.contrast_window.is_some() { 2 } else { 1 }
    }

    /// Zeros on each side of the image.
    pub(crate) fn padding(&self) -> usize {
        if self.pad_input { self.kernels[0] / 2 } else { 0 }
    }
}
