//! Auto-PGD with a search over epsilon.

use super::apgd::ascend;
use super::decision_boundary::candidate_classes;
use crate::{Attack, AttackKind, Batch, Criterion, Loss, Norm, Result};

/// Auto-PGD ([`crate::Apgd`]) in ever smaller balls: a search over epsilon for each image, in which
/// each run starts where the last one ended.
///
/// A run ends when it finds an adversarial point, and the next ball is smaller; a run that uses up
/// its share of the passes makes the next ball larger. The search starts from the result of an
/// earlier attack if there is one, otherwise from the image with the epsilon at which a linear
/// model would fail.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ApgdMinimal {
    norm: Norm,
    steps: usize,
    towards: Towards,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Towards {
    /// The same loss in all runs.
    Loss(Loss),
    /// Targeted DLR towards the most likely classes in turn, starting with the class that succeeded
    /// last.
    Classes,
}

/// Each run gets one in this many of all steps.
const SHARE: usize = 12;
const FEWEST: usize = 4;
/// Number of classes tried before a ball is given up.
const CLASSES: usize = 3;
/// How much smaller than a known point, or larger than the linear estimate, the first ball is.
const NARROWER: f64 = 0.05;
const WIDER: f64 = 1.5;
/// The search ends when the largest failed and the smallest successful ball differ by less than
/// this fraction.
const TOLERANCE: f64 = 1e-3;

impl ApgdMinimal {
    /// Uses 500 steps on cross-entropy in this norm.
    pub fn new(norm: Norm) -> Self {
        Self { norm, steps: 500, towards: Towards::Loss(Loss::CrossEntropy) }
    }

    /// Replaces cross-entropy by another loss.
    pub fn with_loss(self, loss: Loss) -> Self {
        Self { towards: Towards::Loss(loss), ..self }
    }

    /// Attacks single classes, with the targeted DLR loss.
    pub fn targeted(self) -> Self {
        Self { towards: Towards::Classes, ..self }
    }

    /// Sets the total number of steps, each one forward and one backward pass.
    pub fn with_steps(self, steps: usize) -> Self {
        Self { steps, ..self }
    }
}

/// The search for one image.
struct Hunt {
    image: usize,
    /// Starting point of the next run.
    warm: Vec<f32>,
    /// The largest ball given up, and the distance to the nearest adversarial point.
    low: f64,
    high: Option<f64>,
    epsilon: f64,
    narrower: f64,
    /// Classes in the order in which they are tried, and the current one.
    classes: Vec<usize>,
    rank: usize,
    /// Remaining passes.
    left: usize,
}

impl Attack for ApgdMinimal {
    fn name(&self) -> String {
        match self.towards {
            Towards::Classes => "apgd-t-minimal",
            Towards::Loss(Loss::CrossEntropy) => "apgd-ce-minimal",
            Towards::Loss(Loss::Margin) => "apgd-margin-minimal",
            Towards::Loss(Loss::Dlr | Loss::TargetedDlr { .. }) => "apgd-dlr-minimal",
        }
        .into()
    }

    fn norm(&self) -> Norm {
        self.norm
    }

    fn kind(&self) -> AttackKind {
        AttackKind::Minimization
    }

    fn run(&self, batch: &mut Batch) -> Result<()> {
        let each = match self.towards {
            Towards::Loss(_) => self.steps / SHARE,
            Towards::Classes => self.steps / SHARE / CLASSES,
        };
        let steps = each.max(FEWEST);
        // Evaluating the starting point costs one pass of its own.
        let most = 2 * (steps + 1);
        let mut hunts = self.begin(batch)?;
        loop {
            hunts.retain(|hunt| hunt.is_open(most) && !batch.satisfied(hunt.image));
            if hunts.is_empty() {
                return Ok(());
            }
            let images: Vec<usize> = hunts.iter().map(|hunt| hunt.image).collect();
            let epsilons: Vec<f64> = hunts.iter().map(|hunt| hunt.epsilon).collect();
            let losses: Vec<Loss> =
                hunts.iter().map(|hunt| self.loss(batch.criterion(hunt.image), hunt)).collect();
            let before: Vec<usize> =
                images.iter().map(|image| batch.counts(*image).passes()).collect();
            let mut standing = Vec::new();
            let ends = batch.within(&images, &epsilons, |inner| {
                let all = inner.all();
                let start = |(row, hunt): (usize, &Hunt)| {
                    inner.moved(row, &hunt.warm, &vec![0.0; hunt.warm.len()], 0.0)
                };
                let starts = hunts.iter().enumerate().map(start).collect();
                standing = ascend(inner, self.norm, &all, starts, steps, |row| losses[row])?;
                Ok(())
            })?;
            for (row, (hunt, end)) in hunts.iter_mut().zip(ends).enumerate() {
                hunt.left =
                    hunt.left.saturating_sub(batch.counts(hunt.image).passes() - before[row]);
                let Some(end) = end else { continue };
                let distance = self.norm.distance(batch.original(hunt.image), &end);
                hunt.warm = end;
                if standing.binary_search(&row).is_ok() {
                    hunt.withstood();
                } else {
                    batch.keep_if_closer(hunt.image, &hunt.warm);
                    hunt.fell(distance);
                }
            }
        }
    }
}

