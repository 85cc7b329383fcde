//! The control *random*: similarities of responses unrelated to the images, with the spectrum of a
//! population.

use crate::SimilarityMatrix;
use ndarray::{Array2, ArrayViewMut1, Axis, linalg::general_mat_mul};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

/// Rows multiplied at a time; fixed, so that sums do not depend on the number of threads.
const ROWS: usize = 64;

impl SimilarityMatrix {
    /// Similarities of Gaussian responses with the same covariance over images as the population of
    /// this matrix. Each image gets a random mixture g of the population vectors of all images, so
    /// its vector is Gaussian with their covariance: the eigenspectrum is preserved, but all
    /// relations between images are lost. With S this matrix, the products of the new vectors are G
    /// S Gᵀ; they are centered and normalized like those of any population (section 3.1 of the
    /// paper).
    ///
    /// The matrix must come from a population or be the mean of several; matrices that are not Gram
    /// matrices, such as thresholded ones, have no such responses. `seed` determines the mixtures.
    #[must_use]
    pub fn random(&self, seed: u64) -> Self {
        let images = self.len();
        let mixtures = by_rows(images, |row, mut values| {
            let mut generator = ChaCha8Rng::seed_from_u64(seed);
            generator.set_stream(row as u64);
            values.iter_mut().for_each(|value| *value = StandardNormal.sample(&mut generator));
        });
        let whole = by_rows(images, |row, mut values| {
            values.assign(&ndarray::ArrayView1::from(&self.row(row)[..]))
        });
        let products =
            product(&product(&mixtures, &whole), &mixtures.t().as_standard_layout().into_owned());
        let means: Vec<f64> = products
            .rows()
            .into_iter()
            .map(|row| row.iter().map(|v| f64::from(*v)).sum::<f64>() / images as f64)
            .collect();
        let mean = means.iter().sum::<f64>() / images as f64;
        let centered =
            |i: usize, j: usize| f64::from(products[[i, j]]) - means[i] - means[j] + mean;
        let norms: Vec<f64> = (0..images).map(|image| centered(image, image).sqrt()).collect();
        let cosine =
            |i: usize, j: usize| (centered(i, j) / (norms[i] * norms[j])).clamp(-1.0, 1.0) as f32;
        let packed = (0..images)
            .flat_map(|i| (i + 1..images).map(move |j| (i, j)))
            .map(|(i, j)| cosine(i, j))
            .collect();
        let mut provenance = self.provenance().to_vec();
        provenance.push(format!(
            "Gaussian responses of the same eigenspectrum in place of these, seed {seed}"
        ));
        Self::of_cosines(self.ids().to_vec(), packed, provenance).with_scans(self.scans().to_vec())
    }
}

fn by_rows(images: usize, fill: impl Fn(usize, ArrayViewMut1<f32>) + Sync) -> Array2<f32> {
    let mut all = Array2::zeros((images, images));
    all.axis_iter_mut(Axis(0))
        .into_par_iter()
        .enumerate()
        .for_each(|(row, values)| fill(row, values));
    all
}

fn product(a: &Array2<f32>, b: &Array2<f32>) -> Array2<f32> {
    let mut out = Array2::zeros((a.nrows(), b.ncols()));
    out.axis_chunks_iter_mut(Axis(0), ROWS)
        .into_par_iter()
        .zip(a.axis_chunks_iter(Axis(0), ROWS))
        .for_each(|(mut out, a)| general_mat_mul(1.0, &a, b, 0.0, &mut out));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{pearson, spread, vectors};
    use brainprior_images::ImageId;

    /// Responses of 30 neurons to 300 images, where the variance of neuron n falls like 1 / n.
    fn population() -> (Vec<ImageId>, Array2<f32>) {
        let mut generator = ChaCha8Rng::seed_from_u64(5);
        let scale = |neuron: usize| 1.0 / ((neuron + 1) as f32).sqrt();
        let values = Array2::from_shape_fn((300, 30), |(_, neuron)| {
            let value: f32 = StandardNormal.sample(&mut generator);
            scale(neuron) * value.powi(3)
        });
        ((0..300).map(ImageId::from_u64).collect(), values)
    }

    #[test]
    fn random_responses_are_those_of_the_mixed_vectors() {
        let (ids, values) = population();
        let matrix = vectors(&ids, values.view(), &[1.0; 30], "population").unwrap();
        let random = matrix.random(9);
        // The same by hand: unit vectors are mixed and then processed like any responses.
        let mut unit = values.mapv(f64::from);
        let means = unit.mean_axis(Axis(0)).unwrap();
        unit -= &means;
        for mut row in unit.rows_mut() {
            let norm = row.dot(&row).sqrt();
            row /= norm;
        }
        let mixtures = Array2::from_shape_fn((300, 300), {
            let mut row_of = (usize::MAX, ChaCha8Rng::seed_from_u64(9));
            move |(row, _)| {
                if row_of.0 != row {
                    row_of = (row, ChaCha8Rng::seed_from_u64(9));
                    row_of.1.set_stream(row as u64);
                }
                f64::from(Distribution::<f32>::sample(&StandardNormal, &mut row_of.1))
            }
        });
        let mixed = mixtures.dot(&unit).mapv(|value| value as f32);
        let by_hand = vectors(&ids, mixed.view(), &[1.0; 30], "by hand").unwrap();
        let largest = random
            .packed()
            .iter()
            .zip(by_hand.packed())
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        assert!(largest < 1e-4, "{largest}");
    }

    #[test]
    fn the_spectrum_stays_and_the_images_go() {
        let (ids, values) = population();
        let matrix = vectors(&ids, values.view(), &[1.0; 30], "population").unwrap();
        let random = matrix.random(1);
        assert!(pearson(&matrix, &random).unwrap().abs() < 0.03);
        let ratio = spread(&random).standard_deviation / spread(&matrix).standard_deviation;
        assert!((0.9..1.1).contains(&ratio), "{ratio}");
        assert_eq!(random, matrix.random(1));
        assert_ne!(random.packed(), matrix.random(2).packed());
    }
}
