//! The residual network.

use crate::architecture::{Architecture, Block, ConvNorm, Role, Slot};
use crate::rng::Stream;
use crate::{Error, NetConfig, Result, blur};
use brainprior_images::LabeledImages;
use brainprior_kernels::{
    Activation, BatchStatistics, Conv2dGeometry, FeatureMap, FixedBatchNorm, FixedStatistics,
    Precision, conv2d, cross_entropy,
};
use candle_core::{D, DType, Device, Tensor, Var};
use rand::Rng;
use std::sync::Arc;

/// PyTorch's epsilon of batch norms.
const EPSILON: f64 = 1e-5;
/// Weight of the newest batch in the running statistics, PyTorch's default.
const MOMENTUM: f64 = 0.1;
/// Size of the average pool before the head.
const POOL: usize = 4;
/// Evaluation batch size, fixed so that results do not depend on the caller.
const EVALUATION_BATCH: usize = 250;

/// A residual network with a 7x7 stem of stride 1 and no max-pool, the running statistics of its
/// batch norms, and the layer weights gamma.
///
/// Images enter in [0, 1] and are rescaled internally to 5 (x - 0.5). Tensors have the names of the
/// equivalent PyTorch module's state dict; see `data-specs/checkpoint.toml`.
///
/// ```
/// use brainprior_classifier::{NetConfig, ResNet};
/// use candle_core::{DType, Device, Tensor};
///
/// let config = NetConfig { blocks: vec![1, 1, 1, 1], base_channels: 4, ..NetConfig::default() };
/// let network = ResNet::new(&config, 7)?;
/// let images = Tensor::zeros((2, 1, 32, 32), DType::F32, &Device::Cpu)?;
/// assert_eq!(network.logits(&images)?.dims(), [2, 10]);
/// assert_eq!(network.gamma()?, [0.2; 5]);
/// # Ok::<(), brainprior_classifier::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ResNet {
    config: NetConfig,
    architecture: Arc<Architecture>,
    tensors: Vec<Tensor>,
    batches: u64,
    provenance: Vec<String>,
    precision: Precision,
}

/// Loss and accuracy on labeled images.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evaluation {
    /// Mean cross-entropy in nats.
    pub loss: f64,
    /// Fraction classified correctly.
    pub accuracy: f64,
}

/// Statistics used by the batch norms.
pub(crate) enum Pass<'a> {
    /// The running statistics.
    Evaluation,
    /// The statistics of the batch, which are returned in the order of the layers.
    Training(&'a mut Vec<(usize, BatchStatistics)>),
}

impl ResNet {
    /// Makes a network with random weights: convolutions and head uniform within 1 / sqrt(fan-in),
    /// PyTorch's default; scales 1, shifts 0, gamma's logits 0.
    ///
    /// # Errors
    /// Returns [`Error::Setting`] if a setting is out of range.
    pub fn new(config: &NetConfig, seed: u64) -> Result<Self> {
        config.check()?;
        let mut position = 0;
        Self::assemble(config, 0, |slot| {
            let size = slot.shape.iter().product();
            let mut generator = Stream::Initial.generator(seed, 0, position);
            position += 1;
            let values = match slot.role {
                Role::Weight { fan_in } | Role::Bias { fan_in } => {
                    let bound = 1.0 / (fan_in as f32).sqrt();
                    (0..size).map(|_| generator.random_range(-bound..bound)).collect()
                }
                Role::Scale | Role::Variance => vec![1.0; size],
                Role::Shift | Role::Mean | Role::Gamma => vec![0.0; size],
                Role::Blur => blur::kernels(config),
            };
            Ok(Tensor::from_vec(values, slot.shape.as_slice(), &Device::Cpu)?)
        })
    }

