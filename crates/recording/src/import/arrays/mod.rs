//! Imports arrays and pictures that a [`Layout`] describes.

mod images;
mod layout;
mod signals;
mod tiers;
mod told;
mod trials;

pub use layout::Layout;

use super::{Account, Imported};
use crate::scan::name_of;
use crate::{Neurons, Origin, Result, Scan, ScanParts};
use std::path::Path;

/// Reads the arrays in a layout, whose paths are relative to the layout.
///
/// Responses are `.npy`, `.npz` or HDF5 (MATLAB 7.3: axes as MATLAB displays them). Images are
/// arrays of these kinds, or PNG and JPEG pictures in a folder or `.zip`, in natural order of their
/// names. A trial in which all responses are NaN was not recorded and is dropped; if only some are
/// NaN, the import fails. Trials with NaN in behavior or pupil are dropped, too.
///
/// # Errors
/// Returns an error if [`Layout::read`] fails, if a file is missing, truncated, damaged or of
/// another kind, if axes, counts and tiers do not match, if a value is NaN or out of range, if the
/// layout does not state color, range or tiers where they are needed, or if [`Scan::new`] fails.
pub fn arrays(layout: &Path) -> Result<Imported> {
    let _span = tracing::info_span!("import_arrays", layout = %layout.display()).entered();
    let path = layout;
    let layout = Layout::read(path)?;
    let mut account = Account::default();
    let recorded = trials::open(&layout, &mut account)?;
    let images = images::read(&layout, recorded.images(), &mut account)?;
    let mut trials = recorded.trials(&layout, &mut account)?;
    let (behavior, pupil_center) = signals::read(&layout, &mut trials, &mut account)?;
    let count = images.distinct.len();
    if let Some(trial) = trials.image.iter().position(|image| *image >= count) {
        let first = layout.first_image;
        let (expected, found) = (
            format!("an image number from {first} to {}, for {count} images", count + first - 1),
            trials.image[trial] + first,
        );
        let advice = "correct it, or set first_image to the number of the first image";
        let found = format!("{found} in trial {}", trials.place[trial]);
        return Err(layout.mismatch("trials", expected, found, advice).into());
    }
    let tiers = tiers::of_trials(&layout, &trials, count, &mut account)?;
    let trial_image = trials.image.iter().map(|image| images.distinct[*image]).collect();
    let neurons = trials.responses.ncols();
    let unnamed = Neurons::unnamed(neurons);
    let neurons = match &layout.area {
        Some(area) => Neurons::new(
            unnamed.unit_ids().to_vec(),
            vec![area.clone(); neurons],
            unnamed.layer().to_vec(),
            None,
        )?,
        None => unnamed,
    };
    let scan = Scan::new(ScanParts {
        name: name_of(path),
        stimuli: images.stimuli,
        image_labels: Some(images.labels),
        trial_image,
        tiers,
        responses: trials.responses,
        behavior,
        pupil_center,
        neurons,
        trial_idx: None,
        origin: Origin::default(),
    });
    Ok(Imported { scan: scan.map_err(|error| error.inside(path))?, account })
}
