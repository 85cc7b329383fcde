//! Denoises a scan with a response model: are similarities of its predictions closer to the truth
//! than those of one trial?
#![allow(clippy::print_stdout)]

use brainprior::images::procedural::natural_stimuli;
use brainprior::recording::simulation::{SimulationConfig, simulate, truth_for};
use brainprior::response_model::{Config, FitEvent, FitOptions, fit};
use brainprior::similarity::{pearson, similarity, standardizing_weights};

fn main() -> anyhow::Result<()> {
    // A simulated scan, since its truth is known; `recording::read_scan` reads a recorded one.
    let (shown_once, oracle) = (natural_stimuli(800, 18, 32, 1), natural_stimuli(40, 18, 32, 2));
    let simulation = SimulationConfig { neurons: 60, ..SimulationConfig::default() };
    let simulated = simulate("simulated", &shown_once, &oracle, &simulation)?;
    let scan = &simulated.scan;

    let mut config = Config::small();
    config.optimization.max_epochs = 8;
    let mut observer = |event| {
        if let FitEvent::Epoch { epoch, validation_correlation, .. } = event {
            println!(
                "epoch {epoch}: correlation {validation_correlation:.3} on the validation tier"
            );
        }
    };
    let model = fit(
        &[scan],
        &config,
        FitOptions { seed: 1, observer: Some(&mut observer), ..FitOptions::default() },
    )?;

    // Similarities of the oracle images, which are not in the training tier.
    let (weights, ids) = (standardizing_weights(scan), oracle.ids());
    let truth = similarity(&truth_for(scan, &simulated.truth)?.select(ids)?, &weights)?;
    let one_trial = scan.repeat(0).select(ids)?;
    for (name, responses) in [("one trial", one_trial), ("denoised", model.predict(0, &oracle)?)] {
        println!(
            "{name}: correlation with the truth {:.2}",
            pearson(&similarity(&responses, &weights)?, &truth)?
        );
    }
    Ok(())
}
