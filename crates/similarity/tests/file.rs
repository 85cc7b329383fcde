//! Matrices written and read back, and invalid files.
#![cfg(feature = "hdf5")]

use brainprior_images::ImageId;
use brainprior_similarity::{Error, Precision, SimilarityMatrix};
use std::path::Path;

fn matrix() -> SimilarityMatrix {
    let ids = [3, u64::MAX, 1, 77].map(ImageId::from_u64).to_vec();
    SimilarityMatrix::new(
        ids,
        vec![0.1, -1.0, 0.3, 1.0, 0.5, -0.6],
        vec!["first step".into(), "second \u{3c1}".into()],
    )
    .unwrap()
}

#[test]
fn written_and_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.h5");
    matrix().write(&path).unwrap();
    assert_eq!(SimilarityMatrix::read(&path).unwrap(), matrix());
    let shuffled = matrix().shuffled(1);
    shuffled.write(&path).unwrap();
    assert_eq!(SimilarityMatrix::read(&path).unwrap(), shuffled);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing temporary is left");
}

#[test]
fn equal_matrices_give_equal_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (folder.path().join("a.h5"), folder.path().join("b.h5"));
    matrix().write(&a).unwrap();
    // HDF5 stores the time of writing in seconds unless told otherwise.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    matrix().write(&b).unwrap();
    assert!(std::fs::read(a).unwrap() == std::fs::read(b).unwrap());
}

fn edited(path: &Path, edit: impl FnOnce(&hdf5::File)) -> String {
    matrix().write(path).unwrap();
    let file = hdf5::File::open_rw(path).unwrap();
    edit(&file);
    file.close().unwrap();
    let error = SimilarityMatrix::read(path).unwrap_err().to_string();
    assert!(error.contains("bad.h5"), "the file is named: {error}");
    error
}

#[test]
fn files_that_are_not_what_they_say() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bad.h5");
    assert!(matches!(SimilarityMatrix::read(&path), Err(Error::File(_))));

    std::fs::write(&path, b"not HDF5 at all").unwrap();
    assert!(
        matches!(SimilarityMatrix::read(&path), Err(Error::File(error)) if error.dataset() == Some("/"))
    );

    matrix().write(&path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    assert!(SimilarityMatrix::read(&path).is_err());

    let error = edited(&path, |file| file.unlink("similarity").unwrap());
    assert!(error.contains("similarity"), "{error}");

    let error = edited(&path, |file| {
        file.unlink("similarity").unwrap();
        file.new_dataset_builder().with_data(&[0.5f32; 5]).create("similarity").unwrap();
    });
    assert!(error.contains("6 pairs of the 4 image_ids, found 5"), "{error}");

    let error = edited(&path, |file| {
        file.unlink("similarity").unwrap();
        file.new_dataset_builder()
            .with_data(&[0.5f32, 0.5, 0.5, f32::NAN, 0.5, 0.5])
            .create("similarity")
            .unwrap();
    });
    assert!(error.contains("images 1 and 2") && error.contains("NaN"), "{error}");

    let error = edited(&path, |file| {
        file.unlink("image_ids").unwrap();
        file.new_dataset_builder().with_data(&[1u64, 2, 2, 3]).create("image_ids").unwrap();
    });
    assert!(error.contains("images 1 and 2 are the same"), "{error}");

    let error = edited(&path, |file| file.attr("version").unwrap().write_scalar(&9u32).unwrap());
    assert!(error.contains("version: expected 1 to 2, found 9"), "{error}");
}

#[test]
fn a_failed_write_leaves_what_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let error =
        matrix().write(&folder.path().join("missing").join("a.h5")).unwrap_err().to_string();
    assert!(error.contains("missing"), "{error}");
    std::fs::create_dir(folder.path().join("folder")).unwrap();
    assert!(matrix().write(&folder.path().join("folder")).is_err());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing temporary is left");
}

/// Passes the target to the second process, whose writes are limited.
#[cfg(unix)]
const TARGET: &str = "BRAINPRIOR_FAILED_WRITE";

/// A second process, whose files are limited to 600 blocks, fails to write as on a full disk.
#[cfg(unix)]
#[test]
fn full_disk() {
    if let Some(path) = std::env::var_os(TARGET) {
        let images = 1000;
        let large = SimilarityMatrix::new(
            (0..images).map(ImageId::from_u64).collect(),
            vec![0.5; 499_500],
            vec![],
        )
        .unwrap();
        let error = large.write(Path::new(&path)).unwrap_err().to_string();
        assert!(
            error.contains("a.h5") && error.contains("could not reserve 0.003 GB for it"),
            "{error}"
        );
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.h5");
    matrix().write(&path).unwrap();
    let before = std::fs::read(&path).unwrap();
    let limited = "trap '' XFSZ; ulimit -f 600; exec \"$0\" --exact full_disk --nocapture";
    let mut shell = std::process::Command::new("sh");
    let output = shell
        .arg("-c")
        .arg(limited)
        .arg(std::env::current_exe().unwrap())
        .env(TARGET, &path)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(std::fs::read(&path).unwrap() == before, "the old file was changed");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing temporary is left");
}

/// The three lines of Python in `data-specs/similarity.toml`, if Python has h5py
/// (`BRAINPRIOR_PYTHON` selects another Python).
#[test]
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn python_reads_it_in_three_lines() {
    let python = std::env::var("BRAINPRIOR_PYTHON").unwrap_or("python3".into());
    let has = std::process::Command::new(&python).args(["-c", "import h5py, numpy"]).output();
    if !has.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: {python} has no h5py and numpy");
        return;
    }
    let spec = include_str!("../../../data-specs/similarity.toml");
    let lines: Vec<&str> = spec.lines().filter_map(|line| line.strip_prefix("    ")).collect();
    assert_eq!(lines.len(), 3);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.h5");
    for (precision, bound) in [(Precision::F32, 0.0), (Precision::F16, 1.0 / 4096.0)] {
        matrix().write_as(&path, precision).unwrap();
        let script = format!(
            "path = {:?}\n{}\nprint(*S.astype(float).ravel())",
            path.display().to_string(),
            lines.join("\n")
        );
        let output = std::process::Command::new(&python).args(["-c", &script]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        let found: Vec<f32> = text.split_whitespace().map(|value| value.parse().unwrap()).collect();
        assert_eq!(found.len(), 16);
        for i in 0..4 {
            for j in 0..4 {
                assert!(
                    (found[i * 4 + j] - matrix().get(i, j)).abs() <= bound,
                    "{precision:?}: {i}, {j}: {}",
                    found[i * 4 + j]
                );
            }
        }
    }
}
