//! In-sample against cross-fitted predictions of the images that were shown once, by what they carry of the truth and of noise.

use std::path::{Path, PathBuf};

use brainprior_recording::simulation::{read_truth, truth_for};
use brainprior_recording::{Responses, Scan, Tier};
use brainprior_response_model::{Config, CrossFitted, Ensemble, FitEvent};

use crate::Result;
use crate::similarity::{median, pearson, similarity};

/// Images whose similarities are compared.
const IMAGES: usize = 1000;

/// Fits without each fold and prints how both kinds of prediction do.
pub fn compare(
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
    for (s, (scan, path)) in scans.iter().zip(paths).enumerate() {
        println!("scan {}, the first {IMAGES} images of the training tier:", scan.name());
        let trials: Vec<usize> = scan.trials_in(Tier::Train).into_iter().take(IMAGES).collect();
        let rows: Vec<usize> = trials.iter().map(|trial| scan.trial_image()[*trial]).collect();
        let images = scan.stimuli().subset(&rows);
        let truth = read_truth(&path.with_extension("truth.h5"))?;
        let expected = truth_for(scan, &truth)?.select(images.ids())?;
        let std = in_sample.models()[0].response_std(s)?;
        let equal = vec![1.0; std.len()];
        let responsive: Vec<usize> = (0..std.len()).filter(|n| truth.neurons()[*n].responsive).collect();
        let true_matrix = similarity(&expected, std, &equal);
        for (name, predicted) in
            [("in-sample", in_sample.predict(s, &images)?), ("cross-fitted", cross_fitted.predict(s, &images)?)]
        {
            let over = |of: &dyn Fn(usize) -> f64| median(responsive.iter().map(|n| of(*n)).collect());
            let column = |r: &Responses, n: usize| r.values().column(n).iter().map(|v| f64::from(*v)).collect::<Vec<_>>();
            let true_responses = over(&|n| pearson(&column(&predicted, n), &column(&expected, n)));
            // What a prediction gets wrong should have nothing to do with what the trial's noise was.
            let noise = over(&|n| {
                let truth = column(&expected, n);
                let trial = trials.iter().map(|trial| f64::from(scan.responses()[[*trial, n]]));
                let noise: Vec<f64> = trial.zip(&truth).map(|(trial, truth)| trial - truth).collect();
                let wrong: Vec<f64> = column(&predicted, n).iter().zip(&truth).map(|(p, truth)| p - truth).collect();
                pearson(&wrong, &noise)
            });
            let matrix = similarity(&predicted, std, &equal);
            println!(
                "  {name:12}  true responses {true_responses:.4}  similarity {:.4}  error against the trial's noise {noise:.4}",
                pearson(&matrix, &true_matrix)
            );
        }
    }
    Ok(())
}
