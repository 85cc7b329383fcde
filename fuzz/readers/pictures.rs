//! Images: CIFAR archives, pictures, and layouts of raw arrays.

use super::tree::{self, Files};
use super::{cached, fixtures, made, put};
use brainprior_images::Picture;
use brainprior_recording::import;
use std::fs;
use std::hint::black_box;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// A tar archive, stored without compression so that its bytes are those of the input; if the first
/// byte is odd, a folder with one file made of the rest.
pub(super) fn cifar_archive(bytes: &[u8], folder: &Path) -> PathBuf {
    static PYTHON: OnceLock<Files> = OnceLock::new();
    let (first, rest) = bytes.split_first().unwrap_or((&0, &[]));
    if first % 2 == 1 {
        let mut files = cached(&PYTHON, || made::cifar_members("python-100")).clone();
        let names: Vec<String> = files.keys().cloned().collect();
        files.insert(names[usize::from(first / 2) % names.len()].clone(), rest.to_vec());
        tree::write(&files, folder);
        return folder.to_owned();
    }
    let mut packed = flate2::write::GzEncoder::new(vec![], flate2::Compression::none());
    packed.write_all(rest).expect("memory takes everything");
    put(folder, "cifar.tar.gz", &packed.finish().expect("memory takes everything"))
}

pub(super) fn cifar_files() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> =
        made::tapes().into_iter().map(|tape| [vec![0], tape].concat()).collect();
    let members = made::cifar_members("python-100");
    seeds.extend(
        members
            .values()
            .enumerate()
            .map(|(place, content)| [vec![2 * place as u8 + 1], content.clone()].concat()),
    );
    seeds
}

pub(super) fn picture(path: &Path) {
    let bytes = fs::read(path).expect("a file that was just written");
    let _ = black_box(
        Picture::decode(path, "picture", &bytes)
            .map(|picture| (picture.has_color(), picture.to_gray())),
    );
}

pub(super) fn pictures() -> Vec<Vec<u8>> {
    fixtures::unzipped("recording/tests/data/arrays/pictures.zip", "").into_values().collect()
}

/// A layout and its arrays; if the first byte is odd, the layout is valid and the rest is the
/// archive of arrays.
pub(super) fn layout_file(bytes: &[u8], folder: &Path) -> PathBuf {
    let (first, rest) = bytes.split_first().unwrap_or((&0, &[]));
    static BASE: OnceLock<Files> = OnceLock::new();
    let base = cached(&BASE, || {
        let names =
            ["responses.npy", "flat.npy", "trials.npz", "tiers.npy", "trials.mat", "pictures.zip"];
        names
            .iter()
            .map(|name| {
                (
                    (*name).to_owned(),
                    fixtures::bytes(&format!("recording/tests/data/arrays/{name}")),
                )
            })
            .collect()
    });
    let mut files = base.clone();
    if first.is_multiple_of(2) {
        files.insert("layout.toml".to_owned(), rest.to_vec());
    } else {
        files.insert("trials.npz".to_owned(), rest.to_vec());
        files.insert("layout.toml".to_owned(), made::LAYOUTS[0].as_bytes().to_vec());
    }
    tree::write(&files, folder);
    folder.join("layout.toml")
}

pub(super) fn layout(path: &Path) {
    let _ = black_box(import::arrays(path));
}

pub(super) fn layouts() -> Vec<Vec<u8>> {
    let texts = made::LAYOUTS.iter().map(|text| [b"\0", text.as_bytes()].concat());
    texts
        .chain([
            [b"\x01".to_vec(), fixtures::bytes("recording/tests/data/arrays/trials.npz")].concat()
        ])
        .collect()
}
