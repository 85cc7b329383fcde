//! The matrix on candle's devices against the CPU implementation.

use brainprior_images::ImageId;
use brainprior_similarity::{DeviceOptions, Error, Images, Population, ScanVectors, Sweep};
use candle_core::Device;
use ndarray::Array2;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The CPU, and a CUDA device if the build and the machine have one; otherwise prints a reason.
#[expect(clippy::print_stdout, reason = "a skipped test says so")]
fn devices() -> Vec<Device> {
    match Device::new_cuda(0) {
        Ok(device) => vec![Device::Cpu, device],
        Err(reason) => {
            println!(
                "similarity matrix: skipped, no CUDA device: {}",
                reason.to_string().lines().next().unwrap_or_default()
            );
            vec![Device::Cpu]
        }
    }
}

fn with<T>(
    images: usize,
    neurons: usize,
    shift: usize,
    of: impl FnOnce(&Population<'_>) -> T,
) -> T {
    let mut generator = ChaCha8Rng::seed_from_u64(3);
    let values: Vec<Array2<f32>> = (0..2)
        .map(|_| {
            Array2::from_shape_fn((images, neurons), |_| {
                100.0 + generator.random_range(0.0f32..1.0)
            })
        })
        .collect();
    let weights: Vec<f32> = (0..neurons).map(|neuron| (neuron % 5) as f32).collect();
    let ids: Vec<Vec<ImageId>> = [0, shift]
        .iter()
        .map(|first| (*first as u64..(first + images) as u64).map(ImageId::from_u64).collect())
        .collect();
    let views: Vec<_> = values.iter().map(|values| values.view()).collect();
    let sources: Vec<ScanVectors<'_>> = (0..2)
        .map(|scan| ScanVectors {
            name: ["day 1", "day 2"][scan],
            ids: &ids[scan],
            rows: &views[scan],
            weights: &weights,
        })
        .collect();
    // With a shift, some pairs would be in no scan; a third scan has all images.
    let everything: Vec<ImageId> = (0..(images + shift) as u64).map(ImageId::from_u64).collect();
    let all =
        Array2::from_shape_fn((images + shift, neurons), |_| generator.random_range(0.0f32..1.0));
    let all = all.view();
    let third = ScanVectors { name: "day 3", ids: &everything, rows: &all, weights: &weights };
    of(&Population::new(&[sources[0], sources[1], third], Images::OfAnyScan).unwrap())
}

#[test]
fn equal_to_the_host_for_complete_and_incomplete_scans() {
    for device in devices() {
        for (images, shift) in [(2, 0), (300, 0), (1500, 700)] {
            with(images, 60, shift, |population| {
                let expected = population.matrix(&Sweep::default()).unwrap();
                let found = population.matrix_on(&device, DeviceOptions::default()).unwrap();
                assert_eq!((found.ids(), found.scans()), (expected.ids(), expected.scans()));
                let worst = found
                    .packed()
                    .iter()
                    .zip(expected.packed())
                    .map(|(a, b)| (a - b).abs())
                    .fold(0.0, f32::max);
                assert!(worst < 1e-5, "{device:?}, {images} images: off by {worst}");
                let again = population.matrix_on(&device, DeviceOptions::default()).unwrap();
                assert!(
                    again
                        .packed()
                        .iter()
                        .zip(found.packed())
                        .all(|(a, b)| a.to_bits() == b.to_bits()),
                    "{device:?}"
                );
                let rounded = population.matrix_on(&device, DeviceOptions { tf32: true }).unwrap();
                assert!(
                    rounded
                        .packed()
                        .iter()
                        .zip(expected.packed())
                        .all(|(a, b)| (a - b).abs() < 3e-3),
                    "{device:?}"
                );
            });
        }
    }
}

#[test]
fn a_vector_without_direction_is_named() {
    // The second image equals the mean of all three.
    let values = ndarray::array![[1.0f32, 5.0], [2.0, 4.0], [3.0, 3.0]];
    let ids: Vec<ImageId> = (0..3).map(ImageId::from_u64).collect();
    let view = values.view();
    let source = ScanVectors { name: "day 1", ids: &ids, rows: &view, weights: &[1.0, 1.0] };
    let population = Population::new(&[source], Images::Identical).unwrap();
    for device in devices() {
        let error = population.matrix_on(&device, DeviceOptions::default()).unwrap_err();
        assert!(
            matches!(&error, Error::ZeroVector { image: 1, source_name, .. } if source_name == "day 1"),
            "{error}"
        );
    }
}
