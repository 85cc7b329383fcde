//! Pools windows one row of outputs at a time; threads divide planes.

use super::checked;
use crate::Error;
use crate::arguments::{contiguous, with_elements};
use crate::simd::vectorized;
use candle_core::{CpuStorage, CustomOp1, Device, Layout, Result, Shape, Tensor};
use rayon::prelude::*;
use std::ops::Range;

/// Averages over equal windows.
#[derive(Clone, Copy)]
pub(crate) struct Pooling {
    pub(super) name: &'static str,
    planes: usize,
    dims: [usize; 2],
    size: (usize, usize),
    pub(super) out: (usize, usize),
    kernel: usize,
    stride: usize,
}

impl Pooling {
    /// See [`crate::average_pool`].
    pub(crate) fn average(
        x: &Tensor,
        kernel: usize,
        stride: usize,
    ) -> std::result::Result<Self, Error> {
        const OP: &str = "average_pool";
        let [batch, channels, height, width] =
            checked(OP, x, &[("kernel", kernel), ("stride", stride)])?;
        if kernel > height.min(width) {
            let expected = format!("at most the image, {height} x {width}");
            return Err(Error::Parameter {
                op: OP,
                parameter: "kernel",
                expected,
                found: kernel.to_string(),
            });
        }
        let out = ((height - kernel) / stride + 1, (width - kernel) / stride + 1);
        let (planes, dims) = (batch * channels, [batch, channels]);
        Ok(Self { name: OP, planes, dims, size: (height, width), out, kernel, stride })
    }

    /// See [`crate::area_pool`].
    pub(crate) fn area(x: &Tensor, factor: usize) -> std::result::Result<Self, Error> {
        const OP: &str = "area_pool";
        let [batch, channels, height, width] = checked(OP, x, &[("factor", factor)])?;
        let out = (height.div_ceil(factor), width.div_ceil(factor));
        let (planes, dims) = (batch * channels, [batch, channels]);
        Ok(Self {
            name: OP,
            planes,
            dims,
            size: (height, width),
            out,
            kernel: factor,
            stride: factor,
        })
    }

    fn plane(&self) -> usize {
        self.size.0 * self.size.1
    }

    fn out_plane(&self) -> usize {
        self.out.0 * self.out.1
    }

    pub(crate) fn input_gradient(&self, gradient: &Tensor) -> Result<Tensor> {
        with_elements(gradient, |gradient| {
            let mut input = vec![0.0; self.planes * self.plane()];
            let planes = RUN.div_ceil(self.plane());
            let parts = input
                .par_chunks_mut(planes * self.plane())
                .zip(gradient.par_chunks(planes * self.out_plane()));
            parts.for_each(|(input, gradient)| spread(self, gradient, input));
            Tensor::from_vec(
                input,
                (self.dims[0], self.dims[1], self.size.0, self.size.1),
                &Device::Cpu,
            )
        })
    }

    fn window(&self, index: usize, size: usize) -> Range<usize> {
        index * self.stride..(index * self.stride + self.kernel).min(size)
    }

    /// Windows of a row of outputs: the image's rows, and 1 / the number of rows.
    fn row(&self, y: usize) -> (Range<usize>, f32) {
        let rows = self.window(y, self.size.0);
        let share = 1.0 / rows.len() as f32;
        (rows, share)
    }
}

vectorized! {
    /// Averages some planes.
    fn pool(p: &Pooling, planes: &[f32], output: &mut [f32]) {
        let mut sums = vec![0.0; p.size.1];
        let sums = sums.as_mut_slice();
        for (index, output) in output.chunks_exact_mut(p.out.1).enumerate() {
            let (plane, y) = (&planes[index / p.out.0 * p.plane()..][..p.plane()], index % p.out.0);
            let (rows, share) = p.row(y);
            sums.fill(0.0);
            for row in rows {
                sums.iter_mut().zip(&plane[row * p.size.1..]).for_each(|(sum, value)| *sum += value);
            }
            match (p.kernel, p.stride) {
                // Specialized code, unrolled for the most common window.
                (2, 2) => average(p, share, sums, output, 2, 2),
                (kernel, stride) => average(p, share, sums, output, kernel, stride),
            }
        }
    }
}

#[inline(always)]
fn average(
    p: &Pooling,
    share: f32,
    sums: &[f32],
    output: &mut [f32],
    kernel: usize,
    stride: usize,
) {
    let factor = share / kernel as f32;
    for (x, value) in output.iter_mut().enumerate() {
        *value = match sums.get(x * stride..x * stride + kernel) {
            Some(window) => window.iter().sum::<f32>() * factor,
            None => {
                let window = &sums[p.window(x, p.size.1)];
                window.iter().sum::<f32>() * (share / window.len() as f32)
            }
        };
    }
}

vectorized! {
    /// Distributes the gradients of some planes over the windows.
    fn spread(p: &Pooling, gradient: &[f32], planes: &mut [f32]) {
        let mut shares = vec![0.0; p.size.1];
        let shares = shares.as_mut_slice();
        for (index, gradient) in gradient.chunks_exact(p.out.1).enumerate() {
            let (plane, y) = (&mut planes[index / p.out.0 * p.plane()..][..p.plane()], index % p.out.0);
            let (rows, share) = p.row(y);
            match (p.kernel, p.stride) {
                (2, 2) => distribute(p, share, gradient, shares, 2, 2),
                (kernel, stride) => distribute(p, share, gradient, shares, kernel, stride),
            }
            for row in rows {
                plane[row * p.size.1..].iter_mut().zip(shares.iter()).for_each(|(value, share)| *value += share);
            }
        }
    }
}

#[inline(always)]
fn distribute(
    p: &Pooling,
    share: f32,
    gradient: &[f32],
    shares: &mut [f32],
    kernel: usize,
    stride: usize,
) {
    let factor = share / kernel as f32;
    shares.fill(0.0);
    for (x, g) in gradient.iter().enumerate() {
        match shares.get_mut(x * stride..x * stride + kernel) {
            Some(window) => window.iter_mut().for_each(|value| *value += g * factor),
            None => {
                let window = &mut shares[p.window(x, p.size.1)];
                let factor = share / window.len() as f32;
                window.iter_mut().for_each(|value| *value += g * factor);
            }
        }
    }
}

/// Minimum floats of the image per thread and task, since planes may be small.
const RUN: usize = 1 << 14;

impl CustomOp1 for Pooling {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = contiguous(x, layout)?;
        let mut output = vec![0.0; self.planes * self.out_plane()];
        let planes = RUN.div_ceil(self.plane());
        let parts = output
            .par_chunks_mut(planes * self.out_plane())
            .zip(x.par_chunks(planes * self.plane()));
        parts.for_each(|(output, x)| pool(self, x, output));
        Ok((
            CpuStorage::F32(output),
            Shape::from((self.dims[0], self.dims[1], self.out.0, self.out.1)),
        ))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        self.input_gradient(gradient).map(Some)
    }
}
