//! Checks whether attacks on a model can be trusted: signs of gradient masking and wrong image
//! bounds.
//!
//! The checks follow Athalye et al. (2018) and Carlini et al. (2019): stronger attacks must beat
//! weaker ones and white-box attacks must beat black-box ones, an unbounded attack must always
//! succeed, and gradients must be correct.

mod check;
mod descent;
mod gradients;
mod logits;
mod minimal;
mod random_signs;
mod settings;
mod trial;
mod weaker;

pub use check::{Check, MaskingReport, MaskingVerdict};
pub use settings::MaskingSettings;

use crate::criterion::decision;
use crate::pass::logits_of;
use crate::{
    Apgd, Attack, Classifier, Error, EvalOptions, LabeledBatch, Loss, Mim, Norm, Progress, Result,
    Square, Transfer,
};
use random_signs::RandomSigns;
use trial::Trial;
use weaker::weaker;

/// Checks a model on labeled images. `sources` are other models of the same classes, from which
/// attacks are transferred; without them the transfer check is skipped.
///
/// # Errors
/// Returns [`Error::NoImages`] if there are no images, and the errors of
/// [`attack()`](crate::attack()). A model that classifies no image correctly is not an error: its
/// report holds only the first two checks.
pub fn masking_report<'a>(
    model: &dyn Classifier,
    sources: &[&dyn Classifier],
    labeled: &LabeledBatch,
    masking: &MaskingSettings,
    options: impl Into<EvalOptions<'a>>,
) -> Result<MaskingReport> {
    if labeled.is_empty() {
        return Err(Error::NoImages);
    }
    Norm::Linf.check(&[masking.epsilon], labeled.area())?;
    let mut options = options.into();
    let settings = options.settings;
    let total = 10 + usize::from(!sources.is_empty());
    let mut checks = Vec::with_capacity(total);
    let mut enter = |check: Check| {
        checks.push(check);
        options.tell(Progress { done: checks.len(), total });
    };
    enter(logits::scale(model, labeled, settings)?);
    enter(logits::repeatable(model, labeled, settings)?);
    let rows = logits_of(model, labeled, settings)?;
    let right: Vec<usize> = (0..labeled.len())
        .filter(|index| decision(&rows[*index]) == labeled.label(*index))
        .collect();
    if right.is_empty() {
        return Ok(MaskingReport { checks, images: 0 });
    }
    let labeled = &labeled.subset(&right);
    let trial = Trial { model, labeled, settings };
    enter(gradients::vanishing(model, labeled, settings)?);
    enter(gradients::slopes(model, labeled, settings)?);
    enter(descent::steps(masking, &trial)?);
    enter(descent::restarts(masking, &trial)?);
    enter(descent::everything(&trial)?);
    enter(minimal::searches(&trial)?);

    let (ce, dlr) = (
        Apgd::new(Norm::Linf).with_steps(50),
        Apgd::new(Norm::Linf).with_steps(50).with_loss(Loss::Dlr),
    );
    let fallen = |attacker: &dyn Attack| trial.fallen(attacker, masking.epsilon);
    let white: Vec<bool> =
        fallen(&ce)?.iter().zip(fallen(&dlr)?).map(|(ce, dlr)| *ce || dlr).collect();
    let black = fallen(&Square::new(Norm::Linf).with_queries(masking.queries))?;
    enter(weaker("black-box", "random search without gradients", &white, &black));
    if !sources.is_empty() {
        let mim = Mim::new(Norm::Linf);
        let transferred = fallen(&Transfer::new(&mim, sources.to_vec()))?;
        enter(weaker("transfer", "perturbations made on other models", &white, &transferred));
    }
    let random = fallen(&RandomSigns { draws: masking.directions })?;
    enter(weaker("random directions", "random signs", &white, &random));
    Ok(MaskingReport { checks, images: right.len() })
}
