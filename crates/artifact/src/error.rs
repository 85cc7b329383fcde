//! The error for files and folders.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// A file or folder that could not be used or has unexpected content. The message is one sentence.
/// It names the file, then the failed operation and its cause, or what was expected and found, and
/// then what to do.
///
/// ```
/// use brainprior_artifact::FileError;
/// use std::path::Path;
///
/// let path = Path::new("no/such/scan.h5");
/// let error = std::fs::read(path).map_err(FileError::refused(path, "read")).unwrap_err();
/// let sentence = "no/such/scan.h5: could not read: No such file or directory (os error 2); there is no folder no/such: \
///                 check the path, or create it first";
/// assert_eq!(error.to_string(), sentence);
/// let error = FileError::mismatch(path, "responses", "12 rows", "11", "export the scan again");
/// assert_eq!(error.to_string(), "no/such/scan.h5: responses: expected 12 rows, found 11; export the scan again");
/// ```
#[derive(Debug)]
pub struct FileError(Box<Parts>);

/// Result of this crate.
pub type Result<T> = std::result::Result<T, FileError>;

#[derive(Debug)]
struct Parts {
    path: PathBuf,
    dataset: Option<String>,
    problem: Problem,
    advice: Option<Cow<'static, str>>,
}

#[derive(Debug)]
enum Problem {
    /// The system or a library refused the operation.
    Refused { doing: Cow<'static, str>, cause: Box<dyn Error + Send + Sync> },
    /// The content differs from what was expected.
    Mismatch { expected: String, found: String },
}

impl FileError {
    /// For `map_err`: the system or a library refused to `doing` the file ("open", "sync the new
    /// file"). If the file is missing, is a folder or may not be used, the error says what to
    /// check.
    pub fn refused<E>(path: &Path, doing: impl Into<Cow<'static, str>>) -> impl FnOnce(E) -> Self
    where
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        move |cause| {
            let cause = cause.into();
            let advice = cause
                .downcast_ref::<io::Error>()
                .and_then(|error| advice_about(path, error.kind()));
            let problem = Problem::Refused { doing: doing.into(), cause };
            Self(Box::new(Parts { path: path.to_owned(), dataset: None, problem, advice }))
        }
    }

    /// The content of `dataset` (a tensor, an attribute, a record) differs from what was expected.
    pub fn mismatch(
        path: &Path,
        dataset: impl Into<String>,
        expected: impl Into<String>,
        found: impl Into<String>,
        advice: impl Into<Cow<'static, str>>,
    ) -> Self {
        let problem = Problem::Mismatch { expected: expected.into(), found: found.into() };
        let (path, dataset, advice) = (path.to_owned(), Some(dataset.into()), Some(advice.into()));
        Self(Box::new(Parts { path, dataset, problem, advice }))
    }

    /// Names the dataset the error concerns.
    #[must_use]
    pub fn in_dataset(mut self, dataset: impl Into<String>) -> Self {
        self.0.dataset = Some(dataset.into());
        self
    }

    /// Adds what to do about the error.
    #[must_use]
    pub fn advise(mut self, advice: impl Into<Cow<'static, str>>) -> Self {
        self.0.advice = Some(advice.into());
        self
    }

    /// The file or folder.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// The dataset, tensor or record the error concerns, if any.
    pub fn dataset(&self) -> Option<&str> {
        self.0.dataset.as_deref()
    }

    /// The operation that was refused, if one was.
    pub fn doing(&self) -> Option<&str> {
        match &self.0.problem {
            Problem::Refused { doing, .. } => Some(doing),
            Problem::Mismatch { .. } => None,
        }
    }

    /// The expected and the actual content, if they differ.
    pub fn expected_and_found(&self) -> Option<(&str, &str)> {
        match &self.0.problem {
            Problem::Refused { .. } => None,
            Problem::Mismatch { expected, found } => Some((expected, found)),
        }
    }

