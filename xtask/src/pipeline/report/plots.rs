//! Plots as SVG text, drawn by plotters: curves with their spread over seeds, scatter plots, histograms.

use anyhow::{Result, anyhow};
use plotters::prelude::*;

/// One colour per condition, readable for the colour-blind (Okabe and Ito).
pub fn colour(name: &str, index: usize) -> RGBColor {
    match name {
        "none" => RGBColor(60, 60, 60),
        "denoised" => RGBColor(213, 94, 0),
        "shuffled" => RGBColor(86, 180, 233),
        "raw" => RGBColor(0, 158, 115),
        "pixels" => RGBColor(204, 121, 167),
        "noise-augmented" => RGBColor(0, 114, 178),
        "adversarial" => RGBColor(230, 159, 0),
        "stopped-early" => RGBColor(150, 150, 150),
        _ => [RGBColor(0, 114, 178), RGBColor(230, 159, 0), RGBColor(213, 94, 0), RGBColor(0, 158, 115), RGBColor(204, 121, 167)]
            [index % 5],
    }
}

/// A curve with the standard deviation over seeds as a band.
pub struct Curve {
    pub name: String,
    pub colour: RGBColor,
    /// x, mean, standard deviation.
    pub points: Vec<(f64, f64, f64)>,
}

/// Title and axes of a plot.
pub struct Axes<'a> {
    pub title: &'a str,
    pub x: &'a str,
    pub y: &'a str,
    /// Fixed limits of y; otherwise those of the data.
    pub y_range: Option<(f64, f64)>,
}

const SIZE: (u32, u32) = (560, 380);

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
pub fn curves(axes: &Axes, curves: &[Curve]) -> Result<String> {
    let x = limits(curves.iter().flat_map(|curve| curve.points.iter().map(|point| point.0)));
    let data = curves.iter().flat_map(|curve| curve.points.iter().flat_map(|point| [point.1 - point.2, point.1 + point.2]));
    let y = axes.y_range.unwrap_or_else(|| limits(data));
    draw(axes, x, y, |chart| {
        for curve in curves {
            let colour = curve.colour;
            let upper = curve.points.iter().map(|point| (point.0, point.1 + point.2));
            let lower = curve.points.iter().rev().map(|point| (point.0, point.1 - point.2));
            let band: Vec<(f64, f64)> = upper.chain(lower).collect();
            chart.draw_series(std::iter::once(Polygon::new(band, colour.mix(0.15)))).map_err(failed)?;
            let line = curve.points.iter().map(|point| (point.0, point.1));
            chart
                .draw_series(LineSeries::new(line.clone(), colour.stroke_width(2)))
                .map_err(failed)?
                .label(curve.name.clone())
                .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 18, y)], colour.stroke_width(3)));
            chart.draw_series(line.map(|point| Circle::new(point, 3, colour.filled()))).map_err(failed)?;
        }
        if curves.len() > 1 {
            chart
                .configure_series_labels()
                .background_style(WHITE.mix(0.8))
                .border_style(BLACK.mix(0.2))
                .label_font(("sans-serif", 15))
                .position(legend_corner(&curves[0]))
                .draw()
                .map_err(failed)?;
        }
        Ok(())
    })
}

/// Paths through a plane, in the order of their points; the last point is the largest.
pub fn tracks(axes: &Axes, tracks: &[Curve]) -> Result<String> {
    let x = limits(tracks.iter().flat_map(|track| track.points.iter().map(|point| point.0)));
    let y = axes.y_range.unwrap_or_else(|| limits(tracks.iter().flat_map(|track| track.points.iter().map(|point| point.1))));
    draw(axes, x, y, |chart| {
        for track in tracks {
            let colour = track.colour;
            let line = track.points.iter().map(|point| (point.0, point.1));
            chart
                .draw_series(LineSeries::new(line.clone(), colour.mix(0.5).stroke_width(1)))
                .map_err(failed)?
                .label(track.name.clone())
                .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 18, y)], colour.stroke_width(3)));
            let last = track.points.len().saturating_sub(1);
            let size = |index| if index == last { 6 } else { 2 };
            chart
                .draw_series(line.enumerate().map(|(index, point)| Circle::new(point, size(index), colour.filled())))
                .map_err(failed)?;
        }
        chart
            .configure_series_labels()
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK.mix(0.2))
            .label_font(("sans-serif", 15))
            .position(SeriesLabelPosition::UpperLeft)
            .draw()
            .map_err(failed)
    })
}

