//! Folders of suite2p, with a table of image onsets.

mod onsets;
mod traces;

use super::asked::Asked;
use super::clock::Clock;
use super::pictures::{Stored, of_array, of_files, pictures_in};
use super::recorded::Recorded;
use super::settings::{OnsetUnit, Suite2pSettings, Traces};
use super::{Account, Imported, foreign, source};
use crate::{Neurons, Result};
use brainprior_artifact::FileError;
use brainprior_images::by_number;
use ndarray::Array2;
use onsets::{Onsets, Shown};
use rayon::prelude::*;
use std::path::{Path, PathBuf};
use traces::{Rows, cells, mean_of};

/// The default factor with which suite2p subtracts the neuropil trace from that of a cell.
const NEUROPIL: f64 = 0.7;

/// Reads the cells of each plane in a suite2p output folder (`suite2p`, its parent, or one of its
/// planes).
///
/// A response is the mean of a cell's deconvolved trace over the window after onset. `ops.npy` and
/// `stat.npy` are pickles, which are programs, and are not opened; the rate must therefore be
/// given.
///
/// # Errors
/// Returns an error if a file is missing, truncated or does not match the shape of the others, if
/// the table of onsets lacks a column or names an image that does not exist, if the rate is not
/// above 0, if most onsets lie beyond the recording, or if the scan is invalid.
pub fn suite2p(folder: &Path, settings: &Suite2pSettings) -> Result<Imported> {
    let _span = tracing::info_span!("import_suite2p", folder = %folder.display()).entered();
    foreign::refuse(folder)?;
    let asked = Asked { path: folder, by_flags: true };
    let mut account = Account::default();
    let rate = settings.rate;
    if !(rate.is_finite() && rate > 0.0) {
        let expected = "the number of volumes recorded per second";
        let advice = "it is fs in ops.npy (settings.npy since suite2p 1): numpy.load(FILE, allow_pickle=True).item()[\"fs\"]";
        return Err(asked.mismatch("rate", expected, rate.to_string(), [advice; 2]).into());
    }
    let onsets = onsets::read(asked, &settings.onsets, settings.unit, &mut account)?;
    let (stored, names) = images(asked, settings, &mut account)?;
    let (trial, image) = shown(settings, &onsets, stored.shape[0], &names, &mut account)?;
    let window = settings.common.window;
    let seconds = |trial: &i64| match onsets.unit {
        OnsetUnit::Seconds => onsets.at[*trial as usize],
        OnsetUnit::Frames => onsets.at[*trial as usize] / rate,
    };
    let windows: Vec<[f64; 2]> = trial.iter().map(|trial| window.after(seconds(trial))).collect();
    let measure = match settings.traces {
        Traces::Spikes => "the deconvolved trace".to_owned(),
        Traces::Fluorescence => format!("F minus {NEUROPIL} times Fneu"),
    };
    account.assumes(format!("a response is the mean of {measure} {}", window.sentence()));
    account.assumes(format!(
        "sample 0 of every plane is at 0 s, and there are {rate} samples per second"
    ));
    let mut columns: Vec<Vec<f64>> = vec![];
    let mut is_within = vec![true; windows.len()];
    for plane in planes(folder)? {
        columns.extend(of_plane(&plane, settings, &windows, &mut is_within, &mut account)?);
    }
    let neurons = columns.len();
    let responses =
        Array2::from_shape_fn((windows.len(), neurons), |(window, neuron)| columns[neuron][window]);
    let neurons = Neurons::unnamed(neurons);
    let recorded = Recorded {
        trial,
        image,
        is_within,
        responses,
        behavior: None,
        pupil_center: None,
        neurons,
    };
    recorded.into_scan(asked, &settings.common, stored, settings.first_image, account)
}

/// The folders `plane0`, `plane1`, ... in order, or the folder itself if it is a plane.
fn planes(folder: &Path) -> Result<Vec<PathBuf>> {
    if folder.join("F.npy").exists() || folder.join("spks.npy").exists() {
        return Ok(vec![folder.to_owned()]);
    }
    let inner = folder.join("suite2p");
    let folder = if inner.is_dir() { &inner } else { folder };
    let listed =
        std::fs::read_dir(folder).and_then(|entries| entries.collect::<std::io::Result<Vec<_>>>());
    let mut names: Vec<String> = listed
        .map_err(FileError::refused(folder, "list"))?
        .iter()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| {
            name.strip_prefix("plane").is_some_and(|number| number.parse::<usize>().is_ok())
        })
        .collect();
    names.sort_by(|left, right| by_number(left, right));
    if names.is_empty() {
        let advice = "give the folder that suite2p wrote";
        return Err(FileError::mismatch(
            folder,
            "planes",
            "plane0, plane1, ..., or spks.npy",
            "none",
            advice,
        )
        .into());
    }
    Ok(names.iter().map(|name| folder.join(name)).collect())
}

