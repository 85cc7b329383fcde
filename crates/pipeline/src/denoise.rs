//! `denoise`: fits denoisers to given scans and compares them by the similarities of the repeated
//! images.

use crate::config::{Config, FixedNetwork};
use crate::run::Progress as Observer;
use crate::stages::features;
use crate::stages::response::denoiser::{Denoiser, Fitted};
use crate::table;
use anyhow::{Result, ensure};
use brainprior_images::StimulusSet;
use brainprior_recording::simulation::{read_truth, truth_for};
use brainprior_recording::{Reliability, Responses, Scan, Tier, median, read_scan, reliability};
use brainprior_response_model::{CrossFitted, Ensemble, Features, FitEvent, FitOptions, fit};
use brainprior_similarity::{
    Agreement, Denoised, OracleComparison, ScanWeights, Weighting, WeightingComparison,
    compare_oracle_images,
};
use candle_core::Device;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The scans, and how denoisers are fitted.
#[derive(Clone, Debug)]
pub struct Options {
    /// Files of scans.
    pub scans: Vec<PathBuf>,
    /// Their ground truth files in the same order, or empty.
    pub truth: Vec<PathBuf>,
    /// Whether to fit one model to all scans instead of one per scan.
    pub together: bool,
    /// Number of fits of each denoiser.
    pub seeds: u64,
    /// Only its sections `response` and `prediction` are used.
    pub config: Config,
}

/// One denoiser, a row of the table.
struct Kind {
    name: &'static str,
    convolutional: bool,
    linear: Linear,
}

/// The linear readouts that are part of a denoiser.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Linear {
    None,
    Bank,
    WithNetwork,
}

const KINDS: [Kind; 5] = [
    Kind { name: "convolutional", convolutional: true, linear: Linear::None },
    Kind { name: "linear, filter bank", convolutional: false, linear: Linear::Bank },
    Kind { name: "mixed, filter bank", convolutional: true, linear: Linear::Bank },
    Kind { name: "linear, bank and network", convolutional: false, linear: Linear::WithNetwork },
    Kind { name: "mixed, bank and network", convolutional: true, linear: Linear::WithNetwork },
];

/// A scan with images of the common size, known responses and reliability.
struct Loaded {
    scan: Scan,
    reliability: Reliability,
    truth: Option<Responses>,
}

/// The filter bank, and the bank with network features.
struct FixedFeatures {
    bank: Features,
    with_network: Option<Features>,
}

impl FixedFeatures {
    fn of(&self, linear: Linear) -> Option<Option<&Features>> {
        match linear {
            Linear::None => Some(None),
            Linear::Bank => Some(Some(&self.bank)),
            Linear::WithNetwork => Some(Some(self.with_network.as_ref()?)),
        }
    }
}

/// Results of one fit of one denoiser on one scan.
struct Found {
    kind: usize,
    v: f64,
    test: f64,
    /// Agreement with the trials of held-out images, which selects the denoiser.
    held_out: Option<f64>,
    plain: OracleComparison,
    sized: OracleComparison,
}

