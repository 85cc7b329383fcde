//! Confidence intervals of means of few values, by Student's t.

use std::f64::consts::{FRAC_2_PI, FRAC_PI_2};

/// Coverage of the intervals.
const CONFIDENCE: f64 = 0.95;

/// Half width of the 95% interval of a mean of `count` independent values, from their standard
/// deviation (ddof 1). `None` for fewer than two values.
pub fn half_width_of_mean(standard_deviation: f64, count: usize) -> Option<f64> {
    (count >= 2).then(|| student_t(count - 1) * standard_deviation / (count as f64).sqrt())
}

/// The two-sided 95% quantile of Student's t with this many degrees of freedom, at least one.
fn student_t(degrees: usize) -> f64 {
    let (mut low, mut high) = (0.0, FRAC_PI_2);
    // The angle converges to neighboring floating-point numbers well within this many bisections.
    for _ in 0..64 {
        let angle = 0.5 * (low + high);
        if within(angle, degrees) < CONFIDENCE {
            low = angle;
        } else {
            high = angle;
        }
    }
    (degrees as f64).sqrt() * low.tan()
}

/// Probability that |t| is at most `sqrt(degrees) * tan(angle)`: the finite sums 26.7.3 and 26.7.4
/// of Abramowitz and Stegun (1964), exact for integer degrees of freedom.
fn within(angle: f64, degrees: usize) -> f64 {
    let (sin, cos) = angle.sin_cos();
    let is_odd = degrees % 2 == 1;
    let (first, mut term) = if is_odd { (3, cos) } else { (2, 1.0) };
    let mut sum = if degrees == 1 { 0.0 } else { term };
    for step in (first..degrees.saturating_sub(1)).step_by(2) {
        term *= (step - 1) as f64 / step as f64 * cos * cos;
        sum += term;
    }
    if is_odd { FRAC_2_PI * (angle + sin * sum) } else { sin * sum }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_tables() {
        let table = [
            (1, 12.706),
            (2, 4.303),
            (3, 3.182),
            (4, 2.776),
            (9, 2.262),
            (10, 2.228),
            (20, 2.086),
            (100, 1.984),
        ];
        for (degrees, expected) in table {
            assert_eq!(
                format!("{:.3}", student_t(degrees)),
                format!("{expected:.3}"),
                "{degrees} degrees of freedom"
            );
        }
        // The limit is the quantile of the normal distribution.
        assert!((student_t(100_000) - 1.959_964).abs() < 1e-4);
    }

    /// The density of t is proportional to cos^(degrees - 1) of the angle; integrating it
    /// numerically needs no closed form.
    #[test]
    fn quantiles_hold_95_percent_of_the_integrated_density() {
        const POINTS: usize = 20_000;
        for degrees in 1..=60 {
            let integral = |end: f64| {
                let step = end / POINTS as f64;
                let density =
                    |index: usize| ((index as f64 + 0.5) * step).cos().powi(degrees as i32 - 1);
                (0..POINTS).map(density).sum::<f64>() * step
            };
            let angle = (student_t(degrees) / (degrees as f64).sqrt()).atan();
            let share = integral(angle) / integral(FRAC_PI_2);
            assert!((share - 0.95).abs() < 1e-7, "{degrees} degrees of freedom: {share}");
        }
    }

    #[test]
    fn one_value_has_no_interval() {
        assert_eq!((half_width_of_mean(0.0, 0), half_width_of_mean(0.0, 1)), (None, None));
        // Values 0 and 1: the standard deviation is 1 / sqrt(2), so the standard error is 1 / 2.
        assert!((half_width_of_mean(0.5f64.sqrt(), 2).unwrap() - 0.5 * 12.706).abs() < 1e-3);
    }
}
