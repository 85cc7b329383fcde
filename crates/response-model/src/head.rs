//! What belongs to one scan: readout, shifter and modulator on top of the shared core.

use candle_core::{Result, Tensor};
use rand_chacha::ChaCha8Rng;

use crate::config::{Config, GainPlacement};
use crate::loss;
use crate::modulator::Modulator;
use crate::normalization::ScanNormalization;
use crate::parameters::Parameters;
use crate::presentations::Covariates;
use crate::readout::PyramidReadout;
use crate::shifter::Shifter;

/// Readout, shifter and modulator of one scan.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) readout: PyramidReadout,
    pub(crate) shifter: Option<Shifter>,
    pub(crate) modulator: Option<Modulator>,
    placement: GainPlacement,
}

impl Head {
    /// Registers the head of scan number `scan`; `positions` as in [`PyramidReadout::new`].
    pub(crate) fn new(
        scan: usize,
        config: &Config,
        channels: usize,
        normalization: &ScanNormalization,
        positions: Vec<f32>,
        parameters: &mut Parameters,
        rng: &mut ChaCha8Rng,
    ) -> Result<Self> {
        let prefix = format!("scan{scan}");
        let (means, levels) = (&normalization.response_mean, config.readout.levels);
        let readout = PyramidReadout::new(&prefix, channels, levels, positions, means, parameters, rng)?;
        let shifter = match &normalization.pupil {
            Some(_) if config.shifter.enabled => Some(Shifter::new(&prefix, config.shifter.hidden, parameters, rng)?),
            _ => None,
        };
        let modulator = match &normalization.behavior {
            Some(behavior) if config.modulator.enabled => {
                let hidden = config.modulator.hidden;
                Some(Modulator::new(&prefix, behavior.columns(), hidden, means.len(), parameters, rng)?)
            }
            _ => None,
        };
        Ok(Self { readout, shifter, modulator, placement: config.modulator.placement })
    }

    /// Rates `[batch, neurons]`, in units of the training standard deviation, from the readout's values `[batch, neurons]`.
    ///
    /// `behavior` is z-scored; without it at the mean behaviour.
    pub(crate) fn rates(&self, values: &Tensor, behavior: Option<&Tensor>) -> Result<Tensor> {
        let gain = match (&self.modulator, behavior) {
            (Some(modulator), Some(behavior)) => Some(modulator.log_gain(behavior)?.exp()?),
            _ => None,
        };
        match (gain, self.placement) {
            (None, _) => loss::output(values),
            (Some(gain), GainPlacement::BeforeOutput) => loss::output(&(values * gain)?),
            (Some(gain), GainPlacement::OnRate) => loss::output(values)? * gain,
        }
    }

    /// Shifts `[batch, 2]` of trials, with the shifter as it is outside of training; `None` without one.
    pub(crate) fn shift(&self, covariates: &Covariates) -> Result<Option<Tensor>> {
        match (&self.shifter, &covariates.pupil) {
            (Some(shifter), Some(pupil)) => shifter.eval(pupil).map(Some),
            _ => Ok(None),
        }
    }
}