/// Fits the denoisers and prints a table for each scan. Choices use the validation tier; the test
/// tier is only shown.
///
/// # Errors
/// Returns an error if a file cannot be read or a scan cannot be fitted.
pub fn run(options: &Options, device: &Device, observer: &dyn Observer) -> Result<()> {
    ensure!(
        options.truth.is_empty() || options.truth.len() == options.scans.len(),
        "--truth has {} files for {} scans: give one per scan, in the same order",
        options.truth.len(),
        options.scans.len()
    );
    let scans: Vec<Scan> =
        options.scans.iter().map(|path| Ok(read_scan(path)?)).collect::<Result<_>>()?;
    let missing: Vec<String> =
        scans.iter().zip(&options.scans).filter_map(|(scan, path)| missing(scan, path)).collect();
    ensure!(
        missing.is_empty(),
        "{}; denoisers are fitted on tier train, chosen on tier validation and evaluated on images repeated in tier test: set `tiers` accordingly",
        missing.join("; ")
    );
    let mut loaded = Vec::new();
    for (index, scan) in scans.into_iter().enumerate() {
        let truth = match options.truth.get(index) {
            Some(path) => Some(truth_for(&scan, &read_truth(path)?)?),
            None => None,
        };
        loaded.push(Loaded { reliability: reliability(&scan)?, scan, truth });
    }
    let groups: Vec<&[Loaded]> =
        if options.together { vec![&loaded] } else { loaded.chunks(1).collect() };
    for group in groups {
        let mut found: Vec<Vec<Found>> = group.iter().map(|_| Vec::new()).collect();
        let scans: Vec<&Scan> = group.iter().map(|loaded| &loaded.scan).collect();
        let fixed = fixed_features(options, &scans)?;
        for seed in 0..options.seeds {
            let of_seed = of_seed(options, device, observer, group, &fixed, seed)?;
            found.iter_mut().zip(of_seed).for_each(|(found, of_seed)| found.extend(of_seed));
        }
        for (loaded, found) in group.iter().zip(&found) {
            observer.line(&report(loaded, found));
        }
    }
    Ok(())
}

/// Lists everything that a scan lacks for fitting and evaluation.
fn missing(scan: &Scan, path: &Path) -> Option<String> {
    let few = |tier: Tier, needed: usize| scan.trials_in(tier).len() < needed;
    let lacks: Vec<&str> = [
        (few(Tier::Train, 2), "fewer than two trials of tier train"),
        (few(Tier::Validation, 3), "fewer than three trials of tier validation"),
        (scan.repeats().len() < 2, "fewer than two images repeated in tier test"),
    ]
    .into_iter()
    .filter_map(|(lacks, what)| lacks.then_some(what))
    .collect();
    (!lacks.is_empty()).then(|| format!("{}: {}", path.display(), lacks.join(", ")))
}

fn fixed_features(options: &Options, scans: &[&Scan]) -> Result<FixedFeatures> {
    let config = &options.config.prediction;
    let stimuli = StimulusSet::union(&scans.iter().map(|scan| scan.stimuli()).collect::<Vec<_>>())?;
    let bank = Features::of(&stimuli)?;
    let with_network = match &config.network {
        FixedNetwork::None => None,
        FixedNetwork::BuiltIn | FixedNetwork::File(_) => {
            Some(features::with_network(bank.clone(), config, &stimuli)?)
        }
    };
    Ok(FixedFeatures { bank, with_network })
}

/// Results for each scan of the group with one seed.
fn of_seed(
    options: &Options,
    device: &Device,
    observer: &dyn Observer,
    group: &[Loaded],
    fixed: &FixedFeatures,
    seed: u64,
) -> Result<Vec<Vec<Found>>> {
    let config = &options.config;
    let mut found: Vec<Vec<Found>> = group.iter().map(|_| Vec::new()).collect();
    let scans: Vec<&Scan> = group.iter().map(|loaded| &loaded.scan).collect();
    let started = Instant::now();
    let names: Vec<&str> = scans.iter().map(|scan| scan.name()).collect();
    observer.line(&format!("seed {seed}: fitting the convolutional model to {}", names.join(", ")));
    let mut bar = observer.bar("convolutional model", 1);
    let most = config.response.optimization.max_epochs as u64;
    let mut told = |event| {
        if let FitEvent::Epoch { epoch, validation_correlation, .. } = event {
            bar.set(
                epoch as u64 + 1,
                most,
                &format!("validation correlation {validation_correlation:.3}"),
            );
        }
    };
    let seed_of_fit = config.seed.wrapping_add(seed);
    let options = FitOptions {
        device: device.clone(),
        seed: seed_of_fit,
        checkpoint: None,
        observer: Some(&mut told),
    };
    let model = fit(&scans, &config.response, options)?;
    let ensemble = Ensemble::new(vec![model], &scans)?;
    let crossed = match config.prediction.folds {
        None => None,
        Some(folds) => {
            let options = FitOptions {
                device: device.clone(),
                seed: seed_of_fit,
                checkpoint: None,
                observer: Some(&mut told),
            };
            Some(CrossFitted::fit(&scans, &config.response, folds, options)?)
        }
    };
    drop(bar);
    let fit_seconds = started.elapsed().as_secs_f64();
    let started = Instant::now();
    for (kind, of) in KINDS.iter().enumerate() {
        let Some(features) = fixed.of(of.linear) else { continue };
        let fitted = Fitted {
            convolutional: of.convolutional,
            ensemble: &ensemble,
            crossed: crossed.as_ref(),
            features,
        };
        for (index, (loaded, found)) in group.iter().zip(&mut found).enumerate() {
            let denoiser = Denoiser::new(fitted, index, &loaded.scan, seed_of_fit)?;
            found.push(measure(kind, loaded, &denoiser)?);
        }
    }
    let rest = started.elapsed().as_secs_f64();
    observer.line(&format!(
        "seed {seed}: convolutional fit {fit_seconds:.1} s, linear fits and comparisons {rest:.1} s"
    ));
    Ok(found)
}

