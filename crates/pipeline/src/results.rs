//! `results.json`: every figure of a run, after `data-specs/results.toml`. Times are kept apart in `times.json`, so that
//! equal runs give equal bytes.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// All figures of a run.
#[derive(Debug, Serialize, Deserialize)]
pub struct Results {
    pub format: String,
    pub version: u32,
    pub name: String,
    pub crate_version: String,
    pub config_hash: String,
    pub seed: u64,
    pub device: String,
    pub scans: Vec<ScanResult>,
    pub targets: Vec<TargetResult>,
    pub networks: Vec<NetworkResult>,
    pub conditions: Vec<ConditionSummary>,
}

/// A figure over neurons (a median, or a slope) with its bootstrap interval of 95%.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Estimate {
    pub value: f64,
    pub low: f64,
    pub high: f64,
    pub neurons: usize,
}

/// A scan, its reliability, and how well the model predicts it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ScanResult {
    pub name: String,
    pub neurons: usize,
    pub trials: usize,
    pub images: usize,
    pub oracle_images: usize,
    pub excluded_neurons: usize,
    pub oracle: Option<f64>,
    pub test_correlation: Option<Estimate>,
    pub correlation_to_average: Option<Estimate>,
    pub fraction_oracle: Option<Estimate>,
    pub feve: Option<Estimate>,
    /// Correlation over pairs of oracle images with the similarity of the known truth, where there is one.
    pub similarity_to_truth: Option<SimilarityToTruth>,
    /// Correlation over pairs of oracle images with the similarity of the repeat average (paper, section 3).
    pub similarity_to_repeat_average: SimilarityToRepeatAverage,
    /// Agreement with the known truth, where there is one, in each convention.
    pub similarity_conventions: Vec<ConventionResult>,
}

/// Correlations with the similarity of the known truth over pairs of oracle images, weighted alike on both sides.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ConventionResult {
    pub weights: String,
    pub single_trials: OverImages,
    pub repeat_average: OverImages,
    pub denoised: OverImages,
    /// What the truth could reach with single trials, between bounds estimated without it.
    pub ceiling_lower: f64,
    pub ceiling_upper: f64,
}

/// A correlation with its bootstrap interval of 95% over images.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct OverImages {
    pub value: f64,
    pub low: f64,
    pub high: f64,
}

/// Pearson correlations over the pairs of oracle images; responses and truth divided by each neuron's standard deviation
/// over the training tier.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SimilarityToTruth {
    pub single_trials: f64,
    pub repeat_average: f64,
    pub denoised_equal_weights: f64,
    pub denoised_weighted: f64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SimilarityToRepeatAverage {
    pub single_trials: f64,
    pub denoised: f64,
}

/// A target of the regulariser.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TargetResult {
    pub name: String,
    pub images: usize,
    pub pairs: usize,
    pub mean: f64,
    pub standard_deviation: f64,
    /// Correlation with the denoised target over all pairs.
    pub correlation_with_denoised: f64,
    /// The same method on the oracle images, which it never saw, against the similarity of their repeat average.
    pub correlation_with_oracle: f64,
}

/// Accuracy at one level of noise or attack.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Point {
    pub level: f64,
    pub accuracy: f64,
}

/// The smallest perturbation that changes the decision, over images.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MinimalPerturbation {
    /// Absent where more than half of the images withstand the largest level tried.
    pub median: Option<f64>,
    pub low: Option<f64>,
    pub high: Option<f64>,
    pub images: usize,
    pub censored: usize,
}

/// Whether attacks on a network can be believed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Masking {
    /// Linf size at which attacks were compared.
    pub epsilon: f64,
    /// Images that the network is right about, on which it was checked.
    pub images: usize,
    /// Whether no check found anything.
    pub clean: bool,
    /// What to make of it, in words.
    pub verdict: String,
    pub checks: Vec<Check>,
}

/// One check for gradient masking.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Check {
    pub name: String,
    /// Each figure by what it is.
    pub figures: BTreeMap<String, f64>,
    /// What is wrong, in words.
    pub finding: Option<String>,
}

