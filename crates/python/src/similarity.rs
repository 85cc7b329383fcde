//! Similarities of images from any vectors: matrices, sweeps over all pairs without storing them,
//! and agreement of matrices.

use crate::error::{Result, unknown};
use crate::scan::numbers;
use crate::watch::{Watch, watched};
use brainprior_images::ImageId;
use brainprior_similarity::{
    self as core, HalfSamples, Images, Measure, NearestImages, Population, Precision, Progress,
    ScanVectors, Sweep, UniformPairs,
};
use ndarray::{Array1, Array2, ArrayView2};
use numpy::{
    AllowTypeChange, IntoPyArray, PyArray1, PyArray2, PyArrayLike1, PyArrayLike2, ToPyArray,
};
use pyo3::prelude::*;
use std::path::PathBuf;

/// Similarities of all pairs of images, in [-1, 1]. Stores the strict upper triangle in the order
/// of scipy.spatial.distance.squareform.
///
/// SimilarityMatrix(values, ids=None): values [images (images - 1) / 2] of any numeric type; ids
/// [images] of uint64, as from image_ids, to match images (0, 1, 2, ... by default).
#[pyclass(frozen, module = "brainprior")]
pub(crate) struct SimilarityMatrix {
    pub(crate) matrix: core::SimilarityMatrix,
}

#[pymethods]
impl SimilarityMatrix {
    #[new]
    #[pyo3(signature = (values, ids=None, *, provenance="from arrays"))]
    fn new(
        values: PyArrayLike1<'_, f32, AllowTypeChange>,
        ids: Option<Ids<'_>>,
        provenance: &str,
    ) -> Result<Self> {
        let values = values.as_array().to_vec();
        // Number of images from the number of pairs; a number that does not fit is rejected with
        // both sizes.
        let images = ((1.0 + (1.0 + 8.0 * values.len() as f64).sqrt()) / 2.0).round() as usize;
        let ids = identities(ids.as_ref(), images);
        Ok(Self { matrix: core::SimilarityMatrix::new(ids, values, vec![provenance.to_owned()])? })
    }

    /// Reads a similarity file (HDF5) written by save or the command line.
    #[staticmethod]
    fn read(py: Python<'_>, path: PathBuf) -> Result<Self> {
        Ok(Self { matrix: py.detach(|| core::SimilarityMatrix::read(&path))? })
    }

    /// Writes the matrix as HDF5, completely or not at all; precision is "f32", or "f16" with
    /// errors of at most 0.00025.
    #[pyo3(signature = (path, *, precision="f32"))]
    fn save(&self, py: Python<'_>, path: PathBuf, precision: &str) -> Result<()> {
        let precision = match precision {
            "f32" => Precision::F32,
            "f16" => Precision::F16,
            other => return Err(unknown("precision", "f32 or f16", other)),
        };
        Ok(py.detach(|| self.matrix.write_as(&path, precision))?)
    }

    /// A copy of the strict upper triangle, [images (images - 1) / 2] of float32: (0, 1), (0, 2),
    /// ..., (1, 2), ...
    #[getter]
    fn values<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<f32>> {
        self.matrix.packed().to_pyarray(py)
    }

    /// The full matrix, [images, images] of float32, with ones on its diagonal.
    fn square<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray2<f32>> {
        let all = 0..self.matrix.len();
        py.detach(|| self.matrix.block(all.clone(), all)).into_pyarray(py)
    }

    /// Similarity of images i and j, by index.
    fn pair(&self, i: usize, j: usize) -> Result<f32> {
        let images = self.matrix.len();
        match i.max(j) < images {
            true => Ok(self.matrix.get(i, j)),
            false => {
                Err(unknown("pair", &format!("two indices below {images}"), &format!("{i}, {j}")))
            }
        }
    }

    /// Identity of each image, [images] of uint64.
    #[getter]
    fn ids<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<u64>> {
        numbers(self.matrix.ids()).into_pyarray(py)
    }

    /// Number of scans over which the similarities of each image were averaged, [images].
    #[getter]
    fn scans<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<u32>> {
        self.matrix.scans().to_pyarray(py)
    }

    /// How the matrix was made, one entry per step.
    #[getter]
    fn provenance(&self) -> Vec<String> {
        self.matrix.provenance().to_vec()
    }

    /// The matrix of some images, selected by their identities [n] of uint64, in that order.
    fn select(&self, py: Python<'_>, ids: Ids<'_>) -> Result<Self> {
        let ids = identities(Some(&ids), 0);
        Ok(Self { matrix: py.detach(|| self.matrix.select(&ids))? })
    }

    /// Control: the same similarities with the images permuted at random.
    fn shuffled(&self, py: Python<'_>, seed: u64) -> Self {
        Self { matrix: py.detach(|| self.matrix.shuffled(seed)) }
    }

    fn __len__(&self) -> usize {
        self.matrix.len()
    }

