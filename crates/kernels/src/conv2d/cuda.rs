//! Convolutions through cuDNN: forward, input gradient and weight gradient.
//!
//! cuDNN's heuristics choose the algorithm, once per shape, except those whose sums have no fixed
//! order (see [`crate::cuda::set_deterministic`]). f32 stays f32 unless TF32 is allowed
//! ([`crate::cuda::set_tf32`]); bf16 uses tensor cores and sums in f32. If tensor cores can
//! multiply complete groups of channels, images are converted to channels-last, as cuDNN's kernels
//! for them require.

use super::problem::Problem;
use crate::cuda::launch::{Held, Stored, by_type, not_on_the_cpu, room, size, tensor, view};
use crate::cuda::layout::transposed;
use crate::cuda::precision;
use candle_core::cuda::cudarc::cudnn::sys::{
    cudnnConvolutionBwdDataAlgo_t as DataAlgorithm,
    cudnnConvolutionBwdFilterAlgo_t as FilterAlgorithm,
    cudnnConvolutionFwdAlgo_t as ForwardAlgorithm, cudnnConvolutionMode_t, cudnnMathType_t,
    cudnnTensorFormat_t,
};
use candle_core::cuda::cudarc::cudnn::{
    ConvBackwardData, ConvBackwardFilter, ConvDescriptor, ConvForward, Cudnn, CudnnDataType,
    CudnnError, FilterDescriptor, TensorDescriptor,
};
use candle_core::cuda::cudarc::driver::{CudaSlice, CudaView};
use candle_core::cuda::{CudaDevice, CudaStorage, DeviceId};
use candle_core::{CpuStorage, CustomOp2, DType, Layout, Result, Shape, Tensor};
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

const OP: &str = "conv2d";

/// A type that cuDNN can convolve.
pub(super) trait Convolved: Stored + CudnnDataType {
    const ONE: Self;
    const ZERO: Self;
}

impl Convolved for f32 {
    const ONE: f32 = 1.0;
    const ZERO: f32 = 0.0;
}

impl Convolved for half::bf16 {
    const ONE: half::bf16 = half::bf16::ONE;
    const ZERO: half::bf16 = half::bf16::ZERO;
}

/// [`crate::conv2d`] for checked arguments.
pub(super) fn conv2d(problem: Problem, x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    // cuDNN takes each size as a C int, and so at most this many elements.
    let p = &problem;
    for (what, value) in [
        ("x", x.elem_count()),
        ("weight", weight.elem_count()),
        ("the output", p.output_dims().iter().product()),
        ("the padding", p.padding),
        ("the stride", p.stride),
        ("the dilation", p.dilation),
    ] {
        size(OP, what, value)?;
    }
    x.contiguous()?.apply_op2(
        &weight.contiguous()?,
        Convolution { problem, setting: Setting::now(x.dtype(), &problem) },
    )
}

/// What the choice of an algorithm depends on, besides the shape.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Setting {
    dtype: DType,
    tf32: bool,
    deterministic: bool,
    channels_last: bool,
}

impl Setting {
    fn now(dtype: DType, p: &Problem) -> Self {
        let tf32 = dtype == DType::F32 && precision::tf32();
        // Channels that a tensor core multiplies at once.
        let group = match dtype {
            DType::BF16 => Some(8),
            _ if tf32 => Some(4),
            _ => None,
        };
        let whole = |group: usize| {
            p.in_channels.is_multiple_of(group) && p.out_channels.is_multiple_of(group)
        };
        let channels_last = p.groups == 1 && group.is_some_and(whole);
        Self { dtype, tf32, deterministic: precision::deterministic(), channels_last }
    }

    fn math(&self) -> cudnnMathType_t {
        match (self.dtype, self.tf32) {
            (DType::F32, false) => cudnnMathType_t::CUDNN_FMA_MATH,
            (DType::F32, true) => cudnnMathType_t::CUDNN_DEFAULT_MATH,
            _ => cudnnMathType_t::CUDNN_TENSOR_OP_MATH,
        }
    }

    fn format(&self) -> cudnnTensorFormat_t {
        if self.channels_last {
            cudnnTensorFormat_t::CUDNN_TENSOR_NHWC
        } else {
            cudnnTensorFormat_t::CUDNN_TENSOR_NCHW
        }
    }
}