    /// Makes a network whose tensors come from `source`.
    pub(crate) fn assemble(
        config: &NetConfig,
        batches: u64,
        mut source: impl FnMut(&Slot) -> Result<Tensor>,
    ) -> Result<Self> {
        let architecture = Architecture::new(config);
        let tensors = architecture.slots.iter().map(&mut source).collect::<Result<_>>()?;
        Ok(Self {
            config: config.clone(),
            architecture: Arc::new(architecture),
            tensors,
            batches,
            provenance: vec![],
            precision: Precision::F32,
        })
    }

    /// The same network on another device; tensors already there are shared.
    ///
    /// # Errors
    /// Returns [`Error::Tensor`] if the device runs out of memory.
    pub fn to_device(&self, device: &Device) -> Result<Self> {
        let tensors = self
            .tensors
            .iter()
            .map(|tensor| tensor.to_device(device))
            .collect::<candle_core::Result<_>>()?;
        Ok(Self { tensors, ..self.clone() })
    }

    /// The device of the tensors, on which images must be.
    pub fn device(&self) -> &Device {
        self.gamma_logits().device()
    }

    /// The same network computed in another precision, sharing the tensors. Mixed precision is
    /// available on the CPU only.
    pub fn in_precision(&self, precision: Precision) -> Self {
        Self { precision, ..self.clone() }
    }

    /// Whether the logits of an image have the same bits in every batch: on the CPU in f32.
    pub fn is_batch_invariant(&self) -> bool {
        self.device().is_cpu() && self.precision == Precision::F32
    }

    /// Shape of the network.
    pub fn config(&self) -> &NetConfig {
        &self.config
    }

    /// How the network was made, one entry per step.
    pub fn provenance(&self) -> &[String] {
        &self.provenance
    }

    /// The same network with this provenance.
    pub fn with_provenance(self, provenance: Vec<String>) -> Self {
        Self { provenance, ..self }
    }

    /// Number of learned parameters.
    pub fn parameters(&self) -> usize {
        self.named()
            .filter(|(slot, _)| slot.role.learned())
            .map(|(_, tensor)| tensor.elem_count())
            .sum()
    }

    /// Whether all values are finite.
    pub(crate) fn is_finite(&self) -> Result<bool> {
        // A sum is finite only if all its terms are; f32 values cannot overflow f64.
        let finite = |tensor: &Tensor| {
            Ok(tensor.to_dtype(DType::F64)?.sum_all()?.to_scalar::<f64>()?.is_finite())
        };
        self.tensors.iter().map(finite).try_fold(true, |all, one: Result<bool>| Ok(all && one?))
    }

    /// Number of updates of the running statistics; PyTorch's `num_batches_tracked`.
    pub(crate) fn batches(&self) -> u64 {
        self.batches
    }

    /// Every tensor with its slot.
    pub(crate) fn named(&self) -> impl Iterator<Item = (&Slot, &Tensor)> {
        self.architecture.slots.iter().zip(&self.tensors)
    }

    /// Names of the batch norms.
    pub(crate) fn norms(&self) -> impl Iterator<Item = &str> {
        self.architecture
            .conv_norms()
            .map(|layer| self.architecture.slots[layer.norm].name.trim_end_matches(".weight"))
    }

    /// The same network with these initial logits of gamma.
    pub(crate) fn with_gamma_logits(mut self, logits: Vec<f32>) -> Result<Self> {
        self.tensors[self.architecture.gamma] =
            Tensor::from_vec(logits, self.config.layer_count(), &Device::Cpu)?;
        Ok(self)
    }

    /// The same network with variables in place of learned tensors, and the variables by name.
    pub(crate) fn trainable(&self) -> Result<(Self, Vec<(Role, String, Var)>)> {
        let mut variables = Vec::new();
        let mut network = self.clone();
        for (slot, tensor) in self.architecture.slots.iter().zip(&mut network.tensors) {
            if slot.role.learned() {
                let variable = Var::from_tensor(&tensor.copy()?)?;
                *tensor = variable.as_tensor().clone();
                variables.push((slot.role, slot.name.clone(), variable));
            }
        }
        Ok((network, variables))
    }