/// One trained network.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NetworkResult {
    pub condition: String,
    pub seed: u64,
    pub clean_accuracy: f64,
    pub gaussian_noise: Vec<Point>,
    /// Error under each family of corruptions, severity 1 to 5.
    pub corruptions: BTreeMap<String, [f64; 5]>,
    /// Mean over families of the mean over severities.
    pub mean_corruption_error: Option<f64>,
    pub attacks: BTreeMap<String, Vec<Point>>,
    pub minimal_perturbation: BTreeMap<String, MinimalPerturbation>,
    pub masking: Option<Masking>,
    /// Final mixture over the stem and the stages.
    pub gamma: Vec<f64>,
    /// Correlation of the network's similarities with the target's over the last epoch.
    pub pair_correlation: Option<f64>,
}

/// Mean and standard deviation over seeds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Spread {
    pub mean: f64,
    pub standard_deviation: f64,
}

impl Spread {
    /// Over the values of the seeds; the standard deviation has ddof 1, and is 0 for a single seed.
    pub fn of(values: &[f64]) -> Self {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
        Self { mean, standard_deviation: if values.len() > 1 { (squares / (count - 1.0)).sqrt() } else { 0.0 } }
    }
}

/// Accuracy over seeds at one level.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LevelSummary {
    pub level: f64,
    pub accuracy: Spread,
    /// Accuracy over clean accuracy, of the same network.
    pub retention: Spread,
}

/// A condition over its seeds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ConditionSummary {
    pub condition: String,
    pub seeds: usize,
    pub clean_accuracy: Spread,
    pub gaussian_noise: Vec<LevelSummary>,
    /// Absent where corruptions were not measured.
    pub mean_corruption_error: Option<Spread>,
    pub attacks: BTreeMap<String, Vec<LevelSummary>>,
    pub minimal_perturbation: BTreeMap<String, Option<Spread>>,
}

/// Sums up the networks of each condition, in the order in which the conditions appear.
pub fn summarise(networks: &[NetworkResult]) -> Vec<ConditionSummary> {
    let mut order: Vec<&str> = Vec::new();
    for network in networks {
        if !order.contains(&network.condition.as_str()) {
            order.push(&network.condition);
        }
    }
    order.into_iter().map(|condition| summarise_one(condition, networks)).collect()
}

fn summarise_one(condition: &str, networks: &[NetworkResult]) -> ConditionSummary {
    let own: Vec<&NetworkResult> = networks.iter().filter(|network| network.condition == condition).collect();
    let first = own[0];
    let curve = |points: &dyn Fn(&NetworkResult) -> Vec<Point>| -> Vec<LevelSummary> {
        let curves: Vec<Vec<Point>> = own.iter().map(|network| points(network)).collect();
        (0..curves[0].len())
            .map(|index| {
                let accuracy: Vec<f64> = curves.iter().map(|curve| curve[index].accuracy).collect();
                let retention: Vec<f64> = accuracy
                    .iter()
                    .zip(&own)
                    .map(|(accuracy, network)| if network.clean_accuracy > 0.0 { accuracy / network.clean_accuracy } else { 0.0 })
                    .collect();
                LevelSummary { level: curves[0][index].level, accuracy: Spread::of(&accuracy), retention: Spread::of(&retention) }
            })
            .collect()
    };
    let medians = |name: &String| -> Option<Spread> {
        let values: Option<Vec<f64>> = own.iter().map(|network| network.minimal_perturbation[name].median).collect();
        values.map(|values| Spread::of(&values))
    };
    ConditionSummary {
        condition: condition.to_owned(),
        seeds: own.len(),
        clean_accuracy: Spread::of(&own.iter().map(|network| network.clean_accuracy).collect::<Vec<_>>()),
        gaussian_noise: curve(&|network| network.gaussian_noise.clone()),
        mean_corruption_error: own
            .iter()
            .map(|network| network.mean_corruption_error)
            .collect::<Option<Vec<f64>>>()
            .map(|errors| Spread::of(&errors)),
        attacks: first
            .attacks
            .keys()
            .map(|name| (name.clone(), curve(&|network: &NetworkResult| network.attacks[name].clone())))
            .collect(),
        minimal_perturbation: first.minimal_perturbation.keys().map(|name| (name.clone(), medians(name))).collect(),
    }
}
