//! Controls from the same inputs: shuffled, thresholded, pixels, and raw in two independent halves.

use crate::{Error, Pair, Result, SimilarityMatrix, vectors};
use brainprior_images::{ImageId, StimulusSet};
use brainprior_recording::{Measurement, ResponseKind, Responses, Scan};
use ndarray::{Array2, ArrayView2};
use rand::Rng;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::ops::RangeInclusive;

impl SimilarityMatrix {
    /// The control *shuffled*: applies one random permutation of the identities to rows and
    /// columns. The spectrum and the histogram are preserved; only the assignment to images is
    /// lost. [`SimilarityMatrix::donors`] of the result records the permutation.
    pub fn shuffled(&self, seed: u64) -> Self {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        let mut order: Vec<usize> = (0..self.len()).collect();
        for last in (1..order.len()).rev() {
            order.swap(last, generator.random_range(0..=last));
        }
        let donors: Vec<ImageId> =
            order.iter().map(|donor| self.donors().unwrap_or(self.ids())[*donor]).collect();
        let mut provenance = self.provenance().to_vec();
        provenance.push(format!("identities shuffled with seed {seed}"));
        SimilarityMatrix::of_cosines(self.ids().to_vec(), self.gathered(&order), provenance)
            .with_donors(Some(donors))
            .with_scans(order.iter().map(|donor| self.scans()[*donor]).collect())
    }
}

impl SimilarityMatrix {
    /// The target of Attias et al. (2024): 1 above `threshold`, -1 below `-threshold`, 0 between.
    ///
    /// # Errors
    /// Returns [`Error::Size`] if the threshold is negative or NaN.
    pub fn thresholded(&self, threshold: f32) -> Result<Self> {
        if threshold.is_nan() || threshold < 0.0 {
            return Err(Error::Size {
                what: "threshold of similarities",
                expected: "at least 0".into(),
                found: threshold.to_string(),
            });
        }
        let sign =
            |value: &f32| f32::from(i8::from(*value > threshold) - i8::from(*value < -threshold));
        let mut provenance = self.provenance().to_vec();
        provenance.push(format!("1 above {threshold}, -1 below -{threshold}, 0 between"));
        Ok(SimilarityMatrix::new(
            self.ids().to_vec(),
            self.packed().iter().map(sign).collect(),
            provenance,
        )?
        .with_donors(self.donors().map(<[ImageId]>::to_vec))
        .with_scans(self.scans().to_vec()))
    }

    /// The pairs with similarities in a range, in the order of the triangle, for example to train
    /// only on the most similar pairs, or on all except those near 0.
    pub fn pairs_within(&self, range: RangeInclusive<f32>) -> Vec<Pair> {
        let mut pairs = Vec::new();
        for first in 0..self.len() {
            for (offset, similarity) in
                self.upper_row(first).iter().enumerate().filter(|(_, value)| range.contains(value))
            {
                pairs.push(Pair {
                    first: first as u32,
                    second: (first + 1 + offset) as u32,
                    similarity: *similarity,
                });
            }
        }
        pairs
    }
}

/// Two independent raw measurements of the repeated images: the repeats of each image are divided
/// at random into two disjoint halves (an odd number leaves one trial out), and each half is
/// averaged. Anything the two matrices share cannot come from noise.
///
/// # Errors
/// Returns [`Error::Size`] if the scan has no repeats.
pub fn halves(scan: &Scan, seed: u64) -> Result<(Responses, Responses)> {
    let repeats = scan.repeats();
    let ids: Vec<ImageId> = repeats
        .iter()
        .filter(|(_, trials)| trials.len() > 1)
        .map(|(image, _)| scan.stimuli().ids()[*image])
        .collect();
    if ids.is_empty() {
        return Err(Error::Size {
            what: "images shown more than once",
            expected: "at least 1".into(),
            found: "none".into(),
        });
    }
    let neurons = scan.responses().ncols();
    let mut values = [Array2::zeros((ids.len(), neurons)), Array2::zeros((ids.len(), neurons))];
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    for (row, trials) in repeats.values().filter(|trials| trials.len() > 1).enumerate() {
        let mut order = trials.clone();
        for last in (1..order.len()).rev() {
            order.swap(last, generator.random_range(0..=last));
        }
        let half = order.len() / 2;
        for (values, trials) in values.iter_mut().zip([&order[..half], &order[half..2 * half]]) {
            for (neuron, mean) in values.row_mut(row).iter_mut().enumerate() {
                let sum: f64 =
                    trials.iter().map(|trial| f64::from(scan.responses()[[*trial, neuron]])).sum();
                *mean = (sum / half as f64) as f32;
            }
        }
    }
    let [first, second] = values.map(|values| repeat_means(scan, ids.clone(), values));
    Ok((first, second))
}

fn repeat_means(scan: &Scan, ids: Vec<ImageId>, values: Array2<f32>) -> Responses {
    let kind = ResponseKind::Measured(Measurement::RepeatMean);
    Responses::new(scan.name(), kind, ids, values)
        .expect("means of finite responses to distinct images")
}

/// The control *pixels*: the formula of [`crate::similarity`] with the pixels of each image as its
/// vector.
///
/// # Errors
/// Returns an error if there are fewer than two images or if one equals the mean image.
pub fn pixels(stimuli: &StimulusSet) -> Result<SimilarityMatrix> {
    let values = pixel_rows(stimuli);
    let source = format!("pixels, {} x {}", stimuli.height(), stimuli.width());
    vectors(stimuli.ids(), values, &vec![1.0; values.ncols()], &source)
}

fn pixel_rows(stimuli: &StimulusSet) -> ArrayView2<'_, f32> {
    let shape = (stimuli.len(), stimuli.height() * stimuli.width());
    ArrayView2::from_shape(shape, stimuli.pixels()).expect("a stimulus set has this shape")
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
    fn thresholds_and_ranges() {
        let ids: Vec<ImageId> = (0..4).map(ImageId::from_u64).collect();
        let matrix =
            SimilarityMatrix::new(ids, vec![0.3, -0.3, 0.2, -0.9, 0.0, 0.9], vec![]).unwrap();
        let signs = matrix.shuffled(1).thresholded(0.25).unwrap();
        let of = |value: f32| {
            if value > 0.25 {
                1.0
            } else if value < -0.25 {
                -1.0
            } else {
                0.0
            }
        };
        let expected: Vec<f32> =
            matrix.shuffled(1).packed().iter().map(|value| of(*value)).collect();
        assert_eq!(signs.packed(), expected);
        assert!(signs.donors().is_some() && signs.provenance().last().unwrap().contains("0.25"));
        assert!(matrix.thresholded(-0.1).is_err() && matrix.thresholded(f32::NAN).is_err());
        let found: Vec<(u32, u32)> =
            matrix.pairs_within(-0.3..=0.2).iter().map(|pair| (pair.first, pair.second)).collect();
        assert_eq!(found, [(0, 2), (0, 3), (1, 3)]);
    }

    #[test]
    fn pixels_are_centered_over_images() {
        let stimuli = StimulusSet::new(1, 2, vec![0.0, 0.0, 1.0, 1.0, 0.5, 1.0]).unwrap();
        let matrix = pixels(&stimuli).unwrap();
        // Means are 0.5 and 2/3; the first two vectors are (-1/2, -2/3) and (1/2, 1/3).
        let expected =
            -(0.25 + 2.0 / 9.0) / ((0.25f64 + 4.0 / 9.0).sqrt() * (0.25f64 + 1.0 / 9.0).sqrt());
        assert!((f64::from(matrix.get(0, 1)) - expected).abs() < 1e-7);
    }
}
