//! Stochastic gradient descent with momentum and weight decay.

use super::{Slot, check_rate, load, numbered};
use crate::simd::vectorized;
use candle_core::backprop::GradStore;
use candle_core::{Result, Tensor, Var};
use candle_nn::Optimizer;

/// v = momentum v + (g + weight_decay p); p = p - lr v, like PyTorch's `SGD` without dampening.
pub struct Sgd {
    slots: Vec<Slot<1>>,
    config: SgdConfig,
}

/// The hyperparameters of [`Sgd`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SgdConfig {
    /// Learning rate; may be changed between steps.
    pub learning_rate: f64,
    /// The fraction of a velocity that remains after a step.
    pub momentum: f64,
    /// The fraction of a parameter that is added to its gradient.
    pub weight_decay: f64,
}

const OP: &str = "sgd";
const BUFFERS: [&str; 1] = ["momentum"];

impl Sgd {
    /// An optimizer of named parameters, whose names are used in the state; velocities start at
    /// zero.
    pub fn named(vars: Vec<(String, Var)>, config: SgdConfig) -> Self {
        Self { slots: Slot::all(vars), config }
    }

    /// Velocities by parameter name (`<name>.momentum`), for an exact resume.
    ///
    /// # Errors
    /// Returns an error only if memory runs out.
    pub fn state(&self) -> Result<Vec<(String, Tensor)>> {
        Ok(self.slots.iter().map(|slot| slot.state(BUFFERS)).collect::<Result<Vec<_>>>()?.concat())
    }

    /// Loads a state from [`Sgd::state`]; entries with other names are ignored.
    ///
    /// # Errors
    /// Returns an error, and leaves the optimizer unchanged, if an entry is missing or has the
    /// wrong shape or type.
    pub fn load_state(&mut self, state: &[(String, Tensor)]) -> Result<()> {
        load(OP, &mut self.slots, BUFFERS, state)
    }
}

impl Optimizer for Sgd {
    type Config = SgdConfig;

    /// Uses the floating-point parameters; the state names them by index.
    fn new(vars: Vec<Var>, config: SgdConfig) -> Result<Self> {
        Ok(Self::named(numbered(vars), config))
    }

    /// Changes parameters in place, which all tensors that share their memory see. A parameter
    /// without a gradient is unchanged, and so is its velocity.
    ///
    /// # Errors
    /// Returns an error if the learning rate is negative or not finite, or if a parameter is not
    /// contiguous f32.
    fn step(&mut self, gradients: &GradStore) -> Result<()> {
        let SgdConfig { learning_rate, momentum, weight_decay } = self.config;
        check_rate(OP, learning_rate)?;
        let [rate, momentum, decay] =
            [learning_rate, momentum, weight_decay].map(|constant| constant as f32);
        for slot in &mut self.slots {
            let Some(gradient) = gradients.get(&slot.var) else { continue };
            #[cfg(feature = "cuda")]
            if let Some((var, buffers)) = slot.on_device()? {
                super::cuda::sgd(buffers, var, gradient, rate, momentum, decay)?;
                continue;
            }
            slot.update(OP, gradient, |values, gradient, [velocity]| {
                descend(values, gradient, velocity, rate, momentum, decay)
            })?;
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
