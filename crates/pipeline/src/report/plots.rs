//! Plots as SVG: curves with their spread over seeds, paths, scatter plots, histograms. Each mark
//! has the values that the page shows under the pointer.

use super::csv::Csv;
use super::figure::Figure;
use super::page::escape;
use std::fmt;

/// A color.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rgb(pub(crate) u8, pub(crate) u8, pub(crate) u8);

impl fmt::Display for Rgb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:02x}{:02x}{:02x}", self.0, self.1, self.2)
    }
}

/// One color per condition, from the color-blind palette of Okabe and Ito, readable on light and
/// dark pages. Arms of a condition with their own settings have its lighter shades.
pub(crate) fn color(name: &str, index: usize) -> Rgb {
    const OTHERS: [Rgb; 5] =
        [Rgb(0, 114, 178), Rgb(230, 159, 0), Rgb(213, 94, 0), Rgb(0, 158, 115), Rgb(204, 121, 167)];
    const SHADES: [f64; 3] = [0.35, 0.6, 0.2];
    let (condition, changes) = name.split_once(' ').unwrap_or((name, ""));
    let own = match condition {
        // The control by a blur is a condition of its own, although it has no target.
        "none" if changes.contains("blur=") => Rgb(0, 114, 178),
        "none" => Rgb(118, 118, 124),
        "denoised" => Rgb(213, 94, 0),
        "shuffled" => Rgb(86, 180, 233),
        "raw" => Rgb(0, 158, 115),
        "pixels" => Rgb(204, 121, 167),
        "noise-augmented" => Rgb(0, 114, 178),
        "adversarial" => Rgb(230, 159, 0),
        _ => OTHERS[index % OTHERS.len()],
    };
    let white = if changes.is_empty() { 0.0 } else { SHADES[index % SHADES.len()] };
    let lighter = |value: u8| (f64::from(value) + white * (255.0 - f64::from(value))) as u8;
    Rgb(lighter(own.0), lighter(own.1), lighter(own.2))
}

