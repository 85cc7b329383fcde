//! Moving averages of parameters over steps.

use super::{PART, here};
use crate::arguments::with_elements;
use crate::in_place;
use crate::simd::vectorized;
use candle_core::{Result, Tensor};
use rayon::prelude::*;

/// `decay average + (1 - decay) values`, without a gradient. On the CPU `average` is changed in
/// place, which all tensors that share its memory see.
///
/// # Errors
/// Returns an error if shapes differ, or if an average on the CPU is not contiguous f32.
pub fn moving_average(average: Tensor, values: &Tensor, decay: f64) -> Result<Tensor> {
    if !here(&[&average, values]) || average.dims() != values.dims() {
        return (average * decay)? + (values.detach() * (1.0 - decay))?;
    }
    let [kept, taken] = [decay, 1.0 - decay].map(|share| share as f32);
    with_elements(values, |values| {
        in_place::change(&average, "moving_average", |average| {
            average
                .par_chunks_mut(PART)
                .zip(values.par_chunks(PART))
                .for_each(|(average, values)| mix(average, values, kept, taken));
        })
    })?;
    Ok(average)
}

vectorized! {
    fn mix(average: &mut [f32], values: &[f32], kept: f32, taken: f32) {
        for (average, value) in average.iter_mut().zip(values) {
            *average = (*average * kept + 0.0) + (value * taken + 0.0);
        }
    }
}
