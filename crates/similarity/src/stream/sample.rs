//! Uniform samples of pairs.

use super::Pair;
use crate::matrix::{pair_at, pairs, row_start};
use crate::{Block, Error, Reduction, Result, Resumable, StateReader, StateWriter};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::HashSet;

/// Draws distinct pairs; every subset of the given size has equal probability.
#[derive(Clone, Debug)]
pub struct UniformPairs {
    images: usize,
    seed: u64,
    /// Indices into the triangle, ascending.
    drawn: Vec<u64>,
}

/// Pairs in the order of the triangle.
pub type UniformSample = Vec<Pair>;

impl UniformPairs {
    /// Draws `count` of the pairs of `images` images, with a generator of this seed, before the
    /// sweep.
    ///
    /// # Errors
    /// Returns [`Error::Size`] if there are fewer pairs.
    pub fn new(images: usize, count: usize, seed: u64) -> Result<Self> {
        let all = pairs(images);
        if count > all {
            return Err(Error::Size {
                what: "pairs to be drawn",
                expected: format!("at most {all}, the pairs of {images} images"),
                found: count.to_string(),
            });
        }
        // Floyd's algorithm: each step adds a random pair up to `last`, or `last` itself if that
        // one is already drawn.
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        let mut drawn = HashSet::with_capacity(count);
        for last in (all - count) as u64..all as u64 {
            if !drawn.insert(generator.random_range(0..=last)) {
                drawn.insert(last);
            }
        }
        let mut drawn: Vec<u64> = drawn.into_iter().collect();
        drawn.sort_unstable();
        Ok(Self { images, seed, drawn })
    }

    /// The drawn pairs, whose similarities the sweep finds.
    pub fn pairs(&self) -> impl Iterator<Item = (usize, usize)> {
        self.drawn.iter().map(|place| pair_at(self.images, *place as usize))
    }
}

impl Reduction for UniformPairs {
    /// Indices into the drawn pairs, and their similarities.
    type Part = Vec<(u32, f32)>;
    type State = Vec<f32>;

    fn start(&self) -> Vec<f32> {
        vec![f32::NAN; self.drawn.len()]
    }

    fn block(&self, block: &Block<'_>) -> Self::Part {
        let mut found = Vec::new();
        for row in block.rows() {
            let (first, values) = block.row(row);
            if values.is_empty() {
                continue;
            }
            let start = (row_start(self.images, row) + first - row - 1) as u64;
            let index = self.drawn.partition_point(|place| *place < start);
            let own = self.drawn[index..]
                .iter()
                .take_while(|place| **place < start + values.len() as u64);
            found.extend(
                own.enumerate()
                    .map(|(i, place)| ((index + i) as u32, values[(place - start) as usize])),
            );
        }
        found
    }

    fn merge(&self, state: &mut Vec<f32>, part: Self::Part, _: usize) -> Result<()> {
        part.into_iter().for_each(|(index, similarity)| state[index as usize] = similarity);
        Ok(())
    }
}

impl UniformPairs {
    /// The sample, from the final state of a sweep.
    pub fn sample(&self, similarities: Vec<f32>) -> UniformSample {
        let pair = |((first, second), similarity)| Pair {
            first: first as u32,
            second: second as u32,
            similarity,
        };
        self.pairs().zip(similarities).map(pair).collect()
    }
}

impl Resumable for UniformPairs {
    fn settings(&self) -> u64 {
        self.seed.rotate_left(32) ^ self.drawn.len() as u64
    }

    fn save(&self, state: &Vec<f32>, to: &mut StateWriter) {
        state.iter().for_each(|value| to.value(*value));
    }

    fn load(&self, from: &mut StateReader<'_>) -> Option<Vec<f32>> {
        self.drawn.iter().map(|_| from.value()).collect()
    }
}
