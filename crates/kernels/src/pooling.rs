//! Averages over windows of an image.

use crate::Error;
use crate::arguments::{contiguous, image_sizes, same_kind, with_elements};
use candle_core::{CpuStorage, CustomOp1, Device, Layout, Result, Shape, Tensor};
use rayon::prelude::*;
use std::ops::Range;

/// Mean over blocks of `factor` x `factor` pixels; blocks that reach beyond the image average what there is, so that
/// `[batch, channels, height, width]` becomes `[batch, channels, ceil(height / factor), ceil(width / factor)]`.
///
/// # Errors
/// A rank other than 4, no pixels, a factor of 0.
pub fn area_pool(x: &Tensor, factor: usize) -> Result<Tensor> {
    const OP: &str = "area_pool";
    let [batch, channels, height, width] = checked(OP, x, &[("factor", factor)])?;
    let out = (height.div_ceil(factor), width.div_ceil(factor));
    x.contiguous()?.apply_op1(Pooling {
        name: OP,
        planes: batch * channels,
        dims: [batch, channels],
        size: (height, width),
        out,
        kernel: factor,
        stride: factor,
    })
}

/// Mean over windows of `kernel` x `kernel` pixels, `stride` apart, that lie wholly within the image (as PyTorch's
/// `avg_pool2d` without padding).
///
/// # Errors
/// A rank other than 4, a window larger than the image, a kernel or stride of 0.
pub fn average_pool(x: &Tensor, kernel: usize, stride: usize) -> Result<Tensor> {
    const OP: &str = "average_pool";
    let [batch, channels, height, width] = checked(OP, x, &[("kernel", kernel), ("stride", stride)])?;
    if kernel > height.min(width) {
        let expected = format!("at most the image, {height} x {width}");
        return Err(Error::Parameter { op: OP, parameter: "kernel", expected, found: kernel.to_string() }.into());
    }
    let out = ((height - kernel) / stride + 1, (width - kernel) / stride + 1);
    x.contiguous()?.apply_op1(Pooling {
        name: OP,
        planes: batch * channels,
        dims: [batch, channels],
        size: (height, width),
        out,
        kernel,
        stride,
    })
}

fn checked(op: &'static str, x: &Tensor, parameters: &[(&'static str, usize)]) -> std::result::Result<[usize; 4], Error> {
    same_kind(op, &[("x", x)])?;
    for (parameter, value) in parameters {
        if *value == 0 {
            return Err(Error::Parameter { op, parameter, expected: "at least 1".into(), found: "0".into() });
        }
    }
    image_sizes(op, "x", x)
}

struct Pooling {
    name: &'static str,
    planes: usize,
    dims: [usize; 2],
    size: (usize, usize),
    out: (usize, usize),
    kernel: usize,
    stride: usize,
}

impl Pooling {
    fn window(&self, index: usize, size: usize) -> Range<usize> {
        index * self.stride..(index * self.stride + self.kernel).min(size)
    }

    /// Calls `visit` with each output, its window's rows and columns, and 1 over the number of its pixels.
    fn windows(&self, mut visit: impl FnMut(usize, Range<usize>, Range<usize>, f32)) {
        for y in 0..self.out.0 {
            let rows = self.window(y, self.size.0);
            for x in 0..self.out.1 {
                let columns = self.window(x, self.size.1);
                let share = 1.0 / (rows.len() * columns.len()) as f32;
                visit(y * self.out.1 + x, rows.clone(), columns, share);
            }
        }
    }
}

impl CustomOp1 for Pooling {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = contiguous(x, layout)?;
        let (area, out_area, width) = (self.size.0 * self.size.1, self.out.0 * self.out.1, self.size.1);
        let mut output = vec![0.0; self.planes * out_area];
        output.par_chunks_exact_mut(out_area).zip(x.par_chunks_exact(area)).for_each(|(output, plane)| {
            self.windows(|index, rows, columns, share| {
                let sum: f32 = rows.map(|row| plane[row * width..][columns.clone()].iter().sum::<f32>()).sum();
                output[index] = sum * share;
            });
        });
        Ok((CpuStorage::F32(output), Shape::from((self.dims[0], self.dims[1], self.out.0, self.out.1))))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let (area, out_area, width) = (self.size.0 * self.size.1, self.out.0 * self.out.1, self.size.1);
        with_elements(gradient, |gradient| {
            let mut input = vec![0.0; self.planes * area];
            input.par_chunks_exact_mut(area).zip(gradient.par_chunks_exact(out_area)).for_each(|(plane, gradient)| {
                self.windows(|index, rows, columns, share| {
                    for row in rows {
                        plane[row * width..][columns.clone()].iter_mut().for_each(|value| *value += gradient[index] * share);
                    }
                });
            });
            Tensor::from_vec(input, x.dims(), &Device::Cpu).map(Some)
        })
    }
}

#[cfg(test)]
mod tests;
