//! Ridge regression of all neurons on inner products, with a closed-form leave-one-out error.

use ndarray::{Array1, Array2, ArrayView2, Axis};
use rayon::prelude::*;

use super::eigen;

/// Range of shrinkages to try in half decades, as fractions of the features' variance in one
/// direction.
const SHRINKAGES: i32 = 10;
const FIRST_HALF_DECADE: i32 = -6;
/// Keeps the matrix of landmark inner products invertible, as a fraction of its mean square.
const JITTER: f64 = 1e-6;

/// A kernel in coordinates in which shrinkage is a division.
pub(super) struct Solved {
    /// `[images, directions]` for all images, centered over the training images.
    coordinates: Array2<f32>,
    /// Squared length of each direction over the training images.
    squares: Vec<f64>,
    training: Vec<usize>,
}

/// Leave-one-out squared error of each neuron, `[shrinkages, neurons]`.
pub(super) struct Errors {
    shrinkages: Vec<f64>,
    errors: Array2<f64>,
}

/// The shrinkage of each neuron, and its squared error.
pub(super) struct Chosen {
    pub(super) error: Vec<f64>,
    pub(super) shrinkage: Vec<f64>,
}

impl Errors {
    /// Appends the errors of other neurons at the same shrinkages.
    pub(super) fn join(&mut self, others: &Self) {
        self.errors.append(Axis(1), others.errors.view()).expect("as many shrinkages");
    }

    /// The shrinkages of smallest error. Errors are taken relative to each neuron's smallest; the
    /// criterion is `common` times their mean over neurons plus the rest of the neuron's own, since
    /// few images say little about a single neuron.
    pub(super) fn choose(&self, common: f64) -> Chosen {
        let least = self
            .errors
            .fold_axis(Axis(0), f64::INFINITY, |a, b| a.min(*b))
            .mapv(|least| least.max(f64::MIN_POSITIVE));
        let over_least = &self.errors / &least;
        let of_all = over_least.mean_axis(Axis(1)).expect("at least one neuron");
        let judged = |k: usize, n: usize| common * of_all[k] + (1.0 - common) * over_least[(k, n)];
        let best = |n: usize| {
            (0..self.shrinkages.len())
                .min_by(|a, b| judged(*a, n).total_cmp(&judged(*b, n)))
                .expect("some")
        };
        let best: Vec<usize> = (0..self.errors.ncols()).map(best).collect();
        Chosen {
            error: best.iter().enumerate().map(|(n, k)| self.errors[(*k, n)]).collect(),
            shrinkage: best.iter().map(|k| self.shrinkages[*k]).collect(),
        }
    }
}

impl Solved {
    /// Takes inner products `[images, landmarks]` of all images with those in rows `landmarks`;
    /// rows `training` are for training.
    pub(super) fn new(kernel: ArrayView2<f32>, landmarks: &[usize], training: &[usize]) -> Self {
        let root = cholesky(kernel.select(Axis(0), landmarks).mapv(f64::from));
        let count = landmarks.len();
        let mut coordinates: Vec<f64> = kernel.iter().map(|v| f64::from(*v)).collect();
        coordinates.par_chunks_exact_mut(count).for_each(|row| forward(&root, row));
        let mut coordinates = Array2::from_shape_vec((kernel.nrows(), count), coordinates)
            .expect("as many as before");
        coordinates -=
            &coordinates.select(Axis(0), training).mean_axis(Axis(0)).expect("images that train");
        let seen = coordinates.select(Axis(0), training);
        let (squares, directions) = eigen::symmetric(seen.t().dot(&seen));
        let coordinates = coordinates.dot(&directions.t()).mapv(|v| v as f32);
        Self {
            coordinates,
            squares: squares.into_iter().map(|square| square.max(0.0)).collect(),
            training: training.to_vec(),
        }
    }

    /// Products `[directions, neurons]` with centered responses `[training, neurons]`.
    pub(super) fn products(&self, targets: ArrayView2<f32>) -> Array2<f32> {
        self.coordinates.select(Axis(0), &self.training).t().dot(&targets)
    }

    /// The shrinkages to try.
    fn shrinkages(&self) -> Vec<f64> {
        let unit = self.squares.iter().sum::<f64>() / self.training.len() as f64;
        (0..SHRINKAGES)
            .map(|k| {
                unit.max(f64::MIN_POSITIVE) * 10f64.powf(f64::from(FIRST_HALF_DECADE + k) / 2.0)
            })
            .collect()
    }

