//! Regularly sampled signals: rows of samples on disk, read on demand.

use super::meta::Meta;
use crate::Result;
use brainprior_artifact::npy::{Header, Npy, Values};
use brainprior_artifact::{FileError, unpacked};
use half::f16;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Bytes that are enough for the header of an array file.
const HEADER: u64 = 4096;

/// Tolerance, in samples, for a time that coincides with a sample. Times are stored as f64, whose
/// rounding is a quarter of a microsecond for seconds since 1970.
const ROUNDING: f64 = 1e-4;

/// Signals, each with its own sampling times.
pub(super) struct Series {
    path: PathBuf,
    file: File,
    /// Offset of the samples in the file.
    start_byte: u64,
    kind: Kind,
    pub samples: usize,
    pub signals: usize,
    pub rate: f64,
    pub start_time: f64,
    /// Phase shift of each signal in seconds; empty if there are none.
    shifts: Vec<f64>,
}

#[derive(Clone, Copy)]
enum Kind {
    F16,
    F32,
    F64,
    U8,
    I16,
    U16,
    I32,
    I64,
}

impl Series {
    /// Opens the folder of a modality `sequence`.
    pub(super) fn open(folder: &Path) -> Result<Self> {
        let meta = Meta::read(&folder.join("meta.yml"))?;
        let modality = meta.required_text("modality")?;
        if modality != "sequence" {
            return Err(meta.mismatch("modality", "sequence", modality).into());
        }
        let (rate, start_time, signals) =
            (meta.number("sampling_rate")?, meta.number("start_time")?, meta.count("n_signals")?);
        if rate <= 0.0 || signals == 0 {
            let found = format!("{signals} signals at {rate} Hz");
            return Err(meta.mismatch("sampling_rate", "signals at a rate above 0", found).into());
        }
        let (path, start_byte, kind, samples) = match meta.flag("is_mem_mapped", false)? {
            true => {
                let name = meta.required_text("dtype")?;
                let Some(kind) = Kind::of(&name) else {
                    return Err(meta
                        .mismatch(
                            "dtype",
                            "float16 to float64 or an integer type, little-endian",
                            name,
                        )
                        .into());
                };
                (folder.join("data.mem"), 0, kind, meta.count("n_timestamps")?)
            }
            false => {
                let path = folder.join("data.npy");
                let mut start = vec![];
                let file = File::open(&path).map_err(FileError::refused(&path, "open"))?;
                file.take(HEADER)
                    .read_to_end(&mut start)
                    .map_err(FileError::refused(&path, "read"))?;
                let header =
                    Header::parse(&start).map_err(|problem| problem.of(&path, "the array"))?;
                let (kind, samples) = match (
                    <[usize; 2]>::try_from(&header.shape[..]),
                    header.stored_as().and_then(|name| Kind::of(&name)),
                ) {
                    (Ok([samples, found]), Some(kind)) if found == signals => (kind, samples),
                    _ => {
                        let expected =
                            format!("samples x {signals} signals, rows first, little-endian");
                        let found = format!("shape {:?} of {}", header.shape, header.dtype());
                        let advice =
                            "save it in this layout, for example after numpy.ascontiguousarray";
                        return Err(FileError::mismatch(
                            &path,
                            "the array",
                            expected,
                            found,
                            advice,
                        )
                        .into());
                    }
                };
                (path, header.start as u64, kind, samples)
            }
        };
        let file = File::open(&path).map_err(FileError::refused(&path, "open"))?;
        let length = file.metadata().map_err(FileError::refused(&path, "read"))?.len();
        let data = samples
            .checked_mul(signals)
            .and_then(|values| values.checked_mul(kind.bytes()))
            .map(|data| data as u64);
        if data.is_none_or(|data| length.checked_sub(start_byte) != Some(data)) || data == Some(0) {
            let wanted =
                data.map_or("more than 2^64".to_owned(), |data| (start_byte + data).to_string());
            let expected = format!(
                "{wanted} bytes, for {samples} samples of {signals} signals, at least one of each"
            );
            let advice = "the file is truncated or meta.yml belongs to another one: copy the recording again";
            return Err(FileError::mismatch(
                &path,
                "the file",
                expected,
                length.to_string(),
                advice,
            )
            .into());
        }
        let shifts = match meta.flag("phase_shift_per_signal", false)? {
            true => doubles(&folder.join("meta/phase_shifts.npy"), Some(signals))?,
            false => vec![],
        };
        Ok(Self { path, file, start_byte, kind, samples, signals, rate, start_time, shifts })
    }

