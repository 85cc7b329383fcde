//! A recording session: the images, the trials, and the responses of every neuron.

use crate::{Error, Neurons, Result, Tier};
use brainprior_images::StimulusSet;
use ndarray::Array2;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// The animal, session and scan numbers of the lab's data key `animal-session-scan`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The animal.
    pub animal_id: i64,
    /// The session of that animal.
    pub session: i64,
    /// The scan of that session.
    pub scan_idx: i64,
}

/// The parts of a [`Scan`], unchecked.
#[derive(Clone, Debug)]
pub struct ScanParts {
    /// Name of the scan, usually its file name without the extension.
    pub name: String,
    /// The distinct images.
    pub stimuli: StimulusSet,
    /// For each image, its number in the source (`frame_image_id`), if there is one; all distinct.
    pub image_labels: Option<Vec<i64>>,
    /// For each trial, the index of its image.
    pub trial_image: Vec<usize>,
    /// For each trial, its tier.
    pub tiers: Vec<Tier>,
    /// `[trials, neurons]`: activity integrated over the presentation, in arbitrary units per
    /// neuron.
    pub responses: Array2<f32>,
    /// `[trials, k]`: pupil dilation, its derivative, running speed.
    pub behavior: Option<Array2<f32>>,
    /// `[trials, 2]`: horizontal and vertical position of the pupil, in camera pixels.
    pub pupil_center: Option<Array2<f32>>,
    /// The neurons, in the order of the columns of `responses`.
    pub neurons: Neurons,
    /// For each trial, its position in the order of presentation (from 0); `None` if the rows are
    /// in that order.
    pub trial_idx: Option<Vec<i64>>,
    /// Animal, session and scan.
    pub origin: Origin,
}

/// A valid scan: every trial names an existing image, all arrays have one row per trial, all
/// numbers are finite, and every image belongs to one tier.
#[derive(Clone, Debug)]
pub struct Scan {
    parts: ScanParts,
}

impl Scan {
    /// Checks `parts` and creates a scan. Images without trials are allowed.
    ///
    /// # Errors
    /// Returns an error if there are no trials or neurons, if lengths differ, if two images have
    /// the same label, if a trial names an image that does not exist, if a response, behavior or
    /// pupil position is not finite (the error names row and column), or if an image is in two
    /// tiers.
    pub fn new(parts: ScanParts) -> Result<Self> {
        let (trials, neurons) = parts.responses.dim();
        if trials == 0 || neurons == 0 {
            return Err(Error::Size {
                what: "responses",
                expected: "at least one trial and one neuron".into(),
                found: format!("{trials} x {neurons}"),
            });
        }
        let mut rows = vec![("images", parts.trial_image.len()), ("tiers", parts.tiers.len())];
        rows.extend(parts.behavior.as_ref().map(|behavior| ("behavior", behavior.nrows())));
        rows.extend(parts.pupil_center.as_ref().map(|pupil| ("pupil_center", pupil.nrows())));
        rows.extend(parts.trial_idx.as_ref().map(|order| ("trial_idx", order.len())));
        for (what, found) in rows {
            if found != trials {
                return Err(Error::Size {
                    what,
                    expected: format!("{trials} rows, like responses"),
                    found: format!("{found} rows"),
                });
            }
        }
        if parts.neurons.len() != neurons {
            return Err(Error::Size {
                what: "neurons",
                expected: format!("{neurons}, the columns of responses"),
                found: parts.neurons.len().to_string(),
            });
        }
        let images = parts.stimuli.len();
        if let Some(found) =
            parts.image_labels.as_ref().map(Vec::len).filter(|found| *found != images)
        {
            return Err(Error::Size {
                what: "labels of the images",
                expected: format!("{images}, one per distinct image"),
                found: found.to_string(),
            });
        }
        let mut first = HashMap::new();
        for (second, label) in parts.image_labels.iter().flatten().enumerate() {
            if let Some(first) = first.insert(*label, second) {
                return Err(Error::Label { label: *label, first, second });
            }
        }
        if let Some(columns) =
            parts.pupil_center.as_ref().map(Array2::ncols).filter(|columns| *columns != 2)
        {
            return Err(Error::Size {
                what: "columns of pupil_center",
                expected: "2".into(),
                found: columns.to_string(),
            });
        }
        if let Some(trial) = parts.trial_image.iter().position(|image| *image >= images) {
            return Err(Error::Image { trial, found: parts.trial_image[trial], images });
        }
        if let Some(((row, neuron), found)) =
            parts.responses.indexed_iter().find(|(_, value)| !value.is_finite())
        {
            return Err(Error::Response {
                row,
                neuron,
                unit: parts.neurons.unit_ids()[neuron],
                found: *found,
            });
        }
        parts.behavior.as_ref().map_or(Ok(()), |behavior| all_finite("behavior", behavior))?;
        parts.pupil_center.as_ref().map_or(Ok(()), |pupil| all_finite("pupil_center", pupil))?;
        one_tier_each(&parts)?;
        Ok(Self { parts })
    }

