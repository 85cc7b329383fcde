//! Stochastic gradient descent with momentum and weight decay.

use super::{Slot, check_rate, load};
use crate::simd::vectorized;
use candle_core::backprop::GradStore;
use candle_core::{Result, Tensor, Var};

/// v = momentum v + (g + weight_decay p); p = p - lr v, as PyTorch's `SGD` without dampening.
pub struct Sgd {
    slots: Vec<Slot<1>>,
    momentum: f32,
    weight_decay: f32,
}

const OP: &str = "sgd";
const BUFFERS: [&str; 1] = ["momentum"];

impl Sgd {
    /// Over named parameters; velocities start at zero.
    pub fn new(vars: Vec<(String, Var)>, momentum: f64, weight_decay: f64) -> Self {
        Self { slots: Slot::all(vars), momentum: momentum as f32, weight_decay: weight_decay as f32 }
    }

    /// One step at `learning_rate`, in place: what shares memory with a parameter sees it change. A parameter without a
    /// gradient stays as it is, and so does its velocity.
    ///
    /// # Errors
    /// A learning rate that is negative or not finite; a parameter that is not a contiguous f32 tensor.
    pub fn step(&mut self, gradients: &GradStore, learning_rate: f64) -> Result<()> {
        check_rate(OP, learning_rate)?;
        let (rate, momentum, decay) = (learning_rate as f32, self.momentum, self.weight_decay);
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

vectorized! {
    fn descend(values: &mut [f32], gradient: &[f32], velocity: &mut [f32], rate: f32, momentum: f32, decay: f32) {
        for ((p, g), v) in values.iter_mut().zip(gradient).zip(velocity) {
            *v = momentum * *v + (g + decay * *p);
            *p -= rate * *v;
        }
    }
}
