//! What can be wrong with a file.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// A file or folder that could not be used, or that does not hold what it should. Shown, it is one sentence: which file, what
/// was done with which part of it and why that failed, or what was expected and found there; and what to do.
///
/// ```
/// use brainprior_artifact::FileError;
/// use std::path::Path;
///
/// let path = Path::new("no/such/scan.h5");
/// let error = std::fs::read(path).map_err(FileError::refused(path, "read")).unwrap_err();
/// assert_eq!(error.to_string(), "no/such/scan.h5: could not read: No such file or directory (os error 2)");
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
    /// The system, or a library, said no.
    Refused { doing: Cow<'static, str>, cause: Box<dyn Error + Send + Sync> },
    /// The content is another than it should be.
    Mismatch { expected: String, found: String },
}

impl FileError {
    /// For `map_err`: the system, or a library, refused to `doing` the file ("open", "sync the new file").
    pub fn refused<E>(path: &Path, doing: impl Into<Cow<'static, str>>) -> impl FnOnce(E) -> Self
    where
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        move |cause| {
            let problem = Problem::Refused { doing: doing.into(), cause: cause.into() };
            Self(Box::new(Parts { path: path.to_owned(), dataset: None, problem, advice: None }))
        }
    }

    /// `dataset` of the file (a tensor, an attribute, a record) is another than it should be.
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

    /// The same, which concerns one dataset of the file.
    #[must_use]
    pub fn in_dataset(mut self, dataset: impl Into<String>) -> Self {
        self.0.dataset = Some(dataset.into());
        self
    }

    /// The same, with what to do about it.
    #[must_use]
    pub fn advise(mut self, advice: impl Into<Cow<'static, str>>) -> Self {
        self.0.advice = Some(advice.into());
        self
    }

    /// The file or folder.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// The dataset, tensor or record of the file that it concerns, where there is one.
    pub fn dataset(&self) -> Option<&str> {
        self.0.dataset.as_deref()
    }

    /// What was to be done, where that was refused.
    pub fn doing(&self) -> Option<&str> {
        match &self.0.problem {
            Problem::Refused { doing, .. } => Some(doing),
            Problem::Mismatch { .. } => None,
        }
    }

    /// What the content should be and what it is, where these differ.
    pub fn expected_and_found(&self) -> Option<(&str, &str)> {
        match &self.0.problem {
            Problem::Refused { .. } => None,
            Problem::Mismatch { expected, found } => Some((expected, found)),
        }
    }

    /// What to do, where something is known to help.
    pub fn advice(&self) -> Option<&str> {
        self.0.advice.as_deref()
    }

    /// The kind of the system's error, where the system refused.
    pub fn io_kind(&self) -> Option<io::ErrorKind> {
        match &self.0.problem {
            Problem::Refused { cause, .. } => cause.downcast_ref::<io::Error>().map(io::Error::kind),
            Problem::Mismatch { .. } => None,
        }
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Parts { path, dataset, problem, advice } = &*self.0;
        write!(f, "{}: ", path.display())?;
        match (problem, dataset) {
            (Problem::Refused { doing, cause }, Some(dataset)) => write!(f, "could not {doing} {dataset}: {cause}")?,
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
    /// What lies behind the cause: the cause itself is part of the sentence, and a chain of errors would say it twice.
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
        let refused = || FileError::refused(path, "read")(io::Error::from(io::ErrorKind::UnexpectedEof));
        assert_eq!(refused().to_string(), "scan.h5: could not read: unexpected end of file");
        assert!(refused().source().is_none());
        let error = refused().in_dataset("images").advise("copy it again");
        assert_eq!(error.to_string(), "scan.h5: could not read images: unexpected end of file; copy it again");
        assert_eq!((error.dataset(), error.doing(), error.advice()), (Some("images"), Some("read"), Some("copy it again")));
        assert_eq!(error.io_kind(), Some(io::ErrorKind::UnexpectedEof));
        let error = FileError::mismatch(path, "images", "bytes", "floats", "convert them");
        assert_eq!(error.expected_and_found(), Some(("bytes", "floats")));
        assert_eq!((error.path(), error.doing(), error.io_kind()), (path, None, None));
    }

    #[test]
    fn an_error_takes_no_more_room_than_a_pointer() {
        assert_eq!(size_of::<Result<()>>(), size_of::<usize>());
    }
}
