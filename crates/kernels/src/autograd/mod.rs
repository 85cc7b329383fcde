//! Feature maps: images in a network whose gradients bypass candle's graph.
//!
//! Candle's backward pass allocates zeros for every operand and adds the gradient to them: three
//! passes over memory per value that compute nothing. In candle's graph a [`FeatureMap`] is only a
//! scalar, which determines the order of operations. Gradients are handed from one operation to the
//! next, and if several operations read one value, the operation that made it receives all their
//! gradients at once.
//!
//! On devices other than the CPU a feature map is an ordinary tensor.

mod backward;
mod gradients;
mod operations;

use std::sync::Arc;

use candle_core::{Device, Result, Tensor};
use rayon::prelude::*;

use crate::arguments::{image_sizes, with_elements};
use crate::batch_norm::{
    Activation, BatchNorm, BatchStatistics, FixedBatchNorm, FixedStatistics, MixedBatchNorm,
    add_values,
};
use crate::channels::{Groups, Sums};
use crate::conv2d::{Conv2dGeometry, Convolution, MixedConvolution, NormalizedConvolution};
use crate::mixed::{self, Sizes, with_numbers};
use crate::pair_cosine::{MixedPairCosine, PairCosine};
use crate::point_readout::PointReadout;
use crate::pooling::Pooling;
use crate::precision::Precision;
pub(crate) use backward::collected;
pub use backward::{backward, backward_onto};
use gradients::Gradients;
use operations::{
    Concatenated, ConcatenatedChunks, Convolved, ConvolvedAndNormalized, Copied, Entered, Left,
    Narrowed, Normalized, OfConvolution, OfNorm, Pooled, Read, Widened,
};

/// A value of a network, `[batch, channels, height, width]`, that remembers what it was computed
/// from.
///
/// ```
/// use brainprior_kernels::{Conv2dGeometry, FeatureMap};
/// use candle_core::{DType, Device, Tensor, Var};
///
/// let images = Tensor::ones((2, 1, 8, 8), DType::F32, &Device::Cpu)?;
/// let weight = Var::ones((4, 1, 3, 3), DType::F32, &Device::Cpu)?;
/// let features = FeatureMap::new(&images)?.conv2d(&weight, Conv2dGeometry { padding: 1, ..Default::default() })?;
/// let gradients = features.average_pool(8, 8)?.sum_all()?.backward()?;
/// assert_eq!(gradients.get(&weight).unwrap().dims(), [4, 1, 3, 3]);
/// # Ok::<(), candle_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct FeatureMap {
    /// Outside of candle's graph unless there is no node; in chunks if there are sizes.
    values: Tensor,
    node: Option<Node>,
    /// In mixed precision, the sizes that a tensor of chunks does not have.
    packed: Option<Sizes>,
}

/// The position of a value in candle's graph.
#[derive(Clone, Debug)]
struct Node {
    /// A scalar with the dependencies of the value.
    token: Tensor,
    gradients: Arc<Gradients>,
}

impl FeatureMap {
    /// Makes a feature map of a tensor; gradients flow back if it is a variable or depends on one.
    ///
    /// # Errors
    /// Returns an error only if memory runs out.
    pub fn new(tensor: &Tensor) -> Result<Self> {
        if !tensor.device().is_cpu() {
            return Ok(Self { values: tensor.clone(), node: None, packed: None });
        }
        let gradients = Arc::<Gradients>::default();
        let token = match tensor.track_op() {
            true => tensor.apply_op1(Entered(Arc::clone(&gradients)))?,
            false => Tensor::new(0f32, &Device::Cpu)?,
        };
        Ok(Self {
            values: tensor.detach().contiguous()?,
            node: Some(Node { token, gradients }),
            packed: None,
        })
    }

    fn mixed(&self) -> Result<Self> {
        let (Some(node), None) = (&self.node, self.packed) else {
            return match self.packed {
                Some(_) => Ok(self.clone()),
                None => Err(mixed::refused(&self.values).into()),
            };
        };
        let (sizes, values) = mixed::pack(&self.values)?;
        let gradients = Arc::default();
        let op =
            Narrowed { sizes, of_x: node.gradients_if_tracked(), of_y: Arc::clone(&gradients) };
        let node = Some(Node { token: node.token.apply_op1(op)?, gradients });
        Ok(Self { values, node, packed: Some(sizes) })
    }

