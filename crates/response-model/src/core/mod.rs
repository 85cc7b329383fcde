//! The convolutional core shared by all neurons of all scans.
//!
//! A layer is a convolution without bias, batch norm and ELU. In the `dense` core, layer l receives
//! the concatenated outputs of all earlier layers (Sinz et al. 2018, "Stimulus domain transfer in
//! recurrent models for large scale cortical population prediction on video"); in the `stacked`
//! core, only that of the preceding layer (Lurz et al. 2021, "Generalization in data-driven models
//! of primary visual cortex").

mod contrast;
mod kernels;
mod layer;
mod penalty;
mod pyramid;
mod start;

pub(crate) use pyramid::Pyramid;

use brainprior_kernels::{FeatureMap, Precision};
use candle_core::{Result, Tensor};
use candle_nn::{ModuleT, VarBuilder};
use rand_chacha::ChaCha8Rng;

use crate::config::{CoreConfig, CoreKind, CoreOutput, KernelStart};
use crate::variables::variable;
use kernels::Kernels;
use layer::{Layer, Mode};

/// The convolutional core of a model: from normalized images `[batch, 1, height, width]` to
/// features `[batch, channels, rows, columns]`.
///
/// In training mode, batch norm uses the statistics of the batch, which also update the running
/// statistics.
#[derive(Debug)]
pub struct Core {
    layers: Vec<Layer>,
    config: CoreConfig,
}

impl Core {
    /// A core with the variables in `vars`; missing ones are initialized randomly.
    pub(crate) fn new(
        config: &CoreConfig,
        vars: &VarBuilder,
        rng: &mut ChaCha8Rng,
    ) -> Result<Self> {
        let mut layers: Vec<Layer> = Vec::new();
        let channels = config.channels.iter().flatten();
        for (l, (&outputs, &side)) in channels.zip(&config.kernels).enumerate() {
            let vars = vars.pp(format!("layer{l}"));
            let inputs = match (config.kind, &layers[..]) {
                (_, []) => config.planes(),
                (CoreKind::Dense, earlier) => earlier.iter().map(Layer::outputs).sum(),
                (CoreKind::Stacked, [.., last]) => last.outputs(),
            };
            let sizes = [inputs, outputs, side];
            let kernels = if l == 0 && config.start == KernelStart::Gabor {
                let bank = start::gabor_bank(outputs, side, rng);
                let start =
                    || bank.chunks(side * side).flat_map(|filter| filter.repeat(inputs)).collect();
                Kernels::Full(variable(&vars, "weight", &[outputs, inputs, side, side], start)?)
            } else {
                Kernels::normal(sizes, l > 0 && config.depth_separable, &vars, rng)?
            };
            let (stride, padding) =
                if l == 0 { (config.stride, config.padding()) } else { (1, side / 2) };
            layers.push(Layer::new(kernels, stride, padding, &vars)?);
        }
        Ok(Self { layers, config: config.clone() })
    }

    /// Number of output channels.
    pub(crate) fn channels(&self) -> usize {
        match self.config.output {
            CoreOutput::All => self.layers.iter().map(Layer::outputs).sum(),
            CoreOutput::Last => self.layers.last().map_or(0, Layer::outputs),
        }
    }

    /// Rows or columns of the output for images of `pixels` rows or columns; 0 if the first layer's
    /// kernels do not fit.
    pub(crate) fn extent(&self, pixels: usize) -> usize {
        let padded = pixels + 2 * self.config.padding();
        if padded < self.config.kernels[0] {
            0
        } else {
            (padded - self.config.kernels[0]) / self.config.stride + 1
        }
    }

    /// Features of `images` `[batch, 1, height, width]` with the batch statistics, which update the
    /// running ones; returned as f32 whatever the `precision` of the computation.
    pub(crate) fn train(&self, images: &Tensor, precision: Precision) -> Result<FeatureMap> {
        self.forward(images, Mode::Training, precision)?.in_precision(Precision::F32)
    }

    /// Features of `images` with the running statistics.
    pub(crate) fn eval(&self, images: &Tensor) -> Result<FeatureMap> {
        self.forward(images, Mode::Evaluation, Precision::F32)
    }

    fn forward(&self, images: &Tensor, mode: Mode, precision: Precision) -> Result<FeatureMap> {
        let images = FeatureMap::new(&self.planes(images)?)?.in_precision(precision)?;
        let mut outputs: Vec<FeatureMap> = Vec::with_capacity(self.layers.len());
        for layer in &self.layers {
            let output = match (self.config.kind, &outputs[..]) {
                (_, []) => layer.forward(&images, mode)?,
                (CoreKind::Stacked, [.., last]) | (CoreKind::Dense, [last]) => {
                    layer.forward(last, mode)?
                }
                (CoreKind::Dense, earlier) => layer.forward(&concatenated(earlier)?, mode)?,
            };
            outputs.push(output);
        }
        match self.config.output {
            CoreOutput::Last => Ok(outputs.pop().expect("a core has at least one layer")),
            CoreOutput::All => concatenated(&outputs),
        }
    }

    /// The input planes of the first layer, `[batch, planes, height, width]`.
    fn planes(&self, images: &Tensor) -> Result<Tensor> {
        match self.config.contrast_window {
            None => Ok(images.clone()),
            Some(window) => Tensor::cat(&[images, &contrast::divided(images, window)?], 1),
        }
    }

    /// The penalty on the kernels; see [`penalty`].
    pub(crate) fn penalty(&self) -> Result<Tensor> {
        let kernels: Vec<&Kernels> = self.layers.iter().map(Layer::kernels).collect();
        penalty::penalty(&kernels, &self.config)
    }

    /// First-layer kernels, `[channels, planes, side, side]`.
    pub(crate) fn filters(&self) -> Result<Tensor> {
        Ok(self.layers[0].kernels().spatial().clone())
    }
}

impl ModuleT for Core {
    fn forward_t(&self, images: &Tensor, train: bool) -> Result<Tensor> {
        self.forward(images, if train { Mode::Training } else { Mode::Evaluation }, Precision::F32)?
            .tensor()
    }
}

fn concatenated(outputs: &[FeatureMap]) -> Result<FeatureMap> {
    FeatureMap::concatenate(&outputs.iter().collect::<Vec<_>>())
}
