//! Every reader of untrusted files as a function of bytes. Where raw bytes would not get past a
//! header or checksum, they are a [program](program) of edits to valid files.
//!
//! A reader may return any error. It must not panic, overflow, take long, or hold more than
//! [`Reader::memory`] allows.

mod artifacts;
mod fixtures;
mod hdf5_file;
mod made;
pub mod memory;
mod pictures;
mod program;
mod scans;
mod settings;
mod tree;
mod weights;

use program::Program;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

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
        read: weights::pickle,
        seeds: weights::pickles,
    },
    Reader {
        name: "torch",
        multiple: 300,
        is_packed: false,
        prepare: as_file,
        read: weights::weights,
        seeds: weights::torch_files,
    },
    // Strings of one letter take 24 bytes and a block each.
    Reader {
        name: "npy",
        multiple: 80,
        is_packed: false,
        prepare: as_file,
        read: scans::npy,
        seeds: scans::npy_files,
    },
    Reader {
        name: "zip",
        multiple: 80,
        is_packed: true,
        prepare: as_zip,
        read: scans::scan,
        seeds: scans::zip_files,
    },
    Reader {
        name: "sensorium",
        multiple: 80,
        is_packed: true,
        prepare: scans::sensorium_tree,
        read: scans::scan,
        seeds: programs::<3>,
    },
    Reader {
        name: "static-hdf5",
        multiple: 24,
        is_packed: true,
        prepare: scans::static_hdf5,
        read: scans::scan,
        seeds: programs::<10>,
    },
    Reader {
        name: "nwb",
        multiple: 24,
        is_packed: true,
        prepare: scans::nwb_file,
        read: scans::nwb,
        seeds: programs::<4>,
    },
    Reader {
        name: "responses",
        multiple: 24,
        is_packed: true,
        prepare: artifacts::responses_file,
        read: artifacts::responses,
        seeds: programs::<2>,
    },
    Reader {
        name: "similarity",
        multiple: 24,
        is_packed: true,
        prepare: artifacts::similarity_file,
        read: artifacts::similarity,
        seeds: programs::<2>,
    },
    Reader {
        name: "truth",
        multiple: 24,
        is_packed: true,
        prepare: artifacts::truth_file,
        read: artifacts::truth,
        seeds: programs::<1>,
    },
    Reader {
        name: "inspect",
        multiple: 24,
        is_packed: true,
        prepare: artifacts::any_hdf5,
        read: artifacts::inspect,
        seeds: programs::<8>,
    },
    Reader {
        name: "safetensors",
        multiple: 300,
        is_packed: false,
        prepare: as_safetensors,
        read: weights::weights,
        seeds: weights::safetensors_files,
    },
    Reader {
        name: "image-set",
        multiple: 300,
        is_packed: false,
        prepare: as_safetensors,
        read: weights::labeled,
        seeds: weights::image_sets,
    },
    Reader {
        name: "checkpoint",
        multiple: 300,
        is_packed: false,
        prepare: weights::checkpoint_file,
        read: weights::checkpoint,
        seeds: weights::checkpoints,
    },
    Reader {
        name: "experanto",
        multiple: 80,
        is_packed: false,
        prepare: scans::experanto_folder,
        read: scans::experanto,
        seeds: programs::<1>,
    },
    Reader {
        name: "suite2p",
        multiple: 80,
        is_packed: true,
        prepare: scans::suite2p_folder,
        read: scans::suite2p,
        seeds: programs::<2>,
    },
    Reader {
        name: "yaml",
        multiple: 300,
        is_packed: false,
        prepare: scans::meta_file,
        read: scans::experanto,
        seeds: scans::metas,
    },
    Reader {
        name: "cifar",
        multiple: 300,
        is_packed: true,
        prepare: pictures::cifar_archive,
        read: weights::labeled,
        seeds: pictures::cifar_files,
    },
    Reader {
        name: "picture",
        multiple: 64,
        is_packed: true,
        prepare: as_file,
        read: pictures::picture,
        seeds: pictures::pictures,
    },
    Reader {
        name: "layout",
        multiple: 300,
        is_packed: true,
        prepare: pictures::layout_file,
        read: pictures::layout,
        seeds: pictures::layouts,
    },
    Reader {
        name: "config",
        multiple: 300,
        is_packed: false,
        prepare: as_file,
        read: settings::config,
        seeds: settings::configs,
    },
    Reader {
        name: "overrides",
        multiple: 300,
        is_packed: false,
        prepare: as_file,
        read: settings::overrides,
        seeds: settings::settings,
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
