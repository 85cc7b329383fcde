//! The driver of every attack, which trusts none of them.

use crate::batch::{Batch, Counts};
use crate::model::{self, Pass, batches, logits_of};
use crate::{Classifier, Error, LabeledBatch, Norm, Progress, Result, Settings};
use rayon::prelude::*;

/// What an attack does with an epsilon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttackKind {
    /// The attack uses the epsilon up: it looks for the strongest perturbation within.
    FixedEpsilon,
    /// The attack looks for the smallest perturbation; epsilon is only where it may stop.
    Minimization,
}

/// An attack. It only has to leave a candidate for each image; bounds, verification and counts are the driver's business.
pub trait Attack: Sync {
    /// Its name, for reports.
    fn name(&self) -> String;

    /// The norm in which it measures perturbations.
    fn norm(&self) -> Norm;

    /// Whether it uses up an epsilon or looks for the smallest perturbation.
    fn kind(&self) -> AttackKind;

    /// Leaves, for each image of `batch`, the best point that it finds as the candidate.
    ///
    /// # Errors
    /// What the model or the driver refuses.
    fn run(&self, batch: &mut Batch) -> Result<()>;
}

/// What became of one image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// Whether the image was adversarial as it was (misclassified, or of the target class). Then nothing was attacked.
    pub already: bool,
    /// Whether the final image, verified on its own, is adversarial. True where it was so already.
    pub success: bool,
    /// Distance of the final image from the original, in the attack's norm; never above epsilon.
    pub distance: f64,
    /// What it cost. The verification is not counted.
    pub counts: Counts,
}

/// Outcomes of an attack on all images.
#[derive(Clone, Debug, PartialEq)]
pub struct Attacked {
    outcomes: Vec<Outcome>,
    area: usize,
    finals: Vec<f32>,
}

impl Attacked {
    /// What became of each image.
    pub fn outcomes(&self) -> &[Outcome] {
        &self.outcomes
    }

    /// The final image `index`, in [0, 1] and within epsilon of the original, whether it is adversarial or not.
    pub fn image(&self, index: usize) -> &[f32] {
        &self.finals[index * self.area..(index + 1) * self.area]
    }

    /// Share of all images that withstood: under misclassification, the accuracy under attack. `None` of no images.
    pub fn accuracy(&self) -> Option<f64> {
        model::share(&self.outcomes.iter().map(|outcome| !outcome.success).collect::<Vec<_>>())
    }
}

/// Accuracy under an attack of one size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AttackPoint {
    /// Largest perturbation allowed.
    pub epsilon: f64,
    /// Images that withstand it.
    pub correct: usize,
    /// Images tested.
    pub images: usize,
    /// What it cost at this epsilon.
    pub counts: Counts,
}

impl AttackPoint {
    /// Share of images that withstand; `None` of no images.
    pub fn accuracy(&self) -> Option<f64> {
        (self.images > 0).then(|| self.correct as f64 / self.images as f64)
    }
}

/// Attacks every image that is not adversarial as it is. Each final image is brought within `epsilon` and [0, 1] and is
/// then judged on its own, whatever the attack thinks of it. An attack that looks for the smallest perturbation stops, for
/// each image, once it is within epsilon.
///
/// # Errors
/// An epsilon below 0 or above the range of the norm; a label or target without a logit; a logit or gradient that is not
/// finite.
pub fn attack(
    model: &dyn Classifier,
    attack: &dyn Attack,
    labeled: &LabeledBatch,
    epsilon: f64,
    settings: Settings,
    observe: &mut dyn FnMut(Progress),
) -> Result<Attacked> {
    attack.norm().check(&[epsilon], labeled.area())?;
    attack_all(model, attack, AttackKind::FixedEpsilon, labeled, epsilon, settings, observe)
}

