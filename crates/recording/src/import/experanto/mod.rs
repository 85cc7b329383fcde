//! Recordings in the folders of experanto (sensorium-competition/experanto), the lab's format for
//! sessions: one folder per modality, each with its own clock; times are f64 seconds.
//!
//! Image trials become rows. A response is the mean of a neuron's samples in the window of Walker
//! et al. 2019, 0.5 s from 0.05 s after image onset, with each neuron's times shifted by its phase.

mod meta;
mod screen;
mod series;

use super::settings::Window;
use super::{Account, Imported};
use crate::format::annotations::{Annotations, Identifiers};
use crate::format::assemble::{Pixels, Rows};
use crate::{Neurons, Origin, Result};
use brainprior_artifact::FileError;
use brainprior_images::Picture;
use ndarray::Array2;
use rayon::prelude::*;
use screen::{Frame, Shown};
use series::Series;
use std::path::Path;

/// The signals of an eye tracker with four signals.
const EYE: [&str; 4] = ["size", "its change", "x", "y"];

/// Behavior and pupil center of a trial.
struct Recorded {
    behavior: Option<[f32; 3]>,
    pupil_center: Option<[f32; 2]>,
}

/// Why a trial was dropped.
enum Absent {
    BeyondRecording,
    NoNumber(&'static str),
}

/// Reads the folder of one session, with `screen` and `responses`, and with `eye_tracker` and
/// `treadmill` if they exist.
///
/// Screen trials that are not images, are marked as invalid or have no tier are dropped and
/// counted, as are trials whose window extends beyond a recording or contains NaN. Rows with the
/// same `condition_hash` show the same image.
///
/// # Errors
/// Returns an error if a file is missing, truncated or contradicts its `meta.yml`, if times
/// decrease or are not finite, if fewer than half of the image trials remain, if image sizes
/// differ, or if the scan is invalid.
pub fn experanto(folder: &Path) -> Result<Imported> {
    let _span = tracing::info_span!("import_experanto", folder = %folder.display()).entered();
    let mut account = Account::default();
    let screen = screen::read(&folder.join("screen"))?;
    let responses = Series::open(&folder.join("responses"))?;
    let optional = |name: &str| {
        if folder.join(name).exists() {
            Series::open(&folder.join(name)).map(Some)
        } else {
            Ok(None)
        }
    };
    let eye = known_eye(optional("eye_tracker")?, &mut account);
    let treadmill = optional("treadmill")?;
    other_folders(folder, &mut account)?;
    for (why, count) in &screen.others {
        account.dropped_as(format!("{count} screen trials: {why}"));
    }
    account.took(format!(
        "responses: {} neurons, {} samples at {} Hz from {:.3} s",
        responses.signals, responses.samples, responses.rate, responses.start_time
    ));
    account.assumes(format!("a response is the mean of samples {}", Window::default().sentence()));

    responses.check_rows(screen.shown.len())?;
    let (mut kept, mut beyond, mut missing) =
        (vec![], 0, std::collections::BTreeMap::<&str, usize>::new());
    let neurons = responses.signals;
    let mut rows_of_responses = vec![0.0; screen.shown.len() * neurons];
    let recordings = Recordings { responses, eye, treadmill };
    let found: Vec<_> = rows_of_responses
        .par_chunks_mut(neurons)
        .zip(&screen.shown)
        .map_init(Vec::new, |space, (row, shown)| recordings.of_trial(shown.onset, row, space))
        .collect::<Result<_>>()?;
    for (trial, (shown, found)) in screen.shown.iter().zip(found).enumerate() {
        match found {
            Ok(recorded) => {
                // The rows of dropped trials are overwritten by later ones.
                rows_of_responses
                    .copy_within(trial * neurons..(trial + 1) * neurons, kept.len() * neurons);
                kept.push((shown, recorded));
            }
            Err(Absent::BeyondRecording) => beyond += 1,
            Err(Absent::NoNumber(what)) => *missing.entry(what).or_default() += 1,
        }
    }
    if beyond > 0 {
        account
            .dropped_as(format!("{beyond} image trials whose window extends beyond a recording"));
    }
    for (what, count) in &missing {
        account.dropped_as(format!("{count} image trials with non-finite {what}"));
    }
    if 2 * kept.len() <= screen.shown.len() {
        let expected = format!(
            "most of the {} image trials within all recordings and with finite values",
            screen.shown.len()
        );
        let gone: Vec<String> =
            missing.iter().map(|(what, count)| format!("{count} with non-finite {what}")).collect();
        let gone = [vec![format!("{} of them, {beyond} beyond a recording", kept.len())], gone]
            .concat()
            .join(", ");
        let advice = "check that all modalities use the same clock, and remove signals without finite values";
        return Err(FileError::mismatch(folder, "trials", expected, gone, advice).into());
    }
    rows_of_responses.truncate(kept.len() * neurons);
    rows(folder, kept, neurons, rows_of_responses, account)
}

/// The signals recorded while images were shown.
struct Recordings {
    responses: Series,
    eye: Option<Series>,
    treadmill: Option<Series>,
}

impl Recordings {
    /// Writes the responses of a trial into its row and returns its other signals.
    fn of_trial(
        &self,
        onset: f64,
        row: &mut [f32],
        space: &mut Vec<u8>,
    ) -> Result<std::result::Result<Recorded, Absent>> {
        let window = Window::default();
        let [from, to] = window.after(onset);
        let Some(found) = self.responses.means(from, to, |value| value, space)? else {
            return Ok(Err(Absent::BeyondRecording));
        };
        row.iter_mut().zip(found).for_each(|(response, mean)| *response = mean as f32);
        let numbers = |values: &[f32]| values.iter().all(|value| value.is_finite());
        if !numbers(row) {
            return Ok(Err(Absent::NoNumber("responses")));
        }
        let mut pupil = None;
        let mut center = None;
        if let Some(eye) = &self.eye {
            let means = eye.means(from, to, |value| value, space)?;
            let (Some(means), Some(middle)) = (means, eye.at(window.middle_after(onset))?) else {
                return Ok(Err(Absent::BeyondRecording));
            };
            pupil = Some([means[0] as f32, means[1] as f32]);
            center = Some([middle[2] as f32, middle[3] as f32]);
        }
        let mut running = None;
        if let Some(treadmill) = &self.treadmill {
            let Some(means) = treadmill.means(from, to, f64::abs, space)? else {
                return Ok(Err(Absent::BeyondRecording));
            };
            running = Some(means[0] as f32);
        }
        let behavior = pupil.zip(running).map(|([size, change], running)| [size, change, running]);
        if !behavior.as_ref().is_none_or(|values| numbers(values))
            || !center.as_ref().is_none_or(|values| numbers(values))
        {
            return Ok(Err(Absent::NoNumber("eye_tracker or treadmill")));
        }
        Ok(Ok(Recorded { behavior, pupil_center: center }))
    }
}

fn known_eye(eye: Option<Series>, account: &mut Account) -> Option<Series> {
    let eye = eye?;
    if eye.signals != EYE.len() {
        account.dropped_as(format!(
            "eye_tracker: {} signals, only {} ({}) are supported",
            eye.signals,
            EYE.len(),
            EYE.join(", ")
        ));
        return None;
    }
    account.assumes(format!(
        "the signals of eye_tracker are {} of the pupil; its center is read in the middle of the window",
        EYE.join(", ")
    ));
    Some(eye)
}

/// Reports folders of unsupported modalities.
fn other_folders(folder: &Path, account: &mut Account) -> Result<()> {
    let entries =
        std::fs::read_dir(folder).and_then(|entries| entries.collect::<std::io::Result<Vec<_>>>());
    let mut names: Vec<String> = entries
        .map_err(FileError::refused(folder, "list"))?
        .iter()
        .filter(|entry| entry.path().join("meta.yml").is_file())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| {
            !["screen", "responses", "eye_tracker", "treadmill"].contains(&name.as_str())
        })
        .collect();
    names.sort();
    if !names.is_empty() {
        account.dropped_as(format!("other modalities: {}", names.join(", ")));
    }
    Ok(())
}

