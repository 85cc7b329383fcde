//! The parts into which the trials of a scan are divided.

use std::fmt;

/// What a trial is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// To fit models on.
    Train,
    /// To decide when to stop fitting.
    Validation,
    /// To test on; the repeated oracle images are here.
    Test,
}

impl Tier {
    /// Names of tiers whose rows belong to no part of a scan: in the lab's files `test_mei` holds synthetic images that were
    /// made to drive neurons of the same scan.
    pub(crate) const LEFT_OUT: [&str; 1] = ["test_mei"];

    /// A name without its padding.
    pub(crate) fn trimmed(name: &str) -> &str {
        name.trim_end_matches('\0').trim()
    }

    /// From its name in a file, NUL padding and blanks removed. `final_test`, the second repeated set of the Sensorium
    /// 2022 scans, is [`Tier::Test`]: both are repeated images on which nothing is fitted.
    pub fn from_name(name: &str) -> Option<Self> {
        match Self::trimmed(name) {
            "train" => Some(Self::Train),
            "validation" => Some(Self::Validation),
            "test" | "final_test" => Some(Self::Test),
            _ => None,
        }
    }

    /// Its name in a file.
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
