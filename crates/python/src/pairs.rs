//! The order in which pairs of stimuli are drawn, the same as in the classifier's training.

use crate::error::{DataError, Result};
use crate::similarity::SimilarityMatrix;
use brainprior_classifier::{PairSource, pair_numbers};
use ndarray::{Array1, Array2};
use numpy::{IntoPyArray, PyArray1, PyArray2};
use pyo3::prelude::*;

/// The `count` pairs of a training starting with number `start`: indices of both images [count, 2],
/// and similarities [count].
#[pyfunction]
pub(crate) fn drawn_pairs<'py>(
    py: Python<'py>,
    target: PyRef<'_, SimilarityMatrix>,
    seed: u64,
    start: u64,
    count: usize,
) -> Result<(Bound<'py, PyArray2<i64>>, Bound<'py, PyArray1<f32>>)> {
    if count == 0 {
        return Err(DataError::new_err("pairs: expected at least 1 per batch, found 0").into());
    }
    let matrix = &target.matrix;
    let drawn: Vec<(usize, usize, f32)> = pair_numbers(matrix.count(), seed, start, count)
        .map(|number| matrix.pair(number))
        .collect();
    let places = Array2::from_shape_fn((count, 2), |(pair, second)| {
        (if second == 0 { drawn[pair].0 } else { drawn[pair].1 }) as i64
    });
    let similarities: Array1<f32> = drawn.iter().map(|pair| pair.2).collect();
    Ok((places.into_pyarray(py), similarities.into_pyarray(py)))
}
