//! Scans, and imports of other recordings.

use crate::error::{Result, unknown};
use brainprior_images::{ImageId, StimulusSet};
use brainprior_recording::import::{
    ImageAxis, ImageSettings, Imported, NwbSettings, OnsetUnit, Settings, Suite2pSettings,
    TierCounts, Traces, Window, arrays, experanto, nwb, suite2p,
};
use brainprior_recording::{
    self as recording, Neurons, Origin, ScanParts, Tier, distinct_images, write_static_hdf5,
};
use ndarray::{Array1, Array3, ArrayView3};
use numpy::{
    AllowTypeChange, IntoPyArray, PyArray1, PyArray2, PyArray3, PyArrayLike2, PyArrayLike3,
    ToPyArray,
};
use pyo3::prelude::*;
use std::path::{Path, PathBuf};

/// Converts unknown values, such as those of constant neurons, to NaN.
pub(crate) fn with_nan(values: &[Option<f32>]) -> Array1<f32> {
    values.iter().map(|value| value.unwrap_or(f32::NAN)).collect()
}

/// Values, image by image, as pixels are compared: -0 becomes 0.
pub(crate) fn pixels_of(images: ArrayView3<'_, f32>) -> Vec<f32> {
    images.iter().map(|pixel| pixel + 0.0).collect()
}

pub(crate) fn numbers(ids: &[ImageId]) -> Array1<u64> {
    ids.iter().map(|id| id.to_u64()).collect()
}

/// A recording session: images, trials, and the response of every neuron in each trial.
///
/// All arrays are float32. Every trial shows one of the images, all numbers are finite, and no
/// image is used both for training and for testing.
#[pyclass(frozen, module = "brainprior")]
pub(crate) struct Scan {
    pub(crate) scan: recording::Scan,
}

#[pymethods]
impl Scan {
    /// Makes a scan from arrays.
    ///
    /// images:       [images, height, width], values in [0, 1]. Without trial_image, one image per
    /// trial; equal images are
    ///               then matched by their pixels.
    /// responses:    [trials, neurons], activity during the presentation, in arbitrary units per
    /// neuron. tiers:        "train", "validation" or "test" for each trial; images repeated in
    /// "test" are the oracle images. trial_image:  [trials], the index of each trial's image.
    /// behavior:     [trials, k], pupil dilation, its derivative, running speed. pupil_center:
    /// [trials, 2], horizontal and vertical, in camera pixels. name:         name of the scan in
    /// errors, files and provenance.
    #[staticmethod]
    #[pyo3(signature = (images, responses, tiers, *, trial_image=None, behavior=None, pupil_center=None, name="scan"))]
    fn from_arrays(
        images: PyArrayLike3<'_, f32, AllowTypeChange>,
        responses: PyArrayLike2<'_, f32, AllowTypeChange>,
        tiers: Vec<String>,
        trial_image: Option<Vec<usize>>,
        behavior: Option<PyArrayLike2<'_, f32, AllowTypeChange>>,
        pupil_center: Option<PyArrayLike2<'_, f32, AllowTypeChange>>,
        name: &str,
    ) -> Result<Self> {
        let (_, height, width) = images.as_array().dim();
        let mut pixels = pixels_of(images.as_array());
        let trial_image = match trial_image {
            Some(trial_image) => trial_image,
            None => {
                let area = (height * width).max(1);
                let (first_rows, trial_image) = distinct_images(&pixels, area);
                pixels = first_rows
                    .iter()
                    .flat_map(|row| &pixels[row * area..(row + 1) * area])
                    .copied()
                    .collect();
                trial_image
            }
        };
        let tier = |(row, name): (usize, &String)| {
            Tier::from_name(name).ok_or_else(|| {
                unknown(&format!("tier of trial {row}"), "train, validation or test", name)
            })
        };
        let responses = responses.as_array().to_owned();
        let scan = recording::Scan::new(ScanParts {
            name: name.to_owned(),
            stimuli: StimulusSet::new(height, width, pixels)?,
            image_labels: None,
            trial_image,
            tiers: tiers.iter().enumerate().map(tier).collect::<Result<_>>()?,
            neurons: Neurons::unnamed(responses.ncols()),
            responses,
            behavior: behavior.map(|behavior| behavior.as_array().to_owned()),
            pupil_center: pupil_center.map(|pupil| pupil.as_array().to_owned()),
            trial_idx: None,
            origin: Origin::default(),
        })?;
        Ok(Self { scan })
    }

    /// Name of the scan in errors, files and provenance.
    #[getter]
    fn name(&self) -> &str {
        self.scan.name()
    }

