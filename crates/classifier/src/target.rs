//! Targets of the similarity loss.

use crate::{Error, Result};
use brainprior_artifact::hash::Hasher;
use brainprior_images::{ImageId, StimulusSet};
use brainprior_similarity::SimilarityMatrix;
use std::fmt::Debug;
use std::sync::Arc;

/// The target of a training.
#[derive(Clone, Debug)]
pub enum Target {
    /// Cross-entropy only, without pairs.
    None,
    /// Similarities of pairs of grayscale stimuli, of any origin: predicted responses, single
    /// trials, shuffled identities, or pixels.
    Similarity {
        /// The images, possibly among others; their size may differ from that of the labeled
        /// images.
        stimuli: StimulusSet,
        /// The similarities, by image identity.
        matrix: SimilarityMatrix,
    },
    /// Similarities that are not stored as a matrix: a sample of pairs ([`SampledPairs`]), or pairs
    /// whose similarity is computed when they are drawn.
    Pairs {
        /// The images, as above.
        stimuli: StimulusSet,
        /// The pairs.
        source: Arc<dyn PairSource>,
    },
}

impl Target {
    /// The images and their pairs, if there are any.
    pub(crate) fn pairs(&self) -> Option<(&StimulusSet, &dyn PairSource)> {
        match self {
            Self::None => None,
            Self::Similarity { stimuli, matrix } => Some((stimuli, matrix)),
            Self::Pairs { stimuli, source } => Some((stimuli, source.as_ref())),
        }
    }
}

/// Numbered pairs of images with their similarities. A training draws the numbers in random order,
/// each once before any repeats, and asks for the same pair again after an interruption.
pub trait PairSource: Debug + Send + Sync {
    /// Identities of the images.
    fn ids(&self) -> &[ImageId];

    /// Number of pairs, at least 1.
    fn count(&self) -> u64;

    /// Indices of both images in [`PairSource::ids`], and their similarity in [-1, 1]. The result
    /// must be the same every time for the same `number` below [`PairSource::count`].
    fn pair(&self, number: u64) -> (usize, usize, f32);

    /// How the pairs were made, one entry per step.
    fn provenance(&self) -> Vec<String>;

    /// A fingerprint of the pairs, so that a training is not resumed with other similarities.
    fn fingerprint(&self) -> Vec<u8>;
}

impl PairSource for SimilarityMatrix {
    fn ids(&self) -> &[ImageId] {
        self.ids()
    }

    fn count(&self) -> u64 {
        self.packed().len() as u64
    }

    fn pair(&self, number: u64) -> (usize, usize, f32) {
        let (i, j) = pair_at(self.len(), number as usize);
        (i, j, self.packed()[number as usize])
    }

    fn provenance(&self) -> Vec<String> {
        self.provenance().to_vec()
    }

    fn fingerprint(&self) -> Vec<u8> {
        let mut hash = Hasher::default();
        self.ids().iter().for_each(|id| hash.update(&id.to_u64().to_le_bytes()));
        self.packed().iter().for_each(|value| hash.update(&value.to_le_bytes()));
        hash.finish().into_bytes()
    }
}

/// The pair at `index` of the packed strict upper triangle for `images` images.
pub(crate) fn pair_at(images: usize, index: usize) -> (usize, usize) {
    let start = |row: usize| row * (2 * images - row - 1) / 2;
    let side = (2 * images - 1) as f64;
    let mut row = ((side - (side * side - 8.0 * index as f64).max(0.0).sqrt()) / 2.0) as usize;
    // The square root is rounded, so the row is off by at most one.
    row = row.min(images - 2);
    while start(row) > index {
        row -= 1;
    }
    while start(row + 1) <= index {
        row += 1;
    }
    (row, row + 1 + index - start(row))
}

/// A stored sample of the pairs of a set of images: for example of a matrix too large for memory,
/// or only pairs whose similarity lies in a range (Attias et al. 2024).
#[derive(Clone, Debug, PartialEq)]
pub struct SampledPairs {
    ids: Vec<ImageId>,
    pairs: Vec<(u32, u32, f32)>,
    provenance: Vec<String>,
}

