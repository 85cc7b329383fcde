//! Finds what killed writers left behind, and tells it from the files of running writers.

use super::temporary::remove;
use crate::hash::Hasher;
use crate::{FileError, Result};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a temporary name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Something being written.
    Partial,
    /// The old folder, moved aside during an exchange.
    Aside,
}

impl Kind {
    fn ending(self) -> &'static str {
        match self {
            Self::Partial => "partial",
            Self::Aside => "old",
        }
    }
}

/// The writer in a temporary name: `<place>-<process>-<number>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    place: String,
    process: u32,
    number: u64,
}

impl Mark {
    /// A new mark of this process; never the same twice.
    pub(super) fn new() -> Self {
        static MADE: AtomicU64 = AtomicU64::new(0);
        let place = place().unwrap_or(UNKNOWN_PLACE).to_owned();
        Self { place, process: std::process::id(), number: MADE.fetch_add(1, Ordering::Relaxed) }
    }

    /// The temporary name for `target`, in the same folder.
    pub(super) fn beside(&self, target: &Path, kind: Kind) -> PathBuf {
        let mut name = OsString::from(".");
        name.push(target.file_name().unwrap_or_default());
        name.push(format!(".{}-{}-{}.{}", self.place, self.process, self.number, kind.ending()));
        target.with_file_name(name)
    }

    /// Parses a temporary name into its mark, its kind and the name of its target.
    fn of(name: &OsStr) -> Option<(Self, Kind, OsString)> {
        let hidden = name.as_bytes().strip_prefix(b".")?;
        let before =
            |end: usize| Some((&hidden[..end], std::str::from_utf8(hidden.get(end + 1..)?).ok()?));
        let (front, ending) = before(hidden.iter().rposition(|byte| *byte == b'.')?)?;
        let kind = [Kind::Partial, Kind::Aside].into_iter().find(|kind| kind.ending() == ending)?;
        let dot = front.iter().rposition(|byte| *byte == b'.')?;
        let (target, mark) = (&front[..dot], std::str::from_utf8(&front[dot + 1..]).ok()?);
        let mut parts = mark.split('-');
        let (place, process, number) =
            (parts.next()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let mark = Self { place: place.to_owned(), process, number };
        (parts.next().is_none() && !target.is_empty())
            .then(|| (mark, kind, OsString::from_vec(target.to_vec())))
    }

    /// Whether the process is known to have ended.
    fn is_dead(&self) -> bool {
        place().is_some_and(|place| place == self.place)
            && fs::symlink_metadata(format!("/proc/{}", self.process))
                .is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
    }
}

const UNKNOWN_PLACE: &str = "unknown";

/// The scope of process numbers: this boot of this machine and this PID namespace (each container
/// has its own). `None` if that cannot be determined; then no process is considered dead.
fn place() -> Option<&'static str> {
    static PLACE: OnceLock<Option<String>> = OnceLock::new();
    let read = || -> Option<String> {
        // A container may see the /proc of its host, where process numbers differ.
        if fs::read_link("/proc/self").ok()?.as_os_str() != std::process::id().to_string().as_str()
        {
            return None;
        }
        let mut hasher = Hasher::default();
        hasher.update(&fs::read("/proc/sys/kernel/random/boot_id").ok()?);
        hasher.update(&fs::read("/proc/sys/kernel/hostname").ok()?);
        hasher.update(fs::read_link("/proc/self/ns/pid").ok()?.as_os_str().as_bytes());
        Some(hasher.finish()[..12].to_owned())
    };
    PLACE.get_or_init(read).as_deref()
}