/// A thread's handles, and the algorithms chosen so far.
#[derive(Default)]
struct Known {
    handles: HashMap<DeviceId, Arc<Cudnn>>,
    forward: HashMap<(DeviceId, Problem, Setting), ForwardAlgorithm>,
    data: HashMap<(DeviceId, Problem, Setting), DataAlgorithm>,
    filter: HashMap<(DeviceId, Problem, Setting), FilterAlgorithm>,
}

thread_local! {
    // A handle belongs to one thread.
    static KNOWN: RefCell<Known> = RefCell::default();
}

/// `(x, weight) -> y`
struct Convolution {
    problem: Problem,
    setting: Setting,
}

/// cuDNN's descriptors of one convolution.
struct Descriptors<T> {
    conv: ConvDescriptor<f32>,
    x: TensorDescriptor<T>,
    w: FilterDescriptor<T>,
    y: TensorDescriptor<T>,
}

/// Wraps an error of cuDNN.
fn failed(error: CudnnError) -> candle_core::Error {
    candle_core::Error::wrap(error).context("conv2d through cuDNN")
}

impl Convolution {
    fn descriptors<T: Convolved>(
        &self,
        cudnn: &Arc<Cudnn>,
    ) -> std::result::Result<Descriptors<T>, CudnnError> {
        let p = &self.problem;
        let [padding, stride, dilation] =
            [p.padding, p.stride, p.dilation].map(|value| [value as i32; 2]);
        let mode = cudnnConvolutionMode_t::CUDNN_CROSS_CORRELATION;
        // Products of bf16 are summed in f32, too.
        let mut conv = cudnn.create_conv2d::<f32>(padding, stride, dilation, mode)?;
        conv.set_group_count(p.groups as i32)?;
        conv.set_math_type(self.setting.math())?;
        let format = self.setting.format();
        let sizes = |dims: [usize; 4]| dims.map(|size| size as i32);
        Ok(Descriptors {
            conv,
            x: cudnn.create_4d_tensor(format, sizes(p.input_dims()))?,
            w: cudnn.create_4d_filter(format, sizes(p.weight_dims()))?,
            y: cudnn.create_4d_tensor(format, sizes(p.output_dims()))?,
        })
    }

    /// Calls `work` with the descriptors and the known algorithms.
    fn with_descriptors<T: Convolved, R>(
        &self,
        device: &CudaDevice,
        work: impl FnOnce(&Descriptors<T>, &mut Known) -> Result<R>,
    ) -> Result<R> {
        KNOWN.with_borrow_mut(|known| {
            let handle = match known.handles.get(&device.id()) {
                Some(handle) => Arc::clone(handle),
                None => {
                    let handle = Cudnn::new(device.cuda_stream()).map_err(failed)?;
                    known.handles.insert(device.id(), Arc::clone(&handle));
                    handle
                }
            };
            work(&self.descriptors(&handle).map_err(failed)?, known)
        })
    }

    fn key(&self, device: &CudaDevice) -> (DeviceId, Problem, Setting) {
        (device.id(), self.problem, self.setting)
    }

    /// Converts `[images, channels, area]` to the layout given to cuDNN, or back.
    fn lay_out<T: Convolved>(
        &self,
        device: &CudaDevice,
        values: &CudaView<T>,
        dims: [usize; 4],
    ) -> Result<Option<CudaSlice<T>>> {
        let [images, channels, area] =
            [dims[0], dims[1], dims[2] * dims[3]].map(|size| size as u32);
        match self.setting.channels_last {
            true => transposed(device, values, images, channels, area).map(Some),
            false => Ok(None),
        }
    }

    fn lay_back<T: Convolved>(
        &self,
        device: &CudaDevice,
        values: CudaSlice<T>,
        dims: [usize; 4],
    ) -> Result<CudaSlice<T>> {
        let [images, channels, area] =
            [dims[0], dims[1], dims[2] * dims[3]].map(|size| size as u32);
        match self.setting.channels_last {
            true => transposed(device, &values.slice(..), images, area, channels),
            false => Ok(values),
        }
    }

