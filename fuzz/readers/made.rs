//! Valid files written by the libraries, to start from.

use super::fixtures;
use super::tree::Files;
use brainprior_classifier::{NetConfig, ResNet};
use brainprior_images::{ImageId, StimulusSet};
use brainprior_recording::simulation::{Simulated, SimulationConfig, simulate, write_truth};
use brainprior_response_model::{
    Config, CoreConfig, FitOptions, OptimizationConfig, ReadoutConfig, fit,
};
use brainprior_similarity::{Pair, write_pairs};
use std::io::Read;
use std::path::Path;

/// Layouts for the arrays of the tests.
pub const LAYOUTS: [&str; 3] = [
    "first_image = 1\n[responses]\nfile = \"trials.npz\"\narray = \"resp\"\naxes = [\"trial\", \"neuron\"]\n[images]\nfile = \"trials.npz\"\n\
     array = \"img\"\naxes = [\"image\", \"height\", \"width\"]\n[trials]\nfile = \"trials.npz\"\narray = \"istim\"\n[tiers]\nfile = \"tiers.npy\"\n",
    "area = \"V4\"\n[responses]\nfile = \"responses.npy\"\naxes = [\"neuron\", \"image\", \"repeat\"]\n[images]\nfile = \"flat.npy\"\n\
     axes = [\"image\", \"pixel\"]\nstored = [4, 6]\nsize = [2, 3]\nrange = [0, 0.000255]\n[tiers]\ntrain = [0, 1]\nvalidation = [2]\n\
     test = \"others\"\n",
    "[responses]\nfile = \"trials.mat\"\narray = \"resp\"\naxes = [\"neuron\", \"trial\"]\n[images]\nfile = \"pictures.zip\"\ncolor = \"luma\"\n\
     [trials]\nfile = \"trials.mat\"\narray = \"istim\"\n[tiers]\ncounts = { train = 2, validation = 1, test = 2, seed = 1 }\n",
];

/// Writes a file and returns its bytes.
fn written(name: &str, write: impl FnOnce(&Path)) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("room for a folder");
    let path = folder.path().join(name);
    write(&path);
    std::fs::read(&path).expect("a file that was just written")
}

fn simulated() -> Simulated {
    let (height, width) = (20, 32);
    let pixels = |images: usize, salt: usize| -> Vec<f32> {
        let level = |place: usize| {
            ((place as u32).wrapping_mul(2_654_435_761) ^ (salt as u32)).rotate_left(9) % 251
        };
        (0..images * height * width).map(|place| level(place) as f32 / 250.0).collect()
    };
    let stimuli = |images, salt| {
        StimulusSet::new(height, width, pixels(images, salt)).expect("distinct images")
    };
    let config = SimulationConfig {
        neurons: 6,
        repeats: 3,
        validation_fraction: 0.2,
        ..SimulationConfig::default()
    };
    simulate("sim", &stimuli(30, 0), &stimuli(4, 60), &config).expect("a valid simulation")
}

/// The ground truth of a simulated scan.
pub fn truth() -> Vec<u8> {
    let truth = simulated().truth;
    written("truth.h5", |path| write_truth(path, &truth).expect("room for a small file"))
}

/// A list of pairs.
pub fn lists() -> Vec<Vec<u8>> {
    let ids: Vec<ImageId> = (0..4).map(ImageId::from_u64).collect();
    let pairs = [
        Pair { first: 0, second: 1, similarity: 0.5 },
        Pair { first: 1, second: 3, similarity: -0.25 },
    ];
    let steps = ["by hand".to_owned()];
    vec![written("pairs.h5", |path| {
        write_pairs(path, &ids, &pairs, &steps).expect("room for a small file")
    })]
}

/// The smallest network of a classifier.
pub fn network() -> Vec<u8> {
    let config =
        NetConfig { blocks: vec![1], base_channels: 2, input_channels: 1, classes: 2, blur: None };
    let network = ResNet::new(&config, 1).expect("a valid network");
    written("network.safetensors", |path| network.save(path).expect("room for a small file"))
}

/// A response model after one epoch.
pub fn response_model() -> Vec<u8> {
    let config = Config {
        core: CoreConfig { channels: Some(vec![2]), kernels: vec![5], ..CoreConfig::default() },
        readout: ReadoutConfig { levels: 2, ..ReadoutConfig::default() },
        optimization: OptimizationConfig {
            batch_images: 16,
            max_epochs: 1,
            ..OptimizationConfig::default()
        },
        ..Config::default()
    };
    let model = fit(&[&simulated().scan], &config, FitOptions { seed: 7, ..FitOptions::default() })
        .expect("a scan that can be fitted");
    written("model.safetensors", |path| model.save(path).expect("room for a small file"))
}

/// Uncompressed CIFAR archives.
pub fn tapes() -> Vec<Vec<u8>> {
    ["cifar", "cifar-twice", "python-10", "python-100", "python3-10"]
        .iter()
        .map(|name| tape(name))
        .collect()
}

fn tape(name: &str) -> Vec<u8> {
    let (packed, mut bytes) =
        (fixtures::bytes(&format!("images/tests/data/{name}.tar.gz")), vec![]);
    flate2::read::MultiGzDecoder::new(&packed[..]).read_to_end(&mut bytes).expect("a fixture");
    bytes
}

/// The files of an archive, without their folder.
pub fn cifar_members(name: &str) -> Files {
    let bytes = tape(name);
    let mut archive = tar::Archive::new(&bytes[..]);
    let mut files = Files::new();
    for entry in archive.entries().expect("a fixture") {
        let mut entry = entry.expect("a fixture");
        let name = entry
            .path()
            .expect("a fixture")
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let mut content = vec![];
        entry.read_to_end(&mut content).expect("a fixture");
        if !content.is_empty() {
            files.insert(name, content);
        }
    }
    files
}
