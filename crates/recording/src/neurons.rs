//! Metadata of the recorded neurons.

use crate::{Error, Result};
use ndarray::Array2;

/// The neurons of a scan, in the order of the columns of its responses.
#[derive(Clone, Debug, PartialEq)]
pub struct Neurons {
    unit_ids: Vec<i64>,
    area: Vec<String>,
    layer: Vec<String>,
    coordinates: Option<Array2<f32>>,
}

impl Neurons {
    /// Takes one entry per neuron: unit identifier, visual area, cortical layer and, if known, the
    /// position `[neurons, 3]` in cortex (x, y, z in micrometers).
    ///
    /// # Errors
    /// Returns an error if lengths differ or a coordinate is not finite.
    pub fn new(
        unit_ids: Vec<i64>,
        area: Vec<String>,
        layer: Vec<String>,
        coordinates: Option<Array2<f32>>,
    ) -> Result<Self> {
        let count = unit_ids.len();
        for (what, found) in
            [("areas of the neurons", area.len()), ("layers of the neurons", layer.len())]
        {
            if found != count {
                return Err(Error::Size {
                    what,
                    expected: format!("{count}, one per unit identifier"),
                    found: found.to_string(),
                });
            }
        }
        if let Some(coordinates) = &coordinates {
            if coordinates.dim() != (count, 3) {
                return Err(Error::Size {
                    what: "coordinates of the neurons",
                    expected: format!("{count} x 3"),
                    found: format!("{} x {}", coordinates.nrows(), coordinates.ncols()),
                });
            }
            crate::scan::all_finite("coordinates of the neurons", coordinates)?;
        }
        Ok(Self { unit_ids, area, layer, coordinates })
    }

    /// `count` neurons without metadata: units 1 to `count`, area and layer `unknown`.
    pub fn unnamed(count: usize) -> Self {
        let unknown = vec!["unknown".to_owned(); count];
        Self {
            unit_ids: (1..=count as i64).collect(),
            area: unknown.clone(),
            layer: unknown,
            coordinates: None,
        }
    }

    /// Number of neurons.
    pub fn len(&self) -> usize {
        self.unit_ids.len()
    }

    /// Whether there are no neurons.
    pub fn is_empty(&self) -> bool {
        self.unit_ids.is_empty()
    }

    /// Unit identifier of each neuron.
    pub fn unit_ids(&self) -> &[i64] {
        &self.unit_ids
    }

    /// Visual area of each neuron, such as `V1`.
    pub fn area(&self) -> &[String] {
        &self.area
    }

    /// Cortical layer of each neuron, such as `L2/3`.
    pub fn layer(&self) -> &[String] {
        &self.layer
    }

    /// Position of each neuron in cortex, `[neurons, 3]`: x, y, z in micrometers.
    pub fn coordinates(&self) -> Option<&Array2<f32>> {
        self.coordinates.as_ref()
    }
}