    /// The same tensors without gradients; they still share the variables' memory.
    pub(crate) fn detached(&self) -> Self {
        Self { tensors: self.tensors.iter().map(Tensor::detach).collect(), ..self.clone() }
    }

    /// A copy that no later step changes.
    pub(crate) fn snapshot(&self) -> Result<Self> {
        let tensors =
            self.tensors.iter().map(|tensor| Ok(tensor.copy()?.detach())).collect::<Result<_>>()?;
        Ok(Self { tensors, ..self.clone() })
    }

    /// Logits `[batch, classes]` of images `[batch, channels, height, width]` in [0, 1], using the
    /// running statistics. Differentiable with respect to the images.
    ///
    /// # Errors
    /// Returns [`Error::Size`] if the images have another shape or are too small for the average
    /// pool before the head.
    pub fn logits(&self, images: &Tensor) -> Result<Tensor> {
        self.classify(images, &mut Pass::Evaluation)
    }

    /// Outputs of the stem and each stage, `[batch, channels, height, width]` each, for images as
    /// in [`ResNet::logits`]. These are the layers whose similarities are compared with a target.
    ///
    /// # Errors
    /// Returns [`Error::Size`] if the images have another shape.
    pub fn layer_outputs(&self, images: &Tensor) -> Result<Vec<Tensor>> {
        self.features(images, &mut Pass::Evaluation)?
            .iter()
            .map(|layer| Ok(layer.tensor()?))
            .collect()
    }

    /// Weight of each layer in the similarity of the network: non-negative, summing to 1.
    ///
    /// # Errors
    /// Returns [`Error::Tensor`] if the device fails.
    pub fn gamma(&self) -> Result<Vec<f64>> {
        let logits: Vec<f64> =
            self.gamma_logits().to_vec1::<f32>()?.into_iter().map(f64::from).collect();
        let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let powers: Vec<f64> = logits.iter().map(|logit| (logit - largest).exp()).collect();
        let sum: f64 = powers.iter().sum();
        Ok(powers.iter().map(|power| power / sum).collect())
    }

    /// Mean loss and accuracy on labeled images.
    ///
    /// # Errors
    /// Returns [`Error::Size`] if there are no images or if they differ in channels or classes.
    pub fn evaluate(&self, data: &LabeledImages) -> Result<Evaluation> {
        let all: Vec<usize> = (0..data.len()).collect();
        self.evaluate_at(data, &all)
    }

    pub(crate) fn evaluate_at(
        &self,
        data: &LabeledImages,
        indices: &[usize],
    ) -> Result<Evaluation> {
        self.check_data(data)?;
        if indices.is_empty() {
            return Err(Error::Size {
                what: "images to evaluate",
                expected: "at least one".into(),
                found: "none".into(),
            });
        }
        let network = self.detached();
        let (mut loss, mut correct) = (0.0, 0);
        for part in indices.chunks(EVALUATION_BATCH) {
            let shape = (part.len(), data.channels(), data.height(), data.width());
            let mut pixels = vec![0.0; part.len() * shape.1 * shape.2 * shape.3];
            for (index, image) in
                part.iter().zip(pixels.chunks_exact_mut(shape.1 * shape.2 * shape.3))
            {
                data.pixels_unit(*index, image);
            }
            let labels: Vec<u32> = part.iter().map(|index| u32::from(data.label(*index))).collect();
            let logits = network.logits(&Tensor::from_vec(pixels, shape, self.device())?)?;
            correct += count_correct(&logits, &labels)?;
            let labels = Tensor::from_vec(labels, part.len(), self.device())?;
            loss +=
                f64::from(cross_entropy(&logits, &labels)?.to_scalar::<f32>()?) * part.len() as f64;
        }
        let count = indices.len() as f64;
        Ok(Evaluation { loss: loss / count, accuracy: correct as f64 / count })
    }

