//! What stage `response` writes beside the models and their predictions.

use serde::{Deserialize, Serialize};

/// The whole stage.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ResponseSummary {
    pub(crate) scans: Vec<ScanSummary>,
    /// Kernels of the core's first layer, plane by plane, row by row.
    pub(crate) filters: Vec<Vec<Vec<f32>>>,
}

/// What later stages and the report ask of a scan's model.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ScanSummary {
    pub(crate) name: String,
    /// Trials of the training tier that did not train, since their images validate in another scan.
    pub(crate) left_out: usize,
    /// Correlation of prediction and response over held-out trials, per neuron.
    pub(crate) v: Vec<f32>,
    /// How far predictions and single trials can be trusted.
    pub(crate) variances: Variances,
    /// What the shares of the two models are, where two are mixed.
    pub(crate) shares: Option<Shares>,
    pub(crate) test_correlation: Option<Estimate>,
    pub(crate) correlation_to_average: Option<Estimate>,
    pub(crate) fraction_oracle: Option<Estimate>,
    pub(crate) feve: Option<Estimate>,
    pub(crate) correlations: NeuronCorrelations,
    pub(crate) examples: Vec<ExampleNeuron>,
    pub(crate) fields: ReceptiveFields,
}

/// Of each neuron, in the units of the scan.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Variances {
    /// Of the predictions' error about the expected response.
    pub(crate) error: Vec<f64>,
    /// Of one trial about it.
    pub(crate) noise: Vec<f64>,
    /// Mean response less mean prediction.
    pub(crate) level: Vec<f64>,
}

/// Of two models in one prediction.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Shares {
    pub(crate) convolutional: f64,
    pub(crate) linear: f64,
}

/// A figure over neurons (a median, or a slope) with its bootstrap interval of 95%.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Estimate {
    pub(crate) value: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
    pub(crate) neurons: usize,
}

/// A neuron's repeat averages against its predictions, over the oracle images.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ExampleNeuron {
    pub(crate) scan: String,
    pub(crate) neuron: usize,
    pub(crate) correlation: f64,
    /// Predicted, measured.
    pub(crate) points: Vec<(f64, f64)>,
}

/// Per neuron of a scan: oracle correlation and test correlation, and where it is defined the share of explainable variance that is
/// explained.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct NeuronCorrelations {
    pub(crate) scan: String,
    pub(crate) oracle: Vec<f64>,
    pub(crate) test: Vec<f64>,
    pub(crate) feve: Vec<f64>,
    /// Of test on oracle correlation, through the origin.
    pub(crate) slope: Option<f64>,
}

/// Centres of a scan's receptive fields, and an image that it showed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ReceptiveFields {
    pub(crate) scan: String,
    pub(crate) height: usize,
    pub(crate) width: usize,
    /// Row by row.
    pub(crate) image: Vec<f32>,
    /// (x, y), -1 and 1 at the outer edges of the image.
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
