//! One image with the channels of each pixel together: the readout of some neurons, and its
//! gradients.

use super::PointReadout;
use crate::bilinear::slopes;
use crate::simd::{Isa, Vector, compiled_for_each, instance};
use crate::transpose::transpose;
use crate::uninit::Place;

/// Transposes `[channels, area]` to `[area, channels]`.
pub(super) fn channels_last<P: Place>(features: &[f32], pixels: &mut [P], channels: usize) {
    let area = features.len() / channels;
    transpose(Isa::active(), [channels, area], features, area, pixels, channels);
}

/// Transposes `[area, channels]` to `[channels, area]`.
pub(super) fn channels_first<P: Place>(pixels: &[f32], features: &mut [P], channels: usize) {
    let area = features.len() / channels;
    transpose(Isa::active(), [area, channels], pixels, channels, features, area);
}

/// Some neurons and the image they read.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub op: &'a PointReadout,
    /// `[area, channels]`
    pub pixels: &'a [f32],
    /// `[neurons, 2]`
    pub positions: &'a [f32],
    /// `[neurons, channels]`
    pub weights: &'a [f32],
}

impl View<'_> {
    fn neurons(&self) -> usize {
        self.positions.len() / 2
    }

    /// Checks everything that the kernels rely on. Any position leads to pixels of the image.
    fn check(&self) {
        assert_eq!(self.pixels.len(), self.op.image());
        assert_eq!(self.positions.len(), self.neurons() * 2);
        assert_eq!(self.weights.len(), self.neurons() * self.op.channels);
    }
}

struct Reading<'a> {
    view: View<'a>,
    output: *mut f32,
}

/// The value of each neuron.
pub(super) fn read(isa: Isa, view: View, output: &mut [f32]) {
    view.check();
    assert_eq!(output.len(), view.neurons());
    let kernel: unsafe fn(&Reading) = instance!(isa, values);
    // SAFETY: the assertions keep every element within the slices; the instruction set was
    // detected.
    unsafe { kernel(&Reading { view, output: output.as_mut_ptr() }) }
}

/// # Safety
///
/// The view is consistent, and `output` is valid for its neurons.
#[inline(always)]
unsafe fn values<V: Vector>(reading: &Reading) {
    let View { op, pixels, positions, weights } = reading.view;
    let channels = op.channels;
    for (neuron, position) in positions.chunks_exact(2).enumerate() {
        let corners = op.grid.corners(position);
        // SAFETY: corners are pixels of the image, and a vector ends where its row ends.
        unsafe {
            let corner = corners.pixels.map(|pixel| pixels.as_ptr().add(pixel * channels));
            let share = corners.shares.map(|share| V::splat(share));
            let row = weights.as_ptr().add(neuron * channels);
            let mut sum = V::splat(0.0);
            over_channels::<V>(channels, |start, count| {
                let [a, b, c, d] = corner.map(|corner| load::<V>(corner.add(start), count));
                let low = a.mul(share[0]);
                let high = c.mul(share[2]);
                let value = b.mul_add(share[1], low).add(d.mul_add(share[3], high));
                sum = load::<V>(row.add(start), count).mul_add(value, sum);
            });
            *reading.output.add(neuron) = sum.sum();
        }
    }
}

compiled_for_each!(values, Reading);

/// Where the gradients of one image are written; empty if not requested.
pub(super) struct Targets<'a> {
    /// Like the image; added to.
    pub pixels: &'a mut [f32],
    /// `[neurons, 2]`; overwritten.
    pub positions: &'a mut [f32],
    /// `[neurons, channels]`; added to.
    pub weights: &'a mut [f32],
}

struct Differentiation<'a> {
    view: View<'a>,
    gradient: &'a [f32],
    into_pixels: Option<*mut f32>,
    into_positions: Option<*mut f32>,
    into_weights: Option<*mut f32>,
}