    /// Converts to a precision. From a value in [`Precision::Mixed`] on, convolutions and batch
    /// norms store bfloat16 and sum in f32, and so do their gradients; all other operations receive
    /// f32.
    ///
    /// # Errors
    /// For mixed precision, returns an error if the rank is not 4, there are no pixels, the type is
    /// not `f32`, or the tensor is not on the CPU.
    pub fn in_precision(&self, precision: Precision) -> Result<Self> {
        match precision {
            Precision::F32 => self.plain(),
            Precision::Mixed => self.mixed(),
        }
    }

    /// The same value in f32.
    fn plain(&self) -> Result<Self> {
        let (Some(node), Some(sizes)) = (&self.node, self.packed) else { return Ok(self.clone()) };
        let values = mixed::unpack(&sizes, &self.values)?;
        let gradients = Arc::default();
        let op = Widened { of_x: node.gradients_if_tracked(), of_y: Arc::clone(&gradients) };
        Ok(Self {
            values,
            node: Some(Node { token: node.token.apply_op1(op)?, gradients }),
            packed: None,
        })
    }

    /// The values in f32, without gradients.
    ///
    /// # Errors
    /// Returns an error only if memory runs out.
    pub fn values(&self) -> Result<Tensor> {
        match &self.packed {
            Some(sizes) => mixed::unpack(sizes, &self.values),
            None => Ok(self.values.detach()),
        }
    }

    /// Mean of each channel over images and pixels, `[channels]`, without gradients.
    ///
    /// # Errors
    /// Returns an error if the rank is not 4 or there are no pixels.
    pub fn channel_means(&self) -> Result<Tensor> {
        if let Some(sizes) = &self.packed {
            let means =
                with_numbers(&self.values, |numbers| Ok(mixed::channel_means(sizes, numbers)))?;
            return Tensor::from_vec(means, sizes.channels, &Device::Cpu);
        }
        if self.node.is_none() {
            return self.values.detach().flatten_from(2)?.mean(2)?.mean(0);
        }
        let means = with_elements(&self.values, |values| {
            let [batch, channels, height, width] = image_sizes("channel_means", "x", &self.values)?;
            let groups = Groups { batch, channels, area: height * width };
            let count = (batch * height * width) as f64;
            let mean = |channel: usize| {
                let mut sums = Sums::new();
                (0..batch)
                    .for_each(|image| add_values(&mut sums, &values[groups.plane(image, channel)]));
                let [sum] = sums.totals();
                (sum / count) as f32
            };
            Ok((0..channels).into_par_iter().map(mean).collect::<Vec<_>>())
        })?;
        let channels = means.len();
        Tensor::from_vec(means, channels, &Device::Cpu)
    }

    /// The value as a tensor of candle's graph.
    ///
    /// # Errors
    /// Returns an error only if memory runs out.
    pub fn tensor(&self) -> Result<Tensor> {
        if self.packed.is_some() {
            return self.plain()?.tensor();
        }
        match &self.node {
            Some(node) if node.token.track_op() => self.leave(node, Copied),
            _ => Ok(self.values.clone()),
        }
    }

    /// See [`crate::conv2d`].
    ///
    /// # Errors
    /// See [`crate::conv2d`].
    pub fn conv2d(&self, weight: &Tensor, geometry: Conv2dGeometry) -> Result<Self> {
        let Some(node) = &self.node else {
            return Ok(Self {
                values: crate::conv2d(&self.values, weight, geometry)?,
                node: None,
                packed: None,
            });
        };
        let weight = weight.contiguous()?;
        let (values, op, packed) = match &self.packed {
            // Mixed kernels would multiply channels of different groups in vain.
            Some(_) if geometry.groups > 1 => {
                return self.plain()?.conv2d(&weight, geometry)?.mixed();
            }
            Some(sizes) => {
                let op = MixedConvolution::new(sizes, &weight, geometry)?;
                let packed = Some(op.output());
                (op.forward(&self.values, &weight)?, OfConvolution::Mixed(op), packed)
            }
            None => {
                let op = Convolution::new(&self.values, &weight, geometry)?;
                (self.values.apply_op2_no_bwd(&weight, &op)?, OfConvolution::Plain(op), None)
            }
        };
        let gradients = Arc::default();
        let op = Convolved {
            op,
            x: self.values.clone(),
            of_x: node.gradients_if_tracked(),
            of_y: Arc::clone(&gradients),
            packed,
        };
        Ok(Self {
            values,
            node: Some(Node { token: node.token.apply_op2(&weight, op)?, gradients }),
            packed,
        })
    }

