//! The joint training.

use crate::architecture::Role;
use crate::loader::{LabelledBatch, Loader};
use crate::network::count_correct;
use crate::objective::{Centers, classification, pair_similarity};
use crate::pairs::Pairs;
use crate::report::Tally;
use crate::state::{self, Identity, State};
use crate::{EpochReport, Error, ResNet, Result, RunningStatistics, Target, TrainConfig, TrainEvent, Trained};
use brainprior_images::LabelledImages;
use brainprior_kernels::Sgd;
use candle_core::{Device, Tensor, Var};
use std::path::Path;
use std::time::Instant;

/// Trains a network on `data` (grayscale or RGB, as `config.net` says), and on the similarities of `target` where it has
/// any: stochastic gradient descent on cross entropy + alpha x similarity loss (section 3.2 of the paper).
///
/// After each epoch the state is written to `folder`, which must exist. A training that was interrupted, called again with
/// the same arguments, goes on after the last finished epoch and ends with the same bytes as one that was not; a finished
/// one returns at once. Results do not depend on the number of threads.
///
/// # Errors
/// A setting out of range, data that do not fit the network, a target with images that are not among its stimuli, a loss
/// that is not finite any more, a folder that holds the state of another training, whatever the file system refuses.
pub fn train(
    data: &LabelledImages,
    target: &Target,
    config: &TrainConfig,
    seed: u64,
    folder: &Path,
    observe: &mut dyn FnMut(TrainEvent),
) -> Result<Trained> {
    config.check()?;
    let path = state::path(folder);
    let identity = Identity::new(data, target, config, seed);
    let loader = Loader::new(data, config.validation_fraction, config.batch, config.augmentation, seed)?;
    let pairs = Pairs::new(target, config.net.input_channels, seed)?;
    let mut trainer = match State::read(&path, &identity)? {
        Some(state) => {
            tracing::info!(epochs = state.epochs.len(), "training goes on from {}", path.display());
            Trainer::resume(config, loader, pairs, state)?
        }
        None => {
            let network = ResNet::new(&config.net, seed)?;
            network.check_data(data)?;
            let best = network.clone();
            let centers = Centers::default();
            Trainer::resume(
                config,
                loader,
                pairs,
                State { network, velocities: vec![], centers, best, best_epoch: 0, epochs: vec![] },
            )?
        }
    };
    while trainer.epochs.len() < config.epochs {
        let report = trainer.epoch(data, observe)?;
        trainer.state()?.write(&path, &identity)?;
        observe(TrainEvent::Epoch(report));
    }
    let State { network: last, best, best_epoch, epochs, .. } = trainer.state()?;
    let provenance = |epoch: usize| {
        let mut steps = match target {
            Target::None => vec!["no target".to_owned()],
            Target::Similarity { matrix, .. } => matrix.provenance().to_vec(),
        };
        steps.push(format!("after epoch {} of {}: {}", epoch + 1, config.epochs, identity.describe()));
        steps
    };
    Ok(Trained {
        network: best.with_provenance(provenance(best_epoch)),
        best_epoch,
        last: last.with_provenance(provenance(config.epochs - 1)),
        epochs,
    })
}

/// A training in memory.
struct Trainer<'a> {
    config: &'a TrainConfig,
    loader: Loader<'a>,
    pairs: Option<Pairs<'a>>,
    network: ResNet,
    /// Of what decays and of what does not.
    descents: [Sgd; 2],
    centers: Centers,
    best: ResNet,
    best_epoch: usize,
    epochs: Vec<EpochReport>,
}

impl<'a> Trainer<'a> {
    fn resume(config: &'a TrainConfig, loader: Loader<'a>, pairs: Option<Pairs<'a>>, state: State) -> Result<Self> {
        let (network, variables) = state.network.trainable()?;
        let (decaying, plain): (Vec<_>, Vec<_>) = variables.into_iter().partition(|(role, ..)| role.decays());
        let named =
            |variables: Vec<(Role, String, Var)>| variables.into_iter().map(|(_, name, variable)| (name, variable)).collect();
        let mut descents =
            [Sgd::new(named(decaying), config.momentum, config.weight_decay), Sgd::new(named(plain), config.momentum, 0.0)];
        if !state.epochs.is_empty() {
            descents.iter_mut().try_for_each(|descent| descent.load_state(&state.velocities))?;
        }
        let State { centers, best, best_epoch, epochs, .. } = state;
        Ok(Self { config, loader, pairs, network, descents, centers, best, best_epoch, epochs })
    }

