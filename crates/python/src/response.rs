//! Models of neural responses: fitting, saving, and predictions for any image.

use crate::error::{DataError, Result, unknown};
use crate::scan::{Scan, pixels_of, with_nan};
use crate::watch::{Watch, watched};
use brainprior_recording as recording;
use brainprior_response_model::{self as core, BehavioralState, Config, FitEvent, FitOptions};
use ndarray::Array2;
use numpy::{AllowTypeChange, IntoPyArray, PyArray1, PyArray2, PyArrayLike3};
use pyo3::prelude::*;
use std::path::PathBuf;

/// Predicts the responses of a population to any image, without the noise of single trials. Made by
/// fit or load.
#[pyclass(frozen, module = "brainprior")]
pub(crate) struct ResponseModel {
    model: core::ResponseModel,
}

#[pymethods]
impl ResponseModel {
    /// Reads a model written by save or by the command line.
    #[staticmethod]
    fn load(py: Python<'_>, path: PathBuf) -> Result<Self> {
        Ok(Self { model: py.detach(|| core::ResponseModel::load(&path))? })
    }

    /// Writes the model (safetensors) and its configuration (JSON); each file is written completely
    /// or not at all.
    fn save(&self, py: Python<'_>, path: PathBuf) -> Result<()> {
        Ok(py.detach(|| self.model.save(&path))?)
    }

    /// Predicted responses [images, neurons] of float32 to images [images, height, width] in the
    /// scale of the training images ([0, 1]), in the units of scan number `scan` of the fit, at
    /// mean behavior and gaze.
    #[pyo3(signature = (images, scan=0))]
    fn predict<'py>(
        &self,
        py: Python<'py>,
        images: PyArrayLike3<'py, f32, AllowTypeChange>,
        scan: usize,
    ) -> Result<Bound<'py, PyArray2<f32>>> {
        let (count, height, width) = images.as_array().dim();
        let pixels = pixels_of(images.as_array());
        let values = watched(py, None, |_| {
            let neurons = self.model.response_std(scan)?.len();
            let mut values = Vec::with_capacity(count * neurons);
            let images = pixels.chunks((height * width).max(1)).take(count);
            self.model.predict_stream(scan, images, &BehavioralState::default(), &mut |row| {
                values.extend_from_slice(row)
            })?;
            core::Result::Ok(
                Array2::from_shape_vec((count, neurons), values)
                    .expect("a row comes for each image"),
            )
        })?;
        Ok(values.into_pyarray(py))
    }

    /// Validation correlation v_a of each neuron of a scan, [neurons]; NaN for constant neurons.
    #[pyo3(signature = (scan=0))]
    fn v_a<'py>(&self, py: Python<'py>, scan: usize) -> Result<Bound<'py, PyArray1<f32>>> {
        Ok(with_nan(self.model.v_a(scan)?).into_pyarray(py))
    }

    /// Names of the scans used for fitting.
    #[getter]
    fn scan_names(&self) -> Result<Vec<String>> {
        (0..self.model.scan_count())
            .map(|scan| Ok(self.model.scan_name(scan)?.to_owned()))
            .collect()
    }

    fn __repr__(&self) -> Result<String> {
        Ok(format!("<ResponseModel of {}>", self.scan_names()?.join(", ")))
    }
}

#[pyfunction]
pub(crate) fn fit(
    py: Python<'_>,
    scans: Vec<PyRef<'_, Scan>>,
    config: &str,
    seed: u64,
    checkpoint: Option<PathBuf>,
    progress: Option<Py<PyAny>>,
) -> Result<ResponseModel> {
    let config: Config = match config {
        "default" => Config::default(),
        "small" => Config::small(),
        "walker2019" => Config::walker2019(),
        json if json.starts_with('{') => serde_json::from_str(json)
            .map_err(|error| DataError::new_err(format!("config: {error}")))?,
        other => return Err(unknown("config", "a dict, or default, small or walker2019", other)),
    };
    let scans: Vec<&recording::Scan> = scans.iter().map(|scan| &scan.scan).collect();
    let epochs = config.optimization.max_epochs as u64;
    let model = watched(py, progress, |watch: &Watch| {
        let mut observer = |event| {
            if let FitEvent::Step { epoch, done, total } = event {
                watch.tell_or_leave((epoch * total + done) as u64, epochs * total as u64);
            }
        };
        let options = FitOptions {
            seed,
            checkpoint: checkpoint.as_deref(),
            observer: Some(&mut observer),
            ..FitOptions::default()
        };
        core::fit(&scans, &config, options)
    })?;
    Ok(ResponseModel { model })
}
