//! Plots as SVG text, drawn by plotters: curves with their spread over seeds, scatter plots, histograms.

use anyhow::{Result, anyhow};
use plotters::prelude::*;

/// One color per condition, readable for the color-blind (Okabe and Ito); arms of a condition with settings of their own
/// are its lighter shades.
pub(crate) fn color(name: &str, index: usize) -> RGBColor {
    const OTHERS: [RGBColor; 5] =
        [RGBColor(0, 114, 178), RGBColor(230, 159, 0), RGBColor(213, 94, 0), RGBColor(0, 158, 115), RGBColor(204, 121, 167)];
    const SHADES: [f64; 3] = [0.35, 0.6, 0.2];
    let (condition, changes) = name.split_once(' ').unwrap_or((name, ""));
    let own = match condition {
        "none" => RGBColor(60, 60, 60),
        "denoised" => RGBColor(213, 94, 0),
        "shuffled" => RGBColor(86, 180, 233),
        "raw" => RGBColor(0, 158, 115),
        "pixels" => RGBColor(204, 121, 167),
        "noise-augmented" => RGBColor(0, 114, 178),
        "adversarial" => RGBColor(230, 159, 0),
        _ => OTHERS[index % OTHERS.len()],
    };
    let white = if changes.is_empty() { 0.0 } else { SHADES[index % SHADES.len()] };
    let lighter = |value: u8| (f64::from(value) + white * (255.0 - f64::from(value))) as u8;
    RGBColor(lighter(own.0), lighter(own.1), lighter(own.2))
}

/// A curve with the standard deviation over seeds as a band.
pub(crate) struct Curve {
    pub(crate) name: String,
    pub(crate) color: RGBColor,
    /// x, mean, standard deviation.
    pub(crate) points: Vec<(f64, f64, f64)>,
}

/// Title and axes of a plot.
pub(crate) struct Axes<'a> {
    pub(crate) title: &'a str,
    pub(crate) x: &'a str,
    pub(crate) y: &'a str,
    /// Fixed limits of y; otherwise those of the data.
    pub(crate) y_range: Option<(f64, f64)>,
}

const SIZE: (u32, u32) = (560, 380);
const LEGEND_LEFT: i32 = 58;
const LEGEND_ROW: i32 = 20;

fn failed(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("a plot could not be drawn: {error}")
}

fn limits(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for value in values.filter(|value| value.is_finite()) {
        low = low.min(value);
        high = high.max(value);
    }
    if low > high {
        return (0.0, 1.0);
    }
    let margin = ((high - low) * 0.05).max(1e-9 + high.abs() * 1e-6);
    (low - margin, high + margin)
}

/// Curves over a common x.
pub(crate) fn curves(axes: &Axes, curves: &[Curve]) -> Result<String> {
    let x = limits(curves.iter().flat_map(|curve| curve.points.iter().map(|point| point.0)));
    let data = curves.iter().flat_map(|curve| curve.points.iter().flat_map(|point| [point.1 - point.2, point.1 + point.2]));
    let y = axes.y_range.unwrap_or_else(|| limits(data));
    draw(axes, x, y, &legend(curves), |chart| {
        for curve in curves {
            let color = curve.color;
            let upper = curve.points.iter().map(|point| (point.0, point.1 + point.2));
            let lower = curve.points.iter().rev().map(|point| (point.0, point.1 - point.2));
            let band: Vec<(f64, f64)> = upper.chain(lower).collect();
            chart.draw_series(std::iter::once(Polygon::new(band, color.mix(0.15)))).map_err(failed)?;
            let line = curve.points.iter().map(|point| (point.0, point.1));
            chart.draw_series(LineSeries::new(line.clone(), color.stroke_width(2))).map_err(failed)?;
            chart.draw_series(line.map(|point| Circle::new(point, 3, color.filled()))).map_err(failed)?;
        }
        Ok(())
    })
}

