//! The HDF5 file of a matrix during its computation.
//!
//! HDF5 lays the file out and closes it before the first similarity is written: chunks have fixed
//! offsets from the start, and blocks are written directly to them. Threads therefore do not wait
//! for the library's lock, a full disk is an ordinary I/O error, and written data survive a kill.

use super::{mismatch, refused};
use crate::Result;
use crate::matrix::pairs;
use brainprior_artifact::FileError;
use brainprior_images::ImageId;
use bytemuck::Pod;
use half::f16;
use half::slice::HalfFloatSliceExt;
use hdf5::H5Type;
use hdf5::plist::dataset_create::{AllocTime, FillTime};
use hdf5::types::VarLenUnicode;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc;

pub(crate) const FORMAT: &str = "brainprior-similarity";
pub(crate) const VERSION: u32 = 2;
pub(crate) const IMAGE_IDS: &str = "image_ids";
pub(crate) const SIMILARITY: &str = "similarity";
pub(crate) const SCANS: &str = "scans";
pub(crate) const PROVENANCE: &str = "provenance";
pub(crate) const DONOR_IDS: &str = "donor_ids";

/// Pairs per chunk: 1 MiB of f32, the default chunk cache of readers.
const CHUNK: usize = 1 << 18;

/// Bytes that may be written before they are synced in the background.
const UNSYNCED: u64 = 4 << 20;

/// The precision of similarities in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// Four bytes: as computed.
    #[default]
    F32,
    /// Two bytes: rounded to 11 bits, with an error of at most 2^-12 = 0.00024.
    F16,
}

impl Precision {
    /// Bytes of one similarity.
    pub fn bytes(self) -> usize {
        match self {
            Self::F32 => size_of::<f32>(),
            Self::F16 => size_of::<f16>(),
        }
    }
}

/// A floating-point type in files.
pub(crate) trait Stored: H5Type + Pod + Send + Sync + Default {
    /// Converts values and appends them.
    fn store(from: &[f32], to: &mut Vec<Self>);
    fn restore(from: &[Self], to: &mut [f32]);
}

impl Stored for f32 {
    fn store(from: &[f32], to: &mut Vec<Self>) {
        to.extend_from_slice(from);
    }

    fn restore(from: &[Self], to: &mut [f32]) {
        to.copy_from_slice(from);
    }
}

impl Stored for f16 {
    fn store(from: &[f32], to: &mut Vec<Self>) {
        let start = to.len();
        to.resize(start + from.len(), Self::ZERO);
        to[start..].convert_from_f32_slice(from);
    }

    fn restore(from: &[Self], to: &mut [f32]) {
        from.convert_to_f32_slice(to);
    }
}

/// The content of a file besides the similarities.
#[derive(Clone, Debug)]
pub(crate) struct Header<'a> {
    pub(crate) ids: &'a [ImageId],
    pub(crate) scans: &'a [u32],
    pub(crate) provenance: &'a [String],
    pub(crate) donors: Option<&'a [ImageId]>,
}

/// An open file whose chunks have fixed offsets.
pub(crate) struct TriangleFile<T> {
    path: PathBuf,
    file: File,
    /// Offset of each chunk in bytes.
    chunks: Vec<u64>,
    chunk: usize,
    flusher: Flusher,
    stored: std::marker::PhantomData<T>,
}

