//! The joint training.

use crate::adversarial::attacked;
use crate::architecture::Role;
use crate::folder::Folder;
use crate::loader::{LabeledBatch, Loader};
use crate::network::count_correct;
use crate::objective::{Centers, Classification, classification, pair_similarity};
use crate::pairs::{PairBatch, Pairs};
use crate::report::Tally;
use crate::rng::Stream;
use crate::state::{self, State};
use crate::{
    Divergence, EpochReport, Error, Mixture, ResNet, Result, RobustTraining, RunningStatistics,
    Target, TrainConfig, TrainEvent, TrainOptions, Trained,
};
use brainprior_artifact::FileError;
use brainprior_images::LabeledImages;
use brainprior_kernels::{Sgd, SgdConfig, backward, backward_onto};
use candle_core::{Tensor, Var};
use candle_nn::Optimizer;
use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::time::Instant;

/// Number of batches prepared in advance.
const AHEAD: usize = 2;

/// Trains a network on `data` (grayscale or RGB) and on the similarities of `target`, if any, by
/// stochastic gradient descent on cross-entropy + alpha x similarity loss (section 3.2 of the
/// paper).
///
/// After each epoch, the state is written to `folder`, which must exist, together with
/// `last.safetensors`, the network after that epoch, and `best.safetensors`, the network with the
/// lowest validation loss. Calling an interrupted training again with the same arguments resumes it
/// after the last finished epoch and gives the same bytes as an uninterrupted one; a finished
/// training returns at once. Results do not depend on the number of threads. The CPU makes the
/// batches, whatever the device; the files do not depend on it.
///
/// # Errors
/// Returns [`Error::Setting`] if a setting is out of range, [`Error::Size`] if the data do not
/// match the settings, [`Error::MissingStimulus`] if the target has an image that is not among its
/// stimuli, [`Error::Diverged`] if the loss is no longer finite, [`Error::OtherTraining`] if the
/// folder holds the state of another training, [`Error::Busy`] if another process is training in
/// it, [`Error::File`] if a file cannot be read or written, and [`Error::Tensor`] if the device
/// runs out of memory.
pub fn train(
    data: &LabeledImages,
    target: &Target,
    config: &TrainConfig,
    folder: &Path,
    options: TrainOptions,
) -> Result<Trained> {
    let TrainOptions { device, seed, mut observer } = options;
    let device = &device;
    let observe = &mut |event| {
        if let Some(observer) = &mut observer {
            observer(event);
        }
    };
    config.check()?;
    let folder = Folder::take(folder)?;
    let path = state::path(folder.path());
    let identity = state::identity(data, target, config, seed);
    let net = config.net(data.channels(), data.classes());
    let source = Source {
        loader: Loader::new(data, config, seed)?,
        pairs: Pairs::new(target, net.input_channels, config.target_limit, seed)?,
        config,
    };
    let mut trainer = match State::read(&path, &identity, &net)? {
        Some(state) => {
            tracing::info!(
                epochs = state.epochs.len(),
                "resuming the training from {}",
                path.display()
            );
            Trainer::resume(config, seed, state.to_device(device)?)?
        }
        None => {
            let network = ResNet::new(&net, seed)?.with_gamma_logits(config.gamma_logits())?;
            let best = network.clone();
            let centers = Centers::default();
            let state =
                State { network, velocities: vec![], centers, best, best_epoch: 0, epochs: vec![] };
            Trainer::resume(config, seed, state.to_device(device)?)?
        }
    };
    let description = serde_json::to_string(&identity)
        .map_err(FileError::refused(&path, "describe the training as JSON"))?;
    let provenance = |epoch: usize| {
        let mut steps = target
            .pairs()
            .map_or_else(|| vec!["no target".to_owned()], |(_, pairs)| pairs.provenance());
        steps.push(format!("after epoch {} of {}: {}", epoch + 1, config.epochs, description));
        steps
    };
    while trainer.epochs.len() < config.epochs {
        let epoch = trainer.epochs.len();
        let report = trainer.epoch(data, &source, observe).map_err(|error| match error {
            Error::Diverged(mut divergence) => {
                divergence.kept = (epoch > 0).then(|| folder.last());
                Error::Diverged(divergence)
            }
            other => other,
        })?;
        let state = trainer.state()?;
        // Networks first: if writing the state fails, the epoch runs again and writes the same
        // networks.
        let network = state.network.clone().with_provenance(provenance(epoch));
        network.save(&folder.last())?;
        if state.best_epoch == epoch {
            network.save(&folder.best())?;
        }
        if config.snapshots {
            network.save(&folder.snapshot(epoch))?;
        }
        state.write(&path, &identity)?;
        observe(TrainEvent::Epoch(report));
    }
    let State { network: last, best, best_epoch, epochs, .. } = trainer.state()?;
    Ok(Trained {
        network: best.with_provenance(provenance(best_epoch)),
        best_epoch,
        last: last.with_provenance(provenance(config.epochs - 1)),
        epochs,
    })
}

