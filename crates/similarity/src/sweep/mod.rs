//! Sweeps over all pairs of a population, tile by tile, that pass the similarities to a reduction.
//!
//! The upper triangle is divided into bands of rows, and each band into blocks of columns. A
//! block's vectors are multiplied, divided by the number of scans, and passed to a [`Reduction`].
//! Its results are merged in the order of the blocks, whichever thread finishes first, so that the
//! result does not depend on the number of threads, and so that a finished prefix can be saved and
//! resumed.

mod checkpoint;
mod order;
mod plan;
mod reduction;

pub use checkpoint::{Checkpoint, StateReader, StateWriter};
pub(crate) use plan::Plan;
pub use reduction::{Block, Reduction, Resumable};

use crate::panels::Panels;
use crate::{Error, Population, Result};
use brainprior_kernels::gram::{Gram, PANEL};
use order::InOrder;
use plan::{SIDE, Task};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// The progress of a sweep. It has no times; the caller can measure them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Merged pairs, including those of earlier runs.
    pub pairs: u64,
    /// Pairs merged by earlier runs.
    pub resumed: u64,
    /// All pairs, `n (n - 1) / 2`.
    pub total: u64,
}

/// Settings of a sweep.
#[derive(Clone, Copy)]
pub struct Sweep<'a> {
    /// Memory for vectors in bytes. If they do not fit, they are read again for each band of rows.
    pub memory: usize,
    /// Called after each block; returns whether to continue. If it returns false, the sweep ends
    /// with [`Error::Stopped`].
    pub observer: &'a (dyn Fn(Progress) -> bool + Sync),
}

impl Sweep<'_> {
    /// Default memory for vectors: 1 GiB.
    pub const MEMORY: usize = 1 << 30;
}

impl Default for Sweep<'_> {
    fn default() -> Self {
        Self { memory: Self::MEMORY, observer: &|_| true }
    }
}

