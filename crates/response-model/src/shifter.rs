//! The shifter: how far the receptive fields move with the pupil.

use candle_core::{Result, Tensor, Var};
use rand_chacha::ChaCha8Rng;

use crate::parameters::{Parameters, Role};

/// Largest shift, in half image widths and heights: well beyond what a gaze within the recorded range causes, and small
/// enough that a step of the optimiser moves the fields by a fraction of a pixel.
const REACH: f64 = 0.3;

/// Perceptron with one hidden layer from the z-scored pupil centre to (x, y) shifts, tanh at both layers, zero on
/// average over the training trials (Walker et al. 2019; Sinz et al. 2018).
#[derive(Debug)]
pub(crate) struct Shifter {
    hidden: Var,
    hidden_bias: Var,
    output: Var,
    /// Mean of the uncentered shift over the training trials.
    center: Var,
}

impl Shifter {
    /// Registers the shifter of one scan under `prefix`.
    pub(crate) fn new(prefix: &str, hidden: usize, parameters: &mut Parameters, rng: &mut ChaCha8Rng) -> Result<Self> {
        let name = |what: &str| format!("{prefix}.shifter.{what}");
        Ok(Self {
            hidden: parameters.normal(&name("hidden"), &[2, hidden], 0.5, rng)?,
            hidden_bias: parameters.normal(&name("hidden_bias"), &[hidden], 0.1, rng)?,
            output: parameters.normal(&name("output"), &[hidden, 2], 0.01, rng)?,
            center: parameters.add(&name("center"), Role::Buffer, vec![0.0; 2], &[2])?,
        })
    }

    fn uncentered(&self, pupil: &Tensor) -> Result<Tensor> {
        let hidden = pupil.matmul(&self.hidden)?.broadcast_add(&self.hidden_bias)?.tanh()?;
        hidden.matmul(&self.output)?.tanh()? * REACH
    }

    /// Shifts `[batch, 2]` for pupil centres `[batch, 2]`, centred over `all`, the pupil centres of the training trials:
    /// the centre is part of the graph.
    pub(crate) fn train(&self, pupil: &Tensor, all: &Tensor) -> Result<Tensor> {
        self.uncentered(pupil)?.broadcast_sub(&self.uncentered(all)?.mean_keepdim(0)?)
    }

    /// Remembers the mean over `all`, the pupil centres of the training trials, for [`Shifter::eval`].
    pub(crate) fn recenter(&self, all: &Tensor) -> Result<()> {
        self.center.set(&self.uncentered(all)?.mean(0)?.detach())
    }

    /// Shifts `[batch, 2]` in half image widths and heights.
    pub(crate) fn eval(&self, pupil: &Tensor) -> Result<Tensor> {
        self.uncentered(pupil)?.broadcast_sub(&self.center)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;
    use rand::SeedableRng;

    #[test]
    fn shifts_average_to_zero_over_the_training_trials() {
        let mut parameters = Parameters::on(&Device::Cpu);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let shifter = Shifter::new("scan0", 5, &mut parameters, &mut rng).unwrap();
        shifter.output.set(&(shifter.output.as_tensor().detach() * 40.0).unwrap()).unwrap();
        let pupil: Vec<f32> = (0..60).map(|i| ((i * 7919) % 31) as f32 / 8.0 - 1.2).collect();
        let pupil = Tensor::from_vec(pupil, (30, 2), &Device::Cpu).unwrap();
        shifter.recenter(&pupil).unwrap();
        let shifts = shifter.eval(&pupil).unwrap();
        let spread: f32 = shifts.abs().unwrap().mean_all().unwrap().to_scalar().unwrap();
        assert!(spread > 0.01, "{spread}");
        for mean in shifts.mean(0).unwrap().to_vec1::<f32>().unwrap() {
            assert!(mean.abs() < 1e-6, "{mean}");
        }
        let trained: Vec<Vec<f32>> = shifter.train(&pupil, &pupil).unwrap().to_vec2().unwrap();
        for (a, b) in trained.iter().flatten().zip(shifts.to_vec2::<f32>().unwrap().iter().flatten()) {
            assert!((a - b).abs() < 1e-6);
        }
    }
}
