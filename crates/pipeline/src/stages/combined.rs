//! Combines the predictions and trials of one scan into one estimate of its neurons' responses.

use anyhow::Result;
use brainprior_images::ImageId;
use brainprior_recording::{Measurement, ResponseKind, Responses, Scan, Tier};
use brainprior_similarity::{ErrorVariances, ScanWeights, unexplained_by_combined};
use ndarray::Array2;
use std::collections::{BTreeMap, HashMap};

/// Responses of one scan to the images of `predicted`, combined with the trials outside the test
/// tier, and the amount to add to squared lengths so that their similarities are as large as
/// noise-free ones. This amount is estimated on the oracle images, using the median number of
/// trials per target image.
pub(super) fn scan(
    scan: &Scan,
    oracle: &Responses,
    predicted: &Responses,
    variances: &ErrorVariances,
    weights: &ScanWeights,
) -> Result<(Responses, f64)> {
    let (measured, counts) = outside_test(scan)?;
    let count = |id: ImageId| counts.get(&id).copied().unwrap_or(0);
    let combined = variances.combined(predicted, &measured, &count)?;
    let mut trials: Vec<usize> = predicted.ids().iter().map(|id| count(*id)).collect();
    trials.sort_unstable();
    let middle = trials.get(trials.len() / 2).copied().unwrap_or(0);
    let added =
        unexplained_by_combined(scan, oracle, variances, weights.target_of_measured(), middle)?;
    Ok((combined, added))
}

/// Mean response to each image over the trials outside the test tier, and the numbers of trials.
fn outside_test(scan: &Scan) -> Result<(Responses, HashMap<ImageId, usize>)> {
    let mut of_image: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (trial, image) in scan.trial_image().iter().enumerate() {
        if scan.tiers()[trial] != Tier::Test {
            of_image.entry(*image).or_default().push(trial);
        }
    }
    let mut values = Array2::zeros((of_image.len(), scan.responses().ncols()));
    for (mut row, trials) in values.rows_mut().into_iter().zip(of_image.values()) {
        for (n, mean) in row.iter_mut().enumerate() {
            let sum: f64 =
                trials.iter().map(|trial| f64::from(scan.responses()[(*trial, n)])).sum();
            *mean = (sum / trials.len() as f64) as f32;
        }
    }
    let ids: Vec<ImageId> = of_image.keys().map(|image| scan.stimuli().ids()[*image]).collect();
    let counts = ids.iter().copied().zip(of_image.values().map(Vec::len)).collect();
    Ok((
        Responses::new(scan.name(), ResponseKind::Measured(Measurement::RepeatMean), ids, values)?,
        counts,
    ))
}