    /// Checks that one row per trial does not exceed what the file may decompress to.
    pub(super) fn check_rows(&self, trials: usize) -> Result<()> {
        let length = (self.samples * self.signals * self.kind.bytes()) as u64;
        unpacked::check_rows(&self.path, length, trials, self.signals).map_err(Into::into)
    }

    /// The mean of each signal over a time window, after its phase shift. A mean is NaN if a sample
    /// is NaN; the result is `None` if a window extends beyond the recording or contains no sample.
    ///
    /// `space` is a scratch buffer; reuse it to avoid allocations.
    pub(super) fn means(
        &self,
        from: f64,
        to: f64,
        value: impl Fn(f64) -> f64,
        space: &mut Vec<u8>,
    ) -> Result<Option<Vec<f64>>> {
        let windows: Vec<(i64, i64)> =
            (0..self.signals).map(|signal| self.window(signal, from, to)).collect();
        let around = (i64::MAX, i64::MIN, i64::MIN, i64::MAX);
        let (first, last, latest, earliest) =
            windows.iter().fold(around, |(first, last, latest, earliest), (from, to)| {
                (first.min(*from), last.max(*to), latest.max(*from), earliest.min(*to))
            });
        if first < 0 || last > self.samples as i64 || windows.iter().any(|(from, to)| from >= to) {
            return Ok(None);
        }
        let row = self.signals * self.kind.bytes();
        space.resize((last - first) as usize * row, 0);
        self.read(first as usize, space)?;
        // Relative to the first sample read. The samples between `latest` and `earliest` are in the
        // windows of all signals.
        let (from, to): (Vec<i32>, Vec<i32>) =
            windows.iter().map(|(from, to)| ((from - first) as i32, (to - first) as i32)).unzip();
        let mut sums = vec![0.0; self.signals];
        for (sample, row) in (0..).zip(space.chunks_exact(row)) {
            let whole = (latest..earliest).contains(&(first + i64::from(sample)));
            self.kind.add(row, &mut sums, &value, (!whole).then_some((&from[..], &to[..], sample)));
        }
        for (sum, (from, to)) in sums.iter_mut().zip(&windows) {
            *sum /= (to - from) as f64;
        }
        Ok(Some(sums))
    }

    /// The signals at a time: the last sample at or before it.
    pub(super) fn at(&self, time: f64) -> Result<Option<Vec<f64>>> {
        let sample = |signal: usize| (self.place(signal, time) + ROUNDING).floor() as i64;
        (0..self.signals)
            .map(|signal| match usize::try_from(sample(signal)) {
                Ok(sample) if sample < self.samples => {
                    let mut row = vec![0; self.signals * self.kind.bytes()];
                    self.read(sample, &mut row)?;
                    let mut values = vec![0.0; self.signals];
                    self.kind.add(&row, &mut values, &|value| value, None);
                    Ok(Some(values[signal]))
                }
                _ => Ok(None),
            })
            .collect()
    }

    /// The samples of a signal in a window: the first sample at or after its start, and the first
    /// beyond it.
    fn window(&self, signal: usize, from: f64, to: f64) -> (i64, i64) {
        // Rounds up by a conversion, which is faster than a function call for each of many neurons.
        let first = |time| {
            let place = self.place(signal, time) - ROUNDING;
            let whole = place as i64;
            whole.saturating_add(i64::from(place > whole as f64))
        };
        (first(from), first(to))
    }

    /// Converts a time to samples of a signal.
    fn place(&self, signal: usize, time: f64) -> f64 {
        (time - self.shifts.get(signal).copied().unwrap_or(0.0) - self.start_time) * self.rate
    }

    /// Reads samples from `first` on, as many as fit into `bytes`.
    fn read(&self, first: usize, bytes: &mut [u8]) -> Result<()> {
        let row = self.signals * self.kind.bytes();
        let read = self.file.read_exact_at(bytes, self.start_byte + (first * row) as u64);
        Ok(read.map_err(|error| {
            FileError::refused(&self.path, "read")(error)
                .in_dataset(format!("samples from {first}"))
        })?)
    }
}

