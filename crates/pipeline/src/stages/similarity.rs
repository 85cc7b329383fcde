//! Stage `similarity`: one matrix for each target, averaged over scans, and what they say about the oracle images.

use super::response::{self, Predicted};
use super::scans::Loaded;
use super::{Inputs, Outcome, Stage};
use crate::artifacts::{
    ConventionResult, OverImages, ScanSimilarity, SimilaritySummary, SimilarityToRepeatAverage, SimilarityToTruth, TargetResult,
};
use crate::config::{Extent, Layer, MatrixTarget};
use crate::run::{Context, Key};
use anyhow::{Context as _, Result, ensure};
use brainprior_artifact::{hash, json};
use brainprior_classifier::{ResNet, Target};
use brainprior_images::{LabeledImages, StimulusSet};
use brainprior_recording::{Responses, Scan};
use brainprior_similarity::{
    Images, Interval, Network, OracleComparison, ScanWeights, SimilarityMatrix, Weighting, average, compare_oracle_images,
    label_similarity, pearson, pixels, similarity_over_scans, single_trial_similarity, spread, vectors,
};
use candle_core::{Device, Tensor};
use ndarray::ArrayView2;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const SUMMARY: &str = "summary.json";

/// The matrices of oracle images that the report draws, averaged over scans.
#[derive(Default)]
struct OracleMatrices {
    measured: Vec<SimilarityMatrix>,
    denoised: Vec<SimilarityMatrix>,
    single: Vec<SimilarityMatrix>,
    truth: Vec<SimilarityMatrix>,
}

impl OracleMatrices {
    fn add(&mut self, compared: OracleComparison) {
        self.single.extend(compared.single_trials.into_iter().next());
        self.measured.push(compared.repeat_average);
        self.denoised.push(compared.denoised);
        self.truth.extend(compared.truth);
    }

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
pub(super) struct Similarity;

impl Stage for Similarity {
    fn name(&self) -> &'static str {
        "similarity"
    }

    fn inputs(&self) -> &'static [&'static str] {
        &["scans", "response"]
    }

    fn run(&self, context: &Context, inputs: &Inputs) -> Result<Outcome> {
        let (scans, response) = (inputs.of("scans")?, inputs.of("response")?);
        let config = &context.config;
        let asked = config.training.conditions.iter().filter_map(|arm| arm.target().matrix());
        let wanted: BTreeSet<MatrixTarget> = asked.chain([MatrixTarget::Denoised]).collect();
        let names: Vec<&str> = wanted.iter().map(|target| target.name()).collect();
        let with = |target| wanted.contains(&target);
        let threshold = with(MatrixTarget::Thresholded).then_some(config.similarity.threshold);
        let layer = with(MatrixTarget::Features).then_some(&config.similarity.layer);
        let settings = (config.similarity.images, names, threshold, layer);
        let mut key =
            Key::new("similarity", settings, config.seed_of("similarity")).after(scans).given(scans, "").after(response);
        if with(MatrixTarget::Features) {
            key = key.input("network", &hash::of_path(network(context)?)?);
        }
        let seed = key.seed();
        Ok(context.task(key, |folder| measure(context, wanted, seed, folder))?.into())
    }
}

