//! Steps, epochs, decays, and what is kept of them.

use std::path::Path;
use std::time::Instant;

use brainprior_kernels::{Adam, backward};
use brainprior_recording::{Scan, Tier};
use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::FitEvent;
use crate::checkpoint::{Checkpoint, Identity};
use crate::config::OptimizationConfig;
use crate::model::ResponseModel;
use crate::parameters::State;
use crate::presentations::{Covariates, Presentation, Presentations, covariates};
use crate::readout::read;
use crate::{Error, Result};

/// Streams of the seed below this are those of the parameters' start.
const FIRST_EPOCH_STREAM: u64 = 1 << 32;

/// Progress of the optimisation, all that a checkpoint has beside tensors.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Schedule {
    pub(crate) epochs: usize,
    pub(crate) steps: usize,
    pub(crate) learning_rate: f64,
    pub(crate) best: f64,
    pub(crate) since_best: usize,
    pub(crate) decays: usize,
    pub(crate) finished: bool,
}

pub(super) struct Trainer<'a> {
    pub(super) model: ResponseModel,
    pub(super) scans: &'a [&'a Scan],
    pub(super) presentations: Presentations<'a>,
    /// Z-scored pupil centres of all training trials, over which the shifter is centred.
    pub(super) training_pupils: Vec<Option<Tensor>>,
    pub(super) trained: Vec<(String, Var)>,
    adam: Adam,
    average: State,
    best: State,
    pub(super) schedule: Schedule,
    pub(super) seed: u64,
}

