//! Two models of one scan in one prediction.

use brainprior_recording::Scan;
use ndarray::{Array2, ArrayView1};

/// Shares by which deviations from each model's mean prediction are added, the same for all neurons of a scan: those of least
/// squared error on trials that neither model was fitted to, in units of each neuron's deviation there. A model that knows nothing
/// has share 0, and both together are shrunk by as much as they are too sure.
#[derive(Debug, Clone, PartialEq)]
pub struct Mixture {
    convolutional: f64,
    linear: f64,
    /// For each neuron, mean prediction of both models over the trials, and the mean response.
    levels: Vec<[f32; 3]>,
}

impl Mixture {
    /// From both models' predictions `[trials, neurons]` of `trials` of `scan`, which neither was fitted to.
    pub fn of(scan: &Scan, trials: &[usize], convolutional: &Array2<f32>, linear: &Array2<f32>) -> Self {
        let neurons = scan.responses().ncols();
        let (mut levels, mut sums) = (Vec::with_capacity(neurons), [0.0f64; 5]);
        for n in 0..neurons {
            let rows: Vec<[f64; 3]> = trials
                .iter()
                .enumerate()
                .map(|(row, trial)| [convolutional[(row, n)], linear[(row, n)], scan.responses()[(*trial, n)]].map(f64::from))
                .collect();
            let mean = |k: usize| rows.iter().map(|row| row[k]).sum::<f64>() / rows.len() as f64;
            let means = [mean(0), mean(1), mean(2)];
            levels.push(means.map(|mean| mean as f32));
            let product = |a: usize, b: usize| -> f64 { rows.iter().map(|row| (row[a] - means[a]) * (row[b] - means[b])).sum() };
            let variance = product(2, 2);
            if variance > 0.0 {
                for (sum, (a, b)) in sums.iter_mut().zip([(0, 0), (1, 1), (0, 1), (0, 2), (1, 2)]) {
                    *sum += product(a, b) / variance;
                }
            }
        }
        let [convolutional, linear] = not_negative(sums);
        Self { convolutional, linear, levels }
    }

    /// Share of the convolutional model.
    pub fn convolutional(&self) -> f64 {
        self.convolutional
    }

    /// Share of the linear readouts.
    pub fn linear(&self) -> f64 {
        self.linear
    }

    /// Both models' predictions `[rows, neurons]` of the same rows in one.
    pub fn mix(&self, convolutional: &Array2<f32>, linear: &Array2<f32>) -> Array2<f32> {
        let level = |k: usize| self.levels.iter().map(|levels| levels[k]).collect::<Vec<f32>>();
        let (first, second, response) = (level(0), level(1), level(2));
        (convolutional - &ArrayView1::from(&first)) * self.convolutional as f32
            + (linear - &ArrayView1::from(&second)) * self.linear as f32
            + ArrayView1::from(&response)
    }
}

/// The shares of least squared error that are not negative, from sums of products.
fn not_negative([aa, bb, ab, ar, br]: [f64; 5]) -> [f64; 2] {
    let alone = |square: f64, product: f64| if square > 0.0 { (product / square).max(0.0) } else { 0.0 };
    let determinant = aa * bb - ab * ab;
    let both = [(ar * bb - br * ab) / determinant, (br * aa - ar * ab) / determinant];
    if determinant > 1e-9 * aa * bb && both[0] >= 0.0 && both[1] >= 0.0 {
        return both;
    }
    let (a, b) = (alone(aa, ar), alone(bb, br));
    // The error falls by square times share squared.
    if aa * a * a >= bb * b * b { [a, 0.0] } else { [0.0, b] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_those_of_least_error() {
        // Two orthogonal models: each as it would be alone.
        assert_eq!(not_negative([4.0, 2.0, 0.0, 2.0, 3.0]), [0.5, 1.5]);
        // One that speaks against the responses is left out, and so is a copy.
        assert_eq!(not_negative([4.0, 2.0, 0.0, 2.0, -3.0]), [0.5, 0.0]);
        assert_eq!(not_negative([4.0, 4.0, 4.0, 2.0, 2.0]), [0.5, 0.0]);
        assert_eq!(not_negative([0.0, 0.0, 0.0, 0.0, 0.0]), [0.0, 0.0]);
        let [a, b] = not_negative([4.0, 2.0, 1.0, 2.0, 3.0]);
        let error = |a: f64, b: f64| 4.0 * a * a + 2.0 * b * b + 2.0 * a * b - 4.0 * a - 6.0 * b;
        for (da, db) in [(0.01, 0.0), (-0.01, 0.0), (0.0, 0.01), (0.0, -0.01)] {
            assert!(a + da < 0.0 || error(a, b) <= error(a + da, b + db));
        }
    }
}
