//! Attacks a model: accuracy within a bound, the smallest perturbations, and whether the attacks
//! can be trusted.
#![allow(clippy::print_stdout)]

use brainprior::candle_core::{Device, Tensor};
use brainprior::robustness::{
    LabeledBatch, MaskingSettings, MinimalPerturbations, ModuleClassifier, Norm, Pgd, Search,
    Settings, attack, ensemble, masking_report, median,
};

fn main() -> anyhow::Result<()> {
    // Logits `[batch, classes]` of images `[batch, channels, height, width]` in [0, 1],
    // differentiable by candle: a layer, a network, or a function. Here the class is the brighter
    // half.
    let brighter_half = |images: &Tensor| {
        let half = |start| images.narrow(3, start, 4)?.flatten_from(1)?.sum_keepdim(1);
        Tensor::cat(&[half(0)?, half(4)?], 1)
    };
    let model = ModuleClassifier::new(brighter_half, Device::Cpu);

    // Ten images of 8 x 8 pixels with an ever brighter left half, and ten with such a right half.
    let class = |image: usize| usize::from(image >= 10);
    let pixel = |at: usize| {
        0.42 + f32::from(at % 8 / 4 == class(at / 64)) * (0.01 + 0.01 * (at / 64 % 10) as f32)
    };
    let labeled = LabeledBatch::new(
        1,
        8,
        8,
        (0..20 * 64).map(pixel).collect(),
        (0..20).map(class).collect(),
    )?;
    let settings = Settings { seed: 7, batch: 20 };

    let attacked = attack(&model, &Pgd::new(Norm::Linf), &labeled, 0.02, settings)?;
    println!("Linf 0.02: {} of 20 images withstand PGD", attacked.accuracy().correct());

    for norm in [Norm::Linf, Norm::L2, Norm::L1, Norm::L0] {
        let search = Search { largest: norm.range(64), tolerance: 0.01 };
        let mut minimal = MinimalPerturbations::new(&model, &labeled, norm, settings)?;
        for attack in ensemble(norm, 200) {
            minimal.approach(&model, attack.as_ref(), &labeled, search, settings)?;
        }
        println!(
            "{norm:?}: the median smallest distance is {:?}",
            median(&minimal.perturbations(&labeled, search), 0, 0)?.value
        );
    }
    let report = masking_report(&model, &[], &labeled, &MaskingSettings::at(0.02), settings)?;
    println!("{}", report.in_words());
    Ok(())
}
