//! What stage `scans` writes, besides the scans.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Locations of the scans of a run.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ScanIndex {
    pub(crate) scans: Vec<ScanSource>,
}

/// The file of a scan and of its ground truth, if known.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ScanSource {
    /// Name of the scan, unique in the run.
    pub(crate) name: String,
    pub(crate) scan: PathBuf,
    pub(crate) truth: Option<PathBuf>,
    /// Remarks on unusual content, one sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) remarks: Vec<String>,
}
