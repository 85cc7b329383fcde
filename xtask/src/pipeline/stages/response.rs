//! Stage `response`: fits one model to all scans, measures it on the trials that it never saw, and predicts every stimulus.

use super::scans::Loaded;
use crate::pipeline::context::Context;
use crate::pipeline::provenance::{self, Key, Record};
use crate::pipeline::report::{ExampleNeuron, NeuronCorrelations, ResponseEpoch};
use crate::pipeline::results::Estimate;
use anyhow::{Context as _, Result};
use brainprior_images::StimulusSet;
use brainprior_recording::{Responses, Tier};
use brainprior_response_model::{FitEvent, Interval, Metrics, fit};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write;

const MODEL: &str = "model.safetensors";
const SUMMARY: &str = "summary.json";
const EPOCHS: &str = "epochs.json";

/// What later stages and the report ask of a scan's model.
#[derive(Debug, Serialize, Deserialize)]
pub struct ScanSummary {
    pub name: String,
    /// Correlation of prediction and response over validation trials, per neuron.
    pub v: Vec<f32>,
    pub test_correlation: Option<Estimate>,
    pub correlation_to_average: Option<Estimate>,
    pub fraction_oracle: Option<Estimate>,
    pub feve: Option<Estimate>,
    pub correlations: NeuronCorrelations,
    pub examples: Vec<ExampleNeuron>,
}

/// The whole stage.
#[derive(Debug, Serialize, Deserialize)]
pub struct Summary {
    pub scans: Vec<ScanSummary>,
}

/// Predictions of one scan's neurons.
pub struct Predicted {
    /// For every image of the target.
    pub target: Responses,
    /// For the scan's oracle images, which no model was trained on.
    pub oracle: Responses,
}

/// Fits and predicts.
pub fn run(context: &Context, after: &Record) -> Result<Option<Record>> {
    let config = &context.config;
    let key = Key::new("response", &config.response, config.seed_of("response"))?.after(after).given(after, "scan");
    let seed = key.seed;
    context.run.task(key, &context.terminal, |folder| {
        let loaded = super::scans::load(context)?;
        let scans: Vec<_> = loaded.iter().map(|loaded| &loaded.scan).collect();
        let mut bar = context.terminal.bar("response model", 1);
        let checkpoint = folder.join("checkpoint.safetensors");
        let mut message = String::new();
        // Kept beside the fit's own checkpoint, so that the curve of a resumed fit is whole.
        let mut curve: BTreeMap<usize, ResponseEpoch> = provenance::read_json(&folder.join(EPOCHS)).unwrap_or_default();
        let mut unwritten = None;
        let model = fit(&scans, &config.response, seed, Some(&checkpoint), &mut |event| match event {
            FitEvent::Step { epoch, done, total } => {
                let most = config.response.optimisation.max_epochs;
                bar.set((epoch * total + done) as u64, (most * total) as u64, &message);
            }
            FitEvent::Epoch { epoch, train_loss, validation_correlation, .. } => {
                curve.insert(epoch + 1, ResponseEpoch { epoch: epoch + 1, loss: train_loss, validation_correlation });
                unwritten = provenance::write_json(&folder.join(EPOCHS), &curve).err();
                message = format!("epoch {}, validation correlation {validation_correlation:.3}", epoch + 1);
            }
            FitEvent::WithoutModulator { scan } => {
                context.terminal.line(&format!("    {scan}: no behaviour, so that rates have no gain"))
            }
            FitEvent::WithoutShifter { scan } => {
                context.terminal.line(&format!("    {scan}: no pupil centre, so that receptive fields do not shift"))
            }
            FitEvent::NeverVarying { scan, neurons } => {
                context
                    .terminal
                    .line(&format!("    {scan}: {neurons} neurons never vary over the training trials and are left out"));
            }
            FitEvent::Resumed { epochs } => context.terminal.line(&format!("    response model goes on after epoch {epochs}")),
            _ => {}
        })?;
        drop(bar);
        if let Some(error) = unwritten {
            return Err(error);
        }
        model.save(&folder.join(MODEL))?;
        let mut outputs = vec![MODEL.to_owned(), SUMMARY.to_owned()];
        let target = target_stimuli(&loaded)?;
        let mut summaries = Vec::new();
        for (index, loaded) in loaded.iter().enumerate() {
            let name = loaded.scan.name().to_owned();
            let predicted = model.predict(index, &target)?;
            predicted.write(&folder.join(target_file(index)))?;
            let oracle = model.predict(index, &oracle_stimuli(loaded))?;
            oracle.write(&folder.join(oracle_file(index)))?;
            outputs.extend([target_file(index), oracle_file(index)]);
            let metrics = model.metrics(index, &loaded.scan, seed)?;
            let v = model.v_a(index)?;
            let table = format!("neurons-{index}.csv");
            provenance::write_atomically(&folder.join(&table), neuron_table(loaded, v, &metrics)?.as_bytes())?;
            outputs.push(table);
            summaries.push(summarise(name, loaded, v, &metrics, &oracle));
        }
        provenance::write_json(&folder.join(SUMMARY), &Summary { scans: summaries })?;
        std::fs::remove_file(&checkpoint).or_else(ignore_missing).context("could not remove the fit's checkpoint")?;
        Ok(outputs)
    })
}

fn ignore_missing(error: std::io::Error) -> std::io::Result<()> {
    if error.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

fn target_file(index: usize) -> String {
    format!("predicted-{index}.h5")
}

fn oracle_file(index: usize) -> String {
    format!("predicted-oracle-{index}.h5")
}

/// Every image that some scan showed outside its test tier.
pub fn target_stimuli(loaded: &[Loaded]) -> Result<StimulusSet> {
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
pub fn oracle_stimuli(loaded: &Loaded) -> StimulusSet {
    loaded.scan.stimuli().subset(&loaded.scan.repeats().into_keys().collect::<Vec<_>>())
}

fn summarise(name: String, loaded: &Loaded, v: &[Option<f32>], metrics: &Metrics, predicted: &Responses) -> ScanSummary {
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
    ScanSummary {
        v: v.iter().map(|v| v.unwrap_or_default()).collect(),
        test_correlation: estimate(metrics.median_single_trial, test),
        correlation_to_average: estimate(metrics.median_to_average, &metrics.to_average),
        fraction_oracle: estimate(metrics.fraction_oracle, test),
        feve: estimate(metrics.median_feve, &metrics.feve),
        correlations: NeuronCorrelations { scan: name.clone(), oracle: at(oracle), test: at(test) },
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
pub fn summary(context: &Context) -> Result<Summary> {
    provenance::read_json(&context.run.folder("response").join(SUMMARY))
}

/// The learning curve.
pub fn epochs(context: &Context) -> Result<Vec<ResponseEpoch>> {
    let curve: BTreeMap<usize, ResponseEpoch> = provenance::read_json(&context.run.folder("response").join(EPOCHS))?;
    Ok(curve.into_values().collect())
}

/// Predictions of every scan, in the order of the scans.
pub fn predictions(context: &Context, scans: usize) -> Result<Vec<Predicted>> {
    let folder = context.run.folder("response");
    let read = |file: String| Responses::read(&folder.join(file));
    (0..scans).map(|index| Ok(Predicted { target: read(target_file(index))?, oracle: read(oracle_file(index))? })).collect()
}
