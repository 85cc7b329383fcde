//! Data that stages write and the report reads, as plain structs. Nothing here depends on stages or
//! the report; adding or renaming a field changes a file on disk, whose spec is in `data-specs/`.

mod attack;
mod compared;
mod response;
mod results;
mod robustness;
mod scans;
mod seeds;
mod similarity;
mod trade_off;
mod training;

pub(crate) use attack::{Added, AttackReport};
pub(crate) use compared::{
    AtEqualAccuracy, Comparison, Difference, LevelDifference, Ratio, SeedRatio,
};
pub(crate) use response::{
    Estimate, ExampleNeuron, NeuronCorrelations, ReceptiveFields, ResponseEpoch, ResponseSummary,
    ScanSummary, Shares, Variances,
};
pub(crate) use results::{Results, ScanResult};
pub(crate) use robustness::{
    CURVES, Check, DISTANCES, Distances, Kept, Masking, MaskingSign, MinimalPerturbation,
    NetworkResult, Pictures, Point, Validation, mean_over_families,
};
pub(crate) use scans::{ScanIndex, ScanSource};
#[cfg(test)]
pub(crate) use seeds::ValidationSummary;
pub(crate) use seeds::{ConditionSummary, LevelSummary, PullSummary, Spread, each_once, summarize};
pub(crate) use similarity::{
    ReliabilityResult, ScanSimilarity, SimilarityAgreement, SimilaritySummary,
    SimilarityToOtherRepeats, SimilarityToTruth, TargetResult, TargetWeighting, Verdict,
    WeightingResult,
};
pub(crate) use trade_off::{Followed, Snapshot};
pub(crate) use training::{Pull, SetBy, TrainingEpoch};
