//! Against a naive computation in f64, and properties of any population.

use brainprior_images::ImageId;
use brainprior_similarity::{Error, vectors};
use ndarray::{Array2, Axis};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn ids(count: usize) -> Vec<ImageId> {
    (0..count as u64).map(ImageId::from_u64).collect()
}

fn population(images: usize, neurons: usize, seed: u64) -> (Array2<f32>, Vec<f32>) {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    let values = Array2::from_shape_fn((images, neurons), |_| generator.random_range(-0.5f32..3.0));
    // Every fifth neuron has weight 0 if there is more than one.
    let weights = (0..neurons)
        .map(|neuron| if neuron % 5 == 4 { 0.0 } else { generator.random_range(0.1..2.0) })
        .collect();
    (values, weights)
}

/// The formula, written out literally.
fn naive(values: &Array2<f32>, weights: &[f32]) -> Vec<f64> {
    let (images, neurons) = values.dim();
    let r = |i: usize, a: usize| f64::from(weights[a]) * f64::from(values[[i, a]]);
    let mean: Vec<f64> =
        (0..neurons).map(|a| (0..images).map(|i| r(i, a)).sum::<f64>() / images as f64).collect();
    let e: Vec<Vec<f64>> = (0..images)
        .map(|i| {
            let centered: Vec<f64> = (0..neurons).map(|a| r(i, a) - mean[a]).collect();
            let norm = centered.iter().map(|x| x * x).sum::<f64>().sqrt();
            centered.iter().map(|x| x / norm).collect()
        })
        .collect();
    let mut packed = Vec::new();
    for i in 0..images {
        for j in i + 1..images {
            packed.push(e[i].iter().zip(&e[j]).map(|(a, b)| a * b).sum());
        }
    }
    packed
}

fn similarities(values: &Array2<f32>, weights: &[f32]) -> Vec<f32> {
    vectors(&ids(values.nrows()), values.view(), weights, "test").unwrap().packed().to_vec()
}

#[track_caller]
fn assert_close(found: &[f32], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    let worst =
        found.iter().zip(expected).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max);
    assert!(worst <= tolerance, "off by {worst:e}");
}

#[test]
fn equals_the_formula_for_all_sizes() {
    let sizes = [
        (2, 1),
        (2, 2),
        (3, 1),
        (5, 4),
        (47, 11),
        (48, 12),
        (49, 13),
        (97, 100),
        (240, 31),
        (241, 6),
        (299, 199),
        (2, 7),
        (3, 2),
        (17, 3),
        (31, 200),
        (64, 64),
        (65, 33),
        (300, 200),
        (513, 9),
        (700, 40),
    ];
    for (index, (images, neurons)) in sizes.into_iter().enumerate() {
        let (values, weights) = population(images, neurons, index as u64);
        assert_close(&similarities(&values, &weights), &naive(&values, &weights), 1e-6);
    }
}

#[test]
fn columns_may_be_in_any_layout() {
    let (values, weights) = population(40, 12, 3);
    let mut transposed = Array2::zeros((12, 40));
    transposed.assign(&values.t());
    let found = vectors(&ids(40), transposed.t(), &weights, "test").unwrap();
    assert_eq!(found.packed(), similarities(&values, &weights));
}

#[test]
fn one_and_two_threads_agree_bit_for_bit() {
    let (values, weights) = population(1100, 310, 5);
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| similarities(&values, &weights))
    };
    let one = with(1);
    assert!(
        one.iter().map(|value| value.to_bits()).eq(with(2).iter().map(|value| value.to_bits()))
    );
    assert!(
        one.iter().map(|value| value.to_bits()).eq(with(3).iter().map(|value| value.to_bits()))
    );
}

