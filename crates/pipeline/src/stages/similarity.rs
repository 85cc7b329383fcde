//! Stage `similarity`: one matrix per target, averaged over scans, and comparisons on the oracle
//! images.

use super::features::Trained;
use super::response::{self, Predicted};
use super::scans::Loaded;
use super::{Inputs, Outcome, Stage, combined, verdict};
use crate::artifacts::{
    ReliabilityResult, ScanSimilarity, SimilarityAgreement, SimilaritySummary,
    SimilarityToOtherRepeats, SimilarityToTruth, TargetResult, TargetWeighting, Variances, Verdict,
    WeightingResult,
};
use crate::config::{Extent, Layer, MatrixTarget, Weights};
use crate::run::{Context, Key};
use anyhow::{Context as _, Result};
use brainprior_artifact::{hash, json};
use brainprior_classifier::Target;
use brainprior_images::{ImageId, LabeledImages, StimulusSet};
use brainprior_recording::{Responses, Scan};
use brainprior_similarity::{
    Agreement, ChosenWeights, Denoised, Error, ErrorVariances, Network, OracleComparison,
    ScanWeights, SimilarityMatrix, TargetWeights, ToOtherRepeats, Weighting, agreement, average,
    calibrated_over_scans, choose_weights, compare_oracle_images, groups_of_scans,
    label_similarity, low_pass_pixels, orientation_energy, pixels, single_trial_similarity, spread,
    vectors,
};
use ndarray::ArrayView2;
use std::collections::BTreeSet;
use std::path::Path;

/// Standard deviation in pixels of the Gaussian for low-pass pixels: that of the blur whose effect
/// is close to that of neural data (Li et al., PLOS Computational Biology 2023).
const LOW_PASS: f32 = 1.5;
const SUMMARY: &str = "summary.json";

/// The matrices of oracle images, averaged over scans that together contain every pair. Scans with
/// other oracle images form a separate group with its own comparison.
struct OracleGroup {
    measured: SimilarityMatrix,
    denoised: SimilarityMatrix,
    /// First trials combined with the denoised responses.
    combined: SimilarityMatrix,
    single: SimilarityMatrix,
    /// The repeats except those in `single`.
    others: SimilarityMatrix,
    truth: Option<SimilarityMatrix>,
}

impl OracleGroup {
    /// The groups of one or more scans, larger sets of images first.
    fn all(compared: &[OracleComparison]) -> Result<Vec<Self>> {
        let images: Vec<&[ImageId]> =
            compared.iter().map(|found| found.repeat_average.ids()).collect();
        groups_of_scans(&images)
            .into_iter()
            .map(|group| Self::of(group.iter().map(|scan| &compared[*scan]).collect()))
            .collect()
    }

    fn of(compared: Vec<&OracleComparison>) -> Result<Self> {
        let mean = |of: &dyn Fn(&OracleComparison) -> Option<&SimilarityMatrix>| -> Result<Option<SimilarityMatrix>> {
            let matrices: Vec<&SimilarityMatrix> = compared.iter().filter_map(|found| of(found)).collect();
            // The truth may be known only for scans that do not contain every pair.
            let images: Vec<&[ImageId]> = matrices.iter().map(|matrix| matrix.ids()).collect();
            Ok(if matrices.is_empty() || groups_of_scans(&images).len() > 1 { None } else { Some(average(&matrices)?) })
        };
        let known = |matrix: Option<SimilarityMatrix>| {
            matrix.context("every scan has oracle images, each shown twice or more")
        };
        Ok(Self {
            measured: known(mean(&|found| Some(&found.repeat_average))?)?,
            denoised: known(mean(&|found| found.denoised.as_ref())?)?,
            combined: known(mean(&|found| found.combined.first())?)?,
            single: known(mean(&|found| found.single_trials.first())?)?,
            others: known(mean(&|found| found.other_repeats.first())?)?,
            truth: mean(&|found| found.truth.as_ref())?,
        })
    }
}

pub(super) fn oracle_file(name: &str) -> String {
    format!("oracle-{name}.h5")
}

/// Computes every target requested by a condition, and the comparisons.
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
        let settings =
            (config.similarity.images, config.similarity.weights, names, threshold, layer);
        let mut key = Key::new("similarity", settings, config.seed_of("similarity"))
            .after(scans)
            .given(scans, "")
            .after(response);
        key = super::scans::read_by(key, context);
        if with(MatrixTarget::Features) {
            let network = network(context)?;
            key = key.input("network", &hash::of_path(network)?).lies_at("network", network);
        }
        Ok(context.task(key, |folder| measure(context, wanted, folder))?.into())
    }
}

