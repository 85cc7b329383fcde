//! How well a fit recovers the ground truth of a simulated scan.

use brainprior_recording::Scan;
use brainprior_recording::simulation::Truth;
use ndarray::{ArrayView1, ArrayView2};

use crate::error::{Error, Result};
use crate::model::ResponseModel;
use crate::statistics::correlation;

/// Fitted against true gaze shifts and gains, over all trials of a simulated scan.
#[derive(Clone, Debug, PartialEq)]
pub struct Recovery {
    /// For x and y: (true, fitted) shift of receptive fields in each trial, in image pixels. All
    /// fitted shifts may differ by a constant, which the receptive field positions compensate.
    /// `None` without pupil centers or a shifter.
    pub shifts: Option<[Vec<(f64, f64)>; 2]>,
    /// For each responsive neuron: correlation over trials between the logarithms of fitted and
    /// true gain. `None` without behavior or a modulator.
    pub gains: Option<Vec<f64>>,
}

impl Recovery {
    /// Correlation of true and fitted shifts, for x and y.
    pub fn shift_correlations(&self) -> Option<[f64; 2]> {
        let [x, y] = self.shifts.as_ref()?;
        Some([correlation(x.iter().copied())?, correlation(y.iter().copied())?])
    }

    /// The median over neurons of [`Recovery::gains`].
    pub fn median_gain_correlation(&self) -> Option<f64> {
        let mut sorted = self.gains.clone()?;
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied()
    }
}

impl ResponseModel {
    /// Compares what was fitted to `recorded`, scan number `scan` of the fit, with the `truth` that
    /// generated it. Only for evaluation.
    ///
    /// # Errors
    /// Returns [`Error::NoSuchScan`], or [`Error::ScanMismatch`] if the truth has another number of
    /// neurons.
    pub fn recovery(&self, scan: usize, recorded: &Scan, truth: &Truth) -> Result<Recovery> {
        self.check_scan(self.part(scan)?, recorded)?;
        if truth.neurons().len() != recorded.neurons().len() {
            return Err(Error::ScanMismatch {
                scan: recorded.name().to_owned(),
                what: "neurons of the truth",
                expected: recorded.neurons().len().to_string(),
                found: truth.neurons().len().to_string(),
            });
        }
        let shifts = match recorded.pupil_center() {
            Some(pupil) => {
                self.shifts(scan, pupil)?.map(|fitted| self.axes(pupil.view(), &fitted, truth))
            }
            None => None,
        };
        let gains = match recorded.behavior() {
            Some(behavior) => self
                .gains(scan, behavior)?
                .map(|fitted| of_neurons(behavior.view(), fitted.view(), truth)),
            None => None,
        };
        Ok(Recovery { shifts, gains })
    }

    fn axes(
        &self,
        pupil: ArrayView2<f32>,
        fitted: &[[f32; 2]],
        truth: &Truth,
    ) -> [Vec<(f64, f64)>; 2] {
        let half = [self.image.width as f64 / 2.0, self.image.height as f64 / 2.0];
        [0, 1].map(|axis| {
            let true_shift = |row: ArrayView1<f32>| truth.constants().shift([row[0], row[1]])[axis];
            let pairs = pupil.rows().into_iter().zip(fitted);
            pairs
                .map(|(row, fitted)| (true_shift(row), half[axis] * f64::from(fitted[axis])))
                .collect()
        })
    }
}

fn of_neurons(behavior: ArrayView2<f32>, fitted: ArrayView2<f32>, truth: &Truth) -> Vec<f64> {
    let responsive = truth.neurons().iter().enumerate().filter(|(_, cell)| cell.responsive);
    responsive
        .filter_map(|(neuron, cell)| {
            let true_log =
                |row: ArrayView1<f32>| truth.constants().log_gain(cell, [row[0], row[1], row[2]]);
            let trials = behavior.rows().into_iter().zip(fitted.column(neuron));
            correlation(trials.map(|(row, gain)| (true_log(row), f64::from(gain.ln()))))
        })
        .collect()
}
