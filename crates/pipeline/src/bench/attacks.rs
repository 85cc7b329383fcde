//! Attacks on a randomly initialized ResNet18 with 16 base channels: 100 random images labeled with
//! the network's own decisions, so that every image has to be attacked.

use super::{Bencher, Case};
use crate::adversarial::Attackable;
use crate::synthetic::mixed;
use anyhow::Result;
use brainprior_classifier::{NetConfig, ResNet};
use brainprior_robustness::{
    Attack, Classifier, Ddn, DeepFool, Fgsm, LabeledBatch, Norm, Pgd, Settings, attack,
    minimize_perturbation,
};
use candle_core::{D, Tensor};
use serde_json::json;

const IMAGES: usize = 100;
const BASE: usize = 16;
const EPSILON: f64 = 0.01;
const SETTINGS: Settings = Settings { seed: 0, batch: IMAGES };

/// Runs all cases.
pub(super) fn run(bencher: &Bencher) -> Result<()> {
    let network = Attackable(
        ResNet::new(&NetConfig { base_channels: BASE, ..NetConfig::default() }, 0)?
            .to_device(&bencher.device)?,
    );
    let pixels: Vec<f32> = (0..IMAGES as u64 * 1024)
        .map(|pixel| (mixed(pixel) >> 40) as f32 / (1 << 24) as f32)
        .collect();
    let images = Tensor::from_slice(&pixels, (IMAGES, 1, 32, 32), &bencher.device)?;
    let labels = network.logits(&images)?.argmax(D::Minus1)?.to_vec1::<u32>()?;
    let labeled = LabeledBatch::new(
        1,
        32,
        32,
        pixels,
        labels.into_iter().map(|label| label as usize).collect(),
    )?;

    let within = |attacker: &dyn Attack| attack(&network, attacker, &labeled, EPSILON, SETTINGS);
    let nearest =
        |attacker: &dyn Attack| minimize_perturbation(&network, attacker, &labeled, SETTINGS);
    measure(bencher, "fgsm", || within(&Fgsm::new(Norm::Linf)))?;
    measure(bencher, "pgd_linf_40", || within(&Pgd::new(Norm::Linf)))?;
    measure(bencher, "deepfool_l2", || nearest(&DeepFool::new(Norm::L2)))?;
    measure(bencher, "ddn_100", || nearest(&Ddn::default()))
}

fn measure(
    bencher: &Bencher,
    name: &str,
    mut work: impl FnMut() -> brainprior_robustness::Result<brainprior_robustness::Attacked>,
) -> Result<()> {
    let case = Case {
        bench: "attack",
        shape: format!("{name}, base {BASE}"),
        work: vec![("images", IMAGES as f64)],
        labels: vec![("attack", json!(name))],
    };
    bencher.measure(case, || {
        work()?;
        Ok(())
    })
}
