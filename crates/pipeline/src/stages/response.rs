//! Stage `response`: fits one model to all scans, measures it on the trials that it never saw, and predicts every stimulus.

use super::scans::Loaded;
use super::{Inputs, Outcome, Stage};
use crate::artifacts::{
    Estimate, ExampleNeuron, NeuronCorrelations, ReceptiveFields, ResponseEpoch, ResponseSummary, ScanSummary,
};
use crate::run::{Bar, Context, Key};
use anyhow::{Context as _, Result};
use brainprior_artifact::{json, replace};
use brainprior_images::StimulusSet;
use brainprior_recording::{Responses, Scan, Tier};
use brainprior_response_model::{CrossFitted, Ensemble, FitEvent, Interval, Metrics, ResponseModel, fit_on};
use ndarray::Axis;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

const MODEL: &str = "model.safetensors";
const SUMMARY: &str = "summary.json";
const EPOCHS: &str = "epochs.json";

/// Predictions of one scan's neurons.
pub(crate) struct Predicted {
    /// For every image of the target.
    pub(crate) target: Responses,
    /// For the scan's oracle images, which no model was trained on.
    pub(crate) oracle: Responses,
}

/// Fits and predicts.
pub(super) struct Response;

impl Stage for Response {
    fn name(&self) -> &'static str {
        "response"
    }

    fn inputs(&self) -> &'static [&'static str] {
        &["scans"]
    }

    fn run(&self, context: &Context, inputs: &Inputs) -> Result<Outcome> {
        let scans = inputs.of("scans")?;
        let config = &context.config;
        let settings = (&config.response, &config.prediction);
        let key =
            Key::new("response", settings, config.seed_of("response")).on(&context.device).after(scans).given(scans, "scan");
        let seed = key.seed();
        Ok(context.task(key, |folder| fit_and_predict(context, seed, folder))?.into())
    }
}

fn fit_and_predict(context: &Context, seed: u64, folder: &Path) -> Result<Vec<String>> {
    let config = &context.config;
    let loaded = super::scans::load(context)?;
    let scans: Vec<&Scan> = loaded.iter().map(|loaded| &loaded.scan).collect();
    let mut progress = FitProgress::new(context, folder);
    let mut outputs = vec![SUMMARY.to_owned()];
    let mut models = Vec::new();
    for fit_of in 0..config.prediction.seeds {
        let checkpoint = folder.join(format!("seed{fit_of}.checkpoint"));
        progress.start(format!("seed {fit_of}"));
        let model =
            fit_on(&context.device, &scans, &config.response, seed.wrapping_add(fit_of), Some(&checkpoint), &mut |event| {
                progress.observe(&event)
            })?;
        progress.check()?;
        let file = model_file(fit_of);
        model.save(&folder.join(&file))?;
        outputs.extend([config_file(&file), file]);
        models.push(model);
    }
    let ensemble = Ensemble::new(models, &scans)?;
    let crossed = match config.prediction.folds {
        None => None,
        Some(folds) => {
            let crossed =
                CrossFitted::fit_on(&context.device, &scans, &config.response, folds, seed, Some(folder), &mut |fold, event| {
                    progress.start(format!("fold {fold}"));
                    progress.observe(&event)
                })?;
            progress.check()?;
            Some(crossed)
        }
    };
    drop(progress);
    let target = target_stimuli(&loaded)?;
    let mut summaries = Vec::new();
    for (index, loaded) in loaded.iter().enumerate() {
        let predict = |images: &StimulusSet| -> Result<Responses> {
            Ok(match &crossed {
                Some(crossed) => crossed.predict(index, images)?,
                None => ensemble.predict(index, images)?,
            })
        };
        predict(&target)?.write(&folder.join(target_file(index)))?;
        let oracle = predict(&oracle_stimuli(loaded))?;
        oracle.write(&folder.join(oracle_file(index)))?;
        outputs.extend([target_file(index), oracle_file(index)]);
        let metrics = ensemble.metrics(index, &loaded.scan, seed)?;
        let v = match &crossed {
            Some(crossed) => crossed.v_a(index)?,
            None => ensemble.v_a(index)?,
        };
        let table = format!("neurons-{index}.csv");
        replace::bytes(&folder.join(&table), neuron_table(loaded, v, &metrics)?.as_bytes())?;
        outputs.push(table);
        let positions = ensemble.models()[0].positions(index)?;
        summaries.push(summarize(loaded, v, &metrics, &oracle, &positions));
    }
    let filters = ensemble.models()[0].filters()?;
    let mut pictures: Vec<Vec<Vec<f32>>> = Vec::new();
    for plane in filters.axis_iter(Axis(1)) {
        pictures.extend(plane.outer_iter().map(|filter| filter.rows().into_iter().map(|row| row.to_vec()).collect()));
    }
    json::write(&folder.join(SUMMARY), &ResponseSummary { scans: summaries, filters: pictures })?;
    for checkpoint in checkpoints(folder)? {
        std::fs::remove_file(checkpoint).context("could not remove a fit's checkpoint")?;
    }
    Ok(outputs)
}

