//! How many files HDF5 may hold open. It keeps the files of all virtual sources open while it reads,
//! and returns fill values for those that the system refuses.

use super::Input;
use crate::Result;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files that others may open while HDF5 reads.
const SPARE: usize = 32;

impl Input {
    /// Checks that as many files can be open in addition, and raises the limit of the process if it
    /// may be raised.
    pub(super) fn check_open_files(&self, name: &str, files: usize) -> Result<()> {
        if files < 2 {
            return Ok(());
        }
        let wanted = open_now() + files + SPARE;
        let limit = getrlimit(Resource::Nofile);
        if !is_enough(limit, wanted) {
            // If it cannot be raised, the limit that is left decides.
            let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
        }
        let limit = getrlimit(Resource::Nofile);
        if is_enough(limit, wanted) {
            return Ok(());
        }
        Err(self.mismatch(
            name,
            format!("sources in fewer files than may be open ({})", limit.current.unwrap_or(0)),
            format!("{files} files, all of which HDF5 keeps open (it would read the rest as fill values)"),
            format!("raise the limit with `ulimit -n {wanted}`, or write the data into fewer files"),
        ))
    }
}

fn is_enough(limit: Rlimit, wanted: usize) -> bool {
    limit.current.is_none_or(|limit| limit >= wanted as u64)
}

/// How many files the process has open; 0 where that is not known.
fn open_now() -> usize {
    std::fs::read_dir("/dev/fd").map_or(0, Iterator::count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;
    use std::process::Command;

    const FILES: usize = 60;

    /// Reads in a process of its own, whose limit it may change.
    #[test]
    #[ignore = "started by sources_beyond_the_limit_of_open_files_are_read_or_refused"]
    fn reads_in_a_child() {
        let path = PathBuf::from(std::env::var_os("BRAINPRIOR_TEST_SCAN").unwrap());
        let input = Input::open(&path).unwrap();
        let found = match input.dataset("responses", &[Some(FILES)]) {
            Ok(dataset) => format!("read {:?}", dataset.read_raw::<f32>().unwrap()),
            Err(error) => format!("refused {error}"),
        };
        std::fs::write(path.with_extension("txt"), found).unwrap();
    }

    #[test]
    fn sources_beyond_the_limit_of_open_files_are_read_or_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scan.h5");
        let file = hdf5::File::create(&path).unwrap();
        let mut builder = file.new_dataset_builder();
        for number in 0..FILES {
            let name = format!("s{number}.h5");
            let source = hdf5::File::create(folder.path().join(&name)).unwrap();
            source.new_dataset_builder().with_data(&[1f32]).create("r").unwrap();
            source.close().unwrap();
            builder = builder.virtual_map(
                &name,
                "r",
                hdf5::SimpleExtents::fixed([1]),
                ..,
                hdf5::SimpleExtents::fixed([FILES]),
                number..number + 1,
            );
        }
        builder.empty::<f32>().shape(FILES).create("responses").unwrap();
        file.close().unwrap();
        let read = |limit: &str| {
            let command = format!(
                "ulimit {limit} && exec \"$0\" --exact hdf5::open_files::tests::reads_in_a_child --ignored \
                 --test-threads=1"
            );
            // What the child prints is not a result of these tests.
            let child = Command::new("sh")
                .args(["-c", &command])
                .arg(std::env::current_exe().unwrap())
                .env("BRAINPRIOR_TEST_SCAN", &path)
                .output()
                .unwrap();
            assert!(child.status.success(), "{limit}");
            std::fs::read_to_string(path.with_extension("txt")).unwrap()
        };
        // The soft limit is raised; below the hard limit nothing can be done.
        let all = format!("read {:?}", vec![1f32; FILES]);
        let found = read("-S -n 40");
        assert!(found.contains(&all), "{found}");
        let found = read("-n 40");
        assert!(found.contains("refused") && found.contains("60 files"), "{found}");
        assert!(found.contains("may be open (40)") && found.contains("ulimit -n"), "{found}");
    }
}
