//! The section on training: learning curves and gamma over time.

use super::page::Page;
use super::plots::{Axes, Curve, color, curves};
use super::{Content, trade_off};
use crate::artifacts::{Spread, TrainingEpoch};

/// Adds the section if a network is trained.
pub(crate) fn section(page: &mut Page, content: &Content) {
    if content.training.is_empty() {
        return;
    }
    page.section(
        "Training",
        "Curves are means over seeds. Bands span both values of two seeds, or one standard deviation of three or more.",
    );
    let by_condition = by_condition(content);
    let axes = |title, y| Axes { title, x: "epoch", y, y_range: None };
    let averaged = |value: &dyn Fn(&TrainingEpoch) -> Option<f64>| averaged(&by_condition, value);
    let mut figures = vec![
        curves(
            &axes("Validation accuracy", "accuracy"),
            &averaged(&|epoch| Some(epoch.validation_accuracy)),
        )
        .caption("On the training images held out for validation."),
        curves(
            &axes("Cross entropy in training", "nats"),
            &averaged(&|epoch| Some(epoch.cross_entropy)),
        )
        .caption("On labeled images as used for training: augmented, noisy or attacked."),
    ];
    let followed = averaged(&|epoch| epoch.pair_correlation);
    if !followed.is_empty() {
        figures.push(
            curves(
                &axes("Similarity loss", "unweighted loss"),
                &averaged(&|epoch| epoch.similarity_loss),
            )
            .caption("Mean over the pairs of each epoch, before weighting by alpha."),
        );
        figures.push(
            curves(&axes("Correlation with the target", "correlation over pairs"), &followed)
                .caption("Between the similarities of the network and of the target, over the pairs of each epoch."),
        );
    }
    for (name, seeds) in &by_condition {
        let mixture = gamma(seeds, &content.layers);
        if !mixture.is_empty() {
            let title = format!("Gamma, {name}");
            let axes = Axes { title: &title, x: "epoch", y: "gamma", y_range: Some((0.0, 1.0)) };
            let caption = "Weights of the network's layers in the similarity; layers are numbered by convolution, as in the paper.";
            figures.push(curves(&axes, &mixture).caption(caption));
        }
    }
    page.figures(&figures);
    trade_off::section(page, content);
    speed(page, content);
}

type ByCondition<'a> = Vec<(String, Vec<&'a Vec<TrainingEpoch>>)>;

fn by_condition<'a>(content: &'a Content) -> ByCondition<'a> {
    let of = |condition: &str| -> Vec<&'a Vec<TrainingEpoch>> {
        content
            .training
            .iter()
            .filter(|((name, _), _)| name == condition)
            .map(|(_, epochs)| epochs)
            .collect()
    };
    let trained = |name: &&String| content.training.keys().any(|(condition, _)| condition == *name);
    content.design.conditions.iter().filter(trained).map(|name| (name.clone(), of(name))).collect()
}

fn averaged(
    by_condition: &ByCondition,
    value: &dyn Fn(&TrainingEpoch) -> Option<f64>,
) -> Vec<Curve> {
    let curve = |(index, (name, seeds)): (usize, &(String, Vec<&Vec<TrainingEpoch>>))| {
        let length = seeds.iter().map(|epochs| epochs.len()).min()?;
        let points: Vec<(f64, f64, f64)> = (0..length)
            .filter_map(|epoch| {
                let values: Option<Vec<f64>> =
                    seeds.iter().map(|epochs| value(&epochs[epoch])).collect();
                let spread = Spread::of(&values?);
                Some((epoch as f64 + 1.0, spread.mean, spread.band()))
            })
            .collect();
        (!points.is_empty()).then(|| Curve {
            name: name.clone(),
            color: color(name, index),
            points,
        })
    };
    by_condition.iter().enumerate().filter_map(curve).collect()
}

/// Weights of the layers over epochs; empty without a target.
fn gamma(seeds: &[&Vec<TrainingEpoch>], layers: &[usize]) -> Vec<Curve> {
    let Some(first) =
        seeds.first().filter(|epochs| epochs.iter().any(|epoch| epoch.similarity_loss.is_some()))
    else {
        return Vec::new();
    };
    let point = |level: usize, epoch: usize| {
        let values: Vec<f64> = seeds
            .iter()
            .filter_map(|epochs| epochs.get(epoch).map(|epoch| epoch.gamma[level]))
            .collect();
        let spread = Spread::of(&values);
        (epoch as f64 + 1.0, spread.mean, spread.band())
    };
    layers
        .iter()
        .enumerate()
        .map(|(level, layer)| Curve {
            name: format!("layer {layer}"),
            color: color("", level),
            points: (0..first.len()).map(|epoch| point(level, epoch)).collect(),
        })
        .collect()
}

fn speed(page: &mut Page, content: &Content) {
    if !content.speeds.is_empty() {
        let line = |(task, speed): (&String, &Option<f64>)| {
            let speed = speed.map_or("–".to_owned(), |speed| format!("{speed:.0}"));
            format!("{task:<40} {speed:>8} images/s\n")
        };
        let lines: String = content.speeds.iter().map(line).collect();
        page.details("Labeled images per second in the median step", &lines);
    }
}