/// Falling curves leave the lower left free, rising ones the lower right.
fn legend_corner(curve: &Curve) -> SeriesLabelPosition {
    match (curve.points.first(), curve.points.last()) {
        (Some(first), Some(last)) if first.1 > last.1 => SeriesLabelPosition::LowerLeft,
        _ => SeriesLabelPosition::LowerRight,
    }
}

/// Points, with a line through the origin for each slope, the first light and the others in the points' colour.
pub fn scatter(axes: &Axes, points: &[(f64, f64)], slopes: &[f64], colour: RGBColor) -> Result<String> {
    let x = limits(points.iter().map(|point| point.0));
    let y = axes.y_range.unwrap_or_else(|| limits(points.iter().map(|point| point.1)));
    draw(axes, x, y, |chart| {
        for (index, slope) in slopes.iter().enumerate() {
            let ends = [y.0 / slope, y.1 / slope].map(|end| end.clamp(x.0, x.1));
            let style = if index == 0 { BLACK.mix(0.4).stroke_width(1) } else { colour.stroke_width(2) };
            chart.draw_series(LineSeries::new(ends.map(|end| (end, slope * end)), style)).map_err(failed)?;
        }
        chart.draw_series(points.iter().map(|point| Circle::new(*point, 3, colour.mix(0.5).filled()))).map_err(failed)?;
        Ok(())
    })
}

/// How often values fall into each of `bins` equal intervals.
pub fn histogram(axes: &Axes, values: &[f64], bins: usize, colour: RGBColor) -> Result<String> {
    let (low, high) = limits(values.iter().copied());
    let width = (high - low) / bins as f64;
    let mut counts = vec![0usize; bins];
    for value in values.iter().filter(|value| value.is_finite()) {
        counts[(((value - low) / width) as usize).min(bins - 1)] += 1;
    }
    let highest = counts.iter().copied().max().unwrap_or(1).max(1) as f64;
    draw(axes, (low, high), (0.0, highest * 1.05), |chart| {
        let bars = counts.iter().enumerate().map(|(bin, count)| {
            let left = low + bin as f64 * width;
            Rectangle::new([(left, 0.0), (left + width * 0.95, *count as f64)], colour.mix(0.7).filled())
        });
        chart.draw_series(bars).map_err(failed)?;
        Ok(())
    })
}

type Chart<'a> =
    ChartContext<'a, SVGBackend<'a>, Cartesian2d<plotters::coord::types::RangedCoordf64, plotters::coord::types::RangedCoordf64>>;

fn draw(axes: &Axes, x: (f64, f64), y: (f64, f64), content: impl for<'a> FnOnce(&mut Chart<'a>) -> Result<()>) -> Result<String> {
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
        area.fill(&WHITE).map_err(failed)?;
        let mut chart = ChartBuilder::on(&area)
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
            |name: &str| Curve { name: name.into(), colour: colour(name, 0), points: vec![(0.0, 0.9, 0.01), (0.1, 0.5, 0.02)] };
        let svg = curves(&axes, &[curve("none"), curve("denoised")]).unwrap();
        assert!(svg.starts_with("<svg") && svg.contains("denoised") && svg.contains("polygon"));
    }

    #[test]
    fn degenerate_data_still_draw() {
        let axes = Axes { title: "t", x: "x", y: "y", y_range: None };
        histogram(&axes, &[1.0, 1.0], 5, BLACK).unwrap();
        histogram(&axes, &[], 5, BLACK).unwrap();
        scatter(&axes, &[(1.0, 2.0)], &[1.0], BLACK).unwrap();
    }
}
