//! Against Foolbox: the same weights, the same 200 images (`tests/golden/peers.py` made the figures).

use brainprior_classifier::ResNet;
use brainprior_robustness::{Attack, Bim, Classifier, DeepFool, Examples, Fgsm, Norm, Settings, attack, closest};
use candle_core::{Device, Tensor};
use serde_json::Value;
use std::path::{Path, PathBuf};

const SETTINGS: Settings = Settings { seed: 1, batch: 100 };

struct Network(ResNet);

impl Classifier for Network {
    fn logits(&self, images: &Tensor) -> candle_core::Result<Tensor> {
        self.0.logits(images).map_err(candle_core::Error::wrap)
    }
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn network() -> Network {
    Network(ResNet::load(&golden("network.safetensors")).unwrap())
}

fn examples() -> Examples {
    let tensors = candle_core::safetensors::load(golden("images.safetensors"), &Device::Cpu).unwrap();
    let bytes = |name: &str| tensors[name].flatten_all().unwrap().to_vec1::<u8>().unwrap();
    let pixels = bytes("images").into_iter().map(|byte| f32::from(byte) / 255.0).collect();
    let labels = bytes("labels").into_iter().map(usize::from).collect();
    Examples::new(1, 32, 32, pixels, labels).unwrap()
}

fn peers() -> Value {
    serde_json::from_str(&std::fs::read_to_string(golden("peers.json")).unwrap()).unwrap()
}

fn name(norm: Norm) -> &'static str {
    match norm {
        Norm::Linf => "linf",
        Norm::L2 => "l2",
    }
}

#[test]
fn logits_are_those_of_pytorch() {
    let (network, examples, peers) = (network(), examples(), peers());
    let images =
        Tensor::from_slice(&(0..3).flat_map(|i| examples.image(i)).copied().collect::<Vec<_>>(), (3, 1, 32, 32), &Device::Cpu);
    let logits = network.logits(&images.unwrap()).unwrap().to_vec2::<f32>().unwrap();
    for (row, peer) in logits.iter().zip(peers["logits"].as_array().unwrap()) {
        for (logit, peer) in row.iter().zip(peer.as_array().unwrap()) {
            assert!((f64::from(*logit) - peer.as_f64().unwrap()).abs() < 1e-4);
        }
    }
}

/// Deterministic attacks: the norm of every single perturbation.
#[test]
fn deterministic_attacks_agree_image_by_image() {
    let (network, examples, peers) = (network(), examples(), peers());
    for norm in [Norm::Linf, Norm::L2] {
        let attacks: [Box<dyn Attack>; 3] = [Box::new(Fgsm::new(norm)), Box::new(Bim::new(norm)), Box::new(DeepFool::new(norm))];
        for attacker in attacks {
            let peer = &peers["by_image"][format!("{}_{}", attacker.name(), name(norm))];
            let attacked = match peer["epsilon"].as_f64() {
                Some(epsilon) => attack(&network, attacker.as_ref(), &examples, epsilon, SETTINGS, &mut |_| {}).unwrap(),
                None => closest(&network, attacker.as_ref(), &examples, SETTINGS, &mut |_| {}).unwrap(),
            };
            let (norms, success) = (peer["norms"].as_array().unwrap(), peer["success"].as_array().unwrap());
            for (index, outcome) in attacked.outcomes().iter().enumerate() {
                let (found, expected) = (outcome.distance, norms[index].as_f64().unwrap());
                assert!(
                    (found - expected).abs() < 1e-4,
                    "{} {norm:?}, image {index}: {found}, Foolbox {expected}",
                    attacker.name()
                );
                assert_eq!(
                    i64::from(outcome.success),
                    success[index].as_i64().unwrap(),
                    "{} {norm:?}, image {index}",
                    attacker.name()
                );
            }
        }
    }
}
