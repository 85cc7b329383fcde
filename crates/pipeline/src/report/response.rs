//! Figures of the response model: its predictions, its parameters and its learning curves.

use super::Content;
use super::csv::Csv;
use super::figure::Figure;
use super::heatmap::{self, picture_uri};
use super::plots::{Axes, Curve, Rgb, color, curves, histogram, number, scatter};
use crate::artifacts::{NeuronCorrelations, ReceptiveFields, ResponseEpoch};
use anyhow::Result;
use brainprior_response_model::Recovery;

const BLUE: Rgb = Rgb(0, 114, 178);
const GREEN: Rgb = Rgb(0, 158, 115);
const RED: Rgb = Rgb(213, 94, 0);

/// Pixels of the page per pixel of a stimulus.
const ZOOM: usize = 9;
/// Pixels of the page per tap of a filter.
const TAP: usize = 4;
/// Number of trials of a scan that are drawn.
const SHIFTS: usize = 400;
/// Filters side by side.
const FILTER_COLUMNS: usize = 8;

/// All figures.
pub(crate) fn figures(content: &Content) -> Result<Vec<Figure>> {
    let neural = content.neural;
    let mut figures = Vec::new();
    for neurons in &neural.correlations {
        figures.extend(of_neurons(neurons));
    }
    for example in &neural.examples {
        let title =
            format!("{} neuron {} (r = {:.2})", example.scan, example.neuron, example.correlation);
        let axes =
            Axes { title: &title, x: "predicted", y: "measured, repeat average", y_range: None };
        figures.push(
            scatter(&axes, &example.points, &[1.0], RED).caption("One point per oracle image."),
        );
    }
    for fields in &neural.fields {
        let caption = format!(
            "{}: centers of receptive fields on one of its images; the darker a point, the better the neuron is predicted.",
            fields.scan
        );
        figures.push(centers(fields)?.caption(caption));
    }
    for (scan, recovery) in &neural.recoveries {
        figures.extend(recovered(scan, recovery));
    }
    if !neural.filters.is_empty() {
        let caption = "Kernels of the first layer for the image and, if the model uses it, for the image divided by its local contrast; each \
                       has its own color scale: red excites, blue inhibits.";
        figures.push(filters(&neural.filters)?.caption(caption));
    }
    figures.extend(learning(content));
    Ok(figures)
}

fn of_neurons(neurons: &NeuronCorrelations) -> [Figure; 3] {
    let pairs: Vec<(f64, f64)> =
        neurons.oracle.iter().copied().zip(neurons.test.iter().copied()).collect();
    let slopes: Vec<f64> = std::iter::once(1.0).chain(neurons.slope).collect();
    let title = format!("{}: model against oracle", neurons.scan);
    let axes =
        Axes { title: &title, x: "oracle correlation", y: "test correlation", y_range: None };
    let slope =
        neurons.slope.map_or(String::new(), |slope| format!(" Blue line: slope {slope:.2}."));
    let against = scatter(&axes, &pairs, &slopes, BLUE).caption(format!(
        "One point per neuron; on the dashed line, the model predicts a trial as well as the other repeats do.{slope}"
    ));
    let title = format!("{}: prediction", neurons.scan);
    let axes = Axes { title: &title, x: "test correlation", y: "neurons", y_range: None };
    let test = histogram(&axes, &neurons.test, 24, GREEN)
        .caption("Correlation of predictions with single trials.");
    let title = format!("{}: explainable variance", neurons.scan);
    let axes = Axes {
        title: &title,
        x: "fraction of explainable variance explained",
        y: "neurons",
        y_range: None,
    };
    let feve = histogram(&axes, &neurons.feve, 24, GREEN)
        .caption("Above 1 if behavior and gaze, which the model knows, explain part of the variability between repeats.");
    [against, test, feve]
}

/// Gaze and gains compared with the ground truth of a simulated scan.
fn recovered(scan: &str, recovery: &Recovery) -> Vec<Figure> {
    let mut figures = Vec::new();
    if let (Some(shifts), Some(correlations)) = (&recovery.shifts, recovery.shift_correlations()) {
        for ((axis, points), correlation) in ["x", "y"].iter().zip(shifts).zip(correlations) {
            let title = format!("{scan}: gaze shift, {axis}");
            let axes =
                Axes { title: &title, x: "true, pixels", y: "fitted, pixels", y_range: None };
            let step = points.len().div_ceil(SHIFTS);
            let some: Vec<(f64, f64)> = points.iter().step_by(step).copied().collect();
            let caption = format!(
                "One point per trial; r = {correlation:.3} over all {} trials.",
                points.len()
            );
            figures.push(scatter(&axes, &some, &[1.0], BLUE).caption(caption));
        }
    }
    if let (Some(gains), Some(median)) = (&recovery.gains, recovery.median_gain_correlation()) {
        let title = format!("{scan}: behavioral gains");
        let axes = Axes {
            title: &title,
            x: "correlation of fitted and true log gain",
            y: "neurons",
            y_range: None,
        };
        let caption =
            format!("Correlation over trials for each responsive neuron; median {median:.3}.");
        figures.push(histogram(&axes, gains, 24, GREEN).caption(caption));
    }
    figures
}