fn measure(context: &Context, wanted: BTreeSet<MatrixTarget>, seed: u64, folder: &Path) -> Result<Vec<String>> {
    let config = &context.config;
    let loaded = super::scans::load(context)?;
    let predicted = response::predictions(context, loaded.len())?;
    let summary = response::summary(context)?;
    let weights_of = |(loaded, v): (&Loaded, &[f32])| Ok(ScanWeights::new(&loaded.scan, &loaded.reliability, v)?);
    let weights: Vec<ScanWeights> =
        loaded.iter().zip(summary.scans.iter().map(|scan| &scan.v[..])).map(weights_of).collect::<Result<_>>()?;

    let mut outputs = vec![SUMMARY.to_owned()];
    let mut oracle = OracleMatrices::default();
    let mut compared = Vec::new();
    for ((loaded, predicted), weights) in loaded.iter().zip(&predicted).zip(&weights) {
        let truth = loaded.truth.as_ref().map(|truth| &truth.responses);
        let found = compare_oracle_images(&loaded.scan, &predicted.oracle, truth, weights)?;
        compared.push(summarized(&found));
        oracle.add(found);
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
    let targets_of = |predicted: &Predicted| Ok(predicted.target.select(stimuli.ids())?);
    let responses: Vec<Responses> = predicted.iter().map(targets_of).collect::<Result<_>>()?;
    let weighted: Vec<(&Responses, &[f32])> =
        responses.iter().zip(weights.iter().map(|weights| &weights.predicted[..])).collect();
    let denoised = similarity_over_scans(&weighted, Images::Identical)?;
    let mut targets = Vec::new();
    for target in wanted {
        let matrix = match target {
            MatrixTarget::Denoised => denoised.clone(),
            MatrixTarget::Shuffled => denoised.shuffled(seed),
            MatrixTarget::Raw => raw(&loaded, &weights, &stimuli)?,
            MatrixTarget::Oracle => oracle["measured"].clone(),
            MatrixTarget::Pixels => pixels(&stimuli)?,
            MatrixTarget::Thresholded => denoised.thresholded(config.similarity.threshold as f32)?,
            MatrixTarget::Features => features(context, &stimuli)?,
        };
        let values = spread(&matrix);
        let on_oracle_images = match target {
            MatrixTarget::Denoised => oracle["denoised"].clone(),
            MatrixTarget::Shuffled => oracle["denoised"].shuffled(seed),
            MatrixTarget::Raw => oracle["single"].clone(),
            MatrixTarget::Oracle => oracle["measured"].clone(),
            MatrixTarget::Pixels => pixels(&shown)?.select(oracle_images)?,
            MatrixTarget::Thresholded => oracle["denoised"].thresholded(config.similarity.threshold as f32)?,
            MatrixTarget::Features => features(context, &shown)?.select(oracle_images)?,
        };
        targets.push(TargetResult {
            name: target.name().to_owned(),
            images: matrix.len(),
            pairs: matrix.pairs(),
            mean: values.mean,
            standard_deviation: values.standard_deviation,
            // The oracle images are not among those of the target.
            correlation_with_denoised: match target {
                MatrixTarget::Oracle => pearson(&matrix, &oracle["denoised"])?,
                MatrixTarget::Denoised
                | MatrixTarget::Shuffled
                | MatrixTarget::Raw
                | MatrixTarget::Pixels
                | MatrixTarget::Thresholded
                | MatrixTarget::Features => pearson(&matrix, &denoised.select(matrix.ids())?)?,
            },
            correlation_with_oracle: pearson(&on_oracle_images, &oracle["measured"])?,
        });
        matrix.write(&folder.join(file_of(target)))?;
        outputs.push(file_of(target));
    }
    json::write(&folder.join(SUMMARY), &SimilaritySummary { targets, scans: compared })?;
    Ok(outputs)
}

/// As it stands in results.
fn summarized(found: &OracleComparison) -> ScanSimilarity {
    let over = |interval: Interval| OverImages { value: interval.value, low: interval.low, high: interval.high };
    let to_average = found.to_repeat_average;
    ScanSimilarity {
        to_repeat_average: SimilarityToRepeatAverage { single_trials: to_average.single_trials, denoised: to_average.denoised },
        to_truth: found.to_truth.map(|found| SimilarityToTruth {
            single_trials: found.single_trials,
            repeat_average: found.repeat_average,
            denoised_equal_weights: found.denoised_equal_weights,
            denoised_weighted: found.denoised_weighted,
        }),
        conventions: found
            .weightings
            .iter()
            .map(|found| ConventionResult {
                weights: convention(found.weighting).to_owned(),
                single_trials: over(found.single_trials),
                repeat_average: over(found.repeat_average),
                denoised: over(found.denoised),
                ceiling_lower: found.ceiling_lower,
                ceiling_upper: found.ceiling_upper,
            })
            .collect(),
    }
}

/// A weighting in words.
fn convention(weighting: Weighting) -> &'static str {
    match weighting {
        Weighting::FileUnits => "file units",
        Weighting::Equal => "standardised",
        Weighting::SignalToNoise => "standardised, times w (denoised: w v)",
    }
}

