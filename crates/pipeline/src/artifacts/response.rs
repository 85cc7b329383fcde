//! What stage `response` writes, besides models and predictions.

use serde::{Deserialize, Serialize};

/// Summary of the stage.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ResponseSummary {
    pub(crate) scans: Vec<ScanSummary>,
    /// Kernels of the core's first layer: plane, row, column.
    pub(crate) filters: Vec<Vec<Vec<f32>>>,
}

/// The summary of a scan's model that later stages and the report need.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ScanSummary {
    pub(crate) name: String,
    /// Correlation of prediction and response over held-out trials, per neuron.
    pub(crate) v: Vec<f32>,
    /// Error variances of predictions and single trials.
    pub(crate) variances: Variances,
    /// Weights of the two models in the predictions, if two are mixed.
    pub(crate) shares: Option<Shares>,
    pub(crate) test_correlation: Option<Estimate>,
    pub(crate) correlation_to_average: Option<Estimate>,
    pub(crate) fraction_oracle: Option<Estimate>,
    pub(crate) feve: Option<Estimate>,
    pub(crate) correlations: NeuronCorrelations,
    pub(crate) examples: Vec<ExampleNeuron>,
    pub(crate) fields: ReceptiveFields,
}

/// Variances per neuron, in the units of the scan.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Variances {
    /// Error variance of the predictions of the expected response.
    pub(crate) error: Vec<f64>,
    /// Variance of a single trial about the expected response.
    pub(crate) noise: Vec<f64>,
    /// Mean response minus mean prediction.
    pub(crate) level: Vec<f64>,
}

/// Weights of two models in one prediction.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Shares {
    pub(crate) convolutional: f64,
    pub(crate) linear: f64,
}

/// An estimate over neurons (a median or slope) with its 95% bootstrap interval.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Estimate {
    pub(crate) value: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
    pub(crate) neurons: usize,
}

/// A neuron's repeat averages and predictions for the oracle images.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ExampleNeuron {
    pub(crate) scan: String,
    pub(crate) neuron: usize,
    pub(crate) correlation: f64,
    /// Pairs of predicted and measured responses.
    pub(crate) points: Vec<(f64, f64)>,
}

/// Oracle and test correlation of each neuron of a scan, and the fraction of explainable variance
/// explained, if defined.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct NeuronCorrelations {
    pub(crate) scan: String,
    pub(crate) oracle: Vec<f64>,
    pub(crate) test: Vec<f64>,
    pub(crate) feve: Vec<f64>,
    /// Slope of test against oracle correlation, through the origin.
    pub(crate) slope: Option<f64>,
}

/// Centers of a scan's receptive fields, and one of its images.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ReceptiveFields {
    pub(crate) scan: String,
    pub(crate) height: usize,
    pub(crate) width: usize,
    /// Row-major.
    pub(crate) image: Vec<f32>,
    /// (x, y), where -1 and 1 are the outer edges of the image.
    pub(crate) centers: Vec<[f32; 2]>,
    /// Test correlation of each neuron.
    pub(crate) correlations: Vec<f32>,
}

/// One epoch of the response model.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ResponseEpoch {
    pub(crate) epoch: usize,
    pub(crate) loss: f64,
    pub(crate) validation_correlation: f64,
}