impl Population<'_> {
    /// Passes all pairs to `reduction` and returns the result.
    ///
    /// # Errors
    /// Returns an error if a centered vector is zero or if a source or the reduction fails, or
    /// [`Error::Stopped`].
    pub fn reduce<R: Reduction>(&self, reduction: &R, sweep: &Sweep<'_>) -> Result<R::State> {
        let plan = Plan::new(self, sweep.memory, usize::MAX);
        self.sweep(reduction, &plan, (reduction.start(), 0), sweep, &mut |_, _| Ok(()))
    }

    /// Like [`Population::reduce`], but resumes from `checkpoint` if an interrupted sweep left one.
    /// The checkpoint is written after each `every` and when the sweep is stopped; the caller
    /// removes it once the result is saved.
    ///
    /// # Errors
    /// Returns an error if [`Population::reduce`] does, if the checkpoint belongs to other images,
    /// weights, responses or another reduction, or if it cannot be read or written.
    pub fn reduce_resumably<R: Resumable>(
        &self,
        reduction: &R,
        sweep: &Sweep<'_>,
        checkpoint: &Checkpoint,
        every: Duration,
    ) -> Result<R::State> {
        let plan = Plan::new(self, sweep.memory, usize::MAX);
        let fingerprint = plan.fingerprint(self.fingerprint());
        let start = match checkpoint.read(fingerprint, reduction)? {
            Some(found) => found,
            None => (reduction.start(), 0),
        };
        let mut last = std::time::Instant::now();
        let mut keep = |state: &R::State, merged: Merged| {
            if merged.interrupted || last.elapsed() >= every {
                checkpoint.write(fingerprint, merged.tasks, reduction, state)?;
                last = std::time::Instant::now();
            }
            Ok(())
        };
        self.sweep(reduction, &plan, start, sweep, &mut keep)
    }

    /// Runs the tasks of `plan` from `first` on; `state` is that of the tasks before.
    pub(crate) fn sweep<R: Reduction>(
        &self,
        reduction: &R,
        plan: &Plan,
        (state, first): (R::State, usize),
        sweep: &Sweep<'_>,
        merged: &mut (dyn FnMut(&R::State, Merged) -> Result<()> + Send),
    ) -> Result<R::State> {
        let order = InOrder::new(plan, first, state, merged);
        if plan.resident() {
            let panels = self.pack(0..self.len())?;
            let rows = Rows { plan, panels: &panels, first: 0, resident: true };
            self.run(reduction, first..plan.tasks(), &rows, &order, sweep)?;
        } else {
            for (band, tasks) in plan.bands().filter(|(_, tasks)| first < tasks.end) {
                let panels = self.pack(band.clone())?;
                let rows = Rows { plan, panels: &panels, first: band.start, resident: false };
                self.run(reduction, first.max(tasks.start)..tasks.end, &rows, &order, sweep)?;
            }
        }
        Ok(order.finish())
    }

    /// Runs `tasks` on all threads.
    fn run<R: Reduction>(
        &self,
        reduction: &R,
        tasks: std::ops::Range<usize>,
        rows: &Rows<'_>,
        order: &InOrder<'_, R>,
        sweep: &Sweep<'_>,
    ) -> Result<()> {
        let next = AtomicUsize::new(tasks.start);
        let failure: Mutex<Option<(usize, Error)>> = Mutex::new(None);
        let gram = Gram::new()?;
        let work = || {
            let _guard = order.stop_on_panic();
            let mut tile = vec![0.0; SIDE * SIDE];
            while !order.stopped() {
                let task = next.fetch_add(1, Ordering::Relaxed);
                if task >= tasks.end {
                    break;
                }
                let outcome = self
                    .blocks(gram, &rows.plan.task(task), rows, &mut tile, reduction)
                    .and_then(|parts| order.add(task, parts, reduction, sweep.observer));
                if let Err(error) = outcome {
                    order.stop();
                    let mut failure = failure.lock().expect("no thread panicked");
                    if failure.as_ref().is_none_or(|(earlier, _)| task < *earlier) {
                        *failure = Some((task, error));
                    }
                }
            }
        };
        rayon::scope(|scope| {
            for _ in 1..rayon::current_num_threads() {
                scope.spawn(|_| work());
            }
            work();
        });
        match failure.into_inner().expect("no thread panicked") {
            Some((_, error)) => {
                order.interrupt()?;
                Err(error)
            }
            None => Ok(()),
        }
    }

    /// Runs one task: a band of rows, tile by tile, against a block of columns.
    fn blocks<R: Reduction>(
        &self,
        gram: Gram,
        task: &Task,
        rows: &Rows<'_>,
        tile: &mut [f32],
        reduction: &R,
    ) -> Result<Vec<(usize, R::Part)>> {
        let own;
        let (columns, shift) = match rows.resident {
            true => (rows.panels, 0),
            false => {
                own = self.pack(task.columns.clone())?;
                (&own, task.columns.start)
            }
        };
        let right = columns.of(&task.columns, shift);
        let stride = right.count() * PANEL;
        let mut parts = Vec::new();
        for start in task.rows.clone().step_by(SIDE) {
            let band = start..(start + SIDE).min(task.rows.end).min(task.columns.end);
            if band.start >= band.end {
                break;
            }
            let left = rows.panels.of(&band, rows.first);
            gram.products(left, right, band.start == task.columns.start, tile);
            let mut block =
                Block { rows: band, columns: task.columns.clone(), values: tile, stride };
            block.finish(self);
            parts.push((block.pairs(), reduction.block(&block)));
        }
        Ok(parts)
    }
}

/// Packed vectors of consecutive images from `first` on, for tasks of a plan; all images if they
/// are resident.
struct Rows<'a> {
    plan: &'a Plan,
    panels: &'a Panels,
    first: usize,
    resident: bool,
}

/// The progress of the merge.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Merged {
    /// Number of merged tasks; tasks are merged in order.
    pub(crate) tasks: usize,
    /// Whether merging stopped before all tasks were merged.
    pub(crate) interrupted: bool,
}
