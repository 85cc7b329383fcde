//! Settings that are a number or a word.

use serde::{Deserialize, Serialize};
use std::num::NonZeroUsize;

/// How many images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected \"all\" or a number of images, at least 1; 0 for all is written \"all\" now")]
pub(crate) enum Extent {
    /// That many, the first ones; fewer where there are fewer.
    First(NonZeroUsize),
    /// Every one.
    Every(All),
}

/// The word for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum All {
    /// `all`.
    All,
}

/// A layer of a trained network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected the number of a layer (0: stem, s: stage s) or a name, as \"conv3_1\"")]
pub(crate) enum Layer {
    /// Of a classifier of ours: 0 for the stem, s for stage s.
    Number(usize),
    /// Of a VGG network, as `conv3_1`.
    Name(String),
}
