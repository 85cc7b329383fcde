//! Whether import settings come from a layout or the command line, so that messages name them
//! accordingly.

use brainprior_artifact::FileError;
use std::borrow::Cow;
use std::path::Path;

/// The origin of the settings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    /// The layout, or the imported file or folder.
    pub path: &'a Path,
    /// Whether the settings come from the command line.
    pub by_flags: bool,
}

impl Asked<'_> {
    /// An error about the setting `key` of a layout, such as `images.size`, or the corresponding
    /// flag `--size`, with advice for each case.
    pub(super) fn mismatch(
        self,
        key: &str,
        expected: impl Into<String>,
        found: impl Into<String>,
        [in_layout, by_flag]: [&str; 2],
    ) -> FileError {
        let (key, advice) = match self.by_flags {
            true => (Cow::Owned(format!("--{}", flag(key))), by_flag),
            false => (Cow::Borrowed(key), in_layout),
        };
        FileError::mismatch(self.path, key, expected, found, advice.to_owned())
    }
}

fn flag(key: &str) -> &str {
    match key {
        "images.axes" => "image-axes",
        "images.file" => "images",
        "tiers.counts" | "tiers.counts.test" => "tiers",
        _ => key.rsplit('.').next().unwrap_or(key),
    }
}