    /// Leave-one-out errors at each shrinkage for `images`, indices among the training images,
    /// weighted per image.
    pub(super) fn errors(
        &self,
        targets: ArrayView2<f32>,
        products: &Array2<f32>,
        images: &[usize],
        weights: &[f64],
    ) -> Errors {
        let neurons = targets.ncols();
        let shrinkages = self.shrinkages();
        let total: f64 = images.iter().map(|image| weights[*image]).sum();
        let mut errors = Array2::zeros((shrinkages.len(), neurons));
        for (shrinkage, mut error) in shrinkages.iter().zip(errors.rows_mut()) {
            let left_out = self.left_out(targets, products, &vec![*shrinkage; neurons], images);
            for (found, image) in left_out.rows().into_iter().zip(images) {
                for ((error, found), target) in error.iter_mut().zip(found).zip(targets.row(*image))
                {
                    *error += weights[*image] / total * f64::from(found - target).powi(2);
                }
            }
        }
        Errors { shrinkages, errors }
    }

    /// Predictions `[rows, neurons]` for the images of `rows`, relative to the training mean.
    pub(super) fn predictions(
        &self,
        products: &Array2<f32>,
        shrinkage: &[f64],
        rows: &[usize],
    ) -> Array2<f32> {
        self.coordinates.select(Axis(0), rows).dot(&self.weights(products, shrinkage))
    }

    /// Leave-one-out predictions `[images, neurons]` for images, given as indices among the
    /// training images: y - (y - fit) / (1 - h), where h is the leverage of the image.
    pub(super) fn left_out(
        &self,
        targets: ArrayView2<f32>,
        products: &Array2<f32>,
        shrinkage: &[f64],
        images: &[usize],
    ) -> Array2<f32> {
        let rows: Vec<usize> = images.iter().map(|image| self.training[*image]).collect();
        let seen = self.coordinates.select(Axis(0), &rows);
        let mut found = seen.dot(&self.weights(products, shrinkage));
        let squared = seen.mapv(|u| f64::from(u * u));
        let mut of_shrinkage: Vec<(f64, Array1<f64>)> = Vec::new();
        for (n, own) in shrinkage.iter().enumerate() {
            let known = of_shrinkage.iter().position(|(of, _)| of == own).unwrap_or_else(|| {
                let inverse: Array1<f64> =
                    self.squares.iter().map(|square| 1.0 / (square + own)).collect();
                of_shrinkage.push((*own, squared.dot(&inverse) + 1.0 / self.training.len() as f64));
                of_shrinkage.len() - 1
            });
            let own_share = &of_shrinkage[known].1;
            for ((found, image), share) in found.column_mut(n).iter_mut().zip(images).zip(own_share)
            {
                let target = targets[(*image, n)];
                *found = target - (target - *found) / (1.0 - share).max(1e-3) as f32;
            }
        }
        found
    }

    fn weights(&self, products: &Array2<f32>, shrinkage: &[f64]) -> Array2<f32> {
        let mut weights = products.clone();
        for (mut row, square) in weights.rows_mut().into_iter().zip(&self.squares) {
            row.iter_mut()
                .zip(shrinkage)
                .for_each(|(weight, shrinkage)| *weight /= (square + shrinkage) as f32);
        }
        weights
    }
}

