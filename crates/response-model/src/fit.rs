//! Training: Adam over batches of images, with decays on the plateau of the validation correlation.

use std::path::Path;
use std::time::Instant;

use brainprior_kernels::Adam;
use brainprior_recording::{Scan, Tier};
use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::checkpoint::{Checkpoint, Identity};
use crate::config::{Config, OptimisationConfig};
use crate::core::Pyramid;
use crate::loss;
use crate::model::{ResponseModel, ScanDescription};
use crate::normalization::{ImageNormalization, ScanNormalization};
use crate::parameters::State;
use crate::presentations::{Covariates, Presentation, Presentations, ScanBatch, covariates};
use crate::readout::read;
use crate::receptive_field::{ContrastMaps, Start};
use crate::{Error, Result};

/// Streams of the seed below this are those of the parameters' start.
const FIRST_EPOCH_STREAM: u64 = 1 << 32;

/// What a fit reports while it runs.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum FitEvent {
    /// The scan has no behaviour, so that its rates have no gain.
    WithoutModulator {
        /// Name of the scan.
        scan: String,
    },
    /// The scan has no pupil centre, so that its receptive fields do not shift.
    WithoutShifter {
        /// Name of the scan.
        scan: String,
    },
    /// Some neurons never vary over the training trials: they are left out of the loss, are predicted by their one value,
    /// and have no v_a.
    NeverVarying {
        /// Name of the scan.
        scan: String,
        /// How many.
        neurons: usize,
    },
    /// Receptive fields were located by reverse correlation.
    Located {
        /// Name of the scan.
        scan: String,
        /// Neurons with a clear peak; the others start at the mean of these.
        clear: usize,
        /// All neurons.
        neurons: usize,
    },
    /// A checkpoint was found and is continued.
    Resumed {
        /// Epochs it has behind it.
        epochs: usize,
    },
    /// A step was made.
    Step {
        /// Epoch, counted from 0.
        epoch: usize,
        /// Steps of this epoch behind it.
        done: usize,
        /// Steps of an epoch.
        total: usize,
    },
    /// An epoch was made.
    Epoch {
        /// Epoch, counted from 0.
        epoch: usize,
        /// Most epochs that this fit makes.
        max_epochs: usize,
        /// Mean over neurons and trials of the loss with all penalties.
        train_loss: f64,
        /// Mean over all neurons of the correlation on the validation tier, undefined ones as 0.
        validation_correlation: f64,
        /// Learning rate of the epoch.
        learning_rate: f64,
        /// Whether this is the best validation correlation so far.
        best: bool,
        /// Wall time of the epoch with its validation.
        seconds: f64,
    },
    /// The validation correlation stopped rising: the best state was restored.
    Decayed {
        /// The learning rate from here.
        learning_rate: f64,
    },
    /// The fit is complete; the model is in its best state.
    Finished {
        /// Epochs made.
        epochs: usize,
        /// The best validation correlation.
        validation_correlation: f64,
    },
}

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

/// Fits one core and a head for each of `scans`.
///
/// Everything that is learned comes from the training tier; the validation tier decides when to stop, and gives v_a. The
/// result is a function of the scans, the configuration and the seed: not of the number of threads, and not of
/// interruptions, if `checkpoint` names a file. That file is written after every epoch; a later call with the same scans,
/// configuration and seed goes on from it, and a call after the last epoch returns the fitted model at once.
///
/// # Errors
/// [`Error::NoScans`]; [`Error::Configuration`]; scans that cannot be fitted ([`Error::ImageSize`],
/// [`Error::TooFewTrials`], [`Error::NegativeResponses`], [`Error::NothingVaries`]); [`Error::Diverged`];
/// a checkpoint that cannot be read or written ([`Error::Io`], [`Error::File`]) or is that of another fit
/// ([`Error::ForeignCheckpoint`]).
pub fn fit(
    scans: &[&Scan],
    config: &Config,
    seed: u64,
    checkpoint: Option<&Path>,
    observe: &mut dyn FnMut(FitEvent),
) -> Result<ResponseModel> {
    let span = tracing::info_span!("fit", scans = scans.len());
    let _entered = span.enter();
    config.check()?;
    check_together(scans)?;
    let normalizations: Vec<ScanNormalization> =
        scans.iter().map(|scan| ScanNormalization::of(scan, config.loss.rectify_negative)).collect::<Result<_>>()?;
    let presentations = Presentations::new(scans)?;
    let (height, width) = (scans[0].stimuli().height(), scans[0].stimuli().width());
    let image = ImageNormalization::of(height, width, presentations.training_images());
    announce(scans, config, &normalizations, observe);

    let positions = locate(scans, &presentations, &image, &normalizations, observe)?;
    let descriptions = scans
        .iter()
        .zip(normalizations)
        .zip(positions)
        .map(|((scan, normalization), positions)| ScanDescription { name: scan.name().to_owned(), normalization, positions });
    let model = ResponseModel::new(config.clone(), image, descriptions.collect(), seed)?;
    let identity = Identity::of(scans, config, seed);
    Trainer::new(model, scans, presentations, seed)?.run(checkpoint.map(|path| (path, identity)), observe)
}

