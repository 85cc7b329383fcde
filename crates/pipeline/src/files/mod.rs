//! `validate` and `inspect`: check any file of the pipeline against its spec, or describe it. Both
//! use the reader of the stages, so they cannot disagree with it.

mod contents;
mod exported;
mod inspect;
mod judgement;
mod kind;
mod spec;

pub use inspect::inspect;
pub(crate) use kind::{Recognized, recognize};
pub(crate) use spec::Kind;

use anyhow::{Result, bail};
use judgement::Judgement;
use std::path::Path;

/// Checks a file as the pipeline would read it, and against its spec. Returns a report.
///
/// # Errors
/// Returns the reader's error, and all differences from the spec, one per line.
pub fn validate(path: &Path) -> Result<String> {
    let kind = match recognize(path)? {
        Recognized::Known(kind) => kind,
        Recognized::Unknown(unknown) => bail!(unknown.error(path)),
    };
    let Judgement { spec, contents, remarks, .. } = judgement::judge(path, kind)?;
    let count =
        contents.map_or(String::new(), |contents| format!(", {} entries checked", contents.len()));
    let mut text = format!(
        "{}: a valid {} (data-spec version {}{count})",
        path.display(),
        spec.title,
        spec.version
    );
    for remark in remarks {
        text.push_str(&format!("\n  note: {remark}"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_hdf5_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scan.h5");
        std::fs::write(&path, "hello").unwrap();
        let error = validate(&path).unwrap_err().to_string();
        assert!(error.contains("scan.h5") && error.contains("HDF5 signature"), "{error}");
        let path = folder.path().join("notes.txt");
        std::fs::write(&path, "hello").unwrap();
        assert!(validate(&path).unwrap_err().to_string().contains("of unknown kind"));
    }

    #[test]
    fn results_are_checked_by_field() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results.json");
        std::fs::write(&path, r#"{"format":"brainprior-results","version":"one"}"#).unwrap();
        let error = validate(&path).unwrap_err().to_string();
        assert!(
            error.contains("version: expected int, found string")
                && error.contains("networks: missing"),
            "{error}"
        );
    }
}