impl<'a> Trainer<'a> {
    pub(super) fn new(model: ResponseModel, scans: &'a [&'a Scan], presentations: Presentations<'a>, seed: u64) -> Result<Self> {
        let mut training_pupils = Vec::with_capacity(scans.len());
        for (scan, part) in scans.iter().zip(&model.scans) {
            let trials: Vec<Option<usize>> = scan.trials_in(Tier::Train).into_iter().map(Some).collect();
            let Covariates { pupil, .. } = covariates(scan, &trials, &part.normalization, model.device())?;
            training_pupils.push(part.head.shifter.as_ref().and(pupil));
        }
        let trained = model.parameters.trained();
        let adam = Adam::new(trained.clone());
        let average = model.parameters.state()?;
        let learning_rate = model.config.optimisation.learning_rate;
        let schedule =
            Schedule { epochs: 0, steps: 0, learning_rate, best: f64::NEG_INFINITY, since_best: 0, decays: 0, finished: false };
        Ok(Self { best: average.clone(), average, model, scans, presentations, training_pupils, trained, adam, schedule, seed })
    }

    pub(super) fn run(
        mut self,
        checkpoint: Option<(&Path, Identity)>,
        observe: &mut dyn FnMut(FitEvent),
    ) -> Result<ResponseModel> {
        if let Some((path, identity)) = &checkpoint
            && let Some(found) = Checkpoint::read(path, identity, &self.model.parameters)?
        {
            self.resume(found)?;
            observe(FitEvent::Resumed { epochs: self.schedule.epochs });
        }
        let max_epochs = self.model.config.optimisation.max_epochs;
        while !self.schedule.finished && self.schedule.epochs < max_epochs {
            self.epoch(observe)?;
            if let Some((path, identity)) = &checkpoint {
                self.checkpoint()?.write(path, identity)?;
            }
        }
        self.model.parameters.restore(&self.best)?;
        for s in 0..self.scans.len() {
            self.model.scans[s].v_a = self.model.tier_correlation(s, self.scans[s], Tier::Validation)?;
        }
        observe(FitEvent::Finished { epochs: self.schedule.epochs, validation_correlation: self.schedule.best });
        Ok(self.model)
    }

    fn epoch(&mut self, observe: &mut dyn FnMut(FitEvent)) -> Result<()> {
        let started = Instant::now();
        let epoch = self.schedule.epochs;
        let config = self.model.config.optimisation.clone();
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(FIRST_EPOCH_STREAM + epoch as u64);
        let mut order: Vec<usize> = (0..self.presentations.training().len()).collect();
        order.shuffle(&mut rng);
        // Batches of nearly one size: no small rest, whose statistics would be poor.
        let total = order.len().div_ceil(config.batch_images);
        let (mut train_loss, learning_rate) = (0.0, self.schedule.learning_rate);
        for done in 0..total {
            let batch = order[done * order.len() / total..(done + 1) * order.len() / total].to_vec();
            let loss = self.step(&batch, total)?;
            if !loss.is_finite() {
                return Err(Error::Diverged { epoch, step: done, loss, learning_rate });
            }
            train_loss += f64::from(loss) / total as f64;
            observe(FitEvent::Step { epoch, done: done + 1, total });
        }

        let current = self.model.parameters.state()?;
        if config.averaging > 0.0 {
            self.model.parameters.restore(&self.average)?;
        }
        self.recenter()?;
        let validation_correlation = self.validate()?;
        let best = validation_correlation > self.schedule.best;
        if best {
            self.best = self.model.parameters.state()?;
            self.schedule.best = validation_correlation;
            self.schedule.since_best = 0;
        } else {
            self.schedule.since_best += 1;
        }
        self.model.parameters.restore(&current)?;
        self.schedule.epochs += 1;
        tracing::debug!(epoch, train_loss, validation_correlation, learning_rate);
        let (max_epochs, seconds) = (config.max_epochs, started.elapsed().as_secs_f64());
        observe(FitEvent::Epoch { epoch, max_epochs, train_loss, validation_correlation, learning_rate, best, seconds });
        if self.schedule.since_best >= config.patience {
            self.plateau(&config, observe)?;
        }
        Ok(())
    }

    fn plateau(&mut self, config: &OptimizationConfig, observe: &mut dyn FnMut(FitEvent)) -> Result<()> {
        if self.schedule.decays == config.decays {
            self.schedule.finished = true;
            return Ok(());
        }
        self.model.parameters.restore(&self.best)?;
        self.average = self.best.clone();
        self.schedule.decays += 1;
        self.schedule.since_best = 0;
        self.schedule.learning_rate *= config.decay_factor;
        observe(FitEvent::Decayed { learning_rate: self.schedule.learning_rate });
        Ok(())
    }

    /// One step of Adam on the presentations of these numbers; the loss before it.
    fn step(&mut self, batch: &[usize], batches: usize) -> Result<f32> {
        let batch: Vec<&Presentation> = batch.iter().map(|&i| &self.presentations.training()[i]).collect();
        let loss = self.loss(&batch, batches)?;
        let value: f32 = loss.to_scalar()?;
        let mut gradients = backward(&loss)?;
        self.clip(&mut gradients)?;
        self.adam.step(&gradients, self.schedule.learning_rate)?;
        for part in &self.model.scans {
            part.head.readout.clamp_positions()?;
        }
        self.schedule.steps += 1;
        self.update_average()?;
        Ok(value)
    }

    fn clip(&self, gradients: &mut GradStore) -> Result<()> {
        let mut squares = 0.0;
        for (_, var) in &self.trained {
            if let Some(gradient) = gradients.get(var) {
                squares += f64::from(gradient.sqr()?.sum_all()?.to_scalar::<f32>()?);
            }
        }
        let most = self.model.config.optimisation.gradient_clip;
        if squares.sqrt() > most {
            for (_, var) in &self.trained {
                if let Some(gradient) = gradients.get(var) {
                    let scaled = (gradient * (most / squares.sqrt()))?;
                    gradients.insert(var, scaled);
                }
            }
        }
        Ok(())
    }

    fn update_average(&mut self) -> Result<()> {
        if self.model.config.optimisation.averaging == 0.0 {
            return Ok(());
        }
        // The average forgets its start as fast as it gathers steps.
        let steps = self.schedule.steps as f64;
        let decay = self.model.config.optimisation.averaging.min((1.0 + steps) / (10.0 + steps));
        for (name, var) in self.model.parameters.iter() {
            let kept = (&self.average[name] * decay)?;
            let average = (kept + (var.as_tensor().detach() * (1.0 - decay))?)?;
            self.average.insert(name.to_owned(), average);
        }
        Ok(())
    }

    fn recenter(&self) -> Result<()> {
        for (part, pupils) in self.model.scans.iter().zip(&self.training_pupils) {
            if let (Some(shifter), Some(pupils)) = (&part.head.shifter, pupils) {
                shifter.recenter(pupils)?;
            }
        }
        Ok(())
    }

    /// Mean over all neurons of the validation correlation.
    fn validate(&self) -> Result<f64> {
        let mut predicted: Vec<Vec<(usize, Vec<f32>)>> = vec![Vec::new(); self.scans.len()];
        let all: Vec<&Presentation> = self.presentations.validation().iter().collect();
        for chunk in all.chunks(64) {
            let pyramid =
                self.model.pyramid(&self.presentations.image_batch(chunk, &self.model.image, self.model.device())?)?;
            let (mut readings, mut own) = (Vec::new(), Vec::new());
            for (s, part) in self.model.scans.iter().enumerate() {
                let trials: Vec<Option<usize>> = chunk.iter().map(|p| p.trials[s]).collect();
                if trials.iter().any(Option::is_some) {
                    let covariates = covariates(self.scans[s], &trials, &part.normalization, self.model.device())?;
                    readings.push(part.head.reading(part.head.shift(&covariates)?));
                    own.push((s, trials, covariates));
                }
            }
            for (values, (s, trials, covariates)) in read(&readings, &pyramid)?.iter().zip(own) {
                let rates = self.model.scans[s].head.rates(values, covariates.behavior.as_ref())?;
                let rows = trials.into_iter().zip(rates.to_vec2::<f32>()?);
                predicted[s].extend(rows.filter_map(|(trial, rates)| Some((trial?, rates))));
            }
        }
        let (mut sum, mut neurons) = (0.0, 0);
        for (s, rows) in predicted.iter().enumerate() {
            let by = &self.model.scans[s].normalization;
            for n in (0..by.varies.len()).filter(|&n| by.varies[n]) {
                let observed = self.scans[s].responses().column(n);
                let pairs = rows.iter().map(|(trial, rates)| (f64::from(rates[n]), f64::from(observed[*trial])));
                sum += crate::statistics::correlation(pairs).unwrap_or(0.0);
                neurons += 1;
            }
        }
        Ok(sum / neurons as f64)
    }

    fn checkpoint(&self) -> Result<Checkpoint> {
        Ok(Checkpoint {
            schedule: self.schedule,
            current: self.model.parameters.state()?,
            average: self.average.clone(),
            best: self.best.clone(),
            adam: self.adam.state()?.into_iter().collect(),
        })
    }

    fn resume(&mut self, found: Checkpoint) -> Result<()> {
        let Checkpoint { schedule, current, average, best, adam } = found;
        let parameters = &self.model.parameters;
        parameters.restore(&current)?;
        (self.schedule, self.average, self.best) = (schedule, parameters.brought(average)?, parameters.brought(best)?);
        self.adam.load_state(&adam.into_iter().collect::<Vec<_>>())?;
        Ok(())
    }
}
