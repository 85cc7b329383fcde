//! Similarities as other programs write them (`tests/data`, with the script).
#![cfg(feature = "hdf5")]

use brainprior_similarity::{FileRows, Rows, SimilarityMatrix};
use std::path::{Path, PathBuf};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

#[test]
fn attributes_of_fixed_length_or_in_arrays_of_one_are_read() {
    for name in ["similarity-fixed.h5", "similarity-arrays.h5"] {
        let matrix = SimilarityMatrix::read(&file(name)).unwrap();
        assert_eq!(
            (matrix.get(0, 1), matrix.get(0, 2), matrix.get(1, 2)),
            (0.5, -0.25, 1.0),
            "{name}"
        );
        assert_eq!(
            (matrix.ids()[2].to_u64(), matrix.provenance()),
            ((1 << 63) + 1, &["by hand".to_owned()][..])
        );
    }
}

#[test]
fn links_that_lead_nowhere_are_no_absent_donors() {
    let error =
        SimilarityMatrix::read(&file("similarity-dangling-donors.h5")).unwrap_err().to_string();
    assert!(
        error.contains(
            "donor_ids: expected a dataset, or nothing of this name, found a dangling link"
        ),
        "{error}"
    );
}

#[test]
fn rows_whose_source_is_gone_are_no_zeros() {
    let labs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../recording/tests/data/labs");
    let rows = FileRows::open(&labs.join("virtual.h5"), "responses").unwrap();
    assert_eq!(rows.read(1..2).unwrap()[3], ((10 * 29) % 64) as f32 / 16.0);
    let packed = FileRows::open(&labs.join("netcdf-packed.nc"), "responses").unwrap();
    assert_eq!(packed.read(0..12).unwrap(), rows.read(0..12).unwrap());
    let error =
        FileRows::open(&labs.join("virtual-gone.h5"), "responses").err().unwrap().to_string();
    assert!(error.contains("\"virtual-moved.h5\", which is missing"), "{error}");
}
