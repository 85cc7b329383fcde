//! Batch norm of images in chunks of bfloat16: statistics and sums are f32 over short stretches and
//! f64 over those, with one pass for the sums and one for the values in each direction. Threads
//! divide planes of chunks; their sums are added in the order of the images.

use super::activation::{with_activation, with_slope};
use super::cpu::{Found, Moments};
use super::{Activation, FixedStatistics, OP};
use crate::Error;
use crate::arguments::{has_shape, same_kind, with_elements};
use crate::elementary::exp_minus_one;
use crate::mixed::{CHUNK, RUN, Sizes, with_all_numbers, with_numbers};
use crate::simd::{narrow, vectorized, widen};
use crate::uninit::{Uninit16, written};
use candle_core::{Device, Result, Tensor};
use rayon::prelude::*;
use std::sync::{Arc, OnceLock};

/// Values that are summed in f32 before they are added in f64.
const STRETCH: usize = 32;

/// Two sums for each channel of a chunk.
type ChunkSums = [[f64; CHUNK]; 2];

pub(crate) struct MixedBatchNorm {
    sizes: Sizes,
    activation: Activation,
    eps: f64,
    /// Moments given by the caller, without gradients; `None` if they are those of the batch.
    given: Option<Box<Moments>>,
    /// The moments of the batch, set by the forward pass.
    found: Arc<OnceLock<Moments>>,
}

