//! Layouts: small TOML files that describe arrays (`data-specs/layout.toml`).

use super::told::told;
use crate::import::asked::Asked;
use crate::import::settings::{ImageAxis, ImageSettings, TierCounts};
use crate::{Result, Tier};
use brainprior_artifact::FileError;
use serde::Deserialize;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// A description of arrays: their axes, the image of each trial, and the tiers.
#[derive(Clone, Debug)]
pub struct Layout {
    pub(super) path: PathBuf,
    pub(super) responses: Responses,
    pub(super) images: Images,
    pub(super) trials: Option<Trials>,
    pub(super) tiers: Tiers,
    pub(super) behavior: Option<Signals>,
    pub(super) pupil_center: Option<Signals>,
    pub(super) area: Option<String>,
    pub(super) first_image: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    responses: Responses,
    images: Images,
    trials: Option<Trials>,
    tiers: Tiers,
    behavior: Option<Signals>,
    pupil_center: Option<Signals>,
    area: Option<String>,
    #[serde(default)]
    first_image: usize,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Responses {
    pub file: PathBuf,
    pub array: Option<String>,
    pub axes: Vec<ResponseAxis>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ResponseAxis {
    Neuron,
    Image,
    Repeat,
    Trial,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Images {
    pub file: PathBuf,
    pub array: Option<String>,
    pub axes: Option<Vec<ImageAxis>>,
    /// Height and width of the images along an axis of pixels.
    pub stored: Option<[usize; 2]>,
    /// Height and width to average down to.
    pub size: Option<[usize; 2]>,
    pub color: Option<Color>,
    /// Pixel values of black and white.
    pub range: Option<[f64; 2]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Color {
    Luma,
}

/// Signals recorded with the responses.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Signals {
    pub file: PathBuf,
    pub array: Option<String>,
    pub axes: Vec<SignalAxis>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum SignalAxis {
    Signal,
    Image,
    Repeat,
    Trial,
}

/// The image number of each trial.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Trials {
    pub file: PathBuf,
    pub array: Option<String>,
}

/// One of several ways to assign tiers.
#[derive(Clone, Debug)]
pub(super) enum Tiers {
    All(Tier),
    /// A name per image or per trial.
    Column {
        file: PathBuf,
        array: Option<String>,
    },
    /// How many images to draw for each tier.
    Counts(TierCounts),
    /// Image numbers per tier; one tier may take all others.
    Lists {
        of: Vec<(Tier, Vec<usize>)>,
        others: Option<Tier>,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TierKeys {
    all: Option<String>,
    file: Option<PathBuf>,
    array: Option<String>,
    counts: Option<TierCounts>,
    train: Option<List>,
    validation: Option<List>,
    test: Option<List>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected numbers of images, or \"others\"")]
enum List {
    Numbers(Vec<usize>),
    Word(String),
}

/// Upper limit of the first image number; all image numbers count from it.
const LARGEST_FIRST: usize = u32::MAX as usize;

/// The ways to assign tiers, for messages.
const WAYS: &str =
    "one way to divide the images: all, a file, counts, or lists of train, validation and test";

impl Images {
    pub(super) fn settings(&self) -> ImageSettings {
        let Self { axes, size, color, range, .. } = self;
        ImageSettings { axes: axes.clone(), size: *size, range: *range, luma: color.is_some() }
    }
}

impl<'de> Deserialize<'de> for Tiers {
    fn deserialize<D: serde::Deserializer<'de>>(
        deserializer: D,
    ) -> std::result::Result<Self, D::Error> {
        use serde::de::Error;
        let keys = TierKeys::deserialize(deserializer)?;
        let listed = [
            (Tier::Train, keys.train),
            (Tier::Validation, keys.validation),
            (Tier::Test, keys.test),
        ];
        if keys.array.is_some() && keys.file.is_none() {
            return Err(D::Error::custom(
                "an array without a file: expected the file that contains it",
            ));
        }
        let has_lists = listed.iter().any(|(_, list)| list.is_some());
        match (keys.all, keys.file, keys.counts, has_lists) {
            (Some(name), None, None, false) => {
                let unknown = || {
                    D::Error::custom(format!(
                        "all = {name:?}: expected \"train\", \"validation\" or \"test\""
                    ))
                };
                Tier::from_name(&name).map(Self::All).ok_or_else(unknown)
            }
            (None, Some(file), None, false) => Ok(Self::Column { file, array: keys.array }),
            (None, None, Some(counts), false) => Ok(Self::Counts(counts)),
            (None, None, None, true) => {
                let (mut of, mut others) = (vec![], vec![]);
                for (tier, list) in listed {
                    match list {
                        None => {}
                        Some(List::Numbers(numbers)) => of.push((tier, numbers)),
                        Some(List::Word(word)) if word == "others" => others.push(tier),
                        Some(List::Word(word)) => {
                            return Err(D::Error::custom(format!(
                                "{tier} = {word:?}: expected numbers of images, or \"others\""
                            )));
                        }
                    }
                }
                match others[..] {
                    [] => Ok(Self::Lists { of, others: None }),
                    [tier] => Ok(Self::Lists { of, others: Some(tier) }),
                    _ => {
                        Err(D::Error::custom("several tiers with \"others\": expected at most one"))
                    }
                }
            }
            (None, None, None, false) => Err(D::Error::custom(format!("none: expected {WAYS}"))),
            _ => Err(D::Error::custom(format!("several: expected {WAYS}"))),
        }
    }
}

impl Layout {
    /// Reads a layout.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read or is not TOML, if a key is missing, unknown or
    /// of the wrong type, or if axes are repeated or do not form trials and neurons.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            let is_other = matches!(error.kind(), ErrorKind::IsADirectory | ErrorKind::InvalidData);
            let refused = FileError::refused(path, "read a layout")(error);
            if is_other {
                refused.advise("give a layout, a TOML file as in data-specs/layout.toml")
            } else {
                refused
            }
        })?;
        let content: Content = toml::from_str(&text).map_err(|error| {
            let line = error.span().map_or(1, |span| {
                1 + text.bytes().take(span.start).filter(|byte| *byte == b'\n').count()
            });
            let (expected, found) = told(error.message());
            FileError::mismatch(
                path,
                format!("line {line}"),
                expected,
                found,
                "data-specs/layout.toml lists the keys of a layout",
            )
        })?;
        let Content { responses, images, trials, tiers, behavior, pupil_center, area, first_image } =
            content;
        let layout = Self {
            path: path.to_owned(),
            responses,
            images,
            trials,
            tiers,
            behavior,
            pupil_center,
            area,
            first_image,
        };
        if layout.first_image > LARGEST_FIRST {
            let (expected, found) =
                (format!("0 to {LARGEST_FIRST}"), layout.first_image.to_string());
            return Err(layout
                .mismatch("first_image", expected, found, "give the number of the first image")
                .into());
        }
        layout.check_axes()?;
        layout.check_signals("behavior", layout.behavior.as_ref())?;
        layout.check_signals("pupil_center", layout.pupil_center.as_ref())?;
        Ok(layout)
    }