/// Paths through a plane, in the order of their points; the last point is the largest.
pub(crate) fn tracks(axes: &Axes, tracks: &[Curve]) -> Result<String> {
    let x = limits(tracks.iter().flat_map(|track| track.points.iter().map(|point| point.0)));
    let y = axes.y_range.unwrap_or_else(|| limits(tracks.iter().flat_map(|track| track.points.iter().map(|point| point.1))));
    draw(axes, x, y, &legend(tracks), |chart| {
        for track in tracks {
            let color = track.color;
            let line = track.points.iter().map(|point| (point.0, point.1));
            chart.draw_series(LineSeries::new(line.clone(), color.mix(0.5).stroke_width(1))).map_err(failed)?;
            let last = track.points.len().saturating_sub(1);
            let size = |index| if index == last { 6 } else { 2 };
            chart
                .draw_series(line.enumerate().map(|(index, point)| Circle::new(point, size(index), color.filled())))
                .map_err(failed)?;
        }
        Ok(())
    })
}

/// The names beside their colours; none where there is nothing to tell apart.
fn legend(curves: &[Curve]) -> Vec<(&str, RGBColor)> {
    if curves.len() < 2 {
        return Vec::new();
    }
    curves.iter().map(|curve| (curve.name.as_str(), curve.color)).collect()
}

/// Where each entry of a legend stands, in rows below the plot, and how high all rows are.
fn legend_places(entries: &[(&str, RGBColor)]) -> (Vec<(i32, i32)>, u32) {
    let (mut x, mut y) = (LEGEND_LEFT, 4);
    let mut places = Vec::with_capacity(entries.len());
    for (name, _) in entries {
        let width = 40 + 8 * name.chars().count() as i32;
        if x > LEGEND_LEFT && x + width > SIZE.0 as i32 {
            (x, y) = (LEGEND_LEFT, y + LEGEND_ROW);
        }
        places.push((x, y));
        x += width;
    }
    let height = if entries.is_empty() { 0 } else { y + LEGEND_ROW };
    (places, height as u32)
}

/// Points, with a line through the origin for each slope, the first light and the others in the points' color.
pub(crate) fn scatter(axes: &Axes, points: &[(f64, f64)], slopes: &[f64], color: RGBColor) -> Result<String> {
    let x = limits(points.iter().map(|point| point.0));
    let y = axes.y_range.unwrap_or_else(|| limits(points.iter().map(|point| point.1)));
    draw(axes, x, y, &[], |chart| {
        for (index, slope) in slopes.iter().enumerate() {
            let ends = [y.0 / slope, y.1 / slope].map(|end| end.clamp(x.0, x.1));
            let style = if index == 0 { BLACK.mix(0.4).stroke_width(1) } else { color.stroke_width(2) };
            chart.draw_series(LineSeries::new(ends.map(|end| (end, slope * end)), style)).map_err(failed)?;
        }
        chart.draw_series(points.iter().map(|point| Circle::new(*point, 3, color.mix(0.5).filled()))).map_err(failed)?;
        Ok(())
    })
}

/// How often values fall into each of `bins` equal intervals.
pub(crate) fn histogram(axes: &Axes, values: &[f64], bins: usize, color: RGBColor) -> Result<String> {
    let (low, high) = limits(values.iter().copied());
    let width = (high - low) / bins as f64;
    let mut counts = vec![0usize; bins];
    for value in values.iter().filter(|value| value.is_finite()) {
        counts[(((value - low) / width) as usize).min(bins - 1)] += 1;
    }
    let highest = counts.iter().copied().max().unwrap_or(1).max(1) as f64;
    draw(axes, (low, high), (0.0, highest * 1.05), &[], |chart| {
        let bars = counts.iter().enumerate().map(|(bin, count)| {
            let left = low + bin as f64 * width;
            Rectangle::new([(left, 0.0), (left + width * 0.95, *count as f64)], color.mix(0.7).filled())
        });
        chart.draw_series(bars).map_err(failed)?;
        Ok(())
    })
}

