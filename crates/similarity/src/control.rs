//! Controls made from the same inputs: a shuffled matrix, and one of pixels.

use crate::{Result, SimilarityMatrix, vectors};
use brainprior_images::{ImageId, StimulusSet};
use ndarray::ArrayView2;
use rand::Rng;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

impl SimilarityMatrix {
    /// The control *shuffled*: one random permutation of the identities, applied to rows and columns, so that the
    /// spectrum and the histogram stay and only what belongs to which image is lost. [`SimilarityMatrix::donors`] of the
    /// result records the permutation.
    pub fn shuffled(&self, seed: u64) -> Self {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        let mut order: Vec<usize> = (0..self.len()).collect();
        for last in (1..order.len()).rev() {
            order.swap(last, generator.random_range(0..=last));
        }
        let donors: Vec<ImageId> = order.iter().map(|donor| self.donors().unwrap_or(self.ids())[*donor]).collect();
        let mut provenance = self.provenance().to_vec();
        provenance.push(format!("identities shuffled with seed {seed}"));
        SimilarityMatrix::new(self.ids().to_vec(), self.gathered(&order), provenance)
            .expect("rearranged similarities of the same images")
            .with_donors(Some(donors))
            .with_scans(order.iter().map(|donor| self.scans()[*donor]).collect())
    }
}

/// The control *pixels*: the formula of [`crate::similarity`] with the pixels of each image as its vector.
///
/// # Errors
/// Fewer than two images, or one that equals the mean image.
pub fn pixels(stimuli: &StimulusSet) -> Result<SimilarityMatrix> {
    let area = stimuli.height() * stimuli.width();
    let values = ArrayView2::from_shape((stimuli.len(), area), stimuli.pixels()).expect("a stimulus set has this shape");
    vectors(stimuli.ids(), values, &vec![1.0; area], &format!("pixels, {} x {}", stimuli.height(), stimuli.width()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shuffle_moves_rows_and_columns_together_and_says_how() {
        let ids: Vec<ImageId> = (0..6).map(ImageId::from_u64).collect();
        let packed: Vec<f32> = (0..15).map(|index| index as f32 / 20.0).collect();
        let matrix = SimilarityMatrix::new(ids.clone(), packed, vec![]).unwrap();
        let shuffled = matrix.shuffled(3);
        let donors = shuffled.donors().unwrap().to_vec();
        assert_eq!(shuffled.ids(), &ids);
        assert_ne!(donors, ids);
        for i in 0..6 {
            for j in 0..6 {
                let (a, b) = (donors[i].to_u64() as usize, donors[j].to_u64() as usize);
                assert_eq!(shuffled.get(i, j), matrix.get(a, b));
            }
        }
        assert_eq!(shuffled, matrix.shuffled(3));
        assert_ne!(shuffled.packed(), matrix.shuffled(4).packed());
        let back = shuffled.select(&[ids[2], ids[0]]).unwrap();
        assert_eq!(back.donors().unwrap(), &[donors[2], donors[0]]);
    }

    #[test]
    fn pixels_are_centred_over_images() {
        let stimuli = StimulusSet::new(1, 2, vec![0.0, 0.0, 1.0, 1.0, 0.5, 1.0]).unwrap();
        let matrix = pixels(&stimuli).unwrap();
        // Means 0.5 and 2/3; the first two vectors are (-1/2, -2/3) and (1/2, 1/3).
        let expected = -(0.25 + 2.0 / 9.0) / ((0.25f64 + 4.0 / 9.0).sqrt() * (0.25f64 + 1.0 / 9.0).sqrt());
        assert!((f64::from(matrix.get(0, 1)) - expected).abs() < 1e-7);
    }
}
