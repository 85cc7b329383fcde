//! Pairs above a threshold.

use super::Pair;
use crate::{Block, Error, Reduction, Result, Resumable, StateReader, StateWriter};

/// Collects all pairs with a similarity of at least `threshold`; more than `limit` pairs are an
/// error.
#[derive(Clone, Debug)]
pub struct PairsAbove {
    threshold: f32,
    limit: usize,
}

impl PairsAbove {
    /// At most `limit` pairs, of 12 bytes each.
    pub fn new(threshold: f32, limit: usize) -> Self {
        Self { threshold, limit }
    }
}

impl Reduction for PairsAbove {
    type Part = Vec<Pair>;
    /// Pairs in the order of the sweep.
    type State = Vec<Pair>;

    fn start(&self) -> Vec<Pair> {
        Vec::new()
    }

    fn block(&self, block: &Block<'_>) -> Vec<Pair> {
        let mut found = Vec::new();
        for row in block.rows() {
            let (first, values) = block.row(row);
            // Rows without such pairs are skipped at vector speed.
            if values.iter().fold(f32::NEG_INFINITY, |most, value| most.max(*value))
                < self.threshold
            {
                continue;
            }
            for (column, similarity) in
                values.iter().enumerate().filter(|(_, value)| **value >= self.threshold)
            {
                found.push(Pair {
                    first: row as u32,
                    second: (first + column) as u32,
                    similarity: *similarity,
                });
                if found.len() > self.limit {
                    return found;
                }
            }
        }
        found
    }

    fn merge(&self, state: &mut Vec<Pair>, part: Vec<Pair>, _: usize) -> Result<()> {
        if state.len() + part.len() > self.limit {
            return Err(Error::TooManyPairs { threshold: self.threshold, limit: self.limit });
        }
        state.extend(part);
        Ok(())
    }
}

impl Resumable for PairsAbove {
    fn settings(&self) -> u64 {
        u64::from(self.threshold.to_bits()) << 32 ^ self.limit as u64
    }

    fn save(&self, state: &Vec<Pair>, to: &mut StateWriter) {
        to.number(state.len() as u64);
        state.iter().for_each(|pair| pair.save(to));
    }

    fn load(&self, from: &mut StateReader<'_>) -> Option<Vec<Pair>> {
        let count = from.number()?;
        (0..count).map(|_| Pair::load(from)).collect()
    }
}