fn check_together(scans: &[&Scan]) -> Result<()> {
    let first = scans.first().ok_or(Error::NoScans)?;
    let (expected_height, expected_width) = (first.stimuli().height(), first.stimuli().width());
    for scan in scans {
        let (found_height, found_width) = (scan.stimuli().height(), scan.stimuli().width());
        if (found_height, found_width) != (expected_height, expected_width) {
            let scan = scan.name().to_owned();
            return Err(Error::ImageSize { scan, expected_height, expected_width, found_height, found_width });
        }
        let found = scan.trials_in(Tier::Validation).len();
        if found < 3 {
            let scan = scan.name().to_owned();
            return Err(Error::TooFewTrials { scan, tier: Tier::Validation.name(), found, expected: 3 });
        }
    }
    Ok(())
}

fn announce(scans: &[&Scan], config: &Config, normalizations: &[ScanNormalization], observe: &mut dyn FnMut(FitEvent)) {
    for (scan, by) in scans.iter().zip(normalizations) {
        let name = scan.name().to_owned();
        if by.behavior.is_none() && config.modulator.enabled {
            tracing::warn!(scan = name, "no behaviour: fitted without a modulator");
            observe(FitEvent::WithoutModulator { scan: name.clone() });
        }
        if by.pupil.is_none() && config.shifter.enabled {
            tracing::warn!(scan = name, "no pupil centre: fitted without a shifter");
            observe(FitEvent::WithoutShifter { scan: name.clone() });
        }
        let neurons = by.varies.iter().filter(|varies| !**varies).count();
        if neurons > 0 {
            tracing::warn!(scan = name, neurons, "neurons that never vary are left out of the loss");
            observe(FitEvent::NeverVarying { scan: name, neurons });
        }
    }
}

/// Positions by reverse correlation, flat (x, y) for each scan.
fn locate(
    scans: &[&Scan],
    presentations: &Presentations,
    image: &ImageNormalization,
    normalizations: &[ScanNormalization],
    observe: &mut dyn FnMut(FitEvent),
) -> Result<Vec<Vec<f32>>> {
    let _entered = tracing::info_span!("locate").entered();
    let all: Vec<&Presentation> = presentations.training().iter().collect();
    let maps = ContrastMaps::new(all.chunks(64).map(|chunk| presentations.image_batch(chunk, image)))?;
    let mut positions = Vec::with_capacity(scans.len());
    for (s, (scan, by)) in scans.iter().zip(normalizations).enumerate() {
        let mut shown = Vec::new();
        let mut responses = Vec::new();
        for (row, presentation) in all.iter().enumerate() {
            if let Some(trial) = presentation.trials[s] {
                shown.push(row);
                responses.extend(by.responses(scan.responses().row(trial).iter()));
            }
        }
        let starts = maps.starts(&shown, &responses, by.varies.len())?;
        let clear = starts.iter().filter(|start| start.clear).count();
        observe(FitEvent::Located { scan: scan.name().to_owned(), clear, neurons: starts.len() });
        positions.push(starts.iter().flat_map(|Start { position, .. }| *position).collect());
    }
    Ok(positions)
}

struct Trainer<'a> {
    model: ResponseModel,
    scans: &'a [&'a Scan],
    presentations: Presentations<'a>,
    /// Z-scored pupil centres of all training trials, over which the shifter is centred.
    training_pupils: Vec<Option<Tensor>>,
    trained: Vec<(String, Var)>,
    adam: Adam,
    average: State,
    best: State,
    schedule: Schedule,
    seed: u64,
}

