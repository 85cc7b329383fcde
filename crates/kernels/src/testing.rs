//! Shared by the tests of all operations: reproducible values, and gradients by finite differences
//! in f64.

use candle_core::{Device, Tensor, Var};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Uniform values in [-1, 1).
pub(crate) fn values(count: usize, seed: u64) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|_| rng.random_range(-1.0..1.0)).collect()
}

/// A variable of [`values`].
pub(crate) fn var(shape: &[usize], seed: u64) -> Var {
    Var::from_vec(values(shape.iter().product(), seed), shape, &Device::Cpu).unwrap()
}

/// All elements.
pub(crate) fn elements(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap()
}

/// Compares element by element, relative to the largest expected magnitude.
#[track_caller]
pub(crate) fn close(found: &Tensor, expected: &[f64], tolerance: f64) {
    let found = elements(found);
    assert_eq!(found.len(), expected.len());
    let scale = expected.iter().fold(1.0f64, |largest, value| largest.max(value.abs()));
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!(
            (f64::from(*found) - expected).abs() <= tolerance * scale,
            "element {index}: {found} against {expected}"
        );
    }
}

/// Gradient of a scalar function of f64 arguments by central differences.
pub(crate) fn numeric_gradient(at: &[f64], f: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    const STEP: f64 = 1e-5;
    let mut point = at.to_vec();
    (0..at.len())
        .map(|index| {
            point[index] = at[index] + STEP;
            let above = f(&point);
            point[index] = at[index] - STEP;
            let below = f(&point);
            point[index] = at[index];
            (above - below) / (2.0 * STEP)
        })
        .collect()
}

/// All elements as f64.
pub(crate) fn wide(tensor: &Tensor) -> Vec<f64> {
    elements(tensor).into_iter().map(f64::from).collect()
}

/// Runs `work` with 1 and with 2 threads and compares the bits of the results.
#[track_caller]
pub(crate) fn same_for_any_threads(work: impl Fn() -> Vec<Tensor> + Sync) {
    let run = |threads| -> Vec<u32> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| work().iter().flat_map(elements).map(f32::to_bits).collect())
    };
    assert_eq!(run(1), run(2));
}

/// The same values as a view that is not contiguous and does not start at its storage's first
/// element.
pub(crate) fn scattered(tensor: &Tensor) -> Tensor {
    let last = tensor.rank() - 1;
    let padded =
        tensor.pad_with_same(last, 1, 2).unwrap().transpose(0, last).unwrap().contiguous().unwrap();
    let view = padded.transpose(0, last).unwrap().narrow(last, 1, tensor.dims()[last]).unwrap();
    // Every view of a single value is contiguous.
    assert!(!view.is_contiguous() || tensor.elem_count() == tensor.dims()[last]);
    view
}