fn rows(
    folder: &Path,
    kept: Vec<(&Shown, Recorded)>,
    neurons: usize,
    responses: Vec<f32>,
    mut account: Account,
) -> Result<Imported> {
    let first = kept[0].0.frame()?;
    let (height, width) = (first.height, first.width);
    let (mut bytes, mut floats, mut colored) = (vec![], vec![], 0);
    for (shown, _) in &kept {
        let frame = shown.frame()?;
        if (frame.height, frame.width) != (height, width) {
            let expected = format!("{height} x {width} pixels, as in {}", kept[0].0.file.display());
            let found = format!("{} x {}", frame.height, frame.width);
            let advice = "export all images in one size";
            return Err(
                FileError::mismatch(&shown.file, "the image", expected, found, advice).into()
            );
        }
        colored += usize::from(frame.channels == 3);
        match gray(frame) {
            screen::Pixels::Bytes(image) if floats.is_empty() => bytes.extend(image),
            screen::Pixels::Floats(image) if bytes.is_empty() => floats.extend(image),
            _ => {
                let advice = "export all images with one type";
                return Err(FileError::mismatch(
                    &shown.file,
                    "the image",
                    "the type of the other images",
                    "another type",
                    advice,
                )
                .into());
            }
        }
    }
    if colored > 0 {
        account.assumes(format!(
            "{colored} color images are converted to luma: 0.299 red + 0.587 green + 0.114 blue"
        ));
    }
    let matrix = |columns: usize, values: Vec<f32>| {
        Array2::from_shape_vec((kept.len(), columns), values).expect("one row a trial")
    };
    let behavior: Option<Vec<[f32; 3]>> =
        kept.iter().map(|(_, recorded)| recorded.behavior).collect();
    let pupil_center: Option<Vec<[f32; 2]>> =
        kept.iter().map(|(_, recorded)| recorded.pupil_center).collect();
    let hashes: Option<Vec<String>> = kept.iter().map(|(shown, _)| shown.hash.clone()).collect();
    match &hashes {
        Some(_) => {
            account.took("identical images by condition_hash, in agreement with their pixels")
        }
        None => account.assumes(
            "images with equal pixels are the same, since not every trial has a condition_hash",
        ),
    }
    account.took(format!("{} image trials of {height} x {width}", kept.len()));
    account.took(match (&behavior, &pupil_center) {
        (Some(_), _) => "behavior: pupil size, its change, absolute running speed; pupil center",
        (None, Some(_)) => "pupil center; no behavior, because there is no treadmill",
        (None, None) => "no behavior and no pupil center",
    });
    let rows = Rows {
        height,
        width,
        pixels: if floats.is_empty() { Pixels::Bytes(bytes) } else { Pixels::Floats(floats) },
        range: None,
        tiers: kept.iter().map(|(shown, _)| shown.tier.clone()).collect(),
        responses: matrix(neurons, responses),
        behavior: behavior.map(|rows| matrix(3, rows.concat())),
        pupil_center: pupil_center.map(|rows| matrix(2, rows.concat())),
        annotations: Annotations {
            identifiers: hashes.map(|hashes| Identifiers {
                dataset: "condition_hash".to_owned(),
                of_row: hashes.into_iter().map(|hash| (hash, String::new())).collect(),
            }),
            neurons: Neurons::unnamed(neurons),
            trial_idx: Some(kept.iter().map(|(shown, _)| shown.trial as i64).collect()),
            origin: origin(folder),
        },
    };
    let (scan, notes) = rows.assemble(folder)?;
    account.assumes(format!("pixels from 0 to {}", notes.white));
    for remark in notes.remarks() {
        account.dropped_as(remark);
    }
    Ok(Imported { scan, account })
}

fn gray(frame: Frame) -> screen::Pixels {
    let Frame { height, width, channels, pixels } = frame;
    match pixels {
        pixels if channels == 1 => pixels,
        screen::Pixels::Bytes(bytes) => {
            let planes =
                (0..3).flat_map(|channel| bytes.iter().skip(channel).step_by(3).copied()).collect();
            screen::Pixels::Bytes(
                Picture { channels, height, width, pixels: planes }.to_gray().pixels,
            )
        }
        screen::Pixels::Floats(values) => {
            let luma = |pixel: &[f32; 3]| 0.299 * pixel[0] + 0.587 * pixel[1] + 0.114 * pixel[2];
            screen::Pixels::Floats(values.as_chunks().0.iter().map(luma).collect())
        }
    }
}

/// The origin in a name such as `dynamic29513-3-5-Video-...`; zeros if there is none.
fn origin(folder: &Path) -> Origin {
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let numbers = name.trim_start_matches(|letter: char| !letter.is_ascii_digit());
    let numbers: Vec<i64> =
        numbers.split('-').take(3).map_while(|part| part.parse().ok()).collect();
    match numbers[..] {
        [animal_id, session, scan_idx] => Origin { animal_id, session, scan_idx },
        _ => Origin::default(),
    }
}
