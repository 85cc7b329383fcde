//! CIFAR-10-C and CIFAR-100-C (Hendrycks and Dietterich 2019): test images under common
//! corruptions, as published.
//!
//! A folder holds one `.npy` per family, u8 `[5 * images, height, width, 3]`: severities 1 to 5 one
//! after the other, each in the order of the test set; and `labels.npy` with the label of each
//! image.

use crate::{LabeledImages, Result};
use brainprior_artifact::FileError;
use brainprior_artifact::npy::{Header, Npy, Values};
use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The families that the mean corruption error averages over.
const FAMILIES: [&str; 15] = [
    "gaussian_noise",
    "shot_noise",
    "impulse_noise",
    "defocus_blur",
    "glass_blur",
    "motion_blur",
    "zoom_blur",
    "snow",
    "frost",
    "fog",
    "brightness",
    "contrast",
    "elastic_transform",
    "pixelate",
    "jpeg_compression",
];

/// Extra families, published for validation and left out of the mean.
const EXTRA: [&str; 4] = ["speckle_noise", "gaussian_blur", "spatter", "saturate"];

const SEVERITIES: usize = 5;
const LABELS: &str = "labels.npy";
/// Bytes that are enough for the header of an array file.
const HEADER: u64 = 4096;

/// Test images under one family of corruptions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorruptedFamily {
    /// Name of the family, such as `gaussian_noise`.
    pub name: String,
    /// The same images at severity 1 to 5.
    pub severities: [LabeledImages; SEVERITIES],
}

impl CorruptedFamily {
    /// Whether the family counts in the mean corruption error. Four of the nineteen do not; methods
    /// may be tuned on them.
    pub fn is_in_mean(&self) -> bool {
        is_in_mean(&self.name)
    }
}

/// The same for a family name such as `gaussian_noise`, whatever the origin of its images.
pub fn is_in_mean(family: &str) -> bool {
    !EXTRA.contains(&family)
}

/// Reads the images of `rows` of the test set `test` under every family in `folder`. They are RGB;
/// if `test` is grayscale, they are converted to luma.
///
/// # Errors
/// Returns an error if the labels differ from those of `test` in its order, if images have another
/// size or number, or if there is no family or a file with another name.
pub fn read_corrupted(
    folder: &Path,
    test: &LabeledImages,
    rows: Range<usize>,
) -> Result<Vec<CorruptedFamily>> {
    check_labels(&folder.join(LABELS), test.labels())?;
    let listed =
        std::fs::read_dir(folder).and_then(|entries| entries.collect::<std::io::Result<Vec<_>>>());
    let listed = listed.map_err(FileError::refused(folder, "list"))?;
    let names = listed
        .iter()
        .filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(".npy")?.to_owned()));
    let mut names: Vec<String> = names.filter(|name| format!("{name}.npy") != LABELS).collect();
    names.sort();
    let known = |name: &String| FAMILIES.contains(&name.as_str()) || EXTRA.contains(&name.as_str());
    let advice = "give the folder of CIFAR-10-C or CIFAR-100-C as published";
    if let Some(name) = names.iter().find(|name| !known(name)) {
        let expected = format!("families such as {}", FAMILIES[..3].join(", "));
        return Err(FileError::mismatch(
            folder,
            format!("{name}.npy"),
            expected,
            "another name",
            advice,
        )
        .into());
    }
    if names.is_empty() {
        return Err(FileError::mismatch(
            folder,
            "files",
            "a .npy for each family of corruptions",
            "none",
            advice,
        )
        .into());
    }
    let missing: Vec<&str> =
        FAMILIES.into_iter().filter(|family| !names.iter().any(|name| name == family)).collect();
    if !missing.is_empty() {
        tracing::warn!(
            "{} lacks {}; its mean corruption error is not comparable with one over all families",
            folder.display(),
            missing.join(", ")
        );
    }
    names.into_iter().map(|name| family(folder, name, test, rows.clone())).collect()
}

fn check_labels(path: &Path, test: &[u8]) -> Result<()> {
    let bytes = super::read(path)?;
    let Npy { shape, values } =
        Npy::parse(&bytes).map_err(|problem| problem.of(path, "the array"))?;
    let labels: Option<Vec<i64>> = match values {
        Values::Bytes(values) => Some(values.into_iter().map(i64::from).collect()),
        Values::Integers(values) => Some(values),
        _ => None,
    };
    let advice = "images.corrupted needs the complete test set from which the corrupted images were made, in the same order";
    let expected =
        || format!("{} labels, five times those of the set's test images", SEVERITIES * test.len());
    let labels =
        labels.filter(|labels| shape == [labels.len()] && labels.len() == SEVERITIES * test.len());
    let Some(labels) = labels else {
        return Err(FileError::mismatch(
            path,
            "the array",
            expected(),
            format!("shape {shape:?}"),
            advice,
        )
        .into());
    };
    let of_set = test.iter().cycle().map(|label| i64::from(*label));
    match labels.iter().zip(of_set).position(|(found, expected)| *found != expected) {
        None => Ok(()),
        Some(row) => {
            let expected = format!(
                "{}, the label of the set's test image {}",
                test[row % test.len()],
                row % test.len()
            );
            Err(FileError::mismatch(
                path,
                format!("label {row}"),
                expected,
                labels[row].to_string(),
                advice,
            )
            .into())
        }
    }
}

fn family(
    folder: &Path,
    name: String,
    test: &LabeledImages,
    rows: Range<usize>,
) -> Result<CorruptedFamily> {
    let path = folder.join(format!("{name}.npy"));
    let file = File::open(&path).map_err(FileError::refused(&path, "open"))?;
    let mut start = vec![];
    (&file).take(HEADER).read_to_end(&mut start).map_err(FileError::refused(&path, "read"))?;
    let header = Header::parse(&start).map_err(|problem| problem.of(&path, "the array"))?;
    let (height, width) = (test.height(), test.width());
    if header.shape != [SEVERITIES * test.len(), height, width, 3]
        || header.stored_as().as_deref() != Some("u1")
    {
        let expected = format!(
            "u8, {} x {height} x {width} x 3, like the set's test images",
            SEVERITIES * test.len()
        );
        let found = format!("{}, shape {:?}", header.dtype(), header.shape);
        let advice = "give the corrupted images of this set";
        return Err(FileError::mismatch(&path, "the array", expected, found, advice).into());
    }
    let area = height * width;
    let of_severity = |severity: usize| {
        let mut bytes = vec![0; rows.len() * area * 3];
        let from = header.start + (severity * test.len() + rows.start) * area * 3;
        file.read_exact_at(&mut bytes, from as u64).map_err(|error| {
            FileError::refused(&path, "read")(error).advise("the file is truncated: fetch it again")
        })?;
        let mut pixels = Vec::with_capacity(bytes.len());
        for image in bytes.chunks_exact(area * 3) {
            (0..3).for_each(|channel| pixels.extend(image.iter().skip(channel).step_by(3)));
        }
        let images = LabeledImages::new(
            3,
            height,
            width,
            pixels,
            test.labels()[rows.clone()].to_vec(),
            test.class_names().to_vec(),
        )?;
        Ok(if test.channels() == 1 { images.to_grayscale() } else { images })
    };
    let severities: Vec<LabeledImages> = (0..SEVERITIES).map(of_severity).collect::<Result<_>>()?;
    Ok(CorruptedFamily { name, severities: severities.try_into().expect("five severities") })
}
