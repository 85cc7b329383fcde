//! The tensors of a network, their names, and how layers refer to them.

use crate::{NetConfig, blur};

/// Kernel size of the stem.
const STEM_KERNEL: usize = 7;

/// The role of a tensor, which decides its initial values, whether it is learned, and whether it is
/// subject to weight decay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Weights of a convolution or the head; each output reads `fan_in` inputs.
    Weight { fan_in: usize },
    /// Bias of the head.
    Bias { fan_in: usize },
    /// Scale of a batch norm.
    Scale,
    /// Shift of a batch norm.
    Shift,
    /// Running mean of a batch norm.
    Mean,
    /// Running variance of a batch norm.
    Variance,
    /// Logits of the layer weights gamma.
    Gamma,
    /// The fixed Gaussian blur in front of the network.
    Blur,
}

impl Role {
    /// Whether the optimizer changes it.
    pub(crate) fn learned(self) -> bool {
        !matches!(self, Self::Mean | Self::Variance | Self::Blur)
    }

    /// Whether weight decay applies.
    pub(crate) fn decays(self) -> bool {
        matches!(self, Self::Weight { .. })
    }
}

/// One tensor.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    /// The name in PyTorch's state dict.
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) role: Role,
}

/// A convolution without bias and its batch norm. The numbers are indices of slots; scale, shift,
/// mean and variance are consecutive, starting at `norm`.
#[derive(Clone, Debug)]
pub(crate) struct ConvNorm {
    pub(crate) weight: usize,
    pub(crate) norm: usize,
    pub(crate) stride: usize,
    pub(crate) padding: usize,
}

/// A residual block of two convolutions.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub(crate) first: ConvNorm,
    pub(crate) second: ConvNorm,
    /// Present if the block changes the shape.
    pub(crate) shortcut: Option<ConvNorm>,
}

/// All tensors and layers of a network.
#[derive(Clone, Debug)]
pub(crate) struct Architecture {
    pub(crate) slots: Vec<Slot>,
    pub(crate) stem: ConvNorm,
    pub(crate) stages: Vec<Vec<Block>>,
    /// Slot of the weight; the bias follows.
    pub(crate) head: usize,
    pub(crate) gamma: usize,
    pub(crate) blur: Option<usize>,
}

impl Architecture {
    pub(crate) fn new(config: &NetConfig) -> Self {
        let mut slots = Slots(Vec::new());
        let stem = slots.conv_norm(
            ["stem.0", "stem.1"],
            config.input_channels,
            config.base_channels,
            STEM_KERNEL,
            1,
        );
        let mut channels = config.base_channels;
        let mut stages = Vec::with_capacity(config.blocks.len());
        for (stage, blocks) in config.blocks.iter().enumerate() {
            let width = config.base_channels << stage;
            let mut block = |index: usize| {
                let stride = if index == 0 && stage > 0 { 2 } else { 1 };
                let name = |part: &str| format!("stages.{stage}.{index}.{part}");
                let block = Block {
                    first: slots.conv_norm(
                        [&name("conv1"), &name("bn1")],
                        channels,
                        width,
                        3,
                        stride,
                    ),
                    second: slots.conv_norm([&name("conv2"), &name("bn2")], width, width, 3, 1),
                    shortcut: (stride != 1 || channels != width).then(|| {
                        slots.conv_norm(
                            [&name("shortcut.0"), &name("shortcut.1")],
                            channels,
                            width,
                            1,
                            stride,
                        )
                    }),
                };
                channels = width;
                block
            };
            stages.push((0..*blocks).map(&mut block).collect());
        }
        let head = slots.push(
            "head.weight",
            vec![config.classes, channels],
            Role::Weight { fan_in: channels },
        );
        slots.push("head.bias", vec![config.classes], Role::Bias { fan_in: channels });
        let gamma = slots.push("gamma", vec![config.layer_count()], Role::Gamma);
        let blur = config.blur.map(|_| {
            slots.push(blur::NAME, blur::shape(config.input_channels).to_vec(), Role::Blur)
        });
        Self { slots: slots.0, stem, stages, head, gamma, blur }
    }

    /// Number of channels of each layer whose similarities are compared.
    pub(crate) fn layer_channels(config: &NetConfig) -> Vec<usize> {
        std::iter::once(config.base_channels)
            .chain((0..config.blocks.len()).map(|stage| config.base_channels << stage))
            .collect()
    }

    /// Every convolution with its batch norm, in slot order.
    pub(crate) fn conv_norms(&self) -> impl Iterator<Item = &ConvNorm> {
        let blocks = self.stages.iter().flatten();
        std::iter::once(&self.stem).chain(
            blocks
                .flat_map(|block| [&block.first, &block.second].into_iter().chain(&block.shortcut)),
        )
    }
}

struct Slots(Vec<Slot>);

impl Slots {
    fn push(&mut self, name: &str, shape: Vec<usize>, role: Role) -> usize {
        self.0.push(Slot { name: name.to_owned(), shape, role });
        self.0.len() - 1
    }

    fn conv_norm(
        &mut self,
        [conv, norm]: [&str; 2],
        from: usize,
        to: usize,
        kernel: usize,
        stride: usize,
    ) -> ConvNorm {
        let role = Role::Weight { fan_in: from * kernel * kernel };
        let weight = self.push(&format!("{conv}.weight"), vec![to, from, kernel, kernel], role);
        let parts = [
            ("weight", Role::Scale),
            ("bias", Role::Shift),
            ("running_mean", Role::Mean),
            ("running_var", Role::Variance),
        ];
        for (part, role) in parts {
            self.push(&format!("{norm}.{part}"), vec![to], role);
        }
        ConvNorm { weight, norm: weight + 1, stride, padding: kernel / 2 }
    }
}