/// Computes the gradients from those of the neurons' values.
pub(super) fn differentiate(isa: Isa, view: View, gradient: &[f32], into: Targets) {
    view.check();
    assert_eq!(gradient.len(), view.neurons());
    let pointer = |target: &mut [f32], like: &[f32]| match target.len() {
        0 => None,
        len => {
            assert_eq!(len, like.len());
            Some(target.as_mut_ptr())
        }
    };
    let kernel: unsafe fn(&Differentiation) = instance!(isa, gradients);
    let arguments = Differentiation {
        view,
        gradient,
        into_pixels: pointer(into.pixels, view.pixels),
        into_positions: pointer(into.positions, view.positions),
        into_weights: pointer(into.weights, view.weights),
    };
    // SAFETY: the assertions keep every element within the slices; the instruction set was
    // detected.
    unsafe { kernel(&arguments) }
}

/// Each value of a pixel and each weight is read once for all gradients.
///
/// # Safety
///
/// The view is consistent, and each target is as large as its argument.
#[inline(always)]
unsafe fn gradients<V: Vector>(d: &Differentiation) {
    let View { op, pixels, positions, weights } = d.view;
    let channels = op.channels;
    for (neuron, (position, g)) in positions.chunks_exact(2).zip(d.gradient).enumerate() {
        let corners = op.grid.corners(position);
        let at = corners.pixels.map(|pixel| pixel * channels);
        // SAFETY: corners are pixels of the image, and a vector ends where its row ends. Corners
        // that coincide at the border are added to one after the other.
        unsafe {
            let share = corners.shares.map(|share| V::splat(share * g));
            let own = neuron * channels;
            let mut products = [V::splat(0.0); 4];
            over_channels::<V>(channels, |start, count| {
                let weight = load::<V>(weights.as_ptr().add(own + start), count);
                let corner = at.map(|at| load::<V>(pixels.as_ptr().add(at + start), count));
                for (product, corner) in products.iter_mut().zip(corner) {
                    *product = weight.mul_add(corner, *product);
                }
                if let Some(into) = d.into_weights {
                    let to = into.add(own + start);
                    let [a, b, c, d] = corner;
                    let sum = a.mul_add(share[0], load::<V>(to, count));
                    let rest = c.mul_add(share[2], b.mul(share[1]));
                    store(d.mul_add(share[3], sum).add(rest), to, count);
                }
                if let Some(into) = d.into_pixels {
                    for (at, share) in at.into_iter().zip(share) {
                        let to = into.add(at + start);
                        store(weight.mul_add(share, load::<V>(to, count)), to, count);
                    }
                }
            });
            if let Some(into) = d.into_positions {
                let [along_x, along_y] = slopes(products.map(|product| product.sum()), &corners);
                let [per_x, per_y] = op.grid.pixels_per_unit();
                *into.add(2 * neuron) = if corners.x.clamped { 0.0 } else { g * (along_x * per_x) };
                *into.add(2 * neuron + 1) =
                    if corners.y.clamped { 0.0 } else { g * (along_y * per_y) };
            }
        }
    }
}

compiled_for_each!(gradients, Differentiation);

/// Calls `work` with the first channel of a vector, and the number of channels it holds.
#[inline(always)]
fn over_channels<V: Vector>(channels: usize, mut work: impl FnMut(usize, usize)) {
    for start in (0..channels).step_by(V::LANES) {
        work(start, (channels - start).min(V::LANES));
    }
}

/// # Safety
///
/// See [`Vector::load_first`]; at most as many floats as lanes.
#[inline(always)]
unsafe fn load<V: Vector>(from: *const f32, count: usize) -> V {
    // SAFETY: the caller guarantees the instructions and `count` floats.
    unsafe { if count == V::LANES { V::load(from) } else { V::load_first(from, count) } }
}

/// # Safety
///
/// See [`Vector::store_first`]; at most as many floats as lanes.
#[inline(always)]
unsafe fn store<V: Vector>(vector: V, to: *mut f32, count: usize) {
    // SAFETY: the caller guarantees the instructions and `count` floats.
    unsafe { if count == V::LANES { vector.store(to) } else { vector.store_first(to, count) } }
}
