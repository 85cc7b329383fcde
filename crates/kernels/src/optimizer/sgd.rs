//! Stochastic gradient descent with momentum and weight decay.

use super::{Slot, check_rate, load, numbered};
use crate::simd::vectorized;
use candle_core::backprop::GradStore;
use candle_core::{Result, Tensor, Var};
use candle_nn::Optimizer;

/// v = momentum v + (g + weight_decay p); p = p - lr v, as PyTorch's `SGD` without dampening.
pub struct Sgd {
    slots: Vec<Slot<1>>,
    config: SgdConfig,
}

/// The constants of [`Sgd`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SgdConfig {
    /// lr; may be changed between steps.
    pub learning_rate: f64,
    /// What remains of a velocity after a step.
    pub momentum: f64,
    /// How much of a parameter is added to its gradient.
    pub weight_decay: f64,
}

const OP: &str = "sgd";
const BUFFERS: [&str; 1] = ["momentum"];

impl Sgd {
    /// Over parameters by the names that the state has for them; velocities start at zero.
    pub fn named(vars: Vec<(String, Var)>, config: SgdConfig) -> Self {
        Self { slots: Slot::all(vars), config }
    }

    /// Velocities by parameter name (`<name>.momentum`), for an exact resume.
    ///
    /// # Errors
    /// None, as long as there is memory.
    pub fn state(&self) -> Result<Vec<(String, Tensor)>> {
        Ok(self.slots.iter().map(|slot| slot.state(BUFFERS)).collect::<Result<Vec<_>>>()?.concat())
    }

    /// Takes up a state of [`Sgd::state`]; entries of other names are left alone.
    ///
    /// # Errors
    /// A missing entry or one of another shape or type; the optimizer then stays as it was.
    pub fn load_state(&mut self, state: &[(String, Tensor)]) -> Result<()> {
        load(OP, &mut self.slots, BUFFERS, state)
    }
}

impl Optimizer for Sgd {
    type Config = SgdConfig;

    /// Parameters that are floats; the state names them by their number.
    fn new(vars: Vec<Var>, config: SgdConfig) -> Result<Self> {
        Ok(Self::named(numbered(vars), config))
    }

    /// In place: what shares memory with a parameter sees it change. A parameter without a gradient stays as it is, and so does
    /// its velocity.
    ///
    /// # Errors
    /// A learning rate that is negative or not finite; a parameter that is not a contiguous f32 tensor.
    fn step(&mut self, gradients: &GradStore) -> Result<()> {
        let SgdConfig { learning_rate, momentum, weight_decay } = self.config;
        check_rate(OP, learning_rate)?;
        let [rate, momentum, decay] = [learning_rate, momentum, weight_decay].map(|constant| constant as f32);
        for slot in &mut self.slots {
            let Some(gradient) = gradients.get(&slot.var) else { continue };
            #[cfg(feature = "cuda")]
            if let Some((var, buffers)) = slot.on_device()? {
                super::cuda::sgd(buffers, var, gradient, rate, momentum, decay)?;
                continue;
            }
            slot.update(OP, gradient, |values, gradient, [velocity]| descend(values, gradient, velocity, rate, momentum, decay))?;
        }
        Ok(())
    }

    fn learning_rate(&self) -> f64 {
        self.config.learning_rate
    }

    fn set_learning_rate(&mut self, learning_rate: f64) {
        self.config.learning_rate = learning_rate;
    }
}

vectorized! {
    fn descend(values: &mut [f32], gradient: &[f32], velocity: &mut [f32], rate: f32, momentum: f32, decay: f32) {
        for ((p, g), v) in values.iter_mut().zip(gradient).zip(velocity) {
            *v = momentum * *v + (g + decay * *p);
            *p -= rate * *v;
        }
    }
}
