//! Long work: it runs on a thread of its own without the interpreter's lock, while the thread that asked for it tells how far it
//! is and looks whether somebody pressed Ctrl-C.

use crate::error::{Failure, Result};
use pyo3::prelude::*;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// How often progress is told and Ctrl-C looked for.
const EVERY: Duration = Duration::from_millis(100);

/// How far work is, and whether it shall go on.
#[derive(Default)]
pub(crate) struct Watch {
    stopped: AtomicBool,
    done: AtomicU64,
    total: AtomicU64,
}

/// What work unwinds with whose observer cannot say no.
struct Left;

impl Watch {
    /// Takes down how far the work is; answers whether it shall go on.
    pub(crate) fn tell(&self, done: u64, total: u64) -> bool {
        self.total.store(total, Ordering::Relaxed);
        self.done.store(done, Ordering::Relaxed);
        !self.stopped.load(Ordering::Relaxed)
    }

    /// As [`Watch::tell`], and leaves the work where it shall not go on: what it had begun is dropped on the way.
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

/// Does `work`; `progress` is called with what is done and what there is to do, now and then and at the end.
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
                // Its end is told by dropping this, whether the work returns or unwinds.
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
