//! Errors of the crates as Python exceptions with the same messages.

use brainprior_artifact as artifact;
use brainprior_classifier as classifier;
use brainprior_images as images;
use brainprior_recording as recording;
use brainprior_response_model as response_model;
use brainprior_robustness as robustness;
use brainprior_similarity as similarity;
use pyo3::exceptions::{PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;

pyo3::create_exception!(
    brainprior,
    FileError,
    PyOSError,
    "A file cannot be read or written, or has unexpected content. The message names the file, the place in it, and what to do."
);
pyo3::create_exception!(
    brainprior,
    DataError,
    PyValueError,
    "Arrays or settings are invalid. The message says what was expected, what was found, and where."
);
pyo3::create_exception!(
    brainprior,
    ModelError,
    PyRuntimeError,
    "A model failed, or its training diverged."
);

pub(crate) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    module.add("FileError", py.get_type::<FileError>())?;
    module.add("DataError", py.get_type::<DataError>())?;
    module.add("ModelError", py.get_type::<ModelError>())
}

/// The error of a call.
pub(crate) struct Failure(PyErr);

/// The result of a call.
pub(crate) type Result<T> = std::result::Result<T, Failure>;

/// The error for an argument with an unknown value.
pub(crate) fn unknown(what: &str, expected: &str, found: &str) -> Failure {
    Failure(DataError::new_err(format!("{what}: expected {expected}, found {found:?}")))
}

impl From<Failure> for PyErr {
    fn from(Failure(error): Failure) -> Self {
        error
    }
}

impl From<PyErr> for Failure {
    fn from(error: PyErr) -> Self {
        Self(error)
    }
}

impl From<artifact::FileError> for Failure {
    fn from(error: artifact::FileError) -> Self {
        Self(FileError::new_err(error.to_string()))
    }
}

impl From<images::Error> for Failure {
    fn from(error: images::Error) -> Self {
        match error {
            images::Error::File(error) => error.into(),
            other => Self(DataError::new_err(other.to_string())),
        }
    }
}

impl From<recording::Error> for Failure {
    fn from(error: recording::Error) -> Self {
        match error {
            recording::Error::File(error) => error.into(),
            recording::Error::Images(error) => error.into(),
            other => Self(DataError::new_err(other.to_string())),
        }
    }
}

impl From<similarity::Error> for Failure {
    fn from(error: similarity::Error) -> Self {
        match error {
            similarity::Error::File(error) => error.into(),
            similarity::Error::Responses(error) => error.into(),
            similarity::Error::Stimuli(error) => error.into(),
            other => Self(DataError::new_err(other.to_string())),
        }
    }
}

impl From<response_model::Error> for Failure {
    fn from(error: response_model::Error) -> Self {
        use response_model::Error;
        match error {
            Error::File(error) => error.into(),
            Error::Images(error) => error.into(),
            Error::Recording(error) => error.into(),
            error @ Error::ForeignCheckpoint { .. } => Self(FileError::new_err(error.to_string())),
            error @ (Error::Diverged { .. } | Error::Tensor(_)) => {
                Self(ModelError::new_err(error.to_string()))
            }
            other => Self(DataError::new_err(other.to_string())),
        }
    }
}

impl From<classifier::Error> for Failure {
    fn from(error: classifier::Error) -> Self {
        use classifier::Error;
        match error {
            Error::File(error) => error.into(),
            Error::Images(error) => error.into(),
            error @ (Error::Diverged(_) | Error::Tensor(_)) => {
                Self(ModelError::new_err(error.to_string()))
            }
            other => Self(DataError::new_err(other.to_string())),
        }
    }
}

impl From<robustness::Error> for Failure {
    fn from(error: robustness::Error) -> Self {
        match error {
            error @ robustness::Error::Model { .. } => Self(ModelError::new_err(error.to_string())),
            other => Self(DataError::new_err(other.to_string())),
        }
    }
}
