//! Adam (Kingma and Ba 2015).

use super::{Slot, entry};
use crate::arguments::with_elements;
use candle_core::backprop::GradStore;
use candle_core::{Device, Result, Tensor, Var};

/// Adam with PyTorch's defaults: beta 0.9 and 0.999, eps 1e-8, no weight decay.
pub struct Adam {
    slots: Vec<Slot<2>>,
    steps: u32,
}

const BETAS: [f64; 2] = [0.9, 0.999];
const EPS: f32 = 1e-8;
const BUFFERS: [&str; 2] = ["first_moment", "second_moment"];
const STEPS: &str = "adam.steps";

impl Adam {
    /// Over named parameters; moments start at zero.
    pub fn new(vars: Vec<(String, Var)>) -> Self {
        Self { slots: Slot::all(vars), steps: 0 }
    }

    /// One step at `learning_rate`. A parameter without a gradient stays as it is.
    pub fn step(&mut self, gradients: &GradStore, learning_rate: f64) -> Result<()> {
        self.steps += 1;
        let [first, second] = BETAS.map(|beta| 1.0 - beta.powf(f64::from(self.steps)));
        let rate = (learning_rate / first) as f32;
        let scale = (1.0 / second.sqrt()) as f32;
        let [beta1, beta2] = BETAS.map(|beta| beta as f32);
        for slot in &mut self.slots {
            let Some(gradient) = gradients.get(&slot.var) else { continue };
            slot.update(gradient, |values, gradient, [m, v]| {
                for (((p, g), m), v) in values.iter_mut().zip(gradient).zip(m).zip(v) {
                    *m = beta1 * *m + (1.0 - beta1) * g;
                    *v = beta2 * *v + (1.0 - beta2) * g * g;
                    *p -= rate * *m / (v.sqrt() * scale + EPS);
                }
            })?;
        }
        Ok(())
    }

    /// Moments by parameter name and the number of steps, for an exact resume.
    pub fn state(&self) -> Result<Vec<(String, Tensor)>> {
        let mut state = self.slots.iter().map(|slot| slot.state(BUFFERS)).collect::<Result<Vec<_>>>()?.concat();
        // Whole numbers up to 2^24 are exact in f32, far more steps than any fit takes.
        state.push((STEPS.to_owned(), Tensor::new(self.steps as f32, &Device::Cpu)?));
        Ok(state)
    }

    /// Takes up a state of [`Adam::state`]; entries of other names are left alone.
    ///
    /// # Errors
    /// A missing entry or one of another size.
    pub fn load_state(&mut self, state: &[(String, Tensor)]) -> Result<()> {
        self.steps = with_elements(entry("adam", STEPS, state)?, |steps| Ok(steps.first().copied().unwrap_or_default() as u32))?;
        self.slots.iter_mut().try_for_each(|slot| slot.load("adam", BUFFERS, state))
    }
}
