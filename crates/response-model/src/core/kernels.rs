//! The kernels of a layer: full or depth-separable.

use brainprior_kernels::{Conv2dGeometry, FeatureMap};
use candle_core::{Result, Tensor, Var};
use candle_nn::VarBuilder;
use rand_chacha::ChaCha8Rng;

use crate::variables;

#[derive(Debug)]
pub(crate) enum Kernels {
    /// `[outputs, inputs, side, side]`
    Full(Var),
    /// One plane per input, then a mixture of channels.
    Separable {
        /// `[inputs, 1, side, side]`
        planes: Var,
        /// `[outputs, inputs, 1, 1]`
        mixture: Var,
    },
}

impl Kernels {
    /// Kernels of `[inputs, outputs, side]`, initialized with normal values of variance 1 / fan-in.
    pub(crate) fn normal(
        [inputs, outputs, side]: [usize; 3],
        separable: bool,
        vars: &VarBuilder,
        rng: &mut ChaCha8Rng,
    ) -> Result<Self> {
        let std = |fan_in: usize| (fan_in as f32).sqrt().recip();
        let area = side * side;
        if separable {
            let planes =
                variables::normal(vars, "planes", &[inputs, 1, side, side], std(area), rng)?;
            let mixture =
                variables::normal(vars, "mixture", &[outputs, inputs, 1, 1], std(inputs), rng)?;
            return Ok(Self::Separable { planes, mixture });
        }
        let shape = [outputs, inputs, side, side];
        Ok(Self::Full(variables::normal(vars, "weight", &shape, std(inputs * area), rng)?))
    }

    pub(crate) fn outputs(&self) -> usize {
        match self {
            Self::Full(weight) | Self::Separable { mixture: weight, .. } => weight.dims()[0],
        }
    }

    /// The kernels that are convolved with the image planes.
    pub(crate) fn spatial(&self) -> &Tensor {
        match self {
            Self::Full(weight) | Self::Separable { planes: weight, .. } => weight,
        }
    }

    /// Maps `[batch, inputs, ...]` to `[batch, outputs, height, width]`.
    pub(crate) fn convolve(
        &self,
        input: &FeatureMap,
        stride: usize,
        padding: usize,
    ) -> Result<FeatureMap> {
        let geometry = Conv2dGeometry { stride, padding, ..Default::default() };
        match self {
            Self::Full(weight) => input.conv2d(weight, geometry),
            Self::Separable { planes, mixture } => {
                let geometry = Conv2dGeometry { groups: planes.dims()[0], ..geometry };
                input.conv2d(planes, geometry)?.conv2d(mixture, Conv2dGeometry::default())
            }
        }
    }
}
