//! Every reader of untrusted files as a function of bytes. Where raw bytes would not get past a
//! header or checksum, they are a [program](program) of edits to valid files.
//!
//! A reader may return any error. It must not panic, overflow, take long, or hold more than
//! [`Reader::memory`] allows.

mod fixtures;
mod hdf5_file;
mod made;
pub mod memory;
mod program;
mod tree;

use brainprior_artifact::archive::Archive;
use brainprior_artifact::npy::{Npy, Values};
use brainprior_artifact::pickle::Pickle;
use brainprior_images::{Picture, read_labeled};
use brainprior_pipeline::config::Config;
use brainprior_pipeline::files;
use brainprior_recording::import::{
    self, ImageAxis, NwbSettings, OnsetUnit, Suite2pSettings, TierCounts, Traces,
};
use brainprior_recording::{Responses, read_scan, simulation};
use brainprior_similarity::{FileRows, Rows, SimilarityMatrix};
use program::Program;
use std::fs;
use std::hint::black_box;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use tree::Files;

/// Memory that a reader may hold in addition to a multiple of its input: tables of the libraries,
/// classes and settings.
const ALWAYS: usize = 16 << 20;
/// How much larger unpacked data may be than the file, and how much small files may grow
/// (`brainprior_artifact::unpacked`).
const PACKED: usize = 256;
const PACKED_ALWAYS: usize = 16 << 20;

/// A reader.
pub struct Reader {
    pub name: &'static str,
    /// The multiple of its input bytes that a reader may hold.
    multiple: usize,
    /// Whether its input may be compressed.
    is_packed: bool,
    prepare: fn(&[u8], &Path) -> PathBuf,
    read: fn(&Path),
    seeds: fn() -> Vec<Vec<u8>>,
}

/// All readers, those in which a mistake would be most costly first.
pub const READERS: [Reader; 22] = [
    // A one-byte instruction makes an object of 40 bytes that is remembered; lists grow by
    // doubling.
    Reader {
        name: "pickle",
        multiple: 300,
        is_packed: false,
        prepare: as_file,
        read: pickle,
        seeds: pickles,
    },
    Reader {
        name: "torch",
        multiple: 300,
        is_packed: false,
        prepare: as_file,
        read: weights,
        seeds: torch_files,
    },
    // Strings of one letter take 24 bytes and a block each.
    Reader {
        name: "npy",
        multiple: 80,
        is_packed: false,
        prepare: as_file,
        read: npy,
        seeds: npy_files,
    },
    Reader {
        name: "zip",
        multiple: 80,
        is_packed: true,
        prepare: as_zip,
        read: scan,
        seeds: zip_files,
    },
    Reader {
        name: "sensorium",
        multiple: 80,
        is_packed: true,
        prepare: sensorium_tree,
        read: scan,
        seeds: programs::<3>,
    },
    Reader {
        name: "static-hdf5",
        multiple: 24,
        is_packed: true,
        prepare: static_hdf5,
        read: scan,
        seeds: programs::<10>,
    },
    Reader {
        name: "nwb",
        multiple: 24,
        is_packed: true,
        prepare: nwb_file,
        read: nwb,
        seeds: programs::<4>,
    },
    Reader {
        name: "responses",
        multiple: 24,
        is_packed: true,
        prepare: responses_file,
        read: responses,
        seeds: programs::<2>,
    },
    Reader {
        name: "similarity",
        multiple: 24,
        is_packed: true,
        prepare: similarity_file,
        read: similarity,
        seeds: programs::<2>,
    },
    Reader {
        name: "truth",
        multiple: 24,
        is_packed: true,
        prepare: truth_file,
        read: truth,
        seeds: programs::<1>,
    },
    Reader {
        name: "inspect",
        multiple: 24,
        is_packed: true,
        prepare: any_hdf5,
        read: inspect,
        seeds: programs::<8>,
    },
    Reader {
        name: "safetensors",
        multiple: 300,
        is_packed: false,
        prepare: as_safetensors,
        read: weights,
        seeds: safetensors_files,
    },
    Reader {
        name: "image-set",
        multiple: 300,
        is_packed: false,
        prepare: as_safetensors,
        read: labeled,
        seeds: image_sets,
    },
    Reader {
        name: "checkpoint",
        multiple: 300,
        is_packed: false,
        prepare: checkpoint_file,
        read: checkpoint,
        seeds: checkpoints,
    },
    Reader {
        name: "experanto",
        multiple: 80,
        is_packed: false,
        prepare: experanto_folder,
        read: experanto,
        seeds: programs::<1>,
    },
    Reader {
        name: "suite2p",
        multiple: 80,
        is_packed: true,
        prepare: suite2p_folder,
        read: suite2p,
        seeds: programs::<2>,
    },
    Reader {
        name: "yaml",
        multiple: 300,
        is_packed: false,
        prepare: meta_file,
        read: experanto,
        seeds: metas,
    },
    Reader {
        name: "cifar",
        multiple: 300,
        is_packed: true,
        prepare: cifar_archive,
        read: labeled,
        seeds: cifar_files,
    },
    Reader {
        name: "picture",
        multiple: 64,
        is_packed: true,
        prepare: as_file,
        read: picture,
        seeds: pictures,
    },
    Reader {
        name: "layout",
        multiple: 300,
        is_packed: true,
        prepare: layout_file,
        read: layout,
        seeds: layouts,
    },
    Reader {
        name: "config",
        multiple: 300,
        is_packed: false,
        prepare: as_file,
        read: config,
        seeds: configs,
    },
    Reader {
        name: "overrides",
        multiple: 300,
        is_packed: false,
        prepare: as_file,
        read: overrides,
        seeds: settings,
    },
];

