//! Auto-PGD.

use super::decision_boundary::candidate_classes;
use crate::{Attack, AttackKind, Batch, Criterion, Loss, Norm, Result};

/// Gradient ascent with momentum that halves its step length and returns to its best point when
/// progress stalls (Croce and Hein 2020). The defaults are those of AutoAttack: 100 iterations, one
/// random start, rho 0.75.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Apgd {
    norm: Norm,
    loss: Loss,
    steps: usize,
    restarts: usize,
}

/// Auto-PGD towards each of the most likely other classes in turn (AutoAttack's APGD-T): targeted
/// DLR loss, 9 classes, 100 iterations each.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ApgdTargeted {
    norm: Norm,
    steps: usize,
    classes: usize,
}

/// The step length is kept if at least this fraction of the steps improves the loss.
const RHO: f64 = 0.75;
/// Weight of the new step against momentum.
const FRESH: f64 = 0.75;

impl Apgd {
    /// Uses AutoAttack's defaults with cross-entropy in this norm.
    pub fn new(norm: Norm) -> Self {
        Self { norm, loss: Loss::CrossEntropy, steps: 100, restarts: 1 }
    }

    /// Replaces cross-entropy by another loss.
    pub fn with_loss(self, loss: Loss) -> Self {
        Self { loss, ..self }
    }

    /// Sets the number of iterations.
    pub fn with_steps(self, steps: usize) -> Self {
        Self { steps, ..self }
    }

    /// Sets the number of random starts (at least 1).
    pub fn with_restarts(self, restarts: usize) -> Self {
        Self { restarts: restarts.max(1), ..self }
    }
}

impl ApgdTargeted {
    /// Uses AutoAttack's defaults in this norm.
    pub fn new(norm: Norm) -> Self {
        Self { norm, steps: 100, classes: 9 }
    }

    /// Sets the number of iterations per class.
    pub fn with_steps(self, steps: usize) -> Self {
        Self { steps, ..self }
    }
}

impl Attack for Apgd {
    fn name(&self) -> String {
        match self.loss {
            Loss::CrossEntropy => "apgd-ce".into(),
            Loss::Margin => "apgd-margin".into(),
            Loss::Dlr | Loss::TargetedDlr { .. } => "apgd-dlr".into(),
        }
    }

    fn norm(&self) -> Norm {
        self.norm
    }

    fn kind(&self) -> AttackKind {
        AttackKind::FixedEpsilon
    }

    fn run(&self, batch: &mut Batch) -> Result<()> {
        let mut standing = batch.all();
        for attempt in 0..self.restarts {
            let starts = random_starts(batch, self.norm, &standing, attempt as u64);
            standing = ascend(batch, self.norm, &standing, starts, self.steps, |_| self.loss)?;
        }
        Ok(())
    }
}

impl Attack for ApgdTargeted {
    fn name(&self) -> String {
        "apgd-t".into()
    }

    fn norm(&self) -> Norm {
        self.norm
    }

    fn kind(&self) -> AttackKind {
        AttackKind::FixedEpsilon
    }

    fn run(&self, batch: &mut Batch) -> Result<()> {
        let mut standing = batch.all();
        let rows = batch.query(&standing, &batch.originals(&standing))?;
        let classes: Vec<Vec<usize>> = standing
            .iter()
            .zip(&rows)
            .map(|(image, row)| candidate_classes(batch.criterion(*image), row, row.len()))
            .collect();
        for rank in 0..self.classes {
            let (with, without): (Vec<usize>, Vec<usize>) =
                standing.iter().partition(|image| match batch.criterion(**image) {
                    Criterion::Misclassification { .. } => rank < classes[**image].len(),
                    // A targeted attack has only one class.
                    Criterion::TargetedMisclassification { .. } => rank == 0,
                });
            let criteria: Vec<Criterion> =
                batch.all().into_iter().map(|image| batch.criterion(image)).collect();
            let loss = |image: usize| match criteria[image] {
                Criterion::Misclassification { .. } => {
                    Loss::TargetedDlr { class: classes[image][rank] }
                }
                Criterion::TargetedMisclassification { .. } => Loss::Dlr,
            };
            let starts = random_starts(batch, self.norm, &with, rank as u64);
            standing = ascend(batch, self.norm, &with, starts, self.steps, loss)?;
            standing.extend(without);
            standing.sort_unstable();
        }
        Ok(())
    }
}

struct Climber {
    image: usize,
    point: Vec<f32>,
    previous: Vec<f32>,
    gradient: Vec<f32>,
    step: f64,
    best: Vec<f32>,
    best_gradient: Vec<f32>,
    best_loss: f64,
    /// The best loss at the last check, and whether the step was halved then.
    checked_loss: f64,
    halved: bool,
    /// Number of steps since the last check that improved on the previous step.
    gains: usize,
    last_loss: f64,
}

