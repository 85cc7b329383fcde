//! The fast adaptive boundary attack (FAB).

use super::decision_boundary::{DecisionBoundary, candidate_classes, nearest, pairs};
use super::plane::{Room, step_onto};
use crate::{Attack, AttackKind, Batch, Criterion, Norm, Result};

/// Projects both the current point and the image onto the nearest linearized decision boundary and
/// combines the two (Croce and Hein 2020). The defaults are those of AutoAttack: 100 iterations,
/// overshoot 1.05, at most 0.1 of the way from the image, and 0.9 of the way back after a success.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fab {
    norm: Norm,
    steps: usize,
}

/// FAB towards each of the most likely other classes in turn (AutoAttack's FAB-T): 9 classes, 100
/// iterations each. It needs one gradient per iteration, whereas [`Fab`] needs one for each class.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FabTargeted {
    norm: Norm,
    steps: usize,
    classes: usize,
}

const OVERSHOOT: f64 = 1.05;
const MOST_FROM_THE_IMAGE: f64 = 0.1;
const BACK: f64 = 0.9;
const FLOOR: f64 = 1e-12;

impl Fab {
    /// Uses AutoAttack's defaults in this norm.
    pub fn new(norm: Norm) -> Self {
        Self { norm, steps: 100 }
    }

    /// Sets the number of iterations.
    pub fn with_steps(self, steps: usize) -> Self {
        Self { steps, ..self }
    }
}

impl FabTargeted {
    /// Uses AutoAttack's defaults in this norm.
    pub fn new(norm: Norm) -> Self {
        Self { norm, steps: 100, classes: 9 }
    }

    /// Sets the number of iterations per class.
    pub fn with_steps(self, steps: usize) -> Self {
        Self { steps, ..self }
    }
}

impl Attack for Fab {
    fn name(&self) -> String {
        "fab".into()
    }

    fn norm(&self) -> Norm {
        self.norm
    }

    fn kind(&self) -> AttackKind {
        AttackKind::Minimization
    }

    fn run(&self, batch: &mut Batch) -> Result<()> {
        let images = batch.all();
        let classes = likely(batch, &images)?;
        walk(batch, self.norm, self.steps, &images, &classes)
    }
}

impl Attack for FabTargeted {
    fn name(&self) -> String {
        "fab-t".into()
    }

    fn norm(&self) -> Norm {
        self.norm
    }

    fn kind(&self) -> AttackKind {
        AttackKind::Minimization
    }

    fn run(&self, batch: &mut Batch) -> Result<()> {
        let all = batch.all();
        let classes = likely(batch, &all)?;
        for rank in 0..self.classes {
            let possible = |image: &usize| match batch.criterion(*image) {
                Criterion::Misclassification { .. } => rank < classes[*image].len(),
                Criterion::TargetedMisclassification { .. } => rank == 0,
            };
            let images: Vec<usize> = all.iter().copied().filter(possible).collect();
            let one: Vec<Vec<usize>> = classes
                .iter()
                .map(|classes| classes.iter().skip(rank).take(1).copied().collect())
                .collect();
            walk(batch, self.norm, self.steps, &images, &one)?;
        }
        Ok(())
    }
}

/// The other classes for each image, most likely first.
fn likely(batch: &mut Batch, images: &[usize]) -> Result<Vec<Vec<usize>>> {
    let rows = batch.query(images, &batch.originals(images))?;
    Ok(images
        .iter()
        .zip(&rows)
        .map(|(image, row)| candidate_classes(batch.criterion(*image), row, row.len()))
        .collect())
}

struct Walker {
    image: usize,
    point: Vec<f32>,
}

fn walk(
    batch: &mut Batch,
    norm: Norm,
    steps: usize,
    images: &[usize],
    classes: &[Vec<usize>],
) -> Result<()> {
    let mut walkers: Vec<Walker> = images
        .iter()
        .map(|image| Walker { image: *image, point: batch.original(*image).to_vec() })
        .collect();
    for _ in 0..steps {
        walkers.retain(|walker| !batch.satisfied(walker.image));
        if walkers.is_empty() {
            break;
        }
        let images: Vec<usize> = walkers.iter().map(|walker| walker.image).collect();
        let points: Vec<f32> = walkers.iter().flat_map(|walker| &walker.point).copied().collect();
        let pass = batch.pass(&images, &points)?;
        let boundaries: Vec<_> = images
            .iter()
            .enumerate()
            .map(|(row, image)| pairs(batch.criterion(*image), pass.logits(row), &classes[*image]))
            .collect();
        let nearest = nearest(batch, &pass, &images, &boundaries, norm, FLOOR)?;
        for (walker, boundary) in walkers.iter_mut().zip(nearest) {
            if let Some(boundary) = boundary {
                walker.advance(norm, batch.original(walker.image), &boundary);
            }
        }
        let points: Vec<f32> = walkers.iter().flat_map(|walker| &walker.point).copied().collect();
        for (walker, adversarial) in
            walkers.iter_mut().zip(batch.are_adversarial(&images, &points)?)
        {
            if adversarial {
                batch.keep_if_closer(walker.image, &walker.point);
                for (value, original) in walker.point.iter_mut().zip(batch.original(walker.image)) {
                    let (from, to) = (f64::from(*original), f64::from(*value));
                    *value = (from + BACK * (to - from)) as f32;
                }
            }
        }
    }
    Ok(())
}

impl Walker {
    fn advance(&mut self, norm: Norm, original: &[f32], boundary: &DecisionBoundary) {
        let apart: f64 = boundary
            .gradient
            .iter()
            .zip(self.point.iter().zip(original))
            .map(|(slope, (point, original))| {
                f64::from(*slope) * (f64::from(*point) - f64::from(*original))
            })
            .sum();
        let (from_here, _) =
            step_onto(norm, &boundary.gradient, -boundary.lead, &Room::unit(&self.point));
        let (from_home, _) =
            step_onto(norm, &boundary.gradient, apart - boundary.lead, &Room::unit(original));
        let (here, home) = (norm.size(&from_here).max(1e-8), norm.size(&from_home).max(1e-8));
        let share = (here / (here + home)).min(MOST_FROM_THE_IMAGE);
        for (index, value) in self.point.iter_mut().enumerate() {
            let near = f64::from(*value) + OVERSHOOT * from_here[index];
            let far = f64::from(original[index]) + OVERSHOOT * from_home[index];
            *value = (((1.0 - share) * near + share * far) as f32).clamp(0.0, 1.0);
        }
    }
}
