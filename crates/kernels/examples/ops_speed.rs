//! Seconds for the operations other than convolution, at the sizes of a ResNet18 and of a response model.
//!
//! `cargo run --release --package brainprior-kernels --example ops_speed`
//!
//! Medians of 15 runs. "training" is forward, the sum of the output, and backward; the rows "candle's own share" run a
//! graph of the same size whose operation does nothing but pass values on, so that the difference is the operation.
#![allow(clippy::print_stdout)]

use brainprior_kernels::{
    Activation, Adam, Sgd, area_pool, average_pool, batch_norm_eval, batch_norm_train, cross_entropy, pair_cosine, point_readout,
};
use candle_core::{CpuStorage, CustomOp1, Device, Layout, Result, Shape, Tensor, Var};
use std::time::Instant;

fn var(shape: &[usize]) -> Result<Var> {
    let count = shape.iter().product::<usize>();
    // A cheap sequence without structure that matters to the timing.
    let values: Vec<f32> = (0..count).map(|index| ((index * 7919) % 1000) as f32 / 500.0 - 1.0).collect();
    Var::from_vec(values, shape, &Device::Cpu)
}

fn median(mut work: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut seconds = Vec::new();
    for _ in 0..15 {
        let started = Instant::now();
        work()?;
        seconds.push(started.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    Ok(1e3 * seconds[7])
}

fn timed(name: &str, work: impl Fn() -> Result<Tensor>) -> Result<()> {
    let forward = median(|| work().map(drop))?;
    let training = median(|| work()?.sum_all()?.backward().map(drop))?;
    println!("{name:<44} forward {forward:7.2} ms   training {training:7.2} ms");
    Ok(())
}

/// Passes values and gradients on by copying them.
struct Copying;

impl CustomOp1 for Copying {
    fn name(&self) -> &'static str {
        "copying"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok((x.clone(), layout.shape().clone()))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        gradient.contiguous().map(Some)
    }
}

fn main() -> Result<()> {
    for (channels, side) in [(64, 32), (128, 16), (512, 4)] {
        let shape = [64, channels, side, side];
        let (x, r, scale, shift) = (var(&shape)?, var(&shape)?, var(&[channels])?, var(&[channels])?);
        let size = format!("64x{channels}x{side}x{side}");
        timed(&format!("candle's own share {size}"), || x.apply_op1(Copying))?;
        for activation in [Activation::Relu, Activation::Elu] {
            timed(&format!("batch norm + {activation:?} {size}"), || {
                Ok(batch_norm_train(&x, &scale, &shift, None, activation, 1e-5)?.0)
            })?;
        }
        timed(&format!("batch norm + residual + Relu {size}"), || {
            Ok(batch_norm_train(&x, &scale, &shift, Some(&r), Activation::Relu, 1e-5)?.0)
        })?;
        let (scale, shift) = (scale.as_tensor().detach(), shift.as_tensor().detach());
        timed(&format!("batch norm + Relu, given statistics {size}"), || {
            batch_norm_eval(&x, &scale, &shift, &shift, &scale.sqr()?, None, Activation::Relu, 1e-5)
        })?;
    }
    for (channels, neurons) in [(48, 400), (96, 8000)] {
        let (features, positions, weights) = (var(&[32, channels, 36, 64])?, var(&[32, neurons, 2])?, var(&[neurons, channels])?);
        timed(&format!("point readout 32x{channels}x36x64, {neurons} neurons"), || {
            point_readout(&features, &positions, &weights)
        })?;
        timed(&format!("candle's own share 32x{channels}x36x64"), || features.apply_op1(Copying))?;
        timed(&format!("area pool by 2, 32x{channels}x36x64"), || area_pool(&features, 2))?;
    }
    let last = var(&[64, 512, 4, 4])?;
    timed("average pool by 4, 64x512x4x4", || average_pool(&last, 4, 4))?;
    let (pairs, center) = (var(&[32, 64, 36, 64])?, var(&[64])?);
    timed("pair cosine, 16 pairs of 64x36x64", || pair_cosine(&pairs, &center))?;
    let (logits, labels) = (var(&[64, 10])?, Tensor::zeros(64, candle_core::DType::U32, &Device::Cpu)?);
    timed("cross entropy 64x10", || cross_entropy(&logits, &labels))?;

    // As many values as a ResNet18 has.
    let vars = (0..11).map(|index| Ok((index.to_string(), var(&[1000, 1000])?))).collect::<Result<Vec<_>>>()?;
    let squares = vars.iter().map(|(_, var)| var.sqr()?.sum_all()).collect::<Result<Vec<_>>>()?;
    let gradients = Tensor::stack(&squares, 0)?.sum_all()?.backward()?;
    let (mut sgd, mut adam) = (Sgd::new(vars.clone(), 0.9, 5e-4), Adam::new(vars));
    println!("SGD, 11 million values  {:7.2} ms", median(|| sgd.step(&gradients, 1e-9))?);
    println!("Adam, 11 million values {:7.2} ms", median(|| adam.step(&gradients, 1e-9))?);
    Ok(())
}
