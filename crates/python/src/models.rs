//! Models under attack: Python functions, and the networks of the crate `classifier`.

use crate::error::{DataError, Failure, Result};
use brainprior_classifier::ResNet;
use brainprior_robustness::{self as robustness, Classifier, LabeledBatch, Progress};
use candle_core::{CpuStorage, CustomOp1, Device, Layout, Shape, Tensor};
use ndarray::{Array2, ArrayView2, ArrayView4};
use numpy::{
    AllowTypeChange, IntoPyArray, PyArray2, PyArrayLike1, PyArrayLike2, PyArrayLike4, ToPyArray,
};
use pyo3::prelude::*;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// The first exception raised by a Python function, including Ctrl-C.
#[derive(Clone, Default)]
pub(crate) struct Raised(Arc<Mutex<Option<PyErr>>>);

impl Raised {
    /// Calls a function with the interpreter lock, unless an exception is pending.
    fn calling<T>(&self, call: impl FnOnce(Python<'_>) -> PyResult<T>) -> candle_core::Result<T> {
        let stopped = || candle_core::Error::Msg("a Python exception is pending".into());
        if self.0.lock().expect("no thread panicked").is_some() {
            return Err(stopped());
        }
        Python::attach(|py| py.check_signals().and_then(|()| call(py))).map_err(|error| {
            self.0.lock().expect("no thread panicked").get_or_insert(error);
            stopped()
        })
    }

    /// The error of a call: a Python exception if one was raised, otherwise the crate's error.
    pub(crate) fn or<T>(&self, found: robustness::Result<T>) -> Result<T> {
        match self.0.lock().expect("no thread panicked").take() {
            Some(error) => Err(error.into()),
            None => found.map_err(Failure::from),
        }
    }

    /// Reports the progress of an evaluation to `progress`. An exception ends the evaluation at the
    /// model's next call.
    pub(crate) fn observer<'a>(
        &'a self,
        progress: Option<&'a Py<PyAny>>,
    ) -> impl FnMut(Progress) + 'a {
        move |at| {
            let told = |py: Python<'_>| match progress {
                Some(progress) => progress.call1(py, (at.done, at.total)).map(|_| ()),
                None => Ok(()),
            };
            // `or` returns the stored exception.
            let _ = self.calling(told);
        }
    }
}

/// A model made of Python functions: an object with `logits(images)` and `differentiable(images)`,
/// which returns logits and a function from factors of the logits to the gradient with respect to
/// the images.
struct Functions {
    model: Arc<Py<PyAny>>,
    raised: Raised,
}

/// One pass through the model.
struct Call {
    model: Arc<Py<PyAny>>,
    raised: Raised,
    differentiable: bool,
    back: Mutex<Option<Py<PyAny>>>,
}

impl Classifier for Functions {
    fn logits(&self, images: &Tensor) -> candle_core::Result<Tensor> {
        let (model, raised) = (self.model.clone(), self.raised.clone());
        images.contiguous()?.apply_op1(Call {
            model,
            raised,
            differentiable: images.track_op(),
            back: Mutex::new(None),
        })
    }
}

impl CustomOp1 for Call {
    fn name(&self) -> &'static str {
        "Python model"
    }

    fn cpu_fwd(
        &self,
        images: &CpuStorage,
        layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let (start, end) = layout.contiguous_offsets().expect("images are contiguous");
        let images =
            ArrayView4::from_shape(layout.shape().dims4()?, &images.as_slice::<f32>()?[start..end])
                .expect("as many values as the shape says");
        let rows: Array2<f32> = self.raised.calling(|py| {
            let images = images.to_pyarray(py);
            let model = self.model.bind(py);
            let logits = match self.differentiable {
                true => {
                    let (logits, back): (Bound<'_, PyAny>, Bound<'_, PyAny>) =
                        model.call_method1("differentiable", (images,))?.extract()?;
                    *self.back.lock().expect("no thread panicked") = Some(back.unbind());
                    logits
                }
                false => model.call_method1("logits", (images,))?,
            };
            let logits: PyArrayLike2<'_, f32, AllowTypeChange> = logits.extract()?;
            Ok(logits.as_array().to_owned())
        })?;
        let shape = rows.dim().into();
        Ok((CpuStorage::F32(rows.into_iter().collect()), shape))
    }

    fn bwd(
        &self,
        images: &Tensor,
        _logits: &Tensor,
        factors: &Tensor,
    ) -> candle_core::Result<Option<Tensor>> {
        let (rows, columns) = factors.dims2()?;
        let factors = factors.flatten_all()?.to_vec1::<f32>()?;
        let factors = ArrayView2::from_shape((rows, columns), &factors)
            .expect("as many values as the shape says");
        let gradient: Vec<f32> = self.raised.calling(|py| {
            let back = self
                .back
                .lock()
                .expect("no thread panicked")
                .as_ref()
                .map(|back| back.clone_ref(py));
            let back = back.expect("only differentiable passes are differentiated");
            let gradient = back.call1(py, (factors.to_pyarray(py),))?;
            let gradient: PyArrayLike4<'_, f32, AllowTypeChange> = gradient.bind(py).extract()?;
            let (found, expected) = (gradient.as_array().shape().to_vec(), images.dims());
            match found == expected {
                true => Ok(gradient.as_array().iter().copied().collect()),
                false => Err(DataError::new_err(format!(
                    "gradient at the images: expected {expected:?}, found {found:?}"
                ))),
            }
        })?;
        Tensor::from_vec(gradient, images.shape(), &Device::Cpu).map(Some)
    }
}

