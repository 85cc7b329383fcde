//! A reference implementation of the joint loss in f64, written for clarity. It shares nothing with
//! the code under test except the names of tensors.

use crate::ResNet;
use std::collections::HashMap;

/// `[batch, channels, height, width]`, row-major.
#[derive(Clone)]
pub(super) struct Images {
    pub(super) dims: [usize; 4],
    pub(super) values: Vec<f64>,
}

impl Images {
    fn zeros(dims: [usize; 4]) -> Self {
        Self { dims, values: vec![0.0; dims.iter().product()] }
    }

    fn place(&self, b: usize, c: usize, y: usize, x: usize) -> usize {
        ((b * self.dims[1] + c) * self.dims[2] + y) * self.dims[3] + x
    }

    fn image(&self, b: usize) -> &[f64] {
        let area = self.values.len() / self.dims[0];
        &self.values[b * area..(b + 1) * area]
    }

    /// Indices of one channel over all images.
    fn channel(&self, c: usize) -> Vec<usize> {
        let [batch, _, height, width] = self.dims;
        let at = |b: usize| (0..height * width).map(move |pixel| self.place(b, c, 0, 0) + pixel);
        (0..batch).flat_map(at).collect()
    }

    pub(super) fn channel_means(&self) -> Vec<f64> {
        (0..self.dims[1])
            .map(|c| {
                let places = self.channel(c);
                places.iter().map(|place| self.values[*place]).sum::<f64>() / places.len() as f64
            })
            .collect()
    }
}

impl Images {
    /// Cosine of two images with channels centered by `center`.
    pub(super) fn centered_cosine(&self, first: usize, second: usize, center: &[f64]) -> f64 {
        let centered = |b: usize| -> Vec<f64> {
            let area = self.dims[2] * self.dims[3];
            self.image(b)
                .iter()
                .enumerate()
                .map(|(place, value)| value - center[place / area])
                .collect()
        };
        let (u, v) = (centered(first), centered(second));
        let dot = |u: &[f64], v: &[f64]| u.iter().zip(v).map(|(u, v)| u * v).sum::<f64>();
        dot(&u, &v) / (dot(&u, &u) * dot(&v, &v)).sqrt()
    }
}

/// Tensors of a network by name.
pub(super) struct Network {
    pub(super) blocks: Vec<usize>,
    pub(super) shapes: HashMap<String, Vec<usize>>,
    pub(super) values: HashMap<String, Vec<f64>>,
}

impl Network {
    pub(super) fn of(network: &ResNet) -> Self {
        let wide = |tensor: &candle_core::Tensor| -> Vec<f64> {
            tensor
                .flatten_all()
                .unwrap()
                .to_vec1::<f32>()
                .unwrap()
                .into_iter()
                .map(f64::from)
                .collect()
        };
        Self {
            blocks: network.config().blocks.clone(),
            shapes: network
                .named()
                .map(|(slot, _)| (slot.name.clone(), slot.shape.clone()))
                .collect(),
            values: network
                .named()
                .map(|(slot, tensor)| (slot.name.clone(), wide(tensor)))
                .collect(),
        }
    }

    fn conv(&self, name: &str, x: &Images, stride: usize) -> Images {
        let (shape, weight) = (&self.shapes[name], &self.values[name]);
        let (out, from, kernel) = (shape[0], shape[1], shape[2]);
        let padding = kernel / 2;
        let [batch, _, height, width] = x.dims;
        let size = |size: usize| (size + 2 * padding - kernel) / stride + 1;
        let mut y = Images::zeros([batch, out, size(height), size(width)]);
        for b in 0..batch {
            for o in 0..out {
                for row in 0..y.dims[2] {
                    for column in 0..y.dims[3] {
                        let mut sum = 0.0;
                        for i in 0..from {
                            for ky in 0..kernel {
                                for kx in 0..kernel {
                                    let (r, c) = (
                                        (row * stride + ky).wrapping_sub(padding),
                                        (column * stride + kx).wrapping_sub(padding),
                                    );
                                    if r < height && c < width {
                                        sum += weight[((o * from + i) * kernel + ky) * kernel + kx]
                                            * x.values[x.place(b, i, r, c)];
                                    }
                                }
                            }
                        }
                        let place = y.place(b, o, row, column);
                        y.values[place] = sum;
                    }
                }
            }
        }
        y
    }

