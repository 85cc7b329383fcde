//! Reductions over all pairs.

use super::{StateReader, StateWriter};
use crate::{Population, Result};
use std::ops::Range;

/// The similarities of some rows and columns of the matrix.
pub struct Block<'a> {
    pub(super) rows: Range<usize>,
    pub(super) columns: Range<usize>,
    pub(super) values: &'a mut [f32],
    pub(super) stride: usize,
}

impl Block<'_> {
    /// The images of the rows.
    pub fn rows(&self) -> Range<usize> {
        self.rows.clone()
    }

    /// The images of the columns.
    pub fn columns(&self) -> Range<usize> {
        self.columns.clone()
    }

    /// The similarities of image `row` with the later images among the block's columns, and the
    /// index of the first of these.
    ///
    /// # Panics
    /// Panics if the image is not in [`Block::rows`].
    pub fn row(&self, row: usize) -> (usize, &[f32]) {
        assert!(self.rows.contains(&row), "row {row} of a block of rows {:?}", self.rows);
        let first = self.columns.start.max(row + 1).min(self.columns.end);
        let start = (row - self.rows.start) * self.stride;
        (first, &self.values[start + first - self.columns.start..start + self.columns.len()])
    }

    /// Number of pairs of two distinct images, the first before the second.
    pub fn pairs(&self) -> usize {
        self.rows().map(|row| self.row(row).1.len()).sum()
    }

    /// Turns sums over scans into means in [-1, 1].
    pub(super) fn finish(&mut self, population: &Population<'_>) {
        let share = 1.0 / population.scans() as f32;
        for row in self.rows.clone() {
            let start = (row - self.rows.start) * self.stride;
            let values = &mut self.values[start..start + self.columns.len()];
            if population.complete() {
                for value in values {
                    *value = (*value * share).clamp(-1.0, 1.0);
                }
            } else {
                for (value, column) in values.iter_mut().zip(self.columns.clone()) {
                    // Only the pair of an image with itself may have no scans.
                    let scans = population.pairs_of(row, column).max(1);
                    *value = (*value / scans as f32).clamp(-1.0, 1.0);
                }
            }
        }
    }
}

/// Computes something from all pairs, block by block, in bounded memory.
///
/// ```
/// use brainprior_images::ImageId;
/// use brainprior_similarity::{Block, Images, Population, Reduction, Result, ScanVectors, Sweep};
///
/// /// The mean over all pairs.
/// struct Mean;
///
/// impl Reduction for Mean {
///     type Part = f64;
///     type State = (f64, usize);
///
///     fn start(&self) -> (f64, usize) {
///         (0.0, 0)
///     }
///
///     fn block(&self, block: &Block<'_>) -> f64 {
///         block.rows().flat_map(|row| block.row(row).1).map(|value| f64::from(*value)).sum()
///     }
///
///     fn merge(&self, state: &mut (f64, usize), part: f64, pairs: usize) -> Result<()> {
///         *state = (state.0 + part, state.1 + pairs);
///         Ok(())
///     }
/// }
///
/// let ids: Vec<ImageId> = (0..4).map(ImageId::from_u64).collect();
/// let responses = ndarray::array![[1.0f32, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]];
/// let view = responses.view();
/// let source = ScanVectors { name: "two neurons", ids: &ids, rows: &view, weights: &[1.0, 1.0] };
/// let population = Population::new(&[source], Images::Identical)?;
/// let (sum, pairs) = population.reduce(&Mean, &Sweep::default())?;
/// assert_eq!(pairs, 6);
/// // Two opposite pairs, four at right angles.
/// assert!((sum / pairs as f64 + 1.0 / 3.0).abs() < 1e-6);
/// # Ok::<(), brainprior_similarity::Error>(())
/// ```
pub trait Reduction: Sync {
    /// The result of one block.
    type Part: Send;
    /// The result of all blocks so far.
    type State: Send;

    /// The state before any block.
    fn start(&self) -> Self::State;

    /// Called once per block, by any thread.
    fn block(&self, block: &Block<'_>) -> Self::Part;

    /// Called once per block, in the order of blocks, by one thread at a time; `pairs` is the
    /// number of its pairs.
    ///
    /// # Errors
    /// Returns an error if the reduction fails; this ends the sweep.
    fn merge(&self, state: &mut Self::State, part: Self::Part, pairs: usize) -> Result<()>;
}

/// A reduction whose state can be saved in a file between two runs.
pub trait Resumable: Reduction {
    /// A hash of all settings that determine the result.
    fn settings(&self) -> u64;

    /// Saves the state.
    fn save(&self, state: &Self::State, to: &mut StateWriter);

    /// Restores a saved state; `None` if the bytes are invalid.
    fn load(&self, from: &mut StateReader<'_>) -> Option<Self::State>;
}

/// Two reductions in one sweep.
impl<A: Reduction, B: Reduction> Reduction for (A, B) {
    type Part = (A::Part, B::Part);
    type State = (A::State, B::State);

    fn start(&self) -> Self::State {
        (self.0.start(), self.1.start())
    }

    fn block(&self, block: &Block<'_>) -> Self::Part {
        (self.0.block(block), self.1.block(block))
    }

    fn merge(&self, state: &mut Self::State, part: Self::Part, pairs: usize) -> Result<()> {
        self.0.merge(&mut state.0, part.0, pairs)?;
        self.1.merge(&mut state.1, part.1, pairs)
    }
}

impl<A: Resumable, B: Resumable> Resumable for (A, B) {
    fn settings(&self) -> u64 {
        self.0.settings().wrapping_mul(0x0100_0000_01b3).rotate_left(29) ^ self.1.settings()
    }

    fn save(&self, state: &Self::State, to: &mut StateWriter) {
        self.0.save(&state.0, to);
        self.1.save(&state.1, to);
    }

    fn load(&self, from: &mut StateReader<'_>) -> Option<Self::State> {
        Some((self.0.load(from)?, self.1.load(from)?))
    }
}
