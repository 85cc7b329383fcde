//! The matrix in memory.

use crate::matrix::{pairs, rows_mut};
use crate::{Block, Error, Population, Reduction, Result, SimilarityMatrix, Sweep};
use std::sync::Mutex;

/// The rows of the strict upper triangle during the computation; each thread writes its blocks
/// directly to their place.
struct Triangle<'a>(Vec<Mutex<&'a mut [f32]>>);

impl Reduction for Triangle<'_> {
    type Part = ();
    type State = ();

    fn start(&self) {}

    fn block(&self, block: &Block<'_>) {
        for row in block.rows() {
            let (first, values) = block.row(row);
            if values.is_empty() {
                continue;
            }
            let mut packed = self.0[row].lock().expect("no thread panicked");
            packed[first - row - 1..][..values.len()].copy_from_slice(values);
        }
    }

    fn merge(&self, (): &mut (), (): (), _: usize) -> Result<()> {
        Ok(())
    }
}

impl Population<'_> {
    /// Computes the whole matrix.
    ///
    /// # Errors
    /// Returns an error if [`Population::reduce`] does, or, with the required size, if the matrix
    /// exceeds the free memory.
    pub fn matrix(&self, sweep: &Sweep<'_>) -> Result<SimilarityMatrix> {
        let bytes = (pairs(self.len()) * size_of::<f32>()) as u64;
        if let Some(free) = free_memory().filter(|free| bytes > *free) {
            return Err(Error::TooLarge { images: self.len(), bytes, free });
        }
        // Fresh pages are zero already, and are touched first by the threads that write them.
        let mut packed = vec![0.0; pairs(self.len())];
        self.reduce(
            &Triangle(rows_mut(self.len(), &mut packed).into_iter().map(Mutex::new).collect()),
            sweep,
        )?;
        Ok(SimilarityMatrix::of_cosines(self.ids().to_vec(), packed, self.provenance())
            .with_scans(self.scans_of_images()))
    }
}

/// Free memory in bytes, if the system reports it.
fn free_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}
