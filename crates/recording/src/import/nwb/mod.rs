//! Files of Neurodata Without Borders in which images were shown: those of NWB 2, by the types of what they hold, and the NWB 1 files of the
//! Allen Brain Observatory.

mod allen1;
mod behavior;
mod file;
mod presentations;
mod responses;
mod series;
mod templates;

use super::asked::Asked;
use super::recorded::Recorded;
use super::settings::NwbSettings;
use super::{Account, Imported, foreign};
use crate::{Neurons, Result};
use behavior::Behavior;
use brainprior_artifact::hdf5::{Input, Objects};
use brainprior_artifact::{FileError, unpacked};
use file::File;
use presentations::Presentations;
use responses::{Known, Responses};
use std::path::Path;

/// What of a file a scan is made of.
struct Parts {
    presentations: Presentations,
    responses: Vec<(Responses, Known)>,
    behavior: Behavior,
}

/// Reads a file of NWB 2, or an NWB 1 file of the Allen Brain Observatory.
///
/// Which image was shown when is told by an `IndexSeries`, by a series of images, or by a table of intervals with a column of their names or
/// numbers; images are those that it refers to, in the order that the file states. Responses are means of a `RoiResponseSeries` over the
/// window after onset, or spikes of `Units` in it. Blanks (-1, also where the sign was lost), presentations beyond a recording, and those without a
/// number are dropped and counted.
///
/// # Errors
/// A file that is cut short or no such file; several series or tables of which it is not said which; axes, order or range of images that the file
/// leaves in doubt and nobody says; times that are missing, not finite or decrease; indices that no image has; most presentations
/// beyond the recording: clocks that disagree; movies; and all that a scan refuses.
pub fn nwb(path: &Path, settings: &NwbSettings) -> Result<Imported> {
    let _span = tracing::info_span!("import_nwb", path = %path.display()).entered();
    foreign::refuse(path)?;
    let input = Input::open(path)?;
    let asked = Asked { path, by_flags: true };
    let mut account = Account::default();
    let version = match input.has("nwb_version").unwrap_or(false) {
        true => input.strings("nwb_version")?.concat(),
        false => input.text_attribute("nwb_version").map_err(|_| {
            let advice = "name an NWB file; other HDF5 comes in by import arrays and a layout";
            input.mismatch("nwb_version", "an NWB file", "HDF5 without a version of NWB", advice)
        })?,
    };
    let objects = Objects::of(&input, "neurodata_type")?;
    let file = File { input, objects };
    account.took(format!("an NWB file of version {}", version.trim_start_matches("NWB-")));
    let parts = match version.trim_start_matches("NWB-").starts_with('1') {
        true => allen1::read(&file, asked, settings, &mut account)?,
        false => {
            let presentations = presentations::read(&file, asked, settings, &mut account)?;
            let responses = responses::read(&file, asked, &settings.responses, &mut account)?;
            Parts { presentations, responses, behavior: behavior::find(&file, &mut account)? }
        }
    };
    let Parts { presentations, responses, behavior } = parts;
    let window = settings.common.window;
    account.assumes(format!("a response is that of the window {}", window.sentence()));
    let windows: Vec<[f64; 2]> = presentations.onset.iter().map(|onset| window.after(*onset)).collect();
    let neurons = responses.iter().map(|(_, known)| known.unit_ids.len()).sum();
    let length = std::fs::metadata(path).map_err(FileError::refused(path, "read"))?.len();
    unpacked::check_rows(path, length, windows.len(), neurons)?;
    let (values, is_within) = responses::in_windows(&responses, &windows)?;
    let (behavior, pupil_center) = match settings.common.behavior {
        true => behavior.in_windows(&windows, &mut account)?,
        false => (None, None),
    };
    let stored = presentations.template.read(&file, asked, &settings.common.images, &mut account)?;
    let texts = |of: fn(&Known) -> &String| {
        let of_group = |(_, known): &(Responses, Known)| vec![ascii(of(known)); known.unit_ids.len()];
        responses.iter().flat_map(of_group).collect::<Vec<String>>()
    };
    let unit_ids = responses.iter().flat_map(|(_, known)| known.unit_ids.iter().copied()).collect();
    let recorded = Recorded {
        trial: presentations.trial,
        image: presentations.image,
        is_within,
        responses: values,
        behavior,
        pupil_center,
        neurons: Neurons::new(unit_ids, texts(|known| &known.area), texts(|known| &known.layer), None)?,
    };
    recorded.into_scan(asked, &settings.common, stored, 0, account)
}

/// As a scan file can keep it.
fn ascii(text: &str) -> String {
    let text: String = text.chars().filter(|letter| letter.is_ascii() && !letter.is_ascii_control()).take(64).collect();
    if text.trim().is_empty() { "unknown".to_owned() } else { text.trim().to_owned() }
}