    /// See [`crate::batch_norm_train`].
    ///
    /// # Errors
    /// See [`crate::batch_norm_train`].
    pub fn batch_norm_train(
        &self,
        scale: &Tensor,
        shift: &Tensor,
        residual: Option<&Self>,
        activation: Activation,
        eps: f64,
    ) -> Result<(Self, BatchStatistics)> {
        let values = residual.map(|residual| &residual.values);
        let Some(node) = &self.node else {
            let (values, statistics) =
                crate::batch_norm_train(&self.values, scale, shift, values, activation, eps)?;
            return Ok((Self { values, node: None, packed: None }, statistics));
        };
        let (op, moments) = match self.packed {
            Some(sizes) => {
                let residual = self.packed_residual(residual)?;
                let op = MixedBatchNorm::training(
                    sizes,
                    scale,
                    shift,
                    residual.as_ref(),
                    activation,
                    eps,
                )?;
                let moments = op.found();
                (OfNorm::Mixed(op), moments)
            }
            None => {
                let op = BatchNorm::training(&self.values, scale, shift, values, activation, eps)?;
                let moments = op.found();
                (OfNorm::Plain(op), moments)
            }
        };
        let y = self.normalize(node, op, scale, shift, residual)?;
        Ok((y, moments.statistics()?))
    }

    /// See [`crate::batch_norm_eval`].
    ///
    /// # Errors
    /// See [`crate::batch_norm_eval`].
    pub fn batch_norm_eval(
        &self,
        scale: &Tensor,
        shift: &Tensor,
        statistics: FixedStatistics,
        residual: Option<&Self>,
        activation: Activation,
    ) -> Result<Self> {
        let values = residual.map(|residual| &residual.values);
        let Some(node) = &self.node else {
            let values =
                crate::batch_norm_eval(&self.values, scale, shift, statistics, values, activation)?;
            return Ok(Self { values, node: None, packed: None });
        };
        let op = match self.packed {
            Some(sizes) => {
                let residual = self.packed_residual(residual)?;
                let op = MixedBatchNorm::evaluation(
                    sizes,
                    scale,
                    shift,
                    statistics,
                    residual.as_ref(),
                    activation,
                )?;
                OfNorm::Mixed(op)
            }
            None => OfNorm::Plain(BatchNorm::evaluation(
                &self.values,
                scale,
                shift,
                statistics,
                values,
                activation,
            )?),
        };
        self.normalize(node, op, scale, shift, residual)
    }

    /// [`FeatureMap::conv2d`], and [`FeatureMap::batch_norm_eval`] of its result, with the same
    /// bits. Unless the weight, scale or shift need gradients, results of the convolution are
    /// normalized while they are in the cache, and are not kept; gradients are equal up to rounding.
    ///
    /// # Errors
    /// See [`crate::conv2d`] and [`crate::batch_norm_eval`].
    pub fn conv2d_batch_norm_eval(
        &self,
        weight: &Tensor,
        geometry: Conv2dGeometry,
        norm: &FixedBatchNorm,
        residual: Option<&Self>,
        activation: Activation,
    ) -> Result<Self> {
        let fixed = [weight, norm.scale, norm.shift].iter().all(|tensor| !tensor.track_op());
        let (Some(node), None, true) = (&self.node, self.packed, fixed) else {
            let FixedBatchNorm { scale, shift, statistics } = *norm;
            let x = self.conv2d(weight, geometry)?;
            return x.batch_norm_eval(scale, shift, statistics, residual, activation);
        };
        let weight = weight.contiguous()?;
        let residual = residual.map(Self::beside);
        let values = residual.as_ref().map(|(values, _)| *values);
        let op =
            NormalizedConvolution::new(&self.values, &weight, geometry, norm, values, activation)?;
        let values = op.forward(&self.values, &weight, values)?;
        let gradients = Arc::new(Gradients::after(activation));
        let op = ConvolvedAndNormalized {
            op,
            weight,
            x: self.values.clone(),
            y: values.clone(),
            of_x: node.gradients_if_tracked(),
            of_residual: residual.as_ref().and_then(|(_, node)| node.gradients_if_tracked()),
            of_y: Arc::clone(&gradients),
        };
        let token = match &residual {
            Some((_, residual)) => node.token.apply_op2(&residual.token, op)?,
            None => node.token.apply_op1(op)?,
        };
        Ok(Self { values, node: Some(Node { token, gradients }), packed: None })
    }