type Chart<'a> =
    ChartContext<'a, SVGBackend<'a>, Cartesian2d<plotters::coord::types::RangedCoordf64, plotters::coord::types::RangedCoordf64>>;

fn draw(
    axes: &Axes,
    x: (f64, f64),
    y: (f64, f64),
    legend: &[(&str, RGBColor)],
    content: impl for<'a> FnOnce(&mut Chart<'a>) -> Result<()>,
) -> Result<String> {
    let (places, legend_height) = legend_places(legend);
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, (SIZE.0, SIZE.1 + legend_height)).into_drawing_area();
        area.fill(&WHITE).map_err(failed)?;
        let (plot, below) = area.split_vertically(SIZE.1);
        for ((name, color), (x, y)) in legend.iter().zip(places) {
            below.draw(&Rectangle::new([(x, y + 6), (x + 18, y + 9)], color.filled())).map_err(failed)?;
            below.draw(&Text::new(*name, (x + 24, y), ("sans-serif", 15))).map_err(failed)?;
        }
        let mut chart = ChartBuilder::on(&plot)
            .caption(axes.title, ("sans-serif", 20))
            .margin(8)
            .x_label_area_size(44)
            .y_label_area_size(58)
            .build_cartesian_2d(x.0..x.1, y.0..y.1)
            .map_err(failed)?;
        chart
            .configure_mesh()
            .x_desc(axes.x)
            .y_desc(axes.y)
            .label_style(("sans-serif", 14))
            .axis_desc_style(("sans-serif", 16))
            .light_line_style(WHITE)
            .bold_line_style(BLACK.mix(0.08))
            .x_labels(7)
            .y_labels(7)
            .draw()
            .map_err(failed)?;
        content(&mut chart)?;
        area.present().map_err(failed)?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_are_svg_with_a_legend() {
        let axes = Axes { title: "Accuracy", x: "noise", y: "accuracy", y_range: Some((0.0, 1.0)) };
        let curve =
            |name: &str| Curve { name: name.into(), color: color(name, 0), points: vec![(0.0, 0.9, 0.01), (0.1, 0.5, 0.02)] };
        let svg = curves(&axes, &[curve("none"), curve("denoised")]).unwrap();
        assert!(svg.starts_with("<svg") && svg.contains("denoised") && svg.contains("polygon"));
    }

    #[test]
    fn arms_of_a_condition_are_lighter_than_it_and_unlike_each_other() {
        let shades = [color("denoised", 0), color("denoised alpha=1", 1), color("denoised alpha=5", 2)];
        assert!(shades[1..].iter().all(|shade| shade.2 > shades[0].2) && shades[1] != shades[2]);
        assert_ne!(color("raw alpha=5", 4), color("pixels", 5));
    }

    #[test]
    fn long_legends_take_several_rows_within_the_width() {
        let names: Vec<String> = (0..12).map(|index| format!("denoised alpha={index}")).collect();
        let entries: Vec<(&str, RGBColor)> = names.iter().map(|name| (name.as_str(), BLACK)).collect();
        let (places, height) = legend_places(&entries);
        assert!(places.iter().all(|(x, y)| *x + 150 < SIZE.0 as i32 && *y < height as i32), "{places:?}");
        assert!(places.iter().collect::<std::collections::BTreeSet<_>>().len() == 12);
        assert_eq!(legend_places(&[]).1, 0);
    }

    #[test]
    fn degenerate_data_still_draw() {
        let axes = Axes { title: "t", x: "x", y: "y", y_range: None };
        histogram(&axes, &[1.0, 1.0], 5, BLACK).unwrap();
        histogram(&axes, &[], 5, BLACK).unwrap();
        scatter(&axes, &[(1.0, 2.0)], &[1.0], BLACK).unwrap();
    }
}
