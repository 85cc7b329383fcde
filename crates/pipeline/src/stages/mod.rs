//! The stages, in the order of the chain.

pub mod images;
pub mod report;
pub mod response;
pub mod robustness;
pub mod scans;
pub mod similarity;
pub mod trade_off;
pub mod train;

/// Names that `--only` accepts, in order.
pub const NAMES: [&str; 8] = ["scans", "images", "response", "similarity", "train", "trade-off", "robustness", "report"];
