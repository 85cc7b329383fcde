//! Seconds for the operations other than convolution, at the sizes of a ResNet18's first stage and of a response model.
//!
//! `cargo run --release --package brainprior-kernels --example ops_speed`
#![allow(clippy::print_stdout)]

use brainprior_kernels::{Activation, batch_norm_train, pair_cosine, point_readout};
use candle_core::{Device, Result, Tensor, Var};
use std::time::Instant;

fn var(shape: &[usize]) -> Result<Var> {
    let count = shape.iter().product::<usize>();
    // A cheap sequence without structure that matters to the timing.
    let values: Vec<f32> = (0..count).map(|index| ((index * 7919) % 1000) as f32 / 500.0 - 1.0).collect();
    Var::from_vec(values, shape, &Device::Cpu)
}

fn timed(name: &str, work: impl Fn() -> Result<Tensor>) -> Result<()> {
    let mut forward = Vec::new();
    let mut training = Vec::new();
    for _ in 0..7 {
        let started = Instant::now();
        let y = work()?;
        forward.push(started.elapsed().as_secs_f64());
        let loss = y.sum_all()?;
        let started = Instant::now();
        loss.backward()?;
        training.push(started.elapsed().as_secs_f64());
    }
    forward.sort_by(f64::total_cmp);
    training.sort_by(f64::total_cmp);
    println!("{name:<40} forward {:7.2} ms   backward {:7.2} ms", 1e3 * forward[3], 1e3 * training[3]);
    Ok(())
}

fn main() -> Result<()> {
    let (x, scale, shift) = (var(&[64, 64, 32, 32])?, var(&[64])?, var(&[64])?);
    for activation in [Activation::Relu, Activation::Elu] {
        timed(&format!("batch norm + {activation:?} 64x64x32x32"), || {
            Ok(batch_norm_train(&x, &scale, &shift, None, activation, 1e-5)?.0)
        })?;
    }
    timed("batch norm + residual + Relu 64x64x32x32", || {
        Ok(batch_norm_train(&x, &scale, &shift, Some(&x), Activation::Relu, 1e-5)?.0)
    })?;
    let (features, positions, weights) = (var(&[32, 48, 36, 64])?, var(&[32, 400, 2])?, var(&[400, 48])?);
    timed("point readout 32x48x36x64, 400 neurons", || point_readout(&features, &positions, &weights))?;
    let (pairs, center) = (var(&[32, 16, 36, 64])?, var(&[16])?);
    timed("pair cosine 16 pairs of 16x36x64", || pair_cosine(&pairs, &center))
}
