//! Targets of the regularizer from several scans, or without a brain.

use crate::{
    Error, Images, Population, Result, ScanVectors, ScanWeights, SimilarityMatrix, Sweep,
    groups_of_scans, vectors,
};
use brainprior_images::{ImageId, LabeledImages, StimulusSet};
use brainprior_recording::{Responses, Scan};
use ndarray::Array2;
use std::collections::HashSet;

/// The average over scans of the similarities of their responses, each with one weight per neuron,
/// in one pass over the images.
///
/// # Errors
/// Returns an error if responses are to different images under [`Images::Identical`], or if
/// [`vectors`] fails.
pub fn similarity_over_scans(
    scans: &[(&Responses, &[f32])],
    images: Images,
) -> Result<SimilarityMatrix> {
    let names: Vec<String> = scans
        .iter()
        .map(|(responses, _)| format!("scan {}, {:?}", responses.scan(), responses.kind()))
        .collect();
    let views: Vec<_> = scans.iter().map(|(responses, _)| responses.values().view()).collect();
    let scans: Vec<ScanVectors<'_>> = scans
        .iter()
        .zip(names.iter().zip(&views))
        .map(|((responses, weights), (name, view))| ScanVectors {
            name,
            ids: responses.ids(),
            rows: view,
            weights,
        })
        .collect();
    Population::new(&scans, images)?.matrix(&Sweep { memory: usize::MAX, ..Sweep::default() })
}

/// The control *raw*: similarities of `stimuli` from one measured trial each, weighted like
/// targets, averaged over the scans that showed them outside their test tier.
///
/// If no scan showed both images of some pair, the matrix covers the stimuli of the largest group
/// of scans in which every pair is known ([`groups_of_scans`]), and its provenance says so.
///
/// # Errors
/// Returns an error if no scan showed an image outside its test tier, or if [`vectors`] fails.
pub fn single_trial_similarity(
    scans: &[(&Scan, &ScanWeights)],
    stimuli: &StimulusSet,
) -> Result<SimilarityMatrix> {
    let mut trials = Vec::with_capacity(scans.len());
    for (scan, weights) in scans {
        let responses = scan.single_trials();
        let shown: Vec<_> =
            responses.ids().iter().copied().filter(|id| stimuli.position(*id).is_some()).collect();
        trials.push((responses.select(&shown)?, weights.target_of_measured()));
    }
    let shown: HashSet<ImageId> =
        trials.iter().flat_map(|(responses, _)| responses.ids()).copied().collect();
    if let Some(id) = stimuli.ids().iter().find(|id| !shown.contains(id)) {
        return Err(Error::MissingImage {
            id: *id,
            images: shown.len(),
            matrix: "the single trials of these scans",
        });
    }
    let images: Vec<&[ImageId]> = trials.iter().map(|(responses, _)| responses.ids()).collect();
    let groups = groups_of_scans(&images);
    let Some(largest) = groups.first() else {
        return similarity_over_scans(&[], Images::OfAnyScan);
    };
    let chosen: Vec<(&Responses, &[f32])> =
        largest.iter().map(|scan| (&trials[*scan].0, trials[*scan].1)).collect();
    let averaged = similarity_over_scans(&chosen, Images::OfAnyScan)?;
    let known: HashSet<ImageId> = averaged.ids().iter().copied().collect();
    let ids: Vec<ImageId> = stimuli.ids().iter().copied().filter(|id| known.contains(id)).collect();
    let averaged = averaged.select(&ids)?;
    if groups.len() == 1 {
        return Ok(averaged);
    }
    let names: Vec<&str> = largest.iter().map(|scan| scans[*scan].0.name()).collect();
    let step = format!(
        "{} of {} images, those of {}: no scan showed all of the others together with these",
        ids.len(),
        stimuli.len(),
        names.join(", ")
    );
    Ok(averaged.with_provenance(step))
}

/// The control *labels*, a regularizer without neural data: takes the first `count` distinct
/// `images`, in grayscale, with the one-hot class of each as its vector. Two images of one class
/// then have similarity 1, others about -1 / (classes - 1).
///
/// # Errors
/// Returns an error if [`vectors`] fails, for example if all images are of one class.
pub fn label_similarity(
    images: &LabeledImages,
    count: usize,
) -> Result<(StimulusSet, SimilarityMatrix)> {
    let gray = images.to_grayscale();
    let area = gray.height() * gray.width();
    let mut seen = HashSet::new();
    let distinct: Vec<usize> =
        (0..gray.len()).filter(|index| seen.insert(gray.image(*index))).take(count).collect();
    let mut pixels = vec![0.0; distinct.len() * area];
    pixels
        .chunks_exact_mut(area)
        .zip(&distinct)
        .for_each(|(pixels, index)| gray.pixels_unit(*index, pixels));
    let stimuli = StimulusSet::new(gray.height(), gray.width(), pixels)?;
    let class =
        |(row, class): (usize, usize)| f32::from(usize::from(gray.label(distinct[row])) == class);
    let classes = Array2::from_shape_fn((distinct.len(), gray.classes()), class);
    let matrix = vectors(
        stimuli.ids(),
        classes.view(),
        &vec![1.0; gray.classes()],
        "class labels of training images",
    )?;
    Ok((stimuli, matrix))
}