fn measure(
    context: &Context,
    wanted: BTreeSet<MatrixTarget>,
    folder: &Path,
) -> Result<Vec<String>> {
    let config = &context.config;
    // Comparisons of the shuffled target use that of the first seed.
    let seed = shuffle(context, 0);
    let loaded = super::scans::load(context)?;
    let predicted = response::predictions(context, loaded.len())?;
    let summary = response::summary(context)?;
    let weights_of = |(loaded, v): (&Loaded, &[f32])| {
        let v: Vec<Option<f32>> = v.iter().copied().map(Some).collect();
        Ok(ScanWeights::new(&loaded.scan, &loaded.reliability, Some(&v))?)
    };
    let weights: Vec<ScanWeights> = loaded
        .iter()
        .zip(summary.scans.iter().map(|scan| &scan.v[..]))
        .map(weights_of)
        .collect::<Result<_>>()?;
    let (of_targets, weighting) =
        weighting(config.similarity.weights, &loaded, &predicted, &weights)?;
    let weights: Vec<ScanWeights> =
        weights.into_iter().map(|weights| weights.with_targets(of_targets)).collect();
    context.progress.line(&format!("    {}", weighting.sentence()));

    let variances_of = |Variances { error, noise, level }: &Variances| {
        Ok(ErrorVariances::from_parts(error.clone(), noise.clone(), level.clone())?)
    };
    let variances: Vec<ErrorVariances> =
        summary.scans.iter().map(|scan| variances_of(&scan.variances)).collect::<Result<_>>()?;

    let mut outputs = vec![SUMMARY.to_owned()];
    let mut compared = Vec::new();
    for (((loaded, predicted), weights), variances) in
        loaded.iter().zip(&predicted).zip(&weights).zip(&variances)
    {
        let truth = loaded.truth.as_ref().map(|truth| &truth.responses);
        let denoised = Denoised { responses: &predicted.oracle, variances: Some(variances) };
        compared.push(compare_oracle_images(&loaded.scan, Some(denoised), truth, weights)?);
    }
    let verdicts: Vec<Option<Verdict>> =
        compared.iter().map(|found| verdict::of(&found.to_other_repeats)).collect();
    for (loaded, verdict) in loaded.iter().zip(&verdicts) {
        if let Some(verdict) = verdict {
            context.progress.line(&format!("    {}: {}", loaded.scan.name(), verdict.text));
        }
    }
    let oracle = OracleGroup::all(&compared)?;
    let largest = oracle.first().context("a run has at least one scan")?;
    for (name, matrix) in [
        ("measured", Some(&largest.measured)),
        ("denoised", Some(&largest.denoised)),
        ("single", Some(&largest.single)),
        ("truth", largest.truth.as_ref()),
    ] {
        if let Some(matrix) = matrix {
            matrix.write(&folder.join(oracle_file(name)))?;
            outputs.push(oracle_file(name));
        }
    }
    let shown: Vec<StimulusSet> = loaded.iter().map(response::oracle_stimuli).collect();
    let shown = StimulusSet::union(&shown.iter().collect::<Vec<_>>())?;

    let stimuli = target_images(context, &loaded)?;
    let targets_of = |predicted: &Predicted| Ok(predicted.target.select(stimuli.ids())?);
    let responses: Vec<Responses> = predicted.iter().map(targets_of).collect::<Result<_>>()?;
    let weighted: Vec<(&Responses, &[f32], f64)> = responses
        .iter()
        .zip(weights.iter().filter_map(ScanWeights::target_of_predicted))
        .zip(&compared)
        .map(|((responses, weights), compared)| (responses, weights, compared.unexplained))
        .collect();
    let denoised = calibrated_over_scans(&weighted)?;
    let mut targets = Vec::new();
    for target in wanted {
        let matrix = match target {
            MatrixTarget::Denoised => denoised.clone(),
            MatrixTarget::Combined => {
                let scans =
                    loaded.iter().zip(&predicted).zip(&responses).zip(&variances).zip(&weights);
                let scans =
                    scans.map(|((((loaded, predicted), responses), variances), weights)| {
                        combined::scan(
                            &loaded.scan,
                            &predicted.oracle,
                            responses,
                            variances,
                            weights,
                        )
                    });
                let scans = scans.collect::<Result<Vec<_>>>()?;
                let scans: Vec<(&Responses, &[f32], f64)> = scans
                    .iter()
                    .zip(&weights)
                    .map(|(of, weights)| (&of.0, weights.target_of_measured(), of.1))
                    .collect();
                calibrated_over_scans(&scans)?
            }
            MatrixTarget::Shuffled => denoised.shuffled(seed),
            MatrixTarget::Raw => raw(&loaded, &weights, &stimuli)?,
            MatrixTarget::Oracle => largest.measured.clone(),
            MatrixTarget::Random => denoised.random(seed),
            MatrixTarget::Pixels => pixels(&stimuli)?,
            MatrixTarget::LowPassPixels => low_pass_pixels(&stimuli, LOW_PASS)?,
            MatrixTarget::OrientationEnergy => orientation_energy(&stimuli)?,
            MatrixTarget::Thresholded => {
                denoised.thresholded(config.similarity.threshold as f32)?
            }
            MatrixTarget::Features => features(context, &stimuli)?,
        };
        let values = spread(&matrix);
        let on_oracle_images = |group: &OracleGroup| -> Result<Option<SimilarityMatrix>> {
            let ids = group.measured.ids();
            Ok(match target {
                MatrixTarget::Denoised => Some(group.denoised.clone()),
                MatrixTarget::Combined => Some(group.combined.clone()),
                MatrixTarget::Shuffled => Some(group.denoised.shuffled(seed)),
                MatrixTarget::Raw => Some(group.single.clone()),
                MatrixTarget::Oracle => None,
                MatrixTarget::Random => Some(group.denoised.random(seed)),
                MatrixTarget::Pixels => Some(pixels(&shown)?.select(ids)?),
                MatrixTarget::LowPassPixels => {
                    Some(low_pass_pixels(&shown, LOW_PASS)?.select(ids)?)
                }
                MatrixTarget::OrientationEnergy => Some(orientation_energy(&shown)?.select(ids)?),
                MatrixTarget::Thresholded => {
                    Some(group.denoised.thresholded(config.similarity.threshold as f32)?)
                }
                MatrixTarget::Features => Some(features(context, &shown)?.select(ids)?),
            })
        };
        let mut with_oracle = Vec::new();
        for group in &oracle {
            if let Some(matrix) = on_oracle_images(group)? {
                with_oracle.extend(where_defined(agreement(&matrix, &group.others))?);
            }
        }
        targets.push(TargetResult {
            name: target.name().to_owned(),
            images: matrix.len(),
            pairs: matrix.pairs(),
            mean: values.mean,
            standard_deviation: values.standard_deviation,
            // The target does not contain the oracle images.
            with_denoised: where_defined(match target {
                MatrixTarget::Oracle => agreement(&matrix, &largest.denoised),
                MatrixTarget::Denoised
                | MatrixTarget::Combined
                | MatrixTarget::Shuffled
                | MatrixTarget::Raw
                | MatrixTarget::Random
                | MatrixTarget::Pixels
                | MatrixTarget::LowPassPixels
                | MatrixTarget::OrientationEnergy
                | MatrixTarget::Thresholded
                | MatrixTarget::Features => agreement(&matrix, &denoised.select(matrix.ids())?),
            })?
            .map(SimilarityAgreement::from),
            with_oracle: mean(&with_oracle),
        });
        let file = file_of(target);
        if !outputs.contains(&file) {
            matrix.write(&folder.join(&file))?;
            outputs.push(file);
        }
    }
    let scans = compared
        .iter()
        .zip(&weights)
        .zip(verdicts)
        .map(|((found, weights), verdict)| summarized(found, weights, verdict))
        .collect();
    json::write(&folder.join(SUMMARY), &SimilaritySummary { weights: weighting, targets, scans })?;
    Ok(outputs)
}

