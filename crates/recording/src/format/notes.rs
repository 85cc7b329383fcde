//! What was decided while reading a scan.

use std::collections::BTreeMap;

/// What was decided while reading a scan, for users to check.
#[derive(Clone, Debug, PartialEq)]
pub struct Notes {
    /// The pixel value in the file that is white (1 in the scan); black is 0 in both.
    pub white: f32,
    /// Whether the file states that value.
    pub stated: bool,
    /// Number of pixels slightly outside the stated range, which were clipped.
    pub clipped: usize,
    /// Number of rows left out, by tier.
    pub left_out: BTreeMap<String, usize>,
    /// If images have several identifiers: the numbers of identifiers and of images.
    pub identifiers: Option<(usize, usize)>,
}

impl Default for Notes {
    fn default() -> Self {
        Self {
            white: 255.0,
            stated: false,
            clipped: 0,
            left_out: BTreeMap::new(),
            identifiers: None,
        }
    }
}

impl Notes {
    /// Unusual findings, one sentence each.
    pub fn remarks(&self) -> Vec<String> {
        let mut remarks = vec![];
        if self.clipped > 0 {
            remarks.push(format!(
                "{} pixels lie outside the stated range and are clipped",
                self.clipped
            ));
        }
        for (tier, rows) in &self.left_out {
            remarks.push(format!(
                "{rows} rows of tier {tier} are left out: they are not for training or testing"
            ));
        }
        if let Some((identifiers, images)) = self.identifiers {
            remarks.push(format!(
                "the file has {identifiers} identifiers for {images} images: images with equal pixels count as one"
            ));
        }
        remarks
    }
}