    /// The distinct images, [images, height, width], in [0, 1].
    #[getter]
    fn images<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray3<f32>> {
        let stimuli = self.scan.stimuli();
        let shape = (stimuli.len(), stimuli.height(), stimuli.width());
        Array3::from_shape_fn(shape, |(image, y, x)| stimuli.image(image)[y * shape.2 + x])
            .into_pyarray(py)
    }

    /// Identity of each image, computed from its content, [images] of uint64; the same in all scans
    /// and files.
    #[getter]
    fn image_ids<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<u64>> {
        numbers(self.scan.stimuli().ids()).into_pyarray(py)
    }

    /// Index of each trial's image, [trials].
    #[getter]
    fn trial_image<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<i64>> {
        self.scan
            .trial_image()
            .iter()
            .map(|image| *image as i64)
            .collect::<Array1<i64>>()
            .into_pyarray(py)
    }

    /// "train", "validation" or "test" for each trial.
    #[getter]
    fn tiers(&self) -> Vec<&'static str> {
        self.scan.tiers().iter().map(|tier| tier.name()).collect()
    }

    /// [trials, neurons], in arbitrary units per neuron.
    #[getter]
    fn responses<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray2<f32>> {
        self.scan.responses().to_pyarray(py)
    }

    /// [trials, k], pupil dilation, its derivative, running speed; None if not recorded.
    #[getter]
    fn behavior<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyArray2<f32>>> {
        self.scan.behavior().map(|behavior| behavior.to_pyarray(py))
    }

    /// [trials, 2], in camera pixels; None if not recorded.
    #[getter]
    fn pupil_center<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyArray2<f32>>> {
        self.scan.pupil_center().map(|pupil| pupil.to_pyarray(py))
    }

    /// Identifier of each neuron, [neurons].
    #[getter]
    fn unit_ids<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<i64>> {
        Array1::from(self.scan.neurons().unit_ids().to_vec()).into_pyarray(py)
    }

    /// One trial of each image outside the test tier: responses [images, neurons] and image
    /// identities [images].
    fn single_trials<'py>(
        &self,
        py: Python<'py>,
    ) -> (Bound<'py, PyArray2<f32>>, Bound<'py, PyArray1<u64>>) {
        with_ids(py, &self.scan.single_trials())
    }

    /// Repeat averages of the oracle images: responses [images, neurons] and image identities
    /// [images].
    fn repeat_means<'py>(
        &self,
        py: Python<'py>,
    ) -> (Bound<'py, PyArray2<f32>>, Bound<'py, PyArray1<u64>>) {
        with_ids(py, &self.scan.repeat_means())
    }

    /// Reliability of each neuron's responses to the oracle images.
    fn reliability(&self, py: Python<'_>) -> Result<Reliability> {
        Ok(Reliability { found: py.detach(|| recording::reliability(&self.scan))? })
    }

    /// Writes the scan as a static HDF5 file, completely or not at all.
    fn save(&self, py: Python<'_>, path: PathBuf) -> Result<()> {
        Ok(py.detach(|| write_static_hdf5(&path, &self.scan))?)
    }

    fn __repr__(&self) -> String {
        let (trials, neurons) = self.scan.responses().dim();
        let stimuli = self.scan.stimuli();
        let (images, height, width) = (stimuli.len(), stimuli.height(), stimuli.width());
        format!(
            "<Scan {:?}: {trials} trials of {neurons} neurons, {images} images of {height} x {width}>",
            self.scan.name()
        )
    }
}

fn with_ids<'py>(
    py: Python<'py>,
    responses: &recording::Responses,
) -> (Bound<'py, PyArray2<f32>>, Bound<'py, PyArray1<u64>>) {
    (responses.values().to_pyarray(py), numbers(responses.ids()).into_pyarray(py))
}

/// Reliability of neurons over the oracle images; one value per neuron, NaN for constant neurons.
#[pyclass(frozen, module = "brainprior")]
pub(crate) struct Reliability {
    found: recording::Reliability,
}

#[pymethods]
impl Reliability {
    /// w = sigma / eta, [neurons]: standard deviation of the images' means over that of the repeats
    /// (Li et al. 2019, section 2).
    #[getter]
    fn w<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<f32>> {
        with_nan(&self.found.w).into_pyarray(py)
    }

    /// Correlation of each trial with the mean of the other trials of its image, [neurons].
    #[getter]
    fn oracle_jackknife<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<f32>> {
        with_nan(&self.found.oracle_jackknife).into_pyarray(py)
    }

    /// Correlation of each trial with the mean of all trials, including itself, [neurons].
    #[getter]
    fn oracle_conservative<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<f32>> {
        with_nan(&self.found.oracle_conservative).into_pyarray(py)
    }

