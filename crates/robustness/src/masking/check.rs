//! What one check found, and the report on all of them.

/// One check.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// The figures, each with what it is.
    pub figures: Vec<(String, f64)>,
    /// What is wrong, in plain words; `None` where nothing is.
    pub finding: Option<String>,
}

/// All checks of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct MaskingReport {
    /// The checks, in the order in which they were made.
    pub checks: Vec<Check>,
    /// Images that the model is right about, on which they were made.
    pub images: usize,
}

impl MaskingReport {
    /// Whether nothing was found.
    pub fn clean(&self) -> bool {
        self.checks.iter().all(|check| check.finding.is_none())
    }

    /// What to make of it, in plain words.
    pub fn verdict(&self) -> String {
        let findings: Vec<&str> = self.checks.iter().filter_map(|check| check.finding.as_deref()).collect();
        match findings.len() {
            0 => format!("no sign of gradient masking in {} checks on {} images", self.checks.len(), self.images),
            count => format!(
                "{count} of {} checks found something, so that attacks on this model prove little: {}",
                self.checks.len(),
                findings.join("; ")
            ),
        }
    }
}

/// A share in percent, as the findings write it.
pub(super) fn percent(share: f64) -> String {
    format!("{:.1}%", 100.0 * share)
}
