//! The frame around every attack, which trusts none of them.

use crate::batch::Batch;
use crate::model::{self, Logits, batches, share};
use crate::{Classifier, Error, Examples, Norm, Progress, Result, Settings};

/// An attack. It only has to move candidates; bounds, verification and counts are the frame's business.
pub trait Attack {
    /// Its name, for reports.
    fn name(&self) -> &'static str;

    /// The norm in which it bounds perturbations.
    fn norm(&self) -> Norm;

    /// Moves the candidates of `batch` to where the model is misled.
    ///
    /// # Errors
    /// What [`Batch::gradients`] refuses.
    fn run(&self, batch: &mut Batch) -> Result<()>;
}

/// What became of one image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// Whether the model was right before the attack. Where it was not, nothing was attacked.
    pub initially_correct: bool,
    /// Whether the final image, verified on its own, is misclassified. True where the model was wrong to begin with.
    pub success: bool,
    /// Distance of the final image from the original, in the attack's norm; never above epsilon.
    pub distance: f64,
    /// Gradients used.
    pub gradient_calls: usize,
    /// Those that were zero everywhere: an attack that meets them fails for want of a direction, not against robustness.
    pub zero_gradients: usize,
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

    /// The final image `index`, in [0, 1] and within epsilon of the original, whether it misleads or not.
    pub fn image(&self, index: usize) -> &[f32] {
        &self.finals[index * self.area..(index + 1) * self.area]
    }

    /// Share of all images that the model still classifies rightly; `None` of no images.
    pub fn accuracy(&self) -> Option<f64> {
        share(&self.outcomes.iter().map(|outcome| !outcome.success).collect::<Vec<_>>())
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
    /// Gradients used at this epsilon.
    pub gradient_calls: usize,
    /// Those that were zero everywhere.
    pub zero_gradients: usize,
}

impl AttackPoint {
    /// Share of images that withstand; `None` of no images.
    pub fn accuracy(&self) -> Option<f64> {
        (self.images > 0).then(|| self.correct as f64 / self.images as f64)
    }
}

/// Attacks every image that the model classifies rightly. Each final image is brought within `epsilon` and [0, 1] and is
/// then judged on its own, whatever the attack thinks of it.
///
/// # Errors
/// An epsilon below 0 or above the range of the norm; a label without a logit; a logit or gradient that is not finite.
pub fn attack(
    model: &dyn Classifier,
    attack: &dyn Attack,
    examples: &Examples,
    epsilon: f64,
    settings: Settings,
    observe: &mut dyn FnMut(Progress),
) -> Result<Attacked> {
    attack.norm().check(&[epsilon], examples.area())?;
    let correct = model::correct(model, examples, settings)?;
    let mut attacked = unharmed(examples, &correct);
    let targets: Vec<usize> = (0..examples.len()).filter(|index| correct[*index]).collect();
    attack_some(model, attack, examples, &targets, &vec![epsilon; targets.len()], settings, &mut attacked, observe)?;
    Ok(attacked)
}

/// Accuracy at each of `epsilons`, which must ascend. An image that falls at one of them has fallen at all later ones.
///
/// # Errors
/// Epsilons that do not ascend, and as [`attack`].
pub fn attack_curve(
    model: &dyn Classifier,
    attack: &dyn Attack,
    examples: &Examples,
    epsilons: &[f64],
    settings: Settings,
    observe: &mut dyn FnMut(Progress),
) -> Result<Vec<AttackPoint>> {
    attack.norm().check(epsilons, examples.area())?;
    if let Some(index) = epsilons.windows(2).position(|pair| pair[0] >= pair[1]) {
        let expected = format!("more than {}, the one before", epsilons[index]);
        return Err(Error::Level { what: "epsilon", index: index + 1, expected, found: epsilons[index + 1] });
    }
    let correct = model::correct(model, examples, settings)?;
    let mut standing: Vec<usize> = (0..examples.len()).filter(|index| correct[*index]).collect();
    let total = epsilons.len() * examples.len();
    let mut points = Vec::with_capacity(epsilons.len());
    for (level, epsilon) in epsilons.iter().enumerate() {
        let mut attacked = unharmed(examples, &correct);
        let done = level * examples.len() + examples.len() - standing.len();
        let mut observe = |progress: Progress| observe(Progress { done: done + progress.done, total });
        attack_some(model, attack, examples, &standing, &vec![*epsilon; standing.len()], settings, &mut attacked, &mut observe)?;
        let counted = |count: fn(&Outcome) -> usize| attacked.outcomes.iter().map(count).sum();
        standing.retain(|index| !attacked.outcomes[*index].success);
        points.push(AttackPoint {
            epsilon: *epsilon,
            correct: standing.len(),
            images: examples.len(),
            gradient_calls: counted(|outcome| outcome.gradient_calls),
            zero_gradients: counted(|outcome| outcome.zero_gradients),
        });
    }
    observe(Progress { done: total, total });
    Ok(points)
}

/// Every image as it is: a success where the model is wrong already.
pub(crate) fn unharmed(examples: &Examples, correct: &[bool]) -> Attacked {
    let outcome = |correct: &bool| Outcome {
        initially_correct: *correct,
        success: !*correct,
        distance: 0.0,
        gradient_calls: 0,
        zero_gradients: 0,
    };
    let finals = (0..examples.len()).flat_map(|index| examples.image(index)).copied().collect();
    Attacked { outcomes: correct.iter().map(outcome).collect(), area: examples.area(), finals }
}

/// Attacks the images at `targets` (which the model classifies rightly), each with its epsilon, and enters what became
/// of them.
pub(crate) fn attack_some(
    model: &dyn Classifier,
    attack: &dyn Attack,
    examples: &Examples,
    targets: &[usize],
    epsilons: &[f64],
    settings: Settings,
    attacked: &mut Attacked,
    observe: &mut dyn FnMut(Progress),
) -> Result<()> {
    let norm = attack.norm();
    let _span = tracing::info_span!("attack", name = attack.name(), ?norm, images = targets.len()).entered();
    for range in batches(targets.len(), settings.batch) {
        let mut batch = Batch::new(model, examples, &targets[range.clone()], &epsilons[range.clone()], settings.seed);
        attack.run(&mut batch)?;
        for (image, index) in targets[range.clone()].iter().copied().enumerate() {
            let original = examples.image(index);
            let mut candidate = batch.candidate(image).to_vec();
            norm.project(original, &mut candidate, batch.epsilon(image));
            let logits = Logits::of(model, examples.shape(), &candidate, &examples.numbers()[index..=index])?;
            let (gradient_calls, zero_gradients) = batch.counts(image);
            attacked.outcomes[index] = Outcome {
                initially_correct: true,
                success: logits.class(0) != examples.label(index),
                distance: norm.distance(original, &candidate),
                gradient_calls,
                zero_gradients,
            };
            attacked.finals[index * attacked.area..(index + 1) * attacked.area].copy_from_slice(&candidate);
        }
        observe(Progress { done: range.end, total: targets.len() });
    }
    Ok(())
}
