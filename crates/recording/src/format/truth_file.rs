//! Files with the ground truth of a simulated scan, in HDF5; `data-specs/truth.toml`.

use super::hdf5_output;
use super::static_hdf5::matrix;
use crate::Result;
use crate::simulation::{SimulatedNeuron, SimulationConstants, Subunit, Truth};
use brainprior_artifact::hdf5::Input;
use brainprior_images::ImageId;
use ndarray::{Array2, ArrayView1, arr0, arr2};
use std::path::Path;

const EXPECTED: &str = "ground_truth/expected_responses";
const IMAGE_IDS: &str = "ground_truth/image_ids";
const NOTE: &str = "expected_responses: noise-free, gaze shift zero (pupil_center at pupil_center_mean), behaviour at its mean \
                    (gain 1); gain = exp(behavior_gain @ (behavior - behavior_mean) / behavior_std), exponent clipped to \
                    +-1.5; (dx, dy) = gaze_matrix @ (pupil_center - pupil_center_mean), length bounded; a neuron sees \
                    I(y + dy, x + dx)";

/// A number per neuron or per subunit.
struct Column<T> {
    name: &'static str,
    get: fn(&T) -> f32,
    set: fn(&mut T, f32),
    /// Its value in files that lack it; `None` if the column is required.
    absent: Option<f32>,
}

macro_rules! columns {
    ($folder:literal, $($field:ident $(or $absent:literal)?),*) => {
        [$(Column {
            name: concat!($folder, "/", stringify!($field)),
            get: |of| of.$field,
            set: |of, value| of.$field = value,
            absent: [$($absent,)?].first().copied(),
        }),*]
    };
}

// Other simulators write neurons with one subunit and no surround, and store subunit parameters as
// neuron parameters.
const NEURONS: [Column<SimulatedNeuron>; 15] = columns!(
    "parameters",
    x,
    y,
    threshold or 0.0,
    surround_sigma or 1.0,
    surround_scale or 1.0,
    suppression or 0.0,
    exponent,
    drive_scale,
    saturated_drive_mean,
    baseline_fraction,
    mean_rate,
    signal_variance,
    target_snr,
    event_gamma_shape,
    events_per_unit_rate
);
const SUBUNITS: [Column<Subunit>; 13] = columns!(
    "subunits",
    x,
    y,
    orientation,
    phase,
    spatial_frequency,
    sigma,
    aspect,
    complex_weight,
    luminance,
    contrast_scale,
    semisaturation,
    scale,
    weight
);
const ONLY_SUBUNIT: [Column<Subunit>; 13] = columns!(
    "parameters",
    x,
    y,
    orientation,
    phase,
    spatial_frequency,
    sigma,
    aspect,
    complex_weight,
    luminance or 0.0,
    contrast_scale,
    semisaturation,
    scale or 1.0,
    weight or 1.0
);

/// Writes the ground truth of a simulated scan as HDF5, atomically: if the write fails, an existing
/// file is kept.
///
/// # Errors
/// Returns an error if the file cannot be written.
pub fn write_truth(path: &Path, truth: &Truth) -> Result<()> {
    hdf5_output::write(path, |output| {
        output.text_attribute("note", NOTE)?;
        output.matrix(EXPECTED, truth.expected_responses())?;
        if let Some(ids) = truth.ids() {
            let ids: Vec<u64> = ids.iter().map(|id| id.to_u64()).collect();
            output.array(IMAGE_IDS, &ArrayView1::from(&ids))?;
        }
        let neurons = truth.neurons();
        for column in &NEURONS {
            let values: Vec<f32> = neurons.iter().map(column.get).collect();
            output.array(column.name, &ArrayView1::from(&values))?;
        }
        let subunits = neurons.first().map_or(0, |cell| cell.subunits.len());
        for column in &SUBUNITS {
            let of =
                |(neuron, index): (usize, usize)| (column.get)(&neurons[neuron].subunits[index]);
            output.matrix(column.name, &Array2::from_shape_fn((neurons.len(), subunits), of))?;
        }
        let responsive: Vec<u8> = neurons.iter().map(|cell| u8::from(cell.responsive)).collect();
        output.array("parameters/responsive", &ArrayView1::from(&responsive))?;
        let gain = Array2::from_shape_fn((neurons.len(), 3), |(neuron, column)| {
            neurons[neuron].behavior_gain[column]
        });
        output.matrix("parameters/behavior_gain", &gain)?;
        let common = truth.constants();
        output.integer_attribute("seed", common.seed)?;
        output.array("parameters/behavior_mean", &ArrayView1::from(&common.behavior_mean))?;
        output.array("parameters/behavior_std", &ArrayView1::from(&common.behavior_std))?;
        output.array("parameters/gaze_matrix", &arr2(&common.gaze_matrix))?;
        output
            .array("parameters/pupil_center_mean", &ArrayView1::from(&common.pupil_center_mean))?;
        output.array("parameters/image_mean_std", &ArrayView1::from(&common.image_mean_std))?;
        output.array("parameters/drive_knee", &arr0(common.drive_knee))
    })
}