/// Tells of what the fits report, and keeps their learning curves.
struct FitProgress<'a> {
    context: &'a Context,
    curves_file: PathBuf,
    /// By fit. Kept beside the fits' own checkpoints, so that the curve of a resumed fit is whole.
    curves: Curves,
    fit: String,
    bar: Box<dyn Bar>,
    message: String,
    unwritten: Option<anyhow::Error>,
}

type Curves = BTreeMap<String, BTreeMap<usize, ResponseEpoch>>;

impl<'a> FitProgress<'a> {
    fn new(context: &'a Context, folder: &Path) -> Self {
        let curves_file = folder.join(EPOCHS);
        Self {
            context,
            curves: json::read(&curves_file).unwrap_or_default(),
            curves_file,
            fit: String::new(),
            bar: context.progress.bar("response model", 1),
            message: String::new(),
            unwritten: None,
        }
    }

    fn start(&mut self, fit: String) {
        self.fit = fit;
    }

    /// What could not be written on the way.
    fn check(&mut self) -> Result<()> {
        self.unwritten.take().map_or(Ok(()), Err)
    }

    fn observe(&mut self, event: &FitEvent) {
        let progress = &self.context.progress;
        match event {
            FitEvent::Step { epoch, done, total } => {
                let most = self.context.config.response.optimization.max_epochs;
                self.bar.set((epoch * total + done) as u64, (most * total) as u64, &self.message);
            }
            FitEvent::Epoch { epoch, train_loss, validation_correlation, .. } => {
                let point =
                    ResponseEpoch { epoch: epoch + 1, loss: *train_loss, validation_correlation: *validation_correlation };
                self.curves.entry(self.fit.clone()).or_default().insert(epoch + 1, point);
                if let Err(error) = json::write(&self.curves_file, &self.curves) {
                    self.unwritten = Some(error.into());
                }
                self.message = format!("{}, epoch {}, validation correlation {validation_correlation:.3}", self.fit, epoch + 1);
            }
            FitEvent::WithoutModulator { scan } => {
                progress.line(&format!("    {scan}: no behaviour, so that rates have no gain"))
            }
            FitEvent::WithoutShifter { scan } => {
                progress.line(&format!("    {scan}: no pupil centre, so that receptive fields do not shift"))
            }
            FitEvent::NeverVarying { scan, neurons } => {
                progress.line(&format!("    {scan}: {neurons} neurons never vary over the training trials and are left out"));
            }
            FitEvent::Resumed { epochs } => {
                progress.line(&format!("    response model, {}: goes on after epoch {epochs}", self.fit))
            }
            _ => {}
        }
    }
}

/// The first model has the name that a run of one model has.
fn model_file(seed: u64) -> String {
    if seed == 0 { MODEL.to_owned() } else { format!("model-{seed}.safetensors") }
}

fn config_file(model: &str) -> String {
    Path::new(model).with_extension("json").to_string_lossy().into_owned()
}

fn checkpoints(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("could not list {}", folder.display()))?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    Ok(paths.filter(|path| path.extension().is_some_and(|extension| extension == "checkpoint")).collect())
}

fn target_file(index: usize) -> String {
    format!("predicted-{index}.h5")
}

fn oracle_file(index: usize) -> String {
    format!("predicted-oracle-{index}.h5")
}

/// Every image that some scan showed outside its test tier.
pub(crate) fn target_stimuli(loaded: &[Loaded]) -> Result<StimulusSet> {
    let sets: Vec<StimulusSet> = loaded
        .iter()
        .map(|loaded| {
            let scan = &loaded.scan;
            let mut shown = vec![false; scan.stimuli().len()];
            for (image, tier) in scan.trial_image().iter().zip(scan.tiers()) {
                shown[*image] |= *tier != Tier::Test;
            }
            scan.stimuli().subset(&(0..shown.len()).filter(|index| shown[*index]).collect::<Vec<_>>())
        })
        .collect();
    Ok(StimulusSet::union(&sets.iter().collect::<Vec<_>>())?)
}

/// The repeated images of a scan, in the order of [`brainprior_recording::Scan::repeat_means`].
pub(crate) fn oracle_stimuli(loaded: &Loaded) -> StimulusSet {
    loaded.scan.stimuli().subset(&loaded.scan.repeats().into_keys().collect::<Vec<_>>())
}

