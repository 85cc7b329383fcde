//! A fixed Gaussian blur in front of a network: a control that uses neither neural data nor
//! training.

use crate::{NetConfig, Result};
use brainprior_kernels::{Conv2dGeometry, conv2d};
use candle_core::Tensor;

/// Name of the kernels in a state dict.
pub(crate) const NAME: &str = "blur.weight";
const SIDE: usize = 9;

/// One kernel per channel.
pub(crate) fn shape(channels: usize) -> [usize; 4] {
    [channels, 1, SIDE, SIDE]
}

/// The kernels of `config`, each summing to 1.
pub(crate) fn kernels(config: &NetConfig) -> Vec<f32> {
    let sigma = config.blur.unwrap_or_default();
    let weight = |at: usize| {
        let distance = at as f64 - (SIDE / 2) as f64;
        (-distance * distance / (2.0 * sigma * sigma)).exp()
    };
    let total: f64 = (0..SIDE).map(weight).sum();
    let kernel =
        (0..SIDE * SIDE).map(|at| (weight(at / SIDE) * weight(at % SIDE) / (total * total)) as f32);
    (0..config.input_channels).flat_map(|_| kernel.clone()).collect()
}

/// Standard deviation of a kernel, from its center and the adjacent weight, to a thousandth of a
/// pixel.
pub(crate) fn sigma(kernels: &[f32]) -> f64 {
    let middle = (SIDE / 2) * SIDE + SIDE / 2;
    let falls = (f64::from(kernels[middle]) / f64::from(kernels[middle + 1])).ln();
    (1000.0 * (0.5 / falls).sqrt()).round() / 1000.0
}

/// Filters each channel of `images` with its kernel, with zero padding.
pub(crate) fn apply(images: &Tensor, kernels: &Tensor) -> Result<Tensor> {
    let geometry =
        Conv2dGeometry { padding: SIDE / 2, groups: kernels.dim(0)?, ..Conv2dGeometry::default() };
    Ok(conv2d(images, kernels, geometry)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ResNet;
    use candle_core::{DType, Device, Var};

    fn config(blur: Option<f64>) -> NetConfig {
        NetConfig { blocks: vec![1, 1], base_channels: 2, input_channels: 3, classes: 4, blur }
    }

    /// Direct computation: every pixel is a sum over 9 x 9, with zeros outside the image.
    #[test]
    fn a_network_sees_the_image_under_a_gaussian() {
        let (height, width, sigma) = (10, 12, 1.5);
        let value = |channel: usize, y: isize, x: isize| {
            ((7 * channel as isize + 3 * y * y + 5 * x) % 11) as f64 / 10.0
        };
        let pixels = (0..3 * height * width).map(|at| {
            value(at / (height * width), (at / width % height) as isize, (at % width) as isize)
                as f32
        });
        let images =
            Tensor::from_vec(pixels.collect::<Vec<_>>(), (1, 3, height, width), &Device::Cpu)
                .unwrap();
        let total: f64 =
            (-4..=4).map(|at: i32| (-f64::from(at * at) / (2.0 * sigma * sigma)).exp()).sum();
        let expected = (0..3 * height * width).map(|at| {
            let (channel, y, x) =
                (at / (height * width), (at / width % height) as isize, (at % width) as isize);
            let mut sum = 0.0;
            for dy in -4..=4isize {
                for dx in -4..=4isize {
                    if (0..height as isize).contains(&(y + dy))
                        && (0..width as isize).contains(&(x + dx))
                    {
                        let weight = (-((dx * dx + dy * dy) as f64) / (2.0 * sigma * sigma)).exp()
                            / (total * total);
                        sum += weight * (value(channel, y + dy, x + dx) - 0.5);
                    }
                }
            }
            (sum + 0.5) as f32
        });
        let blurred =
            Tensor::from_vec(expected.collect::<Vec<_>>(), (1, 3, height, width), &Device::Cpu)
                .unwrap();
        let seen = ResNet::new(&config(Some(sigma)), 3).unwrap().logits(&images).unwrap();
        // All other tensors are equal.
        let by_hand = ResNet::new(&config(None), 3).unwrap().logits(&blurred).unwrap();
        let apart =
            (seen - by_hand).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
        assert!(apart < 1e-5, "{apart}");
    }

    #[test]
    fn it_is_saved_is_not_learned_and_lets_gradients_through() {
        let network = ResNet::new(&config(Some(1.5)), 3).unwrap();
        assert_eq!(network.parameters(), ResNet::new(&config(None), 3).unwrap().parameters());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("network.safetensors");
        network.save(&path).unwrap();
        let loaded = ResNet::load(&path).unwrap();
        assert_eq!(loaded.config(), network.config());
        let pixels: Vec<f32> =
            (0..2 * 3 * 16 * 16).map(|at| (at * at % 97) as f32 / 96.0).collect();
        let images =
            Var::from_tensor(&Tensor::from_vec(pixels, (2, 3, 16, 16), &Device::Cpu).unwrap())
                .unwrap();
        let logits = |network: &ResNet| network.logits(&images).unwrap();
        assert_eq!(
            logits(&loaded).to_vec2::<f32>().unwrap(),
            logits(&network).to_vec2::<f32>().unwrap()
        );
        let gradients = logits(&network).sum_all().unwrap().backward().unwrap();
        let gradient = gradients.get(&images).unwrap();
        assert_eq!((gradient.dtype(), gradient.dims()), (DType::F32, images.dims()));
        assert!(gradient.abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap() > 0.0);
        assert!(
            ResNet::new(&config(Some(0.0)), 3).is_err()
                && ResNet::new(&config(Some(f64::NAN)), 3).is_err()
        );
    }
}
