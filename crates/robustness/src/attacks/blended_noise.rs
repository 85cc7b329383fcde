//! Blends with noise: starting points for attacks along the decision boundary.

use crate::{Attack, AttackKind, Batch, Norm, Result};
use rand::Rng;

/// Blends the image with uniform noise until it is adversarial. The defaults are those of Foolbox
/// 3.3 (`LinearSearchBlendedUniformNoiseAttack`): up to 1,000 draws of noise until one is
/// adversarial, then 1,000 steps from the image towards it. If no noise image is adversarial, plain
/// gray images and the inverted image are tried.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BlendedNoise {
    norm: Norm,
    steps: usize,
}

const DRAWS: usize = 1000;
/// Draws per call to the model.
const AT_ONCE: usize = 20;
/// Blending steps if the result only starts another attack, as in Foolbox.
const STEPS_FOR_A_START: usize = 50;

impl BlendedNoise {
    /// Uses Foolbox's defaults; the norm is only used to measure.
    pub fn new(norm: Norm) -> Self {
        Self { norm, steps: 1000 }
    }
}

impl Attack for BlendedNoise {
    fn name(&self) -> String {
        "blended-noise".into()
    }

    fn norm(&self) -> Norm {
        self.norm
    }

    fn kind(&self) -> AttackKind {
        AttackKind::Minimization
    }

    fn run(&self, batch: &mut Batch) -> Result<()> {
        for image in batch.all() {
            if let Some(point) = search(batch, image, self.steps)? {
                batch.keep_if_closer(image, &point);
            }
        }
        Ok(())
    }
}

/// Starting point of an attack along the decision boundary: the known adversarial point, otherwise
/// a blend with noise; `None` if nothing tried is adversarial.
pub(super) fn start(batch: &mut Batch, image: usize) -> Result<Option<Vec<f32>>> {
    match batch.start(image) {
        Some(known) => Ok(Some(known.to_vec())),
        None => search(batch, image, STEPS_FOR_A_START),
    }
}

fn search(batch: &mut Batch, image: usize, steps: usize) -> Result<Option<Vec<f32>>> {
    let Some(far) = adversarial_noise(batch, image)? else { return Ok(None) };
    let original = batch.original(image);
    let blend = |step: usize| {
        let share = step as f64 / steps as f64;
        let mixed = original
            .iter()
            .zip(&far)
            .map(|(a, b)| (1.0 - share) * f64::from(*a) + share * f64::from(*b));
        mixed.map(|value| (value as f32).clamp(0.0, 1.0)).collect::<Vec<f32>>()
    };
    for first in (1..=steps).step_by(AT_ONCE) {
        let some: Vec<Vec<f32>> = (first..=steps.min(first + AT_ONCE - 1)).map(blend).collect();
        let adversarial = batch.are_adversarial(&vec![image; some.len()], &some.concat())?;
        if let Some(index) = adversarial.iter().position(|adversarial| *adversarial) {
            return Ok(Some(some[index].clone()));
        }
    }
    Ok(Some(far))
}

fn adversarial_noise(batch: &mut Batch, image: usize) -> Result<Option<Vec<f32>>> {
    let area = batch.area();
    let original = batch.original(image);
    let mut generator = batch.generator(image, 0);
    let mut plain: Vec<Vec<f32>> = [0.5, 0.0, 1.0].iter().map(|gray| vec![*gray; area]).collect();
    plain.push(original.iter().map(|value| 1.0 - value).collect());
    let mut left = DRAWS;
    loop {
        let some: Vec<Vec<f32>> = match left {
            0 => std::mem::take(&mut plain),
            // Usually the first draw suffices.
            DRAWS => vec![(0..area).map(|_| generator.random()).collect()],
            _ => (0..left.min(AT_ONCE))
                .map(|_| (0..area).map(|_| generator.random()).collect())
                .collect(),
        };
        if some.is_empty() {
            return Ok(None);
        }
        let adversarial = batch.are_adversarial(&vec![image; some.len()], &some.concat())?;
        if let Some(index) = adversarial.iter().position(|adversarial| *adversarial) {
            return Ok(Some(some[index].clone()));
        }
        left -= some.len().min(left);
    }
}
