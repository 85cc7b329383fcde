//! Every operation rejects invalid arguments with an error that names the argument, and never
//! panics.

use crate::*;
use candle_core::{DType, Device, Tensor};

fn zeros(shape: &[usize], dtype: DType) -> Tensor {
    Tensor::zeros(shape, dtype, &Device::Cpu).unwrap()
}

type Operation = fn(&[Tensor]) -> candle_core::Result<()>;

/// Each operation with valid shapes, and the names of these arguments.
fn operations() -> Vec<(Operation, Vec<(&'static str, Vec<usize>)>)> {
    vec![
        (
            |t| {
                batch_norm_train(&t[0], &t[1], &t[2], Some(&t[3]), Activation::Relu, 1e-5).map(drop)
            },
            vec![
                ("x", vec![2, 3, 4, 5]),
                ("scale", vec![3]),
                ("shift", vec![3]),
                ("residual", vec![2, 3, 4, 5]),
            ],
        ),
        (
            |t| {
                batch_norm_eval(
                    &t[0],
                    &t[1],
                    &t[1],
                    FixedStatistics { mean: &t[2], variance: &t[3], eps: 1e-5 },
                    None,
                    Activation::Elu,
                )
                .map(drop)
            },
            vec![
                ("x", vec![2, 3, 4, 5]),
                ("scale", vec![3]),
                ("mean", vec![3]),
                ("variance", vec![3]),
            ],
        ),
        (
            |t| point_readout(&t[0], &t[1], &t[2]).map(drop),
            vec![
                ("features", vec![2, 3, 4, 5]),
                ("positions", vec![2, 6, 2]),
                ("weights", vec![6, 3]),
            ],
        ),
        (
            |t| grid_sample(&t[0], &t[1], false).map(drop),
            vec![("features", vec![2, 3, 4, 5]), ("positions", vec![2, 6, 2])],
        ),
        (|t| area_pool(&t[0], 2).map(drop), vec![("x", vec![2, 3, 4, 5])]),
        (|t| average_pool(&t[0], 2, 2).map(drop), vec![("x", vec![2, 3, 4, 5])]),
        (
            |t| pair_cosine(&t[0], &t[1]).map(drop),
            vec![("features", vec![2, 3, 4, 5]), ("center", vec![3])],
        ),
        (
            |t| arctanh_squared_loss(&t[0], &t[1], 1.0).map(drop),
            vec![("similarity", vec![4]), ("target", vec![4])],
        ),
        (
            |t| cross_entropy(&t[0], &zeros(&[4], DType::U32)).map(drop),
            vec![("logits", vec![4, 3])],
        ),
    ]
}

#[test]
fn wrong_ranks_sizes_and_types_are_errors() {
    for (operation, arguments) in operations() {
        let fitting: Vec<Tensor> =
            arguments.iter().map(|(_, shape)| zeros(shape, DType::F32)).collect();
        operation(&fitting).unwrap();
        for (index, (name, shape)) in arguments.iter().enumerate() {
            let refused = |tensor: Tensor, named: bool| {
                let mut tensors = fitting.clone();
                let what = format!("{name} of shape {:?}, {:?}", tensor.dims(), tensor.dtype());
                tensors[index] = tensor;
                let error = operation(&tensors).expect_err(&what).to_string();
                assert!(!named || error.contains(name), "{what}: {error}");
            };
            for dtype in [DType::F64, DType::BF16, DType::U32, DType::U8] {
                refused(zeros(shape, dtype), true);
            }
            // The error about a wrong size may name another argument.
            for dimension in 0..shape.len() {
                let mut empty = shape.clone();
                empty[dimension] = 0;
                refused(zeros(&empty, DType::F32), false);
            }
            refused(zeros(&[&[1], &shape[..]].concat(), DType::F32), false);
            refused(zeros(&[], DType::F32), false);
            if arguments.len() > 1 {
                let mut larger = shape.clone();
                *larger.last_mut().unwrap() += 1;
                if shape.len() == 1 || name == &"positions" {
                    refused(zeros(&larger, DType::F32), false);
                }
            }
        }
    }
}

#[test]
fn views_with_more_elements_than_can_be_addressed_are_errors() {
    let huge = zeros(&[1, 1, 1, 1], DType::F32).broadcast_as((1 << 20, 1 << 20, 1 << 12, 1 << 12));
    let huge = huge.unwrap();
    for error in [area_pool(&huge, 2), pair_cosine(&huge, &zeros(&[1], DType::F32))] {
        assert!(error.unwrap_err().to_string().contains("more elements than can be addressed"));
    }
}
