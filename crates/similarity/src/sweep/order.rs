//! Merges parts of blocks in the order of their tasks, whichever thread finishes first.

use super::plan::Plan;
use super::{Merged, Progress, Reduction};
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

/// How many tasks a thread may be ahead of the merge.
const AHEAD: usize = 8;

pub(super) struct InOrder<'a, R: Reduction> {
    plan: &'a Plan,
    waiting: Mutex<BTreeMap<usize, Vec<(usize, R::Part)>>>,
    merging: Mutex<Merging<'a, R>>,
    /// The next task to merge.
    next: AtomicUsize,
    stopped: AtomicBool,
}

/// Stops the sweep if the thread holding this panics; the other threads would wait forever for its
/// task.
pub(super) struct StopOnPanic<'o>(&'o AtomicBool);

impl Drop for StopOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

struct Merging<'a, R: Reduction> {
    /// `None` after a failed merge.
    state: Option<R::State>,
    pairs: u64,
    resumed: u64,
    merged: &'a mut (dyn FnMut(&R::State, Merged) -> Result<()> + Send),
}

impl<'a, R: Reduction> InOrder<'a, R> {
    pub(super) fn new(
        plan: &'a Plan,
        first: usize,
        state: R::State,
        merged: &'a mut (dyn FnMut(&R::State, Merged) -> Result<()> + Send),
    ) -> Self {
        let resumed = (0..first).map(|task| plan.pairs_of(task)).sum();
        Self {
            plan,
            waiting: Mutex::new(BTreeMap::new()),
            merging: Mutex::new(Merging { state: Some(state), pairs: resumed, resumed, merged }),
            next: AtomicUsize::new(first),
            stopped: AtomicBool::new(false),
        }
    }

    pub(super) fn stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// A guard that a thread holds while it works: if it panics, all threads stop.
    pub(super) fn stop_on_panic(&self) -> StopOnPanic<'_> {
        StopOnPanic(&self.stopped)
    }

    /// Adds the parts of a task, and merges what is due unless another thread is merging.
    pub(super) fn add(
        &self,
        task: usize,
        parts: Vec<(usize, R::Part)>,
        reduction: &R,
        observer: &(dyn Fn(Progress) -> bool + Sync),
    ) -> Result<()> {
        self.waiting().insert(task, parts);
        while self.waiting().contains_key(&self.next.load(Ordering::Acquire)) {
            let Ok(mut merging) = self.merging.try_lock() else { break };
            self.merge(&mut merging, reduction, observer)?;
        }
        while self.waiting().len() > AHEAD * rayon::current_num_threads() && !self.stopped() {
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    fn merge(
        &self,
        merging: &mut MutexGuard<'_, Merging<'a, R>>,
        reduction: &R,
        observer: &(dyn Fn(Progress) -> bool + Sync),
    ) -> Result<()> {
        let merging = &mut **merging;
        loop {
            let task = self.next.load(Ordering::Acquire);
            let Some(parts) = self.waiting().remove(&task) else { return Ok(()) };
            let Some(mut state) = merging.state.take() else { return Ok(()) };
            for (pairs, part) in parts {
                reduction.merge(&mut state, part, pairs)?;
                merging.pairs += pairs as u64;
            }
            self.next.store(task + 1, Ordering::Release);
            let outcome = (merging.merged)(&state, Merged { tasks: task + 1, interrupted: false });
            merging.state = Some(state);
            outcome?;
            let total = self.plan.pairs();
            if !observer(Progress { pairs: merging.pairs, resumed: merging.resumed, total })
                && merging.pairs < total
            {
                return Err(Error::Stopped { pairs: merging.pairs, total });
            }
        }
    }

    /// Ends the merge early and saves what was merged.
    pub(super) fn interrupt(&self) -> Result<()> {
        let mut merging = self.merging.lock().expect("no thread panicked");
        let merging = &mut *merging;
        let tasks = self.next.load(Ordering::Acquire);
        match &merging.state {
            Some(state) => (merging.merged)(state, Merged { tasks, interrupted: true }),
            None => Ok(()),
        }
    }

    /// The state after all tasks.
    pub(super) fn finish(self) -> R::State {
        debug_assert_eq!(self.next.load(Ordering::Acquire), self.plan.tasks());
        self.merging.into_inner().expect("no thread panicked").state.expect("no merge failed")
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<usize, Vec<(usize, R::Part)>>> {
        self.waiting.lock().expect("no thread panicked")
    }
}
