//! Weights and labeled images: pickles, `.pt`, safetensors.

use super::{fixtures, made, put};
use brainprior_artifact::archive::Archive;
use brainprior_artifact::pickle::Pickle;
use brainprior_images::read_labeled;
use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};

pub(super) fn pickle(path: &Path) {
    let bytes = fs::read(path).expect("a file that was just written");
    let Ok((pickle, _)) = Pickle::parse(&bytes, |_| true) else { return };
    for item in pickle.all() {
        black_box((
            item.describe(),
            item.text().is_some(),
            item.call().is_some(),
            item.state().is_some(),
        ));
    }
    let root = pickle.root();
    black_box((
        root.entry("data").is_ok(),
        root.integers().is_ok(),
        root.texts().is_ok(),
        root.bytes().is_ok(),
    ));
}

pub(super) fn pickles() -> Vec<Vec<u8>> {
    let mut pickles: Vec<Vec<u8>> = made::cifar_members("python-10").into_values().collect();
    pickles.extend(made::cifar_members("python3-10").into_values());
    pickles.extend(torch_files());
    pickles.push(
        b"\x80\x02}q\x00(X\x06\x00\x00\x00labelsq\x01]q\x02(K\x06M,\x01J\xff\xff\xff\xffeu."
            .to_vec(),
    );
    pickles
}

pub(super) fn weights(path: &Path) {
    let Ok(archive) = Archive::read_weights(path, "write it anew") else { return };
    for name in archive.names() {
        black_box((archive.tensor(&name).is_ok(), archive.floats(&name).is_ok()));
    }
    black_box((archive.left_out(), archive.header::<serde_json::Value>().is_ok()));
}

pub(super) fn torch_files() -> Vec<Vec<u8>> {
    fixtures::all("artifact/tests/data", &[".pt", ".pth"])
}

pub(super) fn safetensors_files() -> Vec<Vec<u8>> {
    fixtures::all("images/tests/data", &[".safetensors"])
}

pub(super) fn labeled(path: &Path) {
    let _ = black_box(read_labeled(path));
}

pub(super) fn image_sets() -> Vec<Vec<u8>> {
    fixtures::all(
        "images/tests/data",
        &["json.safetensors", "lines.safetensors", "commas.safetensors"],
    )
}

/// A classifier, or a response model if the first byte is odd.
pub(super) fn checkpoint_file(bytes: &[u8], folder: &Path) -> PathBuf {
    match bytes.split_first() {
        Some((first, rest)) if first % 2 == 1 => put(folder, "model.safetensors", rest),
        Some((_, rest)) => put(folder, "network.safetensors", rest),
        None => put(folder, "network.safetensors", &[]),
    }
}

pub(super) fn checkpoint(path: &Path) {
    match path.ends_with("model.safetensors") {
        true => drop(black_box(brainprior_response_model::ResponseModel::load(path))),
        false => drop(black_box(brainprior_classifier::ResNet::load(path))),
    }
}

pub(super) fn checkpoints() -> Vec<Vec<u8>> {
    let network = |bytes: Vec<u8>| [vec![0], bytes].concat();
    let mut seeds = vec![network(made::network())];
    seeds.extend(torch_files().into_iter().map(network));
    seeds.push([vec![1], made::response_model()].concat());
    seeds
}
