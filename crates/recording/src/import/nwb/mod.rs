//! Neurodata Without Borders files with image presentations: NWB 2 files, read by the types of
//! their objects, and the NWB 1 files of the Allen Brain Observatory.

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

/// The parts of a file that make up a scan.
struct Parts {
    presentations: Presentations,
    responses: Vec<(Responses, Known)>,
    behavior: Behavior,
}

/// Reads a file of NWB 2, or an NWB 1 file of the Allen Brain Observatory.
///
/// Presentations come from an `IndexSeries`, from a series of images, or from a table of intervals
/// with a column of image names or numbers; images are those it refers to, in the order that the
/// file states. Responses are means of a `RoiResponseSeries` over the window after onset, or counts
/// of spikes of `Units` in it. Blanks (-1, also if stored unsigned), presentations beyond a
/// recording, and presentations with NaN are dropped and counted.
///
/// # Errors
/// Returns an error if the file is truncated or not NWB, if several series or tables are candidates
/// and none is chosen, if axes, order or range of the images are ambiguous and not set, if times
/// are missing, not finite or decreasing, if an index has no image, if most presentations lie
/// beyond the recording (clocks disagree), if the stimulus is a movie, or if the scan is invalid.
pub fn nwb(path: &Path, settings: &NwbSettings) -> Result<Imported> {
    let _span = tracing::info_span!("import_nwb", path = %path.display()).entered();
    foreign::refuse(path)?;
    let input = Input::open(path)?;
    let asked = Asked { path, by_flags: true };
    let mut account = Account::default();
    let version = match input.has("nwb_version").unwrap_or(false) {
        true => input.strings("nwb_version")?.concat(),
        false => input.text_attribute("nwb_version").map_err(|_| {
            let advice =
                "give an NWB file; import other HDF5 files with `import arrays` and a layout";
            input.mismatch("nwb_version", "an NWB file", "HDF5 without an NWB version", advice)
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
    account.assumes(format!("a response is taken from the window {}", window.sentence()));
    let windows: Vec<[f64; 2]> =
        presentations.onset.iter().map(|onset| window.after(*onset)).collect();
    let neurons = responses.iter().map(|(_, known)| known.unit_ids.len()).sum();
    let length = std::fs::metadata(path).map_err(FileError::refused(path, "read"))?.len();
    unpacked::check_rows(path, length, windows.len(), neurons)?;
    let (values, is_within) = responses::in_windows(&responses, &windows)?;
    let (behavior, pupil_center) = match settings.common.behavior {
        true => behavior.in_windows(&windows, &mut account)?,
        false => (None, None),
    };
    let stored =
        presentations.template.read(&file, asked, &settings.common.images, &mut account)?;
    let texts = |of: fn(&Known) -> &String| {
        let of_group =
            |(_, known): &(Responses, Known)| vec![ascii(of(known)); known.unit_ids.len()];
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
        neurons: Neurons::new(
            unit_ids,
            texts(|known| &known.area),
            texts(|known| &known.layer),
            None,
        )?,
    };
    recorded.into_scan(asked, &settings.common, stored, 0, account)
}

/// ASCII text that a scan file can store.
fn ascii(text: &str) -> String {
    let text: String = text
        .chars()
        .filter(|letter| letter.is_ascii() && !letter.is_ascii_control())
        .take(64)
        .collect();
    if text.trim().is_empty() { "unknown".to_owned() } else { text.trim().to_owned() }
}
