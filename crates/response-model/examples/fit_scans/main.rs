//! Fits a response model to scans and prints how well it denoises them.
//!
//! ```text
//! cargo run --release -p brainprior-response-model --example fit_scans -- [CONFIG] EPOCHS MODEL FILE...
//! ```
//!
//! CONFIG is JSON, such as `{"core": {"stride": 1}}`; EPOCHS the most epochs, with `:SEED` for another seed than 1, and with
//! `:SEED:FOLDS` to cross-fit as well and compare; MODEL where the model goes, with a checkpoint beside it while the fit runs. A
//! MODEL that exists is measured instead, and several joined by commas are averaged. Where `NAME.truth.h5` lies beside `NAME.h5`,
//! the example also prints the correlation, over the pairs of oracle images, of the similarity of predictions with that of the true expected
//! responses, both in units of each neuron's training standard deviation. The truth serves for that alone.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::path::{Path, PathBuf};
use std::time::Instant;

use brainprior_recording::simulation::{Truth, read_truth, truth_for};
use brainprior_recording::{Responses, Scan, read_scan, reliability};
use brainprior_response_model::{Config, Ensemble, FitEvent, Interval, ResponseModel, fit};
use brainprior_similarity::{
    measured_weights, pearson, predicted_weights, product_of_weights, similarity, standardizing_weights,
};

mod cross_fitted;
mod neurons;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let mut config = match args.first() {
        Some(json) if json.starts_with('{') => serde_json::from_str(&args.remove(0))?,
        _ => Config::default(),
    };
    let [epochs, model_path, files @ ..] = &args[..] else { return Err("give EPOCHS MODEL FILE...".into()) };
    let (epochs, rest) = epochs.split_once(':').unwrap_or((epochs, "1"));
    let (seed, folds) = rest.split_once(':').unwrap_or((rest, "0"));
    let (seed, folds) = (seed.parse()?, folds.parse()?);
    config.optimization.max_epochs = epochs.parse()?;
    let paths: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
    let scans: Vec<Scan> = paths.iter().map(|path| read_scan(path)).collect::<std::result::Result<_, _>>()?;

    let scans: Vec<&Scan> = scans.iter().collect();
    let model_paths: Vec<&Path> = model_path.split(',').map(Path::new).collect();
    let models = match model_paths.iter().all(|path| path.exists()) {
        true => model_paths.iter().map(|path| Ok(ResponseModel::load(path)?)).collect::<Result<_>>()?,
        false => vec![fit_and_save(&scans, &config, seed, model_paths[0])?],
    };
    let model = Ensemble::new(models, &scans)?;
    for (s, (scan, path)) in scans.iter().zip(&paths).enumerate() {
        report(&model, s, scan, path)?;
    }
    if folds > 0 {
        let checkpoints = model_paths[0].with_extension("folds");
        cross_fitted::compare(&model, &scans, &paths, &config, seed, folds, &checkpoints)?;
    }
    Ok(())
}

fn fit_and_save(scans: &[&Scan], config: &Config, seed: u64, path: &Path) -> Result<ResponseModel> {
    let started = Instant::now();
    let checkpoint = path.with_extension("checkpoint");
    let model = fit(scans, config, seed, Some(&checkpoint), &mut |event| match event {
        FitEvent::Step { .. } => {}
        FitEvent::Epoch { epoch, train_loss, validation_correlation, learning_rate, best, seconds, .. } => println!(
            "epoch {epoch:3}  loss {train_loss:.5}  validation {validation_correlation:.4}{}  rate {learning_rate:.5}  {seconds:.1} s",
            if best { "*" } else { " " }
        ),
        other => println!("{other:?}"),
    })?;
    println!("fit in {:.1} s", started.elapsed().as_secs_f64());
    model.save(path)?;
    Ok(model)
}