    /// Name of the scan.
    pub fn name(&self) -> &str {
        &self.parts.name
    }

    /// Returns the scan with another name.
    #[must_use]
    pub fn with_name(mut self, name: String) -> Self {
        self.parts.name = name;
        self
    }

    /// The distinct images.
    pub fn stimuli(&self) -> &StimulusSet {
        &self.parts.stimuli
    }

    /// For each of [`Scan::stimuli`], its number in the source (`frame_image_id`), if there is one.
    pub fn image_labels(&self) -> Option<&[i64]> {
        self.parts.image_labels.as_deref()
    }

    /// For each trial, the index of its image in [`Scan::stimuli`].
    pub fn trial_image(&self) -> &[usize] {
        &self.parts.trial_image
    }

    /// For each trial, its tier.
    pub fn tiers(&self) -> &[Tier] {
        &self.parts.tiers
    }

    /// Responses `[trials, neurons]`, all finite, in arbitrary units per neuron.
    pub fn responses(&self) -> &Array2<f32> {
        &self.parts.responses
    }

    /// Behavior `[trials, k]`: pupil dilation, its derivative, running speed.
    pub fn behavior(&self) -> Option<&Array2<f32>> {
        self.parts.behavior.as_ref()
    }

    /// Position of the pupil `[trials, 2]`: horizontal and vertical, in camera pixels.
    pub fn pupil_center(&self) -> Option<&Array2<f32>> {
        self.parts.pupil_center.as_ref()
    }

    /// The neurons, in the order of the columns of the responses.
    pub fn neurons(&self) -> &Neurons {
        &self.parts.neurons
    }

    /// For each trial, its position in the order of presentation, if that differs from the order of
    /// rows.
    pub fn trial_idx(&self) -> Option<&[i64]> {
        self.parts.trial_idx.as_deref()
    }

    /// Animal, session and scan.
    pub fn origin(&self) -> Origin {
        self.parts.origin
    }

    /// The trials of a tier, in ascending order.
    pub fn trials_in(&self, tier: Tier) -> Vec<usize> {
        (0..self.parts.tiers.len()).filter(|trial| self.parts.tiers[*trial] == tier).collect()
    }

    /// The oracle images (two or more trials in the test tier) and their trials, in ascending
    /// order.
    pub fn repeats(&self) -> BTreeMap<usize, Vec<usize>> {
        let mut repeats = BTreeMap::<usize, Vec<usize>>::new();
        for trial in self.trials_in(Tier::Test) {
            repeats.entry(self.parts.trial_image[trial]).or_default().push(trial);
        }
        repeats.retain(|_, trials| trials.len() > 1);
        repeats
    }
}

fn one_tier_each(parts: &ScanParts) -> Result<()> {
    let mut first = vec![None; parts.stimuli.len()];
    for (row, (image, tier)) in parts.trial_image.iter().zip(&parts.tiers).enumerate() {
        let (first_row, first_tier): (usize, Tier) = *first[*image].get_or_insert((row, *tier));
        if first_tier != *tier {
            return Err(Error::TwoTiers {
                image: parts.stimuli.ids()[*image],
                first_row,
                first_tier: first_tier.name(),
                second_row: row,
                second_tier: tier.name(),
            });
        }
    }
    Ok(())
}

/// The name of a scan in a file or folder: the file name without the extension.
pub(crate) fn name_of(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

pub(crate) fn all_finite(what: &'static str, array: &Array2<f32>) -> Result<()> {
    match array.indexed_iter().find(|(_, value)| !value.is_finite()) {
        Some(((row, column), found)) => Err(Error::NotFinite { what, row, column, found: *found }),
        None => Ok(()),
    }
}
