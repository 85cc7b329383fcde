//! The arrays of one plane: one row of samples per region of interest, read one at a time.

use crate::Result;
use crate::import::clock::means;
use brainprior_artifact::npy::{Header, Npy, Values};
use brainprior_artifact::{FileError, unpacked};
use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Bytes that are enough for the header of an array file.
const HEADER: u64 = 4096;

/// An array `(rois, samples)` of f4 or f8.
pub(super) struct Rows {
    path: PathBuf,
    file: File,
    start: u64,
    bytes: usize,
    pub rois: usize,
    pub samples: usize,
}

impl Rows {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let advice = "give the folder that suite2p wrote, or a plane in it; import other arrays with `import arrays`";
        let file = File::open(path)
            .map_err(|error| FileError::refused(path, "open")(error).advise(advice))?;
        let mut start = vec![];
        (&file).take(HEADER).read_to_end(&mut start).map_err(FileError::refused(path, "read"))?;
        let header = Header::parse(&start).map_err(|problem| problem.of(path, "the array"))?;
        let (rois, samples, bytes) = match (&header.shape[..], header.stored_as().as_deref()) {
            ([rois, samples], Some("f4")) => (*rois, *samples, 4),
            ([rois, samples], Some("f8")) => (*rois, *samples, 8),
            _ => {
                let found = format!("shape {:?} of {}", header.shape, header.dtype());
                let advice = "check that suite2p wrote it";
                return Err(FileError::mismatch(
                    path,
                    "the array",
                    "rois x samples, f4 or f8",
                    found,
                    advice,
                )
                .into());
            }
        };
        let length = file.metadata().map_err(FileError::refused(path, "read"))?.len();
        let data = rois
            .checked_mul(samples)
            .and_then(|values| values.checked_mul(bytes))
            .map(|data| data as u64);
        if data.is_none_or(|data| length.checked_sub(header.start as u64) != Some(data))
            || data == Some(0)
        {
            let wanted = data.map_or("more than 2^64".to_owned(), |data| {
                (header.start as u64 + data).to_string()
            });
            let expected = format!(
                "{wanted} bytes, for {rois} rois x {samples} samples, at least one of each"
            );
            let advice = "the file is truncated: copy it again";
            return Err(FileError::mismatch(
                path,
                "the file",
                expected,
                length.to_string(),
                advice,
            )
            .into());
        }
        Ok(Self { path: path.to_owned(), file, start: header.start as u64, bytes, rois, samples })
    }

    /// Checks that one number per window and ROI does not exceed what the file may decompress to.
    pub(super) fn check_windows(&self, windows: usize) -> Result<()> {
        let length = (self.rois * self.samples * self.bytes) as u64;
        unpacked::check_rows(&self.path, length, windows, self.rois).map_err(Into::into)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Checks that another array has the same ROIs and samples.
    pub(super) fn check_same(&self, other: &Self) -> Result<()> {
        if (self.rois, self.samples) == (other.rois, other.samples) {
            return Ok(());
        }
        let expected = format!(
            "{} rois x {} samples, like {}",
            other.rois,
            other.samples,
            other.path.display()
        );
        let found = format!("{} x {}", self.rois, self.samples);
        Err(FileError::mismatch(&self.path, "the array", expected, found, "copy the folder again")
            .into())
    }

    /// The samples of an ROI.
    pub(super) fn row(&self, roi: usize) -> Result<Vec<f64>> {
        let length = self.samples * self.bytes;
        let mut bytes = vec![0; length];
        let read = self.file.read_exact_at(&mut bytes, self.start + (roi * length) as u64);
        read.map_err(|error| {
            FileError::refused(&self.path, "read")(error).in_dataset(format!("roi {roi}"))
        })?;
        Ok(match self.bytes {
            4 => {
                bytes.as_chunks().0.iter().map(|value| f32::from_le_bytes(*value).into()).collect()
            }
            _ => bytes.as_chunks().0.iter().map(|value| f64::from_le_bytes(*value)).collect(),
        })
    }
}

/// Whether each ROI of `iscell.npy` is a cell; `None` without that file.
pub(super) fn cells(path: &Path, rois: usize) -> Result<Option<Vec<bool>>> {
    if !path.exists() {
        return Ok(None);
    }
    let bytes = std::fs::read(path).map_err(FileError::refused(path, "read"))?;
    let Npy { shape, values } =
        Npy::parse(&bytes).map_err(|problem| problem.of(path, "the array"))?;
    let values: Vec<f64> = match values {
        Values::Doubles(values) => values,
        Values::Floats(values) => values.into_iter().map(f64::from).collect(),
        Values::Integers(values) => values.into_iter().map(|value| value as f64).collect(),
        Values::Bytes(values) => values.into_iter().map(f64::from).collect(),
        Values::Large(_) | Values::Strings(_) => vec![],
    };
    if ![vec![rois, 2], vec![rois]].contains(&shape) || values.is_empty() {
        let expected = format!("{rois} rois x 2: whether each is a cell, and its probability");
        let advice = "it is from another run of suite2p: copy the folder again";
        return Err(FileError::mismatch(
            path,
            "the array",
            expected,
            format!("shape {shape:?}"),
            advice,
        )
        .into());
    }
    Ok(Some(values.chunks(shape.get(1).copied().unwrap_or(1)).map(|row| row[0] == 1.0).collect()))
}

/// The mean of an ROI's samples in each window, minus a multiple of another trace if given.
pub(super) fn mean_of(
    rows: &Rows,
    less: Option<(&Rows, f64)>,
    roi: usize,
    windows: &[Range<usize>],
) -> Result<Vec<f64>> {
    let mut trace = rows.row(roi)?;
    if let Some((other, factor)) = less {
        trace.iter_mut().zip(other.row(roi)?).for_each(|(value, other)| *value -= factor * other);
    }
    Ok(means(&trace, windows))
}