/// The source of batches.
struct Source<'a> {
    loader: Loader<'a>,
    pairs: Option<Pairs<'a>>,
    config: &'a TrainConfig,
}

/// The data of one step.
struct Batch {
    labeled: LabeledBatch,
    pairs: Option<PairBatch>,
}

impl Source<'_> {
    fn batch(&self, epoch: usize, step: usize, indices: &[usize]) -> Result<Batch> {
        let overall = epoch * self.loader.steps() + step;
        let pairs =
            self.pairs.as_ref().map(|pairs| pairs.batch(overall, self.config.pairs)).transpose()?;
        Ok(Batch { labeled: self.loader.batch(epoch, indices)?, pairs })
    }
}

/// The position of a step in the training, and its schedule values.
#[derive(Clone, Copy)]
struct Place {
    epoch: usize,
    step: usize,
    learning_rate: f64,
    alpha: f64,
}

/// A training in memory.
struct Trainer<'a> {
    config: &'a TrainConfig,
    seed: u64,
    network: ResNet,
    /// Optimizers with and without weight decay.
    descents: [Sgd; 2],
    centers: Centers,
    best: ResNet,
    best_epoch: usize,
    epochs: Vec<EpochReport>,
}

impl<'a> Trainer<'a> {
    fn resume(config: &'a TrainConfig, seed: u64, state: State) -> Result<Self> {
        let (network, mut variables) = state.network.trainable()?;
        if let Mixture::Fixed(_) = config.mixture {
            variables.retain(|(role, ..)| *role != Role::Gamma);
        }
        let (decaying, plain): (Vec<_>, Vec<_>) =
            variables.into_iter().partition(|(role, ..)| role.decays());
        let named = |variables: Vec<(Role, String, Var)>| {
            variables.into_iter().map(|(_, name, variable)| (name, variable)).collect()
        };
        // The schedule sets the learning rate before each step.
        let sgd = |weight_decay| SgdConfig {
            learning_rate: 0.0,
            momentum: config.momentum,
            weight_decay,
        };
        let mut descents = [
            Sgd::named(named(decaying), sgd(config.weight_decay)),
            Sgd::named(named(plain), sgd(0.0)),
        ];
        if !state.epochs.is_empty() {
            descents.iter_mut().try_for_each(|descent| descent.load_state(&state.velocities))?;
        }
        let State { centers, best, best_epoch, epochs, .. } = state;
        Ok(Self { config, seed, network, descents, centers, best, best_epoch, epochs })
    }

    fn state(&self) -> Result<State> {
        let [decaying, plain] = &self.descents;
        // Right after the best epoch, the current network is the best one.
        let network = if self.best_epoch + 1 == self.epochs.len() {
            self.best.clone()
        } else {
            self.network.snapshot()?
        };
        Ok(State {
            network,
            velocities: [decaying.state()?, plain.state()?].concat(),
            centers: self.centers.clone(),
            best: self.best.clone(),
            best_epoch: self.best_epoch,
            epochs: self.epochs.clone(),
        })
    }

