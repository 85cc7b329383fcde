//! One table of cases for all devices: every operation's results and gradients on a CUDA device against those of the CPU,
//! which the tests beside each operation hold to its definition. Here the CPU's gradients are also held to finite differences,
//! so that the table itself is known to be right. Where there is no device, the tests say so and why.
#![allow(clippy::print_stdout)]

mod cases;
mod operations;
mod optimizers;

use candle_core::{Device, Tensor};

/// The device to test, unless there is none, which is said.
fn device(test: &str) -> Option<Device> {
    #[cfg(feature = "cuda")]
    match brainprior_kernels::cuda::device(0) {
        Ok(device) => return Some(device),
        Err(error) => {
            // The first line: a backtrace may follow it.
            let error = error.to_string();
            println!("{test}: skipped, no CUDA device: {}", error.lines().next().unwrap_or_default());
        }
    }
    #[cfg(not(feature = "cuda"))]
    println!("{test}: skipped, no CUDA device: built without the feature cuda");
    None
}

fn elements(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap()
}

/// Compares relative to the largest expected value.
#[track_caller]
fn close(what: &str, found: &Tensor, expected: &Tensor, tolerance: f32) {
    assert_eq!(found.dims(), expected.dims(), "{what}");
    let (found, expected) = (elements(found), elements(expected));
    let scale = expected.iter().fold(f32::MIN_POSITIVE, |largest, value| largest.max(value.abs()));
    for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
        // Not `>`, which nothing that is not a number satisfies.
        assert!((found - expected).abs() <= tolerance * scale, "{what}, element {index}: {found}, expected {expected}");
    }
}
