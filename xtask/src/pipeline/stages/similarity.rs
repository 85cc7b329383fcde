//! Stage `similarity`: one matrix for each target, averaged over scans, and what they say about the oracle images.

use super::response::{self, Predicted};
use super::scans::Loaded;
use crate::pipeline::config::Condition;
use crate::pipeline::context::Context;
use crate::pipeline::provenance::{self, Key, Record};
use crate::pipeline::results::{SimilarityToRepeatAverage, SimilarityToTruth, TargetResult};
use anyhow::{Context as _, Result};
use brainprior_images::StimulusSet;
use brainprior_recording::Responses;
use brainprior_similarity::{
    SimilarityMatrix, average, measured_weights, pearson, pixels, predicted_weights, product_of_weights, similarity, spread,
    standardising_weights,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const SUMMARY: &str = "summary.json";

/// What the stage found.
#[derive(Debug, Serialize, Deserialize)]
pub struct Summary {
    pub targets: Vec<TargetResult>,
    pub scans: Vec<ScanSimilarity>,
}

/// One scan's similarities of its oracle images, compared.
#[derive(Debug, Serialize, Deserialize)]
pub struct ScanSimilarity {
    pub to_repeat_average: SimilarityToRepeatAverage,
    pub to_truth: Option<SimilarityToTruth>,
}

/// The matrices of oracle images that the report draws, averaged over scans.
#[derive(Default)]
struct OracleMatrices {
    measured: Vec<SimilarityMatrix>,
    denoised: Vec<SimilarityMatrix>,
    single: Vec<SimilarityMatrix>,
    truth: Vec<SimilarityMatrix>,
}

impl OracleMatrices {
    /// Over scans, by name; without truth where no scan has one.
    fn averages(self) -> Result<BTreeMap<&'static str, SimilarityMatrix>> {
        let mut averages = BTreeMap::new();
        for (name, matrices) in
            [("measured", self.measured), ("denoised", self.denoised), ("single", self.single), ("truth", self.truth)]
        {
            if !matrices.is_empty() {
                averages.insert(name, average(&matrices.iter().collect::<Vec<_>>())?);
            }
        }
        Ok(averages)
    }
}

fn oracle_file(name: &str) -> String {
    format!("oracle-{name}.h5")
}

/// Computes every target that a condition asks for, and the comparisons.
pub fn run(context: &Context, scans: &Record, response: &Record) -> Result<Option<Record>> {
    let config = &context.config;
    let wanted: Vec<Condition> = [Condition::Denoised, Condition::Raw, Condition::Shuffled, Condition::Pixels]
        .into_iter()
        .filter(|condition| *condition == Condition::Denoised || config.training.conditions.contains(condition))
        .collect();
    let settings = (config.similarity.images, wanted.iter().map(|condition| condition.name()).collect::<Vec<_>>());
    let key = Key::new("similarity", settings, config.seed_of("similarity"))?.after(scans).given(scans, "").after(response);
    let seed = key.seed;
    context.run.task(key, &context.terminal, |folder| {
        let loaded = super::scans::load(context)?;
        let predicted = response::predictions(context, loaded.len())?;
        let summary = response::summary(context)?;
        let weights: Vec<Weights> =
            loaded.iter().zip(&summary.scans).map(|(loaded, scan)| Weights::of(loaded, &scan.v)).collect::<Result<_>>()?;

        let mut outputs = vec![SUMMARY.to_owned()];
        let mut oracle = OracleMatrices::default();
        let mut compared = Vec::new();
        for ((loaded, predicted), weights) in loaded.iter().zip(&predicted).zip(&weights) {
            compared.push(compare_oracle(loaded, predicted, weights, &mut oracle)?);
        }
        let oracle = oracle.averages()?;
        for (name, matrix) in &oracle {
            let file = oracle_file(name);
            matrix.write(&folder.join(&file))?;
            outputs.push(file);
        }
        let oracle_images = oracle["measured"].ids();
        let shown: Vec<StimulusSet> = loaded.iter().map(response::oracle_stimuli).collect();
        let shown = StimulusSet::union(&shown.iter().collect::<Vec<_>>())?;

        let stimuli = target_images(context, &loaded)?;
        let denoised = {
            let of = |(predicted, weights): (&Predicted, &Weights)| {
                Ok(similarity(&predicted.target.select(stimuli.ids())?, &weights.predicted)?)
            };
            let matrices: Vec<SimilarityMatrix> = predicted.iter().zip(&weights).map(of).collect::<Result<_>>()?;
            average(&matrices.iter().collect::<Vec<_>>())?
        };
        let mut targets = Vec::new();
        for condition in wanted {
            let matrix = match condition {
                Condition::Denoised => denoised.clone(),
                Condition::Shuffled => denoised.shuffled(seed),
                Condition::Raw => raw(&loaded, &weights, &stimuli)?,
                Condition::Pixels => pixels(&stimuli)?,
                Condition::None => continue,
            };
            let values = spread(&matrix);
            let on_oracle_images = match condition {
                Condition::Denoised => oracle["denoised"].clone(),
                Condition::Shuffled => oracle["denoised"].shuffled(seed),
                Condition::Raw => oracle["single"].clone(),
                Condition::Pixels => pixels(&shown)?.select(oracle_images)?,
                Condition::None => continue,
            };
            targets.push(TargetResult {
                name: condition.name().to_owned(),
                images: matrix.len(),
                pairs: matrix.pairs(),
                mean: values.mean,
                standard_deviation: values.standard_deviation,
                correlation_with_denoised: match matrix.ids() == denoised.ids() {
                    true => pearson(&matrix, &denoised)?,
                    false => pearson(&matrix, &denoised.select(matrix.ids())?)?,
                },
                correlation_with_oracle: pearson(&on_oracle_images, &oracle["measured"])?,
            });
            matrix.write(&folder.join(file_of(condition)))?;
            outputs.push(file_of(condition));
        }
        provenance::write_json(&folder.join(SUMMARY), &Summary { targets, scans: compared })?;
        Ok(outputs)
    })
}

