//! Heads: the parts of a model that belong to one scan, on top of the shared core.

use candle_core::{Module, Result, Tensor};
use candle_nn::VarBuilder;
use rand_chacha::ChaCha8Rng;

use crate::config::{Config, GainPlacement};
use crate::loss::Loss;
use crate::modulator::Modulator;
use crate::normalization::ScanNormalization;
use crate::output::Output;
use crate::presentations::Covariates;
use crate::readout::{Moves, Reading, Readout, Start};
use crate::shifter::Shifter;

/// Readout, shifter, modulator and loss of one scan.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) readout: Readout,
    pub(crate) shifter: Option<Shifter>,
    pub(crate) modulator: Option<Modulator>,
    pub(crate) loss: Loss,
    output: Output,
    placement: GainPlacement,
}

/// What determines the head of a scan.
pub(crate) struct ScanDescription {
    pub(crate) name: String,
    pub(crate) normalization: ScanNormalization,
    /// Position (x, y) of each neuron in [-1, 1].
    pub(crate) positions: Vec<f32>,
    /// Position (x, y) of each neuron in cortex, z-scored, if the readout uses it.
    pub(crate) coordinates: Option<Vec<f32>>,
    /// For each neuron, the fraction of training trials that the zero-inflated loss treats as
    /// zeros.
    pub(crate) zero_shares: Vec<f32>,
}

impl Head {
    /// The head of one scan on a core whose output has `features` channels, rows and columns.
    pub(crate) fn new(
        config: &Config,
        features: [usize; 3],
        description: &ScanDescription,
        vars: &VarBuilder,
        rng: &mut ChaCha8Rng,
    ) -> Result<Self> {
        let normalization = &description.normalization;
        let means = &normalization.response_mean;
        let start = Start {
            positions: &description.positions,
            coordinates: description.coordinates.as_deref(),
            mean_rates: means,
            output: &config.output,
            features,
        };
        let readout = Readout::new(&config.readout, &start, &vars.pp("readout"), rng)?;
        let loss = Loss::new(&config.loss, &description.zero_shares, means, &vars.pp("loss"))?;
        let shifter = match &normalization.pupil {
            Some(_) if config.shifter.enabled => {
                Some(Shifter::new(&config.shifter, &vars.pp("shifter"), rng)?)
            }
            _ => None,
        };
        let modulator = match &normalization.behavior {
            Some(behavior) if config.modulator.enabled => {
                let sizes = [behavior.columns(), config.modulator.hidden, means.len()];
                Some(Modulator::new(sizes, &vars.pp("modulator"), rng)?)
            }
            _ => None,
        };
        let output = Output::new(&config.output, &vars.pp("output"))?;
        Ok(Self {
            readout,
            shifter,
            modulator,
            loss,
            output,
            placement: config.modulator.placement,
        })
    }

    /// Rates `[batch, neurons]` in units of the training standard deviation, from the readout's
    /// values `[batch, neurons]`.
    ///
    /// `behavior` is z-scored; without it, rates are those at the mean behavior.
    pub(crate) fn rates(&self, values: &Tensor, behavior: Option<&Tensor>) -> Result<Tensor> {
        let gain = match (&self.modulator, behavior) {
            (Some(modulator), Some(behavior)) => Some(modulator.forward(behavior)?.exp()?),
            _ => None,
        };
        match (gain, self.placement) {
            (None, _) => self.output.forward(values),
            (Some(gain), GainPlacement::BeforeOutput) => self.output.forward(&(values * gain)?),
            (Some(gain), GainPlacement::OnRate) => self.output.forward(values)? * gain,
        }
    }

    /// How to read out outside of training.
    pub(crate) fn reading(&self, shift: Option<Tensor>) -> Reading<'_> {
        Reading { readout: &self.readout, moves: Moves { shift, draw: None } }
    }

    /// Shifts `[batch, 2]` of trials outside of training; `None` without a shifter.
    pub(crate) fn shift(&self, covariates: &Covariates) -> Result<Option<Tensor>> {
        match (&self.shifter, &covariates.pupil) {
            (Some(shifter), Some(pupil)) => shifter.forward(pupil).map(Some),
            _ => Ok(None),
        }
    }
}