/// Lets an attack that looks for the smallest perturbation ([`AttackKind::Minimization`]) do so, without any limit but [0, 1].
///
/// # Errors
/// As [`attack()`].
///
/// # Panics
/// On an attack that needs an epsilon; bisect with [`crate::MinimalPerturbations::approach`].
pub fn minimize_perturbation(
    model: &dyn Classifier,
    attack: &dyn Attack,
    labeled: &LabeledBatch,
    settings: Settings,
    observe: &mut dyn FnMut(Progress),
) -> Result<Attacked> {
    assert_eq!(attack.kind(), AttackKind::Minimization, "{} needs an epsilon", attack.name());
    attack_all(model, attack, AttackKind::Minimization, labeled, attack.norm().range(labeled.area()), settings, observe)
}

/// Attacks each batch of images after the pass that tells which of them are adversarial as they are; an attack that begins at the
/// images begins with that pass.
fn attack_all(
    model: &dyn Classifier,
    attack: &dyn Attack,
    kind: AttackKind,
    labeled: &LabeledBatch,
    epsilon: f64,
    settings: Settings,
    observe: &mut dyn FnMut(Progress),
) -> Result<Attacked> {
    let mut attacked = Attacked::unharmed(labeled, &vec![false; labeled.len()]);
    for range in batches(labeled.len(), settings.batch) {
        let pixels: Vec<f32> = range.clone().flat_map(|index| labeled.image(index)).copied().collect();
        let pass = Pass::of(model, labeled.shape(), &pixels, &labeled.numbers()[range.clone()])?;
        if range.start == 0 {
            labeled.check_classes(pass.logits(0).len())?;
        }
        let mut rows = Vec::with_capacity(range.len());
        for (row, index) in range.clone().enumerate() {
            let already = labeled.criterion(index).is_met(pass.logits(row));
            (attacked.outcomes[index].already, attacked.outcomes[index].success) = (already, already);
            if !already {
                rows.push(row);
            }
        }
        let jobs: Vec<Job> = rows.iter().map(|row| Job { index: range.start + row, epsilon, start: None }).collect();
        if !jobs.is_empty() {
            attack_batch(model, attack, kind, labeled, &jobs, Some(pass.of_rows(rows)), settings, &mut attacked)?;
        }
        observe(Progress { done: range.end, total: labeled.len() });
    }
    Ok(attacked)
}

/// Accuracy at each of `epsilons`, which must ascend. An image that falls at one of them has fallen at all later ones.
///
/// # Errors
/// Epsilons that do not ascend, and as [`attack()`].
pub fn attack_curve(
    model: &dyn Classifier,
    attack: &dyn Attack,
    labeled: &LabeledBatch,
    epsilons: &[f64],
    settings: Settings,
    observe: &mut dyn FnMut(Progress),
) -> Result<Vec<AttackPoint>> {
    attack.norm().check(epsilons, labeled.area())?;
    if let Some(index) = epsilons.windows(2).position(|pair| pair[0] >= pair[1]) {
        let expected = format!("more than {}, the one before", epsilons[index]);
        return Err(Error::Level { what: "epsilon", index: index + 1, expected, found: epsilons[index + 1] });
    }
    let already = already(model, labeled, settings)?;
    let mut standing = open(&already);
    let total = epsilons.len() * labeled.len();
    let mut points = Vec::with_capacity(epsilons.len());
    for (level, epsilon) in epsilons.iter().enumerate() {
        let mut attacked = Attacked::unharmed(labeled, &already);
        let done = level * labeled.len() + labeled.len() - standing.len();
        let mut observe = |progress: Progress| observe(Progress { done: done + progress.done, total });
        let jobs: Vec<Job> = standing.iter().map(|index| Job { index: *index, epsilon: *epsilon, start: None }).collect();
        attack_some(model, attack, AttackKind::FixedEpsilon, labeled, &jobs, settings, &mut attacked, &mut observe)?;
        let counts = attacked.outcomes.iter().fold(Counts::default(), |sum, outcome| sum.plus(outcome.counts));
        standing.retain(|index| !attacked.outcomes[*index].success);
        points.push(AttackPoint { epsilon: *epsilon, correct: standing.len(), images: labeled.len(), counts });
    }
    observe(Progress { done: total, total });
    Ok(points)
}