    /// Fraction of explainable variance, [neurons].
    #[getter]
    fn explainable_variance<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<f32>> {
        with_nan(&self.found.explainable_variance).into_pyarray(py)
    }

    /// Signal-to-noise ratio of variances, [neurons].
    #[getter]
    fn snr<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<f32>> {
        with_nan(&self.found.snr).into_pyarray(py)
    }

    /// Number of oracle images.
    #[getter]
    fn images(&self) -> usize {
        self.found.images
    }

    /// Number of their trials.
    #[getter]
    fn trials(&self) -> usize {
        self.found.trials
    }
}

/// Reads a scan: a static HDF5 file, or a Sensorium folder or zip.
#[pyfunction]
pub(crate) fn read_scan(py: Python<'_>, path: PathBuf) -> Result<Scan> {
    Ok(Scan { scan: py.detach(|| recording::read_scan(&path))? })
}

/// Identities of images [images, height, width] with values in [0, 1], computed from their content:
/// [images] of uint64.
#[pyfunction]
pub(crate) fn image_ids<'py>(
    py: Python<'py>,
    images: PyArrayLike3<'py, f32, AllowTypeChange>,
) -> Bound<'py, PyArray1<u64>> {
    let (count, height, width) = images.as_array().dim();
    let pixels = pixels_of(images.as_array());
    let area = (height * width).max(1);
    let ids =
        pixels.chunks(area).take(count).map(|image| ImageId::of(height, width, image).to_u64());
    ids.collect::<Array1<u64>>().into_pyarray(py)
}

/// Imports a recording in another format. Returns the scan and what was taken, dropped and assumed.
#[pyfunction]
#[pyo3(signature = (
    kind, source, *, window, tiers, size, pixel_range, axes, luma, behavior, responses, presentations, images, column, onsets,
    onsets_in, rate, traces, first_image
))]
pub(crate) fn import_recording(
    py: Python<'_>,
    kind: &str,
    source: PathBuf,
    window: (f64, f64),
    tiers: Option<(usize, usize, usize, u64)>,
    size: Option<[usize; 2]>,
    pixel_range: Option<[f64; 2]>,
    axes: Option<Vec<String>>,
    luma: bool,
    behavior: bool,
    responses: Vec<String>,
    presentations: Option<String>,
    images: Option<String>,
    column: Option<String>,
    onsets: Option<PathBuf>,
    onsets_in: Option<&str>,
    rate: Option<f64>,
    traces: &str,
    first_image: usize,
) -> Result<(Scan, String)> {
    let axis = |name: &String| name.parse::<ImageAxis>();
    let common = Settings {
        window: Window::new(window.0, window.1)?,
        tiers: tiers.map(|(train, validation, test, seed)| TierCounts {
            train,
            validation,
            test,
            seed,
        }),
        images: ImageSettings {
            size,
            range: pixel_range,
            axes: axes
                .map(|axes| axes.iter().map(axis).collect::<recording::Result<_>>())
                .transpose()?,
            luma,
        },
        behavior,
    };
    let Imported { scan, account } = match kind {
        "arrays" => py.detach(|| arrays(&source))?,
        "experanto" => py.detach(|| experanto(&source))?,
        "nwb" => {
            let settings = NwbSettings { common, responses, presentations, images, column };
            py.detach(|| nwb(&source, &settings))?
        }
        "suite2p" => {
            let given = |path: Option<&Path>, what: &str| {
                path.map(Path::to_owned).ok_or_else(|| {
                    unknown(what, "a file, since suite2p does not store it", "nothing")
                })
            };
            let settings = Suite2pSettings {
                common,
                onsets: given(onsets.as_deref(), "onsets")?,
                unit: match onsets_in {
                    None => None,
                    Some("seconds") => Some(OnsetUnit::Seconds),
                    Some("frames") => Some(OnsetUnit::Frames),
                    Some(other) => return Err(unknown("onsets_in", "seconds or frames", other)),
                },
                images: given(images.as_deref().map(Path::new), "images")?,
                rate: rate.ok_or_else(|| unknown("rate", "volumes per second", "nothing"))?,
                traces: match traces {
                    "spks" => Traces::Spikes,
                    "f" => Traces::Fluorescence,
                    other => return Err(unknown("traces", "spks or f", other)),
                },
                first_image,
            };
            py.detach(|| suite2p(&source, &settings))?
        }
        other => {
            return Err(unknown("kind of recording", "arrays, experanto, nwb or suite2p", other));
        }
    };
    Ok((Scan { scan }, account.to_string()))
}
