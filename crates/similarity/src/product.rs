//! The matrix held in memory.

use crate::matrix::{pairs, row_start};
use crate::{Block, Error, Population, Reduction, Result, SimilarityMatrix, Sweep};

/// The strict upper triangle in the making. Blocks are disjoint, so that each thread writes its own straight to its place.
struct Triangle {
    images: usize,
    packed: *mut f32,
}

// SAFETY: threads write through the pointer to disjoint places only, and nothing reads before all are done.
unsafe impl Sync for Triangle {}

impl Reduction for Triangle {
    type Part = ();
    type State = ();

    fn start(&self) {}

    fn block(&self, block: &Block<'_>) {
        for row in block.rows() {
            let (first, values) = block.row(row);
            if values.is_empty() {
                continue;
            }
            let start = row_start(self.images, row) + first - row - 1;
            // SAFETY: `row < first` and `first + values.len() <= images`, so that these are places of row `row` in the
            // triangle; a sweep shows every pair once, so that no other call writes them.
            unsafe { std::ptr::copy_nonoverlapping(values.as_ptr(), self.packed.add(start), values.len()) };
        }
    }

    fn merge(&self, (): &mut (), (): (), _: usize) -> Result<()> {
        Ok(())
    }
}

impl Population<'_> {
    /// The whole matrix.
    ///
    /// # Errors
    /// As [`Population::reduce`]; a matrix larger than the memory that is free, with the size it would have.
    pub fn matrix(&self, sweep: &Sweep<'_>) -> Result<SimilarityMatrix> {
        let bytes = (pairs(self.len()) * size_of::<f32>()) as u64;
        if let Some(free) = free_memory().filter(|free| bytes > *free) {
            return Err(Error::TooLarge { images: self.len(), bytes, free });
        }
        let count = pairs(self.len());
        let mut packed: Vec<f32> = Vec::with_capacity(count);
        self.reduce(&Triangle { images: self.len(), packed: packed.as_mut_ptr() }, sweep)?;
        // SAFETY: the sweep has shown every pair, and `Triangle` has written each to its place.
        unsafe { packed.set_len(count) };
        Ok(SimilarityMatrix::of_cosines(self.ids().to_vec(), packed, self.provenance()).with_scans(self.scans_of_images()))
    }
}

/// Bytes that the system can still give, where it says so.
fn free_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}
