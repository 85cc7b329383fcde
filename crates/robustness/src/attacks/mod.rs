//! The attacks, one file each.

mod adam;
mod apgd;
mod apgd_minimal;
mod auto_attack;
mod bim;
mod blended_noise;
mod boundary;
mod brendel_bethge;
mod carlini_wagner;
mod ddn;
mod decision_boundary;
mod deepfool;
mod descent;
mod fab;
mod fgsm;
mod fmn;
mod hop_skip_jump;
mod line_search;
mod mim;
mod pgd;
mod plane;
mod primal_dual;
mod sigma_zero;
mod square;
mod transfer;
mod trust_region;

/// Cosine annealing from 1 at the first of `steps` towards 0.
fn falling(step: usize, steps: usize) -> f64 {
    (1.0 + (std::f64::consts::PI * step as f64 / steps as f64).cos()) / 2.0
}

pub use apgd::{Apgd, ApgdTargeted};
pub use apgd_minimal::ApgdMinimal;
pub use auto_attack::AutoAttack;
pub use bim::Bim;
pub use blended_noise::BlendedNoise;
pub use boundary::Boundary;
pub use brendel_bethge::BrendelBethge;
pub use carlini_wagner::CarliniWagner;
pub use ddn::Ddn;
pub use deepfool::DeepFool;
pub use fab::{Fab, FabTargeted};
pub use fgsm::Fgsm;
pub use fmn::Fmn;
pub use hop_skip_jump::HopSkipJump;
pub use line_search::LineSearch;
pub use mim::Mim;
pub use pgd::Pgd;
pub use primal_dual::PrimalDual;
pub use sigma_zero::SigmaZero;
pub use square::Square;
pub use transfer::Transfer;
