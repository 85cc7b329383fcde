//! Interoperability with candle: the network as a module, with tensors accessible by name.

use crate::architecture::{Role, Slot};
use crate::network::Pass;
use crate::{Error, NetConfig, ResNet, Result, blur};
use candle_core::{DType, Tensor, Var};
use candle_nn::{Init, ModuleT, VarBuilder};
use std::collections::HashMap;

impl ResNet {
    /// Makes a network from the tensors in `vars` under the names of `data-specs/checkpoint.toml`,
    /// on the device of `vars`. They can come from a PyTorch state dict (`.pth`, safetensors) or be
    /// the variables of a [`VarMap`](candle_nn::VarMap), which an optimizer can then update. New
    /// variables are initialized as in [`ResNet::new`], but by candle's random number generator.
    /// Without `gamma`, all layers have equal weight.
    ///
    /// ```
    /// use brainprior_classifier::{NetConfig, ResNet};
    /// use candle_core::{DType, Device, Tensor};
    /// use candle_nn::{ModuleT, Optimizer, SGD, VarBuilder, VarMap};
    ///
    /// let config = NetConfig { blocks: vec![1, 1], base_channels: 2, ..NetConfig::default() };
    /// let mut map = VarMap::new();
    /// let network = ResNet::from_vars(&config, &VarBuilder::from_varmap(&map, DType::F32, &Device::Cpu))?;
    /// // Makes the initial weights reproducible.
    /// map.set(ResNet::new(&config, 7)?.tensors().into_iter())?;
    ///
    /// let images = (Tensor::arange(0f32, 1024.0, &Device::Cpu)?.reshape((4, 1, 16, 16))? / 1024.0)?;
    /// let labels = Tensor::new(&[3u32, 1, 4, 1], &Device::Cpu)?;
    /// let loss = candle_nn::loss::cross_entropy(&network.forward_t(&images, true)?, &labels)?;
    /// SGD::new(map.all_vars(), 0.1)?.backward_step(&loss)?;
    /// assert_eq!(network.forward_t(&images, false)?.dims(), [4, 10]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Returns candle's error if a shape is out of range, or if `vars` lacks a tensor or has it
    /// with another shape.
    pub fn from_vars(config: &NetConfig, vars: &VarBuilder) -> Result<Self> {
        config.check()?;
        Self::assemble(config, 0, |slot| {
            let found = vars.get_with_hints_dtype(
                slot.shape.as_slice(),
                &slot.name,
                start(slot),
                DType::F32,
            );
            match slot.role {
                // Training passes update these.
                Role::Mean | Role::Variance => Ok(Var::from_tensor(&found?)?.into_inner()),
                Role::Gamma if !vars.contains_tensor(&slot.name) => {
                    Ok(Tensor::zeros(slot.shape.as_slice(), DType::F32, vars.device())?)
                }
                Role::Blur if !vars.contains_tensor(&slot.name) => Ok(Tensor::from_vec(
                    blur::kernels(config),
                    slot.shape.as_slice(),
                    vars.device(),
                )?),
                _ => Ok(found?),
            }
        })
    }

    /// All tensors under the names used by [`ResNet::from_vars`], for a `VarBuilder`, a `VarMap` or
    /// a file of candle's.
    pub fn tensors(&self) -> HashMap<String, Tensor> {
        self.named().map(|(slot, tensor)| (slot.name.clone(), tensor.clone())).collect()
    }
}

fn start(slot: &Slot) -> Init {
    match slot.role {
        Role::Weight { fan_in } | Role::Bias { fan_in } => {
            let bound = 1.0 / (fan_in as f64).sqrt();
            Init::Uniform { lo: -bound, up: bound }
        }
        Role::Scale | Role::Variance => Init::Const(1.0),
        Role::Shift | Role::Mean | Role::Gamma | Role::Blur => Init::Const(0.0),
    }
}

/// Logits of images, as from [`ResNet::logits`]. In training mode, batch norms use the statistics
/// of the batch; a network from [`ResNet::from_vars`] also updates its running statistics, other
/// networks keep theirs.
impl ModuleT for ResNet {
    fn forward_t(&self, images: &Tensor, train: bool) -> candle_core::Result<Tensor> {
        let forward = || {
            if !train {
                return self.logits(images);
            }
            let mut statistics = Vec::new();
            let logits = self.classify(images, &mut Pass::Training(&mut statistics))?;
            self.write_running(&statistics)?;
            Ok(logits)
        };
        forward().map_err(|error| match error {
            Error::Tensor(error) => error,
            other => candle_core::Error::wrap(other),
        })
    }
}