/// Reads the ground truth of a simulated scan. Files without image identities, without a luminance
/// part or with a single subunit per neuron are supported.
///
/// # Errors
/// Returns an error if the file is of another kind, truncated or damaged, if a dataset is missing
/// or has another shape, or if a number is not finite.
pub fn read_truth(path: &Path) -> Result<Truth> {
    let reader = Reader(Input::open(path)?);
    let expected = matrix(&reader.0, EXPECTED, None)?;
    let (stimuli, columns) = expected.dim();
    let mut neurons = vec![SimulatedNeuron::default(); columns];
    for column in &NEURONS {
        let values = reader.column(column, &[Some(columns)])?;
        neurons.iter_mut().zip(values).for_each(|(cell, value)| (column.set)(cell, value));
    }
    let (units, shape): (_, &[_]) = match reader.0.has(SUBUNITS[0].name)? {
        true => (&SUBUNITS, &[Some(columns), None]),
        false => (&ONLY_SUBUNIT, &[Some(columns)]),
    };
    for column in units {
        let values = reader.column(column, shape)?;
        let each = (values.len() / columns.max(1)).max(1);
        for (cell, values) in neurons.iter_mut().zip(values.chunks_exact(each)) {
            cell.subunits.resize(each, Subunit::default());
            cell.subunits
                .iter_mut()
                .zip(values)
                .for_each(|(unit, value)| (column.set)(unit, *value));
        }
    }
    let responsive = reader.finite("parameters/responsive", &[Some(columns)])?;
    let gain = reader.finite("parameters/behavior_gain", &[Some(columns), Some(3)])?;
    for ((cell, responsive), gain) in neurons.iter_mut().zip(responsive).zip(gain.chunks_exact(3)) {
        cell.responsive = responsive != 0.0;
        gain.iter().zip(&mut cell.behavior_gain).for_each(|(from, to)| *to = *from as f32);
    }
    let ids = if reader.0.has(IMAGE_IDS)? {
        let ids = reader.0.numbers(IMAGE_IDS, &[Some(stimuli)])?.naturals()?;
        Some(ids.into_iter().map(ImageId::from_u64).collect())
    } else {
        None
    };
    let [a, b, c, d] = reader.fixed("parameters/gaze_matrix", &[Some(2), Some(2)])?;
    let constants = SimulationConstants {
        seed: reader.0.integer_attribute("seed")?,
        behavior_mean: reader.fixed("parameters/behavior_mean", &[Some(3)])?,
        behavior_std: reader.fixed("parameters/behavior_std", &[Some(3)])?,
        gaze_matrix: [[a, b], [c, d]],
        pupil_center_mean: reader.fixed("parameters/pupil_center_mean", &[Some(2)])?,
        image_mean_std: reader.fixed("parameters/image_mean_std", &[Some(2)])?,
        drive_knee: reader.fixed::<1>("parameters/drive_knee", &[])?[0] as f32,
    };
    Truth::new(expected, ids, neurons, constants).map_err(|error| error.inside(path))
}

struct Reader(Input);

impl Reader {
    /// All values of a dataset, row-major; all must be finite.
    fn finite(&self, name: &str, shape: &[Option<usize>]) -> Result<Vec<f64>> {
        let values = self.0.numbers(name, shape)?.doubles()?;
        match values.iter().position(|value| !value.is_finite()) {
            None => Ok(values),
            Some(index) => {
                let found = format!("{} at position {index}", values[index]);
                Err(self
                    .0
                    .mismatch(name, "finite numbers", found, "simulate the scan again")
                    .into())
            }
        }
    }

    /// The numbers of a column, or its default value if the file lacks it.
    fn column<T>(&self, column: &Column<T>, shape: &[Option<usize>]) -> Result<Vec<f32>> {
        match column.absent {
            Some(value) if !self.0.has(column.name)? => {
                Ok(vec![value; shape[0].expect("a number for each neuron")])
            }
            _ => {
                Ok(self.finite(column.name, shape)?.into_iter().map(|value| value as f32).collect())
            }
        }
    }

    /// Reads `N` finite numbers.
    fn fixed<const N: usize>(&self, name: &str, shape: &[Option<usize>]) -> Result<[f64; N]> {
        Ok(self.finite(name, shape)?.try_into().expect("the shape was checked"))
    }
}
