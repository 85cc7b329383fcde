//! Where the settings of an import stand: in a layout, or on the command line. Messages name them accordingly.

use brainprior_artifact::FileError;
use std::borrow::Cow;
use std::path::Path;

/// What was asked for, and where.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    /// The layout, or what is imported.
    pub path: &'a Path,
    /// Whether it stands on the command line.
    pub by_flags: bool,
}

impl Asked<'_> {
    /// That the setting `key` of a layout, such as `images.size`, or the flag for it, `--size`, is another than it should be. The advice for
    /// each is given.
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
