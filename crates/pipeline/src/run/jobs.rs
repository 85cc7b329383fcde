//! Runs independent jobs in parallel, each on one processor: small networks gain little from
//! several.

use anyhow::{Context, Result, anyhow};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// Runs `work` on every job, at most one per worker thread, and returns the results in the order of
/// the jobs. The jobs left over after an even share run last and divide the threads among them.
/// After a failure no further job starts; the first failure in order is returned.
pub(crate) fn run<J: Send, R: Send>(
    jobs: Vec<J>,
    work: impl Fn(J) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let count = jobs.len();
    let workers = rayon::current_num_threads().min(count).max(1);
    let left_over = count % workers;
    let mut jobs = jobs.into_iter().enumerate();
    let results: Mutex<Vec<Option<Result<R>>>> = Mutex::new((0..count).map(|_| None).collect());
    let stop = AtomicBool::new(false);
    let store = |index: usize, job: J| {
        let result = work(job);
        if result.is_err() {
            stop.store(true, Ordering::Relaxed);
        }
        results.lock().expect("no job panics while it stores")[index] = Some(result);
    };
    for (share, workers) in [(count - left_over, workers), (left_over, left_over)] {
        let queue = Mutex::new(jobs.by_ref().take(share));
        let next = || queue.lock().expect("no job panics while it holds the queue").next();
        std::thread::scope(|scope| -> Result<()> {
            for _ in 0..workers {
                let threads = rayon::current_num_threads() / workers;
                let pool = rayon::ThreadPoolBuilder::new()
                    .num_threads(threads)
                    .build()
                    .context("could not start worker threads")?;
                let (next, stop, store) = (&next, &stop, &store);
                scope.spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        let Some((index, job)) = next() else { return };
                        pool.install(|| store(index, job));
                    }
                });
            }
            Ok(())
        })?;
    }
    let mut finished = Vec::with_capacity(count);
    let mut skipped = false;
    for result in results.into_inner().expect("all workers have ended") {
        match result {
            Some(result) => finished.push(result?),
            None => skipped = true,
        }
    }
    if skipped {
        Err(anyhow!("a job was not started because another failed"))
    } else {
        Ok(finished)
    }
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
        let error = run(
            (0..20).collect(),
            |job: u64| if job == 3 { Err(anyhow!("job 3")) } else { Ok(()) },
        )
        .unwrap_err();
        assert_eq!(error.to_string(), "job 3");
    }

    #[test]
    fn the_last_jobs_divide_the_threads() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(4).build().unwrap();
        let threads = |jobs: usize| {
            pool.install(|| run(vec![(); jobs], |()| Ok(rayon::current_num_threads())).unwrap())
        };
        assert_eq!(threads(1), [4]);
        assert_eq!(threads(2), [2, 2]);
        assert_eq!(threads(4), [1; 4]);
        assert_eq!(threads(10), [1, 1, 1, 1, 1, 1, 1, 1, 2, 2]);
    }
}
