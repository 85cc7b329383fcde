//! Samples of pairs, stratified by similarity.

use super::Pair;
use super::histogram::bin_of;
use crate::{Block, Reduction, Result, Resumable, StateReader, StateWriter};
use std::sync::atomic::{AtomicU64, Ordering};

/// Draws up to `each` pairs from every bin of similarity, so that rare similarities contribute as
/// much to training as common ones.
///
/// Each pair has its own random number, a hash of the seed and its two images; a bin keeps the
/// pairs with the smallest numbers. The sample therefore depends neither on the order of blocks nor
/// on the number of threads.
#[derive(Debug)]
pub struct StratifiedPairs {
    bins: usize,
    each: usize,
    seed: u64,
    /// For each bin, the bound below which a pair's number enters it. It only ever falls, so a
    /// stale value admits too much rather than too little.
    below: Vec<AtomicU64>,
}

/// The sampled pairs of each bin, and the number of all pairs in it.
#[derive(Clone, Debug, PartialEq)]
pub struct StratifiedSample {
    /// For each bin, starting at -1, the pairs ordered by their random numbers.
    pub bins: Vec<Vec<Pair>>,
    /// Number of pairs in each bin: a sampled pair represents `population[bin] / bins[bin].len()`
    /// of them.
    pub population: Vec<u64>,
    numbers: Vec<Vec<u64>>,
}

impl StratifiedPairs {
    /// `bins` bins of equal width over [-1, 1] with at most `each` pairs per bin; each pair takes
    /// 24 bytes.
    pub fn new(bins: usize, each: usize, seed: u64) -> Self {
        let bins = bins.max(1);
        Self {
            bins,
            each: each.max(1),
            seed,
            below: (0..bins).map(|_| AtomicU64::new(u64::MAX)).collect(),
        }
    }

    /// The random number of a pair (splitmix64).
    fn number(&self, first: usize, second: usize) -> u64 {
        let mut z =
            self.seed ^ ((first as u64) << 32 | second as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// Keeps the `each` pairs with the smallest numbers, and returns the new bound.
    fn prune(&self, pairs: &mut Vec<(u64, Pair)>) -> Option<u64> {
        if pairs.len() < self.each {
            return None;
        }
        pairs.select_nth_unstable_by_key(self.each - 1, |(number, pair)| {
            (*number, pair.first, pair.second)
        });
        pairs.truncate(self.each);
        Some(pairs[self.each - 1].0)
    }
}

impl Reduction for StratifiedPairs {
    /// For each bin, the candidates and the number of pairs.
    type Part = (Vec<Vec<(u64, Pair)>>, Vec<u64>);
    type State = StratifiedSample;

    fn start(&self) -> StratifiedSample {
        StratifiedSample {
            bins: vec![Vec::new(); self.bins],
            population: vec![0; self.bins],
            numbers: vec![Vec::new(); self.bins],
        }
    }

    fn block(&self, block: &Block<'_>) -> Self::Part {
        let mut below: Vec<u64> =
            self.below.iter().map(|below| below.load(Ordering::Relaxed)).collect();
        let mut candidates = vec![Vec::new(); self.bins];
        let mut population = vec![0u64; self.bins];
        for row in block.rows() {
            let (first, values) = block.row(row);
            for (column, similarity) in values.iter().enumerate() {
                let bin = bin_of(*similarity, self.bins);
                population[bin] += 1;
                let number = self.number(row, first + column);
                if number <= below[bin] {
                    let pair = Pair {
                        first: row as u32,
                        second: (first + column) as u32,
                        similarity: *similarity,
                    };
                    candidates[bin].push((number, pair));
                    if candidates[bin].len() >= 2 * self.each + 1024 {
                        below[bin] =
                            self.prune(&mut candidates[bin]).unwrap_or(u64::MAX).min(below[bin]);
                    }
                }
            }
        }
        (candidates, population)
    }

    fn merge(
        &self,
        state: &mut StratifiedSample,
        (candidates, population): Self::Part,
        _: usize,
    ) -> Result<()> {
        for (bin, found) in candidates.into_iter().enumerate() {
            state.population[bin] += population[bin];
            if found.is_empty() {
                continue;
            }
            let mut all: Vec<(u64, Pair)> =
                state.numbers[bin].drain(..).zip(state.bins[bin].drain(..)).chain(found).collect();
            if let Some(below) = self.prune(&mut all) {
                self.below[bin].store(below, Ordering::Relaxed);
            }
            all.sort_unstable_by_key(|(number, pair)| (*number, pair.first, pair.second));
            (state.numbers[bin], state.bins[bin]) = all.into_iter().unzip();
        }
        Ok(())
    }
}

impl Resumable for StratifiedPairs {
    fn settings(&self) -> u64 {
        self.seed.rotate_left(17) ^ (self.bins as u64) << 40 ^ self.each as u64
    }

    fn save(&self, state: &StratifiedSample, to: &mut StateWriter) {
        for ((pairs, population), numbers) in
            state.bins.iter().zip(&state.population).zip(&state.numbers)
        {
            to.number(*population);
            to.number(pairs.len() as u64);
            for (pair, number) in pairs.iter().zip(numbers) {
                to.number(*number);
                pair.save(to);
            }
        }
    }

    fn load(&self, from: &mut StateReader<'_>) -> Option<StratifiedSample> {
        let mut state = self.start();
        for bin in 0..self.bins {
            state.population[bin] = from.number()?;
            for _ in 0..from.number()? {
                state.numbers[bin].push(from.number()?);
                state.bins[bin].push(Pair::load(from)?);
            }
            if state.bins[bin].len() == self.each {
                self.below[bin].store(*state.numbers[bin].last()?, Ordering::Relaxed);
            }
        }
        Some(state)
    }
}
