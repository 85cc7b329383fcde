//! What an import did, for people.

use std::fmt;

/// What was taken, what was dropped, and what was assumed, a sentence each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    taken: Vec<String>,
    dropped: Vec<String>,
    assumed: Vec<String>,
}

impl Account {
    /// What is in the scan.
    pub fn taken(&self) -> &[String] {
        &self.taken
    }

    /// What the source holds and the scan does not.
    pub fn dropped(&self) -> &[String] {
        &self.dropped
    }

    /// What the source does not say.
    pub fn assumed(&self) -> &[String] {
        &self.assumed
    }

    pub(super) fn took(&mut self, what: impl Into<String>) {
        self.taken.push(what.into());
    }

    pub(super) fn dropped_as(&mut self, what: impl Into<String>) {
        self.dropped.push(what.into());
    }

    pub(super) fn assumes(&mut self, what: impl Into<String>) {
        self.assumed.push(what.into());
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (verb, sentences) in [("took", &self.taken), ("dropped", &self.dropped), ("assumed", &self.assumed)] {
            for (index, sentence) in sentences.iter().enumerate() {
                writeln!(f, "{:<8} {sentence}", if index == 0 { verb } else { "" })?;
            }
            if sentences.is_empty() {
                writeln!(f, "{verb:<8} nothing")?;
            }
        }
        Ok(())
    }
}
