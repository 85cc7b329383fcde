//! What a recording does not say, where no layout says it.

use crate::{Error, Result};
use serde::Deserialize;
use std::path::PathBuf;
use std::str::FromStr;

/// The part of a trial over which responses are averaged, as Walker et al. 2019 have it unless said otherwise: 0.5 s from 0.05 s after
/// the image came on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    lag: f64,
    length: f64,
}

impl Default for Window {
    fn default() -> Self {
        Self { lag: 0.05, length: 0.5 }
    }
}

impl Window {
    /// From `lag` seconds after an image came on, for `length` seconds.
    ///
    /// # Errors
    /// A lag that is not finite; a length that is not above 0.
    pub fn new(lag: f64, length: f64) -> Result<Self> {
        if lag.is_finite() && length.is_finite() && length > 0.0 {
            return Ok(Self { lag, length });
        }
        let (expected, found) =
            ("a lag and a length above 0, in seconds".into(), format!("a lag of {lag} and a length of {length}"));
        Err(Error::Size { what: "window", expected, found })
    }

    /// When the window of an image begins and ends that came on at `onset`.
    pub(super) fn after(self, onset: f64) -> [f64; 2] {
        let from = onset + self.lag;
        [from, from + self.length]
    }

    /// When half of it is over.
    pub(super) fn middle_after(self, onset: f64) -> f64 {
        onset + self.lag + self.length / 2.0
    }

    /// In words.
    pub(super) fn sentence(self) -> String {
        format!("from {} s after an image came on, for {} s", self.lag, self.length)
    }
}

/// How many images of each tier are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TierCounts {
    /// To fit models on.
    pub train: usize,
    /// To decide when to stop fitting.
    pub validation: usize,
    /// To test on; these are drawn among the images with repeats.
    pub test: usize,
    /// By which they are drawn.
    pub seed: u64,
}

/// An axis of an array of images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImageAxis {
    /// One image after the other.
    Image,
    /// Rows of pixels.
    Height,
    /// Columns of pixels.
    Width,
    /// Gray; or red, green, blue.
    Channel,
    /// All pixels, row after row.
    Pixel,
}

impl FromStr for ImageAxis {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Ok(match name {
            "image" => Self::Image,
            "height" => Self::Height,
            "width" => Self::Width,
            "channel" => Self::Channel,
            "pixel" => Self::Pixel,
            other => {
                let (expected, found) = ("image, height, width, channel or pixel".into(), format!("{other:?}"));
                return Err(Error::Size { what: "axes of images", expected, found });
            }
        })
    }
}

/// What is made of the images of a recording.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ImageSettings {
    /// Height and width to average down to; left out: as they are.
    pub size: Option<[usize; 2]>,
    /// The values of black and white; left out for bytes, of which they are 0 and 255.
    pub range: Option<[f64; 2]>,
    /// The axes, where the recording leaves them in doubt.
    pub axes: Option<Vec<ImageAxis>>,
    /// Whether color becomes luma.
    pub luma: bool,
}

/// What no recording says.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Over what responses are averaged.
    pub window: Window,
    /// How the images are divided; without it the import is refused, and says how many there are.
    pub tiers: Option<TierCounts>,
    /// What is made of the images.
    pub images: ImageSettings,
    /// Whether running and pupil are taken, where there are such.
    pub behavior: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { window: Window::default(), tiers: None, images: ImageSettings::default(), behavior: true }
    }
}

/// What is taken of an NWB file. Names are those of groups and tables in the file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NwbSettings {
    /// What holds for every recording.
    pub common: Settings,
    /// Series of responses (one for each plane) or the table of units; empty: the only one, or dF/F among several.
    pub responses: Vec<String>,
    /// What says which image was shown when; left out: the only one.
    pub presentations: Option<String>,
    /// Images that a table of intervals means; left out: the only ones.
    pub images: Option<String>,
    /// The column of a table that names or numbers the image of a row; left out: one of the usual name.
    pub column: Option<String>,
}

/// Traces of suite2p.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Traces {
    /// Deconvolved: `spks.npy`.
    #[default]
    Spikes,
    /// `F.npy` less 0.7 times `Fneu.npy`.
    Fluorescence,
}

/// What the first column of a table of onsets counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnsetUnit {
    /// Seconds after the first frame.
    Seconds,
    /// Frames of the recording (volumes, where there are several planes), from 0; parts of one are allowed.
    Frames,
}

/// What the folder of suite2p does not say.
#[derive(Clone, Debug, PartialEq)]
pub struct Suite2pSettings {
    /// What holds for every recording.
    pub common: Settings,
    /// The table of onsets: `.csv` whose head names the columns `seconds` or `frame`, and `image`; or `.npy` of two columns, onset and image.
    pub onsets: PathBuf,
    /// What `.npy` counts onsets in.
    pub unit: Option<OnsetUnit>,
    /// The images that it numbers or names.
    pub images: PathBuf,
    /// Volumes a second: how often each plane was sampled.
    pub rate: f64,
    /// What a response is made of.
    pub traces: Traces,
    /// The number of the first image: 0, or 1 as MATLAB counts.
    pub first_image: usize,
}
