//! What belongs to one scan: readout, shifter and modulator on top of the shared core.

use candle_core::{Result, Tensor};
use rand_chacha::ChaCha8Rng;

use crate::config::{Config, GainPlacement};
use crate::core::Pyramid;
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

    /// Rates `[batch, neurons]`, in units of the training standard deviation, of images whose features are `pyramid`.
    ///
    /// `shift` are shifts `[batch, 2]`, `behavior` is z-scored; without them at zero shift and the mean behaviour.
    pub(crate) fn rates(&self, pyramid: &Pyramid, shift: Option<&Tensor>, behavior: Option<&Tensor>) -> Result<Tensor> {
        let value = self.readout.forward(pyramid, shift)?;
        let gain = match (&self.modulator, behavior) {
            (Some(modulator), Some(behavior)) => Some(modulator.log_gain(behavior)?.exp()?),
            _ => None,
        };
        match (gain, self.placement) {
            (None, _) => loss::output(&value),
            (Some(gain), GainPlacement::BeforeOutput) => loss::output(&(value * gain)?),
            (Some(gain), GainPlacement::OnRate) => loss::output(&value)? * gain,
        }
    }

    /// Rates of the trials whose covariates are given, with the shifter as it is outside of training.
    pub(crate) fn trial_rates(&self, pyramid: &Pyramid, covariates: &Covariates) -> Result<Tensor> {
        let shift = match (&self.shifter, &covariates.pupil) {
            (Some(shifter), Some(pupil)) => Some(shifter.eval(pupil)?),
            _ => None,
        };
        self.rates(pyramid, shift.as_ref(), covariates.behavior.as_ref())
    }
}