fn report(model: &Ensemble, s: usize, scan: &Scan, path: &Path) -> Result<()> {
    let show =
        |figure: Option<Interval>| figure.map_or("undefined".into(), |f| format!("{:.3} [{:.3}, {:.3}]", f.value, f.low, f.high));
    println!("scan {}:", scan.name());
    let metrics = model.metrics(s, scan, 1)?;
    println!("  single-trial test correlation  {}", show(metrics.median_single_trial));
    println!("  correlation to repeat average  {}", show(metrics.median_to_average));
    println!("  fraction oracle (slope)        {}", show(metrics.fraction_oracle));
    println!("  FEVE                           {}", show(metrics.median_feve));
    let truth_path = path.with_extension("truth.h5");
    if !truth_path.exists() {
        return Ok(());
    }
    let oracle: Vec<usize> = scan.repeats().into_keys().collect();
    let images = scan.stimuli().subset(&oracle);
    let truth = read_truth(&truth_path)?;
    let expected = truth_for(scan, &truth)?.select(images.ids())?;
    let equal = standardizing_weights(scan);
    let truth_matrix = similarity(&expected, &equal)?;
    let against = |responses: &Responses, weights: &[f32]| -> Result<f64> {
        Ok(pearson(&similarity(&responses.select(images.ids())?, weights)?, &truth_matrix)?)
    };
    let predicted = model.predict(s, &images)?;
    let reliability = reliability(scan)?;
    let v: Vec<f32> = model.v_a(s)?.iter().map(|v| v.unwrap_or(0.0).max(0.0)).collect();
    for (name, weights) in [
        ("predictions", equal.clone()),
        ("predictions times w_a", product_of_weights(&measured_weights(&reliability), &equal)?),
        ("predictions times v_a", product_of_weights(&v, &equal)?),
        ("predictions times w_a v_a", product_of_weights(&predicted_weights(&reliability, &v)?, &equal)?),
    ] {
        println!("  similarity of {name} with the truth: {:.4}", against(&predicted, &weights)?);
    }
    let repeats = scan.repeats().values().map(Vec::len).min().unwrap_or(0);
    let single = (0..repeats).map(|t| against(&scan.repeat(t), &equal)).collect::<Result<Vec<f64>>>()?;
    println!(
        "  similarity of single trials with the truth, mean over repeats: {:.4}",
        single.iter().sum::<f64>() / single.len() as f64
    );
    println!("  similarity of repeat means with the truth: {:.4}", against(&scan.repeat_means(), &equal)?);
    let responsive = neurons::responsive(&truth);
    println!(
        "  predicted against true responses, median of responsive neurons: {:.4}",
        neurons::median(&responsive, |n| neurons::correlation(&neurons::of(&predicted, n), &neurons::of(&expected, n)))
    );
    let (height, width) = (images.height() as f32, images.width() as f32);
    let mut distances: Vec<f32> = model.models()[0]
        .positions(s)?
        .iter()
        .zip(truth.neurons())
        .filter(|(_, cell)| cell.responsive)
        .map(|([x, y], cell)| {
            // Pixel centres are at whole numbers in the truth.
            let (x, y) = ((x + 1.0) / 2.0 * width - 0.5, (y + 1.0) / 2.0 * height - 0.5);
            (x - cell.x).hypot(y - cell.y)
        })
        .collect();
    distances.sort_by(f32::total_cmp);
    let quantile = |q: f64| distances[(q * (distances.len() - 1) as f64) as usize];
    println!("  position error, pixels: median {:.2}, 75% {:.2}, 95% {:.2}", quantile(0.5), quantile(0.75), quantile(0.95));
    report_behavior(&model.models()[0], s, scan, &truth)
}

/// How well the animal's gaze and the neurons' gains are found, over all trials.
fn report_behavior(model: &ResponseModel, s: usize, scan: &Scan, truth: &Truth) -> Result<()> {
    let recovered = model.recovery(s, scan, truth)?;
    if let Some([x, y]) = recovered.shift_correlations() {
        println!("  shifts against the true ones: x {x:.3}, y {y:.3}");
    }
    if let Some(gains) = recovered.median_gain_correlation() {
        println!("  logarithms of gains against the true ones, median of responsive neurons: {gains:.3}");
    }
    Ok(())
}