    pub(crate) fn check_data(&self, data: &LabeledImages) -> Result<()> {
        let agree = |what, expected: usize, found: usize| {
            let found = found.to_string();
            if found == expected.to_string() {
                Ok(())
            } else {
                Err(Error::Size { what, expected: expected.to_string(), found })
            }
        };
        agree("channels of the labeled images", self.config.input_channels, data.channels())?;
        agree("classes of the labeled images", self.config.classes, data.classes())?;
        let side = self.config.smallest_side();
        if data.height().min(data.width()) < side {
            return Err(Error::Size {
                what: "pixels of the labeled images",
                expected: format!(
                    "at least {side} x {side} for {} stages",
                    self.config.blocks.len()
                ),
                found: format!(
                    "{} x {}; enlarge the images or train a network with fewer stages",
                    data.height(),
                    data.width()
                ),
            });
        }
        Ok(())
    }

    pub(crate) fn gamma_logits(&self) -> &Tensor {
        &self.tensors[self.architecture.gamma]
    }

    pub(crate) fn classify(&self, images: &Tensor, pass: &mut Pass) -> Result<Tensor> {
        let mut features = self.features(images, pass)?;
        let last = features.pop().expect("a network has at least one stage");
        let mut pooled = last.average_pool(POOL, POOL)?.flatten_from(2)?;
        pooled = if pooled.dim(2)? == 1 { pooled.squeeze(2)? } else { pooled.mean(2)? };
        let (weight, bias) =
            (&self.tensors[self.architecture.head], &self.tensors[self.architecture.head + 1]);
        let logits = match pooled.device().is_cpu() {
            // In a product of matrices, the order of a sum may depend on the number of images.
            true => {
                let (pooled, weight) = (pooled.unsqueeze(2)?, weight.unsqueeze(2)?);
                let geometry = Conv2dGeometry::default();
                conv2d(&pooled.unsqueeze(3)?, &weight.unsqueeze(3)?, geometry)?.flatten_from(1)?
            }
            false => pooled.matmul(&weight.t()?)?,
        };
        Ok(logits.broadcast_add(bias)?)
    }

    pub(crate) fn features(&self, images: &Tensor, pass: &mut Pass) -> Result<Vec<FeatureMap>> {
        self.features_up_to(images, self.config.blocks.len(), pass)
    }

    /// Outputs of the layers up to number `last`; later layers are not computed.
    pub(crate) fn features_up_to(
        &self,
        images: &Tensor,
        last: usize,
        pass: &mut Pass,
    ) -> Result<Vec<FeatureMap>> {
        let channels = images.dims4()?.1;
        if channels != self.config.input_channels || images.dtype() != DType::F32 {
            return Err(Error::Size {
                what: "images of a network",
                expected: format!("[batch, {}, height, width] of f32", self.config.input_channels),
                found: format!("{:?} of {:?}", images.dims(), images.dtype()),
            });
        }
        let images = match self.architecture.blur {
            Some(kernels) => blur::apply(&images.affine(5.0, -2.5)?, &self.tensors[kernels])?,
            None => images.affine(5.0, -2.5)?,
        };
        let input = FeatureMap::new(&images)?.in_precision(self.precision)?;
        let mut layers = Vec::with_capacity(self.config.layer_count());
        let mut x =
            self.conv_norm(&self.architecture.stem, &input, None, Activation::Relu, pass)?;
        for stage in &self.architecture.stages[..last] {
            layers.push(x.clone());
            for block in stage {
                x = self.block(block, &x, pass)?;
            }
        }
        layers.push(x);
        Ok(layers)
    }

    fn block(&self, block: &Block, x: &FeatureMap, pass: &mut Pass) -> Result<FeatureMap> {
        let inner = self.conv_norm(&block.first, x, None, Activation::Relu, pass)?;
        let around = match &block.shortcut {
            Some(shortcut) => self.conv_norm(shortcut, x, None, Activation::Identity, pass)?,
            None => x.clone(),
        };
        self.conv_norm(&block.second, &inner, Some(&around), Activation::Relu, pass)
    }

