//! Tiers of trials.

use std::fmt;

/// The purpose of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// To fit models.
    Train,
    /// To decide when to stop fitting.
    Validation,
    /// To test models; includes the repeated oracle images.
    Test,
}

impl Tier {
    /// Names of tiers whose rows are left out. In the lab's files `test_mei` holds synthetic images
    /// that were optimized to drive neurons of the same scan.
    pub(crate) const LEFT_OUT: [&str; 1] = ["test_mei"];

    /// A name without padding.
    pub(crate) fn trimmed(name: &str) -> &str {
        name.trim_end_matches('\0').trim()
    }

    /// Parses the name in a file, ignoring NUL and blank padding. `final_test`, the second repeated
    /// set of the Sensorium 2022 scans, becomes [`Tier::Test`]: both hold repeated images on which
    /// nothing is fitted.
    pub fn from_name(name: &str) -> Option<Self> {
        match Self::trimmed(name) {
            "train" => Some(Self::Train),
            "validation" => Some(Self::Validation),
            "test" | "final_test" => Some(Self::Test),
            _ => None,
        }
    }

    /// The name in a file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
