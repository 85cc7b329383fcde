//! The machine-readable specs in `data-specs/`: the datasets of each format with type, shape and
//! meaning.

use anyhow::{Context, Result};
use brainprior_artifact::Entry;
use serde::Deserialize;
use std::collections::BTreeMap;

/// A kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Scan,
    Sensorium,
    Layout,
    Truth,
    ImageSet,
    Responses,
    Similarity,
    Pairs,
    Neighbors,
    Checkpoint,
    StateDict,
    Vgg,
    ExportedMatrix,
    Results,
    Attack,
    Histogram,
    Times,
}

impl Kind {
    fn text(self) -> &'static str {
        match self {
            Self::Scan => include_str!("../../../../data-specs/scan.toml"),
            Self::Sensorium => include_str!("../../../../data-specs/sensorium.toml"),
            Self::Layout => include_str!("../../../../data-specs/layout.toml"),
            Self::Truth => include_str!("../../../../data-specs/truth.toml"),
            Self::ImageSet => include_str!("../../../../data-specs/image-set.toml"),
            Self::Responses => include_str!("../../../../data-specs/responses.toml"),
            Self::Similarity => include_str!("../../../../data-specs/similarity.toml"),
            Self::Pairs => include_str!("../../../../data-specs/pairs.toml"),
            Self::Neighbors => include_str!("../../../../data-specs/neighbours.toml"),
            Self::Checkpoint => include_str!("../../../../data-specs/checkpoint.toml"),
            Self::StateDict => include_str!("../../../../data-specs/state-dict.toml"),
            Self::Vgg => include_str!("../../../../data-specs/vgg.toml"),
            Self::ExportedMatrix => include_str!("../../../../data-specs/exported-matrix.toml"),
            Self::Results => include_str!("../../../../data-specs/results.toml"),
            Self::Attack => include_str!("../../../../data-specs/attack.toml"),
            Self::Histogram => include_str!("../../../../data-specs/histogram.toml"),
            Self::Times => include_str!("../../../../data-specs/times.toml"),
        }
    }

    /// The spec of this kind.
    pub(crate) fn spec(self) -> Result<Spec> {
        toml::from_str(self.text()).with_context(|| format!("the spec of {self:?} is invalid"))
    }
}

/// One format.
#[derive(Debug, Deserialize)]
pub(crate) struct Spec {
    pub(crate) format: Container,
    pub(crate) version: u32,
    pub(crate) title: String,
    pub(crate) description: String,
    #[serde(default, rename = "dataset")]
    pub(crate) datasets: Vec<Dataset>,
}

/// The container of the datasets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Container {
    Hdf5,
    Folder,
    Safetensors,
    /// Safetensors, or a file written by `torch.save`.
    Weights,
    Npy,
    Json,
    Toml,
}

/// One dataset, tensor or field.
#[derive(Debug, Deserialize)]
pub(crate) struct Dataset {
    pub(crate) path: String,
    pub(crate) dtype: String,
    #[serde(default)]
    pub(crate) shape: Vec<String>,
    pub(crate) required: bool,
    pub(crate) meaning: String,
    #[serde(default)]
    pub(crate) unit: Option<String>,
}

impl Dataset {
    /// Whether `name` is this dataset; parts written as `*` in the spec match anything.
    pub(crate) fn matches(&self, name: &str) -> bool {
        wildcard(
            self.path.trim_start_matches('/').as_bytes(),
            name.trim_start_matches('/').as_bytes(),
        )
    }

    fn accepts(&self, dtype: &str) -> bool {
        // A kind of number with its width: `f32`.
        let is = |kind: &str| {
            dtype
                .strip_prefix(kind)
                .is_some_and(|bits| bits.bytes().all(|digit| digit.is_ascii_digit()))
        };
        self.dtype.split('|').map(str::trim).any(|accepted| match accepted {
            "float" | "number" => is("f") || is("bf"),
            "int" => is("i") || is("u"),
            "any" => true,
            accepted => accepted.eq_ignore_ascii_case(dtype),
        })
    }
}

fn wildcard(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => {
            wildcard(rest, name)
                || (!name.is_empty() && name[0] != b'/' && wildcard(pattern, &name[1..]))
        }
        (Some((p, pattern)), Some((n, name))) if p == n => wildcard(pattern, name),
        _ => false,
    }
}

