//! One layer of a core: convolution without bias, batch norm, ELU.
//!
//! Batch norm has a learned shift but no learned scale. With a scale, the features could grow while
//! the readout's weights shrink, which would undo the readout's L1 penalty.

use brainprior_kernels::{Activation, BatchStatistics, FeatureMap, FixedStatistics};
use candle_core::{DType, Result, Tensor, Var};
use candle_nn::VarBuilder;

use super::kernels::Kernels;
use crate::variables::variable;

const BATCH_NORM_EPS: f64 = 1e-5;
/// Weight of a new batch in the running statistics (PyTorch's default).
const RUNNING_MOMENTUM: f64 = 0.1;

#[derive(Debug)]
pub(crate) struct Layer {
    kernels: Kernels,
    stride: usize,
    padding: usize,
    shift: Var,
    scale: Tensor,
    running_mean: Var,
    running_variance: Var,
}

/// The source of the batch norm statistics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The batch, which also updates the running statistics.
    Training,
    /// The running statistics.
    Evaluation,
}

impl Layer {
    pub(crate) fn new(
        kernels: Kernels,
        stride: usize,
        padding: usize,
        vars: &VarBuilder,
    ) -> Result<Self> {
        let outputs = kernels.outputs();
        let uniform = |name: &str, value| variable(vars, name, &[outputs], || vec![value; outputs]);
        Ok(Self {
            kernels,
            stride,
            padding,
            shift: uniform("shift", 0.0)?,
            scale: Tensor::ones(outputs, DType::F32, vars.device())?,
            running_mean: uniform("running_mean", 0.0)?,
            running_variance: uniform("running_variance", 1.0)?,
        })
    }

    /// Number of output channels.
    pub(crate) fn outputs(&self) -> usize {
        self.kernels.outputs()
    }

    pub(crate) fn kernels(&self) -> &Kernels {
        &self.kernels
    }

    /// Maps `[batch, inputs, ...]` to `[batch, outputs, height, width]`.
    pub(crate) fn forward(&self, input: &FeatureMap, mode: Mode) -> Result<FeatureMap> {
        let convolved = self.kernels.convolve(input, self.stride, self.padding)?;
        let (scale, shift) = (&self.scale, self.shift.as_tensor());
        match mode {
            Mode::Training => {
                let (output, statistics) = convolved.batch_norm_train(
                    scale,
                    shift,
                    None,
                    Activation::Elu,
                    BATCH_NORM_EPS,
                )?;
                self.track(&statistics)?;
                Ok(output)
            }
            Mode::Evaluation => {
                let (mean, variance) =
                    (self.running_mean.as_tensor(), self.running_variance.as_tensor());
                let statistics = FixedStatistics { mean, variance, eps: BATCH_NORM_EPS };
                convolved.batch_norm_eval(scale, shift, statistics, None, Activation::Elu)
            }
        }
    }

    fn track(&self, statistics: &BatchStatistics) -> Result<()> {
        let count = statistics.count as f64;
        let unbiased = (&statistics.variance.detach() * (count / (count - 1.0).max(1.0)))?;
        for (running, new) in
            [(&self.running_mean, statistics.mean.detach()), (&self.running_variance, unbiased)]
        {
            let mixed = ((running.as_tensor().detach() * (1.0 - RUNNING_MOMENTUM))?
                + (new * RUNNING_MOMENTUM)?)?;
            running.set(&mixed)?;
        }
        Ok(())
    }
}
