//! Recordings in the formats of labs.

use super::program::Program;
use super::tree::{self, Files};
use super::{cached, edited_hdf5, fixtures, hdf5_file, put};
use brainprior_artifact::npy::{Npy, Values};
use brainprior_recording::import::{
    self, ImageAxis, NwbSettings, OnsetUnit, Suite2pSettings, TierCounts, Traces,
};
use brainprior_recording::read_scan;
use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

pub(super) fn npy(path: &Path) {
    let bytes = fs::read(path).expect("a file that was just written");
    let Ok(array) = Npy::parse(&bytes) else { return };
    let count = match &array.values {
        Values::Bytes(values) => values.len(),
        Values::Integers(values) => values.len(),
        Values::Large(values) => values.len(),
        Values::Floats(values) => values.len(),
        Values::Doubles(values) => values.len(),
        Values::Strings(values) => values.len(),
    };
    let expected = array.shape.iter().try_fold(1usize, |count, size| count.checked_mul(*size));
    assert!(
        expected == Some(count) || array.shape.contains(&0) && count == 0,
        "{:?} has {count} values",
        array.shape
    );
}

pub(super) fn npy_files() -> Vec<Vec<u8>> {
    let mut files = fixtures::all("recording/tests/data/arrays", &[".npy"]);
    files.extend(fixtures::unzipped("recording/tests/data/arrays/trials.npz", "").into_values());
    for seed in 0..32u8 {
        let bytes: Vec<u8> = (0..16).map(|place| seed.wrapping_mul(place ^ 29)).collect();
        files.push([tree::header(&mut Program::new(&bytes)), vec![seed; 24]].concat());
    }
    files
}

pub(super) fn scan(path: &Path) {
    black_box((read_scan(path).is_ok(), brainprior_recording::list_sensorium(path).is_ok()));
}

pub(super) fn zip_files() -> Vec<Vec<u8>> {
    fixtures::all("recording/tests/data/labs", &[".zip"])
}

/// A tree as a folder or zip, depending on the first byte.
pub(super) fn sensorium_tree(bytes: &[u8], folder: &Path) -> PathBuf {
    static BASE: OnceLock<Files> = OnceLock::new();
    let base = cached(&BASE, || {
        let mut files = fixtures::unzipped("recording/tests/data/labs/tree.zip", "");
        files.retain(|name, _| !name.contains("statistics"));
        files
    });
    let mut program = Program::new(bytes);
    let is_zip = program.byte().is_multiple_of(3);
    let files = tree::edited(base.clone(), &mut program);
    match is_zip {
        true => put(folder, "tree.zip", &tree::zipped(&files)),
        false => {
            let root = files
                .keys()
                .find_map(|name| name.strip_suffix("meta/trials/tiers.npy"))
                .unwrap_or("")
                .to_owned();
            tree::write(&files, folder);
            folder.join(root)
        }
    }
}

pub(super) fn static_hdf5(bytes: &[u8], folder: &Path) -> PathBuf {
    static BASES: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    let names = [
        "h5py.h5",
        "labs/lzf.h5",
        "labs/blosc.h5",
        "labs/netcdf-packed.nc",
        "labs/matlab.mat",
        "labs/ids-several.h5",
        "labs/user-block.h5",
        "labs/pixels-stated.h5",
        "labs/netcdf-characters.nc",
        "labs/tier-test-mei.h5",
    ];
    let bases = cached(&BASES, || {
        names.iter().map(|name| fixtures::bytes(&format!("recording/tests/data/{name}"))).collect()
    });
    edited_hdf5(bases, bytes, folder, "scan.h5")
}

pub(super) fn nwb_file(bytes: &[u8], folder: &Path) -> PathBuf {
    static BASES: OnceLock<Vec<(String, Vec<u8>)>> = OnceLock::new();
    let bases = cached(&BASES, || {
        let mut files = fixtures::unzipped("recording/tests/data/nwb/nwb2.zip", "");
        files.append(&mut fixtures::unzipped("recording/tests/data/nwb/nwb1.zip", ""));
        files.into_iter().collect()
    });
    let mut program = Program::new(bytes);
    let (name, base) = program.pick(bases);
    let path = folder.join(name);
    hdf5_file::edit(base, &path, &mut program);
    path
}