impl<T: Stored> TriangleFile<T> {
    /// Lays out the existing empty file `at`, which will become `path`.
    pub(crate) fn create(at: &Path, path: &Path, header: &Header<'_>) -> Result<Self> {
        let count = pairs(header.ids.len());
        // HDF5 (1.14) crashes when the disk is full, so the space is reserved before: the whole
        // length for limits on file size, and as many real bytes as HDF5 itself will write.
        let own = (1 << 20)
            + 20 * header.ids.len()
            + 64 * count.div_ceil(CHUNK)
            + header.provenance.iter().map(String::len).sum::<usize>();
        let room =
            File::options().write(true).open(at).map_err(FileError::refused(path, "open"))?;
        room.set_len((own + count * size_of::<T>()) as u64)
            .and_then(|()| room.write_all_at(&vec![0; own], 0))
            .and_then(|()| room.set_len(0))
            .map_err(|source| {
                let doing =
                    format!("reserve {:.3} GB for it", (own + count * size_of::<T>()) as f64 / 1e9);
                FileError::refused(path, doing)(source)
                    .advise("use another disk, half precision, or fewer images")
            })?;
        lay_out::<T>(at, header)
            .map_err(|(dataset, source)| refused(path, "write", dataset)(source))?;
        Self::open(at, path, header.ids.len())
    }

    /// Opens a file that [`TriangleFile::create`] laid out, to resume.
    pub(crate) fn open(at: &Path, path: &Path, images: usize) -> Result<Self> {
        let (chunk, chunks) = places(at, path, pairs(images), size_of::<T>())?;
        let file = File::options()
            .read(true)
            .write(true)
            .open(at)
            .map_err(FileError::refused(path, "open"))?;
        let flusher = Flusher::start(&file).map_err(FileError::refused(path, "open"))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            chunks,
            chunk,
            flusher,
            stored: std::marker::PhantomData,
        })
    }

    /// Writes the similarities of consecutive pairs, from pair `first` of the triangle on.
    pub(crate) fn write(&self, first: usize, values: &[T]) -> Result<()> {
        let bytes: &[u8] = bytemuck::cast_slice(values);
        for (place, part) in self.parts(first, values.len()) {
            let written = self.file.write_all_at(&bytes[part], place);
            written.map_err(|source| {
                FileError::refused(&self.path, "write")(source).in_dataset(SIMILARITY)
            })?;
        }
        self.flusher.written(bytes.len() as u64);
        Ok(())
    }

    /// Reads the similarities of consecutive pairs.
    pub(crate) fn read(&self, first: usize, values: &mut [T]) -> Result<()> {
        let count = values.len();
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(values);
        for (place, part) in self.parts(first, count) {
            let read = self.file.read_exact_at(&mut bytes[part], place);
            read.map_err(|source| {
                FileError::refused(&self.path, "read")(source).in_dataset(SIMILARITY)
            })?;
        }
        Ok(())
    }

    /// Waits until all data are on the disk.
    pub(crate) fn sync(&self) -> Result<()> {
        Ok(self.file.sync_all().map_err(FileError::refused(&self.path, "sync the file"))?)
    }

    /// Contiguous byte ranges of the file, and the range of values for each.
    fn parts(&self, first: usize, count: usize) -> Vec<(u64, std::ops::Range<usize>)> {
        let size = size_of::<T>();
        let mut parts: Vec<(u64, std::ops::Range<usize>)> = Vec::new();
        let mut pair = first;
        while pair < first + count {
            let (chunk, within) = (pair / self.chunk, pair % self.chunk);
            let length = (self.chunk - within).min(first + count - pair);
            let place = self.chunks[chunk] + (within * size) as u64;
            let bytes = (pair - first) * size..(pair - first + length) * size;
            match parts.last_mut() {
                Some((start, last)) if *start + last.len() as u64 == place => last.end = bytes.end,
                _ => parts.push((place, bytes)),
            }
            pair += length;
        }
        parts
    }
}

