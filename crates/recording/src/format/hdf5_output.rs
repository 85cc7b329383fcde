//! Writes HDF5 files atomically; errors name the file and the dataset.

use crate::{Error, Result};
use brainprior_artifact::hdf5::write_chunk;
use brainprior_artifact::{FileError, replace};
use bytemuck::NoUninit;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use hdf5::H5Type;
use hdf5::types::{FixedAscii, TypeDescriptor, VarLenUnicode};
use ndarray::{Array2, ArrayBase, Data, Dimension};
use rayon::prelude::*;
use std::io::Write;
use std::path::Path;

/// Longest string that can be written, in bytes.
const LONGEST: usize = 64;
/// Datasets of at least this many bytes are compressed in chunks of about this size.
const CHUNK: usize = 1 << 18;
/// Compression level of chunks.
const LEVEL: u8 = 4;
/// Number of chunks that are compressed in parallel before they are written.
const BATCH: usize = 64;
const ADVICE: &str = "check that the folder exists and that the disk has space";

/// An HDF5 file that is being written.
pub(crate) struct Output {
    path: std::path::PathBuf,
    file: hdf5::File,
}

/// Replaces `path` with a new HDF5 file that `fill` writes.
pub(crate) fn write(path: &Path, fill: impl FnOnce(&mut Output) -> Result<()>) -> Result<()> {
    replace::file(path, |temporary| {
        // The file is built in memory and written as a whole, because HDF5 (1.14) crashes when a
        // dataset does not fit on the disk.
        let created = hdf5::File::with_options()
            .with_fapl(|access| access.core_options(CHUNK, true))
            .with_fcpl(|creation| creation.obj_track_times(false))
            .create(temporary);
        let file = created.map_err(|source| failed(path, "/", "create", source, ADVICE))?;
        let mut output = Output { path: path.to_owned(), file };
        fill(&mut output)?;
        output.file.flush().map_err(|source| failed(path, "/", "write", source, ADVICE))?;
        output.file.close().map_err(|source| failed(path, "/", "close", source, ADVICE))
    })
}

impl Output {
    /// Writes a dataset of any shape. Large ones are chunked along rows, shuffled and compressed.
    /// The modification time is not stored, so that equal content gives equal files.
    pub(crate) fn array<T: H5Type + NoUninit, S: Data<Elem = T>, D: Dimension>(
        &mut self,
        name: &str,
        values: &ArrayBase<S, D>,
    ) -> Result<()> {
        let builder = self.file.new_dataset_builder().obj_track_times(false);
        if values.ndim() == 0 || values.len() * size_of::<T>() < CHUNK {
            return builder
                .with_data(values.view())
                .create(name)
                .map(|_| ())
                .map_err(|source| self.failed(name, source));
        }
        let row = size_of::<T>() * values.shape().iter().skip(1).product::<usize>();
        let mut chunk = values.shape().to_vec();
        chunk[0] = (CHUNK / row).clamp(1, chunk[0]);
        let rows = chunk[0];
        let builder =
            builder.empty::<T>().shape(values.shape()).chunk(chunk).shuffle().deflate(LEVEL);
        let dataset = builder.create(name).map_err(|source| self.failed(name, source))?;
        let values = values.as_standard_layout();
        let bytes: &[u8] = bytemuck::cast_slice(values.as_slice().expect("in its standard layout"));
        let chunks: Vec<&[u8]> = bytes.chunks(rows * row).collect();
        for (batch, of_batch) in chunks.chunks(BATCH).enumerate() {
            let packed: Vec<Vec<u8>> = of_batch
                .par_iter()
                .map(|chunk| packed(chunk, size_of::<T>(), rows * row))
                .collect();
            for (index, packed) in packed.iter().enumerate() {
                let mut offset = vec![0; values.ndim()];
                offset[0] = ((batch * BATCH + index) * rows) as u64;
                write_chunk(&dataset, &offset, packed)
                    .map_err(|source| self.failed(name, source))?;
            }
        }
        Ok(())
    }

    pub(crate) fn matrix(&mut self, name: &str, values: &Array2<f32>) -> Result<()> {
        self.array(name, values)
    }

    pub(crate) fn integers(&mut self, name: &str, values: &[i64]) -> Result<()> {
        self.array(name, &ndarray::ArrayView1::from(values))
    }

    /// Writes byte strings of equal length, NUL-padded: the length of the longest string, but at
    /// least `shortest`.
    pub(crate) fn strings<'a>(
        &mut self,
        name: &str,
        values: impl Iterator<Item = &'a str>,
        shortest: usize,
    ) -> Result<()> {
        let values: Vec<&str> = values.collect();
        let length = values.iter().map(|value| value.len()).max().unwrap_or(0).max(shortest);
        let fixed: Vec<FixedAscii<LONGEST>> = values
            .iter()
            .map(|value| {
                let expected = || format!("ASCII text of at most {LONGEST} bytes");
                let wrong = |_| {
                    FileError::mismatch(
                        &self.path,
                        name,
                        expected(),
                        format!("{value:?}"),
                        "shorten or rename it",
                    )
                };
                Ok(FixedAscii::from_ascii(value.as_bytes()).map_err(wrong)?)
            })
            .collect::<Result<_>>()?;
        let data = ndarray::ArrayView1::from(&fixed);
        let builder = self
            .file
            .new_dataset_builder()
            .obj_track_times(false)
            .with_data_as(data, &TypeDescriptor::FixedAscii(length));
        builder.create(name).map(|_| ()).map_err(|source| self.failed(name, source))
    }

    /// Writes a string attribute of the file.
    pub(crate) fn text_attribute(&mut self, name: &str, value: &str) -> Result<()> {
        let value: VarLenUnicode = value.replace('\0', " ").parse().expect("text without NUL");
        let attribute = self.file.new_attr::<VarLenUnicode>().create(name);
        attribute
            .and_then(|attribute| attribute.write_scalar(&value))
            .map_err(|source| self.failed(name, source))
    }

    /// Writes an integer attribute of the file.
    pub(crate) fn integer_attribute(&mut self, name: &str, value: i64) -> Result<()> {
        let attribute = self.file.new_attr::<i64>().create(name);
        attribute
            .and_then(|attribute| attribute.write_scalar(&value))
            .map_err(|source| self.failed(name, source))
    }

    fn failed(&self, name: &str, source: hdf5::Error) -> Error {
        failed(&self.path, name, "write", source, ADVICE)
    }
}

/// Applies the filters shuffle and deflate to a chunk: first bytes of all numbers, then second
/// bytes and so on, compressed. The last chunk of a dataset is padded with zeros.
fn packed(chunk: &[u8], width: usize, full: usize) -> Vec<u8> {
    let mut shuffled = vec![0; full];
    for (place, plane) in shuffled.chunks_exact_mut(full / width).enumerate() {
        for (shuffled, number) in plane.iter_mut().zip(chunk.chunks_exact(width)) {
            *shuffled = number[place];
        }
    }
    let mut encoder = ZlibEncoder::new(Vec::with_capacity(full), Compression::new(LEVEL.into()));
    encoder
        .write_all(&shuffled)
        .and_then(|()| encoder.finish())
        .expect("memory takes what is written")
}

fn failed(
    path: &Path,
    dataset: &str,
    doing: &'static str,
    source: hdf5::Error,
    advice: &'static str,
) -> Error {
    FileError::refused(path, doing)(source).in_dataset(dataset).advise(advice).into()
}
