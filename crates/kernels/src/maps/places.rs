//! Readout positions of neurons in each image of a batch.

use super::{filled, here};
use crate::arguments::{contiguous, has_shape, with_elements};
use crate::simd::vectorized;
use crate::uninit::{Uninit, written};
use candle_core::{CpuStorage, CustomOp1, CustomOp2, Device, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

/// Coordinates of a position, x and y.
const AXES: usize = 2;

/// Coordinates whose gradients one thread sums over all images.
const TOGETHER: usize = 1 << 11;

/// Moves positions `[neurons, 2]` by the shift of each image, `[batch, 2]`, to `[batch, neurons,
/// 2]`. Differentiable in both.
///
/// # Errors
/// Returns an error if shapes do not match.
pub fn moved(places: &Tensor, shifts: &Tensor) -> Result<Tensor> {
    let (neurons, batch) = (places.dim(0)?, shifts.dim(0)?);
    has_shape("moved", "places", places, &[neurons, AXES])?;
    has_shape("moved", "shifts", shifts, &[batch, AXES])?;
    if !here(&[places, shifts]) {
        return places.unsqueeze(0)?.broadcast_add(&shifts.unsqueeze(1)?);
    }
    places.contiguous()?.apply_op2(&shifts.contiguous()?, Moved)
}

/// Positions `[.., 2]` times the scale of each axis, plus its offset. Differentiable in the
/// positions.
///
/// # Errors
/// Returns an error if the last dimension is not 2.
pub fn rescaled(places: &Tensor, axes: [[f64; 2]; AXES]) -> Result<Tensor> {
    let [scale, offset] = [0, 1].map(|part| axes.map(|axis| axis[part] as f32));
    if !here(&[places]) || places.dims().last() != Some(&AXES) {
        let vector = |values: [f32; AXES]| Tensor::new(&values, places.device());
        return places.broadcast_mul(&vector(scale)?)?.broadcast_add(&vector(offset)?);
    }
    places.contiguous()?.apply_op1(Rescaled { scale, offset })
}

struct Moved;

impl CustomOp2 for Moved {
    fn name(&self) -> &'static str {
        "moved"
    }

    fn cpu_fwd(
        &self,
        places: &CpuStorage,
        pl: &Layout,
        shifts: &CpuStorage,
        sl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (places, shifts) = (contiguous(places, pl)?, contiguous(shifts, sl)?);
        let (shifts, _) = shifts.as_chunks::<AXES>();
        // SAFETY: the images cover all values, and each image is written completely.
        let (values, ()) = unsafe {
            written(shifts.len() * places.len(), |to| {
                to.par_chunks_mut(places.len().max(1))
                    .zip(shifts)
                    .for_each(|(to, shift)| shift_all(places, *shift, to));
            })
        };
        Ok((CpuStorage::F32(values), Shape::from((shifts.len(), places.len() / AXES, AXES))))
    }

    fn bwd(
        &self,
        places: &Tensor,
        shifts: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let image = places.elem_count();
        with_elements(gradient, |gradient| {
            let of_places = || {
                let mut sums = vec![0.0; image];
                sums.par_chunks_mut(TOGETHER).enumerate().for_each(|(part, sums)| {
                    gradient
                        .chunks_exact(image)
                        .for_each(|gradient| add(sums, &gradient[part * TOGETHER..]));
                });
                Tensor::from_vec(sums, places.shape(), &Device::Cpu)
            };
            let of_shifts = || {
                let sums: Vec<[f32; AXES]> = gradient.par_chunks_exact(image).map(sum).collect();
                Tensor::from_vec(sums.into_flattened(), shifts.shape(), &Device::Cpu)
            };
            Ok((
                places.track_op().then(of_places).transpose()?,
                shifts.track_op().then(of_shifts).transpose()?,
            ))
        })
    }
}

/// Sum of all positions, one after the other.
fn sum(places: &[f32]) -> [f32; AXES] {
    places
        .as_chunks::<AXES>()
        .0
        .iter()
        .fold([0.0; AXES], |[x, y], place| [x + place[0], y + place[1]])
}

struct Rescaled {
    scale: [f32; AXES],
    offset: [f32; AXES],
}

impl CustomOp1 for Rescaled {
    fn name(&self) -> &'static str {
        "rescaled"
    }

    fn cpu_fwd(&self, places: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let places = contiguous(places, layout)?;
        let parts = super::PART;
        // SAFETY: the parts cover all values, and each part is written completely.
        let (values, ()) = unsafe {
            written(places.len(), |to| {
                let parts = to.par_chunks_mut(parts).zip(places.par_chunks(parts));
                parts.for_each(|(to, places)| rescale(places, self.scale, self.offset, to));
            })
        };
        Ok((CpuStorage::F32(values), layout.shape().clone()))
    }

    fn bwd(&self, places: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        with_elements(gradient, |gradient| {
            filled(places, |first, to| {
                rescale(&gradient[first..first + to.len()], self.scale, [0.0; AXES], to)
            })
        })
        .map(Some)
    }
}

vectorized! {
    fn shift_all(places: &[f32], shift: [f32; AXES], to: &mut [Uninit]) {
        for (to, place) in to.as_chunks_mut::<AXES>().0.iter_mut().zip(places.as_chunks::<AXES>().0) {
            to[0].write(place[0] + shift[0]);
            to[1].write(place[1] + shift[1]);
        }
    }
}

vectorized! {
    fn rescale(places: &[f32], scale: [f32; AXES], offset: [f32; AXES], to: &mut [Uninit]) {
        for (to, place) in to.as_chunks_mut::<AXES>().0.iter_mut().zip(places.as_chunks::<AXES>().0) {
            to[0].write(place[0] * scale[0] + offset[0]);
            to[1].write(place[1] * scale[1] + offset[1]);
        }
    }
}

vectorized! {
    fn add(sums: &mut [f32], values: &[f32]) {
        sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
    }
}
