//! A report on an import.

use std::fmt;

/// What was taken, dropped and assumed in an import, one sentence each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    taken: Vec<String>,
    dropped: Vec<String>,
    assumed: Vec<String>,
}

impl Account {
    /// What the scan contains.
    pub fn taken(&self) -> &[String] {
        &self.taken
    }

    /// What the source contains but the scan does not.
    pub fn dropped(&self) -> &[String] {
        &self.dropped
    }

    /// What the source does not state.
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
        for (verb, sentences) in
            [("took", &self.taken), ("dropped", &self.dropped), ("assumed", &self.assumed)]
        {
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
