//! A run directory: one folder per task, a record with each finished artifact; finished work is
//! never repeated.

use super::{Key, Progress, Record};
use anyhow::{Context, Result, bail};
use brainprior_artifact::identity::Difference;
use brainprior_artifact::lock::{self, Lock};
use brainprior_artifact::{hash, json};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// What to do with unfinished tasks.
#[derive(Clone, Debug, PartialEq)]
pub enum Mode {
    /// Run them.
    Run,
    /// Run the tasks of one stage; those of the other stages must be finished.
    Only(String),
    /// Only report that they would run.
    Dry,
}

/// Why a task has to run.
#[derive(Debug)]
pub(crate) enum Stale {
    /// There is no record, so it never finished.
    NotDone,
    /// Its record has another key.
    MadeOtherwise(Difference),
    /// This output was changed since.
    Changed(String),
}

impl fmt::Display for Stale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotDone => write!(f, "it was never finished"),
            Self::MadeOtherwise(difference) => write!(f, "{difference}"),
            Self::Changed(file) => write!(f, "its output {file} was changed"),
        }
    }
}

/// The folder of one run.
pub(crate) struct RunDirectory {
    root: PathBuf,
    mode: Mode,
    commit: Option<String>,
    /// Tasks that this process has done.
    done: AtomicUsize,
}

/// Folder of the task locks, outside of the task folders, which may be cleared.
const LOCKS: &str = ".locks";

/// The key of the unfinished task that last used a folder.
const IN_PROGRESS: &str = "in-progress.json";

impl RunDirectory {
    /// Opens or creates the folder.
    pub(crate) fn open(root: &Path, mode: Mode) -> Result<Self> {
        if mode != Mode::Dry {
            std::fs::create_dir_all(root).with_context(|| {
                format!("could not create the run directory {}", root.display())
            })?;
        }
        Ok(Self { root: root.to_path_buf(), mode, commit: None, done: AtomicUsize::new(0) })
    }

    /// The same, with the program's commit in its records, if known.
    pub(crate) fn built_from(self, commit: Option<&str>) -> Self {
        Self { commit: commit.map(str::to_owned), ..self }
    }

    /// The folder itself.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Whether tasks are only reported, not run.
    pub(crate) fn is_dry(&self) -> bool {
        self.mode == Mode::Dry
    }

    /// Whether only this stage was requested.
    pub(crate) fn is_only(&self, stage: &str) -> bool {
        matches!(&self.mode, Mode::Only(only) if only == stage)
    }

    /// Whether only one stage was requested, and not this one.
    pub(crate) fn is_only_another(&self, stage: &str) -> bool {
        matches!(&self.mode, Mode::Only(only) if only != stage)
    }

    /// The folder of a task.
    pub(crate) fn folder(&self, task: &str) -> PathBuf {
        self.root.join(task)
    }

    /// The record of a task whose outputs exist, are unchanged and were made with exactly this key;
    /// otherwise why the task is stale.
    pub(crate) fn finished(&self, key: &Key) -> Result<Record, Stale> {
        let folder = self.folder(key.task());
        let Ok(record) = json::read::<Record>(&Record::path(&folder)) else {
            return Err(Stale::NotDone);
        };
        if let Some(difference) = key.first_difference(&record.key) {
            return Err(Stale::MadeOtherwise(difference));
        }
        match record.changed(&folder) {
            Some(file) => Err(Stale::Changed(file.to_owned())),
            None => Ok(record),
        }
    }

    /// The record of a task that was made from this key, or from one that contains it. The outputs
    /// of the task are not checked.
    pub(crate) fn recorded(&self, key: &Key) -> Option<Record> {
        let record: Record = json::read(&Record::path(&self.folder(key.task()))).ok()?;
        key.is_part_of(&record.key).then_some(record)
    }

    /// Number of tasks that this process has done so far, without tasks done earlier.
    pub(crate) fn done(&self) -> usize {
        self.done.load(Ordering::Relaxed)
    }

