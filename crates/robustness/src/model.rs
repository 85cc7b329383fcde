//! The interface of a model under test: a function from images to logits.

use candle_core::{Device, ModuleT, Tensor};

/// A model that classifies images.
///
/// The model normalizes images itself, with dropout off and batch norm using its running
/// statistics, so that the logits of an image depend only on that image. Prefer plain tensors to
/// [`Var`](candle_core::Var)s for the weights: attacks need gradients with respect to the images
/// only, and candle computes one for every variable in the graph.
///
/// [`ModuleClassifier`] wraps a candle module.
pub trait Classifier: Sync {
    /// Logits `[batch, classes]` of `images`, `[batch, channels, height, width]`, f32 in [0, 1]
    /// (beyond it only under unclamped noise). Gradient attacks need a result that candle's
    /// autograd can differentiate with respect to `images`; otherwise gradients are zero, and the
    /// zeros are counted.
    ///
    /// # Errors
    /// Returns candle's error if one of its operations fails.
    fn logits(&self, images: &Tensor) -> candle_core::Result<Tensor>;

    /// The device of the model.
    fn device(&self) -> Device {
        Device::Cpu
    }

    /// Whether the logits of an image have the same bits in every batch. If so, final images are
    /// verified together, which is faster; otherwise each on its own.
    fn is_batch_invariant(&self) -> bool {
        false
    }
}

/// A candle module as a [`Classifier`]: a layer or network of `candle_nn`, any
/// [`Module`](candle_core::Module) or [`ModuleT`], or a closure from images to logits. It runs in
/// evaluation mode.
///
/// ```
/// use brainprior_robustness::{DeepFool, LabeledBatch, ModuleClassifier, Norm, Settings, minimize_perturbation};
/// use candle_core::{Device, Module, Tensor};
/// use candle_nn::Linear;
///
/// // Two pixels and two classes: the class is the brighter pixel.
/// let linear = Linear::new(Tensor::eye(2, candle_core::DType::F32, &Device::Cpu)?, None);
/// let model = ModuleClassifier::new(|images: &Tensor| linear.forward(&images.flatten_from(1)?), Device::Cpu);
///
/// let labeled = LabeledBatch::new(1, 1, 2, vec![0.5, 0.3], vec![0])?;
/// let settings = Settings { seed: 7, batch: 64 };
/// let attacked = minimize_perturbation(&model, &DeepFool::new(Norm::Linf), &labeled, settings)?;
/// assert!((attacked.outcomes()[0].distance - 0.1).abs() < 0.01);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ModuleClassifier<M> {
    module: M,
    device: Device,
}

impl<M: ModuleT + Sync> ModuleClassifier<M> {
    /// Wraps a module that maps images `[batch, channels, height, width]` to logits `[batch,
    /// classes]`; `device` is where its weights are.
    pub fn new(module: M, device: Device) -> Self {
        Self { module, device }
    }
}

impl<M: ModuleT + Sync> Classifier for ModuleClassifier<M> {
    fn logits(&self, images: &Tensor) -> candle_core::Result<Tensor> {
        self.module.forward_t(images, false)
    }

    fn device(&self) -> Device {
        self.device.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::DType;
    use candle_nn::{BatchNorm, Dropout};

    /// Batch norm over channels, then dropout, then the mean of each channel as a logit.
    struct Network(BatchNorm, Dropout);

    impl ModuleT for Network {
        fn forward_t(&self, images: &Tensor, train: bool) -> candle_core::Result<Tensor> {
            self.1.forward_t(&self.0.forward_t(images, train)?, train)?.flatten_from(2)?.mean(2)
        }
    }

    #[test]
    fn a_module_is_evaluated_with_running_statistics_and_without_dropout() {
        let tensor = |values: &[f32]| Tensor::from_slice(values, 2, &Device::Cpu).unwrap();
        let norm = BatchNorm::new(
            2,
            tensor(&[0.5, 0.25]),
            tensor(&[4.0, 1.0]),
            tensor(&[1.0, 2.0]),
            tensor(&[0.0, 1.0]),
            0.0,
        );
        let model = ModuleClassifier::new(Network(norm.unwrap(), Dropout::new(0.9)), Device::Cpu);
        let images = Tensor::ones((3, 2, 2, 2), DType::F32, &Device::Cpu).unwrap();
        let logits = model.logits(&images).unwrap().to_vec2::<f32>().unwrap();
        // (1 - 0.5) / 2 and 2 x (1 - 0.25) + 1.
        assert_eq!(logits, vec![vec![0.25, 2.5]; 3]);
    }
}
