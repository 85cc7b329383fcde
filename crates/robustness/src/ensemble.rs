//! Ensembles of minimization attacks.

use crate::{
    ApgdMinimal, Attack, BrendelBethge, DeepFool, FabTargeted, Fmn, LineSearch, Norm, SigmaZero,
};

/// The smallest budget of an ensemble, in passes.
const FEWEST: usize = 100;
/// Cost of the decision boundary searches: 12 queries of the final line search and 10 where the
/// boundary attack starts.
const BISECTIONS: usize = 22;
/// Cost of a step of FAB towards nine classes, and of a DeepFool step with this many candidates.
const FAB_STEP: usize = 27;
const CANDIDATES: usize = 5;
/// Budget from which FAB pays off in L2 and Linf, and Brendel-Bethge in L1 and L0.
const FAB_FROM: usize = 250;
/// Steps of Brendel-Bethge in L0; further ones remove less than those of sigma-zero.
const ALONG_IN_L0: usize = 50;

/// Attacks in one norm, ordered so that each helps the next, which together use at most `passes`
/// forward and backward passes per image (at least 100). In L2 and Linf, the first takes a few steps
/// towards each of the other classes to find the nearest one, and the second, which misleading
/// gradients affect less, starts from there; in L1 and L0 an attack made for that norm does both.
/// The next follows the decision boundary, and a line search removes what remains beyond it. Only
/// if none of them finds an adversarial point does the boundary attack start from a blend with
/// noise, which costs up to 1,054 extra passes; below 250 passes in L1 and L0 there is no such start.
///
/// Members, order and budget shares were chosen by local optimality ([`crate::local_optimality()`]);
/// for L2 and Linf on networks for which no results are reported.
pub fn ensemble(norm: Norm, passes: usize) -> Vec<Box<dyn Attack>> {
    let passes = passes.max(FEWEST);
    let left = passes - BISECTIONS;
    let share = |part: f64| (part * left as f64) as usize;
    // A step is one forward and one backward pass.
    let steps = |part: f64| (share(part) / 2).max(1);
    // Ranking the classes takes one query.
    let nearest_class = || -> Box<dyn Attack> {
        match passes < FAB_FROM {
            true => {
                let few = share(0.33) / CANDIDATES;
                Box::new(DeepFool::new(norm).with_candidates(CANDIDATES).with_steps(few))
            }
            false => {
                let few = ((share(0.25) - 1) / FAB_STEP).max(1);
                Box::new(FabTargeted::new(norm).with_steps(few))
            }
        }
    };
    let along = |part: f64| Box::new(BrendelBethge::new(norm).with_steps(steps(part)));
    let line = Box::new(LineSearch::new(norm));
    let search = |part: f64| Box::new(ApgdMinimal::new(norm).targeted().with_steps(steps(part)));
    match norm {
        Norm::L2 | Norm::Linf if passes < FAB_FROM => {
            vec![nearest_class(), search(0.3), along(0.36), line]
        }
        Norm::L2 | Norm::Linf => vec![nearest_class(), search(0.35), along(0.4), line],
        // In L1 and L0, steps towards single classes help less than further ones of these attacks.
        Norm::L1 if passes < FAB_FROM => {
            vec![Box::new(Fmn::new(norm).with_steps(steps(1.0))), line]
        }
        // FMN keeps the largest changes in every step, so that a line search finds nothing.
        Norm::L0 if passes < FAB_FROM => {
            vec![Box::new(Fmn::new(norm).with_steps(passes / 2))]
        }
        Norm::L1 => vec![Box::new(Fmn::new(norm).with_steps(steps(0.6))), along(0.4), line],
        Norm::L0 => {
            let along = BrendelBethge::new(norm).with_steps(ALONG_IN_L0);
            let sparse = SigmaZero::default().with_steps(steps(1.0) - ALONG_IN_L0);
            vec![Box::new(sparse), Box::new(along), line]
        }
    }
}