fn measure(kind: usize, loaded: &Loaded, denoiser: &Denoiser<'_>) -> Result<Found> {
    let scan = &loaded.scan;
    let oracle = scan.stimuli().subset(&scan.repeats().into_keys().collect::<Vec<_>>());
    let predicted = denoiser.predict(&oracle)?;
    let weights = ScanWeights::new(scan, &loaded.reliability, Some(denoiser.v()))?;
    let truth = loaded.truth.as_ref();
    let sized = Denoised { responses: &predicted, variances: Some(denoiser.variances()) };
    Ok(Found {
        kind,
        v: median(
            &denoiser.v().iter().map(|v| f64::from(v.unwrap_or_default())).collect::<Vec<_>>(),
        )
        .unwrap_or_default(),
        test: denoiser.metrics(0)?.median_single_trial.map_or(0.0, |figure| figure.value),
        held_out: denoiser.held_out_similarity(),
        plain: compare_oracle_images(scan, Some((&predicted).into()), truth, &weights)?,
        sized: compare_oracle_images(scan, Some(sized), truth, &weights)?,
    })
}

/// The table of one scan.
fn report(loaded: &Loaded, found: &[Found]) -> String {
    let mut text = format!(
        "\n{}: {} neurons, {} repeated images\n",
        loaded.scan.name(),
        loaded.scan.responses().ncols(),
        loaded.reliability.images
    );
    let held_out = |found: &Found| found.held_out.unwrap_or_default();
    let best = (0..KINDS.len()).filter_map(|kind| Some((kind, mean(found, kind, held_out)?)));
    let best = best.max_by(|a, b| a.1.total_cmp(&b.1)).map(|(kind, _)| kind);
    for (weighting, name) in
        [(Weighting::Equal, "equal weights"), (Weighting::SignalToNoise, "times w")]
    {
        let others = "against the mean over the other trials";
        text += &format!(
            "\nsimilarities, {name}: correlation {others}, interval over images, and spread relative to that of the mean\n"
        );
        let mut rows = vec![
            [
                "denoiser",
                "validation r",
                "similarity",
                "test r",
                "as predicted",
                "spread",
                "sized",
                "spread",
                "with one trial",
                "spread",
            ]
            .map(str::to_owned)
            .to_vec(),
        ];
        if loaded.truth.is_some() {
            rows[0].extend(
                ["sized ~ truth", "spread", "one trial ~", "all trials ~"].map(str::to_owned),
            );
        }
        if let Some(first) = found.first() {
            rows.push(measured(loaded, of_weighting(&first.sized, weighting)));
        }
        for (kind, of) in KINDS.iter().enumerate() {
            let of_kind: Vec<&Found> = found.iter().filter(|found| found.kind == kind).collect();
            if of_kind.is_empty() {
                continue;
            }
            let mark = if best == Some(kind) { " *" } else { "" };
            let figure =
                |of: fn(&Found) -> f64| format!("{:.3}", mean(found, kind, of).unwrap_or_default());
            let mut row = vec![
                format!("{}{mark}", of.name),
                figure(|of| of.v),
                figure(held_out),
                figure(|of| of.test),
            ];
            let plain: Vec<_> =
                of_kind.iter().map(|of| of_weighting(&of.plain, weighting)).collect();
            let sized: Vec<_> =
                of_kind.iter().map(|of| of_weighting(&of.sized, weighting)).collect();
            row.extend(agreement(&plain, |of| of.to_other_repeats.denoised));
            row.extend(agreement(&sized, |of| of.to_other_repeats.denoised));
            row.extend(agreement(&sized, |of| of.to_other_repeats.combined));
            if loaded.truth.is_some() {
                row.extend(agreement(&sized, |of| of.to_truth?.denoised));
                row.push(agreement(&sized, |of| of.to_truth?.combined_with_one)[0].clone());
                row.push(agreement(&sized, |of| of.to_truth?.combined_with_all)[0].clone());
            }
            rows.push(row);
        }
        text += &table::aligned(&rows);
    }
    text + "* closest to the trials of held-out images (column `similarity`: correlation with their similarities, equal weights); the test \
            tier is not used for this choice\n"
}