/// The weighting of neurons in targets, and its evaluation on held-out images.
fn weighting(
    asked: Weights,
    loaded: &[Loaded],
    predicted: &[Predicted],
    weights: &[ScanWeights],
) -> Result<(TargetWeights, TargetWeighting)> {
    let scans = loaded.iter().zip(predicted).zip(weights);
    let scans: Vec<_> = scans
        .map(|((loaded, predicted), weights)| (&loaded.scan, &predicted.target, weights))
        .collect();
    let found = choose_weights(&scans)?;
    let weights = match asked {
        Weights::Automatic => found.weights,
        Weights::Equal => TargetWeights::Equal,
        Weights::SignalToNoise => TargetWeights::SignalToNoise,
    };
    let name = match weights {
        TargetWeights::Equal => "equal",
        TargetWeights::SignalToNoise => "w v",
    };
    let chosen = matches!(asked, Weights::Automatic);
    let ChosenWeights { equal, signal_to_noise, .. } = found;
    Ok((weights, TargetWeighting { weights: name.to_owned(), chosen, equal, signal_to_noise }))
}

/// `None` if similarities are constant, as with two images.
fn where_defined(found: brainprior_similarity::Result<Agreement>) -> Result<Option<Agreement>> {
    match found {
        Err(Error::Constant { .. }) => Ok(None),
        other => Ok(Some(other?)),
    }
}

