//! NWB 1 files of the Allen Brain Observatory, with the known paths of AllenSDK's
//! `BrainObservatoryNwbDataSet`.

use super::Parts;
use super::behavior::Behavior;
use super::file::File;
use super::presentations::{Presentations, numbers};
use super::responses::{Known, Responses, told};
use super::series::Series;
use super::templates::Template;
use crate::Result;
use crate::import::Account;
use crate::import::asked::Asked;
use crate::import::settings::NwbSettings;

const PIPELINE: &str = "processing/brain_observatory_pipeline";
const PRESENTATION: &str = "stimulus/presentation/natural_scenes_stimulus";
const TEMPLATE: &str = "stimulus/templates/natural_scenes_image_stack";
/// Largest difference between the two clocks of presentations in seconds: a few frames.
const CLOCKS: f64 = 0.25;

pub(super) fn read(
    file: &File,
    asked: Asked,
    settings: &NwbSettings,
    account: &mut Account,
) -> Result<Parts> {
    for (flag, is_there) in [
        ("responses", !settings.responses.is_empty()),
        ("presentations", settings.presentations.is_some()),
        ("images", settings.images.is_some()),
        ("column", settings.column.is_some()),
    ] {
        if is_there {
            let advice =
                ["remove it: NWB 1 files are read by the fixed paths of the Brain Observatory"; 2];
            return Err(asked.mismatch(flag, "no such setting for NWB 1", "one", advice).into());
        }
    }
    if !file.input.has(&format!("{PRESENTATION}/data"))? {
        let stimuli: Vec<&str> =
            file.objects.within("stimulus/presentation").map(|group| group.name()).collect();
        let expected = "natural_scenes_stimulus, as in session B of the Brain Observatory";
        let found = if stimuli.is_empty() { "none".to_owned() } else { stimuli.join(", ") };
        let advice = "only NWB 1 files of the Brain Observatory with natural scenes are supported: fetch session B";
        return Err(file.input.mismatch("stimulus/presentation", expected, found, advice).into());
    }
    let series =
        Series::open(&file.input, &format!("{PIPELINE}/DfOverF/imaging_plane_1"), None)?.unscaled();
    let text = |name: &str| -> Result<String> {
        let path = format!("general/optophysiology/imaging_plane_1/{name}");
        Ok(if file.input.has(&path)? {
            file.input.strings(&path)?.concat()
        } else {
            "unknown".to_owned()
        })
    };
    let ids = format!("{PIPELINE}/ImageSegmentation/cell_specimen_ids");
    let known = Known {
        unit_ids: match file.input.has(&ids)? {
            true => file.input.numbers(&ids, &[Some(series.signals)])?.integers()?,
            false => (1..=series.signals as i64).collect(),
        },
        area: text("location")?,
        layer: text("imaging depth")?,
    };
    told(&series, account);
    let presentations = presentations(file, &series, account)?;
    let shown: Vec<&str> = file
        .objects
        .within("stimulus/presentation")
        .map(|group| group.name())
        .filter(|name| !PRESENTATION.ends_with(name))
        .collect();
    if !shown.is_empty() {
        account.dropped_as(format!("other stimuli: {}", shown.join(", ")));
    }
    let optional = |path: String, columns: usize| -> Result<Option<Series>> {
        let data = format!("{path}/data");
        if !file.input.has(&data)? {
            return Ok(None);
        }
        let series = Series::open(&file.input, &path, None)?.unscaled();
        if series.signals != columns {
            let (expected, found) = (format!("{columns} columns"), series.signals.to_string());
            return Err(file.input.mismatch(&data, expected, found, "fetch the file again").into());
        }
        Ok(Some(series))
    };
    let behavior = Behavior {
        running: optional(format!("{PIPELINE}/BehavioralTimeSeries/running_speed"), 1)?,
        size: optional(format!("{PIPELINE}/PupilTracking/pupil_size"), 1)?,
        center: optional(format!("{PIPELINE}/EyeTracking/pupil_location"), 2)?,
    };
    Ok(Parts {
        presentations,
        responses: vec![(Responses::Traces(Box::new(series)), known)],
        behavior,
    })
}

/// Onsets are given as frames of dF/F; if there are timestamps as well, both must agree.
fn presentations(file: &File, responses: &Series, account: &mut Account) -> Result<Presentations> {
    let (data, frames) = (format!("{PRESENTATION}/data"), format!("{PRESENTATION}/frame_duration"));
    let template = Template::of_stack(file, TEMPLATE)?;
    let stored = file.input.numbers(&data, &[None])?.doubles()?;
    let images = numbers(file, &data, &stored, template.count)?;
    let starts = file.input.numbers(&frames, &[Some(stored.len()), Some(2)])?.doubles()?;
    let samples = responses.clock.samples();
    let onset = |(trial, pair): (usize, &[f64; 2])| match pair[0] >= 0.0
        && pair[0].fract() == 0.0
        && pair[0] < samples as f64
    {
        true => Ok(responses.clock.time(pair[0] as usize)),
        false => {
            let expected = format!("frames among the {samples} of dF/F");
            let advice = "the file may mix two sessions: fetch it again";
            Err(file.input.mismatch(&frames, expected, format!("{} at {trial}", pair[0]), advice))
        }
    };
    let onsets = starts
        .as_chunks()
        .0
        .iter()
        .enumerate()
        .map(onset)
        .collect::<std::result::Result<Vec<f64>, _>>()?;
    account.took("onsets from frame_duration: the dF/F frame at each image onset");
    let timestamps = format!("{PRESENTATION}/timestamps");
    if file.input.has(&timestamps)? {
        let times = file.input.numbers(&timestamps, &[Some(onsets.len())])?.doubles()?;
        let is_near = |trial: usize| (times[trial] - onsets[trial]).abs() <= CLOCKS;
        if let Some(trial) = (0..onsets.len()).find(|trial| !is_near(*trial)) {
            let expected = format!("times within {CLOCKS} s of the dF/F frames");
            let found =
                format!("{} at {trial}, where the frame has {}", times[trial], onsets[trial]);
            let advice = "the clocks of the stimulus and of dF/F disagree: fetch the file again";
            return Err(file.input.mismatch(&timestamps, expected, found, advice).into());
        }
    }
    let shown: Vec<usize> = (0..images.len()).filter(|trial| images[*trial].is_some()).collect();
    if shown.len() < images.len() {
        let (blanks, count) = (images.len() - shown.len(), images.len());
        account
            .dropped_as(format!("{blanks} of {count} presentations that show a blank or no image"));
    }
    Ok(Presentations {
        trial: shown.iter().map(|trial| *trial as i64).collect(),
        onset: shown.iter().map(|trial| onsets[*trial]).collect(),
        image: shown.iter().filter_map(|trial| images[*trial]).collect(),
        template,
    })
}
