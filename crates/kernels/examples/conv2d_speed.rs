//! How fast `conv2d` runs on this machine, against candle's own convolution: GFLOP/s of the forward pass alone and with
//! both gradients, medians of alternating runs.
//!
//! `cargo run --release -p brainprior-kernels --example conv2d_speed [part of a shape]`

#![allow(clippy::print_stdout)]

use std::time::Instant;

use brainprior_kernels::{Conv2dGeometry, conv2d};
use candle_core::{DType, Device, Result, Tensor, Var};

/// batch, in channels, out channels, height, width, kernel, stride, groups
const SHAPES: [[usize; 8]; 16] = [
    [64, 1, 64, 32, 32, 7, 1, 1],
    [64, 64, 64, 32, 32, 3, 1, 1],
    [64, 64, 128, 32, 32, 3, 2, 1],
    [64, 128, 128, 16, 16, 3, 1, 1],
    [64, 256, 256, 8, 8, 3, 1, 1],
    [64, 512, 512, 4, 4, 3, 1, 1],
    [32, 1, 32, 36, 64, 9, 1, 1],
    [64, 16, 16, 32, 32, 3, 1, 1],
    [64, 16, 32, 32, 32, 3, 2, 1],
    [64, 16, 32, 32, 32, 1, 2, 1],
    [64, 32, 32, 16, 16, 3, 1, 1],
    [32, 16, 16, 36, 64, 3, 1, 1],
    [32, 1, 32, 36, 64, 13, 1, 1],
    [32, 32, 32, 36, 64, 3, 1, 1],
    [32, 64, 32, 36, 64, 7, 1, 1],
    [32, 64, 64, 36, 64, 9, 1, 64],
];

const RUNS: usize = 7;

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

fn seconds(work: &dyn Fn() -> Result<()>) -> Result<f64> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed().as_secs_f64())
}

fn main() -> Result<()> {
    let wanted = std::env::args().nth(1).unwrap_or_default();
    for [batch, inputs, outputs, height, width, kernel, stride, groups] in SHAPES {
        let name = format!("{batch}x{inputs}->{outputs} {height}x{width} k{kernel} s{stride} g{groups}");
        if !name.contains(&wanted) {
            continue;
        }
        let fill = |count: usize| (0..count).map(|i| ((i * 37 % 101) as f32 - 50.0) / 50.0).collect::<Vec<_>>();
        let x_shape = (batch, inputs, height, width);
        let w_shape = (outputs, inputs / groups, kernel, kernel);
        let x = Tensor::from_vec(fill(batch * inputs * height * width), x_shape, &Device::Cpu)?;
        let w = Var::from_vec(fill(outputs * inputs / groups * kernel * kernel), w_shape, &Device::Cpu)?;
        // The first layer of a network needs no gradient of its input.
        let x = if inputs > 1 { Var::from_tensor(&x)?.as_tensor().clone() } else { x };
        let (plain_x, plain_w) = (x.detach(), w.as_tensor().detach());
        let geometry = Conv2dGeometry { stride, padding: kernel / 2, groups, ..Default::default() };
        let forward = || conv2d(&plain_x, &plain_w, geometry).map(drop);
        let dw = || conv2d(&plain_x, w.as_tensor(), geometry)?.backward().map(drop);
        let both = || conv2d(&x, w.as_tensor(), geometry)?.backward().map(drop);
        let works: [&dyn Fn() -> Result<()>; 3] = [&forward, &dw, &both];
        let mut times = [const { Vec::new() }; 3];
        for run in 0..RUNS + 1 {
            for (i, work) in works.iter().enumerate() {
                let elapsed = seconds(work)?;
                if run > 0 {
                    times[i].push(elapsed);
                }
            }
        }
        let out = conv2d(&plain_x.to_dtype(DType::F32)?, &plain_w, geometry)?.elem_count();
        let flops = 2.0 * (out * inputs / groups * kernel * kernel) as f64;
        let [f, fw, fb] = times.map(median);
        println!(
            "{name:34} forward {:7.2} ms {:6.1} GF/s  dw {:7.2} ms  dx {:7.2} ms  training {:7.2} ms {:6.1}",
            f * 1e3,
            flops / f / 1e9,
            (fw - f) * 1e3,
            (fb - fw) * 1e3,
            fb * 1e3,
            flops * if inputs > 1 { 3.0 } else { 2.0 } / fb / 1e9
        );
    }
    Ok(())
}
