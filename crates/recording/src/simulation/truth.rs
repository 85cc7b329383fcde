//! The ground truth of a simulated scan.

use super::behavior::LARGEST_EXPONENT;
use super::neuron::SimulatedNeuron;
use crate::reliability::{correlation, median};
use crate::{Error, ResponseKind, Responses, Result, Scan};
use brainprior_images::ImageId;
use ndarray::{Array2, Axis};
use std::collections::HashMap;

/// From this number of trials, responses that do not follow the truth show that it is another
/// scan's.
const ENOUGH_TRIALS: usize = 100;
/// Smallest median over neurons of the correlation between responses and truth. Simulated scans
/// have 0.45 and more with their own truth, and below 0.02 with that of other neurons.
const LEAST_CORRELATION: f64 = 0.1;

/// Constants shared by the neurons of a simulated scan.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SimulationConstants {
    /// Seed of the simulation.
    pub seed: i64,
    /// Mean over trials of pupil dilation, its derivative, and running speed.
    pub behavior_mean: [f64; 3],
    /// Standard deviation over trials of the same.
    pub behavior_std: [f64; 3],
    /// Shift in image pixels per camera pixel: (dx, dy) = matrix x (pupil center - mean), with
    /// bounded length.
    pub gaze_matrix: [[f64; 2]; 2],
    /// Pupil center at zero shift, in camera pixels.
    pub pupil_center_mean: [f64; 2],
    /// Mean and standard deviation over all pixels of the stimuli, in gray levels 0 to 255.
    pub image_mean_std: [f64; 2],
    /// Saturation level of the drive, in units of its mean.
    pub drive_knee: f32,
}

impl SimulationConstants {
    /// Shift (x, y) of all receptive fields in image pixels for a pupil center in camera pixels,
    /// before the simulation bounds its length.
    pub fn shift(&self, pupil_center: [f32; 2]) -> [f64; 2] {
        let away = |k: usize| f64::from(pupil_center[k]) - self.pupil_center_mean[k];
        [0, 1].map(|axis| self.gaze_matrix[axis][0] * away(0) + self.gaze_matrix[axis][1] * away(1))
    }

    /// Logarithm of a neuron's gain for a behavior (pupil dilation, its derivative, running speed).
    pub fn log_gain(&self, cell: &SimulatedNeuron, behavior: [f32; 3]) -> f64 {
        let scaled =
            |k: usize| (f64::from(behavior[k]) - self.behavior_mean[k]) / self.behavior_std[k];
        let bound = f64::from(LARGEST_EXPONENT);
        (0..3)
            .map(|k| f64::from(cell.behavior_gain[k]) * scaled(k))
            .sum::<f64>()
            .clamp(-bound, bound)
    }
}

/// The ground truth of a simulated scan: expected responses of every neuron to every stimulus, and
/// the neurons.
///
/// Never fit a model to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Truth {
    expected_responses: Array2<f32>,
    ids: Option<Vec<ImageId>>,
    neurons: Vec<SimulatedNeuron>,
    constants: SimulationConstants,
}

impl Truth {
    /// Takes expected responses `[stimuli, neurons]` at zero gaze shift and mean behavior, the
    /// identity of each stimulus if known, and the neurons.
    ///
    /// # Errors
    /// Returns an error if lengths differ or an expected response is not finite.
    pub fn new(
        expected_responses: Array2<f32>,
        ids: Option<Vec<ImageId>>,
        neurons: Vec<SimulatedNeuron>,
        constants: SimulationConstants,
    ) -> Result<Self> {
        let (stimuli, columns) = expected_responses.dim();
        for (what, expected, found) in [
            ("image identities of a truth", stimuli, ids.as_ref().map_or(stimuli, Vec::len)),
            ("neurons of a truth", columns, neurons.len()),
        ] {
            if expected != found {
                return Err(Error::Size {
                    what,
                    expected: format!("{expected}, like the expected responses"),
                    found: found.to_string(),
                });
            }
        }
        crate::scan::all_finite("expected responses", &expected_responses)?;
        Ok(Self { expected_responses, ids, neurons, constants })
    }

