//! Ridge regression of all neurons on inner products, with the error of each image left out in closed form.

use ndarray::{Array1, Array2, ArrayView2, Axis};
use rayon::prelude::*;

use super::eigen;

/// Shrinkages that are tried, as shares of the features' variance in one direction: half decades.
const SHRINKAGES: i32 = 10;
const FIRST_HALF_DECADE: i32 = -6;
/// What keeps the landmarks' inner products invertible, as a share of their mean square.
const JITTER: f64 = 1e-6;

/// One set of inner products, in the coordinates in which shrinking is a division.
pub(super) struct Solved {
    /// `[images, directions]`, all images, centered over those that train.
    coordinates: Array2<f64>,
    /// Square of each direction over the images that train.
    squares: Vec<f64>,
    /// `[directions, neurons]`
    products: Array2<f64>,
    training: Vec<usize>,
}

/// Squared error of each neuron at its best shrinkage, and that shrinkage.
pub(super) struct Chosen {
    pub(super) error: Vec<f64>,
    pub(super) shrinkage: Vec<f64>,
}

impl Solved {
    /// From inner products `[images, landmarks]` of all images with the images of rows `landmarks`; `targets` `[training, neurons]`
    /// are centered responses to the images of rows `training`.
    pub(super) fn new(kernel: ArrayView2<f32>, landmarks: &[usize], training: &[usize], targets: &Array2<f64>) -> Self {
        let root = cholesky(kernel.select(Axis(0), landmarks).mapv(f64::from));
        let count = landmarks.len();
        let mut coordinates: Vec<f64> = kernel.iter().map(|v| f64::from(*v)).collect();
        coordinates.par_chunks_exact_mut(count).for_each(|row| forward(&root, row));
        let mut coordinates = Array2::from_shape_vec((kernel.nrows(), count), coordinates).expect("as many as before");
        coordinates -= &coordinates.select(Axis(0), training).mean_axis(Axis(0)).expect("images that train");
        let seen = coordinates.select(Axis(0), training);
        let (squares, directions) = eigen::symmetric(seen.t().dot(&seen));
        let coordinates = coordinates.dot(&directions.t());
        let products = coordinates.select(Axis(0), training).t().dot(targets);
        let squares = squares.into_iter().map(|square| square.max(0.0)).collect();
        Self { coordinates, squares, products, training: training.to_vec() }
    }

    /// The shrinkages that are tried.
    fn shrinkages(&self) -> Vec<f64> {
        let unit = self.squares.iter().sum::<f64>() / self.training.len() as f64;
        (0..SHRINKAGES).map(|k| unit.max(f64::MIN_POSITIVE) * 10f64.powf(f64::from(FIRST_HALF_DECADE + k) / 2.0)).collect()
    }

    /// The shrinkage of each neuron with the least error on images left out, weighted.
    pub(super) fn choose(&self, targets: &Array2<f64>, weights: &[f64]) -> Chosen {
        let neurons = targets.ncols();
        let mut chosen = Chosen { error: vec![f64::INFINITY; neurons], shrinkage: vec![0.0; neurons] };
        let total: f64 = weights.iter().sum();
        for shrinkage in self.shrinkages() {
            let left_out = self.left_out(targets, &vec![shrinkage; neurons]);
            let mut error = vec![0.0; neurons];
            for ((found, target), weight) in left_out.rows().into_iter().zip(targets.rows()).zip(weights) {
                for (n, (found, target)) in found.iter().zip(target).enumerate() {
                    error[n] += weight / total * (found - target).powi(2);
                }
            }
            for (n, error) in error.into_iter().enumerate() {
                if error < chosen.error[n] {
                    (chosen.error[n], chosen.shrinkage[n]) = (error, shrinkage);
                }
            }
        }
        chosen
    }

    /// Predictions `[images, neurons]` of all images, about the training mean.
    pub(super) fn predictions(&self, shrinkage: &[f64]) -> Array2<f64> {
        self.coordinates.dot(&self.weights(shrinkage))
    }

    /// Predictions `[training, neurons]` of each image by the regression without it: y - (y - fit) / (1 - h), h being what the image
    /// adds to its own fit.
    pub(super) fn left_out(&self, targets: &Array2<f64>, shrinkage: &[f64]) -> Array2<f64> {
        let seen = self.coordinates.select(Axis(0), &self.training);
        let mut found = seen.dot(&self.weights(shrinkage));
        let squared = seen.mapv(|u| u * u);
        let mut of_shrinkage: Vec<(f64, Array1<f64>)> = Vec::new();
        for (n, own) in shrinkage.iter().enumerate() {
            let known = of_shrinkage.iter().position(|(of, _)| of == own).unwrap_or_else(|| {
                let inverse: Array1<f64> = self.squares.iter().map(|square| 1.0 / (square + own)).collect();
                of_shrinkage.push((*own, squared.dot(&inverse) + 1.0 / self.training.len() as f64));
                of_shrinkage.len() - 1
            });
            let own_share = &of_shrinkage[known].1;
            for (i, found) in found.column_mut(n).iter_mut().enumerate() {
                let target = targets[(i, n)];
                *found = target - (target - *found) / (1.0 - own_share[i]).max(1e-3);
            }
        }
        found
    }