impl Reader {
    pub fn by_name(name: &str) -> Option<&'static Self> {
        READERS.iter().find(|reader| reader.name == name)
    }

    /// Reads the file encoded by the bytes, in a folder that nobody else uses and that may contain
    /// files of earlier calls.
    pub fn run(&self, bytes: &[u8], folder: &Path) {
        let path = (self.prepare)(bytes, folder);
        memory::bounded(self.memory(size_of(folder)), || (self.read)(&path));
    }

    /// The number of bytes that may be held while reading `size` bytes of files.
    fn memory(&self, size: usize) -> usize {
        let unpacked = if self.is_packed { PACKED * size + PACKED_ALWAYS } else { size };
        ALWAYS + self.multiple * unpacked
    }

    /// Inputs to start from.
    pub fn seeds(&self) -> Vec<Vec<u8>> {
        (self.seeds)()
    }
}

fn size_of(folder: &Path) -> usize {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let size = |entry: fs::DirEntry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => size_of(&entry.path()),
        _ => entry.metadata().map_or(0, |metadata| metadata.len() as usize),
    };
    entries.flatten().map(size).sum()
}

fn put(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, bytes).expect("room for a small file");
    path
}

fn as_file(bytes: &[u8], folder: &Path) -> PathBuf {
    put(folder, "file", bytes)
}

fn as_zip(bytes: &[u8], folder: &Path) -> PathBuf {
    put(folder, "file.zip", bytes)
}

fn as_safetensors(bytes: &[u8], folder: &Path) -> PathBuf {
    put(folder, "file.safetensors", bytes)
}

fn cached<T: Send + Sync>(at: &'static OnceLock<T>, make: impl FnOnce() -> T) -> &'static T {
    at.get_or_init(make)
}

/// Programs without edits, one for each valid file, and some with edits.
fn programs<const BASES: u8>() -> Vec<Vec<u8>> {
    let mut state = 0u64;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u8
    };
    let plain = (0..BASES).map(|base| vec![base]);
    let edits: Vec<Vec<u8>> = (0..64)
        .map(|place| [vec![place % BASES], (0..12).map(|_| next()).collect()].concat())
        .collect();
    plain.chain(edits).collect()
}

/// The file selected by the first byte, edited by the others.
fn edited_hdf5(bases: &[Vec<u8>], bytes: &[u8], folder: &Path, name: &str) -> PathBuf {
    let mut program = Program::new(bytes);
    let base = program.pick(bases);
    let path = folder.join(name);
    hdf5_file::edit(base, &path, &mut program);
    path
}

