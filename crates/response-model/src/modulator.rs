//! The modulator: how a neuron's rate scales with behaviour.

use candle_core::{Result, Tensor, Var};
use rand_chacha::ChaCha8Rng;

use crate::parameters::Parameters;

/// Perceptron with one hidden layer (tanh) from z-scored behaviour to the logarithm of a gain per neuron (Sinz et al. 2018).
///
/// The value at the mean behaviour of the training trials is subtracted, so that the gain there is exactly 1 and a
/// prediction at the mean behavioural state needs no modulator.
#[derive(Debug)]
pub(crate) struct Modulator {
    hidden: Var,
    output: Var,
    hidden_bias: Var,
}

impl Modulator {
    /// Registers the modulator of one scan under `prefix`.
    pub(crate) fn new(
        prefix: &str,
        covariates: usize,
        hidden: usize,
        neurons: usize,
        parameters: &mut Parameters,
        rng: &mut ChaCha8Rng,
    ) -> Result<Self> {
        let name = |what: &str| format!("{prefix}.modulator.{what}");
        let std = 0.5 / (covariates as f32).sqrt();
        Ok(Self {
            hidden: parameters.normal(&name("hidden"), &[covariates, hidden], std, rng)?,
            hidden_bias: parameters.normal(&name("hidden_bias"), &[hidden], 0.3, rng)?,
            output: parameters.normal(&name("output"), &[hidden, neurons], 0.01, rng)?,
        })
    }

    /// Logarithm of the gain, `[batch, neurons]`, of z-scored behaviour `[batch, covariates]`.
    pub(crate) fn log_gain(&self, behavior: &Tensor) -> Result<Tensor> {
        let hidden = behavior.matmul(&self.hidden)?.broadcast_add(&self.hidden_bias)?.tanh()?;
        hidden.broadcast_sub(&self.hidden_bias.tanh()?)?.matmul(&self.output)
    }

    /// Sum of the squared weights of the last layer.
    pub(crate) fn squared_weights(&self) -> Result<Tensor> {
        self.output.sqr()?.sum_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;
    use rand::SeedableRng;

    #[test]
    fn gain_is_one_at_the_mean_behavior() {
        let mut parameters = Parameters::on(&Device::Cpu);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let modulator = Modulator::new("scan0", 3, 4, 6, &mut parameters, &mut rng).unwrap();
        let behavior = Tensor::new(&[[0f32, 0.0, 0.0], [1.0, -1.0, 0.5]], &Device::Cpu).unwrap();
        let gains: Vec<Vec<f32>> = modulator.log_gain(&behavior).unwrap().to_vec2().unwrap();
        assert!(gains[0].iter().all(|g| *g == 0.0));
        assert!(gains[1].iter().all(|g| *g != 0.0 && g.is_finite()));
    }
}
