//! Simulated behavior of the animal: pupil, running, gaze.

use ndarray::Array2;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// Number of behavior signals: pupil dilation, its derivative, running speed.
pub(super) const BEHAVIORS: usize = 3;
/// Bound on the exponent of the behavioral gain.
pub(super) const LARGEST_EXPONENT: f32 = 1.5;

/// Behavior and gaze in order of presentation.
pub(super) struct Behavior {
    /// `[trials, 3]`: pupil dilation (camera pixels), its change over a trial, running speed
    /// (cm/s).
    pub(super) values: Array2<f32>,
    /// Mean of each signal over the trials.
    pub(super) mean: [f64; BEHAVIORS],
    /// Standard deviation of each signal over the trials.
    pub(super) std: [f64; BEHAVIORS],
    /// `[trials, 2]`: horizontal and vertical, in camera pixels.
    pub(super) pupil_center: Array2<f32>,
    /// Mean of `pupil_center`.
    pub(super) pupil_center_mean: [f64; 2],
    /// Image pixels per camera pixel.
    pub(super) gaze_matrix: [[f64; 2]; 2],
    /// Bound on the length of a shift, in image pixels.
    max_gaze_shift: f64,
}

impl Behavior {
    /// Draws bouts of running, a pupil that follows them over tens of trials, and a gaze that
    /// drifts over a few.
    pub(super) fn draw(trials: usize, max_gaze_shift: f64, rng: &mut ChaCha8Rng) -> Self {
        let noise = |rng: &mut ChaCha8Rng| -> f64 { StandardNormal.sample(rng) };
        let mut values = Array2::zeros((trials, BEHAVIORS));
        let mut pupil_center = Array2::zeros((trials, 2));
        let (mut running, mut bout_speed, mut speed) = (false, 0.0, 0.0);
        let (mut arousal, mut slow) = (0.0, noise(rng));
        let mut dilation_before = None;
        let mut eye = [noise(rng), noise(rng)];
        for trial in 0..trials {
            if rng.random_bool(if running { 0.05 } else { 0.025 }) {
                running = !running;
                bout_speed = if running { (2.2 + 0.4 * noise(rng)).exp() } else { 0.0 };
            }
            speed += 0.4 * (bout_speed - speed);
            let wheel = (speed * (1.0 + 0.15 * noise(rng)) + 0.05 * noise(rng)).max(0.0);
            arousal += 0.08 * (speed - arousal);
            slow = autoregressive(slow, 0.985, noise(rng));
            let dilation = (34.0 + 1.1 * arousal + 6.0 * slow + 0.6 * noise(rng)).max(5.0);
            let change = dilation - dilation_before.unwrap_or(dilation);
            dilation_before = Some(dilation);
            for (column, value) in [dilation, change, wheel].into_iter().enumerate() {
                values[[trial, column]] = value as f32;
            }
            eye =
                [autoregressive(eye[0], 0.65, noise(rng)), autoregressive(eye[1], 0.6, noise(rng))];
            pupil_center[[trial, 0]] = (62.0 + 2.6 * eye[0]) as f32;
            pupil_center[[trial, 1]] = (48.0 + 2.4 * eye[1]) as f32;
        }
        // With a bound of 3, a camera pixel is about 0.4 image pixels; three standard deviations of
        // the gaze reach the bound.
        let unit = max_gaze_shift / 3.0;
        let mut entry = |middle: f64| unit * (middle + 0.03 * noise(rng));
        let gaze_matrix = [[entry(0.39), entry(0.08)], [entry(-0.08), entry(0.37)]];
        let (mean, std) = moments(&values);
        let (pupil_center_mean, _) = moments(&pupil_center);
        Self { values, mean, std, pupil_center, pupil_center_mean, gaze_matrix, max_gaze_shift }
    }

    /// Gaze shift (dx, dy) in a trial, in image pixels.
    pub(super) fn shift(&self, trial: usize) -> [f32; 2] {
        let center = [0, 1]
            .map(|axis| f64::from(self.pupil_center[[trial, axis]]) - self.pupil_center_mean[axis]);
        let shift = self.gaze_matrix.map(|row| row[0] * center[0] + row[1] * center[1]);
        let length = shift[0].hypot(shift[1]);
        let scale = if length > self.max_gaze_shift { self.max_gaze_shift / length } else { 1.0 };
        shift.map(|part| (part * scale) as f32)
    }

    /// Factor by which behavior in a trial multiplies the rate of a neuron with this `gain`.
    pub(super) fn factor(&self, trial: usize, gain: &[f32; BEHAVIORS]) -> f32 {
        let exponent: f32 = (0..BEHAVIORS)
            .map(|column| {
                let standardized = (f64::from(self.values[[trial, column]]) - self.mean[column])
                    / self.std[column];
                gain[column] * standardized as f32
            })
            .sum();
        exponent.clamp(-LARGEST_EXPONENT, LARGEST_EXPONENT).exp()
    }
}

