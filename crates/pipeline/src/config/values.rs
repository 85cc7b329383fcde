//! Settings that are a number or a word.

use serde::{Deserialize, Serialize};
use std::num::NonZeroUsize;

/// A number of images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "expected \"all\" or a number of images, at least 1; instead of 0 write \"all\""
)]
pub(crate) enum Extent {
    /// The first images up to this number, or all if there are fewer.
    First(NonZeroUsize),
    /// All images.
    Every(All),
}

/// The word `all`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum All {
    /// `all`.
    All,
}

/// A layer of a trained network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "expected the number of a layer (0: stem, s: stage s) or a name such as \"conv3_1\""
)]
pub(crate) enum Layer {
    /// A layer of one of our classifiers: 0 for the stem, s for stage s.
    Number(usize),
    /// A layer of a VGG network, such as `conv3_1`.
    Name(String),
}
