//! Mixtures of two models' predictions of one scan.

use brainprior_recording::Scan;
use ndarray::{Array2, ArrayView1};

/// Weights of the linear readouts to try.
const PARTS: [f64; 5] = [0.0, 0.25, 0.5, 0.75, 1.0];

/// Weights with which deviations from each model's mean prediction are added; the same for all
/// neurons of a scan.
#[derive(Debug, Clone, PartialEq)]
pub struct Mixture {
    convolutional: f64,
    linear: f64,
    /// For each neuron, the mean prediction of both models over the trials, and the mean response.
    levels: Vec<[f32; 3]>,
}

impl Mixture {
    /// Candidate mixtures, from predictions `[trials, neurons]` of both models for `trials` of
    /// `scan` on which neither was fitted.
    ///
    /// The first has the non-negative weights with the smallest squared error, in units of each
    /// neuron's standard deviation over those trials: a model without information gets weight 0,
    /// and overconfident models are shrunk. The others go in steps of a quarter from one model
    /// alone to the other, each scaled for the smallest error, because the best predictor of single
    /// neurons need not be the best predictor of population geometry. If no model has information
    /// about the trials, the only candidate is one model as it is, with a warning.
    pub fn candidates(
        scan: &Scan,
        trials: &[usize],
        convolutional: &Array2<f32>,
        linear: &Array2<f32>,
    ) -> Vec<Self> {
        let neurons = scan.responses().ncols();
        let (mut levels, mut sums) = (Vec::with_capacity(neurons), [0.0f64; 5]);
        for n in 0..neurons {
            let rows: Vec<[f64; 3]> = trials
                .iter()
                .enumerate()
                .map(|(row, trial)| {
                    [convolutional[(row, n)], linear[(row, n)], scan.responses()[(*trial, n)]]
                        .map(f64::from)
                })
                .collect();
            let mean = |k: usize| rows.iter().map(|row| row[k]).sum::<f64>() / rows.len() as f64;
            let means = [mean(0), mean(1), mean(2)];
            levels.push(means.map(|mean| mean as f32));
            let product = |a: usize, b: usize| -> f64 {
                rows.iter().map(|row| (row[a] - means[a]) * (row[b] - means[b])).sum()
            };
            let variance = product(2, 2);
            if variance > 0.0 {
                for (sum, (a, b)) in sums.iter_mut().zip([(0, 0), (1, 1), (0, 1), (0, 2), (1, 2)]) {
                    *sum += product(a, b) / variance;
                }
            }
        }
        let mut shares = informed(sums);
        if shares.is_empty() {
            shares.push(as_it_is(sums));
            tracing::warn!(
                scan = scan.name(),
                "no model predicts held-out trials; predictions are used as they are: check that images and responses belong together, or record \
                 more trials"
            );
        }
        shares
            .into_iter()
            .map(|[convolutional, linear]| Self { convolutional, linear, levels: levels.clone() })
            .collect()
    }

    /// Weight of the convolutional model.
    pub fn convolutional(&self) -> f64 {
        self.convolutional
    }

    /// Weight of the linear readouts.
    pub fn linear(&self) -> f64 {
        self.linear
    }

    /// Mixes both models' predictions `[rows, neurons]` of the same rows.
    pub fn mix(&self, convolutional: &Array2<f32>, linear: &Array2<f32>) -> Array2<f32> {
        let level = |k: usize| self.levels.iter().map(|levels| levels[k]).collect::<Vec<f32>>();
        let (first, second, response) = (level(0), level(1), level(2));
        (convolutional - &ArrayView1::from(&first)) * self.convolutional as f32
            + (linear - &ArrayView1::from(&second)) * self.linear as f32
            + ArrayView1::from(&response)
    }
}

/// Weights of both models to try, from sums of products; none if no model has information.
fn informed(sums: [f64; 5]) -> Vec<[f64; 2]> {
    let parts = PARTS.into_iter().filter_map(|part| in_parts(sums, part));
    [not_negative(sums)].into_iter().chain(parts).filter(|[a, b]| a + b > 0.0).collect()
}

