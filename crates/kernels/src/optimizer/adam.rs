//! Adam (Kingma and Ba 2015).

use super::{Slot, check_rate, entry, load, numbered};
use crate::Error;
use crate::arguments::with_elements;
use crate::simd::vectorized;
use candle_core::backprop::GradStore;
use candle_core::{Device, Result, Tensor, Var};
use candle_nn::Optimizer;

/// Adam with PyTorch's defaults: beta 0.9 and 0.999, eps 1e-8, no weight decay. Its configuration
/// is the learning rate.
pub struct Adam {
    slots: Vec<Slot<2>>,
    steps: u32,
    learning_rate: f64,
}

const OP: &str = "adam";
const BETAS: [f64; 2] = [0.9, 0.999];
const EPS: f32 = 1e-8;
const BUFFERS: [&str; 2] = ["first_moment", "second_moment"];
const STEPS: &str = "adam.steps";
/// Integers up to this are exact in f32, the type of the step count in the state; far more than any
/// fit takes.
const MOST_STEPS: f32 = (1u32 << 24) as f32;

impl Adam {
    /// An optimizer of named parameters, whose names are used in the state; moments start at zero.
    pub fn named(vars: Vec<(String, Var)>, learning_rate: f64) -> Self {
        Self { slots: Slot::all(vars), steps: 0, learning_rate }
    }

    /// Moments by parameter name (`<name>.first_moment`, `<name>.second_moment`) and the number of
    /// steps (`adam.steps`), for an exact resume.
    ///
    /// # Errors
    /// Returns an error only if memory runs out.
    pub fn state(&self) -> Result<Vec<(String, Tensor)>> {
        let mut state =
            self.slots.iter().map(|slot| slot.state(BUFFERS)).collect::<Result<Vec<_>>>()?.concat();
        state.push((STEPS.to_owned(), Tensor::new(self.steps as f32, &Device::Cpu)?));
        Ok(state)
    }

    /// Loads a state from [`Adam::state`]; entries with other names are ignored.
    ///
    /// # Errors
    /// Returns an error, and leaves the optimizer unchanged, if an entry is missing or has the
    /// wrong shape or type, or if the number of steps is invalid.
    pub fn load_state(&mut self, state: &[(String, Tensor)]) -> Result<()> {
        let steps = match with_elements(entry(OP, STEPS, state)?, |steps| Ok(steps.to_vec()))?[..] {
            [steps] if (0.0..=MOST_STEPS).contains(&steps) && steps.fract() == 0.0 => steps as u32,
            ref found => {
                let expected = format!("`{STEPS}`, one whole number from 0 to {MOST_STEPS}");
                return Err(Error::Parameter {
                    op: OP,
                    parameter: "the loaded state",
                    expected,
                    found: format!("{found:?}"),
                }
                .into());
            }
        };
        load(OP, &mut self.slots, BUFFERS, state)?;
        self.steps = steps;
        Ok(())
    }
}

impl Optimizer for Adam {
    /// The learning rate.
    type Config = f64;

    /// Uses the floating-point parameters; the state names them by index.
    fn new(vars: Vec<Var>, learning_rate: f64) -> Result<Self> {
        Ok(Self::named(numbered(vars), learning_rate))
    }

    /// Changes parameters in place, which all tensors that share their memory see. A parameter
    /// without a gradient is unchanged, and so are its moments.
    ///
    /// # Errors
    /// Returns an error if the learning rate is negative or not finite, or if a parameter is not
    /// contiguous f32.
    fn step(&mut self, gradients: &GradStore) -> Result<()> {
        check_rate(OP, self.learning_rate)?;
        self.steps += 1;
        let [first, second] = BETAS.map(|beta| 1.0 - beta.powf(f64::from(self.steps)));
        let (rate, scale) = ((self.learning_rate / first) as f32, (1.0 / second.sqrt()) as f32);
        for slot in &mut self.slots {
            let Some(gradient) = gradients.get(&slot.var) else { continue };
            #[cfg(feature = "cuda")]
            if let Some((var, buffers)) = slot.on_device()? {
                let (betas, rests) =
                    (BETAS.map(|beta| beta as f32), BETAS.map(|beta| (1.0 - beta) as f32));
                let constants = super::cuda::AdamStep { rate, scale, eps: EPS, betas, rests };
                super::cuda::adam(buffers, var, gradient, &constants)?;
                continue;
            }
            slot.update(OP, gradient, |values, gradient, [m, v]| {
                descend(values, gradient, m, v, rate, scale)
            })?;
        }
        Ok(())
    }

    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn set_learning_rate(&mut self, learning_rate: f64) {
        self.learning_rate = learning_rate;
    }
}

vectorized! {
    fn descend(values: &mut [f32], gradient: &[f32], first: &mut [f32], second: &mut [f32], rate: f32, scale: f32) {
        let [beta1, beta2] = BETAS.map(|beta| beta as f32);
        // Rounded once: 1 - 0.999 in f32 would be off by 1 in 100 000.
        let [rest1, rest2] = BETAS.map(|beta| (1.0 - beta) as f32);
        for (((p, g), m), v) in values.iter_mut().zip(gradient).zip(first).zip(second) {
            *m = beta1 * *m + rest1 * g;
            *v = beta2 * *v + rest2 * g * g;
            *p -= rate * *m / (v.sqrt() * scale + EPS);
        }
    }
}