    /// Batch norm with the batch's own statistics.
    fn norm(&self, name: &str, mut x: Images) -> Images {
        let (scale, shift) =
            (&self.values[&format!("{name}.weight")], &self.values[&format!("{name}.bias")]);
        for c in 0..x.dims[1] {
            let places = x.channel(c);
            let count = places.len() as f64;
            let mean = places.iter().map(|place| x.values[*place]).sum::<f64>() / count;
            let variance =
                places.iter().map(|place| (x.values[*place] - mean).powi(2)).sum::<f64>() / count;
            for place in places {
                x.values[place] =
                    (x.values[place] - mean) / (variance + 1e-5).sqrt() * scale[c] + shift[c];
            }
        }
        x
    }

    /// Outputs of the stem and each stage.
    pub(super) fn layer_outputs(&self, images: &Images) -> Vec<Images> {
        let mut x = images.clone();
        x.values.iter_mut().for_each(|value| *value = 5.0 * (*value - 0.5));
        x = relu(self.norm("stem.1", self.conv("stem.0.weight", &x, 1)));
        let mut layers = vec![x.clone()];
        for (stage, blocks) in self.blocks.iter().enumerate() {
            for block in 0..*blocks {
                let name = |part: &str| format!("stages.{stage}.{block}.{part}");
                let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                let inner =
                    relu(self.norm(&name("bn1"), self.conv(&name("conv1.weight"), &x, stride)));
                let mut y = self.norm(&name("bn2"), self.conv(&name("conv2.weight"), &inner, 1));
                let around = if self.shapes.contains_key(&name("shortcut.0.weight")) {
                    self.norm(
                        &name("shortcut.1"),
                        self.conv(&name("shortcut.0.weight"), &x, stride),
                    )
                } else {
                    x
                };
                y.values.iter_mut().zip(&around.values).for_each(|(y, around)| *y += around);
                x = relu(y);
            }
            layers.push(x.clone());
        }
        layers
    }

    /// Mean cross-entropy of images whose last stage has 4 x 4 pixels.
    pub(super) fn cross_entropy(&self, images: &Images, labels: &[u32]) -> f64 {
        let last = self.layer_outputs(images).pop().unwrap();
        assert_eq!(last.dims[2..], [4, 4]);
        let (weight, bias) = (&self.values["head.weight"], &self.values["head.bias"]);
        let channels = last.dims[1];
        let mut loss = 0.0;
        for (b, label) in labels.iter().enumerate() {
            let pooled: Vec<f64> =
                last.image(b).chunks(16).map(|plane| plane.iter().sum::<f64>() / 16.0).collect();
            let score = |class: usize| {
                bias[class]
                    + (0..channels).map(|c| weight[class * channels + c] * pooled[c]).sum::<f64>()
            };
            let sum: f64 = (0..bias.len()).map(|class| score(class).exp()).sum();
            loss += sum.ln() - score(*label as usize);
        }
        loss / labels.len() as f64
    }

    /// Mean of (arctanh S - arctanh target)^2 for features centered by `centers`.
    pub(super) fn similarity_loss(
        &self,
        images: &Images,
        target: &[f32],
        centers: &[Vec<f64>],
    ) -> f64 {
        let layers = self.layer_outputs(images);
        let powers: Vec<f64> = self.values["gamma"].iter().map(|logit| logit.exp()).collect();
        let pairs = target.len();
        let mut loss = 0.0;
        for (pair, target) in target.iter().enumerate() {
            let mut similarity = 0.0;
            for ((layer, center), power) in layers.iter().zip(centers).zip(&powers) {
                similarity += power / powers.iter().sum::<f64>()
                    * layer.centered_cosine(pair, pairs + pair, center);
            }
            loss += (similarity.atanh() - f64::from(*target).atanh()).powi(2);
        }
        loss / pairs as f64
    }
}

fn relu(mut x: Images) -> Images {
    x.values.iter_mut().for_each(|value| *value = value.max(0.0));
    x
}