impl SampledPairs {
    /// Makes a sample of pairs `(i, j, similarity)` of images `i` and `j` in `ids`.
    ///
    /// # Errors
    /// Returns [`Error::Size`] if there are no pairs, an index is out of range, an image is paired
    /// with itself, or a similarity is outside [-1, 1].
    pub fn new(
        ids: Vec<ImageId>,
        pairs: Vec<(u32, u32, f32)>,
        provenance: Vec<String>,
    ) -> Result<Self> {
        let wrong = |expected: String, found: String| {
            Err(Error::Size { what: "pairs of a sample", expected, found })
        };
        if pairs.is_empty() {
            return wrong("at least one".into(), "none".into());
        }
        for (number, (i, j, similarity)) in pairs.iter().enumerate() {
            if *i.max(j) as usize >= ids.len() || i == j || !(-1.0..=1.0).contains(similarity) {
                let expected = format!("two of {} images and a similarity in [-1, 1]", ids.len());
                return wrong(expected, format!("({i}, {j}) and {similarity} in pair {number}"));
            }
        }
        Ok(Self { ids, pairs, provenance })
    }

    /// Keeps the pairs of a matrix whose similarity lies in `range`.
    ///
    /// # Errors
    /// Returns [`Error::Size`] if there are none.
    pub fn in_range(
        matrix: &SimilarityMatrix,
        range: std::ops::RangeInclusive<f32>,
    ) -> Result<Self> {
        let place = |(index, similarity): (usize, &f32)| {
            let (i, j) = pair_at(matrix.len(), index);
            (i as u32, j as u32, *similarity)
        };
        let within = |(_, similarity): &(usize, &f32)| range.contains(*similarity);
        let pairs = matrix.packed().iter().enumerate().filter(within).map(place).collect();
        let mut provenance = matrix.provenance().to_vec();
        provenance.push(format!("pairs of a similarity from {} to {}", range.start(), range.end()));
        Self::new(matrix.ids().to_vec(), pairs, provenance)
    }
}

impl PairSource for SampledPairs {
    fn ids(&self) -> &[ImageId] {
        &self.ids
    }

    fn count(&self) -> u64 {
        self.pairs.len() as u64
    }

    fn pair(&self, number: u64) -> (usize, usize, f32) {
        let (i, j, similarity) = self.pairs[number as usize];
        (i as usize, j as usize, similarity)
    }

    fn provenance(&self) -> Vec<String> {
        self.provenance.clone()
    }

    fn fingerprint(&self) -> Vec<u8> {
        let mut hash = Hasher::default();
        self.ids.iter().for_each(|id| hash.update(&id.to_u64().to_le_bytes()));
        for (i, j, similarity) in &self.pairs {
            hash.update(&i.to_le_bytes());
            hash.update(&j.to_le_bytes());
            hash.update(&similarity.to_le_bytes());
        }
        hash.finish().into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(count: u64) -> Vec<ImageId> {
        (0..count).map(ImageId::from_u64).collect()
    }

    #[test]
    fn the_triangle_is_numbered_as_the_matrix_is_packed() {
        for images in [2usize, 3, 17, 100] {
            let pairs = (0..images).flat_map(|i| (i + 1..images).map(move |j| (i, j)));
            for (index, expected) in pairs.enumerate() {
                assert_eq!(pair_at(images, index), expected);
            }
        }
        assert_eq!(pair_at(5000, 12_497_499), (4998, 4999));
        assert_eq!(pair_at(5000, 4998), (0, 4999));
        assert_eq!(pair_at(5000, 4999), (1, 2));
    }

    #[test]
    fn a_range_keeps_its_pairs() {
        let matrix =
            SimilarityMatrix::new(ids(3), vec![0.1, 0.5, -0.3], vec!["made".into()]).unwrap();
        let sample = SampledPairs::in_range(&matrix, 0.0..=0.2).unwrap();
        assert_eq!((sample.count(), sample.pair(0)), (1, (0, 1, 0.1)));
        assert_eq!(
            PairSource::provenance(&sample),
            ["made", "pairs of a similarity from 0 to 0.2"]
        );
        let all = SampledPairs::in_range(&matrix, -1.0..=1.0).unwrap();
        assert!((0..3).all(|number| all.pair(number) == matrix.pair(number)));
        assert_ne!(all.fingerprint(), sample.fingerprint());
    }

    #[test]
    fn pairs_that_are_none_are_named() {
        let error = |pairs: Vec<(u32, u32, f32)>| {
            SampledPairs::new(ids(3), pairs, vec![]).unwrap_err().to_string()
        };
        assert!(error(vec![]).contains("at least one"));
        assert!(error(vec![(0, 1, 0.0), (1, 3, 0.0)]).contains("(1, 3) and 0 in pair 1"));
        assert!(error(vec![(2, 2, 0.0)]).contains("(2, 2)"));
        assert!(error(vec![(0, 1, 1.5)]).contains("1.5"));
    }
}
