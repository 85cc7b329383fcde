//! The distribution of similarities over [-1, 1].

use crate::{Block, Reduction, Result, Resumable, StateReader, StateWriter};

/// Counts pairs in bins of equal width over [-1, 1]; the last bin includes 1.
#[derive(Clone, Debug)]
pub struct SimilarityHistogram {
    bins: usize,
}

/// The number of pairs in each bin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    /// Counts per bin; the first bin begins at -1, the last ends at 1.
    pub counts: Vec<u64>,
}

impl Histogram {
    /// The lower and upper edge of a bin.
    pub fn edges(&self, bin: usize) -> (f64, f64) {
        let edge = |bin: usize| 2.0 * bin as f64 / self.counts.len() as f64 - 1.0;
        (edge(bin), edge(bin + 1))
    }

    /// Mean and standard deviation, with every pair at the center of its bin.
    pub fn moments(&self) -> (f64, f64) {
        let middle = |bin: usize| (self.edges(bin).0 + self.edges(bin).1) / 2.0;
        let over = |term: &dyn Fn(f64) -> f64| -> f64 {
            let pairs: u64 = self.counts.iter().sum();
            self.counts
                .iter()
                .enumerate()
                .map(|(bin, count)| *count as f64 * term(middle(bin)))
                .sum::<f64>()
                / pairs as f64
        };
        let mean = over(&|value| value);
        (mean, over(&|value| (value - mean).powi(2)).sqrt())
    }
}

impl SimilarityHistogram {
    /// A histogram with `bins` bins, at least one.
    pub fn new(bins: usize) -> Self {
        Self { bins: bins.max(1) }
    }
}

/// The bin of a similarity among `bins` bins over [-1, 1].
pub(super) fn bin_of(value: f32, bins: usize) -> usize {
    (((value + 1.0) * 0.5 * bins as f32) as usize).min(bins - 1)
}

impl Reduction for SimilarityHistogram {
    type Part = Vec<u64>;
    type State = Histogram;

    fn start(&self) -> Histogram {
        Histogram { counts: vec![0; self.bins] }
    }

    fn block(&self, block: &Block<'_>) -> Vec<u64> {
        // Consecutive values often fall in the same bin: two histograms avoid that each increment
        // waits for the last.
        let mut counts = [vec![0u32; self.bins], vec![0u32; self.bins]];
        for row in block.rows() {
            for values in block.row(row).1.chunks(2) {
                for (counts, value) in counts.iter_mut().zip(values) {
                    counts[bin_of(*value, self.bins)] += 1;
                }
            }
        }
        counts[0].iter().zip(&counts[1]).map(|(a, b)| u64::from(*a) + u64::from(*b)).collect()
    }

    fn merge(&self, state: &mut Histogram, part: Vec<u64>, _: usize) -> Result<()> {
        state.counts.iter_mut().zip(part).for_each(|(sum, count)| *sum += count);
        Ok(())
    }
}

impl Resumable for SimilarityHistogram {
    fn settings(&self) -> u64 {
        self.bins as u64
    }

    fn save(&self, state: &Histogram, to: &mut StateWriter) {
        state.counts.iter().for_each(|count| to.number(*count));
    }

    fn load(&self, from: &mut StateReader<'_>) -> Option<Histogram> {
        Some(Histogram { counts: (0..self.bins).map(|_| from.number()).collect::<Option<_>>()? })
    }
}