/// The convolutional model alone, or the linear one if the first predicts the same for every image.
fn as_it_is([aa, ..]: [f64; 5]) -> [f64; 2] {
    if aa > 0.0 { [1.0, 0.0] } else { [0.0, 1.0] }
}

/// The best factor for a single model.
fn alone(square: f64, product: f64) -> f64 {
    if square > 0.0 { (product / square).max(0.0) } else { 0.0 }
}

/// Weights in the ratio of both models' own best factors times `1 - part` and `part`, scaled for
/// the smallest squared error; `None` if a model in the mixture has no information.
fn in_parts([aa, bb, ab, ar, br]: [f64; 5], part: f64) -> Option<[f64; 2]> {
    let (a, b) = ((1.0 - part) * alone(aa, ar), part * alone(bb, br));
    let gain = alone(a * a * aa + 2.0 * a * b * ab + b * b * bb, a * ar + b * br);
    let knows = (part == 1.0 || a > 0.0) && (part == 0.0 || b > 0.0);
    (knows && gain > 0.0).then_some([gain * a, gain * b])
}

/// The non-negative weights with the smallest squared error, from sums of products.
fn not_negative([aa, bb, ab, ar, br]: [f64; 5]) -> [f64; 2] {
    let determinant = aa * bb - ab * ab;
    let both = [(ar * bb - br * ab) / determinant, (br * aa - ar * ab) / determinant];
    if determinant > 1e-9 * aa * bb && both[0] >= 0.0 && both[1] >= 0.0 {
        return both;
    }
    let (a, b) = (alone(aa, ar), alone(bb, br));
    // The error decreases by square times weight squared.
    if aa * a * a >= bb * b * b { [a, 0.0] } else { [0.0, b] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mixture_in_given_parts_has_the_least_error_of_its_multiples() {
        let sums = [4.0, 2.0, 1.0, 2.0, 3.0];
        assert_eq!(
            (in_parts(sums, 0.0), in_parts(sums, 1.0)),
            (Some([0.5, 0.0]), Some([0.0, 1.5])),
            "each model alone"
        );
        let [a, b] = in_parts(sums, 0.25).unwrap();
        assert!(
            (a / b - 0.75 * 0.5 / (0.25 * 1.5)).abs() < 1e-12,
            "the parts are as requested: {a} {b}"
        );
        let error = |gain: f64| {
            let (a, b) = (gain * a, gain * b);
            4.0 * a * a + 2.0 * b * b + 2.0 * a * b - 4.0 * a - 6.0 * b
        };
        assert!(error(1.0) < error(0.99) && error(1.0) < error(1.01));
        // The second model is anticorrelated with the responses: it is in no mixture, and the first
        // is used alone.
        let against = [4.0, 2.0, 0.0, 2.0, -3.0];
        assert_eq!(
            (in_parts(against, 0.0), in_parts(against, 0.5), in_parts(against, 1.0)),
            (Some([0.5, 0.0]), None, None)
        );
    }

    #[test]
    fn without_information_a_model_is_used_as_it_is() {
        let none = [4.0, 2.0, 1.0, -2.0, -3.0];
        assert_eq!((informed(none), as_it_is(none)), (vec![], [1.0, 0.0]));
        let none = [0.0, 2.0, 0.0, 0.0, -3.0];
        assert_eq!((informed(none), as_it_is(none)), (vec![], [0.0, 1.0]));
        let some = informed([4.0, 2.0, 0.0, 2.0, -3.0]);
        assert!(!some.is_empty() && some.iter().all(|shares| *shares == [0.5, 0.0]), "{some:?}");
    }

    #[test]
    fn shares_are_those_of_least_error() {
        // Two orthogonal models: each gets the weight it has alone.
        assert_eq!(not_negative([4.0, 2.0, 0.0, 2.0, 3.0]), [0.5, 1.5]);
        // A model that is anticorrelated with the responses is left out, and so is a copy.
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