    fn forward<T: Convolved>(
        &self,
        device: &CudaDevice,
        x: CudaView<T>,
        weight: CudaView<T>,
    ) -> Result<CudaSlice<T>> {
        let p = &self.problem;
        let (x_last, w_last) = (
            self.lay_out(device, &x, p.input_dims())?,
            self.lay_out(device, &weight, p.weight_dims())?,
        );
        let (x, weight) = (seen(&x_last, x), seen(&w_last, weight));
        let mut y = room::<T>(device, p.output_dims().iter().product())?;
        self.with_descriptors::<T, ()>(device, |d, known| {
            let conv = ConvForward { conv: &d.conv, x: &d.x, w: &d.w, y: &d.y };
            use ForwardAlgorithm as A;
            let algorithm = run_first_supported(
                device,
                known.forward.get(&self.key(device)).copied(),
                || conv.pick_algorithm(),
                |_| true,
                &[
                    A::CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM,
                    A::CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM,
                ],
                |algorithm| conv.get_workspace_size(algorithm),
                // SAFETY: the three tensors have the layouts and sizes of their descriptors.
                |algorithm, room| unsafe {
                    conv.launch(algorithm, room, (T::ONE, T::ZERO), &x, &weight, &mut y)
                },
            )?;
            known.forward.insert(self.key(device), algorithm);
            Ok(())
        })?;
        self.lay_back(device, y, p.output_dims())
    }

    fn backward<T: Convolved>(
        &self,
        x: &Tensor,
        weight: &Tensor,
        gradient: &Tensor,
    ) -> Result<[Option<Tensor>; 2]> {
        let p = &self.problem;
        let (xs, ws, gs) = (Held::new(x), Held::new(weight), Held::new(gradient));
        let device = gs.device()?;
        let dy = gs.view::<T>()?;
        let dy_last = self.lay_out(device, &dy, p.output_dims())?;
        let dy = seen(&dy_last, dy);
        let mut found = [None, None];
        if x.track_op() {
            let weight = ws.view::<T>()?;
            let w_last = self.lay_out(device, &weight, p.weight_dims())?;
            let dx = self.input_gradient(device, &dy, &seen(&w_last, weight))?;
            found[0] = Some(tensor(self.lay_back(device, dx, p.input_dims())?, device, x.shape()));
        }
        if weight.track_op() {
            let x = xs.view::<T>()?;
            let x_last = self.lay_out(device, &x, p.input_dims())?;
            let dw = self.weight_gradient(device, &seen(&x_last, x), &dy)?;
            found[1] =
                Some(tensor(self.lay_back(device, dw, p.weight_dims())?, device, weight.shape()));
        }
        Ok(found)
    }

    fn input_gradient<T: Convolved>(
        &self,
        device: &CudaDevice,
        dy: &CudaView<T>,
        weight: &CudaView<T>,
    ) -> Result<CudaSlice<T>> {
        let mut dx = room::<T>(device, self.problem.input_dims().iter().product())?;
        self.with_descriptors::<T, ()>(device, |d, known| {
            let conv = ConvBackwardData { conv: &d.conv, dx: &d.x, w: &d.w, dy: &d.y };
            use DataAlgorithm as A;
            let algorithm = run_first_supported(
                device,
                known.data.get(&self.key(device)).copied(),
                || conv.pick_algorithm(),
                // This algorithm sums by atomics.
                |algorithm| {
                    !self.setting.deterministic || algorithm != A::CUDNN_CONVOLUTION_BWD_DATA_ALGO_0
                },
                &[A::CUDNN_CONVOLUTION_BWD_DATA_ALGO_1],
                |algorithm| conv.get_workspace_size(algorithm),
                // SAFETY: the three tensors have the layouts and sizes of their descriptors.
                |algorithm, room| unsafe {
                    conv.launch(algorithm, room, (T::ONE, T::ZERO), &mut dx, weight, dy)
                },
            )?;
            known.data.insert(self.key(device), algorithm);
            Ok(())
        })?;
        Ok(dx)
    }