    fn __repr__(&self) -> String {
        format!(
            "<SimilarityMatrix of {} images: {}>",
            self.matrix.len(),
            self.matrix.provenance().join("; ")
        )
    }
}

type Ids<'py> = PyArrayLike1<'py, u64, AllowTypeChange>;
type Values<'py> = PyArrayLike2<'py, f32, AllowTypeChange>;
type Weights<'py> = PyArrayLike1<'py, f32, AllowTypeChange>;

fn identities(ids: Option<&Ids<'_>>, images: usize) -> Vec<ImageId> {
    match ids {
        Some(ids) => ids.as_array().iter().map(|id| ImageId::from_u64(*id)).collect(),
        None => (0..images as u64).map(ImageId::from_u64).collect(),
    }
}

/// Vectors of images: for each scan [images, dimensions], the image identities, and weights of the
/// dimensions.
struct Vectors {
    names: Vec<String>,
    ids: Vec<Vec<ImageId>>,
    weights: Vec<Vec<f32>>,
    images: Images,
}

impl Vectors {
    fn new(
        responses: &[Values<'_>],
        weights: &[Option<Weights<'_>>],
        ids: &[Option<Ids<'_>>],
        images: &str,
    ) -> Result<Self> {
        let one_each = |what: &str, found: usize| match found == responses.len() {
            true => Ok(()),
            false => Err(unknown(
                what,
                &format!("one per scan, {} in all", responses.len()),
                &found.to_string(),
            )),
        };
        one_each("weights", weights.len())?;
        one_each("ids", ids.len())?;
        let shapes: Vec<(usize, usize)> =
            responses.iter().map(|values| values.as_array().dim()).collect();
        Ok(Self {
            names: match responses.len() {
                1 => vec!["responses".into()],
                scans => (0..scans).map(|scan| format!("responses {scan}")).collect(),
            },
            ids: ids
                .iter()
                .zip(&shapes)
                .map(|(ids, (images, _))| identities(ids.as_ref(), *images))
                .collect(),
            weights: weights
                .iter()
                .zip(&shapes)
                .map(|(weights, (_, dimensions))| match weights {
                    Some(weights) => weights.as_array().to_vec(),
                    None => vec![1.0; *dimensions],
                })
                .collect(),
            images: match images {
                "any" => Images::OfAnyScan,
                "every" => Images::OfEveryScan,
                "same" => Images::Identical,
                other => return Err(unknown("images", "any, every or same", other)),
            },
        })
    }

    /// The population of these vectors, whose values `standard` are row-major.
    fn population<'a>(
        &'a self,
        standard: &'a [ArrayView2<'a, f32>],
    ) -> core::Result<Population<'a>> {
        let sources: Vec<ScanVectors<'a>> = standard
            .iter()
            .enumerate()
            .map(|(scan, rows)| ScanVectors {
                name: &self.names[scan],
                ids: &self.ids[scan],
                rows,
                weights: &self.weights[scan],
            })
            .collect();
        Population::new(&sources, self.images)
    }
}

/// Sweeps over all pairs of the vectors, within `memory` bytes of vectors.
fn swept<T: Send>(
    py: Python<'_>,
    responses: &[Values<'_>],
    vectors: &Vectors,
    memory: usize,
    progress: Option<Py<PyAny>>,
    work: impl FnOnce(&Population<'_>, &Sweep<'_>) -> core::Result<T> + Send,
) -> Result<T> {
    let views: Vec<ArrayView2<'_, f32>> =
        responses.iter().map(|values| values.as_array()).collect();
    watched(py, progress, |watch: &Watch| {
        let standard: Vec<_> = views.iter().map(|values| values.as_standard_layout()).collect();
        let rows: Vec<ArrayView2<'_, f32>> = standard.iter().map(|values| values.view()).collect();
        let observer = |progress: Progress| watch.tell(progress.pairs, progress.total);
        work(&vectors.population(&rows)?, &Sweep { memory, observer: &observer })
    })
}

#[pyfunction]
pub(crate) fn similarity(
    py: Python<'_>,
    responses: Vec<Values<'_>>,
    weights: Vec<Option<Weights<'_>>>,
    ids: Vec<Option<Ids<'_>>>,
    images: &str,
    progress: Option<Py<PyAny>>,
) -> Result<SimilarityMatrix> {
    let vectors = Vectors::new(&responses, &weights, &ids, images)?;
    let matrix = swept(py, &responses, &vectors, usize::MAX, progress, |population, sweep| {
        population.matrix(sweep)
    })?;
    Ok(SimilarityMatrix { matrix })
}

#[pyfunction]
pub(crate) fn nearest<'py>(
    py: Python<'py>,
    responses: Vec<Values<'py>>,
    weights: Vec<Option<Weights<'py>>>,
    ids: Vec<Option<Ids<'py>>>,
    images: &str,
    count: usize,
    memory: usize,
    progress: Option<Py<PyAny>>,
) -> Result<(Bound<'py, PyArray1<u64>>, Bound<'py, PyArray2<i64>>, Bound<'py, PyArray2<f32>>)> {
    let vectors = Vectors::new(&responses, &weights, &ids, images)?;
    let (all, neighbors) =
        swept(py, &responses, &vectors, memory, progress, |population, sweep| {
            let neighbors =
                population.reduce(&NearestImages::new(population.len(), count), sweep)?;
            Ok((numbers(population.ids()), neighbors))
        })?;
    let shape = (neighbors.len(), neighbors.of(0).len());
    let places =
        Array2::from_shape_fn(shape, |(image, rank)| i64::from(neighbors.of(image)[rank].0));
    let similarities = Array2::from_shape_fn(shape, |(image, rank)| neighbors.of(image)[rank].1);
    Ok((all.into_pyarray(py), places.into_pyarray(py), similarities.into_pyarray(py)))
}