/// Results of single trials, in the columns of the table.
fn measured(loaded: &Loaded, of: Option<&WeightingComparison>) -> Vec<String> {
    let mut row = vec!["one trial of each image".to_owned()];
    row.extend(["–"; 9].map(str::to_owned));
    let [correlation, spread] = agreement(&[of], |of| of.to_other_repeats.single_trials);
    (row[4], row[5]) = (correlation, spread);
    if loaded.truth.is_some() {
        row.extend(["–", "–"].map(str::to_owned));
        row.push(agreement(&[of], |of| of.to_truth?.single_trials)[0].clone());
        row.push(agreement(&[of], |of| of.to_truth?.repeat_average)[0].clone());
    }
    row
}

fn of_weighting(found: &OracleComparison, weighting: Weighting) -> Option<&WeightingComparison> {
    found.weightings.iter().find(|of| of.weighting == weighting)
}

fn mean(found: &[Found], kind: usize, of: fn(&Found) -> f64) -> Option<f64> {
    let values: Vec<f64> = found.iter().filter(|found| found.kind == kind).map(of).collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Correlation with its interval, and spread ratio, averaged over fits; with the standard deviation
/// over fits if there are several.
fn agreement(
    found: &[Option<&WeightingComparison>],
    of: impl Fn(&WeightingComparison) -> Option<Agreement>,
) -> [String; 2] {
    let found: Vec<Agreement> = found.iter().filter_map(|found| of((*found)?)).collect();
    if found.is_empty() {
        return ["–".into(), "–".into()];
    }
    let count = found.len() as f64;
    let mean = |of: &dyn Fn(&Agreement) -> f64| found.iter().map(of).sum::<f64>() / count;
    let value = mean(&|of| of.correlation);
    let interval = found.iter().all(|of| of.interval.is_some()).then(|| {
        let [low, high] = [
            mean(&|of| of.interval.map_or(0.0, |i| i.low)),
            mean(&|of| of.interval.map_or(0.0, |i| i.high)),
        ];
        format!(" [{low:.2}, {high:.2}]")
    });
    let deviation = match found.len() {
        1 => String::new(),
        _ => format!(
            " ± {:.3}",
            (mean(&|of| (of.correlation - value).powi(2)) * count / (count - 1.0)).sqrt()
        ),
    };
    [
        format!("{value:.3}{deviation}{}", interval.unwrap_or_default()),
        format!("{:.2}", mean(&|of| of.spread_ratio)),
    ]
}
