//! Reductions over all pairs that do not hold them in memory: histograms, neighbors, samples, and
//! similar pairs.

mod histogram;
mod neighbors;
mod pairs_above;
mod sample;
mod stratified;

pub use histogram::{Histogram, SimilarityHistogram};
pub use neighbors::{NearestImages, Neighbors};
pub use pairs_above::PairsAbove;
pub use sample::{UniformPairs, UniformSample};
pub use stratified::{StratifiedPairs, StratifiedSample};

use crate::{StateReader, StateWriter};

/// A pair of images, by index, and their similarity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// Index of the first image.
    pub first: u32,
    /// Index of the second image, which is larger.
    pub second: u32,
    /// Their similarity.
    pub similarity: f32,
}

impl Pair {
    fn save(self, to: &mut StateWriter) {
        to.number(u64::from(self.first) << 32 | u64::from(self.second));
        to.value(self.similarity);
    }

    fn load(from: &mut StateReader<'_>) -> Option<Self> {
        let places = from.number()?;
        Some(Self {
            first: (places >> 32) as u32,
            second: places as u32,
            similarity: from.value()?,
        })
    }
}