/// Which images are adversarial as they are.
pub(crate) fn already(model: &dyn Classifier, labeled: &LabeledBatch, settings: Settings) -> Result<Vec<bool>> {
    let rows = logits_of(model, labeled, settings)?;
    Ok(rows.iter().enumerate().map(|(index, row)| labeled.criterion(index).is_met(row)).collect())
}

/// The images that are not.
pub(crate) fn open(already: &[bool]) -> Vec<usize> {
    (0..already.len()).filter(|index| !already[*index]).collect()
}

impl Attacked {
    /// Every image as it is.
    pub(crate) fn unharmed(labeled: &LabeledBatch, already: &[bool]) -> Self {
        let outcome = |already: &bool| Outcome { already: *already, success: *already, distance: 0.0, counts: Counts::default() };
        let finals = (0..labeled.len()).flat_map(|index| labeled.image(index)).copied().collect();
        Self { outcomes: already.iter().map(outcome).collect(), area: labeled.area(), finals }
    }
}

/// One image to be attacked.
pub(crate) struct Job<'a> {
    pub(crate) index: usize,
    pub(crate) epsilon: f64,
    pub(crate) start: Option<&'a [f32]>,
}

/// Attacks some images, none of which is adversarial as it is, and enters what became of them.
pub(crate) fn attack_some(
    model: &dyn Classifier,
    attack: &dyn Attack,
    kind: AttackKind,
    labeled: &LabeledBatch,
    jobs: &[Job],
    settings: Settings,
    attacked: &mut Attacked,
    observe: &mut dyn FnMut(Progress),
) -> Result<()> {
    let total = jobs.len();
    for range in batches(total, settings.batch) {
        attack_batch(model, attack, kind, labeled, &jobs[range.clone()], None, settings, attacked)?;
        observe(Progress { done: range.end, total });
    }
    Ok(())
}

/// Some images at once; `clean` is the pass at the images themselves, where it has been made.
fn attack_batch(
    model: &dyn Classifier,
    attack: &dyn Attack,
    kind: AttackKind,
    labeled: &LabeledBatch,
    jobs: &[Job],
    clean: Option<Pass>,
    settings: Settings,
    attacked: &mut Attacked,
) -> Result<()> {
    let norm = attack.norm();
    let _span = tracing::info_span!("attack", name = attack.name(), ?norm, images = jobs.len()).entered();
    let indices: Vec<usize> = jobs.iter().map(|job| job.index).collect();
    let epsilons: Vec<f64> = jobs.iter().map(|job| job.epsilon).collect();
    let mut batch = Batch::new(model, labeled, &indices, &epsilons, norm, kind, settings).with_clean(clean);
    for (image, job) in jobs.iter().enumerate() {
        if let Some(start) = job.start {
            batch.set_start(image, start);
        }
    }
    attack.run(&mut batch)?;
    let finals: Vec<Vec<f32>> = (0..batch.len())
        .map(|image| {
            let mut pixels = batch.candidate(image).map_or(batch.original(image), |(pixels, _)| pixels).to_vec();
            norm.project(batch.original(image), &mut pixels, batch.epsilon(image));
            pixels
        })
        .collect();
    let verified = verify(model, labeled, &indices, &finals)?;
    for (image, index) in indices.into_iter().enumerate() {
        attacked.outcomes[index] = Outcome {
            already: false,
            success: verified[image],
            distance: norm.distance(labeled.image(index), &finals[image]),
            counts: batch.counts(image),
        };
        attacked.finals[index * attacked.area..(index + 1) * attacked.area].copy_from_slice(&finals[image]);
    }
    Ok(())
}

/// Whether each of these final images is adversarial, every one seen by itself.
pub(crate) fn verify(
    model: &dyn Classifier,
    labeled: &LabeledBatch,
    indices: &[usize],
    finals: &[Vec<f32>],
) -> Result<Vec<bool>> {
    let one = |(index, pixels): (&usize, &Vec<f32>)| {
        let rows = model::logits(model, labeled.shape(), pixels, &labeled.numbers()[*index..=*index])?;
        Ok(labeled.criterion(*index).is_met(&rows[0]))
    };
    indices.par_iter().zip(finals).map(one).collect()
}