    /// Takes the lock of this name, after waiting for any other holder.
    pub(crate) fn hold(&self, name: &str) -> Result<Lock> {
        Ok(lock::take(&self.lock(name)?)?)
    }

    /// Path of a task's lock, whose folder is created.
    fn lock(&self, task: &str) -> Result<PathBuf> {
        let path = self.root.join(LOCKS).join(task);
        let folder = path.parent().context("a lock lies in a folder")?;
        std::fs::create_dir_all(folder)
            .with_context(|| format!("could not create {}", folder.display()))?;
        Ok(path)
    }

    /// Whether another process is working on a task.
    pub(crate) fn is_busy(&self, task: &str) -> Result<bool> {
        if self.mode == Mode::Dry {
            return Ok(false);
        }
        Ok(lock::try_take(&self.lock(task)?)?.is_none())
    }

    /// Waits until no other process works on a task, and locks it.
    fn take(&self, task: &str, progress: &dyn Progress) -> Result<Lock> {
        let path = self.lock(task)?;
        if let Some(lock) = lock::try_take(&path)? {
            return Ok(lock);
        }
        progress.line(&format!("  … {task:<28} waiting for another process that is working on it"));
        Ok(lock::take(&path)?)
    }

    /// Runs `work` unless its artifact exists. `work` gets the task's folder and returns the files
    /// it wrote, relative to that folder. Returns `None` for an unfinished task on a dry run.
    /// Processes that share a run directory run a task once: the others wait for it.
    pub(crate) fn task(
        &self,
        key: Key,
        progress: &dyn Progress,
        work: impl FnOnce(&Path) -> Result<Vec<String>>,
    ) -> Result<Option<Record>> {
        let stale = match self.finished(&key) {
            Ok(record) => {
                progress.done_before(key.task());
                return Ok(Some(record));
            }
            Err(stale) => stale,
        };
        let stage = key.stage();
        match &self.mode {
            Mode::Dry => {
                progress.would_run(key.task(), &stale.to_string());
                return Ok(None);
            }
            Mode::Only(only) if only != stage => bail!(
                "--only {only}: its input `{}` is missing or outdated ({stale}); run the same command with --only {stage}, or without --only",
                key.task()
            ),
            _ => {}
        }
        let _lock = self.take(key.task(), progress)?;
        if let Ok(record) = self.finished(&key) {
            progress.done_before(key.task());
            return Ok(Some(record));
        }
        tracing::info!(task = key.task(), because = %stale, "runs");
        let folder = self.folder(key.task());
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("could not create {}", folder.display()))?;
        let record_path = Record::path(&folder);
        if record_path.exists() {
            std::fs::remove_file(&record_path)
                .with_context(|| format!("could not remove the stale {}", record_path.display()))?;
        }
        self.forget_other_work(&folder, &key)?;
        let started = Instant::now();
        let files = work(&folder).with_context(|| format!("stage `{}` failed", key.task()))?;
        let mut outputs = BTreeMap::new();
        for file in files {
            let hash = hash::of_path(&folder.join(&file))?;
            outputs.insert(file, hash);
        }
        if let Some(input) = key.changed_input(&self.root) {
            // An interrupted state of such a task must not be resumed either.
            let marker = folder.join(IN_PROGRESS);
            std::fs::remove_file(&marker)
                .with_context(|| format!("could not remove {}", marker.display()))?;
            bail!(
                "{} was changed while stage `{}` read it, so the stage's results were discarded; make sure that nothing else writes there, and run the same command again",
                input.display(),
                key.task()
            );
        }
        let record = Record {
            key,
            outputs,
            seconds: started.elapsed().as_secs_f64(),
            commit: self.commit.clone(),
        };
        json::write(&record_path, &record)?;
        self.done.fetch_add(1, Ordering::Relaxed);
        progress.finished(record.key.task(), record.seconds);
        Ok(Some(record))
    }

    /// Removes checkpoints of a task with another key, so that none is resumed by mistake.
    fn forget_other_work(&self, folder: &Path, key: &Key) -> Result<()> {
        let marker = folder.join(IN_PROGRESS);
        let same = json::read::<Key>(&marker).is_ok_and(|found| found == *key);
        if !same {
            std::fs::remove_dir_all(folder)
                .with_context(|| format!("could not clear {}", folder.display()))?;
            std::fs::create_dir_all(folder)
                .with_context(|| format!("could not create {}", folder.display()))?;
            json::write(&marker, key)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Silent;
    use super::*;

    fn write(folder: &Path, text: &str) -> Result<Vec<String>> {
        std::fs::write(folder.join("x"), text)?;
        Ok(vec!["x".into()])
    }

    #[test]
    fn a_finished_task_is_not_done_again_until_something_changes() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDirectory::open(folder.path(), Mode::Run).unwrap();
        let key = || Key::new("stage/part", 1, 7);
        run.task(key(), &Silent, |folder| write(folder, "one")).unwrap();
        run.task(key(), &Silent, |_| panic!("done already")).unwrap();

        std::fs::write(folder.path().join("stage/part/x"), "tampered").unwrap();
        run.task(key(), &Silent, |folder| write(folder, "two")).unwrap();
        assert_eq!(std::fs::read(folder.path().join("stage/part/x")).unwrap(), b"two");

        let mut called = false;
        run.task(Key::new("stage/part", 2, 7), &Silent, |folder| {
            called = true;
            assert!(!folder.join("x").exists(), "files of another key are removed");
            write(folder, "three")
        })
        .unwrap();
        assert!(called);
    }

    #[test]
    fn what_a_task_made_of_an_input_that_was_changed_meanwhile_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDirectory::open(folder.path(), Mode::Run).unwrap();
        let outside = folder.path().join("scan.h5");
        std::fs::write(&outside, "given").unwrap();
        let first = run
            .task(Key::new("scans", 1, 7), &Silent, |folder| write(folder, "one"))
            .unwrap()
            .unwrap();
        let key = || {
            let hash = hash::of_bytes(b"given");
            Key::new("response", 1, 7)
                .after(&first)
                .input("scan 0", &hash)
                .lies_at("scan 0", &outside)
        };
        for changed in [folder.path().join("scans/x"), outside.clone()] {
            let before = std::fs::read(&changed).unwrap();
            let error = run.task(key(), &Silent, |folder| {
                std::fs::write(&changed, "other")?;
                write(folder, "of which?")
            });
            let error = error.unwrap_err().to_string();
            assert!(
                error.contains("`response`") && error.contains(changed.to_str().unwrap()),
                "{error}"
            );
            std::fs::write(&changed, before).unwrap();
            assert!(run.finished(&key()).is_err());
        }
        run.task(key(), &Silent, |folder| {
            assert!(!folder.join("x").exists(), "results of changed inputs are removed");
            write(folder, "two")
        })
        .unwrap();
        run.task(key(), &Silent, |_| panic!("done already")).unwrap();
    }

    #[test]
    fn a_record_names_the_commit_of_the_build_and_another_build_does_nothing_again() {
        let folder = tempfile::tempdir().unwrap();
        let open =
            |commit| RunDirectory::open(folder.path(), Mode::Run).unwrap().built_from(commit);
        let key = || Key::new("stage", 1, 7);
        open(Some("0a1b")).task(key(), &Silent, |folder| write(folder, "one")).unwrap();
        let record = std::fs::read_to_string(folder.path().join("stage/record.json")).unwrap();
        assert!(record.contains("\"commit\": \"0a1b\""), "{record}");
        for commit in [Some("2c3d"), None] {
            let record =
                open(commit).task(key(), &Silent, |_| panic!("done already")).unwrap().unwrap();
            assert_eq!(record.commit.as_deref(), Some("0a1b"));
        }
        open(None).task(Key::new("other", 1, 7), &Silent, |folder| write(folder, "one")).unwrap();
        assert!(
            !std::fs::read_to_string(folder.path().join("other/record.json"))
                .unwrap()
                .contains("commit")
        );
    }

    #[test]
    fn why_a_task_is_stale_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDirectory::open(folder.path(), Mode::Run).unwrap();
        let key = |epochs: usize, image: &str| {
            Key::new("train/none-seed0", BTreeMap::from([("epochs", epochs)]), 7)
                .input("images", image)
        };
        let why = |key: Key| run.finished(&key).unwrap_err().to_string();
        assert_eq!(why(key(3, "a")), "it was never finished");
        run.task(key(3, "a"), &Silent, |folder| write(folder, "one")).unwrap();
        assert_eq!(why(key(4, "a")), "settings.epochs: expected 4, found 3");
        assert_eq!(why(key(3, "b")), "inputs.images: expected \"b\", found \"a\"");
        std::fs::write(folder.path().join("train/none-seed0/x"), "other").unwrap();
        assert_eq!(why(key(3, "a")), "its output x was changed");
    }

    #[test]
    fn a_record_is_found_by_a_part_of_its_key() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDirectory::open(folder.path(), Mode::Run).unwrap();
        let key =
            |settings: u64| Key::new("robustness/none-seed0", settings, 7).input("images", "a");
        assert!(run.recorded(&key(1)).is_none());
        run.task(key(1).input("blocks", "b"), &Silent, |folder| write(folder, "one")).unwrap();
        run.task(key(1).input("blocks", "b"), &Silent, |_| panic!("done already")).unwrap();
        assert!(
            run.recorded(&key(1)).is_some() && run.recorded(&key(1).input("blocks", "b")).is_some()
        );
        assert!(
            run.recorded(&key(2)).is_none() && run.recorded(&key(1).input("blocks", "c")).is_none()
        );
        assert!(run.recorded(&key(1).input("more", "d")).is_none());
        assert_eq!(run.done(), 1, "what was done before does not count");
    }

    #[test]
    fn an_interrupted_task_keeps_its_own_checkpoints() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDirectory::open(folder.path(), Mode::Run).unwrap();
        let key = || Key::new("train/none-seed0", 1, 7);
        let interrupted = run.task(key(), &Silent, |folder| {
            write(folder, "epoch 1")?;
            bail!("power lost")
        });
        assert!(format!("{:#}", interrupted.unwrap_err()).contains("train/none-seed0"));
        run.task(key(), &Silent, |folder| {
            assert_eq!(std::fs::read(folder.join("x")).unwrap(), b"epoch 1");
            write(folder, "epoch 2")
        })
        .unwrap();
    }

    #[test]
    fn two_writers_do_a_task_once() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDirectory::open(folder.path(), Mode::Run).unwrap();
        let other = RunDirectory::open(folder.path(), Mode::Run).unwrap();
        let key = || Key::new("train/none-seed0", 1, 7);
        assert!(!run.is_busy("train/none-seed0").unwrap());
        let waiting = std::thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                while !other.is_busy("train/none-seed0").unwrap() {
                    std::thread::yield_now();
                }
                other.task(key(), &Silent, |_| panic!("the first writer does it")).unwrap()
            });
            let work = |folder: &Path| {
                assert!(run.is_busy("train/none-seed0").unwrap());
                std::thread::sleep(std::time::Duration::from_millis(100));
                write(folder, "one")
            };
            run.task(key(), &Silent, work).unwrap();
            waiting.join().unwrap()
        });
        assert!(waiting.is_some());
        assert_eq!(std::fs::read(folder.path().join("train/none-seed0/x")).unwrap(), b"one");
    }

    #[test]
    fn only_names_the_missing_input() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDirectory::open(folder.path(), Mode::Only("train".into())).unwrap();
        let error = run.task(Key::new("scans", 1, 7), &Silent, |_| Ok(vec![])).unwrap_err();
        assert!(error.to_string().contains("--only scans"), "{error}");
    }
}
