//! The attacks that look for the smallest perturbation together.

use crate::{ApgdMinimal, Attack, BrendelBethge, DeepFool, FabTargeted, Fmn, LineSearch, Norm, PrimalDual, SigmaZero};

/// Fewest passes that the attacks of an ensemble can be run in.
const FEWEST: usize = 100;
/// What searches for the decision boundary cost: a line search of 12 queries, and 10 where the way along it begins.
const BISECTIONS: usize = 22;
/// What a step of FAB towards each of nine classes costs, and one of DeepFool with this many candidates.
const FAB_STEP: usize = 27;
const CANDIDATES: usize = 5;
/// Passes from which on FAB is worth its steps.
const FAB_FROM: usize = 250;

/// Attacks in one norm, in the order in which they help each other, which together take no more than `passes` passes through
/// the model for each image, forward and back (at least 100). The first looks for the nearest of the other classes, in few steps
/// towards each; then comes one that gradients mislead less, from where the first has come; then one that follows the decision
/// boundary, and a line search takes off what is left beyond it. Only where none of them finds an adversarial point the way along
/// the decision boundary begins at a blend with noise, which costs up to 1,054 more.
///
/// Members, order and shares were chosen by local optimality ([`crate::local_optimality()`]) on networks that nothing is reported of.
pub fn ensemble(norm: Norm, passes: usize) -> Vec<Box<dyn Attack>> {
    let left = passes.max(FEWEST) - BISECTIONS;
    let share = |part: f64| (part * left as f64) as usize;
    // A step is a pass forward and one back.
    let steps = |part: f64| (share(part) / 2).max(1);
    let few = DeepFool::new(norm).with_candidates(CANDIDATES).with_steps(share(0.33) / CANDIDATES);
    // The classes are ranked by a query of its own.
    let nearest_class: Box<dyn Attack> = match passes < FAB_FROM {
        true => Box::new(few),
        false => Box::new(FabTargeted::new(norm).with_steps(((share(0.25) - 1) / FAB_STEP).max(1))),
    };
    let along = |part: f64| Box::new(BrendelBethge::new(norm).with_steps(steps(part)));
    let line = Box::new(LineSearch::new(norm));
    let search = |part: f64| Box::new(ApgdMinimal::new(norm).targeted().with_steps(steps(part)));
    match norm {
        Norm::L2 | Norm::Linf if passes < FAB_FROM => vec![nearest_class, search(0.3), along(0.36), line],
        Norm::L2 | Norm::Linf => vec![nearest_class, search(0.35), along(0.4), line],
        Norm::L1 | Norm::L0 if passes < FAB_FROM => {
            vec![nearest_class, Box::new(Fmn::new(norm).with_steps(steps(0.3))), along(0.36), line]
        }
        Norm::L1 => vec![nearest_class, Box::new(PrimalDual::new(norm).with_steps(steps(0.35))), along(0.4), line],
        Norm::L0 => {
            vec![nearest_class, Box::new(SigmaZero::default().with_steps(steps(0.5))), along(0.25), line]
        }
    }
}