#[test]
fn bad_input_is_named() {
    let (mut values, weights) = population(4, 6, 1);
    let result =
        |values: &Array2<f32>, weights: &[f32]| vectors(&ids(4), values.view(), weights, "scan x");
    assert!(matches!(result(&values, &weights[..5]), Err(Error::Size { .. })));
    assert!(matches!(result(&values, &[0.0; 6]), Err(Error::NoNeurons { neurons: 6, .. })));
    assert!(matches!(
        result(&values, &[1.0, 1.0, -1.0, 1.0, 1.0, 1.0]),
        Err(Error::Weight { neuron: 2, .. })
    ));
    assert!(matches!(vectors(&ids(3), values.view(), &weights, "scan x"), Err(Error::Size { .. })));
    let twice = [0, 1, 2, 1].map(ImageId::from_u64);
    assert!(matches!(
        vectors(&twice, values.view(), &weights, "x"),
        Err(Error::Duplicate { first: 1, second: 3, .. })
    ));
    // A single image has no pairs.
    let one = vectors(&ids(1), ndarray::array![[1.0f32]].view(), &[1.0], "scan x");
    assert!(matches!(one, Err(Error::Size { .. })));
    values[[2, 3]] = f32::NAN;
    assert!(matches!(result(&values, &weights), Err(Error::Value { image: 2, neuron: 3, .. })));
}

#[test]
fn a_vector_without_direction_is_an_error_that_names_the_image() {
    // The second image equals the mean of all three.
    let values = ndarray::array![[1.0f32, 5.0], [2.0, 4.0], [3.0, 3.0]];
    let error = vectors(&ids(3), values.view(), &[1.0, 1.0], "scan x").unwrap_err();
    assert!(matches!(error, Error::ZeroVector { image: 1, .. }), "{error}");
    assert!(
        error.to_string().contains("scan x") && error.to_string().contains("0000000000000001"),
        "{error}"
    );
    // A constant neuron carries no information, whatever its value is in floating point.
    let constant = Array2::from_elem((7, 2), 0.1f32);
    assert!(matches!(
        vectors(&ids(7), constant.view(), &[1.0, 0.3], "x"),
        Err(Error::ZeroVector { image: 0, .. })
    ));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn invariances(images in 3usize..60, neurons in 2usize..40, seed in any::<u64>(), scale in 0.01f32..50.0) {
        let (values, weights) = population(images, neurons, seed);
        let base = similarities(&values, &weights);
        let expected: Vec<f64> = base.iter().map(|value| f64::from(*value)).collect();

        let order: Vec<usize> = (0..neurons).map(|a| (a * 7 + 3) % neurons).collect();
        let distinct = order.iter().collect::<std::collections::BTreeSet<_>>().len() == neurons;
        if distinct {
            let permuted_weights: Vec<f32> = order.iter().map(|a| weights[*a]).collect();
            assert_close(&similarities(&values.select(Axis(1), &order), &permuted_weights), &expected, 2e-6);
        }

        let scaled: Vec<f32> = weights.iter().map(|weight| weight * scale).collect();
        assert_close(&similarities(&values, &scaled), &expected, 2e-6);
        assert_close(&similarities(&(&values + 3.0f32), &weights), &expected, 2e-5);

        // Scaling an image's centered vector around a fixed mean keeps its direction; mirrored
        // pairs keep the mean fixed.
        let mirrored = ndarray::concatenate(Axis(0), &[values.view(), values.mapv(|value| -value).view()]).unwrap();
        let mut stretched = mirrored.clone();
        stretched.row_mut(0).mapv_inplace(|value| value * scale);
        stretched.row_mut(images).mapv_inplace(|value| value * scale);
        let unstretched: Vec<f64> = similarities(&mirrored, &weights).into_iter().map(f64::from).collect();
        assert_close(&similarities(&stretched, &weights), &unstretched, 5e-6);

        let reversed: Vec<usize> = (0..images).rev().collect();
        let reversed_ids: Vec<ImageId> = reversed.iter().map(|i| ids(images)[*i]).collect();
        let back = vectors(&reversed_ids, values.select(Axis(0), &reversed).view(), &weights, "test").unwrap();
        assert_close(back.select(&ids(images)).unwrap().packed(), &expected, 2e-6);
        prop_assert_eq!(back.get(0, 1), back.get(1, 0));
        prop_assert_eq!(back.get(2, 2), 1.0);
    }
}
