//! Common image corruptions, and a model's error rate under them.

mod blur;
mod digital;
mod errors;
mod family;
mod noise;
mod plane;
mod weather;

pub use errors::{CorruptionErrors, corruption_errors, mean_corruption_error};
pub use family::Corruption;
