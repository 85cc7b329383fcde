//! Optimizers for candle: one pass over each parameter, in place, with a state that can be saved
//! and loaded to resume exactly.

mod adam;
#[cfg(feature = "cuda")]
mod cuda;
mod sgd;
#[cfg(test)]
mod tests;

pub use adam::Adam;
pub use sgd::{Sgd, SgdConfig};

use crate::Error;
use crate::arguments::with_elements;
use crate::in_place;
use crate::simd::Isa;
use candle_core::{DType, Device, Result, Tensor, Var};
use rayon::prelude::*;

/// A named parameter with the optimizer's buffers of equal length.
struct Slot<const BUFFERS: usize> {
    name: String,
    var: Var,
    buffers: [Vec<f32>; BUFFERS],
    /// The buffers on the parameter's device, from its first step there on; those above are then
    /// outdated.
    #[cfg(feature = "cuda")]
    on_device: Option<cuda::Buffers<BUFFERS>>,
}

/// Values per thread and task.
const PART: usize = 1 << 15;

impl<const BUFFERS: usize> Slot<BUFFERS> {
    fn all(vars: Vec<(String, Var)>) -> Vec<Self> {
        let slot = |(name, var): (String, Var)| {
            let length = var.elem_count();
            Self {
                name,
                var,
                buffers: std::array::from_fn(|_| vec![0.0; length]),
                #[cfg(feature = "cuda")]
                on_device: None,
            }
        };
        vars.into_iter().map(slot).collect()
    }

    /// Changes the parameter in place: calls `update` for parts of (values, gradient, buffers).
    fn update(
        &mut self,
        op: &'static str,
        gradient: &Tensor,
        update: impl Fn(&mut [f32], &[f32], [&mut [f32]; BUFFERS]) + Sync,
    ) -> Result<()> {
        Isa::chosen()?;
        if self.var.dtype() != DType::F32 {
            return Err(Error::DType {
                op,
                argument: "a parameter",
                expected: DType::F32,
                found: self.var.dtype(),
            }
            .into());
        }
        let buffers = &mut self.buffers;
        with_elements(gradient, |gradient| {
            in_place::change(&self.var, op, |values| {
                if values.len() <= PART {
                    return update(values, gradient, buffers.each_mut().map(Vec::as_mut_slice));
                }
                let mut buffers = buffers.each_mut().map(|buffer| buffer.chunks_mut(PART));
                let parts =
                    values.chunks_mut(PART).zip(gradient.chunks(PART)).map(|(values, gradient)| {
                        (
                            values,
                            gradient,
                            buffers.each_mut().map(|parts| parts.next().unwrap_or_default()),
                        )
                    });
                let parts: Vec<_> = parts.collect();
                parts
                    .into_par_iter()
                    .for_each(|(values, gradient, buffers)| update(values, gradient, buffers));
            })
        })
    }

    /// The parameter and its buffers, if the parameter is on a device.
    #[cfg(feature = "cuda")]
    fn on_device(&mut self) -> Result<Option<(&Var, &mut cuda::Buffers<BUFFERS>)>> {
        if !self.var.device().is_cuda() {
            return Ok(None);
        }
        if self.on_device.is_none() {
            self.on_device = Some(cuda::Buffers::upload(self.var.device(), &self.buffers)?);
        }
        Ok(self.on_device.as_mut().map(|buffers| (&self.var, buffers)))
    }

    /// The buffers as tensors on the CPU, named after the parameter and the buffer.
    fn state(&self, names: [&str; BUFFERS]) -> Result<Vec<(String, Tensor)>> {
        #[cfg(feature = "cuda")]
        if let Some(buffers) = &self.on_device {
            let tensor = |(values, buffer): (Vec<f32>, &str)| {
                Ok((
                    format!("{}.{buffer}", self.name),
                    Tensor::from_vec(values, self.var.dims(), &Device::Cpu)?,
                ))
            };
            return buffers
                .download(self.var.device())?
                .into_iter()
                .zip(names)
                .map(tensor)
                .collect();
        }
        let tensor = |values: &Vec<f32>| Tensor::from_slice(values, self.var.dims(), &Device::Cpu);
        self.buffers
            .iter()
            .zip(names)
            .map(|(values, buffer)| Ok((format!("{}.{buffer}", self.name), tensor(values)?)))
            .collect()
    }

    /// The buffers of this parameter in a state.
    fn stored(
        &self,
        op: &'static str,
        names: [&str; BUFFERS],
        state: &[(String, Tensor)],
    ) -> Result<[Vec<f32>; BUFFERS]> {
        let mut buffers = std::array::from_fn(|_| Vec::new());
        for (values, buffer) in buffers.iter_mut().zip(names) {
            let name = format!("{}.{buffer}", self.name);
            let found = entry(op, &name, state)?;
            if found.dims() != self.var.dims() || found.dtype() != DType::F32 {
                return Err(Error::Parameter {
                    op,
                    parameter: "the loaded state",
                    expected: format!(
                        "`{name}` of shape {:?} and type F32, like the parameter",
                        self.var.dims()
                    ),
                    found: format!("shape {:?} and type {:?}", found.dims(), found.dtype()),
                }
                .into());
            }
            *values = with_elements(found, |found| Ok(found.to_vec()))?;
        }
        Ok(buffers)
    }
}

/// Loads a state for all parameters, or for none if it does not match.
fn load<const BUFFERS: usize>(
    op: &'static str,
    slots: &mut [Slot<BUFFERS>],
    names: [&str; BUFFERS],
    state: &[(String, Tensor)],
) -> Result<()> {
    let stored =
        slots.iter().map(|slot| slot.stored(op, names, state)).collect::<Result<Vec<_>>>()?;
    for (slot, buffers) in slots.iter_mut().zip(stored) {
        slot.buffers = buffers;
        #[cfg(feature = "cuda")]
        {
            slot.on_device = None;
        }
    }
    Ok(())
}

/// Names unnamed parameters by their index.
fn numbered(vars: Vec<Var>) -> Vec<(String, Var)> {
    let floats = vars.into_iter().filter(|var| var.dtype().is_float());
    floats.enumerate().map(|(number, var)| (number.to_string(), var)).collect()
}

fn entry<'a>(
    op: &'static str,
    name: &str,
    state: &'a [(String, Tensor)],
) -> std::result::Result<&'a Tensor, Error> {
    let found = state.iter().find(|(known, _)| known == name).map(|(_, tensor)| tensor);
    found.ok_or_else(|| Error::Parameter {
        op,
        parameter: "the loaded state",
        expected: format!("an entry `{name}`"),
        found: "none".into(),
    })
}

fn check_rate(op: &'static str, rate: f64) -> std::result::Result<(), Error> {
    if rate.is_finite() && rate >= 0.0 {
        return Ok(());
    }
    let expected = "finite and not negative".into();
    Err(Error::Parameter { op, parameter: "learning_rate", expected, found: rate.to_string() })
}
