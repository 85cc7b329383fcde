//! The products by definition, in f64.

use super::PANEL;

/// Value `k` of vector `index` of some panels.
fn value(panels: &[f32], depth: usize, index: usize, k: usize) -> f64 {
    f64::from(panels[((index / PANEL) * depth + k) * PANEL + index % PANEL])
}

/// The dot product of vector `r` of `rows` and vector `c` of `columns`.
pub(super) fn product(rows: &[f32], columns: &[f32], depth: usize, r: usize, c: usize) -> f64 {
    (0..depth).map(|k| value(rows, depth, r, k) * value(columns, depth, c, k)).sum()
}

/// A row minus its means, weighted and normalized; `None` if only rounding errors of equal values
/// remain.
pub(super) fn unit(row: &[f32], means: &[f64], weights: &[f64]) -> Option<Vec<f64>> {
    let of = |mean: fn(f64) -> f64| -> Vec<f64> {
        row.iter()
            .zip(means)
            .zip(weights)
            .map(|((value, m), weight)| weight * (f64::from(*value) - mean(*m)))
            .collect()
    };
    let norm = |values: &[f64]| values.iter().map(|value| value * value).sum::<f64>().sqrt();
    let (centered, raw) = (of(|mean| mean), of(|_| 0.0));
    let length = norm(&centered);
    (length > norm(&raw) * f64::from(f32::EPSILON))
        .then(|| centered.iter().map(|value| value / length).collect())
}