    /// The sizes of a residual, which must have the same precision.
    fn packed_residual(&self, residual: Option<&Self>) -> Result<Option<Sizes>> {
        match residual.map(|residual| residual.packed) {
            Some(None) => {
                candle_core::bail!(
                    "batch_norm: residual is f32, expected mixed precision like x; call `in_precision` on it"
                )
            }
            sizes => Ok(sizes.flatten()),
        }
    }

    fn normalize(
        &self,
        node: &Node,
        op: OfNorm,
        scale: &Tensor,
        shift: &Tensor,
        residual: Option<&Self>,
    ) -> Result<Self> {
        let affine = Tensor::stack(&[scale, shift], 0)?;
        let residual = residual.map(Self::beside);
        let values =
            op.forward(&self.values, &affine, residual.as_ref().map(|(values, _)| *values))?;
        let gradients = Arc::default();
        let op = Normalized {
            op,
            x: self.values.clone(),
            y: values.clone(),
            of_x: node.gradients_if_tracked(),
            of_residual: residual.as_ref().and_then(|(_, node)| node.gradients_if_tracked()),
            of_y: Arc::clone(&gradients),
        };
        let token = match &residual {
            Some((_, residual)) => node.token.apply_op3(&affine, &residual.token, op)?,
            None => node.token.apply_op2(&affine, op)?,
        };
        Ok(Self { values, node: Some(Node { token, gradients }), packed: self.packed })
    }

    /// See [`crate::average_pool`]; returns a tensor of candle's graph.
    ///
    /// # Errors
    /// See [`crate::average_pool`].
    pub fn average_pool(&self, kernel: usize, stride: usize) -> Result<Tensor> {
        if self.packed.is_some() {
            return self.plain()?.average_pool(kernel, stride);
        }
        match &self.node {
            Some(node) => self.leave(node, Pooling::average(&self.values, kernel, stride)?),
            None => crate::average_pool(&self.values, kernel, stride),
        }
    }

    /// See [`crate::area_pool`].
    ///
    /// # Errors
    /// See [`crate::area_pool`].
    pub fn area_pool(&self, factor: usize) -> Result<Self> {
        let Some(node) = &self.node else {
            return Ok(Self {
                values: crate::area_pool(&self.values, factor)?,
                node: None,
                packed: None,
            });
        };
        if self.packed.is_some() {
            return self.plain()?.area_pool(factor)?.mixed();
        }
        let op = Pooling::area(&self.values, factor)?;
        let values = self.values.apply_op1_no_bwd(&op)?;
        let gradients = Arc::default();
        let op = Pooled { op, of_x: node.gradients_if_tracked(), of_y: Arc::clone(&gradients) };
        Ok(Self {
            values,
            node: Some(Node { token: node.token.apply_op1(op)?, gradients }),
            packed: None,
        })
    }

    /// Concatenates the channels of several values.
    ///
    /// # Errors
    /// Returns an error if there are no values or sizes other than channels differ.
    pub fn concatenate(parts: &[&Self]) -> Result<Self> {
        if parts.iter().any(|part| part.packed.is_some()) {
            return Self::concatenate_packed(parts);
        }
        let values = Tensor::cat(&parts.iter().map(|part| &part.values).collect::<Vec<_>>(), 1)?;
        let nodes = parts.iter().map(|part| part.node.as_ref()).collect::<Option<Vec<_>>>();
        let Some([first, others @ ..]) = nodes.as_deref() else {
            return Ok(Self { values, node: None, packed: None });
        };
        let token = others.iter().try_fold(first.token.clone(), |sum, node| &sum + &node.token)?;
        let gradients = Arc::default();
        let own = |part: &&Self| part.node.as_ref().and_then(Node::gradients_if_tracked);
        let parts =
            parts.iter().map(|part| Ok((part.values.dim(1)?, own(part)))).collect::<Result<_>>()?;
        let token = token.apply_op1(Concatenated { parts, of_y: Arc::clone(&gradients) })?;
        Ok(Self { values, node: Some(Node { token, gradients }), packed: None })
    }