impl Kind {
    /// Parses NumPy's name of a type, with or without byte order.
    fn of(name: &str) -> Option<Self> {
        Some(match name.trim_start_matches(['<', '=', '|']) {
            "float16" | "f2" => Self::F16,
            "float32" | "f4" => Self::F32,
            "float64" | "f8" => Self::F64,
            "uint8" | "u1" => Self::U8,
            "int16" | "i2" => Self::I16,
            "uint16" | "u2" => Self::U16,
            "int32" | "i4" => Self::I32,
            "int64" | "i8" => Self::I64,
            _ => return None,
        })
    }

    fn bytes(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::F16 | Self::I16 | Self::U16 => 2,
            Self::F32 | Self::I32 => 4,
            Self::F64 | Self::I64 => 8,
        }
    }

    /// Adds the values of one sample to the sums of the signals. With `windows`, only signals whose
    /// window contains the sample count; the others add zero, which avoids a branch.
    fn add(
        self,
        row: &[u8],
        sums: &mut [f64],
        value: &impl Fn(f64) -> f64,
        windows: Option<(&[i32], &[i32], i32)>,
    ) {
        fn over<const N: usize>(
            row: &[u8],
            sums: &mut [f64],
            value: impl Fn([u8; N]) -> f64,
            windows: Option<(&[i32], &[i32], i32)>,
        ) {
            let values = sums.iter_mut().zip(row.as_chunks().0);
            match windows {
                None => values.for_each(|(sum, bytes)| *sum += value(*bytes)),
                Some((from, to, sample)) => {
                    for (((sum, bytes), from), to) in values.zip(from).zip(to) {
                        let found = value(*bytes);
                        *sum += if *from <= sample && sample < *to { found } else { 0.0 };
                    }
                }
            }
        }
        match self {
            Self::F16 => {
                over(row, sums, |bytes| value(f16::from_le_bytes(bytes).to_f64()), windows)
            }
            Self::F32 => over(row, sums, |bytes| value(f32::from_le_bytes(bytes).into()), windows),
            Self::F64 => over(row, sums, |bytes| value(f64::from_le_bytes(bytes)), windows),
            Self::U8 => over(row, sums, |[byte]: [u8; 1]| value(byte.into()), windows),
            Self::I16 => over(row, sums, |bytes| value(i16::from_le_bytes(bytes).into()), windows),
            Self::U16 => over(row, sums, |bytes| value(u16::from_le_bytes(bytes).into()), windows),
            Self::I32 => over(row, sums, |bytes| value(i32::from_le_bytes(bytes).into()), windows),
            Self::I64 => over(row, sums, |bytes| value(i64::from_le_bytes(bytes) as f64), windows),
        }
    }
}

/// Reads a vector of finite f64, of the given length if it is known.
pub(super) fn doubles(path: &Path, length: Option<usize>) -> Result<Vec<f64>> {
    let bytes = std::fs::read(path).map_err(|error| {
        let advice = "it holds the times: check that the recording was copied completely";
        FileError::refused(path, "read")(error).advise(advice)
    })?;
    let Npy { shape, values } =
        Npy::parse(&bytes).map_err(|problem| problem.of(path, "the array"))?;
    let values = match values {
        Values::Doubles(values) => values,
        Values::Integers(values) => values.into_iter().map(|value| value as f64).collect(),
        // As f32, seconds since 1970 would be minutes apart.
        Values::Floats(values) if values.iter().all(|value| value.abs() < 1e5) => {
            values.into_iter().map(f64::from).collect()
        }
        _ => {
            let advice =
                "with fewer bits, times since 1970 would be minutes apart: export them as f64";
            return Err(FileError::mismatch(
                path,
                "the array",
                "times in f64",
                "another type",
                advice,
            )
            .into());
        }
    };
    if shape.len() != 1 || length.is_some_and(|length| length != values.len()) {
        let expected = length
            .map_or("one axis".to_owned(), |length| format!("{length} values, one per signal"));
        let found = format!("shape {shape:?}");
        return Err(FileError::mismatch(
            path,
            "the array",
            expected,
            found,
            "export the recording again",
        )
        .into());
    }
    if let Some(place) = values.iter().position(|value| !value.is_finite()) {
        let found = format!("{} at {place}", values[place]);
        let advice = "a frame without a time cannot be used: export the recording again";
        return Err(FileError::mismatch(path, "the array", "finite times", found, advice).into());
    }
    Ok(values)
}
