//! One recording session: what was shown, in which trial, and what every neuron did.

use crate::{Error, Neurons, Result, Tier};
use brainprior_images::StimulusSet;
use ndarray::Array2;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// Where a scan comes from, in the terms of the lab's data key `animal-session-scan`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The animal.
    pub animal_id: i64,
    /// The session of that animal.
    pub session: i64,
    /// The scan of that session.
    pub scan_idx: i64,
}

/// What a [`Scan`] is made of, unchecked.
#[derive(Clone, Debug)]
pub struct ScanParts {
    /// Name of the scan, such as its file without the ending.
    pub name: String,
    /// The distinct images.
    pub stimuli: StimulusSet,
    /// For each image, the number by which its source knows it (`frame_image_id`), where there is one; all distinct.
    pub image_labels: Option<Vec<i64>>,
    /// For each trial, which of the images was shown.
    pub trial_image: Vec<usize>,
    /// For each trial, what it is for.
    pub tiers: Vec<Tier>,
    /// `[trials, neurons]`: activity integrated over the presentation, in arbitrary units of each neuron.
    pub responses: Array2<f32>,
    /// `[trials, k]`: pupil dilation, its derivative, running speed.
    pub behavior: Option<Array2<f32>>,
    /// `[trials, 2]`: horizontal and vertical position of the pupil, camera pixels.
    pub pupil_center: Option<Array2<f32>>,
    /// The neurons, in the order of the columns of `responses`.
    pub neurons: Neurons,
    /// For each trial, when it was presented (0 is the first); `None` where the rows are in that order.
    pub trial_idx: Option<Vec<i64>>,
    /// Animal, session and scan.
    pub origin: Origin,
}

/// A scan that holds together: every trial names an existing image, all arrays have one row a trial, all numbers are
/// finite, and every image belongs to one tier.
#[derive(Clone, Debug)]
pub struct Scan {
    parts: ScanParts,
}

impl Scan {
    /// Checks `parts` and makes a scan of them. Images that no trial shows are allowed.
    ///
    /// # Errors
    /// No trial or no neuron; lengths that differ; one label for two images; a trial of an image that does not exist; a response, a behaviour or a
    /// pupil position that is not finite (row and column are named); one image in two tiers.
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
                    expected: format!("{trials} rows, as responses"),
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
        if let Some(found) = parts.image_labels.as_ref().map(Vec::len).filter(|found| *found != images) {
            return Err(Error::Size {
                what: "labels of the images",
                expected: format!("{images}, one for each distinct image"),
                found: found.to_string(),
            });
        }
        let mut first = HashMap::new();
        for (second, label) in parts.image_labels.iter().flatten().enumerate() {
            if let Some(first) = first.insert(*label, second) {
                return Err(Error::Label { label: *label, first, second });
            }
        }
        if let Some(columns) = parts.pupil_center.as_ref().map(Array2::ncols).filter(|columns| *columns != 2) {
            return Err(Error::Size { what: "columns of pupil_center", expected: "2".into(), found: columns.to_string() });
        }
        if let Some(trial) = parts.trial_image.iter().position(|image| *image >= images) {
            return Err(Error::Image { trial, found: parts.trial_image[trial], images });
        }
        if let Some(((row, neuron), found)) = parts.responses.indexed_iter().find(|(_, value)| !value.is_finite()) {
            return Err(Error::Response { row, neuron, unit: parts.neurons.unit_ids()[neuron], found: *found });
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

    /// The scan under another name.
    #[must_use]
    pub fn with_name(mut self, name: String) -> Self {
        self.parts.name = name;
        self
    }

    /// The distinct images.
    pub fn stimuli(&self) -> &StimulusSet {
        &self.parts.stimuli
    }

    /// For each of [`Scan::stimuli`], the number by which its source knows it (`frame_image_id`), where there is one.
    pub fn image_labels(&self) -> Option<&[i64]> {
        self.parts.image_labels.as_deref()
    }

    /// For each trial, the index of its image in [`Scan::stimuli`].
    pub fn trial_image(&self) -> &[usize] {
        &self.parts.trial_image
    }

    /// For each trial, what it is for.
    pub fn tiers(&self) -> &[Tier] {
        &self.parts.tiers
    }

    /// Responses `[trials, neurons]`, all finite, in arbitrary units of each neuron.
    pub fn responses(&self) -> &Array2<f32> {
        &self.parts.responses
    }

    /// Behaviour `[trials, k]`: pupil dilation, its derivative, running speed.
    pub fn behavior(&self) -> Option<&Array2<f32>> {
        self.parts.behavior.as_ref()
    }

    /// Position of the pupil `[trials, 2]`: horizontal, vertical, camera pixels.
    pub fn pupil_center(&self) -> Option<&Array2<f32>> {
        self.parts.pupil_center.as_ref()
    }

    /// The neurons, in the order of the columns of the responses.
    pub fn neurons(&self) -> &Neurons {
        &self.parts.neurons
    }

    /// For each trial, when it was presented, where that differs from the order of the rows.
    pub fn trial_idx(&self) -> Option<&[i64]> {
        self.parts.trial_idx.as_deref()
    }

    /// Animal, session and scan.
    pub fn origin(&self) -> Origin {
        self.parts.origin
    }

    /// The trials of a tier, ascending.
    pub fn trials_in(&self, tier: Tier) -> Vec<usize> {
        (0..self.parts.tiers.len()).filter(|trial| self.parts.tiers[*trial] == tier).collect()
    }

    /// The oracle images: those shown in two trials or more of tier test, each with its trials (ascending).
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

/// What a scan is called that comes from a file or folder: its name without the ending.
pub(crate) fn name_of(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

pub(crate) fn all_finite(what: &'static str, array: &Array2<f32>) -> Result<()> {
    match array.indexed_iter().find(|(_, value)| !value.is_finite()) {
        Some(((row, column), found)) => Err(Error::NotFinite { what, row, column, found: *found }),
        None => Ok(()),
    }
}