    /// `[stimuli, neurons]`: noise-free, at zero gaze shift and mean behavior.
    pub fn expected_responses(&self) -> &Array2<f32> {
        &self.expected_responses
    }

    /// The stimulus of each row; `None` if rows can only be matched by the image labels of the
    /// scan.
    pub fn ids(&self) -> Option<&[ImageId]> {
        self.ids.as_deref()
    }

    /// The neurons in the order of the scan.
    pub fn neurons(&self) -> &[SimulatedNeuron] {
        &self.neurons
    }

    /// The constants shared by the neurons.
    pub fn constants(&self) -> &SimulationConstants {
        &self.constants
    }
}

/// Expected responses to the stimuli of `scan`, in its order. Stimuli are matched by content if the
/// truth has their identities, and otherwise by the image labels of the scan, where label i is row
/// i of the truth.
///
/// # Errors
/// Returns an error if the number of neurons differs, if the truth lacks a stimulus of the scan, if
/// there are neither identities nor labels, or if the responses do not follow this truth.
pub fn truth_for(scan: &Scan, truth: &Truth) -> Result<Responses> {
    if scan.neurons().len() != truth.neurons.len() {
        return Err(Error::Size {
            what: "neurons of a truth",
            expected: format!("{}, like scan {}", scan.neurons().len(), scan.name()),
            found: truth.neurons.len().to_string(),
        });
    }
    let ids = scan.stimuli().ids();
    let rows: Vec<Option<usize>> = match (truth.ids(), scan.image_labels()) {
        (Some(known), _) => {
            let position: HashMap<ImageId, usize> =
                known.iter().enumerate().map(|(row, id)| (*id, row)).collect();
            ids.iter().map(|id| position.get(id).copied()).collect()
        }
        (None, Some(labels)) => {
            let row = |label: &i64| {
                usize::try_from(*label).ok().filter(|row| *row < truth.expected_responses.nrows())
            };
            labels.iter().map(row).collect()
        }
        (None, None) => {
            return Err(Error::Simulation {
                what: "the truth of a scan",
                expected: "identities of its stimuli, or labels of the images in the scan".into(),
                found: format!("neither for scan {}", scan.name()),
            });
        }
    };
    let missing = |id| Error::MissingImage { scan: format!("{} (truth)", scan.name()), id };
    let rows: Vec<usize> = rows
        .into_iter()
        .zip(ids)
        .map(|(row, id)| row.ok_or_else(|| missing(*id)))
        .collect::<Result<_>>()?;
    let expected = truth.expected_responses.select(Axis(0), &rows);
    match median_correlation(scan, &expected) {
        Some(found) if found < LEAST_CORRELATION => Err(Error::Simulation {
            what: "the truth of a scan",
            expected: format!(
                "responses that follow it, as those of scan {} follow its own",
                scan.name()
            ),
            found: format!(
                "a median correlation of {found:.3} over neurons; name the truth written with this scan"
            ),
        }),
        _ => Responses::new(scan.name(), ResponseKind::Expected, ids.to_vec(), expected),
    }
}

/// Median over neurons of the correlation over trials between measured and expected responses;
/// `None` for a few trials.
fn median_correlation(scan: &Scan, expected: &Array2<f32>) -> Option<f64> {
    let images = scan.trial_image();
    if images.len() < ENOUGH_TRIALS {
        return None;
    }
    let of_neuron = |neuron: usize| {
        let measured: Vec<f64> =
            scan.responses().column(neuron).iter().copied().map(f64::from).collect();
        let column = expected.column(neuron);
        let expected: Vec<f64> = images.iter().map(|image| f64::from(column[*image])).collect();
        Some(correlation(&measured, &expected)).filter(|correlation| correlation.is_finite())
    };
    median(&(0..expected.ncols()).filter_map(of_neuron).collect::<Vec<_>>())
}