    /// The path of the layout.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Resolves a path in the layout, relative to the layout.
    pub(super) fn beside(&self, file: &Path) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).join(file)
    }

    pub(super) fn asked(&self) -> Asked<'_> {
        Asked { path: &self.path, by_flags: false }
    }

    pub(super) fn mismatch(
        &self,
        key: &str,
        expected: impl Into<String>,
        found: impl Into<String>,
        advice: &'static str,
    ) -> FileError {
        FileError::mismatch(&self.path, key, expected, found, advice)
    }

    fn check_axes(&self) -> Result<()> {
        use ResponseAxis::{Image, Neuron, Repeat, Trial};
        let axes = &self.responses.axes;
        let has = |axis| axes.contains(&axis);
        let ways = "neuron and image, with or without repeat; or neuron and trial";
        let fits =
            has(Neuron) && (has(Image) && !has(Trial) || has(Trial) && !has(Image) && !has(Repeat));
        let twice = axes.iter().enumerate().any(|(place, axis)| axes[..place].contains(axis));
        if !fits || twice {
            return Err(self
                .mismatch(
                    "responses.axes",
                    ways,
                    format!("{axes:?}").to_lowercase(),
                    "use each axis once",
                )
                .into());
        }
        match (&self.trials, has(Trial)) {
            (None, true) => {
                let advice = "add [trials] with a file that has an image number per trial";
                Err(self
                    .mismatch("trials", "the image number of each trial", "none", advice)
                    .into())
            }
            (Some(_), false) => {
                let advice = "remove [trials], or name the axis trial";
                Err(self
                    .mismatch(
                        "trials",
                        "none, since responses have an axis of images",
                        "a file",
                        advice,
                    )
                    .into())
            }
            _ => Ok(()),
        }
    }

    /// Checks that signals have the axes of the responses, with `signal` instead of `neuron`.
    fn check_signals(&self, key: &str, signals: Option<&Signals>) -> Result<()> {
        let Some(Signals { axes, .. }) = signals else { return Ok(()) };
        let of_responses = |axis: &ResponseAxis| match axis {
            ResponseAxis::Neuron => SignalAxis::Signal,
            ResponseAxis::Image => SignalAxis::Image,
            ResponseAxis::Repeat => SignalAxis::Repeat,
            ResponseAxis::Trial => SignalAxis::Trial,
        };
        let wanted: Vec<SignalAxis> = self.responses.axes.iter().map(of_responses).collect();
        if wanted.len() == axes.len() && wanted.iter().all(|axis| axes.contains(axis)) {
            return Ok(());
        }
        let expected = format!("{wanted:?} in any order, like the responses").to_lowercase();
        let advice = "use each axis once; a signal is a quantity such as pupil size";
        Err(self
            .mismatch(&format!("{key}.axes"), expected, format!("{axes:?}").to_lowercase(), advice)
            .into())
    }
}
