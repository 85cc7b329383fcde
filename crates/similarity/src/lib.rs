#![doc = include_str!("../README.md")]
//!
//! Each neuron is weighted and centered over images, each image's population vector is normalized
//! to length one, and the similarity of two images is the cosine of their vectors (section 3.1 of
//! the paper). Measured responses, predicted responses and pixels are all processed this way.
//! Matrices of several scans are averaged by image identity, shuffled as a control, compared, and
//! stored with their provenance.
//!
//! The same input gives the same bytes for any number of threads.
//!
//! Files are HDF5, whose library is built from C, and need the default feature `hdf5` (`scans` in
//! the crate `brainprior`, where it is off by default). Without it, similarities can be computed
//! and compared but not read or written.

mod average;
mod calibration;
mod compare;
mod control;
mod device;
mod error;
mod error_variances;
mod features;
#[cfg(feature = "hdf5")]
mod files;
mod filtered;
mod held_out;
mod matrix;
mod oracle;
mod panels;
mod population;
mod product;
mod random;
mod rows;
mod stream;
mod sweep;
mod targets;
mod weights;

pub use average::{average, groups_of_scans};
pub use calibration::{
    calibrated_over_scans, calibrated_similarity, noise_free_spread, unexplained,
};
use compare::where_defined;
pub use compare::{
    Agreement, Estimate, HalfSamples, Interval, Measure, NoiseCeiling, RepeatReliability, Spread,
    agreement, compare, interval_over_images, interval_over_images_of_mean, interval_over_neurons,
    interval_over_scans, mean_agreement, noise_ceiling, pearson, repeat_reliability, spearman,
    spread,
};
pub use control::{halves, pixels};
pub use device::DeviceOptions;
pub use error::{Error, Result};
pub use error_variances::ErrorVariances;
pub use features::{Layer, Network, features, network_features};
#[cfg(feature = "hdf5")]
pub use files::{FileRows, Precision, write_neighbors, write_pairs};
pub use filtered::{low_pass_pixels, orientation_energy};
pub use held_out::{ChosenWeights, choose_weights, held_out_correlation};
pub use matrix::SimilarityMatrix;
pub use oracle::{
    Denoised, OracleComparison, ToOtherRepeats, ToTruth, ToTruthInOneWeighting, Weighting,
    WeightingComparison, compare_oracle_images, unexplained_by_combined,
};
pub use population::{Images, Population, ScanVectors};
pub use rows::{Computed, Rows};
pub use stream::{
    Histogram, NearestImages, Neighbors, Pair, PairsAbove, SimilarityHistogram, StratifiedPairs,
    StratifiedSample, UniformPairs, UniformSample,
};
pub use sweep::{
    Block, Checkpoint, Progress, Reduction, Resumable, StateReader, StateWriter, Sweep,
};
pub use targets::{label_similarity, similarity_over_scans, single_trial_similarity};
pub use weights::{
    ScanWeights, StandardizedOver, TargetWeights, measured_weights, predicted_weights,
    product_of_weights, standardizing_weights,
};

use brainprior_images::ImageId;
use brainprior_recording::Responses;
use ndarray::ArrayView2;

/// Similarities of all pairs of images in `responses`, measured or predicted, with one weight per
/// neuron
/// ([`measured_weights`], [`predicted_weights`], [`standardizing_weights`]).
///
/// # Errors
/// See [`vectors`].
pub fn similarity(responses: &Responses, weights: &[f32]) -> Result<SimilarityMatrix> {
    let source = format!("scan {}, {:?}", responses.scan(), responses.kind());
    vectors(responses.ids(), responses.values().view(), weights, &source)
}

/// Similarities of all pairs of images, given by arbitrary vectors: `values` is `[images,
/// dimensions]`, with one weight per dimension; `source` is recorded in the provenance.
///
/// # Errors
/// Returns an error if sizes do not match, an image is given twice, a value is not finite, a weight
/// is negative, all weights are zero, or an image's vector is zero after weighting and centering.
pub fn vectors(
    ids: &[ImageId],
    values: ArrayView2<f32>,
    weights: &[f32],
    source: &str,
) -> Result<SimilarityMatrix> {
    let _span = tracing::info_span!(
        "similarity",
        source,
        images = values.nrows(),
        dimensions = values.ncols()
    )
    .entered();
    let values = values.as_standard_layout();
    let view = values.view();
    let source = ScanVectors { name: source, ids, rows: &view, weights };
    Population::new(&[source], Images::Identical)?
        .matrix(&Sweep { memory: usize::MAX, ..Sweep::default() })
}
