//! Targets of the regularizer that are made from several scans, or from no brain at all.

use crate::{Images, Population, Result, ScanVectors, ScanWeights, SimilarityMatrix, Sweep, vectors};
use brainprior_images::{LabeledImages, StimulusSet};
use brainprior_recording::{Responses, Scan};
use ndarray::Array2;
use std::collections::HashSet;

/// The average over scans of the similarities of their responses, each scan with one weight for each of its neurons, in one
/// pass over the images.
///
/// # Errors
/// Responses to different images where [`Images::Identical`] is asked for; whatever [`vectors`] refuses.
pub fn similarity_over_scans(scans: &[(&Responses, &[f32])], images: Images) -> Result<SimilarityMatrix> {
    let names: Vec<String> =
        scans.iter().map(|(responses, _)| format!("scan {}, {:?}", responses.scan(), responses.kind())).collect();
    let views: Vec<_> = scans.iter().map(|(responses, _)| responses.values().view()).collect();
    let scans: Vec<ScanVectors<'_>> = scans
        .iter()
        .zip(names.iter().zip(&views))
        .map(|((responses, weights), (name, view))| ScanVectors { name, ids: responses.ids(), rows: view, weights })
        .collect();
    Population::new(&scans, images)?.matrix(&Sweep { memory: usize::MAX, ..Sweep::default() })
}

/// The control *raw*: similarities of `stimuli` from one measured trial of each, times w, averaged over the scans that
/// showed them outside their test tier.
///
/// # Errors
/// An image that no scan showed outside its test tier; whatever [`vectors`] refuses.
pub fn single_trial_similarity(scans: &[(&Scan, &ScanWeights)], stimuli: &StimulusSet) -> Result<SimilarityMatrix> {
    let mut trials = Vec::with_capacity(scans.len());
    for (scan, weights) in scans {
        let responses = scan.single_trials();
        let shown: Vec<_> = responses.ids().iter().copied().filter(|id| stimuli.position(*id).is_some()).collect();
        trials.push((responses.select(&shown)?, &weights.measured[..]));
    }
    let trials: Vec<(&Responses, &[f32])> = trials.iter().map(|(responses, weights)| (responses, *weights)).collect();
    let averaged = similarity_over_scans(&trials, Images::OfAnyScan)?;
    averaged.select(stimuli.ids())
}

/// The control *labels*, the regularizer without a brain: the first `count` distinct of `images`, in grayscale, with the
/// class of each, one-hot, as its vector. Two images of one class then have similarity 1, and others about
/// -1 / (classes - 1).
///
/// # Errors
/// Whatever [`vectors`] refuses, such as images of a single class.
pub fn label_similarity(images: &LabeledImages, count: usize) -> Result<(StimulusSet, SimilarityMatrix)> {
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
    Ok((stimuli, matrix))
}
