//! What stage `scans` writes beside the scans.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Where the scans of a run lie.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ScanIndex {
    pub(crate) scans: Vec<ScanSource>,
}

/// One scan's file and, where it is known, its truth.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ScanSource {
    /// What the run calls it; no two scans of a run have one name.
    pub(crate) name: String,
    pub(crate) scan: PathBuf,
    pub(crate) truth: Option<PathBuf>,
    /// What was unusual when the scan was read, a sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) remarks: Vec<String>,
}