/// One column per cell with a value per window; NaN if the window extends beyond the plane's
/// samples.
fn of_plane(
    plane: &Path,
    settings: &Suite2pSettings,
    windows: &[[f64; 2]],
    is_within: &mut [bool],
    account: &mut Account,
) -> Result<Vec<Vec<f64>>> {
    let (rows, neuropil) = match settings.traces {
        Traces::Spikes => (Rows::open(&plane.join("spks.npy"))?, None),
        Traces::Fluorescence => {
            (Rows::open(&plane.join("F.npy"))?, Some(Rows::open(&plane.join("Fneu.npy"))?))
        }
    };
    if let Some(neuropil) = &neuropil {
        neuropil.check_same(&rows)?;
    }
    rows.check_windows(windows.len())?;
    let name = plane.file_name().unwrap_or_default().to_string_lossy();
    let iscell = cells(&plane.join("iscell.npy"), rows.rois)?;
    let kept: Vec<usize> =
        (0..rows.rois).filter(|roi| iscell.as_ref().is_none_or(|iscell| iscell[*roi])).collect();
    account.took(format!("{name}: {} cells, {} samples", kept.len(), rows.samples));
    match iscell {
        None => account.assumes(format!(
            "{name}: every region of interest counts as a cell, because there is no iscell.npy"
        )),
        Some(_) if kept.len() < rows.rois => {
            account.dropped_as(format!(
                "{name}: {} of {} regions of interest that are not cells",
                rows.rois - kept.len(),
                rows.rois
            ));
        }
        Some(_) => {}
    }
    let clock = Clock::Regular { start: 0.0, rate: settings.rate, samples: rows.samples };
    let samples: Vec<_> = windows.iter().map(|window| clock.window(*window)).collect();
    is_within
        .iter_mut()
        .zip(&samples)
        .for_each(|(is_within, samples)| *is_within &= samples.is_some());
    let within: Vec<_> = samples.iter().flatten().cloned().collect();
    let less = neuropil.as_ref().map(|neuropil| (neuropil, NEUROPIL));
    let means = kept
        .par_iter()
        .map(|roi| mean_of(&rows, less, *roi, &within))
        .collect::<Result<Vec<_>>>()?;
    if !means.is_empty() && !within.is_empty() && means.iter().flatten().all(|mean| *mean == 0.0) {
        // suite2p writes zeros if deconvolution is turned off.
        let advice = "run suite2p with do_deconvolution, or use --traces f";
        return Err(FileError::mismatch(
            rows.path(),
            "the array",
            "activity in some window",
            "zeros throughout",
            advice,
        )
        .into());
    }
    let column = |means: Vec<f64>| {
        let mut means = means.into_iter();
        samples
            .iter()
            .map(|samples| samples.as_ref().and_then(|_| means.next()).unwrap_or(f64::NAN))
            .collect()
    };
    Ok(means.into_iter().map(column).collect())
}

fn images(
    asked: Asked,
    settings: &Suite2pSettings,
    account: &mut Account,
) -> Result<(Stored, Vec<String>)> {
    let path = &settings.images;
    foreign::refuse(path)?;
    match pictures_in(path)? {
        Some(names) => of_files(path, names, account),
        None => Ok((
            of_array(asked, &settings.common.images, None, &source::read(path, None)?, account)?,
            vec![],
        )),
    }
}

/// For each onset that shows an image: its number among all onsets, and the image.
fn shown(
    settings: &Suite2pSettings,
    onsets: &Onsets,
    count: usize,
    names: &[String],
    account: &mut Account,
) -> Result<(Vec<i64>, Vec<usize>)> {
    let first = settings.first_image;
    let advice = "correct the table, or set --first-image to the number of the first image";
    let mismatch = |expected: String, found: String| {
        FileError::mismatch(&settings.onsets, "image", expected, found, advice)
    };
    let of_row: Vec<Option<usize>> = match &onsets.image {
        Shown::Numbers(numbers) => {
            let of_row = |(row, number): (usize, &i64)| match number.saturating_sub(first as i64) {
                _ if *number == -1 => Ok(None),
                place if place >= 0 && place < count as i64 => Ok(Some(place as usize)),
                _ => {
                    let expected = format!(
                        "numbers of the {count} images from {first} to {}, or -1 for a blank",
                        count + first - 1
                    );
                    Err(mismatch(expected, format!("{number} in row {row}")))
                }
            };
            let name =
                names.first().map_or(String::new(), |name| format!(": image {first} is {name}"));
            account.assumes(format!("image numbers start at {first}{name}"));
            numbers.iter().enumerate().map(of_row).collect::<std::result::Result<_, _>>()?
        }
        Shown::Names(shown) => {
            let stem = |name: &str| {
                Path::new(name).file_stem().unwrap_or_default().to_string_lossy().into_owned()
            };
            let file = |name: &str| name.rsplit('/').next().unwrap_or(name).to_owned();
            let of_row = |(row, wanted): (usize, &String)| {
                if wanted.is_empty() || wanted == "-1" || wanted.eq_ignore_ascii_case("blank") {
                    return Ok(None);
                }
                let place =
                    names.iter().position(|name| file(name) == *wanted || stem(name) == *wanted);
                place.map(Some).ok_or_else(|| {
                    mismatch(
                        format!("names of the {} pictures, or image numbers", names.len()),
                        format!("{wanted:?} in row {row}"),
                    )
                })
            };
            shown.iter().enumerate().map(of_row).collect::<std::result::Result<_, _>>()?
        }
    };
    let blanks = of_row.iter().filter(|image| image.is_none()).count();
    if blanks > 0 {
        account.dropped_as(format!("{blanks} of {} onsets that show a blank", of_row.len()));
    }
    let trial =
        (0..of_row.len()).filter(|row| of_row[*row].is_some()).map(|row| row as i64).collect();
    Ok((trial, of_row.into_iter().flatten().collect()))
}
