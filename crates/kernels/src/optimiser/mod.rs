//! Optimisers: one pass over each parameter, with a state that can be saved and loaded for an exact resume.

mod adam;
mod sgd;

pub use adam::Adam;
pub use sgd::Sgd;

use crate::Error;
use crate::arguments::with_elements;
use candle_core::{Device, Result, Tensor, Var};

/// A parameter by name, with the optimiser's own buffers of the same length.
struct Slot<const BUFFERS: usize> {
    name: String,
    var: Var,
    buffers: [Vec<f32>; BUFFERS],
}

impl<const BUFFERS: usize> Slot<BUFFERS> {
    fn all(vars: Vec<(String, Var)>) -> Vec<Self> {
        let slot = |(name, var): (String, Var)| {
            let length = var.elem_count();
            Self { name, var, buffers: std::array::from_fn(|_| vec![0.0; length]) }
        };
        vars.into_iter().map(slot).collect()
    }

    /// Replaces the parameter by what `update` makes of a copy of its values, given the gradient.
    fn update(&mut self, gradient: &Tensor, update: impl FnOnce(&mut [f32], &[f32], &mut [Vec<f32>; BUFFERS])) -> Result<()> {
        let mut values = with_elements(&self.var, |values| Ok(values.to_vec()))?;
        with_elements(gradient, |gradient| {
            update(&mut values, gradient, &mut self.buffers);
            Ok(())
        })?;
        self.var.set(&Tensor::from_vec(values, self.var.dims(), &Device::Cpu)?)
    }

    /// The buffers as tensors, named after the parameter and the buffer.
    fn state(&self, names: [&str; BUFFERS]) -> Result<Vec<(String, Tensor)>> {
        let tensor = |values: &Vec<f32>| Tensor::from_slice(values, self.var.dims(), &Device::Cpu);
        self.buffers.iter().zip(names).map(|(values, buffer)| Ok((format!("{}.{buffer}", self.name), tensor(values)?))).collect()
    }

    fn load(&mut self, op: &'static str, names: [&str; BUFFERS], state: &[(String, Tensor)]) -> Result<()> {
        for (values, buffer) in self.buffers.iter_mut().zip(names) {
            let name = format!("{}.{buffer}", self.name);
            *values = with_elements(entry(op, &name, state)?, |found| Ok(found.to_vec()))?;
            if values.len() != self.var.elem_count() {
                let expected = format!("{} elements, as the parameter", self.var.elem_count());
                return Err(Error::Parameter {
                    op,
                    parameter: "a loaded buffer",
                    expected,
                    found: format!("{name} of {}", values.len()),
                }
                .into());
            }
        }
        Ok(())
    }
}

fn entry<'a>(op: &'static str, name: &str, state: &'a [(String, Tensor)]) -> std::result::Result<&'a Tensor, Error> {
    let found = state.iter().find(|(known, _)| known == name).map(|(_, tensor)| tensor);
    found.ok_or_else(|| Error::Parameter {
        op,
        parameter: "the loaded state",
        expected: format!("an entry `{name}`"),
        found: "none".into(),
    })
}

#[cfg(test)]
mod tests;
