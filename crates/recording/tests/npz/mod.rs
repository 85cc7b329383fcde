//! Arrays saved by a script with numpy.savez, and zip files.

use brainprior_artifact::npy::{Npy, Values};
use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Arrays by name.
pub(crate) struct Arrays(BTreeMap<String, Values>);

/// A file in `tests/data`.
pub(crate) fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// A folder with the content of a zip archive in `tests/data`.
pub(crate) fn unpacked(name: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    zip::ZipArchive::new(fs::File::open(data(name)).unwrap())
        .unwrap()
        .extract(folder.path())
        .unwrap();
    folder
}

impl Arrays {
    pub(crate) fn read(name: &str) -> Self {
        let mut archive = zip::ZipArchive::new(fs::File::open(data(name)).unwrap()).unwrap();
        let count = archive.len();
        let array = |index: usize| {
            let mut member = archive.by_index(index).unwrap();
            let name = member.name().unwrap().trim_end_matches(".npy").to_owned();
            let mut bytes = vec![];
            member.read_to_end(&mut bytes).unwrap();
            (name, Npy::parse(&bytes).unwrap().values)
        };
        Self((0..count).map(array).collect())
    }

    pub(crate) fn floats(&self, name: &str) -> &[f32] {
        match &self.0[name] {
            Values::Floats(values) => values,
            other => panic!("{name}: {other:?}"),
        }
    }

    pub(crate) fn whole(&self, name: &str) -> &[i64] {
        match &self.0[name] {
            Values::Integers(values) => values,
            other => panic!("{name}: {other:?}"),
        }
    }

    #[allow(dead_code, reason = "every test is a crate of its own, and not all need it")]
    pub(crate) fn bytes(&self, name: &str) -> &[u8] {
        match &self.0[name] {
            Values::Bytes(values) => values,
            other => panic!("{name}: {other:?}"),
        }
    }
}

/// Checks that values agree to f32 precision; sums may be computed in another order.
#[track_caller]
pub(crate) fn close<'a>(found: impl IntoIterator<Item = &'a f32>, expected: &[f32], rounding: f32) {
    let found: Vec<f32> = found.into_iter().copied().collect();
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!(
            (found - expected).abs() <= rounding * f32::EPSILON * expected.abs().max(1.0),
            "{found}, {expected}"
        );
    }
}
