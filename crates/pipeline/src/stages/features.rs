//! Feature maps of a trained network: one of our classifiers from a checkpoint, or a VGG network
//! from a state dict.

use crate::config::Layer;
use anyhow::{Result, ensure};
use brainprior_classifier::ResNet;
use brainprior_images::StimulusSet;
use brainprior_similarity::{Network, network_maps};
use candle_core::{Device, Tensor};
use std::path::Path;

/// Images per call to the network.
const BATCH: usize = 100;

/// Maps `[images, channels, rows, columns]` of one layer of the network in `file`; `key` names the
/// setting of the layer.
pub(crate) fn maps(file: &Path, layer: &Layer, key: &str, stimuli: &StimulusSet) -> Result<Tensor> {
    let layer = match layer {
        Layer::Name(layer) => {
            let (values, [channels, rows, columns]) =
                network_maps(&Network::vgg(file, layer)?, stimuli)?;
            return Ok(Tensor::from_vec(
                values,
                (stimuli.len(), channels, rows, columns),
                &Device::Cpu,
            )?);
        }
        Layer::Number(layer) => *layer,
    };
    let network = ResNet::load(file)?;
    let layers = network.config().layer_count();
    ensure!(
        layer < layers,
        "{key} = {layer}, but {} has layers 0 to {}",
        file.display(),
        layers - 1
    );
    let (height, width) = (stimuli.height(), stimuli.width());
    let mut maps = Vec::new();
    for part in stimuli.pixels().chunks(BATCH * height * width) {
        let images = Tensor::from_slice(
            part,
            (part.len() / (height * width), 1, height, width),
            &Device::Cpu,
        )?;
        let images = images.repeat((1, network.config().input_channels, 1, 1))?;
        maps.push(network.layer_outputs(&images)?.swap_remove(layer));
    }
    Ok(Tensor::cat(&maps, 0)?)
}