fn pickle(path: &Path) {
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

fn pickles() -> Vec<Vec<u8>> {
    let mut pickles: Vec<Vec<u8>> = made::cifar_members("python-10").into_values().collect();
    pickles.extend(made::cifar_members("python3-10").into_values());
    pickles.extend(torch_files());
    pickles.push(
        b"\x80\x02}q\x00(X\x06\x00\x00\x00labelsq\x01]q\x02(K\x06M,\x01J\xff\xff\xff\xffeu."
            .to_vec(),
    );
    pickles
}

fn weights(path: &Path) {
    let Ok(archive) = Archive::read_weights(path, "write it anew") else { return };
    for name in archive.names() {
        black_box((archive.tensor(&name).is_ok(), archive.floats(&name).is_ok()));
    }
    black_box((archive.left_out(), archive.header::<serde_json::Value>().is_ok()));
}

fn torch_files() -> Vec<Vec<u8>> {
    fixtures::all("artifact/tests/data", &[".pt", ".pth"])
}

fn safetensors_files() -> Vec<Vec<u8>> {
    fixtures::all("images/tests/data", &[".safetensors"])
}

fn npy(path: &Path) {
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

fn npy_files() -> Vec<Vec<u8>> {
    let mut files = fixtures::all("recording/tests/data/arrays", &[".npy"]);
    files.extend(fixtures::unzipped("recording/tests/data/arrays/trials.npz", "").into_values());
    for seed in 0..32u8 {
        let bytes: Vec<u8> = (0..16).map(|place| seed.wrapping_mul(place ^ 29)).collect();
        files.push([tree::header(&mut Program::new(&bytes)), vec![seed; 24]].concat());
    }
    files
}

fn scan(path: &Path) {
    black_box((read_scan(path).is_ok(), brainprior_recording::list_sensorium(path).is_ok()));
}

fn zip_files() -> Vec<Vec<u8>> {
    fixtures::all("recording/tests/data/labs", &[".zip"])
}

/// A tree as a folder or zip, depending on the first byte.
fn sensorium_tree(bytes: &[u8], folder: &Path) -> PathBuf {
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

fn static_hdf5(bytes: &[u8], folder: &Path) -> PathBuf {
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

fn nwb_file(bytes: &[u8], folder: &Path) -> PathBuf {
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

fn nwb(path: &Path) {
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

fn responses_file(bytes: &[u8], folder: &Path) -> PathBuf {
    static BASES: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    let bases = cached(&BASES, || {
        fixtures::all("recording/tests/data/labs", &["responses-arrays.h5", "responses-fixed.h5"])
    });
    edited_hdf5(bases, bytes, folder, "responses.h5")
}

fn responses(path: &Path) {
    let _ = black_box(Responses::read(path));
}

fn similarity_file(bytes: &[u8], folder: &Path) -> PathBuf {
    static BASES: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    let bases = cached(&BASES, || {
        fixtures::all("similarity/tests/data", &["similarity-arrays.h5", "similarity-fixed.h5"])
    });
    edited_hdf5(bases, bytes, folder, "similarity.h5")
}

fn similarity(path: &Path) {
    let _ = black_box(SimilarityMatrix::read(path));
    if let Ok(rows) = FileRows::open(path, "similarity") {
        let count = rows.shape().0;
        let _ = black_box(rows.read(0..count.min(8)));
    }
}

fn truth_file(bytes: &[u8], folder: &Path) -> PathBuf {
    static BASES: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    let bases = cached(&BASES, || vec![made::truth()]);
    edited_hdf5(bases, bytes, folder, "truth.h5")
}

fn truth(path: &Path) {
    let _ = black_box(simulation::read_truth(path));
}

fn any_hdf5(bytes: &[u8], folder: &Path) -> PathBuf {
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

fn inspect(path: &Path) {
    black_box((
        files::validate(path).is_ok(),
        files::inspect(path).is_ok(),
        brainprior_artifact::hdf5::sources(path).is_ok(),
    ));
}

fn labeled(path: &Path) {
    let _ = black_box(read_labeled(path));
}

fn image_sets() -> Vec<Vec<u8>> {
    fixtures::all(
        "images/tests/data",
        &["json.safetensors", "lines.safetensors", "commas.safetensors"],
    )
}

/// A classifier, or a response model if the first byte is odd.
fn checkpoint_file(bytes: &[u8], folder: &Path) -> PathBuf {
    match bytes.split_first() {
        Some((first, rest)) if first % 2 == 1 => put(folder, "model.safetensors", rest),
        Some((_, rest)) => put(folder, "network.safetensors", rest),
        None => put(folder, "network.safetensors", &[]),
    }
}

fn checkpoint(path: &Path) {
    match path.ends_with("model.safetensors") {
        true => drop(black_box(brainprior_response_model::ResponseModel::load(path))),
        false => drop(black_box(brainprior_classifier::ResNet::load(path))),
    }
}

fn checkpoints() -> Vec<Vec<u8>> {
    let network = |bytes: Vec<u8>| [vec![0], bytes].concat();
    let mut seeds = vec![network(made::network())];
    seeds.extend(torch_files().into_iter().map(network));
    seeds.push([vec![1], made::response_model()].concat());
    seeds
}

fn session() -> &'static Files {
    static BASE: OnceLock<Files> = OnceLock::new();
    cached(&BASE, || {
        fixtures::unzipped(
            "recording/tests/data/experanto/session.zip",
            "dynamic17-3-5-Video-0_30hz/",
        )
    })
}

fn experanto_folder(bytes: &[u8], folder: &Path) -> PathBuf {
    tree::write(&tree::edited(session().clone(), &mut Program::new(bytes)), folder);
    folder.to_owned()
}

fn experanto(path: &Path) {
    let _ = black_box(import::experanto(path));
}

/// One of the small files of keys, read completely.
fn meta_file(bytes: &[u8], folder: &Path) -> PathBuf {
    let (first, rest) = bytes.split_first().unwrap_or((&0, &[]));
    let mut files = session().clone();
    let names: Vec<String> = files.keys().filter(|name| name.ends_with(".yml")).cloned().collect();
    files.insert(names[usize::from(*first) % names.len()].clone(), rest.to_vec());
    tree::write(&files, folder);
    folder.to_owned()
}

fn metas() -> Vec<Vec<u8>> {
    let metas = session().iter().filter(|(name, _)| name.ends_with(".yml")).enumerate();
    metas.map(|(place, (_, content))| [vec![place as u8], content.clone()].concat()).collect()
}

/// A folder and the table of onsets, which is text or an array depending on the first byte.
fn suite2p_folder(bytes: &[u8], folder: &Path) -> PathBuf {
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

fn suite2p(path: &Path) {
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

/// A tar archive, stored without compression so that its bytes are those of the input; if the first
/// byte is odd, a folder with one file made of the rest.
fn cifar_archive(bytes: &[u8], folder: &Path) -> PathBuf {
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

fn cifar_files() -> Vec<Vec<u8>> {
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

fn picture(path: &Path) {
    let bytes = fs::read(path).expect("a file that was just written");
    let _ = black_box(
        Picture::decode(path, "picture", &bytes)
            .map(|picture| (picture.has_color(), picture.to_gray())),
    );
}

fn pictures() -> Vec<Vec<u8>> {
    fixtures::unzipped("recording/tests/data/arrays/pictures.zip", "").into_values().collect()
}

/// A layout and its arrays; if the first byte is odd, the layout is valid and the rest is the
/// archive of arrays.
fn layout_file(bytes: &[u8], folder: &Path) -> PathBuf {
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

fn layout(path: &Path) {
    let _ = black_box(import::arrays(path));
}

fn layouts() -> Vec<Vec<u8>> {
    let texts = made::LAYOUTS.iter().map(|text| [b"\0", text.as_bytes()].concat());
    texts
        .chain([
            [b"\x01".to_vec(), fixtures::bytes("recording/tests/data/arrays/trials.npz")].concat()
        ])
        .collect()
}

fn config(path: &Path) {
    let _ = black_box(Config::load(Some(path), &[]));
}

fn configs() -> Vec<Vec<u8>> {
    let text = fixtures::bytes("../xtask/configs/default.toml");
    let sections = String::from_utf8_lossy(&text).into_owned();
    let mut seeds: Vec<Vec<u8>> =
        sections.split("\n\n").map(|section| section.as_bytes().to_vec()).collect();
    seeds.push(text);
    seeds
}

/// Settings, one per line.
fn overrides(path: &Path) {
    let text = fs::read_to_string(path).unwrap_or_default();
    let settings: Vec<String> = text.lines().map(str::to_owned).collect();
    let _ = black_box(Config::load(None, &settings));
}

fn settings() -> Vec<Vec<u8>> {
    let lines = [
        "training.epochs=12",
        "name=lab",
        "training.conditions=[{ target = \"none\" }, { target = \"denoised\", alpha = 80 }]",
        "robustness.linf=[0.1, 0.2]\nseed=3",
        "response.core.channels=[4, 4]\nresponse.readout.levels=2",
        "similarity.layer='stage 2'",
    ];
    lines.iter().map(|line| line.as_bytes().to_vec()).collect()
}
