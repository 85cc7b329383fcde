//! The modulator: how behavior scales a neuron's rate.

use candle_core::{Module, Result, Tensor, Var};
use candle_nn::VarBuilder;
use rand_chacha::ChaCha8Rng;

use crate::variables::normal;

/// Perceptron with one hidden layer (tanh) from z-scored behavior to a log gain per neuron (Sinz et
/// al. 2018).
///
/// Its value at the mean behavior of the training trials is subtracted. The gain there is exactly
/// 1, so that a prediction at the mean behavioral state needs no modulator.
#[derive(Debug)]
pub(crate) struct Modulator {
    hidden: Var,
    output: Var,
    hidden_bias: Var,
}

impl Modulator {
    /// The modulator of one scan.
    pub(crate) fn new(
        [covariates, hidden, neurons]: [usize; 3],
        vars: &VarBuilder,
        rng: &mut ChaCha8Rng,
    ) -> Result<Self> {
        let std = 0.5 / (covariates as f32).sqrt();
        Ok(Self {
            hidden: normal(vars, "hidden", &[covariates, hidden], std, rng)?,
            hidden_bias: normal(vars, "hidden_bias", &[hidden], 0.3, rng)?,
            output: normal(vars, "output", &[hidden, neurons], 0.01, rng)?,
        })
    }

    /// Sum of the squared weights of the last layer.
    pub(crate) fn squared_weights(&self) -> Result<Tensor> {
        self.output.sqr()?.sum_all()
    }
}

impl Module for Modulator {
    /// Log gain `[batch, neurons]` for z-scored behavior `[batch, covariates]`.
    fn forward(&self, behavior: &Tensor) -> Result<Tensor> {
        let hidden = behavior.matmul(&self.hidden)?.broadcast_add(&self.hidden_bias)?.tanh()?;
        hidden.broadcast_sub(&self.hidden_bias.tanh()?)?.matmul(&self.output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};
    use candle_nn::VarMap;
    use rand::SeedableRng;

    #[test]
    fn gain_is_one_at_the_mean_behavior() {
        let vars = VarBuilder::from_varmap(&VarMap::new(), DType::F32, &Device::Cpu);
        let modulator =
            Modulator::new([3, 4, 6], &vars, &mut ChaCha8Rng::seed_from_u64(1)).unwrap();
        let behavior = Tensor::new(&[[0f32, 0.0, 0.0], [1.0, -1.0, 0.5]], &Device::Cpu).unwrap();
        let gains: Vec<Vec<f32>> = modulator.forward(&behavior).unwrap().to_vec2().unwrap();
        assert!(gains[0].iter().all(|g| *g == 0.0));
        assert!(gains[1].iter().all(|g| *g != 0.0 && g.is_finite()));
    }
}