    /// What to do, if anything is known to help.
    pub fn advice(&self) -> Option<&str> {
        self.0.advice.as_deref()
    }

    /// The kind of I/O error, if the system refused.
    pub fn io_kind(&self) -> Option<io::ErrorKind> {
        match &self.0.problem {
            Problem::Refused { cause, .. } => {
                cause.downcast_ref::<io::Error>().map(io::Error::kind)
            }
            Problem::Mismatch { .. } => None,
        }
    }
}

/// What to do if the system refuses a path.
fn advice_about(path: &Path, kind: io::ErrorKind) -> Option<Cow<'static, str>> {
    match kind {
        io::ErrorKind::NotFound => {
            let folder =
                path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.exists());
            Some(match folder {
                Some(folder) => format!(
                    "there is no folder {}: check the path, or create it first",
                    folder.display()
                )
                .into(),
                None => "check the path".into(),
            })
        }
        io::ErrorKind::IsADirectory => Some("this is a folder: name a file".into()),
        io::ErrorKind::PermissionDenied => {
            Some("check the permissions of the file and its folder".into())
        }
        _ => None,
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Parts { path, dataset, problem, advice } = &*self.0;
        write!(f, "{}: ", path.display())?;
        match (problem, dataset) {
            (Problem::Refused { doing, cause }, Some(dataset)) => {
                write!(f, "could not {doing} {dataset}: {cause}")?
            }
            (Problem::Refused { doing, cause }, None) => write!(f, "could not {doing}: {cause}")?,
            (Problem::Mismatch { expected, found }, dataset) => {
                dataset.iter().try_for_each(|dataset| write!(f, "{dataset}: "))?;
                write!(f, "expected {expected}, found {found}")?;
            }
        }
        advice.iter().try_for_each(|advice| write!(f, "; {advice}"))
    }
}

impl Error for FileError {
    /// The source of the cause. The message already contains the cause itself; a chain of errors
    /// would repeat it.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0.problem {
            Problem::Refused { cause, .. } => cause.source(),
            Problem::Mismatch { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_stands_in_the_sentence_once() {
        let path = Path::new("scan.h5");
        let refused =
            || FileError::refused(path, "read")(io::Error::from(io::ErrorKind::UnexpectedEof));
        assert_eq!(refused().to_string(), "scan.h5: could not read: unexpected end of file");
        assert!(refused().source().is_none());
        let error = refused().in_dataset("images").advise("copy it again");
        assert_eq!(
            error.to_string(),
            "scan.h5: could not read images: unexpected end of file; copy it again"
        );
        assert_eq!(
            (error.dataset(), error.doing(), error.advice()),
            (Some("images"), Some("read"), Some("copy it again"))
        );
        assert_eq!(error.io_kind(), Some(io::ErrorKind::UnexpectedEof));
        let error = FileError::mismatch(path, "images", "bytes", "floats", "convert them");
        assert_eq!(error.expected_and_found(), Some(("bytes", "floats")));
        assert_eq!((error.path(), error.doing(), error.io_kind()), (path, None, None));
    }

    #[test]
    fn a_path_that_the_system_refuses_comes_with_what_to_check() {
        let folder = tempfile::tempdir().unwrap();
        let of = |path: &Path| {
            let refused = std::fs::read(path).map_err(FileError::refused(path, "read"));
            refused.unwrap_err().advice().map(str::to_owned)
        };
        assert_eq!(of(&folder.path().join("scan.h5")).as_deref(), Some("check the path"));
        let missing = of(&folder.path().join("mouse/scan.h5")).unwrap();
        assert!(
            missing.starts_with("there is no folder") && missing.contains("mouse:"),
            "{missing}"
        );
        assert_eq!(of(folder.path()).as_deref(), Some("this is a folder: name a file"));
    }

    #[test]
    fn an_error_takes_no_more_room_than_a_pointer() {
        assert_eq!(size_of::<Result<()>>(), size_of::<usize>());
    }
}