    fn state(&self) -> Result<State> {
        let [decaying, plain] = &self.descents;
        Ok(State {
            network: self.network.snapshot()?,
            velocities: [decaying.state()?, plain.state()?].concat(),
            centers: self.centers.clone(),
            best: self.best.clone(),
            best_epoch: self.best_epoch,
            epochs: self.epochs.clone(),
        })
    }

    fn epoch(&mut self, data: &LabelledImages, observe: &mut dyn FnMut(TrainEvent)) -> Result<EpochReport> {
        let epoch = self.epochs.len();
        let _span = tracing::info_span!("epoch", epoch).entered();
        let (steps, mut tally) = (self.loader.steps(), Tally::default());
        let total = steps * self.config.epochs;
        let order = self.loader.order(epoch);
        for (step, indices) in order.chunks(self.config.batch).enumerate() {
            let started = Instant::now();
            let batch = self.loader.batch(epoch, indices)?;
            let overall = epoch * steps + step;
            let learning_rate = self.config.learning_rate_at(overall, total);
            let (loss, similarity_loss) = self.step(&batch, overall, learning_rate, &mut tally)?;
            if !loss.is_finite() {
                return Err(Error::Diverged { epoch, step, learning_rate, loss });
            }
            let images_per_second = indices.len() as f64 / started.elapsed().as_secs_f64();
            observe(TrainEvent::Step { done: overall + 1, total, loss, similarity_loss, images_per_second });
        }
        let validation = self.network.evaluate_at(data, self.loader.validation())?;
        if !validation.loss.is_finite() {
            let learning_rate = self.config.learning_rate_at((epoch + 1) * steps - 1, total);
            return Err(Error::Diverged { epoch, step: steps - 1, learning_rate, loss: validation.loss });
        }
        let report = tally.report(epoch, validation, self.network.gamma()?);
        if epoch == 0 || report.validation_loss < self.epochs[self.best_epoch].validation_loss {
            self.best = self.network.snapshot()?;
            self.best_epoch = epoch;
        }
        self.epochs.push(report.clone());
        Ok(report)
    }

    /// One step of gradient descent. The loss and the similarity loss before it.
    fn step(
        &mut self,
        batch: &LabelledBatch,
        overall: usize,
        learning_rate: f64,
        tally: &mut Tally,
    ) -> Result<(f64, Option<f64>)> {
        let count = batch.labels.len();
        let labels = Tensor::from_slice(&batch.labels, count, &Device::Cpu)?;
        let images = classification(&self.network, &batch.images, &labels)?;
        let cross_entropy = f64::from(images.loss.to_scalar::<f32>()?);
        let (mut joint, mut similarity_loss, mut pair_statistics) = (images.loss, None, None);
        if let Some(pairs) = &self.pairs {
            let drawn = pairs.batch(overall, self.config.pairs)?;
            let found = pair_similarity(&self.network, &drawn, self.config.loss_scale, &mut self.centers)?;
            let loss = f64::from(found.loss.to_scalar::<f32>()?);
            tally.pairs(loss, &found.similarity.to_vec1()?, &drawn.target.to_vec1()?);
            joint = (joint + found.loss.affine(self.config.alpha, 0.0)?)?;
            (similarity_loss, pair_statistics) = (Some(loss), Some(found.statistics));
        }
        let loss = cross_entropy + self.config.alpha * similarity_loss.unwrap_or(0.0);
        tally.images(count, count_correct(&images.logits, &batch.labels)?, loss, cross_entropy);

        let gradients = joint.backward()?;
        for descent in &mut self.descents {
            descent.step(&gradients, learning_rate)?;
        }
        self.network.update_running(&images.statistics)?;
        if let (RunningStatistics::Shared, Some(statistics)) = (self.config.running_statistics, pair_statistics) {
            self.network.update_running(&statistics)?;
        }
        Ok((loss, similarity_loss))
    }
}
