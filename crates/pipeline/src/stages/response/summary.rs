//! The summary of a scan's model for later stages and the report.

use super::denoiser::Denoiser;
use crate::artifacts::{
    Estimate, ExampleNeuron, NeuronCorrelations, ReceptiveFields, ScanSummary, Variances,
};
use crate::stages::scans::Loaded;
use anyhow::Result;
use brainprior_recording::Responses;
use brainprior_response_model::{Interval, Metrics};
use std::fmt::Write;

/// The summary of one scan; `predicted` holds the oracle images.
pub(super) fn of_scan(
    loaded: &Loaded,
    denoiser: &Denoiser<'_>,
    metrics: &Metrics,
    predicted: &Responses,
    positions: &[[f32; 2]],
) -> ScanSummary {
    let name = loaded.scan.name().to_owned();
    let (oracle, test) = (&metrics.oracle, &metrics.single_trial);
    let kept: Vec<usize> = (0..oracle.len())
        .filter(|neuron| oracle[*neuron].is_some() && test[*neuron].is_some())
        .collect();
    let at = |values: &[Option<f32>]| {
        kept.iter()
            .map(|neuron| f64::from(values[*neuron].unwrap_or_default()))
            .collect::<Vec<f64>>()
    };
    // The neurons at the 95th, 75th and 50th percentile of test correlation represent the
    // population.
    let mut ranked = kept.clone();
    ranked.sort_by(|a, b| test[*b].unwrap_or_default().total_cmp(&test[*a].unwrap_or_default()));
    let measured = loaded.scan.repeat_means();
    let examples = [0.05, 0.25, 0.5]
        .iter()
        .filter_map(|quantile| ranked.get((quantile * ranked.len() as f64) as usize).copied())
        .map(|neuron| {
            let column = |responses: &Responses| {
                responses
                    .values()
                    .column(neuron)
                    .iter()
                    .map(|value| f64::from(*value))
                    .collect::<Vec<f64>>()
            };
            let points: Vec<(f64, f64)> =
                column(predicted).into_iter().zip(column(&measured)).collect();
            let correlation = f64::from(metrics.to_average[neuron].unwrap_or_default());
            ExampleNeuron { scan: name.clone(), neuron, correlation, points }
        })
        .collect();
    let estimate = |interval: Option<Interval>, values: &[Option<f32>]| {
        let neurons = values.iter().flatten().count();
        interval.map(|interval| Estimate {
            value: interval.value,
            low: interval.low,
            high: interval.high,
            neurons,
        })
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
        v: denoiser.v().iter().map(|v| v.unwrap_or_default()).collect(),
        variances: Variances {
            error: denoiser.variances().error().to_vec(),
            noise: denoiser.variances().noise().to_vec(),
            level: denoiser.variances().level().to_vec(),
        },
        shares: denoiser.shares(),
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

/// A CSV table with one line per neuron.
pub(super) fn neuron_table(
    loaded: &Loaded,
    v: &[Option<f32>],
    metrics: &Metrics,
) -> Result<String> {
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