/// A curve with the spread over seeds as a band.
pub(crate) struct Curve {
    pub(crate) name: String,
    pub(crate) color: Rgb,
    /// x, mean, how far the band reaches on either side.
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

/// A number with four significant digits.
pub(crate) fn number(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return format!("{value}");
    }
    let digits = (3 - value.abs().log10().floor() as i32).clamp(0, 9) as usize;
    let text = format!("{value:.digits$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 330.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 48.0;
const LEGEND_ROW: f64 = 26.0;
/// Approximate width of a letter of a legend.
const LETTER: f64 = 7.6;

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

/// About `wanted` round numbers between two limits, and the number of their decimals.
fn ticks((low, high): (f64, f64), wanted: f64) -> (Vec<f64>, usize) {
    let rough = (high - low) / wanted;
    let power = 10f64.powf(rough.log10().floor());
    let step =
        power * [1.0, 2.0, 5.0].into_iter().find(|step| step * power >= rough).unwrap_or(10.0);
    let first = (low / step).ceil() as i64;
    let last = (high / step).floor() as i64;
    let digits = (-step.log10().floor()).max(0.0) as usize;
    ((first..=last).map(|tick| tick as f64 * step).collect(), digits)
}

/// The frame of a plot, and where values lie in it.
struct Canvas {
    x: (f64, f64),
    y: (f64, f64),
    marks: String,
}

impl Canvas {
    fn new(x: (f64, f64), y: (f64, f64)) -> Self {
        Self { x, y, marks: String::new() }
    }

    fn at(&self, x: f64, y: f64) -> (f64, f64) {
        let part = |value: f64, (low, high): (f64, f64)| (value - low) / (high - low);
        (
            LEFT + part(x, self.x) * (WIDTH - LEFT - RIGHT),
            HEIGHT - BOTTOM - part(y, self.y) * (HEIGHT - TOP - BOTTOM),
        )
    }

    /// The attribute `d` of a path.
    fn path(&self, points: impl Iterator<Item = (f64, f64)>) -> String {
        let mut text = String::new();
        for (index, (x, y)) in points.enumerate() {
            let (x, y) = self.at(x, y);
            text += &format!("{}{x:.1} {y:.1}", if index == 0 { "M" } else { "L" });
        }
        text
    }

    fn circle(&mut self, (x, y): (f64, f64), radius: f64, at: &str, value: &str) {
        let (x, y) = self.at(x, y);
        self.marks += &format!(
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\" data-x=\"{}\" data-v=\"{}\"/>",
            escape(at),
            escape(value)
        );
    }

    fn open(&mut self, series: &str, color: Rgb) {
        self.marks += &format!(
            "<g class=\"series\" data-series=\"{}\" fill=\"{color}\" stroke=\"none\">",
            escape(series)
        );
    }

    fn close(&mut self) {
        self.marks += "</g>\n";
    }

    /// The whole plot; `kind` says how the page finds the nearest mark: along `x`, or in the
    /// `plane`.
    fn svg(self, axes: &Axes, kind: &str, legend: &[(&str, Rgb)]) -> String {
        let (places, below) = legend_places(legend);
        let height = HEIGHT + below;
        let mut text = format!(
            "<svg class=\"plot\" data-kind=\"{kind}\" data-axis=\"{}\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
             role=\"img\" aria-label=\"{}\"><rect class=\"paper\" width=\"{WIDTH}\" height=\"{height}\"/>",
            escape(axes.x),
            escape(axes.title)
        );
        text += &format!(
            "<text class=\"name\" x=\"{}\" y=\"20\" text-anchor=\"middle\">{}</text>\n",
            WIDTH / 2.0,
            escape(axes.title)
        );
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        let (xs, digits) = ticks(self.x, 6.0);
        for tick in xs {
            let (x, _) = self.at(tick, self.y.0);
            text += &format!(
                "<path class=\"mesh\" d=\"M{x:.1} {TOP}V{bottom}\"/><text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{tick:.digits$}</text>",
                bottom + 17.0
            );
        }
        let (ys, digits) = ticks(self.y, 5.0);
        for tick in ys {
            let (_, y) = self.at(self.x.0, tick);
            text += &format!(
                "<path class=\"mesh\" d=\"M{LEFT} {y:.1}H{right}\"/><text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{tick:.digits$}</text>",
                LEFT - 6.0,
                y + 4.5
            );
        }
        let middle = (TOP + bottom) / 2.0;
        text += &format!(
            "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text><text transform=\"translate(14 {middle}) rotate(-90)\" text-anchor=\"middle\">{}</text>\n",
            (LEFT + right) / 2.0,
            bottom + 37.0,
            escape(axes.x),
            escape(axes.y)
        );
        text += &self.marks;
        for ((name, color), (x, y, width)) in legend.iter().zip(places) {
            let y = HEIGHT + y;
            text += &format!(
                "<g class=\"key\" data-series=\"{}\"><rect class=\"paper\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{LEGEND_ROW}\"/>\
                 <rect x=\"{}\" y=\"{}\" width=\"18\" height=\"4\" rx=\"2\" fill=\"{color}\"/><text x=\"{}\" y=\"{}\">{}</text></g>",
                escape(name),
                x + 4.0,
                y + 11.0,
                x + 28.0,
                y + 17.5,
                escape(name)
            );
        }
        text + "</svg>"
    }
}

/// Curves over a common x.
pub(crate) fn curves(axes: &Axes, curves: &[Curve]) -> Figure {
    let x = limits(curves.iter().flat_map(|curve| curve.points.iter().map(|point| point.0)));
    let data = curves.iter().flat_map(|curve| {
        curve.points.iter().flat_map(|point| [point.1 - point.2, point.1 + point.2])
    });
    let mut canvas = Canvas::new(x, axes.y_range.unwrap_or_else(|| limits(data)));
    let mut numbers = Csv::new(&["series", axes.x, axes.y, "band on either side"]);
    for curve in curves {
        canvas.open(&curve.name, curve.color);
        if curve.points.iter().any(|point| point.2 > 0.0) {
            let upper = curve.points.iter().map(|point| (point.0, point.1 + point.2));
            let lower = curve.points.iter().rev().map(|point| (point.0, point.1 - point.2));
            let band = canvas.path(upper.chain(lower));
            canvas.marks += &format!("<path d=\"{band}Z\" fill-opacity=\"0.16\"/>");
        }
        let line = canvas.path(curve.points.iter().map(|point| (point.0, point.1)));
        canvas.marks += &format!(
            "<path d=\"{line}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\"/>",
            curve.color
        );
        for (x, mean, band) in &curve.points {
            let spread = if *band > 0.0 { format!(" ± {}", number(*band)) } else { String::new() };
            canvas.circle((*x, *mean), 3.0, &number(*x), &format!("{}{spread}", number(*mean)));
            numbers.line([curve.name.clone(), x.to_string(), mean.to_string(), band.to_string()]);
        }
        canvas.close();
    }
    Figure::new(axes.title, canvas.svg(axes, "x", &legend(curves)), numbers)
}

/// Paths through a plane, in the order of their points; the last point is the largest.
pub(crate) fn tracks(axes: &Axes, tracks: &[Curve]) -> Figure {
    let x = limits(tracks.iter().flat_map(|track| track.points.iter().map(|point| point.0)));
    let y = axes.y_range.unwrap_or_else(|| {
        limits(tracks.iter().flat_map(|track| track.points.iter().map(|point| point.1)))
    });
    let mut canvas = Canvas::new(x, y);
    let mut numbers = Csv::new(&["series", "place along it", axes.x, axes.y]);
    for track in tracks {
        canvas.open(&track.name, track.color);
        let line = canvas.path(track.points.iter().map(|point| (point.0, point.1)));
        canvas.marks += &format!(
            "<path d=\"{line}\" fill=\"none\" stroke=\"{}\" stroke-opacity=\"0.6\"/>",
            track.color
        );
        for (index, (x, y, _)) in track.points.iter().enumerate() {
            let radius = if index + 1 == track.points.len() { 6.0 } else { 2.5 };
            canvas.circle((*x, *y), radius, &number(*x), &number(*y));
            numbers.line([
                track.name.clone(),
                (index + 1).to_string(),
                x.to_string(),
                y.to_string(),
            ]);
        }
        canvas.close();
    }
    Figure::new(axes.title, canvas.svg(axes, "plane", &legend(tracks)), numbers)
}

/// Points, with a line through the origin for each slope: the first is the line of equality, the
/// others have the color of the points.
pub(crate) fn scatter(axes: &Axes, points: &[(f64, f64)], slopes: &[f64], color: Rgb) -> Figure {
    let x = limits(points.iter().map(|point| point.0));
    let y = axes.y_range.unwrap_or_else(|| limits(points.iter().map(|point| point.1)));
    let mut canvas = Canvas::new(x, y);
    let mut numbers = Csv::new(&[axes.x, axes.y]);
    for (index, slope) in slopes.iter().enumerate() {
        let ends = [y.0 / slope, y.1 / slope].map(|end| end.clamp(x.0, x.1));
        let line = canvas.path(ends.into_iter().map(|end| (end, slope * end)));
        canvas.marks += &match index {
            0 => format!("<path class=\"identity\" d=\"{line}\"/>"),
            _ => format!("<path d=\"{line}\" stroke=\"{color}\" stroke-width=\"2\"/>"),
        };
    }
    canvas.open("", color);
    for (x, y) in points {
        canvas.circle((*x, *y), 3.0, &number(*x), &number(*y));
        numbers.line([x.to_string(), y.to_string()]);
    }
    canvas.close();
    Figure::new(axes.title, canvas.svg(axes, "plane", &[]), numbers)
}

/// Counts of values in each of `bins` equal intervals.
pub(crate) fn histogram(axes: &Axes, values: &[f64], bins: usize, color: Rgb) -> Figure {
    let (low, high) = limits(values.iter().copied());
    let width = (high - low) / bins as f64;
    let mut counts = vec![0usize; bins];
    for value in values.iter().filter(|value| value.is_finite()) {
        counts[(((value - low) / width) as usize).min(bins - 1)] += 1;
    }
    let highest = counts.iter().copied().max().unwrap_or(1).max(1) as f64;
    let mut canvas = Canvas::new((low, high), (0.0, highest * 1.05));
    let mut numbers = Csv::new(&["from", "to", axes.y]);
    canvas.open("", color);
    for (bin, count) in counts.iter().enumerate() {
        let (from, to) = (low + bin as f64 * width, low + (bin + 1) as f64 * width);
        let ((left, top), (right, bottom)) = (canvas.at(from, *count as f64), canvas.at(to, 0.0));
        canvas.marks += &format!(
            "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\" data-x=\"{} to {}\" data-v=\"{count}\"/>",
            0.95 * (right - left),
            bottom - top,
            number(from),
            number(to)
        );
        numbers.line([from.to_string(), to.to_string(), count.to_string()]);
    }
    canvas.close();
    Figure::new(axes.title, canvas.svg(axes, "x", &[]), numbers)
}

/// The names next to their colors; empty for a single curve.
fn legend(curves: &[Curve]) -> Vec<(&str, Rgb)> {
    if curves.len() < 2 {
        return Vec::new();
    }
    curves.iter().map(|curve| (curve.name.as_str(), curve.color)).collect()
}

/// Left, top and width of each entry of a legend, in rows below the plot, and the height of all
/// rows.
fn legend_places(entries: &[(&str, Rgb)]) -> (Vec<(f64, f64, f64)>, f64) {
    let (mut x, mut y) = (LEFT, 0.0);
    let mut places = Vec::with_capacity(entries.len());
    for (name, _) in entries {
        let width = 36.0 + LETTER * name.chars().count() as f64;
        if x > LEFT && x + width > WIDTH {
            (x, y) = (LEFT, y + LEGEND_ROW);
        }
        places.push((x, y, width));
        x += width;
    }
    (places, if entries.is_empty() { 0.0 } else { y + LEGEND_ROW })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLUE: Rgb = Rgb(0, 114, 178);

    #[test]
    fn curves_have_a_legend_values_to_hover_and_numbers_to_save() {
        let axes = Axes { title: "Accuracy", x: "noise", y: "accuracy", y_range: Some((0.0, 1.0)) };
        let curve = |name: &str| Curve {
            name: name.into(),
            color: color(name, 0),
            points: vec![(0.0, 0.9, 0.01), (0.1, 0.5, 0.02)],
        };
        let figure = curves(&axes, &[curve("none"), curve("denoised <2>")]);
        let html = figure.html();
        assert!(html.contains("class=\"key\" data-series=\"denoised &lt;2&gt;\""), "{html}");
        assert!(html.contains("data-x=\"0.1\" data-v=\"0.5 ± 0.02\""), "{html}");
        assert!(html.contains("denoised%20%3C2%3E,0.1,0.5,0.02%0A"), "{html}");
        assert!(
            figure.svg().starts_with("<svg xmlns=")
                && figure.svg().contains("prefers-color-scheme")
        );
    }

    #[test]
    fn axes_have_round_numbers_within_their_limits() {
        assert_eq!(ticks((-0.015, 0.315), 6.0), (vec![0.0, 0.1, 0.2, 0.30000000000000004], 1));
        assert_eq!(ticks((0.0, 42.0), 5.0), (vec![0.0, 10.0, 20.0, 30.0, 40.0], 0));
        let (places, digits) = ticks((0.0123, 0.0131), 5.0);
        assert!(places.len() >= 3 && digits == 4, "{places:?} {digits}");
    }

    #[test]
    fn numbers_have_four_digits_that_count() {
        assert_eq!(
            [0.123_456, 12.345_6, 1234.56, 0.5, 0.0, 1e-4].map(number),
            ["0.1235", "12.35", "1235", "0.5", "0", "0.0001"]
        );
    }

    #[test]
    fn arms_of_a_condition_are_lighter_than_it_and_unlike_each_other() {
        let shades =
            [color("denoised", 0), color("denoised alpha=1", 1), color("denoised alpha=5", 2)];
        assert!(shades[1..].iter().all(|shade| shade.2 > shades[0].2) && shades[1] != shades[2]);
        assert_ne!(color("raw alpha=5", 4), color("pixels", 5));
    }

    #[test]
    fn long_legends_take_several_rows_within_the_width() {
        let names: Vec<String> = (0..12).map(|index| format!("denoised alpha={index}")).collect();
        let entries: Vec<(&str, Rgb)> = names.iter().map(|name| (name.as_str(), BLUE)).collect();
        let (places, height) = legend_places(&entries);
        assert!(places.iter().all(|(x, y, width)| x + width <= WIDTH && *y < height), "{places:?}");
        let rows = |wanted: f64| places.iter().filter(|(_, y, _)| *y == wanted).count();
        assert!(rows(0.0) >= 2 && rows(0.0) < 12);
        assert_eq!(legend_places(&[]).1, 0.0);
    }

    #[test]
    fn degenerate_data_still_draw() {
        let axes = Axes { title: "t", x: "x", y: "y", y_range: None };
        for figure in [
            histogram(&axes, &[1.0, 1.0], 5, BLUE),
            histogram(&axes, &[], 5, BLUE),
            scatter(&axes, &[(1.0, 2.0)], &[1.0], BLUE),
            curves(&axes, &[]),
        ] {
            assert!(!figure.html().contains("NaN"), "{}", figure.html());
        }
    }
}