pub(super) fn nwb(path: &Path) {
    let mut settings = NwbSettings::default();
    let name = path.file_name().unwrap_or_default();
    let (train, validation, test) = if name == "table.nwb" {
        (10, 1, 1)
    } else if name == "shown.nwb" {
        (3, 1, 1)
    } else {
        (8, 2, 2)
    };
    settings.common.tiers = Some(TierCounts { train, validation, test, seed: 1 });
    if name == "table.nwb" {
        settings.common.images.axes = Some(vec![ImageAxis::Height, ImageAxis::Width]);
    }
    if name == "shown.nwb" {
        settings.responses = vec!["RoiResponseSeries0".into(), "RoiResponseSeries1".into()];
    }
    let _ = black_box(import::nwb(path, &settings));
}

pub(super) fn session() -> &'static Files {
    static BASE: OnceLock<Files> = OnceLock::new();
    cached(&BASE, || {
        fixtures::unzipped(
            "recording/tests/data/experanto/session.zip",
            "dynamic17-3-5-Video-0_30hz/",
        )
    })
}

pub(super) fn experanto_folder(bytes: &[u8], folder: &Path) -> PathBuf {
    tree::write(&tree::edited(session().clone(), &mut Program::new(bytes)), folder);
    folder.to_owned()
}

pub(super) fn experanto(path: &Path) {
    let _ = black_box(import::experanto(path));
}

/// One of the small files of keys, read completely.
pub(super) fn meta_file(bytes: &[u8], folder: &Path) -> PathBuf {
    let (first, rest) = bytes.split_first().unwrap_or((&0, &[]));
    let mut files = session().clone();
    let names: Vec<String> = files.keys().filter(|name| name.ends_with(".yml")).cloned().collect();
    files.insert(names[usize::from(*first) % names.len()].clone(), rest.to_vec());
    tree::write(&files, folder);
    folder.to_owned()
}

pub(super) fn metas() -> Vec<Vec<u8>> {
    let metas = session().iter().filter(|(name, _)| name.ends_with(".yml")).enumerate();
    metas.map(|(place, (_, content))| [vec![place as u8], content.clone()].concat()).collect()
}

/// A folder and the table of onsets, which is text or an array depending on the first byte.
pub(super) fn suite2p_folder(bytes: &[u8], folder: &Path) -> PathBuf {
    static BASE: OnceLock<Files> = OnceLock::new();
    let base = cached(&BASE, || {
        let mut files = fixtures::unzipped("recording/tests/data/suite2p/folder.zip", "");
        for name in ["images.npy", "onsets.csv", "onsets.npy"] {
            files.insert(
                name.to_owned(),
                fixtures::bytes(&format!("recording/tests/data/suite2p/{name}")),
            );
        }
        files
    });
    let mut program = Program::new(bytes);
    let mut files = base.clone();
    files.remove(if program.byte().is_multiple_of(2) { "onsets.npy" } else { "onsets.csv" });
    tree::write(&tree::edited(files, &mut program), folder);
    folder.to_owned()
}

pub(super) fn suite2p(path: &Path) {
    let mut common = import::Settings {
        tiers: Some(TierCounts { train: 4, validation: 1, test: 1, seed: 1 }),
        ..import::Settings::default()
    };
    common.images.axes = Some(vec![ImageAxis::Image, ImageAxis::Height, ImageAxis::Width]);
    let has_table = path.join("onsets.csv").exists();
    for traces in [Traces::Spikes, Traces::Fluorescence] {
        let settings = Suite2pSettings {
            common: common.clone(),
            onsets: path.join(if has_table { "onsets.csv" } else { "onsets.npy" }),
            unit: (!has_table).then_some(OnsetUnit::Frames),
            images: path.join("images.npy"),
            rate: 10.0,
            traces,
            first_image: 0,
        };
        let _ = black_box(import::suite2p(path, &settings));
    }
}
