//! Independent jobs side by side, each on one processor: small networks gain nothing from being spread over several.

use anyhow::{Context, Result, anyhow};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// Runs `work` on every job, at most one per worker thread, and returns the results in the order of the jobs. After a
/// failure no further job starts; the first failure in order is returned.
pub(crate) fn run<J: Send, R: Send>(jobs: Vec<J>, work: impl Fn(J) -> Result<R> + Sync) -> Result<Vec<R>> {
    let count = jobs.len();
    let workers = rayon::current_num_threads().min(count).max(1);
    let threads_each = rayon::current_num_threads() / workers;
    let queue = Mutex::new(jobs.into_iter().enumerate());
    let results: Mutex<Vec<Option<Result<R>>>> = Mutex::new((0..count).map(|_| None).collect());
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| -> Result<()> {
        for _ in 0..workers {
            let pool =
                rayon::ThreadPoolBuilder::new().num_threads(threads_each).build().context("could not start worker threads")?;
            let (queue, results, stop, work) = (&queue, &results, &stop, &work);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let Some((index, job)) = queue.lock().expect("no job panics while it holds the queue").next() else { return };
                    let result = pool.install(|| work(job));
                    if result.is_err() {
                        stop.store(true, Ordering::Relaxed);
                    }
                    results.lock().expect("no job panics while it stores")[index] = Some(result);
                }
            });
        }
        Ok(())
    })?;
    let mut finished = Vec::with_capacity(count);
    let mut skipped = false;
    for result in results.into_inner().expect("all workers have ended") {
        match result {
            Some(result) => finished.push(result?),
            None => skipped = true,
        }
    }
    if skipped { Err(anyhow!("a job was not started because another failed")) } else { Ok(finished) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_keep_the_order_of_the_jobs() {
        let results = run((0..20).collect(), |job: u64| Ok(job * job)).unwrap();
        assert_eq!(results, (0..20).map(|job| job * job).collect::<Vec<_>>());
    }

    #[test]
    fn a_failure_is_returned() {
        let error = run((0..20).collect(), |job: u64| if job == 3 { Err(anyhow!("job 3")) } else { Ok(()) }).unwrap_err();
        assert_eq!(error.to_string(), "job 3");
    }
}
