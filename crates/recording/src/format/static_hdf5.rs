//! The static HDF5 layout of the Sinz and Tolias labs' loaders (`StaticImageSet` of
//! neuralpredictors); `data-specs/scan.toml`.

use super::annotations::{Annotations, Source};
use super::assemble::{Pixels, Rows};
use super::hdf5_output::{self, Output};
use super::notes::Notes;
use super::statistics::{self, Statistics};
use crate::{Result, Scan, Tier};
use brainprior_artifact::hdf5::{Input, Kind};
use ndarray::{Array2, ArrayD, ArrayView1};
use std::path::Path;

/// Reads a scan in the static HDF5 layout.
pub(crate) fn read(path: &Path) -> Result<(Scan, Notes)> {
    let mut input = Input::open(path)?;
    let images = input.numbers("images", &[None, Some(1), None, None])?;
    let shape = images.shape();
    let pixels = match images.kind() {
        Kind::Byte => Pixels::Bytes(images.stored()?),
        Kind::Whole => Pixels::Integers(images.integers()?),
        Kind::Float => Pixels::Floats(images.floats()?),
    };
    let responses = matrix(&input, "responses", None)?;
    let optional = |name, columns| {
        if input.has(name)? { matrix(&input, name, columns).map(Some) } else { Ok(None) }
    };
    let (behavior, pupil_center) =
        (optional("behavior", None)?, optional("pupil_center", Some(2))?);
    let rows = Rows {
        height: shape[2],
        width: shape[3],
        pixels,
        range: input.numbers_attribute("images", "range")?,
        tiers: input.strings("tiers")?,
        behavior,
        pupil_center,
        annotations: Annotations::read(&mut input, responses.ncols())?,
        responses,
    };
    rows.assemble(path)
}

pub(crate) fn matrix(input: &Input, name: &str, columns: Option<usize>) -> Result<Array2<f32>> {
    let numbers = input.numbers(name, &[None, columns])?;
    let shape = numbers.shape();
    Ok(Array2::from_shape_vec((shape[0], shape[1]), numbers.floats()?)
        .expect("as many values as the shape says"))
}

impl Source for Input {
    fn path(&self) -> &Path {
        self.path()
    }

    fn of_rows(name: &str) -> String {
        format!("item_info/{name}")
    }

    fn of_neurons(name: &str) -> String {
        format!("neurons/{name}")
    }

    fn has(&self, name: &str) -> Result<bool> {
        Ok(self.has(name)?)
    }

    fn strings(&mut self, name: &str) -> Result<Vec<String>> {
        Ok(self.labels(name)?)
    }

    fn integers(&mut self, name: &str) -> Result<Vec<i64>> {
        Ok(self.numbers(name, &[None])?.integers()?)
    }

    fn matrix(&mut self, name: &str, columns: usize) -> Result<Array2<f32>> {
        matrix(self, name, Some(columns))
    }
}

/// Writes a scan in the static HDF5 layout, chunked and compressed, with the statistics and item
/// information that the lab's loaders read. Images are written as bytes if all their pixels are
/// multiples of 1/255, and as f32 in [0, 1] otherwise.
///
/// The write is atomic: if it fails, an existing file is kept.
///
/// # Errors
/// Returns an error if the file cannot be written, or if an area or layer is not ASCII text of at
/// most 64 bytes.
pub fn write_static_hdf5(path: &Path, scan: &Scan) -> Result<()> {
    let _span = tracing::info_span!("write_static_hdf5", scan = scan.name()).entered();
    hdf5_output::write(path, |output| {
        let trials = scan.tiers().len();
        write_images(output, scan)?;
        output.matrix("responses", scan.responses())?;
        scan.behavior().map_or(Ok(()), |behavior| output.matrix("behavior", behavior))?;
        scan.pupil_center().map_or(Ok(()), |pupil| output.matrix("pupil_center", pupil))?;
        output.strings("tiers", scan.tiers().iter().map(|tier| tier.name()), 10)?;

        let items = super::item_info(scan);
        for (name, values) in items.integers {
            output.integers(&format!("item_info/{name}"), &values)?;
        }
        output.strings(
            "item_info/frame_image_class",
            std::iter::repeat_n(super::IMAGE_CLASS, trials),
            1,
        )?;
        output.strings(
            "item_info/condition_hash",
            items.condition_hash.iter().map(String::as_str),
            1,
        )?;

        let neurons = scan.neurons();
        for (name, values) in super::neuron_info(scan) {
            output.integers(&format!("neurons/{name}"), &values)?;
        }
        output.strings("neurons/area", neurons.area().iter().map(String::as_str), 1)?;
        output.strings("neurons/layer", neurons.layer().iter().map(String::as_str), 1)?;
        neurons
            .coordinates()
            .map_or(Ok(()), |xyz| output.matrix("neurons/cell_motor_coordinates", xyz))?;

        for (key, statistics, scalar) in statistics::of_scan(scan) {
            write_statistics(output, key, &statistics, scalar)?;
        }
        output.text_attribute(
            "description",
            "static scan: one row of images, responses and behavior for each trial",
        )?;
        output.text_attribute("statistics_rows", rows_of_statistics(scan))
    })
}

fn write_images(output: &mut Output, scan: &Scan) -> Result<()> {
    let stimuli = scan.stimuli();
    let shape = [scan.trial_image().len(), 1, stimuli.height(), stimuli.width()];
    let rows = || scan.trial_image().iter().flat_map(|image| stimuli.image(*image));
    match statistics::image_bytes(stimuli) {
        Some(bytes) => {
            let area = stimuli.height() * stimuli.width();
            let rows = scan
                .trial_image()
                .iter()
                .flat_map(|image| &bytes[image * area..(image + 1) * area])
                .copied();
            output.array(
                "images",
                &ArrayD::from_shape_vec(&shape[..], rows.collect()).expect("one image a row"),
            )
        }
        None => output.array(
            "images",
            &ArrayD::from_shape_vec(&shape[..], rows().copied().collect())
                .expect("one image a row"),
        ),
    }
}

/// The rows over which statistics are computed, in words.
fn rows_of_statistics(scan: &Scan) -> &'static str {
    if scan.tiers().contains(&Tier::Train) {
        "computed over the rows of tier train"
    } else {
        "computed over all rows"
    }
}

fn write_statistics(
    output: &mut Output,
    key: &str,
    statistics: &Statistics,
    scalar: bool,
) -> Result<()> {
    for source in statistics::SOURCES {
        for (name, values) in statistics.named() {
            let path = format!("statistics/{key}/{source}/{name}");
            let values = if scalar {
                ArrayView1::from(values).into_shape_with_order(vec![])
            } else {
                Ok(ArrayView1::from(values).into_dyn())
            };
            output.array(&path, &values.expect("one value for a scalar").to_owned())?;
        }
    }
    Ok(())
}