fn lay_out<T: Stored>(
    at: &Path,
    header: &Header<'_>,
) -> std::result::Result<(), (&'static str, hdf5::Error)> {
    let failed = |dataset| move |source| (dataset, source);
    // Without modification times, so that equal matrices give equal bytes.
    let file = hdf5::File::with_options()
        .with_fcpl(|creation| creation.obj_track_times(false))
        .create(at)
        .map_err(failed("/"))?;
    let text =
        |text: &str| text.replace('\0', " ").parse::<VarLenUnicode>().expect("no NUL is left");
    file.new_attr::<VarLenUnicode>()
        .create("format")
        .and_then(|a| a.write_scalar(&text(FORMAT)))
        .map_err(failed("format"))?;
    file.new_attr::<u32>()
        .create("version")
        .and_then(|a| a.write_scalar(&VERSION))
        .map_err(failed("version"))?;
    let numbers = |ids: &[ImageId]| -> Vec<u64> { ids.iter().map(|id| id.to_u64()).collect() };
    file.new_dataset_builder()
        .with_data(&numbers(header.ids))
        .create(IMAGE_IDS)
        .map_err(failed(IMAGE_IDS))?;
    file.new_dataset_builder().with_data(header.scans).create(SCANS).map_err(failed(SCANS))?;
    let steps: Vec<VarLenUnicode> = header.provenance.iter().map(|step| text(step)).collect();
    file.new_dataset_builder().with_data(&steps).create(PROVENANCE).map_err(failed(PROVENANCE))?;
    if let Some(donors) = header.donors {
        file.new_dataset_builder()
            .with_data(&numbers(donors))
            .create(DONOR_IDS)
            .map_err(failed(DONOR_IDS))?;
    }
    let count = pairs(header.ids.len());
    file.new_dataset_builder()
        .chunk(count.min(CHUNK))
        .alloc_time(Some(AllocTime::Early))
        .fill_time(FillTime::Never)
        .empty::<T>()
        .shape(count)
        .create(SIMILARITY)
        .map_err(failed(SIMILARITY))?;
    file.flush().and_then(|()| file.close()).map_err(failed("/"))
}

/// Pairs per chunk, and the offset of each chunk.
fn places(at: &Path, path: &Path, count: usize, size: usize) -> Result<(usize, Vec<u64>)> {
    let failed = || refused(path, "locate the chunks of", SIMILARITY);
    let dataset =
        hdf5::File::open(at).and_then(|file| file.dataset(SIMILARITY)).map_err(failed())?;
    let layout = |found: String| {
        mismatch(path, SIMILARITY, format!("chunks for {count} pairs of {size} bytes"), found)
    };
    let stored = dataset.dtype().map_err(failed())?.size();
    let chunk = match dataset.chunk() {
        Some(shape) if shape.len() == 1 && stored == size && dataset.shape() == [count] => shape[0],
        other => {
            return Err(layout(format!(
                "chunks {other:?} of {:?} values of {stored} bytes",
                dataset.shape()
            )));
        }
    };
    let mut places = vec![None; count.div_ceil(chunk)];
    dataset
        .chunks_visit(|info| {
            places[info.offset[0] as usize / chunk] = Some(info.addr);
            0
        })
        .map_err(failed())?;
    let found = places.iter().flatten().count();
    let places = places
        .into_iter()
        .collect::<Option<Vec<u64>>>()
        .ok_or_else(|| layout(format!("{found} chunks with an offset")))?;
    Ok((chunk, places))
}

/// A thread that syncs written data while the next block is computed; it mostly waits and needs no
/// CPU time.
struct Flusher {
    written: std::sync::atomic::AtomicU64,
    wake: Option<mpsc::SyncSender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Flusher {
    fn start(file: &File) -> std::io::Result<Self> {
        let file = file.try_clone()?;
        let (wake, woken) = mpsc::sync_channel(1);
        // An error is returned by the last sync, which waits for everything.
        let thread =
            std::thread::spawn(
                move || while woken.recv().is_ok_and(|()| file.sync_data().is_ok()) {},
            );
        Ok(Self { written: 0.into(), wake: Some(wake), thread: Some(thread) })
    }

    fn written(&self, bytes: u64) {
        use std::sync::atomic::Ordering::Relaxed;
        let before = self.written.fetch_add(bytes, Relaxed);
        if (before + bytes) / UNSYNCED > before / UNSYNCED {
            // If the channel is full, the thread will sync once more anyway.
            let _ = self.wake.as_ref().expect("taken only when dropped").try_send(());
        }
    }
}

impl Drop for Flusher {
    fn drop(&mut self) {
        self.wake.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
