//! The shifter: how receptive fields move with the pupil.

use candle_core::{Module, Result, Tensor, Var};
use candle_nn::VarBuilder;
use rand_chacha::ChaCha8Rng;

use crate::config::{ShifterConfig, ShifterKind};
use crate::variables::{normal, variable};

/// Largest shift, in half image widths and heights. It is well beyond shifts of gaze in the
/// recorded range, and small enough that an optimizer step moves receptive fields by a fraction of
/// a pixel.
const REACH: f64 = 0.3;

/// Maps the z-scored pupil center to (x, y) shifts under a tanh, with zero mean over the training
/// trials: a perceptron with one hidden layer (Sinz et al. 2018), or an affine map (Walker et al.
/// 2019).
#[derive(Debug)]
pub(crate) struct Shifter {
    hidden: Option<Hidden>,
    /// `[hidden or 2, 2]`
    output: Var,
    /// Mean of the uncentered shift over the training trials.
    center: Var,
}

/// The hidden layer of a perceptron.
#[derive(Debug)]
struct Hidden {
    weights: Var,
    bias: Var,
}

impl Shifter {
    /// The shifter of one scan.
    pub(crate) fn new(
        config: &ShifterConfig,
        vars: &VarBuilder,
        rng: &mut ChaCha8Rng,
    ) -> Result<Self> {
        let (hidden, inputs) = match config.kind {
            ShifterKind::Affine => (None, 2),
            ShifterKind::Perceptron => {
                let weights = normal(vars, "hidden", &[2, config.hidden], 0.5, rng)?;
                let bias = normal(vars, "hidden_bias", &[config.hidden], 0.1, rng)?;
                (Some(Hidden { weights, bias }), config.hidden)
            }
        };
        Ok(Self {
            hidden,
            output: normal(vars, "output", &[inputs, 2], 0.01, rng)?,
            center: variable(vars, "center", &[2], || vec![0.0; 2])?,
        })
    }

    fn uncentered(&self, pupil: &Tensor) -> Result<Tensor> {
        let shifts = match &self.hidden {
            None => pupil.matmul(&self.output)?,
            Some(Hidden { weights, bias }) => {
                pupil.matmul(weights)?.broadcast_add(bias)?.tanh()?.matmul(&self.output)?
            }
        };
        shifts.tanh()? * REACH
    }

    /// Shifts `[batch, 2]` for pupil centers `[batch, 2]`, centered over `all`, the pupil centers
    /// of the training trials. The centering is part of the graph.
    pub(crate) fn train(&self, pupil: &Tensor, all: &Tensor) -> Result<Tensor> {
        self.uncentered(pupil)?.broadcast_sub(&self.uncentered(all)?.mean_keepdim(0)?)
    }

    /// Stores the mean over `all`, the pupil centers of the training trials, for
    /// [`Shifter::forward`].
    pub(crate) fn recenter(&self, all: &Tensor) -> Result<()> {
        self.center.set(&self.uncentered(all)?.mean(0)?.detach())
    }
}

impl Module for Shifter {
    /// Shifts `[batch, 2]`, in half image widths and heights, for pupil centers `[batch, 2]`,
    /// outside of training.
    fn forward(&self, pupil: &Tensor) -> Result<Tensor> {
        self.uncentered(pupil)?.broadcast_sub(&self.center)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};
    use candle_nn::VarMap;
    use rand::SeedableRng;

    #[test]
    fn shifts_average_to_zero_over_the_training_trials() {
        for kind in [ShifterKind::Perceptron, ShifterKind::Affine] {
            averages_to_zero(&ShifterConfig { kind, ..ShifterConfig::default() });
        }
    }

    fn averages_to_zero(config: &ShifterConfig) {
        let vars = VarBuilder::from_varmap(&VarMap::new(), DType::F32, &Device::Cpu);
        let shifter = Shifter::new(config, &vars, &mut ChaCha8Rng::seed_from_u64(1)).unwrap();
        shifter.output.set(&(shifter.output.as_tensor().detach() * 40.0).unwrap()).unwrap();
        let pupil: Vec<f32> = (0..60).map(|i| ((i * 7919) % 31) as f32 / 8.0 - 1.2).collect();
        let pupil = Tensor::from_vec(pupil, (30, 2), &Device::Cpu).unwrap();
        shifter.recenter(&pupil).unwrap();
        let shifts = shifter.forward(&pupil).unwrap();
        let spread: f32 = shifts.abs().unwrap().mean_all().unwrap().to_scalar().unwrap();
        assert!(spread > 0.01, "{spread}");
        for mean in shifts.mean(0).unwrap().to_vec1::<f32>().unwrap() {
            assert!(mean.abs() < 1e-6, "{mean}");
        }
        let trained: Vec<Vec<f32>> = shifter.train(&pupil, &pupil).unwrap().to_vec2().unwrap();
        for (a, b) in
            trained.iter().flatten().zip(shifts.to_vec2::<f32>().unwrap().iter().flatten())
        {
            assert!((a - b).abs() < 1e-6);
        }
    }
}