/// Averages over groups of scans with different oracle images.
fn mean(found: &[Agreement]) -> Option<SimilarityAgreement> {
    let mean = |of: fn(&Agreement) -> f64| found.iter().map(of).sum::<f64>() / found.len() as f64;
    (!found.is_empty()).then(|| SimilarityAgreement {
        correlation: mean(|found| found.correlation),
        low: None,
        high: None,
        slope: mean(|found| found.slope),
        spread_ratio: mean(|found| found.spread_ratio),
    })
}

/// The comparison as it appears in results.
fn summarized(
    found: &OracleComparison,
    weights: &ScanWeights,
    verdict: Option<Verdict>,
) -> ScanSimilarity {
    let of = |found: Option<Agreement>| found.map(SimilarityAgreement::from);
    let to_others = |found: ToOtherRepeats| SimilarityToOtherRepeats {
        single_trials: of(found.single_trials),
        denoised: of(found.denoised),
        combined: of(found.combined),
    };
    ScanSimilarity {
        standardized_over: weights.standardized_over.description().to_owned(),
        verdict,
        to_other_repeats: to_others(found.to_other_repeats),
        to_truth: found.to_truth.map(|found| SimilarityToTruth {
            single_trials: of(found.single_trials),
            repeat_average: of(found.repeat_average),
            denoised_equal_weights: of(found.denoised_equal_weights),
            denoised_weighted: of(found.denoised_weighted),
        }),
        weightings: found
            .weightings
            .iter()
            .map(|found| WeightingResult {
                weights: in_words(found.weighting).to_owned(),
                to_other_repeats: to_others(found.to_other_repeats),
                reliability: found.reliability.map(|reliability| ReliabilityResult {
                    single_trials: reliability.single_trials,
                    average: reliability.average,
                    ceiling_of_single_trials: reliability.ceiling_of_single_trials(),
                    ceiling_of_average: reliability.ceiling_of_average(),
                }),
                single_trials_to_truth: found.to_truth.and_then(|truth| of(truth.single_trials)),
                repeat_average_to_truth: found.to_truth.and_then(|truth| of(truth.repeat_average)),
                denoised_to_truth: found.to_truth.and_then(|truth| of(truth.denoised)),
                combined_with_one_to_truth: found
                    .to_truth
                    .and_then(|truth| of(truth.combined_with_one)),
                combined_with_all_to_truth: found
                    .to_truth
                    .and_then(|truth| of(truth.combined_with_all)),
            })
            .collect(),
    }
}

/// A weighting in words.
fn in_words(weighting: Weighting) -> &'static str {
    match weighting {
        Weighting::FileUnits => "file units",
        Weighting::Equal => "equal",
        Weighting::SignalToNoise => "times w",
        Weighting::SignalToNoiseAndPrediction => "times w v",
    }
}

/// The images of every target: those shown outside the test tier, or the first of them.
pub(crate) fn target_images(context: &Context, loaded: &[Loaded]) -> Result<StimulusSet> {
    let all = response::target_stimuli(loaded)?;
    Ok(match context.config.similarity.images {
        Extent::First(wanted) if wanted.get() < all.len() => {
            all.subset(&(0..wanted.get()).collect::<Vec<_>>())
        }
        Extent::First(_) | Extent::Every(_) => all,
    })
}

fn raw(
    loaded: &[Loaded],
    weights: &[ScanWeights],
    stimuli: &StimulusSet,
) -> Result<SimilarityMatrix> {
    let scans: Vec<(&Scan, &ScanWeights)> =
        loaded.iter().map(|loaded| &loaded.scan).zip(weights).collect();
    single_trial_similarity(&scans, stimuli)
        .context("raw: one measured trial of each image of the target")
}

/// The network file set by `similarity.network`.
fn network(context: &Context) -> Result<&Path> {
    context
        .config
        .similarity
        .network
        .as_deref()
        .context("target `features` needs similarity.network, the checkpoint of a network")
}