/// A residual network of brainprior, or of PyTorch or torchvision with the same layers, read from a
/// file of weights. It can be attacked directly, and called: network(images) returns logits
/// [images, classes] for images [images, channels, height, width] in [0, 1].
#[pyclass(frozen, module = "brainprior")]
pub(crate) struct Network {
    network: ResNet,
}

#[pymethods]
impl Network {
    /// Reads a checkpoint (safetensors) or a state dict (.pt, .pth, safetensors).
    #[staticmethod]
    fn load(py: Python<'_>, path: PathBuf) -> Result<Self> {
        Ok(Self { network: py.detach(|| ResNet::load(&path))? })
    }

    fn __call__<'py>(
        &self,
        py: Python<'py>,
        images: PyArrayLike4<'py, f32, AllowTypeChange>,
    ) -> Result<Bound<'py, PyArray2<f32>>> {
        let shape = images.as_array().dim();
        let pixels: Vec<f32> = images.as_array().iter().copied().collect();
        let logits = py.detach(|| {
            let logits = self.network.logits(&Tensor::from_vec(pixels, shape, &Device::Cpu)?)?;
            let values = logits.flatten_all()?.to_vec1::<f32>()?;
            brainprior_classifier::Result::Ok(
                Array2::from_shape_vec(logits.dims2()?, values).expect("its own shape"),
            )
        })?;
        Ok(logits.into_pyarray(py))
    }

    /// Number of classes.
    #[getter]
    fn classes(&self) -> usize {
        self.network.config().classes
    }
}

/// The same, checking for Ctrl-C.
struct Native<'a> {
    network: &'a ResNet,
    raised: Raised,
}

impl Classifier for Native<'_> {
    fn logits(&self, images: &Tensor) -> candle_core::Result<Tensor> {
        self.raised.calling(|_| Ok(()))?;
        self.network.logits(images).map_err(candle_core::Error::wrap)
    }

    fn is_batch_invariant(&self) -> bool {
        self.network.is_batch_invariant()
    }
}

/// Evaluates a model without the interpreter lock: a [`Network`], or an object as in [`Functions`].
pub(crate) fn evaluated<T: Send>(
    model: &Bound<'_, PyAny>,
    progress: Option<Py<PyAny>>,
    work: impl FnOnce(&dyn Classifier, &mut dyn FnMut(Progress)) -> robustness::Result<T> + Send,
) -> Result<T> {
    let raised = Raised::default();
    let network = model.cast::<Network>().ok().map(Bound::get);
    let functions = Functions { model: Arc::new(model.clone().unbind()), raised: raised.clone() };
    let native =
        network.map(|network| Native { network: &network.network, raised: raised.clone() });
    let found = model.py().detach(|| {
        let mut observe = raised.observer(progress.as_ref());
        match &native {
            Some(native) => work(native, &mut observe),
            None => work(&functions, &mut observe),
        }
    });
    raised.or(found)
}

/// Images `[images, channels, height, width]` in [0, 1] with labels.
pub(crate) fn labeled(
    images: &PyArrayLike4<'_, f32, AllowTypeChange>,
    labels: &PyArrayLike1<'_, i64, AllowTypeChange>,
    targets: Option<&PyArrayLike1<'_, i64, AllowTypeChange>>,
) -> Result<LabeledBatch> {
    let (_, channels, height, width) = images.as_array().dim();
    let classes = |labels: &PyArrayLike1<'_, i64, AllowTypeChange>| -> Result<Vec<usize>> {
        let class = |(image, label): (usize, &i64)| {
            usize::try_from(*label).map_err(|_| {
                DataError::new_err(format!(
                    "class of image {image}: expected at least 0, found {label}"
                ))
                .into()
            })
        };
        labels.as_array().iter().enumerate().map(class).collect()
    };
    let pixels = images.as_array().iter().copied().collect();
    let batch = LabeledBatch::new(channels, height, width, pixels, classes(labels)?)?;
    Ok(match targets {
        Some(targets) => batch.with_targets(&classes(targets)?)?,
        None => batch,
    })
}