impl<'a> Trainer<'a> {
    fn new(model: ResponseModel, scans: &'a [&'a Scan], presentations: Presentations<'a>, seed: u64) -> Result<Self> {
        let mut training_pupils = Vec::with_capacity(scans.len());
        for (scan, part) in scans.iter().zip(&model.scans) {
            let trials: Vec<Option<usize>> = scan.trials_in(Tier::Train).into_iter().map(Some).collect();
            let Covariates { pupil, .. } = covariates(scan, &trials, &part.normalization)?;
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

    fn run(mut self, checkpoint: Option<(&Path, Identity)>, observe: &mut dyn FnMut(FitEvent)) -> Result<ResponseModel> {
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
        self.model.parameters.restore(&self.average)?;
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

    fn plateau(&mut self, config: &OptimisationConfig, observe: &mut dyn FnMut(FitEvent)) -> Result<()> {
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
        let mut gradients = loss.backward()?;
        self.clip(&mut gradients)?;
        self.adam.step(&gradients, self.schedule.learning_rate)?;
        for part in &self.model.scans {
            part.head.readout.clamp_positions()?;
        }
        self.schedule.steps += 1;
        self.update_average()?;
        Ok(value)
    }

    /// Mean over neurons and trials of the Poisson loss, with all penalties.
    fn loss(&self, batch: &[&Presentation], batches: usize) -> Result<Tensor> {
        let config = &self.model.config;
        let images = self.presentations.image_batch(batch, &self.model.image)?;
        let pyramid = Pyramid::new(self.model.core.train(&images)?, config.readout.levels)?;
        let neurons: usize = self.model.scans.iter().map(|part| part.normalization.varies.len()).sum();
        let mut total = self.model.core.penalty()?;
        let (mut readouts, mut own) = (Vec::new(), Vec::new());
        for (s, part) in self.model.scans.iter().enumerate() {
            let head = &part.head;
            total = (total + (head.readout.absolute_weights()? * (config.readout.l1 / neurons as f64))?)?;
            if let Some(modulator) = &head.modulator {
                total = (total + (modulator.squared_weights()? * (config.modulator.l2 / neurons as f64))?)?;
            }
            // The expected number of this scan's trials in a batch, so that every trial counts the same.
            let trials = self.scans[s].trials_in(Tier::Train).len() as f64 / batches as f64;
            let weight = (1.0 / (trials * neurons as f64)) as f32;
            let Some(batch) = self.presentations.scan_batch(s, batch, &part.normalization, weight)? else { continue };
            let shift = match (&head.shifter, &batch.covariates.pupil, &self.training_pupils[s]) {
                (Some(shifter), Some(pupil), Some(all)) => Some(shifter.train(pupil, all)?),
                _ => None,
            };
            readouts.push((&head.readout, shift));
            own.push((head, batch));
        }
        for (values, (head, batch)) in read(&readouts, &pyramid)?.iter().zip(own) {
            let ScanBatch { responses, weights, covariates } = batch;
            let rates = head.rates(values, covariates.behavior.as_ref())?;
            total = (total + loss::poisson(&rates, &responses, &weights, config.loss.poisson_eps)?)?;
        }
        Ok(total)
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
            let pyramid = self.model.pyramid(&self.presentations.image_batch(chunk, &self.model.image)?)?;
            let (mut readouts, mut own) = (Vec::new(), Vec::new());
            for (s, part) in self.model.scans.iter().enumerate() {
                let trials: Vec<Option<usize>> = chunk.iter().map(|p| p.trials[s]).collect();
                if trials.iter().any(Option::is_some) {
                    let covariates = covariates(self.scans[s], &trials, &part.normalization)?;
                    readouts.push((&part.head.readout, part.head.shift(&covariates)?));
                    own.push((s, trials, covariates));
                }
            }
            for (values, (s, trials, covariates)) in read(&readouts, &pyramid)?.iter().zip(own) {
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
        self.model.parameters.restore(&current)?;
        (self.schedule, self.average, self.best) = (schedule, average, best);
        self.adam.load_state(&adam.into_iter().collect::<Vec<_>>())?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{CoreConfig, GainPlacement, ReadoutConfig};
    use brainprior_images::StimulusSet;
    use brainprior_recording::{Neurons, Origin, ScanParts};
    use ndarray::Array2;
    use rand::Rng;

    fn scan(name: &str, neurons: usize, rng: &mut ChaCha8Rng) -> Scan {
        let (images, height, width) = (12, 10, 14);
        let pixels = (0..images * height * width).map(|_| rng.random::<f32>()).collect();
        let mut uniform = |columns| Array2::from_shape_fn((images, columns), |_| rng.random_range(0.1..2.0f32));
        Scan::new(ScanParts {
            name: name.to_owned(),
            responses: uniform(neurons),
            behavior: Some(uniform(3)),
            pupil_center: Some(uniform(2)),
            stimuli: StimulusSet::new(height, width, pixels).unwrap(),
            image_labels: None,
            trial_image: (0..images).collect(),
            tiers: (0..images).map(|t| if t < 8 { Tier::Train } else { Tier::Validation }).collect(),
            neurons: Neurons::unnamed(neurons),
            trial_idx: None,
            origin: Origin::default(),
        })
        .unwrap()
    }

    /// Gradient of the whole loss, penalties included, against central differences in every parameter.
    fn check_gradient(placement: GainPlacement) {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let (a, b) = (scan("a", 3, &mut rng), scan("b", 2, &mut rng));
        let scans = [&a, &b];
        let mut config = Config {
            core: CoreConfig {
                channels: vec![2, 3],
                kernels: vec![3, 3],
                smoothness: 0.1,
                group_sparsity: 0.1,
                ..Default::default()
            },
            readout: ReadoutConfig { levels: 3, l1: 0.01 },
            ..Config::default()
        };
        config.modulator.placement = placement;
        let presentations = Presentations::new(&scans).unwrap();
        let image = ImageNormalization::of(10, 14, presentations.training_images());
        let describe = |scan: &&Scan| {
            let normalization = ScanNormalization::of(scan, false).unwrap();
            let positions = (0..2 * normalization.varies.len()).map(|i| 0.13 * i as f32 - 0.31).collect();
            ScanDescription { name: scan.name().to_owned(), normalization, positions }
        };
        let model = ResponseModel::new(config, image, scans.iter().map(describe).collect(), 1).unwrap();
        let trainer = Trainer::new(model, &scans, presentations, 1).unwrap();
        // Away from zero, where the penalty on absolute weights has its kink.
        for (name, var) in &trainer.trained {
            let moved = (var.as_tensor().detach() * 3.0).unwrap();
            if name.contains("readout.weights") {
                var.set(&((moved.sign().unwrap() * 0.2).unwrap() + moved).unwrap()).unwrap();
            }
        }
        let batch: Vec<&Presentation> = trainer.presentations.training().iter().collect();
        let loss = || trainer.loss(&batch, 1).unwrap().to_scalar::<f32>().unwrap();
        let gradients = trainer.loss(&batch, 1).unwrap().backward().unwrap();
        for (name, var) in &trainer.trained {
            let analytic: Vec<f32> = gradients.get(var).unwrap().flatten_all().unwrap().to_vec1().unwrap();
            let values: Vec<f32> = var.flatten_all().unwrap().to_vec1().unwrap();
            let largest = analytic.iter().fold(0f32, |m, g| m.max(g.abs()));
            for i in (0..values.len()).step_by(1 + values.len() / 12) {
                let step = 4e-3;
                let at = |offset: f32| {
                    let mut moved = values.clone();
                    moved[i] += offset;
                    var.set(&Tensor::from_vec(moved, var.dims(), &candle_core::Device::Cpu).unwrap()).unwrap();
                    loss()
                };
                let numeric = (at(step) - at(-step)) / (2.0 * step);
                assert!(
                    (numeric - analytic[i]).abs() < 0.03 * largest + 3e-4,
                    "{name}[{i}]: analytic {}, numeric {numeric}, largest {largest}",
                    analytic[i]
                );
            }
            var.set(&Tensor::from_vec(values, var.dims(), &candle_core::Device::Cpu).unwrap()).unwrap();
        }
    }

    #[test]
    fn gradient_of_the_loss_agrees_with_differences() {
        check_gradient(GainPlacement::BeforeOutput);
        check_gradient(GainPlacement::OnRate);
    }
}
