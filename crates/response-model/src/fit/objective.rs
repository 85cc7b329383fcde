//! The loss of a batch with all penalties.

use brainprior_recording::Scan;
use candle_core::{Device, Tensor};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use crate::error::Result;
use crate::model::ResponseModel;
use crate::presentations::{Covariates, Presentation, Presentations, ScanBatch, covariates};
use crate::readout::{Moves, Reading, read};

/// First of the random streams for sampled positions.
const FIRST_DRAW_STREAM: u64 = 1 << 48;

/// The objective of a fit, and everything it uses from the scans.
pub(super) struct Objective<'a> {
    scans: &'a [&'a Scan],
    presentations: Presentations<'a>,
    /// Z-scored pupil centers of all training trials, over which the shifter is centered.
    training_pupils: Vec<Option<Tensor>>,
    seed: u64,
}

impl<'a> Objective<'a> {
    pub(super) fn new(
        model: &ResponseModel,
        scans: &'a [&'a Scan],
        presentations: Presentations<'a>,
        seed: u64,
    ) -> Result<Self> {
        let mut training_pupils = Vec::with_capacity(scans.len());
        for ((scan, trials), part) in
            scans.iter().zip(presentations.training_trials()).zip(&model.scans)
        {
            let trials: Vec<Option<usize>> = trials.iter().copied().map(Some).collect();
            let Covariates { pupil, .. } =
                covariates(scan, &trials, &part.normalization, model.device())?;
            training_pupils.push(part.head.shifter.as_ref().and(pupil));
        }
        Ok(Self { scans, presentations, training_pupils, seed })
    }

    pub(super) fn scans(&self) -> &'a [&'a Scan] {
        self.scans
    }

    pub(super) fn presentations(&self) -> &Presentations<'a> {
        &self.presentations
    }

    /// Centers the shifters of `model` over the training trials.
    pub(super) fn recenter(&self, model: &ResponseModel) -> Result<()> {
        for (part, pupils) in model.scans.iter().zip(&self.training_pupils) {
            if let (Some(shifter), Some(pupils)) = (&part.head.shifter, pupils) {
                shifter.recenter(pupils)?;
            }
        }
        Ok(())
    }

    /// Mean over neurons and trials of the loss of `model` with all penalties, on one of the
    /// `batches` batches of an epoch. `step` counts the steps of the fit, each with its own random
    /// draws.
    pub(super) fn loss(
        &self,
        model: &ResponseModel,
        batch: &[&Presentation],
        batches: usize,
        step: usize,
    ) -> Result<Tensor> {
        let config = &model.config;
        let images = self.presentations.image_batch(batch, &model.image, model.device())?;
        let pyramid =
            model.scales(model.core.train(&images, model.config.optimization.precision)?)?;
        let neurons: usize = model.scans.iter().map(|part| part.normalization.varies.len()).sum();
        let mut total = model.core.penalty()?;
        let (mut readings, mut own) = (Vec::new(), Vec::new());
        for (s, part) in model.scans.iter().enumerate() {
            let head = &part.head;
            total = (total
                + (head.readout.absolute_weights()?
                    * (config.readout.l1.unwrap_or_default() / neurons as f64))?)?;
            if let Some(modulator) = &head.modulator {
                total = (total
                    + (modulator.squared_weights()? * (config.modulator.l2 / neurons as f64))?)?;
            }
            // The expected number of this scan's trials per batch, so that every trial has the same
            // weight.
            let trials = self.presentations.training_trials()[s].len() as f64 / batches as f64;
            let weight = (1.0 / (trials * neurons as f64)) as f32;
            let Some(batch) = self.presentations.scan_batch(s, batch, model, weight)? else {
                continue;
            };
            let shift = match (&head.shifter, &batch.covariates.pupil, &self.training_pupils[s]) {
                (Some(shifter), Some(pupil), Some(all)) => Some(shifter.train(pupil, all)?),
                _ => None,
            };
            let draw = match head.readout.draws() {
                true => Some(self.draw(
                    s,
                    step,
                    [images.dim(0)?, part.normalization.varies.len()],
                    model.device(),
                )?),
                false => None,
            };
            readings.push(Reading { readout: &head.readout, moves: Moves { shift, draw } });
            own.push((head, batch));
        }
        for (values, (head, batch)) in read(&readings, &pyramid)?.iter().zip(own) {
            let ScanBatch { responses, weights, covariates } = batch;
            let rates = head.rates(values, covariates.behavior.as_ref())?;
            total = (total + head.loss.sum(&rates, &responses, &weights)?)?;
        }
        Ok(total)
    }

    /// Standard normal numbers `[batch, neurons, 2]` of a step, for the readout of scan number
    /// `scan`.
    fn draw(
        &self,
        scan: usize,
        step: usize,
        [batch, neurons]: [usize; 2],
        device: &Device,
    ) -> Result<Tensor> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed ^ (scan as u64 + 1));
        rng.set_stream(FIRST_DRAW_STREAM + step as u64);
        let numbers: Vec<f32> =
            (0..batch * neurons * 2).map(|_| rng.sample(StandardNormal)).collect();
        Ok(Tensor::from_vec(numbers, (batch, neurons, 2), device)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{
        Config, CoreConfig, CoreKind, CoreOutput, GainPlacement, KernelStart, LossKind,
        OutputConfig, OutputKind, PositionSource, ReadoutConfig, ReadoutKind, ShifterKind,
    };
    use crate::head::ScanDescription;
    use crate::normalization::{ImageNormalization, ScanNormalization};
    use brainprior_images::StimulusSet;
    use brainprior_recording::{Neurons, Origin, ScanParts, Tier};
    use ndarray::Array2;

    fn scan(name: &str, neurons: usize, rng: &mut ChaCha8Rng) -> Scan {
        let (images, height, width) = (12, 10, 14);
        let pixels = (0..images * height * width).map(|_| rng.random::<f32>()).collect();
        let mut uniform =
            |columns| Array2::from_shape_fn((images, columns), |_| rng.random_range(0.1..2.0f32));
        Scan::new(ScanParts {
            name: name.to_owned(),
            responses: uniform(neurons),
            behavior: Some(uniform(3)),
            pupil_center: Some(uniform(2)),
            stimuli: StimulusSet::new(height, width, pixels).unwrap(),
            image_labels: None,
            trial_image: (0..images).collect(),
            tiers: (0..images)
                .map(|t| if t < 8 { Tier::Train } else { Tier::Validation })
                .collect(),
            neurons: Neurons::unnamed(neurons),
            trial_idx: None,
            origin: Origin::default(),
        })
        .unwrap()
    }

    /// A dense core of two layers and a pyramid of three levels, with all penalties on.
    fn small() -> Config {
        let core = CoreConfig {
            channels: Some(vec![2, 3]),
            kernels: vec![3, 3],
            start: KernelStart::Normal,
            smoothness: 0.1,
            group_sparsity: 0.1,
            l2: 0.1,
            ..Default::default()
        };
        Config {
            core,
            readout: ReadoutConfig { levels: 3, l1: Some(0.01), ..Default::default() },
            ..Config::default()
        }
    }

    /// Compares the gradient of the whole loss, including penalties, with central differences in
    /// every parameter.
    fn check_gradient(config: Config) {
        config.check().unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let (a, b) = (scan("a", 3, &mut rng), scan("b", 2, &mut rng));
        let scans = [&a, &b];
        let presentations = Presentations::new(&scans).unwrap();
        let image = ImageNormalization::of(10, 14, presentations.training_images());
        let describe = |scan: &&Scan| {
            let normalization =
                ScanNormalization::of(scan, &scan.trials_in(Tier::Train), &config.loss).unwrap();
            let numbers = |by: f32| {
                (0..2 * normalization.varies.len()).map(|i| by * i as f32 - 0.31).collect()
            };
            ScanDescription {
                name: scan.name().to_owned(),
                positions: numbers(0.13),
                coordinates: Some(numbers(0.3)),
                zero_shares: vec![0.4; normalization.varies.len()],
                normalization,
            }
        };
        let descriptions = scans.iter().map(describe).collect();
        let model =
            ResponseModel::new(config.clone(), image, descriptions, 1, &Device::Cpu).unwrap();
        let objective = Objective::new(&model, &scans, presentations, 1).unwrap();
        // Away from zero, where the penalty on absolute weights has a kink.
        for (name, var) in &model.variables {
            let moved = (var.as_tensor().detach() * 3.0).unwrap();
            if name.contains("readout.weights") || name.contains("mixture") {
                var.set(&((moved.sign().unwrap() * 0.2).unwrap() + moved).unwrap()).unwrap();
            }
        }
        let batch: Vec<&Presentation> = objective.presentations.training().iter().collect();
        let loss = || objective.loss(&model, &batch, 1, 0).unwrap().to_scalar::<f32>().unwrap();
        let gradients = objective.loss(&model, &batch, 1, 0).unwrap().backward().unwrap();
        for (name, var) in &model.variables {
            let known = ["running_mean", "running_variance", "center", "coordinates"];
            let Some(analytic) = gradients.get(var) else {
                assert!(known.iter().any(|what| name.ends_with(what)), "{name} has no gradient");
                continue;
            };
            let analytic: Vec<f32> = analytic.flatten_all().unwrap().to_vec1().unwrap();
            let values: Vec<f32> = var.flatten_all().unwrap().to_vec1().unwrap();
            let largest = analytic.iter().fold(0f32, |m, g| m.max(g.abs()));
            for i in (0..values.len()).step_by(1 + values.len() / 12) {
                let at = |offset: f32| {
                    let mut moved = values.clone();
                    moved[i] += offset;
                    var.set(&Tensor::from_vec(moved, var.dims(), &Device::Cpu).unwrap()).unwrap();
                    loss()
                };
                let tolerance = 0.03 * largest + 3e-4;
                let numeric = (at(4e-3) - at(-4e-3)) / 8e-3;
                // Bilinear samples have kinks at pixel centers, where the gradient lies between the
                // two one-sided slopes.
                let (left, right) = ((at(0.0) - at(-1e-3)) / 1e-3, (at(1e-3) - at(0.0)) / 1e-3);
                let between = left.min(right) - tolerance..=left.max(right) + tolerance;
                assert!(
                    (numeric - analytic[i]).abs() < tolerance || between.contains(&analytic[i]),
                    "{name}[{i}]: analytic {}, numeric {numeric}, from the left {left}, from the right {right}\n{config:?}",
                    analytic[i]
                );
            }
            var.set(&Tensor::from_vec(values, var.dims(), &Device::Cpu).unwrap()).unwrap();
        }
    }

    #[test]
    fn gradient_of_the_loss_agrees_with_differences() {
        check_gradient(small());
        let mut config = small();
        config.modulator.placement = GainPlacement::BeforeOutput;
        config.output = OutputConfig { kind: OutputKind::Softplus, beta: 1.5, learn_beta: true };
        config.shifter.kind = ShifterKind::Affine;
        check_gradient(config);
    }

    #[test]
    fn gradients_of_every_core_agree_with_differences() {
        for (kind, depth_separable, output, pad_input) in [
            (CoreKind::Dense, true, CoreOutput::Last, false),
            (CoreKind::Stacked, false, CoreOutput::All, false),
            (CoreKind::Stacked, true, CoreOutput::Last, true),
        ] {
            let mut config = small();
            config.core =
                CoreConfig { kind, depth_separable, output, pad_input, stride: 1, ..config.core };
            check_gradient(config);
        }
    }

    #[test]
    fn gradients_of_every_readout_and_loss_agree_with_differences() {
        for (readout, positions, loss) in [
            (ReadoutKind::Gaussian, PositionSource::Located, LossKind::Gaussian),
            (ReadoutKind::Gaussian, PositionSource::Cortical, LossKind::Gamma),
            (ReadoutKind::Factorized, PositionSource::Located, LossKind::ZeroInflatedGamma),
        ] {
            let mut config = small();
            config.readout = ReadoutConfig { kind: readout, positions, ..config.readout };
            config.shifter.enabled = readout != ReadoutKind::Factorized;
            config.loss.kind = loss;
            check_gradient(config);
        }
    }
}