    fn conv_norm(
        &self,
        layer: &ConvNorm,
        x: &FeatureMap,
        residual: Option<&FeatureMap>,
        activation: Activation,
        pass: &mut Pass,
    ) -> Result<FeatureMap> {
        let geometry = Conv2dGeometry {
            stride: layer.stride,
            padding: layer.padding,
            ..Conv2dGeometry::default()
        };
        let weight = &self.tensors[layer.weight];
        let [scale, shift, mean, variance] =
            std::array::from_fn(|part| &self.tensors[layer.norm + part]);
        match pass {
            Pass::Evaluation => {
                // Variables of a `VarMap` are statistics here too, not parameters.
                let statistics = FixedStatistics {
                    mean: &mean.detach(),
                    variance: &variance.detach(),
                    eps: EPSILON,
                };
                let norm = FixedBatchNorm { scale, shift, statistics };
                Ok(x.conv2d_batch_norm_eval(weight, geometry, &norm, residual, activation)?)
            }
            Pass::Training(statistics) => {
                let x = x.conv2d(weight, geometry)?;
                let (y, batch) = x.batch_norm_train(scale, shift, residual, activation, EPSILON)?;
                statistics.push((layer.norm, batch));
                Ok(y)
            }
        }
    }

    /// Updates the running statistics with those of one batch.
    pub(crate) fn update_running(&mut self, statistics: &[(usize, BatchStatistics)]) -> Result<()> {
        for (slot, value) in self.running_after(statistics)? {
            self.tensors[slot] = value;
        }
        self.batches += 1;
        Ok(())
    }

    /// The same in place, if the running statistics are variables.
    pub(crate) fn write_running(&self, statistics: &[(usize, BatchStatistics)]) -> Result<()> {
        for (slot, value) in self.running_after(statistics)? {
            if self.tensors[slot].is_variable() {
                Var::from_tensor(&self.tensors[slot])?.set(&value)?;
            }
        }
        Ok(())
    }

    /// Running statistics by slot after one more batch; variances are unbiased, as in PyTorch.
    fn running_after(
        &self,
        statistics: &[(usize, BatchStatistics)],
    ) -> Result<Vec<(usize, Tensor)>> {
        let parts = statistics.iter().flat_map(|(norm, batch)| {
            let unbiased = batch.count as f64 / (batch.count.max(2) - 1) as f64;
            [(norm + 2, &batch.mean, 1.0), (norm + 3, &batch.variance, unbiased)]
        });
        let after = |(slot, value, factor): (usize, &Tensor, f64)| {
            let kept = self.tensors[slot].affine(1.0 - MOMENTUM, 0.0)?;
            Ok((slot, (kept + value.detach().affine(MOMENTUM * factor, 0.0)?)?.detach()))
        };
        parts.map(after).collect()
    }
}

/// Softmax of logits `[layers]` as a column `[layers, 1]`.
pub(crate) fn mixture(logits: &Tensor) -> Result<Tensor> {
    let shifted = logits.broadcast_sub(&logits.detach().max_keepdim(D::Minus1)?)?.exp()?;
    Ok(shifted.broadcast_div(&shifted.sum_keepdim(D::Minus1)?)?.unsqueeze(1)?)
}

/// Number of rows whose largest score is at the label; ties go to the first class.
pub(crate) fn count_correct(logits: &Tensor, labels: &[u32]) -> Result<usize> {
    let rows = logits.detach().to_vec2::<f32>()?;
    let best = |row: &[f32]| {
        (1..row.len()).fold(0, |best, index| if row[index] > row[best] { index } else { best })
    };
    Ok(rows.iter().zip(labels).filter(|(row, label)| best(row) == **label as usize).count())
}