/// The images of every target: those shown outside the test tier, or the first of them.
pub(crate) fn target_images(context: &Context, loaded: &[Loaded]) -> Result<StimulusSet> {
    let all = response::target_stimuli(loaded)?;
    Ok(match context.config.similarity.images {
        Extent::First(wanted) if wanted.get() < all.len() => all.subset(&(0..wanted.get()).collect::<Vec<_>>()),
        Extent::First(_) | Extent::Every(_) => all,
    })
}

fn raw(loaded: &[Loaded], weights: &[ScanWeights], stimuli: &StimulusSet) -> Result<SimilarityMatrix> {
    let scans: Vec<(&Scan, &ScanWeights)> = loaded.iter().map(|loaded| &loaded.scan).zip(weights).collect();
    single_trial_similarity(&scans, stimuli).context("raw: one measured trial of each image of the target")
}

/// Images that a network takes at once.
const BATCH: usize = 100;

/// The network that `similarity.network` names.
fn network(context: &Context) -> Result<&Path> {
    context
        .config
        .similarity
        .network
        .as_deref()
        .context("target `features` needs similarity.network, the checkpoint of a network")
}

/// The formula of the other targets on the features of the network that `similarity.network` names.
fn features(context: &Context, stimuli: &StimulusSet) -> Result<SimilarityMatrix> {
    let file = network(context)?;
    let layer = match &context.config.similarity.layer {
        Layer::Name(layer) => return Ok(brainprior_similarity::features(&Network::vgg(file, layer)?, stimuli)?),
        Layer::Number(layer) => *layer,
    };
    let network = ResNet::load(file)?;
    let layers = network.config().layer_count();
    ensure!(layer < layers, "similarity.layer = {layer}, but {} has layers 0 to {}", file.display(), layers - 1);
    let (height, width) = (stimuli.height(), stimuli.width());
    let mut values = Vec::new();
    for part in stimuli.pixels().chunks(BATCH * height * width) {
        let images = Tensor::from_slice(part, (part.len() / (height * width), 1, height, width), &Device::Cpu)?;
        let images = images.repeat((1, network.config().input_channels, 1, 1))?;
        values.extend(network.layer_outputs(&images)?[layer].flatten_all()?.to_vec1::<f32>()?);
    }
    let dimensions = values.len() / stimuli.len();
    let values = ArrayView2::from_shape((stimuli.len(), dimensions), &values).context("features of all stimuli")?;
    let source = format!("features of {} at layer {layer}", file.display());
    Ok(vectors(stimuli.ids(), values, &vec![1.0; dimensions], &source)?)
}

/// The target of condition `labels`: pairs of training images.
pub(crate) fn of_labels(images: &LabeledImages, count: usize) -> Result<Target> {
    let (stimuli, matrix) = label_similarity(images, count)?;
    Ok(Target::Similarity { stimuli, matrix })
}

/// The file of a target's matrix.
pub(crate) fn file_of(target: MatrixTarget) -> String {
    format!("{}.h5", target.name())
}

/// The matrix of a target.
pub(crate) fn load(context: &Context, target: MatrixTarget) -> Result<SimilarityMatrix> {
    Ok(SimilarityMatrix::read(&context.run.folder("similarity").join(file_of(target)))?)
}

/// The images of a target's matrix.
pub(crate) fn stimuli_of(context: &Context, target: MatrixTarget, loaded: &[Loaded]) -> Result<StimulusSet> {
    match target {
        MatrixTarget::Oracle => {
            let shown: Vec<StimulusSet> = loaded.iter().map(response::oracle_stimuli).collect();
            Ok(StimulusSet::union(&shown.iter().collect::<Vec<_>>())?)
        }
        MatrixTarget::Denoised
        | MatrixTarget::Shuffled
        | MatrixTarget::Raw
        | MatrixTarget::Pixels
        | MatrixTarget::Thresholded
        | MatrixTarget::Features => target_images(context, loaded),
    }
}

/// A matrix of oracle images, if the stage wrote it.
pub(crate) fn oracle_matrix(context: &Context, name: &str) -> Result<Option<SimilarityMatrix>> {
    let path = context.run.folder("similarity").join(oracle_file(name));
    Ok(if path.exists() { Some(SimilarityMatrix::read(&path)?) } else { None })
}

/// The stage's summary.
pub(crate) fn summary(context: &Context) -> Result<SimilaritySummary> {
    Ok(json::read(&context.run.folder("similarity").join(SUMMARY))?)
}