fn summarize(
    loaded: &Loaded,
    v: &[Option<f32>],
    metrics: &Metrics,
    predicted: &Responses,
    positions: &[[f32; 2]],
) -> ScanSummary {
    let name = loaded.scan.name().to_owned();
    let (oracle, test) = (&metrics.oracle, &metrics.single_trial);
    let kept: Vec<usize> = (0..oracle.len()).filter(|neuron| oracle[*neuron].is_some() && test[*neuron].is_some()).collect();
    let at =
        |values: &[Option<f32>]| kept.iter().map(|neuron| f64::from(values[*neuron].unwrap_or_default())).collect::<Vec<f64>>();
    // The neurons at the 95th, 75th and 50th percentile of test correlation stand for the population.
    let mut ranked = kept.clone();
    ranked.sort_by(|a, b| test[*b].unwrap_or_default().total_cmp(&test[*a].unwrap_or_default()));
    let measured = loaded.scan.repeat_means();
    let examples = [0.05, 0.25, 0.5]
        .iter()
        .filter_map(|quantile| ranked.get((quantile * ranked.len() as f64) as usize).copied())
        .map(|neuron| {
            let column = |responses: &Responses| {
                responses.values().column(neuron).iter().map(|value| f64::from(*value)).collect::<Vec<f64>>()
            };
            let points: Vec<(f64, f64)> = column(predicted).into_iter().zip(column(&measured)).collect();
            let correlation = f64::from(metrics.to_average[neuron].unwrap_or_default());
            ExampleNeuron { scan: name.clone(), neuron, correlation, points }
        })
        .collect();
    let estimate = |interval: Option<Interval>, values: &[Option<f32>]| {
        let neurons = values.iter().flatten().count();
        interval.map(|interval| Estimate { value: interval.value, low: interval.low, high: interval.high, neurons })
    };
    let stimuli = loaded.scan.stimuli();
    let fields = ReceptiveFields {
        scan: name.clone(),
        height: stimuli.height(),
        width: stimuli.width(),
        image: stimuli.image(0).to_vec(),
        centers: positions.to_vec(),
        correlations: test.iter().map(|r| r.unwrap_or_default()).collect(),
    };
    ScanSummary {
        v: v.iter().map(|v| v.unwrap_or_default()).collect(),
        test_correlation: estimate(metrics.median_single_trial, test),
        correlation_to_average: estimate(metrics.median_to_average, &metrics.to_average),
        fraction_oracle: estimate(metrics.fraction_oracle, test),
        feve: estimate(metrics.median_feve, &metrics.feve),
        correlations: NeuronCorrelations {
            scan: name.clone(),
            oracle: at(oracle),
            test: at(test),
            feve: metrics.feve.iter().flatten().map(|feve| f64::from(*feve)).collect(),
            slope: metrics.fraction_oracle.as_ref().map(|slope| slope.value),
        },
        fields,
        examples,
        name,
    }
}

/// One line for each neuron, for tools that read CSV.
fn neuron_table(loaded: &Loaded, v: &[Option<f32>], metrics: &Metrics) -> Result<String> {
    let mut text = String::from(
        "unit_id,w,v,oracle_jackknife,oracle_conservative,explainable_variance,test_correlation,correlation_to_average,feve\n",
    );
    let reliability = &loaded.reliability;
    for (neuron, unit) in loaded.scan.neurons().unit_ids().iter().enumerate() {
        write!(text, "{unit}")?;
        let columns = [
            reliability.w[neuron],
            v[neuron],
            reliability.oracle_jackknife[neuron],
            reliability.oracle_conservative[neuron],
            reliability.explainable_variance[neuron],
            metrics.single_trial[neuron],
            metrics.to_average[neuron],
            metrics.feve[neuron],
        ];
        for value in columns {
            match value {
                Some(value) => write!(text, ",{value}")?,
                None => text.push(','),
            }
        }
        text.push('\n');
    }
    Ok(text)
}

/// The stage's summary.
pub(crate) fn summary(context: &Context) -> Result<ResponseSummary> {
    Ok(json::read(&context.run.folder("response").join(SUMMARY))?)
}

/// The model of the first seed.
pub(crate) fn model(context: &Context) -> Result<ResponseModel> {
    Ok(ResponseModel::load(&context.run.folder("response").join(model_file(0)))?)
}

/// The learning curve of each fit, by its name.
pub(crate) fn epochs(context: &Context) -> Result<BTreeMap<String, Vec<ResponseEpoch>>> {
    let curves: Curves = json::read(&context.run.folder("response").join(EPOCHS))?;
    Ok(curves.into_iter().map(|(fit, curve)| (fit, curve.into_values().collect())).collect())
}

/// Predictions of every scan, in the order of the scans.
pub(crate) fn predictions(context: &Context, scans: usize) -> Result<Vec<Predicted>> {
    let folder = context.run.folder("response");
    let read = |file: String| Responses::read(&folder.join(file));
    (0..scans).map(|index| Ok(Predicted { target: read(target_file(index))?, oracle: read(oracle_file(index))? })).collect()
}