fn check(
    sizes: &Sizes,
    eps: f64,
    by_channel: &[(&'static str, &Tensor)],
    residual: Option<&Sizes>,
) -> std::result::Result<(), Error> {
    super::check_eps(eps)?;
    same_kind(OP, by_channel)?;
    for (argument, tensor) in by_channel {
        has_shape(OP, argument, tensor, &[sizes.channels])?;
    }
    match residual {
        Some(residual) if residual != sizes => Err(Error::Shape {
            op: OP,
            argument: "residual",
            expected: format!("{:?}", sizes.dims()),
            found: residual.dims().to_vec(),
            remedy: "reshape it, or match the other arguments",
        }),
        _ => Ok(()),
    }
}

impl MixedBatchNorm {
    /// See [`crate::batch_norm_train`].
    pub(crate) fn training(
        sizes: Sizes,
        scale: &Tensor,
        shift: &Tensor,
        residual: Option<&Sizes>,
        activation: Activation,
        eps: f64,
    ) -> Result<Self> {
        check(&sizes, eps, &[("scale", scale), ("shift", shift)], residual)?;
        Ok(Self { sizes, activation, eps, given: None, found: Arc::default() })
    }

    /// See [`crate::batch_norm_eval`].
    pub(crate) fn evaluation(
        sizes: Sizes,
        scale: &Tensor,
        shift: &Tensor,
        statistics: FixedStatistics,
        residual: Option<&Sizes>,
        activation: Activation,
    ) -> Result<Self> {
        let FixedStatistics { mean, variance, eps } = statistics;
        check(&sizes, eps, &statistics.with(scale, shift), residual)?;
        let copy = |tensor: &Tensor| with_elements(tensor, |values| Ok(values.to_vec()));
        let given = Some(Box::new(Moments::new(copy(mean)?, copy(variance)?, eps)));
        Ok(Self { sizes, activation, eps, given, found: Arc::default() })
    }

    pub(crate) fn found(&self) -> Found {
        Found::new(Arc::clone(&self.found), self.sizes.batch * self.sizes.area())
    }

    /// The result in chunks; `affine` is scale and shift, stacked.
    pub(crate) fn forward(
        &self,
        x: &Tensor,
        affine: &Tensor,
        residual: Option<&Tensor>,
    ) -> Result<Tensor> {
        let y = with_numbers(x, |x| {
            with_elements(affine, |affine| match residual {
                Some(residual) => with_numbers(residual, |residual| {
                    Ok(self.normalized(x, affine, Some(residual)))
                }),
                None => Ok(self.normalized(x, affine, None)),
            })
        })?;
        self.sizes.tensor(y)
    }

    /// The requested gradients with respect to x, scale and shift (stacked), and the residual; the
    /// gradient of y is the sum of `gradients`.
    pub(crate) fn gradients(
        &self,
        x: &Tensor,
        affine: &Tensor,
        y: &Tensor,
        gradients: &[Tensor],
        [input, scale_and_shift, residual]: [bool; 3],
    ) -> Result<[Option<Tensor>; 3]> {
        let (of_input, of_affine, of_residual) = with_numbers(x, |x| {
            with_elements(affine, |affine| {
                with_numbers(y, |y| {
                    with_all_numbers(gradients, |gradients| {
                        let source = Source { op: self, x, y, gradients };
                        Ok(source.gradients(affine, input, residual))
                    })
                })
            })
        })?;
        Ok([
            input.then(|| self.sizes.tensor(of_input)).transpose()?,
            scale_and_shift
                .then(|| Tensor::from_vec(of_affine, (2, self.sizes.channels), &Device::Cpu))
                .transpose()?,
            residual.then(|| self.sizes.tensor(of_residual)).transpose()?,
        ])
    }

    fn moments(&self) -> &Moments {
        self.given.as_deref().or_else(|| self.found.get()).expect("the forward pass came first")
    }

    /// Planes of chunks per task.
    fn run(&self) -> usize {
        RUN.div_ceil(self.sizes.plane())
    }

    /// Sums over all images of the results of `of` for the planes, chunk by chunk.
    fn sums(&self, of: impl Fn(usize) -> ChunkSums + Send + Sync) -> Vec<ChunkSums> {
        let chunks = self.sizes.chunks();
        let planes: Vec<ChunkSums> = (0..self.sizes.batch * chunks)
            .into_par_iter()
            .with_min_len(self.run())
            .map(of)
            .collect();
        let mut totals = vec![[[0.0; CHUNK]; 2]; chunks];
        for planes in planes.chunks_exact(chunks) {
            for (total, plane) in totals
                .as_flattened_mut()
                .as_flattened_mut()
                .iter_mut()
                .zip(planes.as_flattened().as_flattened())
            {
                *total += plane;
            }
        }
        totals
    }

    fn normalized(&self, x: &[u16], affine: &[f32], residual: Option<&[u16]>) -> Vec<u16> {
        let (sizes, count) = (self.sizes, (self.sizes.batch * self.sizes.area()) as f64);
        if self.given.is_none() {
            let sums = self.sums(|plane| moments(&x[plane * sizes.plane()..][..sizes.plane()]));
            let channels = sums
                .iter()
                .flat_map(|[values, squares]| values.iter().zip(squares))
                .take(sizes.channels);
            let (mean, variance) = channels
                .map(|(sum, squares)| {
                    let mean = sum / count;
                    (mean as f32, (squares / count - mean * mean).max(0.0) as f32)
                })
                .unzip();
            // A second forward pass of one operation would compute the same values.
            let _ = self.found.set(Moments::new(mean, variance, self.eps));
        }
        let moments = self.moments();
        let lines: Vec<Line> = (0..sizes.chunks())
            .map(|chunk| {
                let mut line =
                    Line { mean: [0.0; CHUNK], factor: [0.0; CHUNK], shift: [0.0; CHUNK] };
                for lane in 0..sizes.channels_of(chunk) {
                    let channel = chunk * CHUNK + lane;
                    line.mean[lane] = moments.mean[channel];
                    line.factor[lane] = affine[channel] * moments.inverse_deviation[channel];
                    line.shift[lane] = affine[sizes.channels + channel];
                }
                line
            })
            .collect();
        // SAFETY: the planes cover all numbers, and each one is written.
        let (y, ()) = unsafe {
            written(x.len(), |y| {
                y.par_chunks_exact_mut(sizes.plane())
                    .with_min_len(self.run())
                    .enumerate()
                    .for_each(|(plane, y)| {
                        let range = plane * sizes.plane()..(plane + 1) * sizes.plane();
                        let residual = residual.map(|residual| &residual[range.clone()]);
                        normalize(
                            y,
                            &x[range],
                            residual,
                            &lines[plane % sizes.chunks()],
                            self.activation,
                        );
                    });
            })
        };
        y
    }
}

struct Source<'a> {
    op: &'a MixedBatchNorm,
    x: &'a [u16],
    y: &'a [u16],
    /// Their sum is the gradient of y.
    gradients: &'a [&'a [u16]],
}

