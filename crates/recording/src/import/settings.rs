//! Import settings for what a recording does not state.

use crate::{Error, Result};
use serde::Deserialize;
use std::path::PathBuf;
use std::str::FromStr;

/// The window after image onset over which responses are averaged. The default follows Walker et
/// al. 2019: 0.5 s, starting 0.05 s after onset.
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
    /// A window that starts `lag` seconds after onset and lasts `length` seconds.
    ///
    /// # Errors
    /// Returns [`Error::Size`] if the lag is not finite or the length is not above 0.
    pub fn new(lag: f64, length: f64) -> Result<Self> {
        if lag.is_finite() && length.is_finite() && length > 0.0 {
            return Ok(Self { lag, length });
        }
        let (expected, found) = (
            "a finite lag and a length above 0, in seconds".into(),
            format!("a lag of {lag} and a length of {length}"),
        );
        Err(Error::Size { what: "window", expected, found })
    }

    /// Start and end of the window for an image with this onset.
    pub(super) fn after(self, onset: f64) -> [f64; 2] {
        let from = onset + self.lag;
        [from, from + self.length]
    }

    /// The middle of the window.
    pub(super) fn middle_after(self, onset: f64) -> f64 {
        onset + self.lag + self.length / 2.0
    }

    /// Describes the window in words.
    pub(super) fn sentence(self) -> String {
        format!("from {} s after image onset, for {} s", self.lag, self.length)
    }
}

/// How many images to draw for each tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TierCounts {
    /// To fit models.
    pub train: usize,
    /// To decide when to stop fitting.
    pub validation: usize,
    /// To test models; drawn among the images with repeats.
    pub test: usize,
    /// Seed of the draw.
    pub seed: u64,
}

/// An axis of an image array.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImageAxis {
    /// Images.
    Image,
    /// Rows of pixels.
    Height,
    /// Columns of pixels.
    Width,
    /// Gray; or red, green, blue.
    Channel,
    /// All pixels, row-major.
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
                let (expected, found) =
                    ("image, height, width, channel or pixel".into(), format!("{other:?}"));
                return Err(Error::Size { what: "axes of images", expected, found });
            }
        })
    }
}

/// How to convert the images of a recording.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ImageSettings {
    /// Height and width to average down to; by default the size is kept.
    pub size: Option<[usize; 2]>,
    /// The pixel values of black and white; by default 0 and 255 for bytes.
    pub range: Option<[f64; 2]>,
    /// The axes, if the recording leaves them ambiguous.
    pub axes: Option<Vec<ImageAxis>>,
    /// Whether to convert color to luma.
    pub luma: bool,
}

/// Settings that no recording states.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The window over which responses are averaged.
    pub window: Window,
    /// The number of images per tier; without it, the import fails with the number of images.
    pub tiers: Option<TierCounts>,
    /// How to convert the images.
    pub images: ImageSettings,
    /// Whether to import running and pupil if available.
    pub behavior: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            window: Window::default(),
            tiers: None,
            images: ImageSettings::default(),
            behavior: true,
        }
    }
}

/// What to import from an NWB file. Names are paths of groups and tables in the file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NwbSettings {
    /// Settings of every format.
    pub common: Settings,
    /// Series of responses (one per plane) or the table of units; by default the only one, or dF/F
    /// among several.
    pub responses: Vec<String>,
    /// The series or table of presentations; by default the only one.
    pub presentations: Option<String>,
    /// The images to which a table of intervals refers; by default the only ones.
    pub images: Option<String>,
    /// The column of a table with image names or numbers; by default one with a common name.
    pub column: Option<String>,
}

/// Traces of suite2p.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Traces {
    /// Deconvolved: `spks.npy`.
    #[default]
    Spikes,
    /// `F.npy` minus 0.7 times `Fneu.npy`.
    Fluorescence,
}

/// The unit of the first column in a table of onsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnsetUnit {
    /// Seconds after the first frame.
    Seconds,
    /// Frames of the recording (volumes if there are several planes), from 0; fractions are
    /// allowed.
    Frames,
}

/// What a suite2p folder does not state.
#[derive(Clone, Debug, PartialEq)]
pub struct Suite2pSettings {
    /// Settings of every format.
    pub common: Settings,
    /// The table of onsets: `.csv` with the columns `seconds` or `frame`, and `image`; or `.npy`
    /// with two columns, onset and image.
    pub onsets: PathBuf,
    /// The unit of onsets in `.npy`.
    pub unit: Option<OnsetUnit>,
    /// The images to which the table refers.
    pub images: PathBuf,
    /// Volumes per second: the sampling rate of each plane.
    pub rate: f64,
    /// Which traces to use.
    pub traces: Traces,
    /// The number of the first image: 0, or 1 as in MATLAB.
    pub first_image: usize,
}
