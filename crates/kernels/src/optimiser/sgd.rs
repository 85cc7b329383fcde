//! Stochastic gradient descent with momentum and weight decay.

use super::Slot;
use candle_core::backprop::GradStore;
use candle_core::{Result, Tensor, Var};

/// v = momentum v + (g + weight_decay p); p = p - lr v, as PyTorch's `SGD` without dampening.
pub struct Sgd {
    slots: Vec<Slot<1>>,
    momentum: f32,
    weight_decay: f32,
}

const BUFFERS: [&str; 1] = ["momentum"];

impl Sgd {
    /// Over named parameters; velocities start at zero.
    pub fn new(vars: Vec<(String, Var)>, momentum: f64, weight_decay: f64) -> Self {
        Self { slots: Slot::all(vars), momentum: momentum as f32, weight_decay: weight_decay as f32 }
    }

    /// One step at `learning_rate`. A parameter without a gradient stays as it is.
    pub fn step(&mut self, gradients: &GradStore, learning_rate: f64) -> Result<()> {
        let (rate, momentum, decay) = (learning_rate as f32, self.momentum, self.weight_decay);
        for slot in &mut self.slots {
            let Some(gradient) = gradients.get(&slot.var) else { continue };
            slot.update(gradient, |values, gradient, [velocity]| {
                for ((p, g), v) in values.iter_mut().zip(gradient).zip(velocity) {
                    *v = momentum * *v + (g + decay * *p);
                    *p -= rate * *v;
                }
            })?;
        }
        Ok(())
    }

    /// Velocities by parameter name, for an exact resume.
    pub fn state(&self) -> Result<Vec<(String, Tensor)>> {
        Ok(self.slots.iter().map(|slot| slot.state(BUFFERS)).collect::<Result<Vec<_>>>()?.concat())
    }

    /// Takes up a state of [`Sgd::state`]; entries of other names are left alone.
    ///
    /// # Errors
    /// A missing entry or one of another size.
    pub fn load_state(&mut self, state: &[(String, Tensor)]) -> Result<()> {
        self.slots.iter_mut().try_for_each(|slot| slot.load("sgd", BUFFERS, state))
    }
}