/// Removes what killed writers left in `folder` (not in its subfolders) from
/// [`bytes`](super::bytes), [`file`](super::file) and [`folder`](super::folder()). If a writer was
/// killed while a folder was moved aside, the old folder is moved back. Every write does this in
/// the folder of its target.
///
/// # Errors
/// Returns [`FileError`] if the file system refuses an operation.
pub fn sweep(folder: &Path) -> Result<()> {
    // A system may hide the processes of other users; those must not be considered dead.
    let Ok(own) = fs::metadata("/proc/self") else { return Ok(()) };
    for entry in fs::read_dir(folder).map_err(FileError::refused(folder, "list"))? {
        let entry = entry.map_err(FileError::refused(folder, "list"))?;
        let Some((mark, kind, target)) = Mark::of(&entry.file_name()) else { continue };
        if !mark.is_dead() || !entry.metadata().is_ok_and(|metadata| metadata.uid() == own.uid()) {
            continue;
        }
        let (path, target) = (entry.path(), folder.join(target));
        if kind == Kind::Aside && fs::symlink_metadata(&target).is_err() {
            // Another process may have done the same a moment ago.
            if let Err(error) = fs::rename(&path, &target)
                && fs::symlink_metadata(&target).is_err()
            {
                return Err(FileError::refused(&target, format!("put {} back", path.display()))(
                    error,
                ));
            }
        } else {
            remove(&path)
                .map_err(FileError::refused(&path, "remove the leftovers of a killed writer"))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// A process of this machine that has ended.
    fn dead() -> u32 {
        let mut child = Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        child.id()
    }

    fn mark(process: u32) -> Mark {
        Mark {
            place: place().expect("a Linux machine tells its place").to_owned(),
            process,
            number: 0,
        }
    }

    #[test]
    fn a_name_says_who_made_it_and_what_for() {
        let target = Path::new("runs/last.epoch-7.safetensors");
        let mark = Mark::new();
        let name = mark.beside(target, Kind::Aside);
        assert_eq!(name.parent(), Some(Path::new("runs")));
        let read = Mark::of(name.file_name().unwrap()).unwrap();
        assert_eq!(read, (mark, Kind::Aside, "last.epoch-7.safetensors".into()));
        for other in [
            "results.json",
            ".hidden",
            ".a.partial",
            ".a.b-1.partial",
            ".a.b-1-2-3.partial",
            ".a.b-x-2.partial",
        ] {
            assert_eq!(Mark::of(OsStr::new(other)), None, "{other}");
        }
    }

    #[test]
    fn the_dead_are_swept_and_the_living_and_the_far_stay() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("x.json");
        let far = Mark { place: "0123456789ab".into(), ..mark(dead()) };
        let unknown = Mark { place: UNKNOWN_PLACE.into(), ..mark(dead()) };
        let mut other = Command::new("sleep").arg("600").spawn().unwrap();
        let kept = [mark(std::process::id()), mark(other.id()), far, unknown]
            .map(|mark| mark.beside(&target, Kind::Partial));
        kept.iter().for_each(|path| fs::write(path, "x").unwrap());
        let gone = [mark(dead()), mark(dead())].map(|mark| mark.beside(&target, Kind::Partial));
        fs::write(&gone[0], "x").unwrap();
        fs::create_dir_all(gone[1].join("a")).unwrap();
        fs::write(folder.path().join(".x.json.swp"), "of an editor").unwrap();

        crate::replace::bytes(&folder.path().join("y.json"), b"new").unwrap();
        other.kill().unwrap();
        other.wait().unwrap();
        assert!(kept.iter().all(|path| path.exists()));
        assert!(!gone.iter().any(|path| path.exists()));
        assert!(folder.path().join(".x.json.swp").exists());
    }

    #[test]
    fn a_folder_that_was_moved_aside_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("scan");
        let aside = mark(dead()).beside(&target, Kind::Aside);
        fs::create_dir(&aside).unwrap();
        fs::write(aside.join("data"), "old").unwrap();
        sweep(folder.path()).unwrap();
        assert_eq!(fs::read(target.join("data")).unwrap(), b"old");

        fs::create_dir(&aside).unwrap();
        sweep(folder.path()).unwrap();
        assert!(!aside.exists() && target.exists(), "the target is already complete");
    }

    #[test]
    fn a_name_of_an_earlier_process_of_this_number_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("x.json");
        let Mark { place, process, number } = Mark::new();
        // Other tests in this process run at the same time, so the next number is not known.
        for number in number..number + 100 {
            fs::write(
                Mark { place: place.clone(), process, number }.beside(&target, Kind::Partial),
                "old",
            )
            .unwrap();
        }
        crate::replace::bytes(&target, b"new").unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"new");
    }
}
