//! Runs long work on its own thread without the interpreter lock, while the calling thread reports
//! progress and checks for Ctrl-C.

use crate::error::{Failure, Result};
use pyo3::prelude::*;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// Interval of progress reports and checks for Ctrl-C.
const EVERY: Duration = Duration::from_millis(100);

/// Progress of the work, and whether it should continue.
#[derive(Default)]
pub(crate) struct Watch {
    stopped: AtomicBool,
    done: AtomicU64,
    total: AtomicU64,
}

/// Panic payload for stopping work whose observer cannot return an error.
struct Left;

impl Watch {
    /// Records the progress; returns whether the work should continue.
    pub(crate) fn tell(&self, done: u64, total: u64) -> bool {
        self.total.store(total, Ordering::Relaxed);
        self.done.store(done, Ordering::Relaxed);
        !self.stopped.load(Ordering::Relaxed)
    }

    /// Like [`Watch::tell`], but unwinds if the work should stop.
    pub(crate) fn tell_or_leave(&self, done: u64, total: u64) {
        if !self.tell(done, total) {
            resume_unwind(Box::new(Left));
        }
    }

    fn report(&self, py: Python<'_>, progress: Option<&Py<PyAny>>) -> PyResult<()> {
        py.check_signals()?;
        let (done, total) = (self.done.load(Ordering::Relaxed), self.total.load(Ordering::Relaxed));
        match progress {
            Some(progress) if total > 0 => progress.call1(py, (done, total)).map(|_| ()),
            _ => Ok(()),
        }
    }
}

/// Runs `work`; calls `progress` from time to time and at the end with the amounts done and total.
pub(crate) fn watched<T: Send, E: Send>(
    py: Python<'_>,
    progress: Option<Py<PyAny>>,
    work: impl FnOnce(&Watch) -> std::result::Result<T, E> + Send,
) -> Result<T>
where
    Failure: From<E>,
{
    let watch = Watch::default();
    let (joined, interruption) = py.detach(|| {
        std::thread::scope(|scope| {
            let (finished, waiting) = channel::<()>();
            let worker = scope.spawn(|| {
                // Dropping this signals the end, whether the work returns or unwinds.
                let _finished = finished;
                work(&watch)
            });
            let mut interruption: Option<PyErr> = None;
            while waiting.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
                if interruption.is_none() {
                    interruption = Python::attach(|py| watch.report(py, progress.as_ref())).err();
                    watch.stopped.store(interruption.is_some(), Ordering::Relaxed);
                }
            }
            (worker.join(), interruption)
        })
    });
    match (joined, interruption) {
        (_, Some(error)) => Err(error.into()),
        (Ok(found), None) => {
            let found = found?;
            watch.report(py, progress.as_ref())?;
            Ok(found)
        }
        (Err(panic), None) => resume_unwind(panic),
    }
}
