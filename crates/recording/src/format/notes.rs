//! What was decided while a scan was read.

use std::collections::BTreeMap;

/// What was decided while a scan was read, so that people can see it.
#[derive(Clone, Debug, PartialEq)]
pub struct Notes {
    /// The value of a pixel in the file that stands for white, 1 in the scan; black is 0 in both.
    pub white: f32,
    /// Whether the file states that value.
    pub stated: bool,
    /// How many pixels lay a little beyond the stated range and were clipped to it.
    pub clipped: usize,
    /// How many rows of which tier belong to no part of a scan and were left out.
    pub left_out: BTreeMap<String, usize>,
    /// Where images have several identifiers: how many identifiers there are for how many images.
    pub identifiers: Option<(usize, usize)>,
}

impl Default for Notes {
    fn default() -> Self {
        Self { white: 255.0, stated: false, clipped: 0, left_out: BTreeMap::new(), identifiers: None }
    }
}

impl Notes {
    /// What is unusual, a sentence each.
    pub fn remarks(&self) -> Vec<String> {
        let mut remarks = vec![];
        if self.clipped > 0 {
            remarks.push(format!("{} pixels lie beyond the stated range and are clipped to it", self.clipped));
        }
        for (tier, rows) in &self.left_out {
            remarks.push(format!("{rows} rows of tier {tier} are left out: they are for neither training nor testing"));
        }
        if let Some((identifiers, images)) = self.identifiers {
            remarks.push(format!(
                "the file gives {identifiers} identifiers to {images} images: images of equal pixels are taken as one"
            ));
        }
        remarks
    }
}