impl Source<'_> {
    /// The gradients of the input, of scale and shift, and of the residual; empty if not requested.
    fn gradients(
        &self,
        affine: &[f32],
        input: bool,
        residual: bool,
    ) -> (Vec<u16>, Vec<f32>, Vec<u16>) {
        let sizes = self.op.sizes;
        // The residual's gradient is the one before the activation, so it serves as a stage and
        // need not be recomputed. Several gradients are summed there, too.
        let staged = residual || self.gradients.len() > 1;
        let moments = self.op.moments();
        let means: Vec<[f32; CHUNK]> = (0..sizes.chunks())
            .map(|chunk| {
                std::array::from_fn(|lane| {
                    moments.mean.get(chunk * CHUNK + lane).copied().unwrap_or(0.0)
                })
            })
            .collect();
        // SAFETY: the planes cover all numbers, and each one is written.
        let (stage, sums) = unsafe {
            written(if staged { self.x.len() } else { 0 }, |stage| {
                let mut places: Vec<&mut [Uninit16]> =
                    stage.chunks_exact_mut(sizes.plane()).collect();
                places.resize_with(sizes.batch * sizes.chunks(), Default::default);
                let planes: Vec<ChunkSums> = places
                    .into_par_iter()
                    .with_min_len(self.op.run())
                    .enumerate()
                    .map(|(plane, stage)| {
                        let at = plane * sizes.plane()..(plane + 1) * sizes.plane();
                        let (x, y) = (&self.x[at.clone()], &self.y[at.clone()]);
                        let mean = &means[plane % sizes.chunks()];
                        if !staged {
                            return add_gradients(
                                x,
                                y,
                                &self.gradients[0][at],
                                mean,
                                self.op.activation,
                            );
                        }
                        let gradients: Vec<&[u16]> =
                            self.gradients.iter().map(|gradient| &gradient[at.clone()]).collect();
                        stage_gradients(stage, x, y, &gradients, mean, self.op.activation)
                    })
                    .collect();
                planes
            })
        };
        let sums = self.op.sums(|plane| sums[plane]);
        let count = (sizes.batch * sizes.area()) as f64;
        let mut of_affine = vec![0.0; 2 * sizes.channels];
        let lines: Vec<Back> = (0..sizes.chunks())
            .map(|chunk| {
                let mut back = Back {
                    mean: means[chunk],
                    factor: [0.0; CHUNK],
                    offset: [0.0; CHUNK],
                    slope: [0.0; CHUNK],
                };
                for lane in 0..sizes.channels_of(chunk) {
                    let channel = chunk * CHUNK + lane;
                    let deviation = moments.inverse_deviation[channel];
                    let (shift_sum, scale_sum) =
                        (sums[chunk][0][lane], sums[chunk][1][lane] * f64::from(deviation));
                    of_affine[channel] = scale_sum as f32;
                    of_affine[sizes.channels + channel] = shift_sum as f32;
                    back.factor[lane] = affine[channel] * deviation;
                    // With the batch's own statistics, the gradient has neither a mean nor a
                    // component along x.
                    if self.op.given.is_none() {
                        back.offset[lane] = (shift_sum / count) as f32;
                        back.slope[lane] = (scale_sum / count * f64::from(deviation)) as f32;
                    }
                }
                back
            })
            .collect();
        // SAFETY: as above.
        let (of_input, ()) = unsafe {
            written(if input { self.x.len() } else { 0 }, |to| {
                to.par_chunks_exact_mut(sizes.plane())
                    .with_min_len(self.op.run())
                    .enumerate()
                    .for_each(|(plane, to)| {
                        let range = plane * sizes.plane()..(plane + 1) * sizes.plane();
                        let (x, back) = (&self.x[range.clone()], &lines[plane % sizes.chunks()]);
                        match staged {
                            true => {
                                input_gradient(to, x, x, &stage[range], back, Activation::Identity)
                            }
                            false => {
                                let (y, gradient) =
                                    (&self.y[range.clone()], &self.gradients[0][range]);
                                input_gradient(to, x, y, gradient, back, self.op.activation);
                            }
                        }
                    });
            })
        };
        (of_input, of_affine, stage)
    }
}

/// The affine map before the activation, for the channels of a chunk.
struct Line {
    mean: [f32; CHUNK],
    factor: [f32; CHUNK],
    shift: [f32; CHUNK],
}

/// The linear map of gradients before the activation.
struct Back {
    mean: [f32; CHUNK],
    factor: [f32; CHUNK],
    offset: [f32; CHUNK],
    slope: [f32; CHUNK],
}

fn pixels(numbers: &[u16]) -> &[[u16; CHUNK]] {
    numbers.as_chunks().0
}

/// Adds f32 sums to f64 sums, and resets them.
#[inline(always)]
fn flush(totals: &mut ChunkSums, sums: &mut [[f32; CHUNK]; 2]) {
    for (totals, sums) in totals.iter_mut().zip(sums) {
        for lane in 0..CHUNK {
            totals[lane] += f64::from(sums[lane]);
            sums[lane] = 0.0;
        }
    }
}

vectorized! {
    /// Sums of the values and their squares.
    fn moments(plane: &[u16]) -> ChunkSums {
        let mut totals = [[0.0; CHUNK]; 2];
        let mut sums = [[0.0f32; CHUNK]; 2];
        for stretch in pixels(plane).chunks(STRETCH) {
            for pixel in stretch {
                for lane in 0..CHUNK {
                    let x = widen(pixel[lane]);
                    sums[0][lane] += x;
                    sums[1][lane] += x * x;
                }
            }
            flush(&mut totals, &mut sums);
        }
        totals
    }
}

