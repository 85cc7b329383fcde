//! Backward passes and sums of gradients beside candle's graph.

use std::cell::RefCell;
use std::collections::HashMap;

use candle_core::backprop::GradStore;
use candle_core::{Device, Result, Tensor, TensorId};
use rayon::prelude::*;

use crate::arguments::{with_all_elements, with_elements};
use crate::in_place;
use crate::simd::vectorized;

/// The sum of one or more tensors of equal shape.
pub(super) fn sum(tensors: &[Tensor]) -> Result<Tensor> {
    if let [only] = tensors {
        return only.contiguous();
    }
    with_all_elements(tensors, |values| {
        let mut sum = values[0].to_vec();
        for values in &values[1..] {
            sum.par_chunks_mut(PART)
                .zip(values.par_chunks(PART))
                .for_each(|(sum, values)| add(sum, values));
        }
        Tensor::from_vec(sum, tensors[0].shape(), &Device::Cpu)
    })
}

/// Gradients of variables by identity, summed over all operations that read them.
type OfVariables = HashMap<TensorId, Tensor>;

thread_local!(static COLLECTED: RefCell<Option<OfVariables>> = const { RefCell::new(None) });

/// Like `loss.backward()`, but gradients of convolution weights bypass candle's graph, too.
///
/// # Errors
/// Returns an error if candle's backward pass does.
pub fn backward(loss: &Tensor) -> Result<GradStore> {
    backward_onto(GradStore::default(), loss)
}

/// Like [`backward`], for one of several losses: adds to the gradients `earlier` of the others, in
/// place. The graph of one loss can be dropped before the next loss is computed.
///
/// # Errors
/// See [`backward`].
pub fn backward_onto(earlier: GradStore, loss: &Tensor) -> Result<GradStore> {
    let earlier: OfVariables =
        earlier.get_ids().filter_map(|id| Some((*id, earlier.get_id(*id)?.clone()))).collect();
    let outer = COLLECTED.replace(Some(earlier));
    let store = loss.backward();
    let collected = COLLECTED.replace(outer).unwrap_or_default();
    let mut store = store?;
    for (variable, gradient) in collected {
        let gradient = match store.get_id(variable) {
            Some(other) => with_added(gradient, other)?,
            None => gradient,
        };
        store.insert_id(variable, gradient);
    }
    Ok(store)
}

/// Keeps the gradient of a variable for the current [`backward`]; returns any other gradient.
pub(crate) fn collected(of: &Tensor, gradient: Tensor) -> Result<Option<Tensor>> {
    COLLECTED.with_borrow_mut(|collected| match collected {
        Some(collected) if of.is_variable() => {
            let sum = match collected.remove(&of.id()) {
                Some(sum) => with_added(sum, &gradient)?,
                None => gradient,
            };
            collected.insert(of.id(), sum);
            Ok(None)
        }
        _ => Ok(Some(gradient)),
    })
}

/// Adds another gradient to the first one, which nothing else reads.
fn with_added(sum: Tensor, gradient: &Tensor) -> Result<Tensor> {
    if !sum.device().is_cpu() {
        return sum + gradient;
    }
    with_elements(gradient, |gradient| {
        in_place::change(&sum, "sum of gradients", |sum| {
            sum.par_chunks_mut(PART)
                .zip(gradient.par_chunks(PART))
                .for_each(|(sum, gradient)| add(sum, gradient));
        })
    })?;
    Ok(sum)
}

/// Floats per thread and addition.
const PART: usize = 1 << 15;

vectorized! {
    fn add(sum: &mut [f32], values: &[f32]) {
        sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
    }
}