    fn weight_gradient<T: Convolved>(
        &self,
        device: &CudaDevice,
        x: &CudaView<T>,
        dy: &CudaView<T>,
    ) -> Result<CudaSlice<T>> {
        let mut dw = room::<T>(device, self.problem.weight_dims().iter().product())?;
        self.with_descriptors::<T, ()>(device, |d, known| {
            let conv = ConvBackwardFilter { conv: &d.conv, x: &d.x, dw: &d.w, dy: &d.y };
            use FilterAlgorithm as A;
            let by_atomics =
                [A::CUDNN_CONVOLUTION_BWD_FILTER_ALGO_0, A::CUDNN_CONVOLUTION_BWD_FILTER_ALGO_3];
            let algorithm = run_first_supported(
                device,
                known.filter.get(&self.key(device)).copied(),
                || conv.pick_algorithm(),
                |algorithm| !self.setting.deterministic || !by_atomics.contains(&algorithm),
                &[A::CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1],
                |algorithm| conv.get_workspace_size(algorithm),
                // SAFETY: the three tensors have the layouts and sizes of their descriptors.
                |algorithm, room| unsafe {
                    conv.launch(algorithm, room, (T::ONE, T::ZERO), x, &mut dw, dy)
                },
            )?;
            known.filter.insert(self.key(device), algorithm);
            Ok(())
        })?;
        Ok(dw)
    }
}

/// The converted copy, if there is one.
fn seen<'a, T>(laid_out: &'a Option<CudaSlice<T>>, values: CudaView<'a, T>) -> CudaView<'a, T> {
    match laid_out {
        Some(copy) => copy.slice(..),
        None => values,
    }
}

/// Runs the known algorithm, or else cuDNN's choice if it is allowed; if cuDNN does not support
/// that one for this convolution, the first of the others that it supports. Returns which one ran.
/// cuDNN may report lack of support as late as at the launch.
fn run_first_supported<A: Copy>(
    device: &CudaDevice,
    known: Option<A>,
    pick: impl FnOnce() -> std::result::Result<A, CudnnError>,
    allowed: impl Fn(A) -> bool,
    others: &[A],
    bytes: impl Fn(A) -> std::result::Result<usize, CudnnError>,
    mut launch: impl FnMut(A, Option<&mut CudaSlice<u8>>) -> std::result::Result<(), CudnnError>,
) -> Result<A> {
    let first = match known {
        Some(known) => Some(known),
        None => supported(pick())?.ok().filter(|picked| allowed(*picked)),
    };
    let mut refusal = None;
    for algorithm in first.into_iter().chain(others.iter().copied()) {
        let found = match supported(bytes(algorithm))? {
            Ok(bytes) => supported(launch(algorithm, workspace(device, bytes)?.as_mut()))?,
            Err(error) => Err(error),
        };
        match found {
            Ok(()) => return Ok(algorithm),
            Err(error) => refusal = Some(error),
        }
    }
    Err(failed(refusal.expect("there is at least one other algorithm")))
}

/// The result, or cuDNN's report that the request is not supported; any other failure is an error.
fn supported<R>(
    answer: std::result::Result<R, CudnnError>,
) -> Result<std::result::Result<R, CudnnError>> {
    // Since cuDNN 9 the thousands of a status are its category.
    const NOT_SUPPORTED: u32 = 3;
    match answer {
        Err(error) if error.0 as u32 / 1000 != NOT_SUPPORTED => Err(failed(error)),
        answer => Ok(answer),
    }
}

fn workspace(device: &CudaDevice, bytes: usize) -> Result<Option<CudaSlice<u8>>> {
    (bytes > 0).then(|| room::<u8>(device, bytes)).transpose()
}

impl CustomOp2 for Convolution {
    fn name(&self) -> &'static str {
        OP
    }

    not_on_the_cpu!(_x: &CpuStorage, _xl: &Layout, _weight: &CpuStorage, _wl: &Layout);

    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        xl: &Layout,
        weight: &CudaStorage,
        wl: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let device = &x.device;
        let y = by_type!(self.setting.dtype, T => {
            CudaStorage::wrap_cuda_slice(self.forward::<T>(device, view(x, xl)?, view(weight, wl)?)?, device.clone())
        });
        Ok((y, Shape::from(self.problem.output_dims().to_vec())))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let gradient = gradient.contiguous()?;
        let [x, weight] =
            by_type!(self.setting.dtype, T => self.backward::<T>(x, weight, &gradient)?);
        Ok((x, weight))
    }
}