#[pyfunction]
pub(crate) fn sample_pairs<'py>(
    py: Python<'py>,
    responses: Vec<Values<'py>>,
    weights: Vec<Option<Weights<'py>>>,
    ids: Vec<Option<Ids<'py>>>,
    images: &str,
    count: usize,
    seed: u64,
    memory: usize,
    progress: Option<Py<PyAny>>,
) -> Result<(Bound<'py, PyArray1<u64>>, Bound<'py, PyArray2<i64>>, Bound<'py, PyArray1<f32>>)> {
    let vectors = Vectors::new(&responses, &weights, &ids, images)?;
    let (all, sample) = swept(py, &responses, &vectors, memory, progress, |population, sweep| {
        let drawn = UniformPairs::new(population.len(), count, seed)?;
        let similarities = population.reduce(&drawn, sweep)?;
        Ok((numbers(population.ids()), drawn.sample(similarities)))
    })?;
    let places = Array2::from_shape_fn((sample.len(), 2), |(pair, second)| {
        i64::from(if second == 0 { sample[pair].first } else { sample[pair].second })
    });
    let similarities: Array1<f32> = sample.iter().map(|pair| pair.similarity).collect();
    Ok((all.into_pyarray(py), places.into_pyarray(py), similarities.into_pyarray(py)))
}

/// The mean of matrices of several scans, with images matched by identity; a pair is averaged over
/// the scans that have both images.
#[pyfunction]
pub(crate) fn average(
    py: Python<'_>,
    matrices: Vec<PyRef<'_, SimilarityMatrix>>,
) -> Result<SimilarityMatrix> {
    let matrices: Vec<&core::SimilarityMatrix> =
        matrices.iter().map(|matrix| &matrix.matrix).collect();
    Ok(SimilarityMatrix { matrix: py.detach(|| core::average(&matrices))? })
}

/// Agreement of two matrices; low, high and standard_error are None without bootstrap or with too
/// few images.
#[pyclass(frozen, get_all, module = "brainprior")]
pub(crate) struct Estimate {
    /// Agreement on all images.
    value: f64,
    /// Lower end of the interval.
    low: Option<f64>,
    /// Upper end of the interval.
    high: Option<f64>,
    /// Standard deviation over the halves.
    standard_error: Option<f64>,
}

#[pymethods]
impl Estimate {
    fn __float__(&self) -> f64 {
        self.value
    }

    fn __repr__(&self) -> String {
        match (self.low, self.high) {
            (Some(low), Some(high)) => format!("{:.4} [{low:.4}, {high:.4}]", self.value),
            _ => format!("{:.4}", self.value),
        }
    }
}

#[pyfunction]
pub(crate) fn compare(
    py: Python<'_>,
    first: PyRef<'_, SimilarityMatrix>,
    second: PyRef<'_, SimilarityMatrix>,
    measure: &str,
    bootstrap: usize,
    level: f64,
    seed: u64,
) -> Result<Estimate> {
    let measure = match measure {
        "pearson" => Measure::Pearson,
        "spearman" => Measure::Spearman,
        "kendall" => Measure::KendallTauA,
        "cosine" => Measure::Cosine,
        "whitened_cosine" => Measure::WhitenedCosine,
        "cka" => Measure::DebiasedCka,
        other => {
            return Err(unknown(
                "measure",
                "pearson, spearman, kendall, cosine, whitened_cosine or cka",
                other,
            ));
        }
    };
    let (first, second) = (&first.matrix, &second.matrix);
    let found = watched(py, None, |_| match bootstrap {
        0 => core::compare(measure, first, second)
            .map(|value| core::Estimate { value, interval: None }),
        count => {
            core::interval_over_images(measure, first, second, HalfSamples { count, level, seed })
        }
    })?;
    let of = |end: fn(&core::Interval) -> f64| found.interval.as_ref().map(end);
    Ok(Estimate {
        value: found.value,
        low: of(|interval| interval.low),
        high: of(|interval| interval.high),
        standard_error: of(|interval| interval.standard_error),
    })
}