    /// One pass over the training images; another thread prepares the batches.
    fn epoch(
        &mut self,
        data: &LabeledImages,
        source: &Source,
        observe: &mut dyn FnMut(TrainEvent),
    ) -> Result<EpochReport> {
        let epoch = self.epochs.len();
        let _span = tracing::info_span!("epoch", epoch).entered();
        let (steps, mut tally) = (source.loader.steps(), Tally::default());
        let total = steps * self.config.epochs;
        let order = source.loader.order(epoch);
        std::thread::scope(|scope| -> Result<()> {
            let (sender, receiver) = sync_channel(AHEAD);
            let batches = order.chunks(self.config.batch);
            scope.spawn(move || {
                for (step, indices) in batches.enumerate() {
                    // The receiver is gone if a step failed.
                    if sender.send(source.batch(epoch, step, indices)).is_err() {
                        return;
                    }
                }
            });
            for step in 0..steps {
                let started = Instant::now();
                let batch = receiver
                    .recv()
                    .expect("a batch for each step, or the panic of the thread that makes them")?;
                let waited = started.elapsed().as_secs_f64();
                let overall = epoch * steps + step;
                let (learning_rate, alpha) = (
                    self.config.learning_rate_at(overall, total),
                    self.config.alpha_at(overall, total),
                );
                let (loss, similarity_loss) =
                    self.step(&batch, Place { epoch, step, learning_rate, alpha }, &mut tally)?;
                let seconds = started.elapsed().as_secs_f64();
                let (images_per_second, waited) =
                    (batch.labeled.indices.len() as f64 / seconds, waited / seconds);
                observe(TrainEvent::Step {
                    done: overall + 1,
                    total,
                    loss,
                    similarity_loss,
                    images_per_second,
                    waited,
                });
            }
            Ok(())
        })?;
        let validation = self.network.evaluate_at(data, source.loader.validation())?;
        // Batch norms hide diverging weights in training mode; running statistics do not.
        if !validation.loss.is_finite() || !self.network.is_finite()? {
            return Err(Error::Diverged(Box::new(Divergence {
                epoch,
                step: steps - 1,
                learning_rate: self.config.learning_rate_at((epoch + 1) * steps - 1, total),
                loss: validation.loss,
                cross_entropy: validation.loss,
                similarity_loss: None,
                images: source.loader.validation().to_vec(),
                first_pair: None,
                kept: None,
            })));
        }
        let report = tally.report(epoch, validation, self.network.gamma()?);
        if epoch == 0 || report.validation_loss < self.epochs[self.best_epoch].validation_loss {
            self.best = self.network.snapshot()?;
            self.best_epoch = epoch;
        }
        self.epochs.push(report.clone());
        Ok(report)
    }

    /// One optimizer step. Returns the loss and similarity loss before it.
    fn step(
        &mut self,
        batch: &Batch,
        place: Place,
        tally: &mut Tally,
    ) -> Result<(f64, Option<f64>)> {
        let Batch { labeled, pairs } = batch;
        let count = labeled.labels.len();
        let device = self.network.device().clone();
        let labels = Tensor::from_slice(&labeled.labels, count, &device)?;
        let clean = labeled.images.to_device(&device)?;
        let images = match self.config.robust_training {
            RobustTraining::Adversarial { epsilon, steps } => {
                let mut generator = Stream::Attack.generator(self.seed, place.epoch, place.step);
                attacked(&self.network, &clean, &labels, epsilon, steps, &mut generator)?
            }
            RobustTraining::None | RobustTraining::Noise { .. } => clean,
        };
        // Validation, checkpoints and attacks use the network itself, in f32.
        let network = self.network.in_precision(self.config.precision);
        // Backpropagate each loss before the next forward pass, so that the features of only one
        // are in memory.
        let Classification { loss, logits, statistics } =
            classification(&network, &images, &labels)?;
        let (cross_entropy, correct) =
            (f64::from(loss.to_scalar::<f32>()?), count_correct(&logits, &labeled.labels)?);
        let mut gradients = backward(&loss)?;
        drop((loss, logits));
        let (mut similarity_loss, mut pair_statistics, mut pulled) = (None, None, None);
        if let Some(drawn) = pairs {
            let found = pair_similarity(&network, drawn, self.config, &mut self.centers)?;
            let loss = f64::from(found.loss.to_scalar::<f32>()?);
            tally.pairs(loss, &found.similarity.to_vec1()?, &drawn.target.to_vec1()?);
            (similarity_loss, pair_statistics, pulled) =
                (Some(loss), Some(found.statistics), Some(found.loss));
        }
        let loss = cross_entropy + place.alpha * similarity_loss.unwrap_or(0.0);
        if !loss.is_finite() {
            return Err(Error::Diverged(Box::new(Divergence {
                epoch: place.epoch,
                step: place.step,
                learning_rate: place.learning_rate,
                loss,
                cross_entropy,
                similarity_loss,
                images: labeled.indices.clone(),
                first_pair: pairs.as_ref().map(|pairs| pairs.first),
                kept: None,
            })));
        }
        tally.images(count, correct, loss, cross_entropy);
        if let Some(pulled) = pulled {
            gradients = backward_onto(gradients, &pulled.affine(place.alpha, 0.0)?)?;
        }

        for descent in &mut self.descents {
            descent.set_learning_rate(place.learning_rate);
            descent.step(&gradients)?;
        }
        self.network.update_running(&statistics)?;
        if let (RunningStatistics::Shared, Some(statistics)) =
            (self.config.running_statistics, pair_statistics)
        {
            self.network.update_running(&statistics)?;
        }
        Ok((loss, similarity_loss))
    }
}
