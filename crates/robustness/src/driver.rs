//! Runs an attack, then projects, clips and re-verifies its result.

use crate::batch::Batch;
use crate::pass::{self, Pass, batches};
use crate::{
    Attack, AttackKind, Attacked, Classifier, EvalOptions, LabeledBatch, Outcome, Progress, Result,
    Settings,
};
use rayon::prelude::*;

/// Attacks every image that is not already adversarial. Each final image is projected to within
/// `epsilon` and [0, 1] and then verified on its own, whatever the attack reported. A minimization
/// attack stops on each image once it is within epsilon.
///
/// # Errors
/// Returns [`Error::Level`](crate::Error::Level) if epsilon is below 0 or above the range of the
/// norm, [`Error::Label`](crate::Error::Label) if a label or target has no logit,
/// [`Error::NotFinite`](crate::Error::NotFinite) if a logit or gradient is not finite, and
/// [`Error::Model`](crate::Error::Model) if the model fails.
pub fn attack<'a>(
    model: &dyn Classifier,
    attack: &dyn Attack,
    labeled: &LabeledBatch,
    epsilon: f64,
    options: impl Into<EvalOptions<'a>>,
) -> Result<Attacked> {
    attack.norm().check(&[epsilon], labeled.area())?;
    let mut options = options.into();
    let driver = Driver {
        model,
        attack,
        kind: AttackKind::FixedEpsilon,
        labeled,
        settings: options.settings,
    };
    driver.attack_all(epsilon, &mut |progress| options.tell(progress))
}

/// Runs a minimization attack ([`AttackKind::Minimization`]) with no limit but [0, 1].
///
/// # Errors
/// Returns the errors of [`attack()`], except those about epsilon.
///
/// # Panics
/// Panics if the attack needs an epsilon; [`crate::MinimalPerturbations::approach`] bisects it.
pub fn minimize_perturbation<'a>(
    model: &dyn Classifier,
    attack: &dyn Attack,
    labeled: &LabeledBatch,
    options: impl Into<EvalOptions<'a>>,
) -> Result<Attacked> {
    assert_eq!(
        attack.kind(),
        AttackKind::Minimization,
        "{} needs an epsilon; use MinimalPerturbations::approach",
        attack.name()
    );
    let mut options = options.into();
    let driver = Driver {
        model,
        attack,
        kind: AttackKind::Minimization,
        labeled,
        settings: options.settings,
    };
    driver.attack_all(attack.norm().range(labeled.area()), &mut |progress| options.tell(progress))
}

/// One attack on one model and its images.
pub(crate) struct Driver<'a> {
    pub(crate) model: &'a dyn Classifier,
    pub(crate) attack: &'a dyn Attack,
    /// The mode of the run: a minimization attack may also be run at a fixed epsilon.
    pub(crate) kind: AttackKind,
    pub(crate) labeled: &'a LabeledBatch,
    pub(crate) settings: Settings,
}

/// One image to be attacked.
pub(crate) struct Job<'a> {
    pub(crate) index: usize,
    pub(crate) epsilon: f64,
    pub(crate) start: Option<&'a [f32]>,
}

impl Driver<'_> {
    /// Attacks each batch of images after a clean pass finds those that are already adversarial.
    /// Attacks that start at the images reuse this pass.
    fn attack_all(&self, epsilon: f64, observe: &mut dyn FnMut(Progress)) -> Result<Attacked> {
        let labeled = self.labeled;
        let mut attacked = Attacked::unharmed(labeled, &vec![false; labeled.len()]);
        for range in batches(labeled.len(), self.settings.batch) {
            let pixels: Vec<f32> =
                range.clone().flat_map(|index| labeled.image(index)).copied().collect();
            let pass =
                Pass::of(self.model, labeled.shape(), &pixels, &labeled.numbers()[range.clone()])?;
            if range.start == 0 {
                labeled.check_classes(pass.logits(0).len())?;
            }
            let mut rows = Vec::with_capacity(range.len());
            for (row, index) in range.clone().enumerate() {
                let already = labeled.criterion(index).is_met(pass.logits(row));
                attacked.set_already(index, already);
                if !already {
                    rows.push(row);
                }
            }
            let jobs: Vec<Job> = rows
                .iter()
                .map(|row| Job { index: range.start + row, epsilon, start: None })
                .collect();
            if !jobs.is_empty() {
                self.attack_batch(&jobs, Some(pass.of_rows(rows)), &mut attacked)?;
            }
            observe(Progress { done: range.end, total: labeled.len() });
        }
        Ok(attacked)
    }

    /// Attacks images that are not already adversarial and records the outcomes.
    pub(crate) fn attack_some(
        &self,
        jobs: &[Job],
        attacked: &mut Attacked,
        observe: &mut dyn FnMut(Progress),
    ) -> Result<()> {
        let total = jobs.len();
        for range in batches(total, self.settings.batch) {
            self.attack_batch(&jobs[range.clone()], None, attacked)?;
            observe(Progress { done: range.end, total });
        }
        Ok(())
    }

    /// Attacks one batch; `clean` is the pass at the unperturbed images, if already made.
    fn attack_batch(
        &self,
        jobs: &[Job],
        clean: Option<Pass>,
        attacked: &mut Attacked,
    ) -> Result<()> {
        let (labeled, norm) = (self.labeled, self.attack.norm());
        let _span =
            tracing::info_span!("attack", name = self.attack.name(), ?norm, images = jobs.len())
                .entered();
        let indices: Vec<usize> = jobs.iter().map(|job| job.index).collect();
        let epsilons: Vec<f64> = jobs.iter().map(|job| job.epsilon).collect();
        let mut batch = Batch::new(self, &indices, &epsilons).with_clean(clean);
        for (image, job) in jobs.iter().enumerate() {
            if let Some(start) = job.start {
                batch.set_start(image, start);
            }
        }
        self.attack.run(&mut batch)?;
        let finals: Vec<Vec<f32>> = (0..batch.len())
            .map(|image| {
                let mut pixels = batch
                    .candidate(image)
                    .map_or(batch.original(image), |(pixels, _)| pixels)
                    .to_vec();
                norm.project(batch.original(image), &mut pixels, batch.epsilon(image));
                pixels
            })
            .collect();
        let verified = self.verify(&indices, &finals)?;
        for (image, index) in indices.into_iter().enumerate() {
            let outcome = Outcome {
                already: false,
                success: verified[image],
                distance: norm.distance(labeled.image(index), &finals[image]),
                counts: batch.counts(image),
            };
            attacked.set(index, outcome, &finals[image]);
        }
        Ok(())
    }

    /// Whether each final image is adversarial when evaluated on its own, or in any batch if that
    /// is the same.
    fn verify(&self, indices: &[usize], finals: &[Vec<f32>]) -> Result<Vec<bool>> {
        let labeled = self.labeled;
        let together = if self.model.is_batch_invariant() { self.settings.batch.max(1) } else { 1 };
        let some = |(indices, finals): (&[usize], &[Vec<f32>])| {
            let numbers: Vec<usize> =
                indices.iter().map(|index| labeled.numbers()[*index]).collect();
            let rows = pass::logits(self.model, labeled.shape(), &finals.concat(), &numbers)?;
            let met = |(index, row): (&usize, &Vec<f32>)| labeled.criterion(*index).is_met(row);
            Ok(indices.iter().zip(&rows).map(met).collect())
        };
        let parts: Vec<Vec<bool>> = indices
            .par_chunks(together)
            .zip(finals.par_chunks(together))
            .map(some)
            .collect::<Result<_>>()?;
        Ok(parts.concat())
    }
}
