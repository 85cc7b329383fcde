//! Assembles a scan from the windows of presentations.

use super::asked::Asked;
use super::pictures::Stored;
use super::settings::Settings;
use super::{Account, Imported, draw};
use crate::scan::name_of;
use crate::{Neurons, Origin, Result, Scan, ScanParts};
use brainprior_artifact::FileError;
use ndarray::{Array2, Axis};

/// The largest size of the images of all trials in bytes; a scan file stores one image per trial.
const LARGEST: usize = 1 << 31;

/// Responses and signals, one row per presentation of an image; a missing value is NaN.
pub(super) struct Recorded {
    /// Its number among all presentations.
    pub trial: Vec<i64>,
    /// The image, numbered from 0 in the order of the source.
    pub image: Vec<usize>,
    /// Whether the window lies within the recordings.
    pub is_within: Vec<bool>,
    /// `[presentations, neurons]`.
    pub responses: Array2<f64>,
    /// `[presentations, 3]`.
    pub behavior: Option<Array2<f64>>,
    /// `[presentations, 2]`.
    pub pupil_center: Option<Array2<f64>>,
    pub neurons: Neurons,
}

impl Recorded {
    /// Assembles a scan with the images that were shown.
    pub(super) fn into_scan(
        mut self,
        asked: Asked,
        settings: &Settings,
        stored: Stored,
        first_image: usize,
        mut account: Account,
    ) -> Result<Imported> {
        let path = asked.path;
        self.drop_silent(&mut account)?;
        let kept = self.kept(asked, &mut account)?;
        let gray = stored.into_gray(asked, path, settings.images.luma, &mut account)?;
        let small = gray.into_size(asked, path, settings.images.size, &mut account)?;
        let [_, _, height, width] = small.shape;
        if kept.len() * height * width > LARGEST {
            let expected = "images small enough for a file with one per trial";
            let found = format!("{} trials of {height} x {width} pixels", kept.len());
            return Err(asked
                .mismatch("images.size", expected, found, ["for example --size 36,64"; 2])
                .into());
        }
        let images = small.distinct(first_image, &mut account)?;
        let trial_image: Vec<usize> =
            kept.iter().map(|row| images.distinct[self.image[*row]]).collect();
        let mut shown = vec![0; images.stimuli.len()];
        trial_image.iter().for_each(|image| shown[*image] += 1);
        let of_image = draw::asked_for(asked, settings.tiers, &shown, &mut account)?;
        let tiers = trial_image
            .iter()
            .map(|image| of_image[*image].expect("an image with a trial"))
            .collect();
        account.took(format!(
            "{} trials of {} images, {height} x {width}",
            kept.len(),
            shown.iter().filter(|count| **count > 0).count()
        ));
        let narrow =
            |values: &Array2<f64>| values.select(Axis(0), &kept).mapv(|value| value as f32);
        let scan = Scan::new(ScanParts {
            name: name_of(path),
            stimuli: images.stimuli,
            image_labels: Some(images.labels),
            trial_image,
            tiers,
            responses: narrow(&self.responses),
            behavior: self.behavior.as_ref().map(narrow),
            pupil_center: self.pupil_center.as_ref().map(narrow),
            neurons: self.neurons,
            trial_idx: Some(kept.iter().map(|row| self.trial[*row]).collect()),
            origin: Origin::default(),
        });
        Ok(Imported { scan: scan.map_err(|error| error.inside(path))?, account })
    }

    /// Drops neurons without a value in any presentation, if other neurons have values.
    fn drop_silent(&mut self, account: &mut Account) -> Result<()> {
        let within: Vec<usize> = (0..self.image.len()).filter(|row| self.is_within[*row]).collect();
        let has_numbers =
            |neuron: &usize| within.iter().any(|row| self.responses[(*row, *neuron)].is_finite());
        let (kept, silent): (Vec<usize>, Vec<usize>) =
            (0..self.neurons.len()).partition(has_numbers);
        if silent.is_empty() || kept.is_empty() {
            return Ok(());
        }
        let shown: Vec<String> = silent
            .iter()
            .take(5)
            .map(|neuron| self.neurons.unit_ids()[*neuron].to_string())
            .collect();
        let more = if silent.len() > shown.len() { ", ..." } else { "" };
        account.dropped_as(format!(
            "{} neurons without a value in any window: {}{more}",
            silent.len(),
            shown.join(", ")
        ));
        self.responses = self.responses.select(Axis(1), &kept);
        let of = |texts: &[String]| kept.iter().map(|neuron| texts[*neuron].clone()).collect();
        let (area, layer) = (of(self.neurons.area()), of(self.neurons.layer()));
        let unit_ids = kept.iter().map(|neuron| self.neurons.unit_ids()[*neuron]).collect();
        self.neurons = Neurons::new(unit_ids, area, layer, None)?;
        Ok(())
    }

    /// The presentations with all values; an error if they are not the majority.
    fn kept(&self, asked: Asked, account: &mut Account) -> Result<Vec<usize>> {
        let (mut kept, mut beyond, mut lost) =
            (vec![], 0, [("responses", 0), ("behavior", 0), ("the pupil center", 0)]);
        for row in 0..self.image.len() {
            let missing = |values: &Array2<f64>| {
                values.row(row).iter().any(|value| !(*value as f32).is_finite())
            };
            let is_lost = [
                missing(&self.responses),
                self.behavior.as_ref().is_some_and(missing),
                self.pupil_center.as_ref().is_some_and(missing),
            ];
            match is_lost.iter().position(|is_lost| *is_lost) {
                _ if !self.is_within[row] => beyond += 1,
                Some(place) => lost[place].1 += 1,
                None => kept.push(row),
            }
        }
        if beyond > 0 {
            account.dropped_as(format!(
                "{beyond} presentations whose window extends beyond a recording or contains none of its samples"
            ));
        }
        for (what, count) in lost.iter().filter(|(_, count)| *count > 0) {
            account.dropped_as(format!("{count} presentations with non-finite {what}"));
        }
        if 2 * kept.len() <= self.image.len() {
            let expected = format!(
                "most of the {} presentations of images within all recordings and with finite values",
                self.image.len()
            );
            let gone = lost
                .iter()
                .filter(|(_, count)| *count > 0)
                .map(|(what, count)| format!(", {count} with non-finite {what}"));
            let found = format!(
                "{} of them, {beyond} beyond a recording{}",
                kept.len(),
                gone.collect::<String>()
            );
            let advice = "check that onsets and samples use the same clock; --no-behavior leaves out running and pupil";
            return Err(
                FileError::mismatch(asked.path, "presentations", expected, found, advice).into()
            );
        }
        Ok(kept)
    }
}
