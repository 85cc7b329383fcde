//! HDF5 files of our own, and any other that `inspect` may meet.

use super::{cached, edited_hdf5, fixtures, made};
use brainprior_pipeline::files;
use brainprior_recording::{Responses, simulation};
use brainprior_similarity::{FileRows, Rows, SimilarityMatrix};
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

pub(super) fn responses_file(bytes: &[u8], folder: &Path) -> PathBuf {
    static BASES: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    let bases = cached(&BASES, || {
        fixtures::all("recording/tests/data/labs", &["responses-arrays.h5", "responses-fixed.h5"])
    });
    edited_hdf5(bases, bytes, folder, "responses.h5")
}

pub(super) fn responses(path: &Path) {
    let _ = black_box(Responses::read(path));
}

pub(super) fn similarity_file(bytes: &[u8], folder: &Path) -> PathBuf {
    static BASES: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    let bases = cached(&BASES, || {
        fixtures::all("similarity/tests/data", &["similarity-arrays.h5", "similarity-fixed.h5"])
    });
    edited_hdf5(bases, bytes, folder, "similarity.h5")
}

pub(super) fn similarity(path: &Path) {
    let _ = black_box(SimilarityMatrix::read(path));
    if let Ok(rows) = FileRows::open(path, "similarity") {
        let count = rows.shape().0;
        let _ = black_box(rows.read(0..count.min(8)));
    }
}

pub(super) fn truth_file(bytes: &[u8], folder: &Path) -> PathBuf {
    static BASES: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    let bases = cached(&BASES, || vec![made::truth()]);
    edited_hdf5(bases, bytes, folder, "truth.h5")
}

pub(super) fn truth(path: &Path) {
    let _ = black_box(simulation::read_truth(path));
}

pub(super) fn any_hdf5(bytes: &[u8], folder: &Path) -> PathBuf {
    static BASES: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    let bases = cached(&BASES, || {
        let mut bases = fixtures::all("similarity/tests/data", &["similarity-arrays.h5"]);
        bases.extend(fixtures::all(
            "recording/tests/data/labs",
            &["responses-arrays.h5", "statistics-whole.h5", "links.h5", "matlab.mat"],
        ));
        bases.push(made::truth());
        bases.extend(made::lists());
        bases
    });
    edited_hdf5(bases, bytes, folder, "file.h5")
}

pub(super) fn inspect(path: &Path) {
    black_box((
        files::validate(path).is_ok(),
        files::inspect(path).is_ok(),
        brainprior_artifact::hdf5::sources(path).is_ok(),
    ));
}
