//! File systems without locks, simulated by a preloaded library.
#![cfg(target_os = "linux")]
#![allow(clippy::print_stdout, reason = "the processes of this test communicate through it")]

use brainprior_artifact::lock;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use tracing::field::{Field, Visit};

/// Passes the lock to the process whose file system has no locks.
const LOCK: &str = "BRAINPRIOR_TEST_LOCK";

/// Counts warnings and keeps their text.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

impl tracing::Subscriber for Warnings {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::WARN
    }

    fn event(&self, event: &tracing::Event<'_>) {
        struct Text(String);
        impl Visit for Text {
            fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
                self.0 += &format!("{}={value:?} ", field.name());
            }
        }
        let mut text = Text(String::new());
        event.record(&mut text);
        self.0.lock().unwrap().push(text.0);
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[test]
#[ignore = "runs with the library that the tests below preload"]
fn takes_a_lock_several_times() {
    let Some(path) = std::env::var_os(LOCK).map(PathBuf::from) else { return };
    let warnings = Warnings::default();
    tracing::subscriber::set_global_default(warnings.clone()).unwrap();
    let outcome = lock::take(&path).and_then(|first| {
        let second = lock::try_take(&path)?;
        assert!(second.is_some(), "without locks no process is excluded");
        drop((first, second));
        lock::take(&path).map(drop)
    });
    let warnings = warnings.0.lock().unwrap();
    match outcome {
        Ok(()) => println!("went on, {} warning: {}", warnings.len(), warnings.concat()),
        Err(error) => println!("gave up: {error}"),
    }
}

/// The output of the process above when flock fails with `errno`; `None` if the stand-in cannot be
/// compiled.
fn run(errno: i32) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let library = folder.path().join("without_locks.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/without_locks.c");
    match Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&library, &source]).status() {
        Ok(status) => assert!(status.success(), "cc compiles the stand-in"),
        Err(error) => {
            println!("not tested: cc cannot be started ({error})");
            return None;
        }
    }
    let Output { status, stdout, stderr } = Command::new(std::env::current_exe().unwrap())
        .args(["takes_a_lock_several_times", "--exact", "--ignored", "--nocapture"])
        .env("LD_PRELOAD", &library)
        .env("FLOCK_ERRNO", errno.to_string())
        .env(LOCK, folder.path().join("training.lock"))
        .output()
        .unwrap();
    let said = String::from_utf8(stdout).unwrap();
    assert!(status.success(), "{said}{}", String::from_utf8_lossy(&stderr));
    Some(said)
}

#[test]
fn one_warning_says_that_there_are_no_locks_and_work_goes_on() {
    // ENOLCK, ENOSYS and EOPNOTSUPP on Linux.
    for errno in [37, 38, 95] {
        let Some(said) = run(errno) else { return };
        assert!(said.contains("went on, 1 warning"), "{said}");
        assert!(
            said.contains("training.lock") && said.contains("this file system has no locks"),
            "{said}"
        );
        assert!(said.contains(&format!("os error {errno}")), "{said}");
    }
}

#[test]
fn any_other_failure_is_an_error() {
    // EIO.
    let Some(said) = run(5) else { return };
    assert!(said.contains("gave up") && said.contains("training.lock: could not lock"), "{said}");
}