    /// Concatenation in mixed precision; complete chunks of channels are copied unchanged.
    fn concatenate_packed(parts: &[&Self]) -> Result<Self> {
        let sizes: Option<Vec<Sizes>> = parts.iter().map(|part| part.packed).collect();
        let follow = |sizes: &Vec<Sizes>| {
            let alike = sizes
                .iter()
                .all(|part| Sizes { channels: 1, ..*part } == Sizes { channels: 1, ..sizes[0] });
            alike
                && sizes[..sizes.len() - 1]
                    .iter()
                    .all(|part| part.channels.is_multiple_of(mixed::CHUNK))
        };
        let Some(sizes) = sizes.filter(follow) else {
            let parts = parts.iter().map(|part| part.plain()).collect::<Result<Vec<_>>>()?;
            return Self::concatenate(&parts.iter().collect::<Vec<_>>())?.mixed();
        };
        let whole = Sizes { channels: sizes.iter().map(|part| part.channels).sum(), ..sizes[0] };
        let tensors: Vec<Tensor> = parts.iter().map(|part| part.values.clone()).collect();
        let numbers = mixed::with_all_numbers(&tensors, |numbers| {
            Ok(mixed::concatenate(
                &whole,
                &sizes.iter().copied().zip(numbers.iter().copied()).collect::<Vec<_>>(),
            ))
        })?;
        let nodes =
            parts.iter().map(|part| part.node.as_ref().expect("values in chunks are on the CPU"));
        let tokens: Vec<&Tensor> = nodes.clone().map(|node| &node.token).collect();
        let token = tokens[1..].iter().try_fold(tokens[0].clone(), |sum, token| &sum + *token)?;
        let gradients = Arc::default();
        let parts = sizes.into_iter().zip(nodes.map(Node::gradients_if_tracked)).collect();
        let token =
            token.apply_op1(ConcatenatedChunks { whole, parts, of_y: Arc::clone(&gradients) })?;
        Ok(Self {
            values: whole.tensor(numbers)?,
            node: Some(Node { token, gradients }),
            packed: Some(whole),
        })
    }

    /// See [`crate::point_readout`]; returns a tensor of candle's graph.
    ///
    /// # Errors
    /// See [`crate::point_readout`].
    pub fn point_readout(&self, positions: &Tensor, weights: &Tensor) -> Result<Tensor> {
        if self.packed.is_some() {
            return self.plain()?.point_readout(positions, weights);
        }
        let Some(node) = &self.node else {
            return crate::point_readout(&self.values, positions, weights);
        };
        let op = PointReadout::new(&self.values, positions, weights)?;
        let op = Read { op, x: self.values.clone(), of_x: node.gradients_if_tracked() };
        node.token.apply_op3(&positions.contiguous()?, &weights.contiguous()?, op)
    }

    /// See [`crate::pair_cosine`]; returns a tensor of candle's graph.
    ///
    /// # Errors
    /// See [`crate::pair_cosine`].
    pub fn pair_cosine(&self, center: &Tensor) -> Result<Tensor> {
        match (&self.node, self.packed) {
            (Some(node), Some(sizes)) => self.leave(node, MixedPairCosine::new(sizes, center)?),
            (Some(node), None) => self.leave(node, PairCosine::new(&self.values, center)?),
            (None, _) => crate::pair_cosine(&self.values, center),
        }
    }

    /// A value that is read together with another one on the CPU, and its position.
    fn beside(&self) -> (&Tensor, Node) {
        (&self.values, self.node.clone().expect("values on one device"))
    }

    fn leave(
        &self,
        node: &Node,
        op: impl candle_core::CustomOp1 + 'static + Send + Sync,
    ) -> Result<Tensor> {
        node.token.apply_op1(Left { op, x: self.values.clone(), of_x: Arc::clone(&node.gradients) })
    }
}

impl Node {
    /// Where to pass gradients, if the value is tracked.
    fn gradients_if_tracked(&self) -> Option<Arc<Gradients>> {
        self.token.track_op().then(|| Arc::clone(&self.gradients))
    }
}

#[cfg(test)]
mod tests;
