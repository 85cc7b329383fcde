//! Single operations at the sizes of a ResNet18 on CIFAR and of a response model's core:
//! convolutions with and without gradients, batch norm with ReLU, and bilinear sampling.

use super::{Bencher, Case};
use crate::synthetic::numbers;
use anyhow::Result;
use brainprior_kernels::{
    Activation, Conv2dGeometry, FeatureMap, Precision, batch_norm_train, conv2d, grid_sample,
};
use candle_core::{Tensor, Var};

/// Images, input channels, output channels, height, width, kernel, stride.
const CONVOLUTIONS: [[usize; 7]; 7] = [
    [64, 1, 64, 32, 32, 7, 1],
    [64, 64, 64, 32, 32, 3, 1],
    [64, 64, 128, 32, 32, 3, 2],
    [64, 128, 128, 16, 16, 3, 1],
    [64, 256, 256, 8, 8, 3, 1],
    [64, 512, 512, 4, 4, 3, 1],
    [32, 1, 32, 36, 64, 9, 1],
];

/// Runs all cases.
pub(super) fn run(bencher: &Bencher) -> Result<()> {
    for shape in CONVOLUTIONS {
        convolution(bencher, shape)?;
    }
    batch_norm(bencher, [64, 64, 32, 32])?;
    sampling(bencher, [64, 32, 36, 64], 400)
}

fn convolution(
    bencher: &Bencher,
    [images, inputs, outputs, height, width, kernel, stride]: [usize; 7],
) -> Result<()> {
    let shape = format!("{images}x{inputs}->{outputs} {height}x{width} k{kernel} s{stride}");
    let tensor =
        |dims: [usize; 4]| Tensor::from_vec(numbers(dims.iter().product()), &dims, &bencher.device);
    let x = tensor([images, inputs, height, width])?;
    let weight = Var::from_tensor(&tensor([outputs, inputs, kernel, kernel])?)?;
    let geometry = Conv2dGeometry { stride, padding: kernel / 2, ..Conv2dGeometry::default() };
    let plain = weight.as_tensor().detach();
    let flops =
        2.0 * (conv2d(&x, &plain, geometry)?.elem_count() * inputs * kernel * kernel) as f64;
    let case = |bench, passes: f64| Case {
        bench,
        shape: shape.clone(),
        work: vec![("flops", passes * flops)],
        labels: vec![],
    };
    // In mixed precision, features stay in that precision from one operation to the next.
    let features = |x: &Tensor| FeatureMap::new(x)?.in_precision(bencher.precision);
    let images = features(&x)?;
    bencher.measure(case("conv2d_forward", 1.0), || match bencher.precision {
        Precision::F32 => Ok(conv2d(&x, &plain, geometry).map(drop)?),
        Precision::Mixed => Ok(images.conv2d(&plain, geometry).map(drop)?),
    })?;
    // The first layer of a network needs no gradient of its input.
    let first = inputs == 1;
    let x = if first { x } else { Var::from_tensor(&x)?.as_tensor().clone() };
    bencher.measure(case("conv2d_train", if first { 2.0 } else { 3.0 }), || {
        let y = match bencher.precision {
            Precision::F32 => conv2d(&x, weight.as_tensor(), geometry)?,
            Precision::Mixed => features(&x)?.conv2d(weight.as_tensor(), geometry)?.tensor()?,
        };
        Ok(y.backward().map(drop)?)
    })
}

fn batch_norm(bencher: &Bencher, dims: [usize; 4]) -> Result<()> {
    let elements = dims.iter().product::<usize>();
    let x = Var::from_tensor(&Tensor::from_vec(numbers(elements), &dims, &bencher.device)?)?;
    let [scale, shift] = [1f32, 0.0].map(|value| Tensor::full(value, dims[1], &bencher.device));
    let (scale, shift) = (Var::from_tensor(&scale?)?, Var::from_tensor(&shift?)?);
    let shape = dims.map(|size| size.to_string()).join("x");
    let case = Case {
        bench: "batchnorm_relu_train",
        shape,
        work: vec![("elements", elements as f64)],
        labels: vec![],
    };
    bencher.measure(case, || {
        let y = match bencher.precision {
            Precision::F32 => {
                batch_norm_train(x.as_tensor(), &scale, &shift, None, Activation::Relu, 1e-5)?.0
            }
            Precision::Mixed => {
                let x = FeatureMap::new(x.as_tensor())?.in_precision(bencher.precision)?;
                x.batch_norm_train(&scale, &shift, None, Activation::Relu, 1e-5)?.0.tensor()?
            }
        };
        Ok(y.backward().map(drop)?)
    })
}

fn sampling(bencher: &Bencher, dims: [usize; 4], points: usize) -> Result<()> {
    let [images, channels, ..] = dims;
    let features = Var::from_tensor(&Tensor::from_vec(
        numbers(dims.iter().product()),
        &dims,
        &bencher.device,
    )?)?;
    let positions = Var::from_tensor(&Tensor::from_vec(
        numbers(images * points * 2),
        (images, points, 2),
        &bencher.device,
    )?)?;
    let shape = format!("{} at {points} points", dims.map(|size| size.to_string()).join("x"));
    let work = vec![("samples", (images * channels * points) as f64)];
    bencher.measure(Case { bench: "grid_sample_train", shape, work, labels: vec![] }, || {
        Ok(grid_sample(features.as_tensor(), positions.as_tensor(), true)?.backward().map(drop)?)
    })
}
