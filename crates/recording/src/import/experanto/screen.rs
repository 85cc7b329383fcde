//! The screen: what was shown in each trial.

use super::meta::Meta;
use super::series::doubles;
use crate::{Result, Tier};
use brainprior_artifact::FileError;
use brainprior_artifact::npy::{Npy, Values};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// An image presentation.
pub(super) struct Shown {
    /// Its number among all screen trials.
    pub trial: usize,
    /// Its onset in seconds.
    pub onset: f64,
    pub tier: String,
    pub hash: Option<String>,
    pub file: PathBuf,
}

/// The image presentations, and the number of other trials by kind.
pub(super) struct Screen {
    pub shown: Vec<Shown>,
    pub others: BTreeMap<String, usize>,
}

/// Pixels of one image.
pub(super) struct Frame {
    pub height: usize,
    pub width: usize,
    /// 1, or 3 interleaved channels.
    pub channels: usize,
    pub pixels: Pixels,
}

pub(super) enum Pixels {
    Bytes(Vec<u8>),
    Floats(Vec<f32>),
}

pub(super) fn read(folder: &Path) -> Result<Screen> {
    let meta = Meta::read(&folder.join("meta.yml"))?;
    let modality = meta.required_text("modality")?;
    if modality != "screen" {
        return Err(meta.mismatch("modality", "screen", modality).into());
    }
    let named = meta.flag("use_stimuli_names", false)?;
    let times_at = folder.join("timestamps.npy");
    let times = doubles(&times_at, None)?;
    if let Some(place) = times.windows(2).position(|pair| pair[1] < pair[0]) {
        let found = format!("{} after {} at frame {}", times[place + 1], times[place], place + 1);
        let advice = "the clock of the screen ran backwards: export the recording again";
        return Err(FileError::mismatch(
            &times_at,
            "the array",
            "non-decreasing times",
            found,
            advice,
        )
        .into());
    }
    let (mut shown, mut others) = (vec![], BTreeMap::<String, usize>::new());
    for (trial, name) in numbered(&folder.join("meta"))?.into_iter().enumerate() {
        let meta = Meta::read(&folder.join("meta").join(format!("{name}.yml")))?;
        let modality = meta.required_text("modality")?.to_lowercase();
        let mut leave_out = |why: &str| *others.entry(why.to_owned()).or_default() += 1;
        match modality.as_str() {
            "image" => {}
            "video" | "blank" | "invalid" => {
                leave_out(&modality);
                continue;
            }
            _ => {
                return Err(meta
                    .mismatch("modality", "image, video, blank or invalid", modality)
                    .into());
            }
        }
        if !meta.flag("valid_trial", true)? {
            leave_out("image, marked as an invalid trial");
            continue;
        }
        let Some(tier) = meta.text("tier")?.filter(|tier| tier != "blank") else {
            leave_out("image without a tier");
            continue;
        };
        if Tier::from_name(&tier).is_none() && !Tier::LEFT_OUT.contains(&tier.as_str()) {
            return Err(meta
                .mismatch("tier", "train, validation, test or final_test", tier)
                .into());
        }
        let frame = meta.count("first_frame_idx")?;
        let Some(onset) = times.get(frame) else {
            let expected = format!("a frame among the {} of timestamps.npy", times.len());
            return Err(meta.mismatch("first_frame_idx", &expected, frame.to_string()).into());
        };
        let data = if named { meta.required_text("stimulus_name")? } else { name };
        let file = folder.join("data").join(format!("{data}.npy"));
        if data.contains(['/', '\\']) {
            return Err(meta.mismatch("stimulus_name", "the name of a file in data", data).into());
        }
        shown.push(Shown { trial, onset: *onset, tier, hash: meta.text("condition_hash")?, file });
    }
    Ok(Screen { shown, others })
}

/// Names of numbered files without their extension, in numerical order.
fn numbered(folder: &Path) -> Result<Vec<String>> {
    let entries =
        std::fs::read_dir(folder).and_then(|entries| entries.collect::<std::io::Result<Vec<_>>>());
    let entries = entries.map_err(FileError::refused(folder, "list"))?;
    let names = entries
        .iter()
        .filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(".yml")?.to_owned()));
    let mut names: Vec<String> = names
        .filter(|name| name.len() == 5 && name.bytes().all(|digit| digit.is_ascii_digit()))
        .collect();
    names.sort();
    if names.is_empty() {
        let advice = "check that the recording was copied completely";
        return Err(FileError::mismatch(
            folder,
            "trials",
            "00000.yml, 00001.yml, ...",
            "none",
            advice,
        )
        .into());
    }
    Ok(names)
}

impl Shown {
    pub(super) fn frame(&self) -> Result<Frame> {
        let path = &self.file;
        let bytes = std::fs::read(path).map_err(FileError::refused(path, "read"))?;
        let Npy { shape, values } =
            Npy::parse(&bytes).map_err(|problem| problem.of(path, "the image"))?;
        let mismatch = |expected: &str, found: String| {
            let advice = "export it as a grayscale or RGB image";
            FileError::mismatch(path, "the image", expected, found, advice)
        };
        let (height, width, channels) = match shape[..] {
            [height, width] => (height, width, 1),
            [height, width, 3] => (height, width, 3),
            _ => {
                return Err(mismatch(
                    "height x width, or height x width x 3",
                    format!("shape {shape:?}"),
                )
                .into());
            }
        };
        let pixels = match values {
            Values::Bytes(bytes) => Pixels::Bytes(bytes),
            Values::Floats(values) => Pixels::Floats(values),
            Values::Doubles(values) => {
                Pixels::Floats(values.into_iter().map(|value| value as f32).collect())
            }
            Values::Integers(values) => {
                Pixels::Floats(values.into_iter().map(|value| value as f32).collect())
            }
            Values::Large(_) | Values::Strings(_) => {
                return Err(mismatch("numbers", "another type".into()).into());
            }
        };
        Ok(Frame { height, width, channels, pixels })
    }
}