/// One step of an autoregressive process with unit variance.
fn autoregressive(state: f64, correlation: f64, noise: f64) -> f64 {
    correlation * state + (1.0 - correlation * correlation).sqrt() * noise
}

/// Mean and standard deviation (ddof 0) of each column; the standard deviation of a constant column
/// is set to 1.
fn moments<const K: usize>(values: &Array2<f32>) -> ([f64; K], [f64; K]) {
    let count = values.nrows() as f64;
    let mean: [f64; K] = std::array::from_fn(|column| {
        values.column(column).iter().map(|v| f64::from(*v)).sum::<f64>() / count
    });
    let std = std::array::from_fn(|column| {
        let squares: f64 =
            values.column(column).iter().map(|v| (f64::from(*v) - mean[column]).powi(2)).sum();
        if squares > 0.0 { (squares / count).sqrt() } else { 1.0 }
    });
    (mean, std)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn correlation(a: &[f64], b: &[f64]) -> f64 {
        let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
        let (ma, mb) = (mean(a), mean(b));
        let dot = |x: &[f64], mx: f64, y: &[f64], my: f64| {
            x.iter().zip(y).map(|(x, y)| (x - mx) * (y - my)).sum::<f64>()
        };
        dot(a, ma, b, mb) / (dot(a, ma, a, ma) * dot(b, mb, b, mb)).sqrt()
    }

    #[test]
    fn processes_look_like_those_of_a_mouse() {
        let trials = 20_000;
        let behavior = Behavior::draw(trials, 3.0, &mut ChaCha8Rng::seed_from_u64(5));
        let column = |c: usize| -> Vec<f64> {
            behavior.values.column(c).iter().map(|v| f64::from(*v)).collect()
        };
        let (dilation, change, running) = (column(0), column(1), column(2));
        assert!((30.0..50.0).contains(&behavior.mean[0]) && (5.0..12.0).contains(&behavior.std[0]));
        assert!(
            (1.0..7.0).contains(&behavior.mean[2]) && running.iter().all(|speed| *speed >= 0.0)
        );
        assert!(correlation(&dilation[1..], &dilation[..trials - 1]) > 0.95);
        assert!(correlation(&running[1..], &running[..trials - 1]) > 0.85);
        assert!((0.2..0.8).contains(&correlation(&dilation, &running)));
        assert!(correlation(&dilation, &change).abs() < 0.2);
    }

    #[test]
    fn shifts_are_linear_up_to_the_bound() {
        let behavior = Behavior::draw(5000, 3.0, &mut ChaCha8Rng::seed_from_u64(6));
        let lengths: Vec<f32> =
            (0..5000).map(|trial| behavior.shift(trial)).map(|s| s[0].hypot(s[1])).collect();
        assert!(lengths.iter().all(|length| *length <= 3.0001));
        let mean = lengths.iter().sum::<f32>() / 5000.0;
        assert!((0.7..2.0).contains(&mean), "{mean}");
        let trial = lengths.iter().position(|length| *length < 2.9).unwrap();
        let center: Vec<f64> = (0..2)
            .map(|axis| {
                f64::from(behavior.pupil_center[[trial, axis]]) - behavior.pupil_center_mean[axis]
            })
            .collect();
        let expected =
            behavior.gaze_matrix[1][0] * center[0] + behavior.gaze_matrix[1][1] * center[1];
        assert!((f64::from(behavior.shift(trial)[1]) - expected).abs() < 1e-5);
        let still = Behavior::draw(50, 0.0, &mut ChaCha8Rng::seed_from_u64(6));
        assert!((0..50).all(|trial| still.shift(trial) == [0.0, 0.0]));
    }

    #[test]
    fn the_factor_is_one_at_mean_behavior_and_bounded() {
        let mut behavior = Behavior::draw(100, 3.0, &mut ChaCha8Rng::seed_from_u64(7));
        assert_eq!(behavior.factor(4, &[0.0; 3]), 1.0);
        assert!((behavior.factor(4, &[100.0; 3]).ln().abs() - 1.5).abs() < 1e-6);
        for column in 0..3 {
            behavior.values[[0, column]] = behavior.mean[column] as f32;
            behavior.values[[1, column]] = (behavior.mean[column] + behavior.std[column]) as f32;
        }
        assert!((behavior.factor(0, &[0.3, -0.2, 0.1]) - 1.0).abs() < 1e-5);
        assert!((behavior.factor(1, &[0.3, -0.2, 0.1]) - 0.2_f32.exp()).abs() < 1e-5);
    }
}
