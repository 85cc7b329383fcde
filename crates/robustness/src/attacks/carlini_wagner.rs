//! The Carlini-Wagner attack.

use super::adam::Adam;
use crate::criterion::strongest_but;
use crate::{Attack, AttackKind, Batch, Norm, Result};

/// Minimizes |x - image|^2 + c max(0, -margin) with x = (tanh w + 1) / 2, which stays in [0, 1] for
/// any w, and searches for the smallest c that misleads the model (Carlini and Wagner 2017); L2.
///
/// The defaults are those of Foolbox 3.3 (`L2CarliniWagnerAttack`): 9 values of c, starting at
/// 0.001, multiplied by 10 until one succeeds and then bisected; for each, up to 10,000 Adam steps
/// of length 0.01, confidence 0, ended early if a tenth of the steps improves the loss by less than
/// 0.01%. Foolbox decides this for the whole batch, this attack for each image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CarliniWagner {
    searches: usize,
    steps: usize,
    step: f64,
    first: f64,
}

/// Keeps w finite at the edges of [0, 1].
const INSIDE: f64 = 0.999_999;
const PROGRESS: f64 = 0.9999;

impl Default for CarliniWagner {
    fn default() -> Self {
        Self { searches: 9, steps: 10_000, step: 0.01, first: 1e-3 }
    }
}

impl CarliniWagner {
    /// Sets the number of steps for each value of c.
    pub fn with_steps(self, steps: usize) -> Self {
        Self { steps, ..self }
    }

    /// Sets the Adam step length (in w): shorter steps find smaller perturbations but need more
    /// steps.
    pub fn with_step(self, step: f64) -> Self {
        Self { step, ..self }
    }

    /// Sets the number of values of c.
    pub fn with_searches(self, searches: usize) -> Self {
        Self { searches, ..self }
    }
}

/// The bisection of c.
struct Constant {
    value: f64,
    low: f64,
    high: f64,
}

struct Walker {
    image: usize,
    w: Vec<f64>,
    adam: Adam,
    /// The image after the round trip through w, from which distances are measured.
    home: Vec<f64>,
    found: bool,
    checked: f64,
}

impl Attack for CarliniWagner {
    fn name(&self) -> String {
        "carlini-wagner".into()
    }

    fn norm(&self) -> Norm {
        Norm::L2
    }

    fn kind(&self) -> AttackKind {
        AttackKind::Minimization
    }

    fn run(&self, batch: &mut Batch) -> Result<()> {
        let mut constants: Vec<Constant> = batch
            .all()
            .iter()
            .map(|_| Constant { value: self.first, low: 0.0, high: f64::INFINITY })
            .collect();
        for _ in 0..self.searches {
            let found = self.minimize(batch, &constants)?;
            for (constant, found) in constants.iter_mut().zip(found) {
                *(if found { &mut constant.high } else { &mut constant.low }) = constant.value;
                constant.value = match constant.high.is_finite() {
                    true => 0.5 * (constant.low + constant.high),
                    false => 10.0 * constant.value,
                };
            }
        }
        Ok(())
    }
}

impl CarliniWagner {
    /// Optimizes every image with its own c and returns whether each was misled on the way.
    fn minimize(&self, batch: &mut Batch, constants: &[Constant]) -> Result<Vec<bool>> {
        let mut found = vec![false; batch.len()];
        let unsatisfied = batch.all().into_iter().filter(|image| !batch.satisfied(*image));
        let mut walkers: Vec<Walker> =
            unsatisfied.map(|image| Walker::new(image, batch.original(image))).collect();
        let check_every = self.steps.div_ceil(10).max(1);
        for step in 0..self.steps {
            if walkers.is_empty() {
                break;
            }
            let images: Vec<usize> = walkers.iter().map(|walker| walker.image).collect();
            let points: Vec<Vec<f32>> = walkers.iter().map(Walker::point).collect();
            let pass = batch.pass(&images, &points.concat())?;
            let margins: Vec<f64> = images
                .iter()
                .enumerate()
                .map(|(row, image)| batch.criterion(*image).margin(pass.logits(row)))
                .collect();
            let factors: Vec<Vec<f32>> = images
                .iter()
                .enumerate()
                .map(|(row, image)| {
                    let (criterion, logits) = (batch.criterion(*image), pass.logits(row));
                    let mut factors = vec![0.0; logits.len()];
                    if margins[row] < 0.0 {
                        // Descend on the negative margin.
                        factors[criterion.class()] = -criterion.sign() as f32;
                        factors[strongest_but(logits, criterion.class())] = criterion.sign() as f32;
                    }
                    factors
                })
                .collect();
            let gradients = batch.back(&pass, &images, &factors)?;
            let area = batch.area();
            let mut row = 0;
            walkers.retain_mut(|walker| {
                row += 1;
                let (gradient, point) =
                    (&gradients[(row - 1) * area..row * area], &points[row - 1]);
                let constant = constants[walker.image].value;
                if batch.criterion(walker.image).is_clearly_met(pass.logits(row - 1)) {
                    walker.found = true;
                    batch.keep_if_closer(walker.image, point);
                }
                let loss = constant * (-margins[row - 1]).max(0.0) + walker.squared(point);
                walker.descend(point, gradient, constant, self.step);
                let stuck = step % check_every == 0 && {
                    let stuck = loss > PROGRESS * walker.checked;
                    walker.checked = loss;
                    stuck
                };
                found[walker.image] |= walker.found;
                !stuck && !batch.satisfied(walker.image)
            });
        }
        Ok(found)
    }
}

impl Walker {
    fn new(image: usize, original: &[f32]) -> Self {
        let w: Vec<f64> = original
            .iter()
            .map(|value| ((2.0 * f64::from(*value) - 1.0) * INSIDE).atanh())
            .collect();
        let home = w.iter().map(|w| 0.5 * (w.tanh() + 1.0)).collect();
        Self { image, adam: Adam::new(w.len()), w, home, found: false, checked: f64::INFINITY }
    }

    fn point(&self) -> Vec<f32> {
        self.w.iter().map(|w| (0.5 * (w.tanh() + 1.0)) as f32).collect()
    }

    fn squared(&self, point: &[f32]) -> f64 {
        point.iter().zip(&self.home).map(|(value, home)| (f64::from(*value) - home).powi(2)).sum()
    }

    /// One Adam step.
    fn descend(&mut self, point: &[f32], gradient: &[f32], constant: f64, length: f64) {
        let slope = |((x, gradient), home): ((&f32, &f32), &f64)| {
            let x = f64::from(*x);
            // dx/dw = (1 - tanh^2 w) / 2 = 2 x (1 - x).
            (constant * f64::from(*gradient) + 2.0 * (x - home)) * 2.0 * x * (1.0 - x)
        };
        let steps = self.adam.step(point.iter().zip(gradient).zip(&self.home).map(slope));
        self.w.iter_mut().zip(steps).for_each(|(w, (step, _))| *w += length * step);
    }
}
