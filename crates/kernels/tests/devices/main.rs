//! One table of cases for all devices: compares every operation's results and gradients on a CUDA
//! device with those of the CPU, which the unit tests check against the definition. The CPU's
//! gradients are also checked against finite differences here, to verify the table itself. Without
//! a device, the tests print why they are skipped.
#![allow(clippy::print_stdout)]

mod cases;
mod operations;
mod optimizers;

use candle_core::{Device, Tensor};

/// The device to test; prints a reason and returns `None` without one.
fn device(test: &str) -> Option<Device> {
    #[cfg(feature = "cuda")]
    match brainprior_kernels::cuda::device(0) {
        Ok(device) => return Some(device),
        Err(error) => {
            // The first line only, since a backtrace may follow.
            let error = error.to_string();
            println!(
                "{test}: skipped, no CUDA device: {}",
                error.lines().next().unwrap_or_default()
            );
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
        // Not `>`, which is false for NaN.
        assert!(
            (found - expected).abs() <= tolerance * scale,
            "{what}, element {index}: {found}, expected {expected}"
        );
    }
}
