//! The attacks, one file each around a `run`.

mod fgsm;
mod pgd;

pub use fgsm::Fgsm;
pub use pgd::Pgd;
