//! Results of single checks, and the report on all of them.

/// Images from which on a negative result is informative. An effect seen in none of n images may,
/// at 95% confidence, still affect 3/n of all: 3% for 100 images, about the slack of the checks,
/// but 7.5% for 40.
const ENOUGH_IMAGES: usize = 100;

/// The result of one check.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// Name of the check.
    pub name: &'static str,
    /// The measured values, each with a description.
    pub figures: Vec<(String, f64)>,
    /// The problem in plain words, if there is one.
    pub finding: Option<String>,
}

/// The results of all checks of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct MaskingReport {
    /// The checks in the order in which they ran.
    pub checks: Vec<Check>,
    /// Number of images used, all of which the model classifies correctly.
    pub images: usize,
}

/// The overall verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaskingVerdict {
    /// No check found anything, on enough images.
    NoSign,
    /// No check found anything, but fewer than 100 images are too few to tell.
    TooFewImages,
    /// A check found something, on any number of images.
    Found,
}

impl MaskingReport {
    /// The overall verdict.
    pub fn verdict(&self) -> MaskingVerdict {
        if self.checks.iter().any(|check| check.finding.is_some()) {
            MaskingVerdict::Found
        } else if self.images < ENOUGH_IMAGES {
            MaskingVerdict::TooFewImages
        } else {
            MaskingVerdict::NoSign
        }
    }

    /// The verdict and its reasons, in plain words.
    pub fn in_words(&self) -> String {
        let (checks, images) = (self.checks.len(), self.images);
        match self.verdict() {
            MaskingVerdict::NoSign => {
                format!("no sign of gradient masking in {checks} checks on {images} images")
            }
            MaskingVerdict::TooFewImages => format!(
                "{checks} checks found nothing, but {images} correctly classified images are too few to tell; use at least {ENOUGH_IMAGES}"
            ),
            MaskingVerdict::Found => {
                let findings: Vec<&str> =
                    self.checks.iter().filter_map(|check| check.finding.as_deref()).collect();
                format!(
                    "{} of {checks} checks found problems, so attacks on this model prove little: {}",
                    findings.len(),
                    findings.join("; ")
                )
            }
        }
    }
}

/// A fraction in percent, as written in findings.
pub(super) fn percent(share: f64) -> String {
    format!("{:.1}%", 100.0 * share)
}
