//! The file tree of the Sensorium competition and of neuralpredictors' `FileTreeDataset`;
//! `data-specs/sensorium.toml`.

use super::IMAGE_CLASS;
use super::annotations::{Annotations, Source};
use super::assemble::{Pixels, Rows};
use super::notes::Notes;
use super::statistics;
use super::tree::Tree;
use crate::{Result, Scan};
use brainprior_artifact::npy::{Npy, Values};
use brainprior_artifact::{FileError, replace};
use ndarray::{Array2, Axis};
use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

pub(crate) const TIERS: &str = "meta/trials/tiers.npy";

/// The file that states the pixel values of black and white.
const RANGE: &str = "meta/image_range.npy";

/// Reads a tree in a folder.
pub(crate) fn read_folder(path: &Path) -> Result<(Scan, Notes)> {
    read(Tree::folder(path))
}

/// Reads a tree in a zip archive.
pub(crate) fn read_zip(path: &Path) -> Result<(Scan, Notes)> {
    read(Tree::zip(path, TIERS)?)
}

fn read(mut tree: Tree) -> Result<(Scan, Notes)> {
    let tiers = tree.strings(TIERS)?;
    let trials = tiers.len();
    let (height, width, pixels) = images(&mut tree, trials)?;
    let responses = matrix(&mut tree, "data/responses", trials)?;
    let mut optional = |folder| {
        if tree.count(folder)? > 0 { matrix(&mut tree, folder, trials).map(Some) } else { Ok(None) }
    };
    let (behavior, pupil_center) = (optional("data/behavior")?, optional("data/pupil_center")?);
    let range = if tree.has(RANGE)? {
        Some(tree.numbers(RANGE)?.1.into_iter().map(f64::from).collect())
    } else {
        None
    };
    let annotations = Annotations::read(&mut tree, responses.ncols())?;
    let rows = Rows {
        height,
        width,
        pixels,
        range,
        tiers,
        responses,
        behavior,
        pupil_center,
        annotations,
    };
    rows.assemble(tree.path())
}

/// Reads the images of all rows, which must have one size and type.
fn images(tree: &mut Tree, trials: usize) -> Result<(usize, usize, Pixels)> {
    one_file_each(tree, "data/images", trials)?;
    let (mut size, mut bytes, mut whole, mut floats) = (None, vec![], vec![], vec![]);
    for row in 0..trials {
        let name = format!("data/images/{row}.npy");
        let array = tree.array(&name)?;
        let found = format!("shape {:?}", array.shape);
        let expected = match (size, &array.shape[..]) {
            (None, [1, height, width]) => {
                size = Some((*height, *width));
                None
            }
            (None, _) => Some("shape [1, height, width]".to_owned()),
            (Some((height, width)), shape) => (*shape != [1, height, width])
                .then(|| format!("shape [1, {height}, {width}], like row 0")),
        };
        if let Some(expected) = expected {
            return Err(tree
                .mismatch(&name, expected, found, "save every image in grayscale and at one size")
                .into());
        }
        match array.values {
            Values::Bytes(values) => bytes.extend(values),
            Values::Floats(values) => floats.extend(values),
            Values::Doubles(values) => floats.extend(values.into_iter().map(|value| value as f32)),
            Values::Integers(values) => whole.extend(values),
            Values::Large(_) | Values::Strings(_) => {
                return Err(tree
                    .mismatch(
                        &name,
                        "pixels",
                        "strings or numbers beyond 2^63",
                        "save them as bytes",
                    )
                    .into());
            }
        }
    }
    let (height, width) = size.unwrap_or_default();
    let pixels = trials * height * width;
    if bytes.len() == pixels {
        Ok((height, width, Pixels::Bytes(bytes)))
    } else if whole.len() == pixels {
        Ok((height, width, Pixels::Integers(whole)))
    } else if floats.len() == pixels {
        Ok((height, width, Pixels::Floats(floats)))
    } else {
        let found = "bytes in some and other numbers in others";
        Err(tree
            .mismatch(
                "data/images",
                "one type for all images",
                found,
                "save all images with one type",
            )
            .into())
    }
}

/// Reads a matrix of one vector per row file.
fn matrix(tree: &mut Tree, folder: &str, trials: usize) -> Result<Array2<f32>> {
    one_file_each(tree, folder, trials)?;
    let (mut columns, mut all) = (None, vec![]);
    for row in 0..trials {
        let name = format!("{folder}/{row}.npy");
        let (shape, values) = tree.numbers(&name)?;
        let columns = *columns.get_or_insert(values.len());
        if shape != [columns] {
            let expected = match shape.len() {
                1 => format!("shape [{columns}], like row 0"),
                _ => "one vector, of one trial".to_owned(),
            };
            return Err(tree
                .mismatch(&name, expected, format!("shape {shape:?}"), "save one vector per row")
                .into());
        }
        all.extend(values);
    }
    Ok(Array2::from_shape_vec((trials, columns.unwrap_or(0)), all).expect("rows of one length"))
}

