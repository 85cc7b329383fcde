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
use brainprior_images::{ImageId, LabeledImages, StimulusSet};
use brainprior_recording::Responses;
use brainprior_similarity::{
    Bootstrap, Images, Measure, Network, Population, SimilarityMatrix, Source, Sweep, average, bootstrap_images_of_mean,
    measured_weights, pearson, pixels, predicted_weights, product_of_weights, repeat_noise_ceiling, similarity, spread,
    standardising_weights, vectors,
};
use candle_core::{Device, Tensor};
use ndarray::{Array2, ArrayView2};
use std::collections::{BTreeMap, BTreeSet, HashSet};
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
    let targets_of = |predicted: &Predicted| Ok(predicted.target.select(stimuli.ids())?);
    let responses: Vec<Responses> = predicted.iter().map(targets_of).collect::<Result<_>>()?;
    let denoised = over_scans(responses.iter().zip(weights.iter().map(|weights| &weights.predicted[..])), Images::Identical)?;
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
            let truth = similarity(&truth.responses.select(&ids)?, &weights.equal)?;
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
    let conventions = conventions(loaded, &denoised_responses, weights, &ids, repeats)?;
    matrices.single.extend(single.into_iter().next());
    matrices.measured.push(measured);
    matrices.denoised.push(denoised);
    Ok(ScanSimilarity { to_repeat_average, to_truth, conventions })
}

/// Agreement with the known truth in each weighting; nothing without truth or repeats.
fn conventions(
    loaded: &Loaded,
    denoised: &Responses,
    weights: &Weights,
    ids: &[ImageId],
    repeats: usize,
) -> Result<Vec<ConventionResult>> {
    let Some(truth) = loaded.truth.as_ref().filter(|_| repeats > 1) else { return Ok(Vec::new()) };
    let scan = &loaded.scan;
    let truth = truth.responses.select(ids)?;
    let trials: Vec<Responses> = (0..repeats).map(|repeat| Ok(scan.repeat(repeat).select(ids)?)).collect::<Result<_>>()?;
    let means = scan.repeat_means().select(ids)?;
    let ones = vec![1.0; weights.equal.len()];
    let mut found = Vec::new();
    for (name, measured, predicted) in [
        ("file units", &ones, &ones),
        ("standardised", &weights.equal, &weights.equal),
        ("standardised, times w (denoised: w v)", &weights.measured, &weights.predicted),
    ] {
        let against = |responses: &[&Responses], weights: &[f32]| -> Result<OverImages> {
            let truth = similarity(&truth, weights)?;
            let matrices = responses.iter().map(|responses| Ok(similarity(responses, weights)?)).collect::<Result<Vec<_>>>()?;
            let matrices: Vec<&SimilarityMatrix> = matrices.iter().collect();
            let found = bootstrap_images_of_mean(Measure::Pearson, &matrices, &truth, Bootstrap::default())?;
            Ok(OverImages { value: found.value, low: found.low, high: found.high })
        };
        let ceiling = repeat_noise_ceiling(Measure::Pearson, &trials, measured)?;
        found.push(ConventionResult {
            weights: name.to_owned(),
            single_trials: against(&trials.iter().collect::<Vec<_>>(), measured)?,
            repeat_average: against(&[&means], measured)?,
            denoised: against(&[denoised], predicted)?,
            ceiling_lower: ceiling.lower,
            ceiling_upper: ceiling.upper,
        });
    }
    Ok(found)
}

/// The images of every target: those shown outside the test tier, or the first of them.
pub(crate) fn target_images(context: &Context, loaded: &[Loaded]) -> Result<StimulusSet> {
    let all = response::target_stimuli(loaded)?;
    Ok(match context.config.similarity.images {
        Extent::First(wanted) if wanted.get() < all.len() => all.subset(&(0..wanted.get()).collect::<Vec<_>>()),
        Extent::First(_) | Extent::Every(_) => all,
    })
}

fn raw(loaded: &[Loaded], weights: &[Weights], stimuli: &StimulusSet) -> Result<SimilarityMatrix> {
    let mut trials = Vec::new();
    for loaded in loaded {
        let responses = loaded.scan.single_trials();
        let shown: Vec<_> = responses.ids().iter().copied().filter(|id| stimuli.position(*id).is_some()).collect();
        trials.push(responses.select(&shown)?);
    }
    let averaged = over_scans(trials.iter().zip(weights.iter().map(|weights| &weights.measured[..])), Images::OfAnyScan)?;
    averaged.select(stimuli.ids()).context("an image of the target was shown in no scan outside its test tier")
}

/// The average over scans, each with its weights, in one pass.
fn over_scans<'a>(scans: impl Iterator<Item = (&'a Responses, &'a [f32])>, images: Images) -> Result<SimilarityMatrix> {
    let scans: Vec<(&Responses, &[f32])> = scans.collect();
    let names: Vec<String> =
        scans.iter().map(|(responses, _)| format!("scan {}, {:?}", responses.scan(), responses.kind())).collect();
    let views: Vec<_> = scans.iter().map(|(responses, _)| responses.values().view()).collect();
    let sources: Vec<Source<'_>> = scans
        .iter()
        .zip(names.iter().zip(&views))
        .map(|((responses, weights), (name, view))| Source { name, ids: responses.ids(), rows: view, weights })
        .collect();
    Ok(Population::new(&sources, images)?.matrix(&Sweep { memory: usize::MAX, ..Sweep::default() })?)
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

/// The target of condition `labels`: pairs of training images, each image's vector being its class (one-hot). By the formula
/// of the other targets two images of one class have similarity 1, and others about -1 / (classes - 1).
pub(crate) fn of_labels(images: &LabeledImages, count: usize) -> Result<Target> {
    let gray = images.to_grayscale();
    let area = gray.height() * gray.width();
    let mut seen = HashSet::new();
    let distinct: Vec<usize> = (0..gray.len()).filter(|index| seen.insert(gray.image(*index))).take(count).collect();
    let mut pixels = vec![0.0; distinct.len() * area];
    pixels.chunks_exact_mut(area).zip(&distinct).for_each(|(pixels, index)| gray.pixels_unit(*index, pixels));
    let stimuli = StimulusSet::new(gray.height(), gray.width(), pixels)?;
    let class = |(row, class): (usize, usize)| f32::from(usize::from(gray.label(distinct[row])) == class);
    let classes = Array2::from_shape_fn((distinct.len(), gray.classes()), class);
    let matrix = vectors(stimuli.ids(), classes.view(), &vec![1.0; gray.classes()], "class labels of training images")?;
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