impl Spec {
    /// All differences between `found` and the spec, one per line.
    pub(crate) fn problems(&self, found: &BTreeMap<String, Entry>) -> Vec<String> {
        let mut sizes: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
        let mut problems = Vec::new();
        for dataset in &self.datasets {
            let mut present = false;
            for (name, found) in found.iter().filter(|(name, _)| dataset.matches(name)) {
                present = true;
                if !dataset.accepts(&found.dtype) {
                    problems
                        .push(format!("{name}: expected {}, found {}", dataset.dtype, found.dtype));
                }
                if dataset.shape.is_empty() {
                    continue;
                }
                if dataset.shape.len() != found.shape.len() {
                    problems.push(format!(
                        "{name}: expected rank {} ({}), found shape {:?}",
                        dataset.shape.len(),
                        dataset.shape.join(" x "),
                        found.shape
                    ));
                    continue;
                }
                for (axis, (expected, size)) in dataset.shape.iter().zip(&found.shape).enumerate() {
                    let wanted = match expected.parse::<usize>() {
                        Ok(fixed) => Some((fixed, "the spec")),
                        Err(_) if dataset.path.contains('*') => None,
                        Err(_) => Some(*sizes.entry(expected).or_insert((*size, name))),
                    };
                    if let Some((wanted, source)) = wanted.filter(|(wanted, _)| wanted != size) {
                        problems.push(format!("{name}: axis {axis} ({expected}) is {size}, expected {wanted} (from {source})"));
                    }
                }
            }
            if dataset.required && !present {
                problems.push(format!(
                    "{}: missing; expected {} [{}], {}",
                    dataset.path,
                    dataset.dtype,
                    dataset.shape.join(", "),
                    dataset.meaning
                ));
            }
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spec_reads() {
        let all = [
            Kind::Scan,
            Kind::Sensorium,
            Kind::Layout,
            Kind::Truth,
            Kind::ImageSet,
            Kind::Responses,
            Kind::Similarity,
            Kind::Pairs,
            Kind::Neighbors,
            Kind::Checkpoint,
            Kind::StateDict,
            Kind::Vgg,
            Kind::ExportedMatrix,
            Kind::Results,
            Kind::Attack,
            Kind::Histogram,
            Kind::Times,
        ];
        for kind in all {
            let spec = kind.spec().unwrap();
            assert!(
                spec.version >= 1 && !spec.title.is_empty() && !spec.description.is_empty(),
                "{kind:?}"
            );
            assert!(
                spec.datasets.iter().any(|dataset| dataset.required),
                "{kind:?} requires nothing"
            );
        }
    }

    #[test]
    fn wildcards_stay_within_one_part() {
        assert!(wildcard(b"statistics/*/all/mean", b"statistics/images/all/mean"));
        assert!(!wildcard(b"statistics/*/mean", b"statistics/images/all/mean"));
        assert!(wildcard(b"stages.*.weight", b"stages.0.1.conv1.weight"));
    }

    #[test]
    fn problems_name_the_dataset_the_axis_and_the_source() {
        let spec: Spec = toml::from_str(
            "format='hdf5'\nversion=1\ntitle='t'\ndescription='d'\n\
             [[dataset]]\npath='a'\ndtype='float'\nshape=['n']\nrequired=true\nmeaning='first'\n\
             [[dataset]]\npath='b'\ndtype='u8'\nshape=['n','2']\nrequired=true\nmeaning='second'\n\
             [[dataset]]\npath='c'\ndtype='u8'\nrequired=true\nmeaning='third'\n",
        )
        .unwrap();
        let found = BTreeMap::from([
            ("a".to_owned(), Entry { dtype: "f32".into(), shape: vec![3] }),
            ("b".to_owned(), Entry { dtype: "i64".into(), shape: vec![4, 2] }),
        ]);
        let problems = spec.problems(&found);
        assert_eq!(problems.len(), 3, "{problems:?}");
        assert_eq!(problems[0], "b: expected u8, found i64");
        assert_eq!(problems[1], "b: axis 0 (n) is 4, expected 3 (from a)");
        assert!(problems[2].starts_with("c: missing"), "{}", problems[2]);
    }
}
