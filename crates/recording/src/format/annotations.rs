//! Annotations that both formats store next to the data, under different paths: identifiers,
//! neurons, origin.

use crate::{Neurons, Origin, Result};
use ndarray::Array2;
use std::path::Path;

/// Where files store the image of a row, in the order in which the lab's loaders look (identifier,
/// class).
const IDENTIFIERS: [(&str, &str); 3] = [
    ("image_id", "image_class"),
    ("colorframeprojector_image_id", "colorframeprojector_image_class"),
    ("frame_image_id", "frame_image_class"),
];

/// A file that holds named vectors.
pub(crate) trait Source {
    /// The file or folder.
    fn path(&self) -> &Path;
    /// The path of a vector with one entry per row.
    fn of_rows(name: &str) -> String;
    /// The path of a vector with one entry per neuron.
    fn of_neurons(name: &str) -> String;
    /// Whether the file has something of that name, even if reading it fails.
    fn has(&self, name: &str) -> Result<bool>;
    /// Reads strings, without padding; integers become decimal strings.
    fn strings(&mut self, name: &str) -> Result<Vec<String>>;
    fn integers(&mut self, name: &str) -> Result<Vec<i64>>;
    fn matrix(&mut self, name: &str, columns: usize) -> Result<Array2<f32>>;
}

/// The image identifier of each row.
pub(crate) struct Identifiers {
    /// The dataset that holds them.
    pub dataset: String,
    /// Identifier and class of each row.
    pub of_row: Vec<(String, String)>,
}

/// The annotations of a file.
pub(crate) struct Annotations {
    pub identifiers: Option<Identifiers>,
    pub neurons: Neurons,
    pub trial_idx: Option<Vec<i64>>,
    pub origin: Origin,
}

impl Annotations {
    /// Reads the annotations of a file with `count` neurons. All are optional.
    pub(crate) fn read<S: Source>(source: &mut S, count: usize) -> Result<Self> {
        let coordinates = S::of_neurons("cell_motor_coordinates");
        let unnamed = Neurons::unnamed(count);
        let neurons = Neurons::new(
            integers(source, S::of_neurons("unit_ids"))?
                .unwrap_or_else(|| unnamed.unit_ids().to_vec()),
            strings(source, S::of_neurons("area"))?.unwrap_or_else(|| unnamed.area().to_vec()),
            strings(source, S::of_neurons("layer"))?.unwrap_or_else(|| unnamed.layer().to_vec()),
            if source.has(&coordinates)? { Some(source.matrix(&coordinates, 3)?) } else { None },
        );
        Ok(Self {
            identifiers: identifiers(source)?,
            neurons: neurons.map_err(|error| error.inside(source.path()))?,
            trial_idx: integers(source, S::of_rows("trial_idx"))?,
            origin: Origin {
                animal_id: first(source, "animal_ids", "animal_id")?,
                session: first(source, "sessions", "session")?,
                scan_idx: first(source, "scan_idx", "scan_idx")?,
            },
        })
    }
}

fn identifiers<S: Source>(source: &mut S) -> Result<Option<Identifiers>> {
    for (id, class) in IDENTIFIERS {
        let dataset = S::of_rows(id);
        if let Some(ids) = strings(source, dataset.clone())? {
            let classes = strings(source, S::of_rows(class))?
                .unwrap_or_else(|| vec![String::new(); ids.len()]);
            return Ok(Some(Identifiers {
                dataset,
                of_row: ids.into_iter().zip(classes).collect(),
            }));
        }
    }
    Ok(None)
}

/// The first entry of a number that is the same for all neurons and rows; 0 if there is none.
fn first<S: Source>(source: &mut S, of_neurons: &str, of_rows: &str) -> Result<i64> {
    let values = match integers(source, S::of_neurons(of_neurons))? {
        Some(values) => Some(values),
        None => integers(source, S::of_rows(of_rows))?,
    };
    Ok(values.and_then(|values| values.first().copied()).unwrap_or_default())
}

fn integers<S: Source>(source: &mut S, name: String) -> Result<Option<Vec<i64>>> {
    if source.has(&name)? { source.integers(&name).map(Some) } else { Ok(None) }
}

fn strings<S: Source>(source: &mut S, name: String) -> Result<Option<Vec<String>>> {
    if source.has(&name)? { source.strings(&name).map(Some) } else { Ok(None) }
}
