//! Files of matrices, see `data-specs/similarity.toml`.

use super::mismatch;
use super::triangle::{
    DONOR_IDS, FORMAT, Header, IMAGE_IDS, PROVENANCE, Precision, SCANS, SIMILARITY, Stored,
    TriangleFile, VERSION,
};
use crate::matrix::{pairs, row_start};
use crate::sweep::Plan;
use crate::{
    Block, Checkpoint, Error, Population, Reduction, Result, Resumable, SimilarityMatrix,
    StateReader, StateWriter, Sweep,
};
use brainprior_artifact::hdf5::Input;
use brainprior_artifact::{FileError, replace};
use brainprior_images::ImageId;
use half::f16;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Similarities converted at a time.
const CONVERTED: usize = 1 << 20;

impl SimilarityMatrix {
    /// Writes the matrix as HDF5, atomically: if the write fails, an existing file is kept.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        self.write_as(path, Precision::F32)
    }

    /// Like [`SimilarityMatrix::write`], in the given precision.
    ///
    /// # Errors
    /// See [`SimilarityMatrix::write`].
    pub fn write_as(&self, path: &Path, precision: Precision) -> Result<()> {
        match precision {
            Precision::F32 => self.write_stored::<f32>(path),
            Precision::F16 => self.write_stored::<f16>(path),
        }
    }

    fn write_stored<T: Stored>(&self, path: &Path) -> Result<()> {
        replace::file(path, |temporary| {
            let header = Header {
                ids: self.ids(),
                scans: self.scans(),
                provenance: self.provenance(),
                donors: self.donors(),
            };
            let file = TriangleFile::<T>::create(temporary, path, &header)?;
            let mut stored = Vec::with_capacity(CONVERTED.min(self.pairs()));
            for (part, values) in self.packed().chunks(CONVERTED).enumerate() {
                stored.clear();
                T::store(values, &mut stored);
                file.write(part * CONVERTED, &stored)?;
            }
            Ok(())
        })
    }

    /// Reads a file written by [`SimilarityMatrix::write`] or [`Population::write`].
    ///
    /// # Errors
    /// Returns an error if the file is not HDF5, is truncated or has another format or version, if
    /// a dataset is missing or has another shape, or if a value is outside [-1, 1].
    pub fn read(path: &Path) -> Result<Self> {
        let input = Input::open(path)?;
        let layout = |dataset: &str, expected: String, found: String| {
            mismatch(path, dataset, expected, found)
        };
        let format = input.text_attribute("format")?;
        if format != FORMAT {
            return Err(layout("attribute format", FORMAT.into(), format));
        }
        // Version 1 is the same for readers: it was not chunked and always f32.
        let version = input.integer_attribute("version")?;
        if !(1..=i64::from(VERSION)).contains(&version) {
            return Err(layout(
                "attribute version",
                format!("1 to {VERSION}"),
                version.to_string(),
            ));
        }

        let identities = |dataset, images| -> Result<Vec<ImageId>> {
            let numbers = input.numbers(dataset, &[images])?.naturals()?;
            Ok(numbers.into_iter().map(ImageId::from_u64).collect())
        };
        let ids = identities(IMAGE_IDS, None)?;
        let similarity = input.numbers(SIMILARITY, &[None])?;
        let found = similarity.shape()[0];
        if found != pairs(ids.len()) {
            let expected = format!("{} pairs of the {} image_ids", pairs(ids.len()), ids.len());
            return Err(layout(SIMILARITY, expected, found.to_string()));
        }
        let packed = if similarity.are_halves() {
            let stored = similarity.stored::<f16>()?;
            let mut packed = vec![0.0; stored.len()];
            f16::restore(&stored, &mut packed);
            packed
        } else {
            similarity.floats()?
        };
        let provenance = input.strings(PROVENANCE)?;
        let images = Some(ids.len());
        let count = |count: u64| {
            u32::try_from(count)
                .map_err(|_| layout(SCANS, "counts of scans".into(), count.to_string()))
        };
        let scans = input
            .numbers(SCANS, &[images])?
            .naturals()?
            .into_iter()
            .map(count)
            .collect::<Result<_>>()?;
        let donors =
            if input.has(DONOR_IDS)? { Some(identities(DONOR_IDS, images)?) } else { None };
        let matrix = Self::new(ids, packed, provenance).map_err(|error| match error {
            Error::Similarity { .. } => {
                layout(SIMILARITY, "values in [-1, 1]".into(), error.to_string())
            }
            error => layout(IMAGE_IDS, "at least two distinct images".into(), error.to_string()),
        })?;
        Ok(matrix.with_donors(donors).with_scans(scans))
    }
}

