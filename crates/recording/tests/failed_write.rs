//! A failed write leaves the old file and nothing else.
#![cfg(unix)]
#![cfg(feature = "hdf5")]

mod fixture;

use brainprior_recording::{Error, read_scan, write_sensorium, write_static_hdf5};
use std::path::Path;
use std::process::Command;

/// Passes the target to the second process, whose writes are limited.
const TARGET: &str = "BRAINPRIOR_FAILED_WRITE";
/// Limit of a file in blocks of 512 or 1024 bytes (shells differ): large enough to start a write,
/// too small to finish it.
const BLOCKS: &str = "600";

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// In the second process: writes that must fail as on a full disk.
fn write_without_room(folder: &Path) {
    let mut parts = fixture::parts(true);
    let irregular = |(row, neuron): (usize, usize)| {
        ((row * 60_000 + neuron) as u32).wrapping_mul(2_654_435_761) as f32
    };
    parts.responses = ndarray::Array2::from_shape_fn((16, 60_000), irregular);
    parts.neurons = brainprior_recording::Neurons::unnamed(60_000);
    let scan = brainprior_recording::Scan::new(parts).unwrap();
    for error in [
        write_static_hdf5(&folder.join("scan.h5"), &scan).unwrap_err(),
        write_sensorium(&folder.join("scan.zip"), &scan).unwrap_err(),
        scan.single_trials().write(&folder.join("responses.h5")).unwrap_err(),
    ] {
        assert!(matches!(error, Error::File(_)), "{error}");
        assert!(error.to_string().contains(folder.to_str().unwrap()), "{error}");
    }
}

#[test]
fn full_disk() {
    if let Some(folder) = std::env::var_os(TARGET) {
        return write_without_room(Path::new(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let scan = fixture::scan(true);
    write_static_hdf5(&folder.path().join("scan.h5"), &scan).unwrap();
    write_sensorium(&folder.path().join("scan.zip"), &scan).unwrap();
    scan.repeat_means().write(&folder.path().join("responses.h5")).unwrap();
    let before: Vec<Vec<u8>> = names(folder.path())
        .iter()
        .map(|name| std::fs::read(folder.path().join(name)).unwrap())
        .collect();

    // With the signal ignored, a write beyond the limit fails as on a full disk.
    let limited =
        format!("trap '' XFSZ; ulimit -f {BLOCKS}; exec \"$0\" --exact full_disk --nocapture");
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(limited).arg(std::env::current_exe().unwrap()).env(TARGET, folder.path());
    let output = shell.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    assert_eq!(names(folder.path()), ["responses.h5", "scan.h5", "scan.zip"]);
    let after: Vec<Vec<u8>> = names(folder.path())
        .iter()
        .map(|name| std::fs::read(folder.path().join(name)).unwrap())
        .collect();
    assert!(before == after, "an old file was changed");
    fixture::check_same(&read_scan(&folder.path().join("scan.h5")).unwrap(), &scan);
}

#[test]
fn no_folder() {
    let folder = tempfile::tempdir().unwrap();
    let scan = fixture::scan(true);
    for (name, write) in [
        ("scan.h5", write_static_hdf5 as fn(&Path, &_) -> _),
        ("scan.zip", write_sensorium),
        ("scan", write_sensorium),
    ] {
        let error = write(&folder.path().join("absent").join(name), &scan).unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
    }
    assert_eq!(names(folder.path()).len(), 0);
}

/// A name that cannot be replaced: a nonempty folder where the file should go.
#[test]
fn target_in_the_way() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scan.h5");
    std::fs::create_dir(&path).unwrap();
    std::fs::write(path.join("old"), "old").unwrap();
    assert!(write_static_hdf5(&path, &fixture::scan(true)).is_err());
    assert_eq!(
        (names(folder.path()), names(&path)),
        (vec!["scan.h5".to_owned()], vec!["old".to_owned()])
    );
}