fn one_file_each(tree: &Tree, folder: &str, trials: usize) -> Result<()> {
    let found = tree.count(folder)?;
    if found == trials {
        return Ok(());
    }
    let expected = format!("{trials} array files, one for each entry of {TIERS}");
    Err(tree
        .mismatch(
            folder,
            expected,
            found.to_string(),
            "check that the tree was copied or unpacked completely",
        )
        .into())
}

/// Writes a scan as a Sensorium file tree: a folder, or a zip archive if the name ends in `.zip`.
/// Images are written as bytes if all their pixels are multiples of 1/255, and as f32 in [0, 1]
/// otherwise.
///
/// The write is atomic: if it fails, an existing file or folder is kept.
///
/// # Errors
/// Returns an error if the file or folder cannot be written.
pub fn write_sensorium(path: &Path, scan: &Scan) -> Result<()> {
    let _span = tracing::info_span!("write_sensorium", scan = scan.name()).entered();
    if path.extension().is_some_and(|ending| ending == "zip") {
        let mut archive = ZipWriter::new(Cursor::new(vec![]));
        write(scan, &mut |name, bytes| {
            archive
                .start_file(name, SimpleFileOptions::default())
                .map_err(FileError::refused(path, "write"))?;
            Ok(archive.write_all(bytes).map_err(FileError::refused(path, "write"))?)
        })?;
        let bytes = archive.finish().map_err(FileError::refused(path, "write"))?.into_inner();
        return Ok(replace::bytes(path, &bytes)?);
    }
    replace::folder(path, |temporary| {
        write(scan, &mut |name, bytes| {
            let file = temporary.join(name);
            let folder = file.parent().unwrap_or(temporary);
            if !folder.is_dir() {
                fs::create_dir_all(folder).map_err(FileError::refused(path, "write"))?;
            }
            Ok(fs::write(file, bytes).map_err(FileError::refused(path, "write"))?)
        })
    })
}

fn write(scan: &Scan, put: &mut dyn FnMut(&str, &[u8]) -> Result<()>) -> Result<()> {
    let mut save = |name: &str, shape: Vec<usize>, values: Values| {
        put(name, &Npy { shape, values }.to_bytes())
    };
    let (stimuli, trials) = (scan.stimuli(), scan.tiers().len());
    let area = stimuli.height() * stimuli.width();
    let bytes = statistics::image_bytes(stimuli);
    for (row, image) in scan.trial_image().iter().enumerate() {
        let values = match &bytes {
            Some(bytes) => Values::Bytes(bytes[image * area..(image + 1) * area].to_vec()),
            None => Values::Floats(stimuli.image(*image).to_vec()),
        };
        save(
            &format!("data/images/{row}.npy"),
            vec![1, stimuli.height(), stimuli.width()],
            values,
        )?;
    }
    let mut matrices = vec![("responses", scan.responses())];
    matrices.extend(scan.behavior().map(|behavior| ("behavior", behavior)));
    matrices.extend(scan.pupil_center().map(|pupil| ("pupil_center", pupil)));
    for (key, matrix) in matrices {
        for (row, values) in matrix.axis_iter(Axis(0)).enumerate() {
            save(
                &format!("data/{key}/{row}.npy"),
                vec![values.len()],
                Values::Floats(values.to_vec()),
            )?;
        }
    }

    let items = super::item_info(scan);
    let tiers = scan.tiers().iter().map(|tier| tier.name().to_owned()).collect();
    save(TIERS, vec![trials], Values::Strings(tiers))?;
    for (name, values) in items.integers {
        save(&Tree::of_rows(name), vec![trials], Values::Integers(values))?;
    }
    save(
        &Tree::of_rows("frame_image_class"),
        vec![trials],
        Values::Strings(vec![IMAGE_CLASS.to_owned(); trials]),
    )?;
    save(&Tree::of_rows("condition_hash"), vec![trials], Values::Strings(items.condition_hash))?;

    let neurons = scan.neurons();
    for (name, values) in super::neuron_info(scan) {
        save(&Tree::of_neurons(name), vec![neurons.len()], Values::Integers(values))?;
    }
    save(&Tree::of_neurons("area"), vec![neurons.len()], Values::Strings(neurons.area().to_vec()))?;
    save(
        &Tree::of_neurons("layer"),
        vec![neurons.len()],
        Values::Strings(neurons.layer().to_vec()),
    )?;
    if let Some(coordinates) = neurons.coordinates() {
        let values = Values::Floats(coordinates.iter().copied().collect());
        save(&Tree::of_neurons("cell_motor_coordinates"), vec![neurons.len(), 3], values)?;
    }

    for (key, statistics, scalar) in statistics::of_scan(scan) {
        for source in statistics::SOURCES {
            for (name, values) in statistics.named() {
                let shape = if scalar { vec![] } else { vec![values.len()] };
                save(
                    &format!("meta/statistics/{key}/{source}/{name}.npy"),
                    shape,
                    Values::Floats(values.to_vec()),
                )?;
            }
        }
    }
    put("config.json", b"{\"links\": {}}\n")
}
