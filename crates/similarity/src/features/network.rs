//! A chain of layers with its tensors.

use super::vgg;
use crate::{Error, Result};
use brainprior_artifact::FileError;
use brainprior_artifact::archive::Archive;
use brainprior_kernels::{Conv2dGeometry, conv2d};
use candle_core::{Device, Tensor};
use std::path::{Path, PathBuf};

/// Mean and standard deviation of ImageNet's channels, with which torchvision normalizes the inputs
/// of its networks.
const IMAGENET: ([f32; 3], [f32; 3]) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);

/// Added to the variance by PyTorch's batch norm.
const EPSILON: f64 = 1e-5;

/// One layer; its tensors are named as in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layer {
    /// `<name>.weight` `[out, in, height, width]`, and optionally `<name>.bias` `[out]`.
    Convolution {
        /// Prefix of its tensors.
        name: String,
        /// Input pixels between neighboring outputs.
        stride: usize,
        /// Zeros on each side.
        padding: usize,
    },
    /// `<name>.weight`, `.bias`, `.running_mean`, `.running_var`, all `[channels]`.
    BatchNorm {
        /// Prefix of its tensors.
        name: String,
    },
    /// max(x, 0)
    Relu,
    /// The largest value of each square.
    MaxPool {
        /// Side of the squares, and distance between them in pixels.
        size: usize,
    },
}

/// Layers with their tensors, applied to grayscale images in [0, 1]. The images are repeated over
/// the input channels of the first convolution and, if there are three channels, normalized as for
/// ImageNet.
pub struct Network {
    name: String,
    layers: Vec<Applied>,
    channels: usize,
}

enum Applied {
    Convolution { weight: Tensor, bias: Option<Tensor>, geometry: Conv2dGeometry },
    BatchNorm { scale: Tensor, shift: Tensor },
    Relu,
    MaxPool { size: usize },
}

impl Network {
    /// Reads the tensors of `layers` from a weight file, in safetensors or as written by
    /// `torch.save` ([`Archive::read_weights`]), in any floating-point type.
    ///
    /// # Errors
    /// Returns an error if the file is missing or of another kind, if a tensor is missing or has
    /// another shape, or if the first layer is not a convolution.
    pub fn read(path: &Path, layers: &[Layer]) -> Result<Self> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let tensors = Tensors::open(path)?;
        if let Some(sentence) = tensors.file.left_out() {
            tracing::warn!("{sentence}");
        }
        let applied: Vec<Applied> =
            layers.iter().map(|layer| tensors.apply(layer)).collect::<Result<_>>()?;
        let Some(Applied::Convolution { weight, .. }) = applied.first() else {
            return Err(tensors.layout(
                "layers",
                "a convolution first",
                format!("{:?}", layers.first()),
            ));
        };
        let channels = weight.dims()[1];
        Ok(Self { name, layers: applied, channels })
    }

    /// A VGG network with torchvision's names, up to the rectified output of `layer`, such as
    /// `conv3_1`: the first convolution after the second pooling.
    ///
    /// # Errors
    /// Returns an error if [`Network::read`] does, if there is no layer of that name, or if the
    /// file is not a VGG network.
    pub fn vgg(path: &Path, layer: &str) -> Result<Self> {
        let tensors = Tensors::open(path)?;
        let names = tensors.file.names();
        let layers = vgg::layers(&names.iter().map(String::as_str).collect::<Vec<_>>(), layer)
            .map_err(|found| {
                tensors.layout(
                    "features.*",
                    format!("a VGG network under torchvision's names, with {layer}"),
                    found,
                )
            })?;
        let mut network = Self::read(path, &layers)?;
        network.name = format!("{} {layer}", network.name);
        Ok(network)
    }

    /// Its name in provenance.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Maps `[images, channels, rows, columns]` of its last layer for images `[images, height,
    /// width]` with pixels in [0, 1].
    ///
    /// # Errors
    /// Returns [`Error::Network`] if the images are too small for the network.
    pub fn maps(&self, pixels: &[f32], height: usize, width: usize) -> Result<Tensor> {
        let area = height * width;
        let count = pixels.len() / area;
        let mut input = Vec::with_capacity(count * self.channels * area);
        for image in pixels.chunks_exact(area) {
            for channel in 0..self.channels {
                let (mean, deviation) = if self.channels == 3 {
                    (IMAGENET.0[channel], IMAGENET.1[channel])
                } else {
                    (0.0, 1.0)
                };
                input.extend(image.iter().map(|pixel| (pixel - mean) / deviation));
            }
        }
        let network = self.refused(height, width);
        let mut x = Tensor::from_vec(input, (count, self.channels, height, width), &Device::Cpu)
            .map_err(&network)?;
        for layer in &self.layers {
            x = layer.forward(&x).map_err(&network)?;
        }
        Ok(x)
    }

    /// The error for images that the network cannot be applied to.
    pub(super) fn refused(
        &self,
        height: usize,
        width: usize,
    ) -> impl Fn(candle_core::Error) -> Error + '_ {
        move |source| Error::Network {
            network: self.name.clone(),
            height,
            width,
            source: Box::new(source),
        }
    }
}