/// Weights of one scan's neurons, responses being divided by each neuron's standard deviation over the training tier.
struct Weights {
    /// 1 over the standard deviation: equal weights.
    equal: Vec<f32>,
    /// w over the standard deviation, for measured responses.
    measured: Vec<f32>,
    /// w v over the standard deviation, for predicted responses.
    predicted: Vec<f32>,
}

impl Weights {
    fn of(loaded: &Loaded, v: &[f32]) -> Result<Self> {
        let equal = standardising_weights(&loaded.scan)?;
        Ok(Self {
            measured: product_of_weights(&measured_weights(&loaded.reliability), &equal)?,
            predicted: product_of_weights(&predicted_weights(&loaded.reliability, v)?, &equal)?,
            equal,
        })
    }
}

fn compare_oracle(
    loaded: &Loaded,
    predicted: &Predicted,
    weights: &Weights,
    matrices: &mut OracleMatrices,
) -> Result<ScanSimilarity> {
    let scan = &loaded.scan;
    let measured = similarity(&scan.repeat_means(), &weights.measured)?;
    let ids = measured.ids().to_vec();
    let denoised_responses = predicted.oracle.select(&ids)?;
    let denoised = similarity(&denoised_responses, &weights.predicted)?;
    let repeats = scan.repeats().values().map(Vec::len).min().unwrap_or(0);
    let single: Vec<SimilarityMatrix> = (0..repeats)
        .map(|repeat| Ok(similarity(&scan.repeat(repeat).select(&ids)?, &weights.measured)?))
        .collect::<Result<_>>()?;
    let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
    let to_repeat_average = SimilarityToRepeatAverage {
        single_trials: mean(single.iter().map(|matrix| Ok(pearson(matrix, &measured)?)).collect::<Result<_>>()?),
        denoised: pearson(&denoised, &measured)?,
    };
    let to_truth = match &loaded.truth {
        None => None,
        Some(truth) => {
            let truth = similarity(&truth.select(&ids)?, &weights.equal)?;
            let against = |responses: &Responses, weights: &[f32]| -> Result<f64> {
                Ok(pearson(&similarity(&responses.select(&ids)?, weights)?, &truth)?)
            };
            let singles = (0..repeats).map(|repeat| against(&scan.repeat(repeat), &weights.equal)).collect::<Result<_>>()?;
            let found = SimilarityToTruth {
                single_trials: mean(singles),
                repeat_average: against(&scan.repeat_means(), &weights.equal)?,
                denoised_equal_weights: against(&denoised_responses, &weights.equal)?,
                denoised_weighted: against(&denoised_responses, &weights.predicted)?,
            };
            matrices.truth.push(truth);
            Some(found)
        }
    };
    matrices.single.extend(single.into_iter().next());
    matrices.measured.push(measured);
    matrices.denoised.push(denoised);
    Ok(ScanSimilarity { to_repeat_average, to_truth })
}

/// The images of every target: those shown outside the test tier, or the first of them.
pub fn target_images(context: &Context, loaded: &[Loaded]) -> Result<StimulusSet> {
    let all = response::target_stimuli(loaded)?;
    let wanted = context.config.similarity.images;
    Ok(if wanted == 0 || wanted >= all.len() { all } else { all.subset(&(0..wanted).collect::<Vec<_>>()) })
}

fn raw(loaded: &[Loaded], weights: &[Weights], stimuli: &StimulusSet) -> Result<SimilarityMatrix> {
    let mut matrices = Vec::new();
    for (loaded, weights) in loaded.iter().zip(weights) {
        let responses = loaded.scan.single_trials();
        let shown: Vec<_> = responses.ids().iter().copied().filter(|id| stimuli.position(*id).is_some()).collect();
        matrices.push(similarity(&responses.select(&shown)?, &weights.measured)?);
    }
    let averaged = average(&matrices.iter().collect::<Vec<_>>())?;
    averaged.select(stimuli.ids()).context("an image of the target was shown in no scan outside its test tier")
}

fn file_of(condition: Condition) -> String {
    format!("{}.h5", condition.name())
}

/// The matrix of a condition; none for `none`.
pub fn load(context: &Context, condition: Condition) -> Result<Option<SimilarityMatrix>> {
    match condition {
        Condition::None => Ok(None),
        _ => Ok(Some(SimilarityMatrix::read(&context.run.folder("similarity").join(file_of(condition)))?)),
    }
}

/// A matrix of oracle images, if the stage wrote it.
pub fn oracle_matrix(context: &Context, name: &str) -> Result<Option<SimilarityMatrix>> {
    let path = context.run.folder("similarity").join(oracle_file(name));
    Ok(if path.exists() { Some(SimilarityMatrix::read(&path)?) } else { None })
}

/// The stage's summary.
pub fn summary(context: &Context) -> Result<Summary> {
    provenance::read_json(&context.run.folder("similarity").join(SUMMARY))
}
