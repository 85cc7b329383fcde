//! The truth of a simulated scan on disk, after `data-specs/truth.toml`.

use super::cell::Cell;
use super::truth::{Circumstances, Truth};
use crate::{Error, Result};
use brainprior_images::ImageId;
use ndarray::{Array1, Array2};
use std::path::Path;

const EXPECTED: &str = "ground_truth/expected_responses";
const IMAGE_IDS: &str = "ground_truth/image_ids";
const ADVICE: &str = "the layout is that of data-specs/truth.toml";
const NOTE: &str = "expected_responses: noise-free, gaze shift zero (pupil_center at pupil_center_mean), behaviour at its mean \
                    (gain 1); gain = exp(behavior_gain @ (behavior - behavior_mean) / behavior_std), exponent clipped to \
                    +-1.5; (dx, dy) = gaze_matrix @ (pupil_center - pupil_center_mean), length bounded; a neuron sees \
                    I(y + dy, x + dx)";

/// A parameter with one number for each neuron.
struct Column {
    name: &'static str,
    get: fn(&Cell) -> f32,
    set: fn(&mut Cell, f32),
}

macro_rules! columns {
    ($($field:ident),*) => {
        [$(Column { name: concat!("parameters/", stringify!($field)), get: |cell| cell.$field, set: |cell, value| cell.$field = value }),*]
    };
}

const COLUMNS: [Column; 20] = columns!(
    x,
    y,
    orientation,
    phase,
    spatial_frequency,
    sigma,
    aspect,
    complex_weight,
    luminance,
    contrast_scale,
    semisaturation,
    exponent,
    drive_scale,
    saturated_drive_mean,
    baseline_fraction,
    mean_rate,
    signal_variance,
    target_snr,
    event_gamma_shape,
    events_per_unit_rate
);

/// Writes `truth` to `path`; a failed write leaves what was there.
///
/// # Errors
/// The folder cannot be written to, or the disk is full.
pub fn write_truth(path: &Path, truth: &Truth) -> Result<()> {
    let failed = |doing| move |source| Error::File { path: path.to_owned(), doing, source };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let temporary = tempfile::NamedTempFile::new_in(folder).map_err(failed("cannot make a file beside it"))?.into_temp_path();
    write_all(&temporary, truth).map_err(|source| hdf5_error(path, "/", "cannot write", source))?;
    std::fs::File::open(&temporary).and_then(|file| file.sync_all()).map_err(failed("cannot bring it to disk"))?;
    temporary.persist(path).map_err(|error| failed("cannot take its name")(error.error))
}

fn write_all(path: &Path, truth: &Truth) -> hdf5::Result<()> {
    let file = hdf5::File::create(path)?;
    let responses = truth.expected_responses();
    file.new_dataset_builder().shuffle().deflate(4).with_data(responses.view()).create(EXPECTED)?;
    if let Some(ids) = truth.ids() {
        let ids: Array1<u64> = ids.iter().map(|id| id.to_u64()).collect();
        file.new_dataset_builder().with_data(ids.view()).create(IMAGE_IDS)?;
    }
    let cells = truth.cells();
    for column in &COLUMNS {
        let values: Array1<f32> = cells.iter().map(column.get).collect();
        file.new_dataset_builder().with_data(values.view()).create(column.name)?;
    }
    let responsive: Array1<u8> = cells.iter().map(|cell| u8::from(cell.responsive)).collect();
    file.new_dataset_builder().with_data(responsive.view()).create("parameters/responsive")?;
    let gain = Array2::from_shape_fn((cells.len(), 3), |(neuron, column)| cells[neuron].behavior_gain[column]);
    file.new_dataset_builder().with_data(gain.view()).create("parameters/behavior_gain")?;
    let common = truth.circumstances();
    for (name, values) in [
        ("parameters/behavior_mean", &common.behavior_mean[..]),
        ("parameters/behavior_std", &common.behavior_std[..]),
        ("parameters/pupil_center_mean", &common.pupil_center_mean[..]),
        ("parameters/image_mean_std", &common.image_mean_std[..]),
    ] {
        file.new_dataset_builder().with_data(values).create(name)?;
    }
    let gaze = Array2::from_shape_fn((2, 2), |(row, column)| common.gaze_matrix[row][column]);
    file.new_dataset_builder().with_data(gaze.view()).create("parameters/gaze_matrix")?;
    file.new_dataset::<f32>().create("parameters/drive_knee")?.write_scalar(&common.drive_knee)?;
    file.new_attr::<i64>().create("seed")?.write_scalar(&common.seed)?;
    let note: hdf5::types::VarLenUnicode = NOTE.parse().expect("a note without NUL");
    file.new_attr::<hdf5::types::VarLenUnicode>().create("note")?.write_scalar(&note)?;
    file.close()
}

