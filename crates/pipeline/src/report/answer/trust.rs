//! Whether the denoised target is closer to the neural truth than the trials from which it is made.

use super::super::page::Sign;
use super::{Marked, listed};
use crate::artifacts::{Results, ScanResult, SimilarityAgreement};

/// Agreement of one scan's denoised similarities, and of those of one trial, with the other
/// repeats, which include neither.
struct Scan<'a> {
    name: &'a str,
    denoised: SimilarityAgreement,
    single: SimilarityAgreement,
    combined: Option<SimilarityAgreement>,
}

impl<'a> Scan<'a> {
    fn of(scan: &'a ScanResult) -> Option<Self> {
        let found = &scan.similarity_to_other_repeats;
        Some(Self {
            name: &scan.name,
            denoised: found.denoised?,
            single: found.single_trials?,
            combined: found.combined,
        })
    }

    fn is_nearer(&self) -> bool {
        self.denoised.correlation > self.single.correlation
    }

    /// Closer, with intervals over images that do not overlap.
    fn is_clearly_nearer(&self) -> bool {
        self.denoised.low.zip(self.single.high).is_some_and(|(low, high)| low > high)
    }

    fn figures(&self) -> String {
        format!(
            "{}: {} against {}",
            self.name,
            with_interval(&self.denoised),
            with_interval(&self.single)
        )
    }
}

/// The verdict and the figures behind it, as sentences.
pub(super) fn trust(results: &Results) -> Marked {
    let scans: Vec<Scan> = results.scans.iter().filter_map(Scan::of).collect();
    if scans.is_empty() {
        return vec![(
            Some((Sign::Open, "not known")),
            "Nothing can be said yet: no scan has both a denoised target and repeats to compare it with.".to_owned(),
        )];
    }
    let nearer: Vec<&str> =
        scans.iter().filter(|scan| scan.is_nearer()).map(|scan| scan.name).collect();
    let all = nearer.len() == scans.len();
    let clearly = scans.iter().all(Scan::is_clearly_nearer);
    let each = if scans.len() == 1 {
        "The similarities".to_owned()
    } else {
        format!("In each of {} scans, the similarities", scans.len())
    };
    let verdict = match (all, clearly, nearer.is_empty()) {
        (true, true, _) => (
            (Sign::More, "yes"),
            format!("{each} of the denoised responses agree better with the average of the other repeats than those of a single trial, and the intervals do not overlap."),
        ),
        (true, false, _) => (
            (Sign::Open, "probably"),
            format!("{each} of the denoised responses agree better with the average of the other repeats than those of a single trial, but the intervals overlap or are unknown."),
        ),
        (false, _, false) => (
            (Sign::Open, "in part"),
            format!("The denoised target is closer to the other repeats than a single trial in {}, but not in the other scans.", listed(&nearer)),
        ),
        (false, _, true) => (
            (Sign::Less, "no"),
            "The similarities of the denoised responses agree no better with the average of the other repeats than those of a single trial: use target raw or combined, record more trials or images, or check the fit.".to_owned(),
        ),
    };
    let figures: Vec<String> = scans.iter().map(Scan::figures).collect();
    let mut said = vec![
        (Some(verdict.0), verdict.1),
        (
            None,
            format!(
                "Correlations over pairs of images to which no model was fitted, denoised against single trial: {}.",
                figures.join("; ")
            ),
        ),
    ];
    let combined = scans.iter().filter(|scan| {
        scan.combined.is_some_and(|combined| {
            combined.correlation > scan.denoised.correlation.max(scan.single.correlation)
        })
    });
    if combined.count() == scans.len() {
        let found: Vec<String> = scans
            .iter()
            .filter_map(|scan| Some(format!("{:.2}", scan.combined?.correlation)))
            .collect();
        said.push((
            None,
            format!(
                "Target combined, which includes the measured trials, is closer still: {}.",
                found.join("; ")
            ),
        ));
    }
    let truths = results.scans.iter().filter_map(|scan| {
        let truth = scan.similarity_to_truth.as_ref()?;
        let (denoised, single) = (truth.denoised_weighted?, truth.single_trials?);
        Some(format!("{:.2} against {:.2}", denoised.correlation, single.correlation))
    });
    let truths: Vec<String> = truths.collect();
    if !truths.is_empty() {
        said.push((
            None,
            format!(
                "Correlations with the ground truth of the simulation, denoised against single trial: {}.",
                truths.join("; ")
            ),
        ));
    }
    said.push((
        None,
        "Trusted means closer than a single trial here. This comparison cannot detect errors that all repeats share.".to_owned(),
    ));
    said
}

fn with_interval(found: &SimilarityAgreement) -> String {
    match found.low.zip(found.high) {
        Some((low, high)) => format!("{:.2} [{low:.2}, {high:.2}]", found.correlation),
        None => format!("{:.2}", found.correlation),
    }
}