vectorized! {
    fn normalize(y: &mut [Uninit16], x: &[u16], residual: Option<&[u16]>, line: &Line, activation: Activation) {
        with_activation!(activation, |active| fill(y, x, residual, line, active))
    }
}

#[inline(always)]
fn fill(
    y: &mut [Uninit16],
    x: &[u16],
    residual: Option<&[u16]>,
    line: &Line,
    activation: impl Fn(f32) -> f32,
) {
    let y = y.as_chunks_mut::<CHUNK>().0.iter_mut().zip(pixels(x));
    match residual {
        Some(residual) => {
            for ((y, x), r) in y.zip(pixels(residual)) {
                for lane in 0..CHUNK {
                    let z = (widen(x[lane]) - line.mean[lane]) * line.factor[lane]
                        + line.shift[lane]
                        + widen(r[lane]);
                    y[lane].write(narrow(activation(z)));
                }
            }
        }
        None => {
            for (y, x) in y {
                for lane in 0..CHUNK {
                    let z =
                        (widen(x[lane]) - line.mean[lane]) * line.factor[lane] + line.shift[lane];
                    y[lane].write(narrow(activation(z)));
                }
            }
        }
    }
}

vectorized! {
    /// Sums of the gradients before the activation, and of these times the centered values.
    fn add_gradients(x: &[u16], y: &[u16], gradient: &[u16], mean: &[f32; CHUNK], activation: Activation) -> ChunkSums {
        with_slope!(activation, |before| {
            let mut totals = [[0.0; CHUNK]; 2];
            let mut sums = [[0.0f32; CHUNK]; 2];
            let stretches = pixels(x).chunks(STRETCH).zip(pixels(y).chunks(STRETCH)).zip(pixels(gradient).chunks(STRETCH));
            for ((x, y), g) in stretches {
                for ((x, y), g) in x.iter().zip(y).zip(g) {
                    for lane in 0..CHUNK {
                        let g = before(widen(y[lane]), widen(g[lane]));
                        sums[0][lane] += g;
                        sums[1][lane] += g * (widen(x[lane]) - mean[lane]);
                    }
                }
                flush(&mut totals, &mut sums);
            }
            totals
        })
    }
}

vectorized! {
    /// The same for the sum of several gradients, which is also written, before the activation and
    /// rounded.
    fn stage_gradients(
        stage: &mut [Uninit16], x: &[u16], y: &[u16], gradients: &[&[u16]], mean: &[f32; CHUNK], activation: Activation,
    ) -> ChunkSums {
        with_slope!(activation, |before| {
            let mut totals = [[0.0; CHUNK]; 2];
            let mut sums = [[0.0f32; CHUNK]; 2];
            let (first, others) = gradients.split_first().expect("a backward pass has a gradient");
            let stage = stage.as_chunks_mut::<CHUNK>().0;
            for (index, (stage, x)) in stage.iter_mut().zip(pixels(x)).enumerate() {
                let mut sum: [f32; CHUNK] = std::array::from_fn(|lane| widen(pixels(first)[index][lane]));
                for other in others {
                    let other = &pixels(other)[index];
                    for lane in 0..CHUNK {
                        sum[lane] += widen(other[lane]);
                    }
                }
                let y = &pixels(y)[index];
                for lane in 0..CHUNK {
                    let rounded = narrow(before(widen(y[lane]), sum[lane]));
                    stage[lane].write(rounded);
                    let g = widen(rounded);
                    sums[0][lane] += g;
                    sums[1][lane] += g * (widen(x[lane]) - mean[lane]);
                }
                if index % STRETCH == STRETCH - 1 {
                    flush(&mut totals, &mut sums);
                }
            }
            flush(&mut totals, &mut sums);
            totals
        })
    }
}

vectorized! {
    /// `factor (g - offset - (x - mean) slope)` with g before the activation.
    fn input_gradient(to: &mut [Uninit16], x: &[u16], y: &[u16], gradient: &[u16], back: &Back, activation: Activation) {
        with_slope!(activation, |before| {
            let to = to.as_chunks_mut::<CHUNK>().0.iter_mut();
            for (((to, x), y), g) in to.zip(pixels(x)).zip(pixels(y)).zip(pixels(gradient)) {
                for lane in 0..CHUNK {
                    let g = before(widen(y[lane]), widen(g[lane]));
                    let along = (widen(x[lane]) - back.mean[lane]) * back.slope[lane];
                    to[lane].write(narrow(back.factor[lane] * (g - back.offset[lane] - along)));
                }
            }
        })
    }
}
