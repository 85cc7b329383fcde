//! Files of pair samples and neighbor lists, see `data-specs/pairs.toml` and
//! `data-specs/neighbours.toml`.

use super::write_hdf5;
use crate::{Error, Neighbors, Pair, Result};
use brainprior_images::ImageId;
use hdf5::types::VarLenUnicode;
use ndarray::Array2;
use std::path::Path;

const VERSION: u32 = 1;

/// Writes pairs to an HDF5 file, atomically: `image_ids`, and for each pair `first`, `second` (rows
/// of `image_ids`) and `similarity`.
///
/// # Errors
/// Returns an error if a pair has an image beyond `ids` or the file cannot be written.
pub fn write_pairs(
    path: &Path,
    ids: &[ImageId],
    pairs: &[Pair],
    provenance: &[String],
) -> Result<()> {
    if let Some(pair) = pairs.iter().find(|pair| pair.second as usize >= ids.len()) {
        return Err(Error::Size {
            what: "images of a sample of pairs",
            expected: format!("more than {}", pair.second),
            found: ids.len().to_string(),
        });
    }
    write_hdf5(path, |file| {
        header(file, "brainprior-pairs", ids, provenance)?;
        let column = |of: fn(&Pair) -> u32| -> Vec<u32> { pairs.iter().map(of).collect() };
        file.new_dataset_builder().with_data(&column(|pair| pair.first)).create("first")?;
        file.new_dataset_builder().with_data(&column(|pair| pair.second)).create("second")?;
        let values: Vec<f32> = pairs.iter().map(|pair| pair.similarity).collect();
        file.new_dataset_builder().with_data(&values).create("similarity").map(drop)
    })
}

/// Writes neighbors to an HDF5 file, atomically: `image_ids`, and `neighbours` (rows of
/// `image_ids`) and `similarity`, both `[images, neighbours]`, nearest first.
///
/// # Errors
/// Returns an error if the number of images differs or the file cannot be written.
pub fn write_neighbors(
    path: &Path,
    ids: &[ImageId],
    neighbors: &Neighbors,
    provenance: &[String],
) -> Result<()> {
    if neighbors.len() != ids.len() {
        return Err(Error::Size {
            what: "images of neighbor lists",
            expected: ids.len().to_string(),
            found: neighbors.len().to_string(),
        });
    }
    let count = (0..ids.len()).map(|image| neighbors.of(image).len()).min().unwrap_or(0);
    write_hdf5(path, |file| {
        header(file, "brainprior-neighbours", ids, provenance)?;
        let indices =
            Array2::from_shape_fn((ids.len(), count), |(image, rank)| neighbors.of(image)[rank].0);
        let values =
            Array2::from_shape_fn((ids.len(), count), |(image, rank)| neighbors.of(image)[rank].1);
        file.new_dataset_builder().with_data(&indices).create("neighbours")?;
        file.new_dataset_builder().with_data(&values).create("similarity").map(drop)
    })
}

fn header(
    file: &hdf5::File,
    format: &str,
    ids: &[ImageId],
    provenance: &[String],
) -> hdf5::Result<()> {
    let text =
        |text: &str| text.replace('\0', " ").parse::<VarLenUnicode>().expect("no NUL is left");
    file.new_attr::<VarLenUnicode>().create("format")?.write_scalar(&text(format))?;
    file.new_attr::<u32>().create("version")?.write_scalar(&VERSION)?;
    let numbers: Vec<u64> = ids.iter().map(|id| id.to_u64()).collect();
    file.new_dataset_builder().with_data(&numbers).create("image_ids")?;
    let steps: Vec<VarLenUnicode> = provenance.iter().map(|step| text(step)).collect();
    file.new_dataset_builder().with_data(&steps).create("provenance").map(drop)
}
