//! Feature maps of a trained network: one of our classifiers, or a VGG network from a state dict.

use crate::config::{FixedNetwork, Layer, Prediction};
use anyhow::{Context, Result, bail, ensure};
use brainprior_classifier::ResNet;
use brainprior_images::StimulusSet;
use brainprior_response_model::Features;
use brainprior_similarity::Network;
use candle_core::{Device, Tensor};
use std::path::Path;

/// Pixels per call to the network.
const BATCH: usize = 32 * 64 * 64;

/// Some layers of a trained network.
pub(crate) enum Trained {
    /// One of our classifiers, and the numbers of the layers.
    Classifier(ResNet, Vec<usize>),
    /// A VGG network up to each of the layers.
    Vgg(Vec<Network>),
}

impl Trained {
    /// Loads a network; `key` names the setting of the layers.
    pub(crate) fn load(file: &Path, layers: &[Layer], key: &str) -> Result<Self> {
        match numbers(layers) {
            Some(numbers) => {
                let network = ResNet::load(file).with_context(|| {
                    format!("{key} holds numbers, for a classifier of this project; layers of a VGG network have names such as \"conv3_1\"")
                })?;
                Self::classifier(network, numbers, key, &file.display().to_string())
            }
            None => {
                let network = |layer: &Layer| {
                    match layer {
                    Layer::Name(name) => Network::vgg(file, name).with_context(|| {
                        format!("{key} holds the name {name}, of a layer of a VGG network; layers of a classifier of this project have numbers (0: stem, s: stage s)")
                    }),
                    Layer::Number(number) => bail!(
                        "{key} holds the number {number} among names; give numbers for a classifier of this project, or names for a VGG network"
                    ),
                }
                };
                Ok(Self::Vgg(layers.iter().map(network).collect::<Result<_>>()?))
            }
        }
    }

    /// The network that is part of the program.
    fn built_in(layers: &[Layer], key: &str) -> Result<Self> {
        let numbers = numbers(layers).with_context(|| {
            format!("{key} holds names, but layers of the built-in network have numbers (0: stem, s: stage s)")
        })?;
        Self::classifier(ResNet::built_in()?, numbers, key, "the built-in network")
    }

    fn classifier(network: ResNet, layers: Vec<usize>, key: &str, name: &str) -> Result<Self> {
        let count = network.config().layer_count();
        for layer in &layers {
            ensure!(
                *layer < count,
                "{key} holds {layer}, but {name} has layers 0 to {}",
                count - 1
            );
        }
        Ok(Self::Classifier(network, layers))
    }

    /// Maps `[batch, channels, rows, columns]` of every layer, for all images in order.
    pub(crate) fn batches<'a>(
        &'a self,
        stimuli: &'a StimulusSet,
    ) -> impl Iterator<Item = Result<Vec<Tensor>>> + 'a {
        let (height, width) = (stimuli.height(), stimuli.width());
        let area = height * width;
        let batches = stimuli.pixels().chunks((BATCH / area).max(1) * area);
        batches.map(move |pixels| self.maps(pixels, height, width))
    }

    fn maps(&self, pixels: &[f32], height: usize, width: usize) -> Result<Vec<Tensor>> {
        match self {
            Self::Classifier(network, layers) => {
                let size = (pixels.len() / (height * width), 1, height, width);
                let images = Tensor::from_slice(pixels, size, &Device::Cpu)?;
                let images = images.repeat((1, network.config().input_channels, 1, 1))?;
                let maps = network.layer_outputs(&images)?;
                Ok(layers.iter().map(|layer| maps[*layer].clone()).collect())
            }
            Self::Vgg(networks) => {
                networks.iter().map(|network| Ok(network.maps(pixels, height, width)?)).collect()
            }
        }
    }
}

/// The layers' numbers, unless a layer has a name.
fn numbers(layers: &[Layer]) -> Option<Vec<usize>> {
    let number = |layer: &Layer| match layer {
        Layer::Number(number) => Some(*number),
        Layer::Name(_) => None,
    };
    layers.iter().map(number).collect()
}

/// Fixed features for linear readouts: the filter bank and, if there is one, the network.
pub(crate) fn of(config: &Prediction, stimuli: &StimulusSet) -> Result<Features> {
    with_network(Features::of(stimuli)?, config, stimuli)
}

/// Adds the layers of the network, if there is one, to the filter bank.
pub(crate) fn with_network(
    bank: Features,
    config: &Prediction,
    stimuli: &StimulusSet,
) -> Result<Features> {
    const KEY: &str = "prediction.layers";
    let network = match &config.network {
        FixedNetwork::None => return Ok(bank),
        FixedNetwork::BuiltIn => Trained::built_in(&config.layers, KEY)?,
        FixedNetwork::File(file) => Trained::load(file, &config.layers, KEY)?,
    };
    bank.with_network(network.batches(stimuli))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(network: &str, layers: &str) -> Result<Features> {
        let text =
            format!("denoiser = 'mixed'\nseeds = 1\nnetwork = '{network}'\nlayers = {layers}");
        let pixels = (0..40 * 24 * 24).map(|i| (i * i % 97) as f32 / 96.0).collect();
        super::of(&toml::from_str(&text)?, &StimulusSet::new(24, 24, pixels)?)
    }

    fn refusal(network: &str, layers: &str) -> String {
        of(network, layers).map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn the_built_in_network_has_layers_with_numbers() {
        assert!(of("built-in", "[0, 3]").is_ok());
        assert!(of("none", "[9]").is_ok());
        let error = refusal("built-in", "[2, 4]");
        assert_eq!(error, "prediction.layers holds 4, but the built-in network has layers 0 to 3");
        let error = refusal("built-in", "['conv3_1']");
        assert!(error.contains("layers of the built-in network have numbers"), "{error}");
        let error = refusal("vgg.pt", "[2, 'conv3_1']");
        assert!(error.contains("number 2 among names"), "{error}");
    }

    #[test]
    fn a_checkpoint_gives_what_the_same_network_gives_inside() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("network.safetensors");
        ResNet::built_in().unwrap().save(&file).unwrap();
        let maps = |network: &Trained, stimuli: &StimulusSet| -> Vec<Vec<f32>> {
            let batches = network.batches(stimuli).map(Result::unwrap);
            batches.flatten().map(|map| map.flatten_all().unwrap().to_vec1().unwrap()).collect()
        };
        let pixels = (0..9 * 96 * 160).map(|i| (i % 8999 * 31 % 8999) as f32 / 8998.0).collect();
        let stimuli = StimulusSet::new(96, 160, pixels).unwrap();
        let layers = [Layer::Number(1), Layer::Number(3)];
        let inside = maps(&Trained::built_in(&layers, "").unwrap(), &stimuli);
        assert_eq!(inside.len(), 4, "two batches of two layers");
        assert_eq!(maps(&Trained::load(&file, &layers, "").unwrap(), &stimuli), inside);
    }
}
