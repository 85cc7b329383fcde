//! The dense convolutional core that all neurons of all scans share.
//!
//! Three layers by default; layer l reads the concatenation of all earlier layers' outputs, convolves without bias,
//! normalises over the batch and applies ELU; the core's output is the concatenation of all layers (Sinz et al. 2018,
//! "Stimulus domain transfer in recurrent models for large scale cortical population prediction on video").
//!
//! Batch norm has a learned shift but no learned scale: a scale would let the features grow while the readout's
//! weights shrink, and so undo the readout's L1 penalty.

use brainprior_kernels::{Activation, BatchStatistics, Conv2dGeometry, area_pool, batch_norm_eval, batch_norm_train, conv2d};
use candle_core::{Device, Result, Tensor, Var};
use rand_chacha::ChaCha8Rng;

use crate::config::CoreConfig;
use crate::parameters::{Parameters, Role};

const BATCH_NORM_EPS: f64 = 1e-5;
/// Share of a new batch in the running statistics (PyTorch's default).
const RUNNING_MOMENTUM: f64 = 0.1;

/// The dense core.
#[derive(Debug)]
pub(crate) struct DenseCore {
    layers: Vec<Layer>,
    stride: usize,
    smoothness: f64,
    group_sparsity: f64,
}

#[derive(Debug)]
struct Layer {
    weight: Var,
    shift: Var,
    scale: Tensor,
    running_mean: Var,
    running_variance: Var,
}

/// Core output at several scales: `[batch, channels, height, width]`, each level half the size of the one before.
pub(crate) struct Pyramid {
    pub(crate) levels: Vec<Level>,
}

/// One scale of a [`Pyramid`].
pub(crate) struct Level {
    pub(crate) features: Tensor,
    /// Extent of the finest level over the extent that this level's blocks cover, (x, y): below 1 where the last block is partial.
    pub(crate) extent: [f64; 2],
}

impl DenseCore {
    /// Registers the core's parameters; kernels are normal with variance 1 / fan-in.
    pub(crate) fn new(config: &CoreConfig, parameters: &mut Parameters, rng: &mut ChaCha8Rng) -> Result<Self> {
        let mut layers = Vec::new();
        let mut inputs = 1;
        for (l, (&outputs, &kernel)) in config.channels.iter().zip(&config.kernels).enumerate() {
            let name = |what: &str| format!("core.layer{l}.{what}");
            let fan_in = (inputs * kernel * kernel) as f32;
            layers.push(Layer {
                weight: parameters.normal(&name("weight"), &[outputs, inputs, kernel, kernel], fan_in.sqrt().recip(), rng)?,
                shift: parameters.add(&name("shift"), Role::Trained, vec![0.0; outputs], &[outputs])?,
                scale: Tensor::ones(outputs, candle_core::DType::F32, &Device::Cpu)?,
                running_mean: parameters.add(&name("running_mean"), Role::Buffer, vec![0.0; outputs], &[outputs])?,
                running_variance: parameters.add(&name("running_variance"), Role::Buffer, vec![1.0; outputs], &[outputs])?,
            });
            inputs = if l == 0 { outputs } else { inputs + outputs };
        }
        Ok(Self { layers, stride: config.stride, smoothness: config.smoothness, group_sparsity: config.group_sparsity })
    }

    /// Channels of the output.
    pub(crate) fn channels(&self) -> usize {
        self.layers.iter().map(|layer| layer.scale.elem_count()).sum()
    }

    /// Features of `images` `[batch, 1, height, width]` with the batch's own statistics, which enter the running ones.
    pub(crate) fn train(&self, images: &Tensor) -> Result<Tensor> {
        self.forward(images, |layer, x| {
            let (y, statistics) = batch_norm_train(x, &layer.scale, &layer.shift, None, Activation::Elu, BATCH_NORM_EPS)?;
            layer.track(&statistics)?;
            Ok(y)
        })
    }

    /// Features of `images` with the running statistics.
    pub(crate) fn eval(&self, images: &Tensor) -> Result<Tensor> {
        self.forward(images, |layer, x| {
            let (mean, variance) = (layer.running_mean.as_tensor(), layer.running_variance.as_tensor());
            batch_norm_eval(x, &layer.scale, &layer.shift, mean, variance, None, Activation::Elu, BATCH_NORM_EPS)
        })
    }

    fn forward(&self, images: &Tensor, normalise: impl Fn(&Layer, &Tensor) -> Result<Tensor>) -> Result<Tensor> {
        let mut features: Option<Tensor> = None;
        for (l, layer) in self.layers.iter().enumerate() {
            let kernel = layer.weight.dim(3)?;
            let stride = if l == 0 { self.stride } else { 1 };
            let geometry = Conv2dGeometry { stride, padding: kernel / 2, ..Default::default() };
            let input = features.as_ref().unwrap_or(images);
            let output = normalise(layer, &conv2d(input, &layer.weight, geometry)?)?;
            features = Some(match features {
                Some(earlier) => Tensor::cat(&[earlier, output], 1)?,
                None => output,
            });
        }
        Ok(features.expect("a core has at least one layer"))
    }

    /// The penalty on the kernels: smoothness of the first layer, group sparsity of the others. Both are relative to the
    /// layer's norm, since batch norm makes the scale of a kernel irrelevant.
    pub(crate) fn penalty(&self) -> Result<Tensor> {
        let first = &self.layers[0].weight;
        let laplacian = Tensor::new(&[[0f32, -1.0, 0.0], [-1.0, 4.0, -1.0], [0.0, -1.0, 0.0]], &Device::Cpu)?;
        let (outputs, _, side, _) = first.dims4()?;
        let planes = first.reshape((outputs, 1, side, side))?;
        let rough = conv2d(&planes, &laplacian.reshape((1, 1, 3, 3))?, Conv2dGeometry { padding: 1, ..Default::default() })?;
        let mut penalty = ((rough.sqr()?.sum_all()? / first.sqr()?.sum_all()?)? * self.smoothness)?;
        for layer in &self.layers[1..] {
            let squares = layer.weight.sqr()?;
            let planes = (squares.sum((2, 3))? + 1e-12)?.sqrt()?.sum_all()?;
            penalty = (penalty + ((planes / squares.sum_all()?.sqrt()?)? * self.group_sparsity)?)?;
        }
        Ok(penalty)
    }
}

impl Layer {
    fn track(&self, statistics: &BatchStatistics) -> Result<()> {
        let count = statistics.count as f64;
        let unbiased = (&statistics.variance.detach() * (count / (count - 1.0).max(1.0)))?;
        for (running, new) in [(&self.running_mean, statistics.mean.detach()), (&self.running_variance, unbiased)] {
            let mixed = ((running.as_tensor().detach() * (1.0 - RUNNING_MOMENTUM))? + (new * RUNNING_MOMENTUM)?)?;
            running.set(&mixed)?;
        }
        Ok(())
    }
}

impl Pyramid {
    /// Averages `features` over blocks of 2, 4, ... pixels.
    pub(crate) fn new(features: Tensor, levels: usize) -> Result<Self> {
        let (_, _, height, width) = features.dims4()?;
        let mut pyramid = vec![Level { features, extent: [1.0, 1.0] }];
        for l in 1..levels {
            let coarser = area_pool(&pyramid[l - 1].features, 2)?;
            let (_, _, h, w) = coarser.dims4()?;
            let extent = [width as f64 / (w << l) as f64, height as f64 / (h << l) as f64];
            pyramid.push(Level { features: coarser, extent });
        }
        Ok(Self { levels: pyramid })
    }
}
