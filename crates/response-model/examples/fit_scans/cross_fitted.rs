//! In-sample against cross-fitted predictions of the images that were shown once, by what they carry of the truth and of noise.

use std::path::{Path, PathBuf};

use brainprior_recording::Scan;
use brainprior_recording::simulation::{read_truth, truth_for};
use brainprior_response_model::{Config, CrossFitted, Ensemble, FitEvent, TrainingTrials};
use brainprior_similarity::{pearson, similarity, standardizing_weights};

use crate::{Result, neurons};

/// Images whose similarities are compared.
const IMAGES: usize = 1000;

/// Fits without each fold and prints how both kinds of prediction do.
pub(crate) fn compare(
    in_sample: &Ensemble,
    scans: &[&Scan],
    paths: &[PathBuf],
    config: &Config,
    seed: u64,
    folds: usize,
    checkpoints: &Path,
) -> Result<()> {
    std::fs::create_dir_all(checkpoints)?;
    let cross_fitted = CrossFitted::fit(scans, config, folds, seed, Some(checkpoints), &mut |fold, event| {
        if let FitEvent::Epoch { epoch, validation_correlation, best: true, .. } = event {
            println!("fold {fold}, epoch {epoch:3}, validation {validation_correlation:.4}");
        }
    })?;
    let training = TrainingTrials::of(scans);
    for (s, (scan, path)) in scans.iter().zip(paths).enumerate() {
        println!("scan {}, the first {IMAGES} images that train:", scan.name());
        let trials: Vec<usize> = training.trials()[s].iter().copied().take(IMAGES).collect();
        let rows: Vec<usize> = trials.iter().map(|trial| scan.trial_image()[*trial]).collect();
        let images = scan.stimuli().subset(&rows);
        let truth = read_truth(&path.with_extension("truth.h5"))?;
        let expected = truth_for(scan, &truth)?.select(images.ids())?;
        let equal = standardizing_weights(scan);
        let responsive = neurons::responsive(&truth);
        let true_matrix = similarity(&expected, &equal)?;
        for (name, predicted) in
            [("in-sample", in_sample.predict(s, &images)?), ("cross-fitted", cross_fitted.predict(s, &images)?)]
        {
            let true_responses =
                neurons::median(&responsive, |n| neurons::correlation(&neurons::of(&predicted, n), &neurons::of(&expected, n)));
            // What a prediction gets wrong should have nothing to do with what the trial's noise was.
            let noise = neurons::median(&responsive, |n| {
                let truth = neurons::of(&expected, n);
                let trial = trials.iter().map(|trial| f64::from(scan.responses()[[*trial, n]]));
                let noise: Vec<f64> = trial.zip(&truth).map(|(trial, truth)| trial - truth).collect();
                let wrong: Vec<f64> = neurons::of(&predicted, n).iter().zip(&truth).map(|(p, truth)| p - truth).collect();
                neurons::correlation(&wrong, &noise)
            });
            let agreement = pearson(&similarity(&predicted, &equal)?, &true_matrix)?;
            println!(
                "  {name:12}  true responses {true_responses:.4}  similarity {agreement:.4}  error against the trial's noise {noise:.4}"
            );
        }
    }
    Ok(())
}
