//! What one check found, and the report on all of them.

/// Images from which on nothing found means something. What is seen on none of n images may still, at 95%, be so for 3/n of all:
/// for 3%, about the slack that the checks leave, of 100 images, but for 7.5% of 40.
const ENOUGH_IMAGES: usize = 100;

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

/// What the checks come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaskingVerdict {
    /// No check found anything, and there were images enough to find it on.
    NoSign,
    /// No check found anything, on fewer than 100 images: too few to tell.
    TooFewImages,
    /// A check found something, on however few images.
    Found,
}

impl MaskingReport {
    /// What the checks come to.
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
            MaskingVerdict::NoSign => format!("no sign of gradient masking in {checks} checks on {images} images"),
            MaskingVerdict::TooFewImages => format!(
                "{checks} checks found nothing, but {images} images that the model is right about are too few to tell; it takes {ENOUGH_IMAGES}"
            ),
            MaskingVerdict::Found => {
                let findings: Vec<&str> = self.checks.iter().filter_map(|check| check.finding.as_deref()).collect();
                format!(
                    "{} of {checks} checks found something, so that attacks on this model prove little: {}",
                    findings.len(),
                    findings.join("; ")
                )
            }
        }
    }
}

/// A share in percent, as the findings write it.
pub(super) fn percent(share: f64) -> String {
    format!("{:.1}%", 100.0 * share)
}