fn centers(fields: &ReceptiveFields) -> Result<Figure> {
    let brightest = fields.image.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
    let uri = picture_uri(fields.height, fields.width, |row, column| {
        [(255.0 * fields.image[row * fields.width + column] / brightest).clamp(0.0, 255.0) as u8; 3]
    })?;
    let (height, width) = (fields.height * ZOOM, fields.width * ZOOM);
    let title = format!("Receptive fields, {}", fields.scan);
    let mut svg = format!(
        "<svg class=\"plot\" data-kind=\"plane\" data-axis=\"center at\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         role=\"img\" aria-label=\"test correlation\"><image href=\"{uri}\" width=\"{width}\" height=\"{height}\" \
         style=\"image-rendering:pixelated\" opacity=\"0.6\"/><g class=\"series\" data-series=\"\" fill=\"{RED}\">"
    );
    let mut numbers = Csv::new(&["x", "y", "test correlation"]);
    for ([x, y], correlation) in fields.centers.iter().zip(&fields.correlations) {
        let at = |p: f32, size: usize| (p + 1.0) / 2.0 * size as f32;
        let opacity = (0.15 + 1.6 * correlation).clamp(0.1, 1.0);
        let [of_x, of_y, of_correlation] =
            [*x, *y, *correlation].map(|value| number(f64::from(value)));
        svg += &format!(
            "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"4\" opacity=\"{opacity:.2}\" data-x=\"{of_x}, {of_y}\" data-v=\"{of_correlation}\"/>",
            at(*x, width),
            at(*y, height)
        );
        numbers.line([x.to_string(), y.to_string(), correlation.to_string()]);
    }
    Ok(Figure::new(&title, svg + "</g></svg>", numbers))
}

fn filters(filters: &[Vec<Vec<f32>>]) -> Result<Figure> {
    let side = filters[0].len();
    let cell = side * TAP + TAP;
    let (rows, columns) =
        (filters.len().div_ceil(FILTER_COLUMNS), FILTER_COLUMNS.min(filters.len()));
    let limits: Vec<f32> = filters
        .iter()
        .map(|filter| filter.iter().flatten().fold(1e-12f32, |most, tap| most.max(tap.abs())))
        .collect();
    let (height, width) = (rows * cell, columns * cell);
    let uri = picture_uri(height, width, |row, column| {
        let filter = row / cell * FILTER_COLUMNS + column / cell;
        let (i, j) = (row % cell / TAP, column % cell / TAP);
        match filters.get(filter).and_then(|filter| filter.get(i)?.get(j)) {
            Some(tap) => heatmap::color(tap / limits[filter]),
            None => [235; 3],
        }
    })?;
    let columns: Vec<String> =
        (0..filters[0].first().map_or(0, Vec::len)).map(|column| format!("x{column}")).collect();
    let names: Vec<&str> =
        ["kernel", "y"].into_iter().chain(columns.iter().map(String::as_str)).collect();
    let mut numbers = Csv::new(&names);
    for (kernel, rows) in filters.iter().enumerate() {
        for (y, row) in rows.iter().enumerate() {
            let cells = row.iter().map(|tap| number(f64::from(*tap)));
            numbers.line([kernel.to_string(), y.to_string()].into_iter().chain(cells));
        }
    }
    let image = format!(
        "<img src=\"{uri}\" width=\"{width}\" height=\"{height}\" alt=\"first-layer kernels\">"
    );
    Ok(Figure::new("First-layer kernels", image, numbers))
}

fn learning(content: &Content) -> Vec<Figure> {
    if content.neural.response_epochs.is_empty() {
        return Vec::new();
    }
    let of = |value: &dyn Fn(&ResponseEpoch) -> f64| -> Vec<Curve> {
        let fits = content.neural.response_epochs.iter().enumerate();
        fits.map(|(index, (fit, epochs))| Curve {
            name: fit.clone(),
            color: color("", index),
            points: epochs.iter().map(|epoch| (epoch.epoch as f64, value(epoch), 0.0)).collect(),
        })
        .collect()
    };
    let axes = |title, y| Axes { title, x: "epoch", y, y_range: None };
    vec![
        curves(
            &axes("Response model: validation", "validation correlation"),
            &of(&|epoch| epoch.validation_correlation),
        )
        .caption("Mean over neurons and scans."),
        curves(&axes("Response model: loss", "loss with penalties"), &of(&|epoch| epoch.loss))
            .caption("Mean over the steps of each epoch."),
    ]
}
