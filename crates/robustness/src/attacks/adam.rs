//! The Adam optimizer (Kingma and Ba 2015), used by several attacks.

const FIRST: f64 = 0.9;
const SECOND: f64 = 0.999;
const FLOOR: f64 = 1e-8;

/// Running means of the gradients of one image.
pub(super) struct Adam {
    mean: Vec<f64>,
    square: Vec<f64>,
    steps: i32,
}

impl Adam {
    /// Initial state for this many values.
    pub(super) fn new(values: usize) -> Self {
        Self { mean: vec![0.0; values], square: vec![0.0; values], steps: 0 }
    }

    /// Adds one gradient. Returns, for each value, the descent step at learning rate 1 and the
    /// divisor of its gradient, which is the metric in which the step is steepest.
    pub(super) fn step(&mut self, gradient: impl Iterator<Item = f64>) -> Vec<(f64, f64)> {
        self.steps += 1;
        let (first, second) = (1.0 - FIRST.powi(self.steps), 1.0 - SECOND.powi(self.steps));
        gradient
            .zip(self.mean.iter_mut().zip(&mut self.square))
            .map(|(gradient, (mean, square))| {
                *mean = FIRST * *mean + (1.0 - FIRST) * gradient;
                *square = SECOND * *square + (1.0 - SECOND) * gradient * gradient;
                let scale = (*square / second).sqrt() + FLOOR;
                (-*mean / first / scale, scale)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With constant gradients, the running mean equals the gradient after any number of steps.
    #[test]
    fn equal_gradients_make_steps_of_length_one_against_them() {
        let mut adam = Adam::new(2);
        for _ in 0..5 {
            for ((step, scale), gradient) in
                adam.step([0.5, -3.0].into_iter()).into_iter().zip([0.5f64, -3.0])
            {
                assert!(
                    (step + gradient.signum()).abs() < 1e-6
                        && (scale - gradient.abs()).abs() < 1e-6
                );
            }
        }
    }

    #[test]
    fn means_are_weighted_sums_over_all_steps() {
        let gradients = [1.0, -2.0, 0.5f64];
        let mut adam = Adam::new(1);
        let last = gradients.map(|gradient| adam.step(std::iter::once(gradient))[0])[2];
        let weighted = |decay: f64, power: i32| {
            let weights: Vec<f64> = (0..3).map(|step| decay.powi(2 - step)).collect();
            let sum: f64 = gradients
                .iter()
                .zip(&weights)
                .map(|(gradient, weight)| gradient.powi(power) * weight)
                .sum();
            sum / weights.iter().sum::<f64>()
        };
        assert!((last.0 + weighted(0.9, 1) / (weighted(0.999, 2).sqrt() + 1e-8)).abs() < 1e-12);
    }
}