impl Applied {
    fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        match self {
            Self::Convolution { weight, bias, geometry } => {
                let y = conv2d(x, weight, *geometry)?;
                match bias {
                    Some(bias) => y.broadcast_add(bias),
                    None => Ok(y),
                }
            }
            Self::BatchNorm { scale, shift } => x.broadcast_mul(scale)?.broadcast_add(shift),
            Self::Relu => x.relu(),
            Self::MaxPool { size } => x.max_pool2d(*size),
        }
    }
}

/// The tensors of a file.
struct Tensors {
    path: PathBuf,
    file: Archive,
}

const ADVICE: &str = "give a file with the weights of the requested layers";

impl Tensors {
    fn open(path: &Path) -> Result<Self> {
        Ok(Self { path: path.to_owned(), file: Archive::read_weights(path, ADVICE)? })
    }

    fn layout(
        &self,
        dataset: &str,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Error {
        self.file.mismatch(dataset, expected, found).into()
    }

    fn refused(&self, doing: &'static str, name: &str) -> impl FnOnce(candle_core::Error) -> Error {
        move |source| FileError::refused(&self.path, doing)(source).in_dataset(name).into()
    }

    fn get(&self, name: &str, rank: usize) -> Result<Tensor> {
        let (shape, values) = self.file.floats(name)?;
        if shape.len() != rank {
            return Err(self.layout(name, format!("{rank} axes"), format!("shape {shape:?}")));
        }
        Tensor::from_vec(values, shape, &Device::Cpu).map_err(self.refused("arrange", name))
    }

    /// A tensor with one value per channel, in a shape that broadcasts over images and pixels.
    fn per_channel(&self, name: &str) -> Result<Tensor> {
        let tensor = self.get(name, 1)?;
        let channels = tensor.dims()[0];
        tensor.reshape((1, channels, 1, 1)).map_err(self.refused("reshape", name))
    }

    fn apply(&self, layer: &Layer) -> Result<Applied> {
        match layer {
            Layer::Convolution { name, stride, padding } => {
                let bias = format!("{name}.bias");
                Ok(Applied::Convolution {
                    weight: self.get(&format!("{name}.weight"), 4)?,
                    bias: self
                        .file
                        .names()
                        .contains(&bias)
                        .then(|| self.per_channel(&bias))
                        .transpose()?,
                    geometry: Conv2dGeometry {
                        stride: *stride,
                        padding: *padding,
                        ..Conv2dGeometry::default()
                    },
                })
            }
            Layer::BatchNorm { name } => {
                let part = |part: &str| self.per_channel(&format!("{name}.{part}"));
                let (weight, bias, mean, variance) =
                    (part("weight")?, part("bias")?, part("running_mean")?, part("running_var")?);
                let folded = || -> candle_core::Result<Applied> {
                    let scale = (weight / (variance + EPSILON)?.sqrt()?)?;
                    let shift = (bias - (mean * &scale)?)?;
                    Ok(Applied::BatchNorm { scale, shift })
                };
                folded().map_err(self.refused("fold the batch norm", name))
            }
            Layer::Relu => Ok(Applied::Relu),
            Layer::MaxPool { size } => Ok(Applied::MaxPool { size: *size }),
        }
    }
}