/// Reads the truth of a simulated scan.
///
/// # Errors
/// Not HDF5, a dataset that is missing or has another shape, a number that is not finite.
pub fn read_truth(path: &Path) -> Result<Truth> {
    std::fs::File::open(path).map_err(|source| Error::File { path: path.to_owned(), doing: "cannot open", source })?;
    let file = hdf5::File::open(path).map_err(|source| hdf5_error(path, "/", "is not a complete HDF5 file", source))?;
    let reader = Reader { path, file: &file };
    let (expected, shape) = reader.numbers::<f32>(EXPECTED, &[None, None])?;
    let (stimuli, neurons) = (shape[0], shape[1]);
    let expected = Array2::from_shape_vec((stimuli, neurons), expected).expect("as many numbers as the shape says");

    let mut cells = vec![Cell::default(); neurons];
    for column in &COLUMNS {
        // The first layout had no luminance part.
        if column.name == "parameters/luminance" && !file.link_exists(column.name) {
            continue;
        }
        let (values, _) = reader.numbers(column.name, &[Some(neurons)])?;
        cells.iter_mut().zip(values).for_each(|(cell, value)| (column.set)(cell, value));
    }
    let (responsive, _) = reader.numbers::<f32>("parameters/responsive", &[Some(neurons)])?;
    let (gain, _) = reader.numbers::<f32>("parameters/behavior_gain", &[Some(neurons), Some(3)])?;
    for ((cell, responsive), gain) in cells.iter_mut().zip(responsive).zip(gain.chunks_exact(3)) {
        cell.responsive = responsive != 0.0;
        cell.behavior_gain.copy_from_slice(gain);
    }
    let ids = if file.link_exists(IMAGE_IDS) {
        let (ids, _) = reader.raw::<u64>(IMAGE_IDS, &[Some(stimuli)])?;
        Some(ids.into_iter().map(ImageId::from_u64).collect())
    } else {
        None
    };
    let gaze: [f64; 4] = reader.fixed("parameters/gaze_matrix", &[Some(2), Some(2)])?;
    let seed = file.attr("seed").and_then(|seed| seed.read_scalar::<i64>());
    let circumstances = Circumstances {
        seed: seed.map_err(|source| hdf5_error(path, "attribute seed", "cannot read", source))?,
        behavior_mean: reader.fixed("parameters/behavior_mean", &[Some(3)])?,
        behavior_std: reader.fixed("parameters/behavior_std", &[Some(3)])?,
        gaze_matrix: [[gaze[0], gaze[1]], [gaze[2], gaze[3]]],
        pupil_center_mean: reader.fixed("parameters/pupil_center_mean", &[Some(2)])?,
        image_mean_std: reader.fixed("parameters/image_mean_std", &[Some(2)])?,
        drive_knee: reader.fixed::<1>("parameters/drive_knee", &[])?[0] as f32,
    };
    Truth::new(expected, ids, cells, circumstances).map_err(|error| error.inside(path))
}

struct Reader<'a> {
    path: &'a Path,
    file: &'a hdf5::File,
}

/// A number that can be told from infinity.
trait Number: hdf5::H5Type + Copy + std::fmt::Display {
    fn finite(self) -> bool;
}

impl Number for f32 {
    fn finite(self) -> bool {
        self.is_finite()
    }
}

impl Number for f64 {
    fn finite(self) -> bool {
        self.is_finite()
    }
}

impl Reader<'_> {
    /// A dataset, row-major, and its shape, in which `None` may be any size.
    fn raw<T: hdf5::H5Type + Copy>(&self, name: &str, shape: &[Option<usize>]) -> Result<(Vec<T>, Vec<usize>)> {
        if !self.file.link_exists(name) {
            return Err(self.layout(name, "this dataset", "none"));
        }
        let failed = |source| hdf5_error(self.path, name, "cannot read", source);
        let dataset = self.file.dataset(name).map_err(failed)?;
        let found = dataset.shape();
        if found.len() != shape.len() || shape.iter().zip(&found).any(|(want, found)| want.is_some_and(|want| want != *found)) {
            let wanted: Vec<String> = shape.iter().map(|size| size.map_or("any".into(), |size| size.to_string())).collect();
            return Err(self.layout(name, &format!("shape [{}]", wanted.join(", ")), &format!("{found:?}")));
        }
        Ok((dataset.read_raw::<T>().map_err(failed)?, found))
    }

    /// A dataset of finite numbers.
    fn numbers<T: Number>(&self, name: &str, shape: &[Option<usize>]) -> Result<(Vec<T>, Vec<usize>)> {
        let (values, shape) = self.raw::<T>(name, shape)?;
        match values.iter().position(|value| !value.finite()) {
            Some(index) => Err(self.layout(name, "finite numbers", &format!("{} at position {index}", values[index]))),
            None => Ok((values, shape)),
        }
    }

    /// `N` finite numbers.
    fn fixed<const N: usize>(&self, name: &str, shape: &[Option<usize>]) -> Result<[f64; N]> {
        let (values, _) = self.numbers::<f64>(name, shape)?;
        Ok(values.try_into().expect("the shape was checked"))
    }

    fn layout(&self, name: &str, expected: &str, found: &str) -> Error {
        Error::Layout {
            path: self.path.to_owned(),
            dataset: name.to_owned(),
            expected: expected.to_owned(),
            found: found.to_owned(),
            advice: ADVICE,
        }
    }
}

fn hdf5_error(path: &Path, dataset: &str, doing: &'static str, source: hdf5::Error) -> Error {
    Error::Hdf5 { path: path.to_owned(), dataset: dataset.to_owned(), doing, source, advice: ADVICE }
}