/// Runs Auto-PGD on all `images`, each from its point in `starts`, and returns the images that
/// withstand it. The candidates are adversarial points; for images that withstand, the points of
/// largest loss.
pub(super) fn ascend(
    batch: &mut Batch,
    norm: Norm,
    images: &[usize],
    starts: Vec<Vec<f32>>,
    steps: usize,
    loss: impl Fn(usize) -> Loss,
) -> Result<Vec<usize>> {
    if images.is_empty() {
        return Ok(Vec::new());
    }
    let of = |share: f64| ((share * steps as f64) as usize).max(1);
    let (mut period, shortest, shorter) = (of(0.22), of(0.06), of(0.03));
    let mut climbers = begin(batch, images, starts, &loss)?;
    let mut since = 0;
    for step in 0..steps {
        if climbers.is_empty() {
            break;
        }
        for climber in &mut climbers {
            let next = climber.advance(batch, norm, if step > 0 { FRESH } else { 1.0 });
            climber.previous = std::mem::replace(&mut climber.point, next);
        }
        let images: Vec<usize> = climbers.iter().map(|climber| climber.image).collect();
        let points: Vec<f32> =
            climbers.iter().flat_map(|climber| &climber.point).copied().collect();
        let gradients = batch.gradients_by(&images, &points, &loss)?;
        since += 1;
        let check = since == period;
        let mut row = 0;
        climbers.retain_mut(|climber| {
            row += 1;
            batch.set_candidate(climber.image, &climber.point);
            if batch.criterion(climber.image).is_clearly_met(gradients.logits(row - 1)) {
                return false;
            }
            climber.look(gradients.loss(row - 1), gradients.of(row - 1));
            if check {
                climber.check(period);
            }
            true
        });
        if check {
            since = 0;
            period = period.saturating_sub(shorter).max(shortest);
        }
    }
    for climber in &climbers {
        batch.set_candidate(climber.image, &climber.best);
    }
    Ok(climbers.into_iter().map(|climber| climber.image).collect())
}

/// A random point in the ball of each image.
fn random_starts(batch: &Batch, norm: Norm, images: &[usize], attempt: u64) -> Vec<Vec<f32>> {
    images
        .iter()
        .map(|image| {
            let original = batch.original(*image);
            let mut generator = batch.generator(*image, attempt);
            let mut step = match norm {
                Norm::Linf => norm.random_step(original.len(), &mut generator),
                _ => norm.random_direction(original.len(), &mut generator),
            };
            if norm == Norm::Linf {
                let largest =
                    step.iter().fold(f64::MIN_POSITIVE, |max, value| max.max(value.abs()));
                step.iter_mut().for_each(|value| *value /= largest);
            }
            batch.moved(*image, original, &step, batch.epsilon(*image))
        })
        .collect()
}

fn begin(
    batch: &mut Batch,
    images: &[usize],
    starts: Vec<Vec<f32>>,
    loss: &impl Fn(usize) -> Loss,
) -> Result<Vec<Climber>> {
    let gradients = batch.gradients_by(images, &starts.concat(), loss)?;
    let mut climbers = Vec::with_capacity(images.len());
    for (row, (image, point)) in images.iter().zip(starts).enumerate() {
        batch.set_candidate(*image, &point);
        if batch.criterion(*image).is_clearly_met(gradients.logits(row)) {
            continue;
        }
        let (gradient, loss) = (gradients.of(row).to_vec(), gradients.loss(row));
        climbers.push(Climber {
            image: *image,
            previous: point.clone(),
            best: point.clone(),
            point,
            best_gradient: gradient.clone(),
            gradient,
            step: 2.0 * batch.epsilon(*image),
            best_loss: loss,
            checked_loss: loss,
            halved: true,
            gains: 0,
            last_loss: loss,
        });
    }
    Ok(climbers)
}

impl Climber {
    fn advance(&self, batch: &Batch, norm: Norm, fresh: f64) -> Vec<f32> {
        let stepped =
            batch.moved(self.image, &self.point, &norm.steepest(&self.gradient), self.step);
        let direction: Vec<f64> = (0..stepped.len())
            .map(|index| {
                let [here, next, before] =
                    [self.point[index], stepped[index], self.previous[index]].map(f64::from);
                fresh * (next - here) + (1.0 - fresh) * (here - before)
            })
            .collect();
        batch.moved(self.image, &self.point, &direction, 1.0)
    }

    fn look(&mut self, loss: f64, gradient: &[f32]) {
        self.gradient = gradient.to_vec();
        self.gains += usize::from(loss > self.last_loss);
        self.last_loss = loss;
        if loss > self.best_loss {
            self.best_loss = loss;
            self.best.clone_from(&self.point);
            self.best_gradient.clone_from(&self.gradient);
        }
    }

    fn check(&mut self, period: usize) {
        let oscillates = self.gains as f64 <= RHO * period as f64;
        let stands_still = !self.halved && self.checked_loss >= self.best_loss;
        self.halved = oscillates || stands_still;
        self.checked_loss = self.best_loss;
        self.gains = 0;
        if self.halved {
            self.step /= 2.0;
            self.point.clone_from(&self.best);
            self.gradient.clone_from(&self.best_gradient);
        }
    }
}
