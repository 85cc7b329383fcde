//! Small statistics over neurons and trials, in f64.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Number of bootstrap resamples for an [`Interval`].
const RESAMPLES: usize = 1000;

/// A value with its 95% percentile bootstrap interval over neurons.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Interval {
    /// The value.
    pub value: f64,
    /// 2.5th percentile over resamples.
    pub low: f64,
    /// 97.5th percentile over resamples.
    pub high: f64,
}

/// Pearson correlation; `None` if one side does not vary.
pub(crate) fn correlation(pairs: impl Iterator<Item = (f64, f64)> + Clone) -> Option<f64> {
    let count = pairs.clone().count() as f64;
    let (sx, sy) = pairs.clone().fold((0.0, 0.0), |(sx, sy), (x, y)| (sx + x, sy + y));
    let (mx, my) = (sx / count, sy / count);
    let (mut xx, mut yy, mut xy) = (0.0, 0.0, 0.0);
    for (x, y) in pairs {
        xx += (x - mx).powi(2);
        yy += (y - my).powi(2);
        xy += (x - mx) * (y - my);
    }
    // Deviations of a constant are rounding errors of its mean.
    let varies = |square: f64, mean: f64| square > count * (1e-7 * mean).powi(2);
    (varies(xx, mx) && varies(yy, my)).then(|| (xy / (xx * yy).sqrt()).clamp(-1.0, 1.0))
}

/// Slope through the origin of y on x; `None` if all x are zero.
pub(crate) fn slope(pairs: &[(f64, f64)]) -> Option<f64> {
    let xx: f64 = pairs.iter().map(|(x, _)| x * x).sum();
    let xy: f64 = pairs.iter().map(|(x, y)| x * y).sum();
    (xx > 0.0).then(|| xy / xx)
}

/// `figure` of `items` with its seeded bootstrap interval over the items; `None` if the figure is
/// undefined.
pub(crate) fn bootstrap<T: Copy>(
    items: &[T],
    figure: impl Fn(&[T]) -> Option<f64>,
    seed: u64,
) -> Option<Interval> {
    let value = figure(items)?;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut sample = Vec::with_capacity(items.len());
    let mut figures = Vec::with_capacity(RESAMPLES);
    for _ in 0..RESAMPLES {
        sample.clear();
        sample.extend((0..items.len()).map(|_| items[rng.random_range(0..items.len())]));
        figures.extend(figure(&sample));
    }
    figures.sort_by(f64::total_cmp);
    let percentile = |p: f64| figures[((figures.len() - 1) as f64 * p).round() as usize];
    Some(Interval { value, low: percentile(0.025), high: percentile(0.975) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use brainprior_recording::median;

    #[test]
    fn correlation_of_a_line_is_one_and_of_a_constant_undefined() {
        let line = (0..9).map(|i| (f64::from(i), 3.0 - 2.0 * f64::from(i)));
        assert!((correlation(line).unwrap() + 1.0).abs() < 1e-12);
        assert_eq!(correlation((0..9).map(|i| (f64::from(i), 0.1))), None);
        assert_eq!(correlation(std::iter::empty()), None);
    }

    #[test]
    fn bootstrap_surrounds_the_median_and_repeats() {
        let values: Vec<f64> = (0..101).map(f64::from).collect();
        let a = bootstrap(&values, median, 5).unwrap();
        assert!(
            a.value == 50.0 && (30.0..50.0).contains(&a.low) && (50.0..70.0).contains(&a.high),
            "{a:?}"
        );
        assert_eq!(Some(a), bootstrap(&values, median, 5));
        assert_eq!(bootstrap(&[], median, 5), None);
    }
}
