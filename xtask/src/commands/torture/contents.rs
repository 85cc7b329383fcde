//! Contents of a run directory, apart from times.

use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Files that contain only times.
const TIMES: [&str; 3] = ["log.jsonl", "times.json", "speed.json"];

/// Every file by its path in the run directory.
#[derive(PartialEq)]
pub(super) struct Contents(BTreeMap<PathBuf, Vec<u8>>);

impl Contents {
    pub(super) fn of(run: &Path) -> Result<Self> {
        let mut files = BTreeMap::new();
        collect(run, run, &mut files)?;
        Ok(Self(files))
    }

    /// The first difference in `found`: a file that is missing, superfluous, or has other bytes.
    pub(super) fn difference(&self, found: &Self) -> Option<String> {
        let missing = self
            .0
            .keys()
            .find(|file| !found.0.contains_key(*file))
            .map(|file| format!("{} is missing", file.display()));
        let excess = || {
            found
                .0
                .keys()
                .find(|file| !self.0.contains_key(*file))
                .map(|file| format!("{} is left over", file.display()))
        };
        let other = || {
            self.0
                .iter()
                .find(|(file, bytes)| found.0.get(*file) != Some(*bytes))
                .map(|(file, _)| format!("{} differs", file.display()))
        };
        missing.or_else(excess).or_else(other)
    }

    /// Size on a disk with pages of 4 KiB.
    pub(super) fn bytes(&self) -> u64 {
        self.0.values().map(|bytes| bytes.len().next_multiple_of(4096) as u64 + 4096).sum()
    }
}

fn collect(run: &Path, folder: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) -> Result<()> {
    for entry in
        fs::read_dir(folder).with_context(|| format!("could not list {}", folder.display()))?
    {
        let path = entry?.path();
        if path.is_dir() {
            collect(run, &path, files)?;
            continue;
        }
        let bytes =
            fs::read(&path).with_context(|| format!("could not read {}", path.display()))?;
        let within = path.strip_prefix(run).expect("it lies in there").to_owned();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let bytes = match name.as_str() {
            name if TIMES.contains(&name) => Vec::new(),
            "record.json" => without(&bytes, |line| line.trim_start().starts_with("\"seconds\":")),
            "report.html" => without(&bytes, is_time),
            _ => bytes,
        };
        files.insert(within, bytes);
    }
    Ok(())
}

fn without(bytes: &[u8], is_dropped: impl Fn(&str) -> bool) -> Vec<u8> {
    let text = String::from_utf8_lossy(bytes);
    text.lines()
        .filter(|line| !is_dropped(line))
        .flat_map(|line| format!("{line}\n").into_bytes())
        .collect()
}

/// Whether a line of the report ends in a time or speed.
fn is_time(line: &str) -> bool {
    let line = line.trim_end_matches("</pre></details>").trim_end();
    line.ends_with(" images/s")
        || line.ends_with(" s")
            && line.split_whitespace().rev().nth(1).is_some_and(|word| word.parse::<f64>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_no_difference_and_everything_else_is_one() {
        let folder = tempfile::tempdir().unwrap();
        let run = |name: &str, time: &str| {
            let run = folder.path().join(name);
            fs::create_dir_all(run.join("train")).unwrap();
            fs::write(
                run.join("train/record.json"),
                format!("{{\n  \"seed\": 3,\n  \"seconds\": {time}\n}}"),
            )
            .unwrap();
            fs::write(run.join("train/speed.json"), time).unwrap();
            fs::write(
                run.join("report.html"),
                format!("<pre>images   {time} s\ntrain   {time} images/s</pre></details>\n"),
            )
            .unwrap();
            run
        };
        let (whole, other) = (run("whole", "1.5"), run("other", "2.5"));
        let difference =
            || Contents::of(&whole).unwrap().difference(&Contents::of(&other).unwrap());
        assert_eq!(difference(), None);
        fs::write(other.join("train/.record.json.ab-1-0.partial"), "").unwrap();
        assert_eq!(difference().unwrap(), "train/.record.json.ab-1-0.partial is left over");
        fs::remove_file(other.join("train/.record.json.ab-1-0.partial")).unwrap();
        fs::write(other.join("report.html"), "<p>other</p>").unwrap();
        assert_eq!(difference().unwrap(), "report.html differs");
        fs::remove_file(other.join("train/speed.json")).unwrap();
        assert_eq!(difference().unwrap(), "train/speed.json is missing");
    }
}
