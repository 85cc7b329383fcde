//! Fits a response model to a scan, and compares what it predicts with one trial: which is nearer to the truth?
#![allow(clippy::print_stdout)]

use brainprior::images::procedural::natural_stimuli;
use brainprior::recording::simulation::{SimulationConfig, simulate, truth_for};
use brainprior::response_model::{Config, FitEvent, fit};
use brainprior::similarity::{pearson, similarity, standardizing_weights};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // A simulated scan, since its truth is known; `recording::read_scan` reads a recorded one.
    let (shown_once, oracle) = (natural_stimuli(800, 18, 32, 1), natural_stimuli(40, 18, 32, 2));
    let simulation = SimulationConfig { neurons: 60, ..SimulationConfig::default() };
    let simulated = simulate("simulated", &shown_once, &oracle, &simulation)?;
    let scan = &simulated.scan;

    let mut config = Config::small();
    config.core.channels = vec![8, 8];
    config.core.kernels = vec![9, 3];
    config.optimization.max_epochs = 8;
    let model = fit(&[scan], &config, 1, None, &mut |event| {
        if let FitEvent::Epoch { epoch, validation_correlation, .. } = event {
            println!("epoch {epoch}: correlation {validation_correlation:.3} on the validation tier");
        }
    })?;

    // The oracle images, which no fit has seen: predicted, measured in one trial, and as they truly are.
    let predicted = model.predict(0, &oracle)?;
    let measured = scan.repeat(0).select(oracle.ids())?;
    let expected = truth_for(scan, &simulated.truth)?.select(oracle.ids())?;
    let weights = standardizing_weights(scan);
    let truth = similarity(&expected, &weights)?;
    for (name, responses) in [("one trial", &measured), ("denoised", &predicted)] {
        let found = pearson(&similarity(responses, &weights)?, &truth)?;
        println!("{name}: its similarities correlate with the true ones at {found:.2}");
    }
    Ok(())
}