/// The lower Cholesky factor of a matrix of inner products.
fn cholesky(mut a: Array2<f64>) -> Array2<f64> {
    let count = a.nrows();
    let jitter = JITTER * a.diag().sum() / count as f64;
    for j in 0..count {
        let (done, mut rest) = a.view_mut().split_at(Axis(0), j);
        let before: Vec<f64> = rest.row(0).iter().take(j).copied().collect();
        let _ = done;
        let pivot =
            (rest[(0, j)] + jitter - before.iter().map(|v| v * v).sum::<f64>()).max(jitter).sqrt();
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

    /// Features of ten images, eight of them for training, and two neurons.
    fn example() -> (Array2<f64>, Array2<f64>) {
        let features =
            Array2::from_shape_fn((10, 3), |(i, k)| ((i * (3 * k + 2) + k) % 7) as f64 / 3.0 - 1.0);
        let mut targets = Array2::from_shape_fn((8, 2), |(i, n)| ((i * (n + 4)) % 5) as f64 - 2.0);
        targets -= &targets.mean_axis(Axis(0)).unwrap();
        (features, targets)
    }

    fn solved(
        features: &Array2<f64>,
        training: &[usize],
        targets: &Array2<f64>,
    ) -> (Solved, Array2<f32>, Array2<f32>) {
        let kernel = features.dot(&features.t()).mapv(|v| v as f32);
        let kernel = kernel.select(Axis(1), training);
        let (solved, targets) =
            (Solved::new(kernel.view(), training, training), targets.mapv(|v| v as f32));
        let products = solved.products(targets.view());
        (solved, targets, products)
    }

    /// Ridge regression from its normal equations, by Gaussian elimination.
    fn naive(
        features: &Array2<f64>,
        training: &[usize],
        targets: &[f64],
        shrinkage: f64,
        asked: usize,
    ) -> f64 {
        let seen = features.select(Axis(0), training);
        let mean = seen.mean_axis(Axis(0)).unwrap();
        let seen = seen - &mean;
        let level = targets.iter().sum::<f64>() / targets.len() as f64;
        let mut a = seen.t().dot(&seen) + Array2::<f64>::eye(3) * shrinkage;
        let mut b: Vec<f64> = seen
            .columns()
            .into_iter()
            .map(|c| c.iter().zip(targets).map(|(x, y)| x * (y - level)).sum())
            .collect();
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
        let (solved, _, products) = solved(&features, &training, &targets);
        let found = solved.predictions(&products, &[0.7, 2.0], &(0..10).collect::<Vec<_>>());
        for (n, shrinkage) in [0.7, 2.0].into_iter().enumerate() {
            for image in 0..10 {
                let expected =
                    naive(&features, &training, &targets.column(n).to_vec(), shrinkage, image);
                assert!(
                    (f64::from(found[(image, n)]) - expected).abs() < 1e-3,
                    "{image} {n}: {} {expected}",
                    found[(image, n)]
                );
            }
        }
    }

    #[test]
    fn an_image_left_out_is_predicted_by_the_regression_without_it() {
        let (features, targets) = example();
        let training: Vec<usize> = (0..8).collect();
        let (solved, of_neurons, products) = solved(&features, &training, &targets);
        let found = solved.left_out(of_neurons.view(), &products, &[0.7, 2.0], &training);
        let some = solved.left_out(of_neurons.view(), &products, &[0.7, 2.0], &[5, 2]);
        assert_eq!(
            (some.row(0), some.row(1)),
            (found.row(5), found.row(2)),
            "the prediction of an image does not depend on the others in the call"
        );
        for (n, shrinkage) in [0.7, 2.0].into_iter().enumerate() {
            for out in 0..8 {
                let others: Vec<usize> = training.iter().copied().filter(|i| *i != out).collect();
                let responses: Vec<f64> = others.iter().map(|i| targets[(*i, n)]).collect();
                let expected = naive(&features, &others, &responses, shrinkage, out);
                assert!(
                    (f64::from(found[(out, n)]) - expected).abs() < 2e-3,
                    "{out} {n}: {} {expected}",
                    found[(out, n)]
                );
            }
        }
    }
    #[test]
    fn shrinkages_are_each_neurons_own_or_all_neurons_common_one() {
        let errors = ndarray::arr2(&[[1.0, 4.0, 9.0], [2.0, 2.0, 6.0], [4.0, 8.0, 3.0]]);
        let errors = Errors { shrinkages: vec![0.1, 1.0, 10.0], errors };
        let own = errors.choose(0.0);
        assert_eq!((own.shrinkage, own.error), (vec![0.1, 1.0, 10.0], vec![1.0, 2.0, 3.0]));
        // Relative to each neuron's smallest: 1 2 3, 2 1 2 and 4 4 1, with means 2, 5/3 and 3.
        let common = errors.choose(1.0);
        assert_eq!((common.shrinkage, common.error), (vec![1.0; 3], vec![2.0, 2.0, 6.0]));
        // In equal parts: the first neuron 1.5, 1.83 and 3.5, the last 2.5, 1.83 and 2.
        assert_eq!(errors.choose(0.5).shrinkage, [0.1, 1.0, 1.0]);
    }
}
