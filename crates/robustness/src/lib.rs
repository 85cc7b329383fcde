#![doc = include_str!("../README.md")]
//!
//! A model takes images in [0, 1] and normalizes them itself ([`Classifier`]). An attack only
//! proposes candidates; [`attack()`] projects each into its bounds and verifies it on its own. No
//! attack can therefore report a false success, and none can fail silently: zero gradients are
//! counted, and images that withstand everything are censored, not dropped.

mod accuracy;
mod attack;
mod attack_curve;
mod attack_kind;
mod attacks;
mod batch;
mod bracket;
mod corruption;
mod counts;
mod criterion;
mod driver;
mod ensemble;
mod error;
mod labeled_batch;
mod local_optimality;
mod loss;
mod masking;
mod matched;
mod minimal_perturbations;
mod model;
mod noise;
mod norm;
mod outcome;
mod paired;
mod pass;
mod perturbation;
mod settings;
mod student;
mod survival;

pub use accuracy::{Accuracy, accuracy, correct};
pub use attack::Attack;
pub use attack_curve::{AttackPoint, attack_curve};
pub use attack_kind::AttackKind;
pub use attacks::{
    Apgd, ApgdMinimal, ApgdTargeted, AutoAttack, Bim, BlendedNoise, Boundary, BrendelBethge,
    CarliniWagner, Ddn, DeepFool, Fab, FabTargeted, Fgsm, Fmn, HopSkipJump, LineSearch, Mim, Pgd,
    PrimalDual, SigmaZero, Square, Transfer,
};
pub use batch::{Batch, Gradients};
pub use bracket::Search;
pub use corruption::{Corruption, CorruptionErrors, corruption_errors, mean_corruption_error};
pub use counts::Counts;
pub use criterion::Criterion;
pub use driver::{attack, minimize_perturbation};
pub use ensemble::ensemble;
pub use error::{Error, Result};
pub use labeled_batch::LabeledBatch;
pub use local_optimality::local_optimality;
pub use loss::{Loss, Slope};
pub use masking::{Check, MaskingReport, MaskingSettings, MaskingVerdict, masking_report};
pub use matched::at_accuracy;
pub use minimal_perturbations::{ImageRecord, MinimalPerturbations};
pub use model::{Classifier, ModuleClassifier};
pub use noise::{Clamp, Noise, NoisePoint, noise_curve};
pub use norm::Norm;
pub use outcome::{Attacked, Outcome};
pub use paired::{
    CensoredPairs, MeanRatio, PairedRatio, mean_ratio, paired_ratio, paired_ratio_of,
};
pub use pass::Pass;
pub use perturbation::Perturbation;
pub use settings::{EvalOptions, Progress, Settings};
pub use student::half_width_of_mean;
pub use survival::{Median, Survival, median};
