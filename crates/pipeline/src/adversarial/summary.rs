//! Attack results as artifacts.

use super::Attackable;
use super::blocks::search;
use crate::artifacts::{Check, Masking, MaskingSign, MinimalPerturbation, Point};
use crate::run;
use anyhow::{Result, ensure};
use brainprior_robustness::{
    Accuracy, Classifier, LabeledBatch, MaskingReport, MaskingSettings, MaskingVerdict,
    MinimalPerturbations, Perturbation, Progress, Settings, correct, masking_report, median,
};

/// Bootstrap samples for intervals over images.
pub(crate) const RESAMPLES: usize = 1000;

/// Median over the correctly classified images.
pub(crate) fn summarize(
    minimal: &MinimalPerturbations,
    labeled: &LabeledBatch,
    seed: u64,
) -> Result<MinimalPerturbation> {
    let perturbations: Vec<Perturbation> =
        minimal.perturbations(labeled, search(minimal.norm(), labeled.area()));
    if perturbations.is_empty() {
        return Ok(MinimalPerturbation {
            median: None,
            low: None,
            high: None,
            images: 0,
            censored: 0,
        });
    }
    let found = median(&perturbations, RESAMPLES, seed)?;
    Ok(MinimalPerturbation {
        median: found.value.found(),
        low: found.low.found(),
        high: found.high.found(),
        images: found.images,
        censored: found.censored,
    })
}

/// Accuracy at each of `epsilons`: the fraction of all images that are classified correctly and
/// whose smallest perturbation is larger.
pub(crate) fn curve(
    minimal: &MinimalPerturbations,
    labeled: &LabeledBatch,
    epsilons: &[f64],
) -> Result<Vec<Point>> {
    let accuracies =
        minimal.accuracies(labeled, search(minimal.norm(), labeled.area()), epsilons)?;
    let point = |(level, accuracy): (&f64, Accuracy)| Point {
        level: *level,
        accuracy: accuracy.share().unwrap_or_default(),
    };
    Ok(epsilons.iter().zip(accuracies).map(point).collect())
}

/// The first `count` correctly classified images: on misclassified ones there is nothing to mask.
pub(crate) fn images_right(
    model: &Attackable,
    labeled: &LabeledBatch,
    count: usize,
    settings: Settings,
) -> Result<LabeledBatch> {
    ensure!(!labeled.is_empty(), "masking: there are no images on which to check the network");
    Ok(labeled.subset(&first_right(&correct(model, labeled, settings)?, count)))
}

/// The masking report as an artifact, on correctly classified images ([`images_right`]).
pub(crate) fn masking(
    progress: &dyn run::Progress,
    model: &Attackable,
    sources: &[Attackable],
    labeled: &LabeledBatch,
    masking: &MaskingSettings,
    settings: Settings,
) -> Result<Masking> {
    let sources: Vec<&dyn Classifier> =
        sources.iter().map(|source| source as &dyn Classifier).collect();
    let mut bar = progress.bar("masking", 11);
    let mut observer =
        |checks: Progress| bar.set(checks.done as u64, checks.total as u64, "checks");
    let report =
        masking_report(model, &sources, labeled, masking, settings.observed(&mut observer))?;
    Ok(artifact(&report, masking.epsilon))
}

/// The first `count` correctly classified images. If there is none, the first image, for the checks
/// that need no correct one.
fn first_right(correct: &[bool], count: usize) -> Vec<usize> {
    let right: Vec<usize> =
        (0..correct.len()).filter(|image| correct[*image]).take(count).collect();
    if right.is_empty() { vec![0] } else { right }
}

fn artifact(report: &MaskingReport, epsilon: f64) -> Masking {
    let check = |check: &brainprior_robustness::Check| Check {
        name: check.name.to_owned(),
        figures: check.figures.iter().cloned().collect(),
        finding: check.finding.clone(),
    };
    Masking {
        epsilon,
        images: report.images,
        sign: match report.verdict() {
            MaskingVerdict::NoSign => MaskingSign::None,
            MaskingVerdict::TooFewImages => MaskingSign::TooFewImages,
            MaskingVerdict::Found => MaskingSign::Found,
        },
        verdict: report.in_words(),
        checks: report.checks.iter().map(check).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masking_is_looked_for_where_the_network_is_right() {
        let correct = [false, true, false, true, true];
        assert_eq!(first_right(&correct, 2), [1, 3]);
        assert_eq!(first_right(&correct, 100), [1, 3, 4]);
        assert_eq!(first_right(&[false, false], 100), [0]);
    }
}
