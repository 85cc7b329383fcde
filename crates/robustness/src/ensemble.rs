//! The attacks of the paper's protocol.

use crate::{Attack, BrendelBethge, Ddn, DeepFool, Fmn, LineSearch, Loss, Norm, Pgd};

/// The attacks of the paper's protocol in one norm, in the order in which they help each other. Cheap attacks come near; one
/// follows the decision boundary from there, in `decision_boundary_steps` steps; a line search takes off what is left beyond
/// it.
pub fn ensemble(norm: Norm, decision_boundary_steps: usize) -> Vec<Box<dyn Attack>> {
    let mut attacks: Vec<Box<dyn Attack>> =
        vec![Box::new(DeepFool::new(norm)), Box::new(LineSearch::new(norm)), Box::new(Fmn::new(norm))];
    match norm {
        Norm::L2 => attacks.push(Box::new(Ddn::default())),
        Norm::Linf => attacks.push(Box::new(Pgd::new(norm).from_the_image().with_loss(Loss::Margin))),
    }
    attacks.push(Box::new(BrendelBethge::new(norm).with_steps(decision_boundary_steps)));
    attacks.push(Box::new(LineSearch::new(norm)));
    attacks
}
