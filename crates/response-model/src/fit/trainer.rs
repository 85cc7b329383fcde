//! The training loop: steps, epochs, decays and checkpoints.

use std::path::Path;
use std::time::Instant;

use brainprior_artifact::identity::Identity;
use brainprior_kernels::{Adam, backward, moving_average};
use brainprior_recording::{Scan, Tier};
use candle_core::backprop::GradStore;
use candle_nn::Optimizer;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::checkpoint::Checkpoint;
use super::event::FitEvent;
use super::objective::Objective;
use super::schedule::Schedule;
use crate::config::OptimizationConfig;
use crate::error::{Error, Result};
use crate::model::ResponseModel;
use crate::presentations::{Presentation, Presentations, covariates};
use crate::readout::read;
use crate::statistics::correlation;
use crate::variables::{State, restore, state};

/// Lower streams of the seed are used by the initialization of parameters.
const FIRST_EPOCH_STREAM: u64 = 1 << 32;

pub(super) struct Trainer<'a> {
    model: ResponseModel,
    objective: Objective<'a>,
    adam: Adam,
    average: State,
    best: State,
    schedule: Schedule,
    seed: u64,
}

impl<'a> Trainer<'a> {
    pub(super) fn new(
        model: ResponseModel,
        scans: &'a [&'a Scan],
        presentations: Presentations<'a>,
        seed: u64,
    ) -> Result<Self> {
        let objective = Objective::new(&model, scans, presentations, seed)?;
        let schedule = Schedule::start(model.config.optimization.learning_rate);
        // Running statistics are variables too, but they get no gradient, so the optimizer does not
        // change them.
        let adam =
            Adam::named(model.variables.clone().into_iter().collect(), schedule.learning_rate);
        let average = state(&model.variables)?;
        Ok(Self { best: state(&model.variables)?, average, model, objective, adam, schedule, seed })
    }

    pub(super) fn run(
        mut self,
        checkpoint: Option<(&Path, Identity)>,
        observe: &mut dyn FnMut(FitEvent),
    ) -> Result<ResponseModel> {
        if let Some((path, identity)) = &checkpoint
            && let Some(found) = Checkpoint::read(path, identity, &self.model.variables)?
        {
            self.resume(found)?;
            observe(FitEvent::Resumed { epochs: self.schedule.epochs });
        }
        let max_epochs = self.model.config.optimization.max_epochs;
        while !self.schedule.finished && self.schedule.epochs < max_epochs {
            self.epoch(observe)?;
            if let Some((path, identity)) = &checkpoint {
                self.checkpoint()?.write(path, identity)?;
            }
        }
        restore(&self.model.variables, &self.best)?;
        for (s, scan) in self.objective.scans().iter().enumerate() {
            self.model.scans[s].v_a = self.model.tier_correlation(s, scan, Tier::Validation)?;
        }
        observe(FitEvent::Finished {
            epochs: self.schedule.epochs,
            validation_correlation: self.schedule.best,
        });
        Ok(self.model)
    }

    fn epoch(&mut self, observe: &mut dyn FnMut(FitEvent)) -> Result<()> {
        let started = Instant::now();
        let epoch = self.schedule.epochs;
        let config = self.model.config.optimization.clone();
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(FIRST_EPOCH_STREAM + epoch as u64);
        let mut order: Vec<usize> = (0..self.objective.presentations().training().len()).collect();
        order.shuffle(&mut rng);
        // Batches of nearly equal size, to avoid a small last batch with poor statistics.
        let total = order.len().div_ceil(config.batch_images);
        let (mut train_loss, learning_rate) = (0.0, self.schedule.learning_rate);
        for done in 0..total {
            let batch =
                order[done * order.len() / total..(done + 1) * order.len() / total].to_vec();
            let loss = self.step(&batch, total)?;
            if !loss.is_finite() {
                return Err(Error::Diverged { epoch, step: done, loss, learning_rate });
            }
            train_loss += f64::from(loss) / total as f64;
            observe(FitEvent::Step { epoch, done: done + 1, total });
        }

        let current = state(&self.model.variables)?;
        if config.averaging > 0.0 {
            restore(&self.model.variables, &self.average)?;
        }
        self.objective.recenter(&self.model)?;
        let validation_correlation = self.validate()?;
        let best = validation_correlation > self.schedule.best;
        if best {
            self.best = state(&self.model.variables)?;
            self.schedule.best = validation_correlation;
            self.schedule.since_best = 0;
        } else {
            self.schedule.since_best += 1;
        }
        restore(&self.model.variables, &current)?;
        self.schedule.epochs += 1;
        tracing::debug!(epoch, train_loss, validation_correlation, learning_rate);
        let (max_epochs, seconds) = (config.max_epochs, started.elapsed().as_secs_f64());
        observe(FitEvent::Epoch {
            epoch,
            max_epochs,
            train_loss,
            validation_correlation,
            learning_rate,
            best,
            seconds,
        });
        if self.schedule.since_best >= config.patience.unwrap_or(1) {
            self.plateau(&config, observe)?;
        }
        Ok(())
    }

    fn plateau(
        &mut self,
        config: &OptimizationConfig,
        observe: &mut dyn FnMut(FitEvent),
    ) -> Result<()> {
        if self.schedule.decays == config.decays {
            self.schedule.finished = true;
            return Ok(());
        }
        restore(&self.model.variables, &self.best)?;
        self.average = state(&self.model.variables)?;
        self.schedule.decays += 1;
        self.schedule.since_best = 0;
        self.schedule.learning_rate *= config.decay_factor;
        observe(FitEvent::Decayed { learning_rate: self.schedule.learning_rate });
        Ok(())
    }

    /// One step of Adam on these presentations; returns the loss before the step.
    fn step(&mut self, batch: &[usize], batches: usize) -> Result<f32> {
        let training = self.objective.presentations().training();
        let batch: Vec<&Presentation> = batch.iter().map(|&i| &training[i]).collect();
        let loss = self.objective.loss(&self.model, &batch, batches, self.schedule.steps)?;
        let value: f32 = loss.to_scalar()?;
        let mut gradients = backward(&loss)?;
        self.clip(&mut gradients)?;
        self.adam.set_learning_rate(self.schedule.learning_rate);
        self.adam.step(&gradients)?;
        for part in &self.model.scans {
            part.head.readout.clamp_positions()?;
        }
        self.schedule.steps += 1;
        self.update_average()?;
        Ok(value)
    }

    fn clip(&self, gradients: &mut GradStore) -> Result<()> {
        let mut squares = 0.0;
        for var in self.model.variables.values() {
            if let Some(gradient) = gradients.get(var) {
                squares += f64::from(gradient.sqr()?.sum_all()?.to_scalar::<f32>()?);
            }
        }
        let most = self.model.config.optimization.gradient_clip;
        if squares.sqrt() > most {
            for var in self.model.variables.values() {
                if let Some(gradient) = gradients.get(var) {
                    let scaled = (gradient * (most / squares.sqrt()))?;
                    gradients.insert(var, scaled);
                }
            }
        }
        Ok(())
    }

    fn update_average(&mut self) -> Result<()> {
        if self.model.config.optimization.averaging == 0.0 {
            return Ok(());
        }
        // The average forgets its initial value as fast as it accumulates steps.
        let steps = self.schedule.steps as f64;
        let decay = self.model.config.optimization.averaging.min((1.0 + steps) / (10.0 + steps));
        for (name, var) in &self.model.variables {
            if let Some(average) = self.average.get_mut(name) {
                *average = moving_average(average.clone(), var, decay)?;
            }
        }
        Ok(())
    }

    /// Mean over all neurons of the validation correlation.
    fn validate(&self) -> Result<f64> {
        let (scans, presentations) = (self.objective.scans(), self.objective.presentations());
        let mut predicted: Vec<Vec<(usize, Vec<f32>)>> = vec![Vec::new(); scans.len()];
        let all: Vec<&Presentation> = presentations.validation().iter().collect();
        for chunk in all.chunks(64) {
            let pyramid = self.model.pyramid(&presentations.image_batch(
                chunk,
                &self.model.image,
                self.model.device(),
            )?)?;
            let (mut readings, mut own) = (Vec::new(), Vec::new());
            for (s, part) in self.model.scans.iter().enumerate() {
                let trials: Vec<Option<usize>> = chunk.iter().map(|p| p.trials[s]).collect();
                if trials.iter().any(Option::is_some) {
                    let covariates =
                        covariates(scans[s], &trials, &part.normalization, self.model.device())?;
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
                let observed = scans[s].responses().column(n);
                let pairs = rows
                    .iter()
                    .map(|(trial, rates)| (f64::from(rates[n]), f64::from(observed[*trial])));
                sum += correlation(pairs).unwrap_or(0.0);
                neurons += 1;
            }
        }
        Ok(sum / neurons as f64)
    }

    fn checkpoint(&self) -> Result<Checkpoint> {
        Ok(Checkpoint {
            schedule: self.schedule,
            current: state(&self.model.variables)?,
            average: self.average.clone(),
            best: self.best.clone(),
            adam: self.adam.state()?.into_iter().collect(),
        })
    }

    fn resume(&mut self, found: Checkpoint) -> Result<()> {
        let Checkpoint { schedule, current, average, best, adam } = found;
        restore(&self.model.variables, &current)?;
        let here = |state: State| -> Result<State> {
            state
                .into_iter()
                .map(|(name, tensor)| Ok((name, tensor.to_device(self.model.device())?)))
                .collect()
        };
        let (average, best) = (here(average)?, here(best)?);
        (self.schedule, self.average, self.best) = (schedule, average, best);
        self.adam.load_state(&adam.into_iter().collect::<Vec<_>>())?;
        Ok(())
    }
}