impl Population<'_> {
    /// Computes the matrix directly into a file, band by band, without holding it in memory. The
    /// bytes equal those of [`SimilarityMatrix::write_as`]. The unfinished file is called
    /// `<path>.partial`; progress is saved to `<path>.checkpoint` after each `every`, and a second
    /// call resumes from there.
    ///
    /// # Errors
    /// Returns an error if [`Population::reduce_resumably`] does or, with the size of the file, if
    /// the disk has too little space.
    pub fn write(
        &self,
        path: &Path,
        precision: Precision,
        sweep: &Sweep<'_>,
        every: Duration,
    ) -> Result<()> {
        match precision {
            Precision::F32 => self.write_stored::<f32>(path, sweep, every),
            Precision::F16 => self.write_stored::<f16>(path, sweep, every),
        }
    }

    fn write_stored<T: Stored>(
        &self,
        path: &Path,
        sweep: &Sweep<'_>,
        every: Duration,
    ) -> Result<()> {
        let beside = |ending: &str| -> PathBuf {
            let mut name = path.file_name().unwrap_or_default().to_owned();
            name.push(ending);
            path.with_file_name(name)
        };
        let (partial, kept) = (beside(".partial"), beside(".checkpoint"));
        // A quarter of the memory is for one band of similarities.
        let rows = (sweep.memory / 4 / (self.len() * size_of::<T>())).max(1);
        let plan = Plan::new(self, sweep.memory / 4 * 3, rows);
        let fingerprint = plan.fingerprint(self.fingerprint());
        let checkpoint = Checkpoint::at(&kept);

        let begun = kept.exists() && partial.exists();
        let file = if begun {
            TriangleFile::<T>::open(&partial, path, self.len())?
        } else {
            checkpoint.remove()?;
            std::fs::File::create(&partial)
                .map_err(FileError::refused(path, "create an unfinished file next to it"))?;
            let header = Header {
                ids: self.ids(),
                scans: &self.scans_of_images(),
                provenance: &self.provenance(),
                donors: None,
            };
            TriangleFile::<T>::create(&partial, path, &header).inspect_err(|_| {
                let _ = std::fs::remove_file(&partial);
            })?
        };
        let reduction = Bands { images: self.len(), plan: &plan, file: &file };
        let (state, first) = match checkpoint.read(fingerprint, &reduction)? {
            Some((from, tasks)) => (Band::reread(from, &reduction)?, tasks),
            None => (reduction.start(), 0),
        };
        let mut last = std::time::Instant::now();
        let mut keep = |state: &Band<T>, merged: crate::sweep::Merged| {
            if merged.interrupted || last.elapsed() >= every {
                state.write(&reduction)?;
                file.sync()?;
                checkpoint.write(fingerprint, merged.tasks, &reduction, state)?;
                last = std::time::Instant::now();
            }
            Ok(())
        };
        self.sweep(&reduction, &plan, (state, first), sweep, &mut keep)?;
        file.sync()?;
        replace::with_finished(path, &partial)?;
        checkpoint.remove()
    }
}

/// Writes bands of complete rows, each of which is contiguous in the triangle.
struct Bands<'a, T> {
    images: usize,
    plan: &'a Plan,
    file: &'a TriangleFile<T>,
}

/// The current band.
struct Band<T> {
    rows: Range<usize>,
    values: Vec<T>,
    /// Number of pairs filled in.
    filled: usize,
}

impl<T: Stored> Band<T> {
    fn of(rows: Range<usize>, images: usize) -> Self {
        let mut band = Self { rows: 0..0, values: Vec::new(), filled: 0 };
        band.go_on(rows, images);
        band
    }

    /// Reuses the memory of a band for other rows, which are all overwritten before the band is
    /// written. Allocating fresh pages for each band would cost more than copying into them.
    fn go_on(&mut self, rows: Range<usize>, images: usize) {
        self.values
            .resize(row_start(images, rows.end) - row_start(images, rows.start), T::default());
        (self.rows, self.filled) = (rows, 0);
    }

    fn write(&self, bands: &Bands<'_, T>) -> Result<()> {
        bands.file.write(row_start(bands.images, self.rows.start), &self.values)
    }

    /// Reads back the written part of an unfinished band.
    fn reread(mut self, bands: &Bands<'_, T>) -> Result<Self> {
        bands.file.read(row_start(bands.images, self.rows.start), &mut self.values)?;
        Ok(self)
    }
}

impl<T: Stored> Reduction for Bands<'_, T> {
    /// Rows and columns of the block, and the pairs of its rows, one row after the other.
    type Part = (Range<usize>, Range<usize>, Vec<T>);
    type State = Band<T>;

    fn start(&self) -> Band<T> {
        Band::of(self.plan.band_of(0), self.images)
    }

    fn block(&self, block: &Block<'_>) -> Self::Part {
        let mut stored = Vec::with_capacity(block.pairs());
        for row in block.rows() {
            T::store(block.row(row).1, &mut stored);
        }
        (block.rows(), block.columns(), stored)
    }

    fn merge(
        &self,
        band: &mut Band<T>,
        (rows, columns, stored): Self::Part,
        pairs: usize,
    ) -> Result<()> {
        if !band.rows.contains(&rows.start) {
            band.go_on(self.plan.band_of(rows.start), self.images);
        }
        let origin = row_start(self.images, band.rows.start);
        let mut rest = &stored[..];
        for row in rows {
            let first = columns.start.max(row + 1).min(columns.end);
            let (own, others) = rest.split_at(columns.end - first);
            let start = row_start(self.images, row) + first - row - 1 - origin;
            if !own.is_empty() {
                band.values[start..start + own.len()].copy_from_slice(own);
            }
            rest = others;
        }
        band.filled += pairs;
        if band.filled == band.values.len() { band.write(self) } else { Ok(()) }
    }
}

impl<T: Stored> Resumable for Bands<'_, T> {
    fn settings(&self) -> u64 {
        size_of::<T>() as u64
    }

    fn save(&self, band: &Band<T>, to: &mut StateWriter) {
        to.number(band.rows.start as u64);
        to.number(band.filled as u64);
    }

    fn load(&self, from: &mut StateReader<'_>) -> Option<Band<T>> {
        let (first, filled) = (from.number()? as usize, from.number()? as usize);
        let band = Band {
            filled,
            ..Band::of(self.plan.band_of((first < self.images).then_some(first)?), self.images)
        };
        (filled <= band.values.len()).then_some(band)
    }
}