impl ApgdMinimal {
    fn begin(&self, batch: &mut Batch) -> Result<Vec<Hunt>> {
        let images = batch.all();
        let asks =
            |image: &usize| batch.start(*image).is_none() || self.towards == Towards::Classes;
        let asked: Vec<usize> = images.iter().copied().filter(asks).collect();
        let known = |image: usize, batch: &Batch| batch.start(image).map(<[f32]>::to_vec);
        let mut hunts: Vec<Hunt> = images
            .into_iter()
            .map(|image| {
                let start = known(image, batch);
                let high =
                    start.as_ref().map(|point| self.norm.distance(batch.original(image), point));
                Hunt {
                    image,
                    warm: start.unwrap_or_else(|| batch.original(image).to_vec()),
                    low: 0.0,
                    high,
                    epsilon: high.map_or(0.0, |high| (1.0 - NARROWER) * high),
                    narrower: NARROWER,
                    classes: vec![],
                    rank: 0,
                    left: 2 * self.steps,
                }
            })
            .collect();
        if asked.is_empty() {
            return Ok(hunts);
        }
        let gradients = batch.gradients(&asked, &batch.originals(&asked), Loss::Margin)?;
        let range = self.norm.range(batch.area());
        for (row, image) in asked.into_iter().enumerate() {
            let hunt = &mut hunts[image];
            hunt.left = hunt.left.saturating_sub(2);
            let criterion = batch.criterion(image);
            if self.towards == Towards::Classes
                && matches!(criterion, Criterion::Misclassification { .. })
            {
                hunt.classes = candidate_classes(criterion, gradients.logits(row), CLASSES + 1);
            }
            if hunt.high.is_none() {
                let flat = gradients.loss(row).abs()
                    / self.norm.dual_length(gradients.of(row)).max(f64::MIN_POSITIVE);
                hunt.epsilon = (WIDER * flat).clamp(1e-4 * range, range);
            }
        }
        Ok(hunts)
    }

    fn loss(&self, criterion: Criterion, hunt: &Hunt) -> Loss {
        match (self.towards, criterion) {
            (Towards::Loss(loss), _) => loss,
            (Towards::Classes, Criterion::Misclassification { .. })
                if hunt.rank < hunt.classes.len() =>
            {
                Loss::TargetedDlr { class: hunt.classes[hunt.rank] }
            }
            (Towards::Classes, _) => Loss::Dlr,
        }
    }
}

impl Hunt {
    fn is_open(&self, most: usize) -> bool {
        self.left >= most && self.high.is_none_or(|high| high - self.low > TOLERANCE * high)
    }

    fn fell(&mut self, distance: f64) {
        let high = self.high.map_or(distance, |high| high.min(distance));
        self.high = Some(high);
        if self.rank > 0 {
            let class = self.classes.remove(self.rank);
            self.classes.insert(0, class);
            self.rank = 0;
        }
        if self.low > 0.0 {
            self.epsilon = 0.5 * (self.low + high);
        } else {
            self.epsilon = (1.0 - self.narrower) * high;
            self.narrower = (2.0 * self.narrower).min(0.5);
        }
    }

    fn withstood(&mut self) {
        self.rank += 1;
        if self.rank < self.classes.len().min(CLASSES) {
            return;
        }
        self.rank = 0;
        self.low = self.epsilon;
        self.epsilon = self.high.map_or(2.0 * self.epsilon, |high| 0.5 * (self.low + high));
    }
}
