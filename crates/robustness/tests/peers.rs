//! Against Foolbox and torchattacks: the same weights, the same 200 images (`tests/golden/peers.py` made the figures).

use brainprior_classifier::ResNet;
use brainprior_robustness::{
    Apgd, ApgdTargeted, Attack, Bim, Classifier, Closest, Ddn, DeepFool, Examples, Fab, Fgsm, Fmn, Loss, Mim, Norm, Pgd, Search,
    Settings, Survival, attack, closest, ensemble,
};
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
        let mut attacks: Vec<Box<dyn Attack>> =
            vec![Box::new(Fgsm::new(norm)), Box::new(Bim::new(norm)), Box::new(DeepFool::new(norm))];
        if norm == Norm::L2 {
            attacks.push(Box::new(Ddn::default()));
        }
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

/// Attacks with random starts: as few images stand as under theirs, up to the error of a sample of 200.
#[test]
fn random_attacks_leave_no_more_images_standing() {
    let (network, examples, peers) = (network(), examples(), peers());
    for norm in [Norm::Linf, Norm::L2] {
        let attacks: [Box<dyn Attack>; 5] = [
            Box::new(Pgd::new(norm)),
            Box::new(Mim::new(norm)),
            Box::new(Apgd::new(norm)),
            Box::new(Apgd::new(norm).with_loss(Loss::LogitsRatio)),
            Box::new(ApgdTargeted::new(norm)),
        ];
        for attacker in attacks {
            let peer = &peers["accuracy"][format!("{}_{}", attacker.name(), name(norm))];
            let (epsilon, theirs) = (peer["epsilon"].as_f64().unwrap(), peer["accuracy"].as_f64().unwrap());
            let attacked = attack(&network, attacker.as_ref(), &examples, epsilon, SETTINGS, &mut |_| {}).unwrap();
            let ours = attacked.accuracy().unwrap();
            let error = (theirs * (1.0 - theirs) / 200.0).sqrt();
            assert!(ours <= theirs + 2.0 * error, "{} {norm:?}: {ours}, theirs {theirs}", attacker.name());
        }
    }
}

/// Smallest perturbations: no attack's median is more than 2% above the same attack's elsewhere, and the ensemble's is at or
/// below that of the best of all attacks of Foolbox and AutoAttack.
#[test]
fn the_ensemble_is_at_or_below_the_best_of_the_others() {
    let (network, examples, peers) = (network(), examples(), peers());
    for norm in [Norm::Linf, Norm::L2] {
        let search = Search { largest: norm.range(1024), tolerance: 0.01 };
        let median =
            |closest: &Closest| Survival::of(&closest.perturbations(&examples, search)).unwrap().median().found().unwrap();
        for attacker in [&Fmn::new(norm) as &dyn Attack, &Fab::new(norm)] {
            let mut alone = Closest::new(&network, &examples, norm, SETTINGS).unwrap();
            alone.approach(&network, attacker, &examples, search, SETTINGS, &mut |_| {}).unwrap();
            let theirs = peers["median"][format!("{}_{}", attacker.name(), name(norm))].as_f64().unwrap();
            assert!(median(&alone) <= 1.02 * theirs, "{} {norm:?}: {}, theirs {theirs}", attacker.name(), median(&alone));
        }
        let mut together = Closest::new(&network, &examples, norm, SETTINGS).unwrap();
        for attacker in ensemble(norm, 200) {
            together.approach(&network, attacker.as_ref(), &examples, search, SETTINGS, &mut |_| {}).unwrap();
        }
        let best = peers["median"].as_object().unwrap().iter().filter(|(key, _)| key.ends_with(name(norm)));
        let best = best.map(|(_, median)| median.as_f64().unwrap()).fold(f64::INFINITY, f64::min);
        assert!(median(&together) <= best, "{norm:?}: {}, the best of theirs {best}", median(&together));
    }
}