/// The similarity of features of the network set by `similarity.network`, by the formula of the
/// other targets.
fn features(context: &Context, stimuli: &StimulusSet) -> Result<SimilarityMatrix> {
    let file = network(context)?;
    let wanted = &context.config.similarity.layer;
    let layer = match wanted {
        Layer::Name(layer) => {
            return Ok(brainprior_similarity::features(&Network::vgg(file, layer)?, stimuli)?);
        }
        Layer::Number(layer) => *layer,
    };
    let network = Trained::load(file, std::slice::from_ref(wanted), "similarity.layer")?;
    let mut values = Vec::new();
    for maps in network.batches(stimuli) {
        for map in maps? {
            values.extend(map.flatten_all()?.to_vec1::<f32>()?);
        }
    }
    let dimensions = values.len() / stimuli.len();
    let values = ArrayView2::from_shape((stimuli.len(), dimensions), &values)
        .context("features of all stimuli")?;
    let source = format!("features of {} at layer {layer}", file.display());
    Ok(vectors(stimuli.ids(), values, &vec![1.0; dimensions], &source)?)
}

/// The target of condition `labels`: pairs of training images.
pub(crate) fn of_labels(images: &LabeledImages, count: usize) -> Result<Target> {
    let (stimuli, matrix) = label_similarity(images, count)?;
    Ok(Target::Similarity { stimuli, matrix })
}

/// The file of a target's matrix; shuffled and random targets use the denoised one until they are
/// loaded for a network.
pub(crate) fn file_of(target: MatrixTarget) -> String {
    let of = match target {
        MatrixTarget::Shuffled | MatrixTarget::Random => MatrixTarget::Denoised,
        other => other,
    };
    format!("{}.h5", of.name())
}

/// The matrix of a target for the networks of a seed: each seed has its own shuffle and random
/// responses.
pub(crate) fn load_for(
    context: &Context,
    target: MatrixTarget,
    seed: u64,
) -> Result<SimilarityMatrix> {
    let matrix = SimilarityMatrix::read(&context.run.folder("similarity").join(file_of(target)))?;
    Ok(match target {
        MatrixTarget::Shuffled => matrix.shuffled(shuffle(context, seed)),
        MatrixTarget::Random => matrix.random(shuffle(context, seed)),
        _ => matrix,
    })
}

/// Seed of the shuffle for the networks of a seed.
fn shuffle(context: &Context, seed: u64) -> u64 {
    context.config.seed_of(&format!("shuffle/seed{seed}"))
}

/// The images of a target's matrix, in the order of `ids`.
pub(crate) fn stimuli_of(
    context: &Context,
    target: MatrixTarget,
    loaded: &[Loaded],
    ids: &[ImageId],
) -> Result<StimulusSet> {
    let shown = match target {
        MatrixTarget::Oracle => {
            let shown: Vec<StimulusSet> = loaded.iter().map(response::oracle_stimuli).collect();
            StimulusSet::union(&shown.iter().collect::<Vec<_>>())?
        }
        MatrixTarget::Denoised
        | MatrixTarget::Combined
        | MatrixTarget::Shuffled
        | MatrixTarget::Raw
        | MatrixTarget::Random
        | MatrixTarget::Pixels
        | MatrixTarget::LowPassPixels
        | MatrixTarget::OrientationEnergy
        | MatrixTarget::Thresholded
        | MatrixTarget::Features => target_images(context, loaded)?,
    };
    // If scans share no images, a matrix may contain images of only some scans.
    let place = |id: &ImageId| {
        shown
            .position(*id)
            .with_context(|| format!("no scan shows image {id} of {}", file_of(target)))
    };
    Ok(shown.subset(&ids.iter().map(place).collect::<Result<Vec<_>>>()?))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::run::{RunOptions, Silent};

    #[test]
    fn each_seed_has_a_shuffle_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let (config, progress) = (Config::load(None, &[]).unwrap(), Box::new(Silent));
        let context =
            Context::open(config, folder.path(), RunOptions::default(), progress).unwrap();
        let values: Vec<f32> = (0..190).map(|pair| pair as f32 / 200.0).collect();
        let denoised =
            SimilarityMatrix::new((0..20).map(ImageId::from_u64).collect(), values.clone(), vec![])
                .unwrap();
        std::fs::create_dir(folder.path().join("similarity")).unwrap();
        denoised
            .write(&folder.path().join("similarity").join(file_of(MatrixTarget::Shuffled)))
            .unwrap();
        let of = |target, seed| load_for(&context, target, seed).unwrap().packed().to_vec();
        assert_eq!(of(MatrixTarget::Denoised, 0), values);
        let shuffled = [0, 1].map(|seed| of(MatrixTarget::Shuffled, seed));
        assert!(shuffled[0] != shuffled[1] && shuffled.iter().all(|found| *found != values));
        assert_eq!(of(MatrixTarget::Shuffled, 1), shuffled[1], "the same each time");
        for mut found in shuffled {
            found.sort_by(f32::total_cmp);
            assert_eq!(found, values, "only the order differs");
        }
    }
}