    fn weights(&self, shrinkage: &[f64]) -> Array2<f64> {
        let mut weights = self.products.clone();
        for (mut row, square) in weights.rows_mut().into_iter().zip(&self.squares) {
            row.iter_mut().zip(shrinkage).for_each(|(weight, shrinkage)| *weight /= square + shrinkage);
        }
        weights
    }
}

/// The lower root of a matrix of inner products.
fn cholesky(mut a: Array2<f64>) -> Array2<f64> {
    let count = a.nrows();
    let jitter = JITTER * a.diag().sum() / count as f64;
    for j in 0..count {
        let (done, mut rest) = a.view_mut().split_at(Axis(0), j);
        let before: Vec<f64> = rest.row(0).iter().take(j).copied().collect();
        let _ = done;
        let pivot = (rest[(0, j)] + jitter - before.iter().map(|v| v * v).sum::<f64>()).max(jitter).sqrt();
        rest[(0, j)] = pivot;
        for i in 1..count - j {
            let sum: f64 = rest.row(i).iter().zip(&before).map(|(a, b)| a * b).sum();
            rest[(i, j)] = (rest[(i, j)] - sum) / pivot;
        }
    }
    a
}

/// Solves root x = row in place.
fn forward(root: &Array2<f64>, row: &mut [f64]) {
    for i in 0..row.len() {
        let (known, rest) = row.split_at_mut(i);
        let of_root = root.row(i);
        let sum: f64 = known.iter().zip(of_root.iter()).map(|(x, l)| x * l).sum();
        rest[0] = (rest[0] - sum) / of_root[i];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Features of ten images, eight of which train, and two neurons.
    fn example() -> (Array2<f64>, Array2<f64>) {
        let features = Array2::from_shape_fn((10, 3), |(i, k)| ((i * (3 * k + 2) + k) % 7) as f64 / 3.0 - 1.0);
        let mut targets = Array2::from_shape_fn((8, 2), |(i, n)| ((i * (n + 4)) % 5) as f64 - 2.0);
        targets -= &targets.mean_axis(Axis(0)).unwrap();
        (features, targets)
    }

    fn solved(features: &Array2<f64>, training: &[usize], targets: &Array2<f64>) -> Solved {
        let kernel = features.dot(&features.t()).mapv(|v| v as f32);
        let kernel = kernel.select(Axis(1), training);
        Solved::new(kernel.view(), training, training, targets)
    }

    /// Ridge regression from its normal equations, by Gauss elimination.
    fn naive(features: &Array2<f64>, training: &[usize], targets: &[f64], shrinkage: f64, asked: usize) -> f64 {
        let seen = features.select(Axis(0), training);
        let mean = seen.mean_axis(Axis(0)).unwrap();
        let seen = seen - &mean;
        let level = targets.iter().sum::<f64>() / targets.len() as f64;
        let mut a = seen.t().dot(&seen) + Array2::<f64>::eye(3) * shrinkage;
        let mut b: Vec<f64> =
            seen.columns().into_iter().map(|c| c.iter().zip(targets).map(|(x, y)| x * (y - level)).sum()).collect();
        for k in 0..3 {
            for i in 0..3 {
                if i != k {
                    let factor = a[(i, k)] / a[(k, k)];
                    for j in 0..3 {
                        a[(i, j)] -= factor * a[(k, j)];
                    }
                    b[i] -= factor * b[k];
                }
            }
        }
        level + (0..3).map(|k| b[k] / a[(k, k)] * (features[(asked, k)] - mean[k])).sum::<f64>()
    }

    #[test]
    fn predictions_are_those_of_the_normal_equations() {
        let (features, targets) = example();
        let training: Vec<usize> = (0..8).collect();
        let found = solved(&features, &training, &targets).predictions(&[0.7, 2.0]);
        for (n, shrinkage) in [0.7, 2.0].into_iter().enumerate() {
            for image in 0..10 {
                let expected = naive(&features, &training, &targets.column(n).to_vec(), shrinkage, image);
                assert!((found[(image, n)] - expected).abs() < 1e-3, "{image} {n}: {} {expected}", found[(image, n)]);
            }
        }
    }

    #[test]
    fn an_image_left_out_is_predicted_by_the_regression_without_it() {
        let (features, targets) = example();
        let training: Vec<usize> = (0..8).collect();
        let found = solved(&features, &training, &targets).left_out(&targets, &[0.7, 2.0]);
        for (n, shrinkage) in [0.7, 2.0].into_iter().enumerate() {
            for out in 0..8 {
                let others: Vec<usize> = training.iter().copied().filter(|i| *i != out).collect();
                let responses: Vec<f64> = others.iter().map(|i| targets[(*i, n)]).collect();
                let expected = naive(&features, &others, &responses, shrinkage, out);
                assert!((found[(out, n)] - expected).abs() < 2e-3, "{out} {n}: {} {expected}", found[(out, n)]);
            }
        }
    }
}
