//! Two-dimensional convolution with exact gradients.

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};

use problem::{OP, Problem};

mod planar;
mod problem;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;

/// How a kernel moves over the image; the same in both directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Conv2dGeometry {
    /// Input pixels between neighbouring outputs, at least 1.
    pub stride: usize,
    /// Rows and columns of zeros added on each of the four sides.
    pub padding: usize,
    /// Input pixels between neighbouring kernel taps, at least 1.
    pub dilation: usize,
    /// Blocks of channels that do not see each other; as many as channels for a depthwise convolution.
    pub groups: usize,
}

impl Default for Conv2dGeometry {
    fn default() -> Self {
        Self { stride: 1, padding: 0, dilation: 1, groups: 1 }
    }
}

/// Cross-correlates images with kernels (what deep learning calls a convolution).
///
/// `x` is `[batch, in channels, height, width]`, `weight` is `[out channels, in channels / groups, kernel height, kernel width]`,
/// both `f32`; the result is `[batch, out channels, out height, out width]` with `out = (size + 2 padding - dilation (kernel - 1) - 1) /
/// stride + 1`, rounded down. Gradients flow to whichever of the two is tracked. On the CPU the result and the gradients are
/// bitwise the same for any number of threads; on other devices candle's own convolution runs.
///
/// # Errors
///
/// [`crate::Error`] for wrong ranks, empty dimensions, channels that do not fit, a kernel wider than the padded image, other
/// types than `f32`, and sizes that overflow.
pub fn conv2d(x: &Tensor, weight: &Tensor, geometry: Conv2dGeometry) -> Result<Tensor> {
    let problem = Problem::new(x, weight, geometry)?;
    if !x.device().is_cpu() || !weight.device().is_cpu() {
        let Conv2dGeometry { stride, padding, dilation, groups } = geometry;
        return x.conv2d(weight, padding, stride, dilation, groups);
    }
    x.contiguous()?.apply_op2(&weight.contiguous()?, Forward(problem))
}

/// The numbers of a contiguous CPU tensor.
fn numbers<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&storage.as_slice::<f32>()?[start..end]),
        None => bail!("{OP}: arguments are made contiguous before this point"),
    }
}

/// `(x, weight) -> y`
struct Forward(Problem);

impl CustomOp2 for Forward {
    fn name(&self) -> &'static str {
        OP
    }

    fn cpu_fwd(&self, x: &CpuStorage, xl: &Layout, w: &CpuStorage, wl: &Layout) -> Result<(CpuStorage, Shape)> {
        let y = planar::forward(&self.0, numbers(x, xl)?, numbers(w, wl)?);
        Ok((CpuStorage::F32(y), Shape::from(&self.0.output_dims())))
    }

    fn bwd(&self, x: &Tensor, w: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let dy = dy.contiguous()?;
        let dx = x.track_op().then(|| dy.apply_op2_no_bwd(w, &InputGradient(self.0))).transpose()?;
        let dw = w.track_op().then(|| x.apply_op2_no_bwd(&dy, &WeightGradient(self.0))).transpose()?;
        Ok((dx, dw))
    }
}

/// `(dy, weight) -> dx`
struct InputGradient(Problem);

impl CustomOp2 for InputGradient {
    fn name(&self) -> &'static str {
        "conv2d input gradient"
    }

    fn cpu_fwd(&self, dy: &CpuStorage, dyl: &Layout, w: &CpuStorage, wl: &Layout) -> Result<(CpuStorage, Shape)> {
        let dx = planar::input_gradient(&self.0, numbers(dy, dyl)?, numbers(w, wl)?);
        Ok((CpuStorage::F32(dx), Shape::from(&self.0.input_dims())))
    }
}

/// `(x, dy) -> dweight`
struct WeightGradient(Problem);

impl CustomOp2 for WeightGradient {
    fn name(&self) -> &'static str {
        "conv2d weight gradient"
    }

    fn cpu_fwd(&self, x: &CpuStorage, xl: &Layout, dy: &CpuStorage, dyl: &Layout) -> Result<(CpuStorage, Shape)> {
        let dw = planar::weight_gradient(&self.0, numbers(x, xl)?, numbers(dy, dyl)?);
        Ok((CpuStorage::F32(dw), Shape::from(&self.0.weight_dims())))
    }
}
