//! The contents and validity of a file. The verdict is that of the reader used by the stages, or of
//! the data spec for kinds that no stage reads.

use super::contents::{self, Contents};
use super::spec::{Container, Kind, Spec};
use crate::artifacts::Results;
use anyhow::{Result, bail};
use brainprior_classifier::ResNet;
use brainprior_images::{LabeledSplit, read_labeled};
use brainprior_recording::import::Layout;
use brainprior_recording::{Notes, Responses, Scan, read_scan_with_notes, simulation};
use brainprior_similarity::{Network, SimilarityMatrix};
use std::path::Path;

/// A valid file.
pub(crate) struct Judgement {
    pub(crate) spec: Spec,
    /// Its datasets, if they can be listed.
    pub(crate) contents: Option<Contents>,
    pub(crate) content: Content,
    /// Remarks on unusual content, one sentence each.
    pub(crate) remarks: Vec<String>,
}

/// The result of reading a file.
pub(crate) enum Content {
    Scan(Box<(Scan, Notes)>),
    Images(Box<LabeledSplit>),
    /// Another kind, read but not examined further.
    Other,
    /// A kind that no stage reads.
    Unread,
}

/// Reads a file and compares it with its spec.
///
/// # Errors
/// Returns the reader's error; for JSON and kinds that no stage reads, all differences from the
/// spec, one per line.
pub(crate) fn judge(path: &Path, kind: Kind) -> Result<Judgement> {
    let spec = kind.spec()?;
    // CIFAR's own formats have no list of datasets; their reader checks them completely.
    let contents =
        match (spec.format, path.extension().is_some_and(|ending| ending == "safetensors")) {
            (Container::Safetensors, false) if kind == Kind::Checkpoint => {
                contents::of_weights(path).ok()
            }
            (Container::Safetensors, false) => None,
            (container, _) => contents::list(path, container).ok(),
        };
    let problems = contents.as_ref().map_or(vec![], |contents| spec.problems(contents));
    let departs = || {
        let (shown, title, version) = (path.display(), &spec.title, spec.version);
        format!(
            "{shown} is not a valid {title} (data-spec version {version}):\n  {}",
            problems.join("\n  ")
        )
    };
    match read(path, kind) {
        // For JSON, the reader says where it stopped, and the spec says everything that is missing.
        Err(_) | Ok(Content::Unread) if spec.format == Container::Json && !problems.is_empty() => {
            bail!(departs())
        }
        Ok(Content::Unread) if !problems.is_empty() => bail!(departs()),
        Err(error) => bail!("{error:#}"),
        Ok(content) => {
            let mut remarks = match &content {
                Content::Scan(read) => read.1.remarks(),
                _ => vec![],
            };
            remarks.extend(problems.iter().map(|problem| {
                format!("differs from the data spec in a part that is not read: {problem}")
            }));
            Ok(Judgement { spec, contents, content, remarks })
        }
    }
}

fn read(path: &Path, kind: Kind) -> Result<Content> {
    Ok(match kind {
        Kind::Scan | Kind::Sensorium => Content::Scan(Box::new(read_scan_with_notes(path)?)),
        Kind::ImageSet => Content::Images(Box::new(read_labeled(path)?)),
        Kind::Layout => other(Layout::read(path)?),
        Kind::Truth => other(simulation::read_truth(path)?),
        Kind::Responses => other(Responses::read(path)?),
        Kind::Similarity => other(SimilarityMatrix::read(path)?),
        Kind::Checkpoint | Kind::StateDict => other(ResNet::load(path)?),
        Kind::Vgg => other(Network::vgg(path, "conv1_1")?),
        Kind::ExportedMatrix => other(super::exported::read(path)?),
        Kind::Results => other(brainprior_artifact::json::read::<Results>(path)?),
        Kind::Pairs | Kind::Neighbors | Kind::Attack | Kind::Histogram | Kind::Times => {
            Content::Unread
        }
    })
}

fn other<T>(_: T) -> Content {
    Content::Other
}
