//! Settings that are a number or a word.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;

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

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

/// The word for the network that is part of the program, and the word for no network.
const BUILT_IN: &str = "built-in";
const NONE: &str = "none";

/// The trained network among the fixed features of linear readouts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub(crate) enum FixedNetwork {
    /// The network that is part of the program.
    BuiltIn,
    /// None: the filter bank only.
    None,
    /// A checkpoint or a VGG's state dict.
    File(PathBuf),
}

impl FixedNetwork {
    /// Its file, if it has one.
    pub(crate) fn file(&self) -> Option<&PathBuf> {
        match self {
            Self::File(path) => Some(path),
            Self::BuiltIn | Self::None => None,
        }
    }

    /// Its file, to be replaced by another name of it.
    pub(crate) fn file_mut(&mut self) -> Option<&mut PathBuf> {
        match self {
            Self::File(path) => Some(path),
            Self::BuiltIn | Self::None => None,
        }
    }
}

impl From<String> for FixedNetwork {
    fn from(text: String) -> Self {
        match text.as_str() {
            BUILT_IN => Self::BuiltIn,
            NONE => Self::None,
            _ => Self::File(text.into()),
        }
    }
}

impl From<FixedNetwork> for String {
    fn from(network: FixedNetwork) -> Self {
        match network {
            FixedNetwork::BuiltIn => BUILT_IN.to_owned(),
            FixedNetwork::None => NONE.to_owned(),
            FixedNetwork::File(path) => path.to_string_lossy().into_owned(),
        }
    }
}
