//! Adds an attack: it only looks for candidates; the driver keeps them within bounds, verifies and
//! counts.
#![allow(clippy::print_stdout)]

use brainprior::candle_core::{Device, Tensor};
use brainprior::robustness::{
    Attack, AttackKind, Batch, LabeledBatch, Loss, ModuleClassifier, Norm, Result, Settings, attack,
};

/// One step by epsilon along the sign of the gradient of the margin.
struct OneStep;

impl Attack for OneStep {
    fn name(&self) -> String {
        "one step".into()
    }
    fn norm(&self) -> Norm {
        Norm::Linf
    }
    fn kind(&self) -> AttackKind {
        AttackKind::FixedEpsilon
    }
    fn run(&self, batch: &mut Batch) -> Result<()> {
        let all = batch.all();
        let gradients = batch.gradients(&all, &batch.originals(&all), Loss::Margin)?;
        for image in all {
            let direction: Vec<f64> =
                gradients.of(image).iter().map(|value| f64::from(value.signum())).collect();
            batch.set_candidate(
                image,
                &batch.moved(image, batch.original(image), &direction, batch.epsilon(image)),
            );
        }
        Ok(())
    }
}

fn main() -> Result<()> {
    // Each of the two pixels is the logit of its class.
    let model = ModuleClassifier::new(|images: &Tensor| images.flatten_from(1), Device::Cpu);
    let labeled = LabeledBatch::new(1, 1, 2, vec![0.5, 0.3, 0.6, 0.5, 0.2, 0.9], vec![0, 0, 1])?;
    let attacked = attack(&model, &OneStep, &labeled, 0.15, Settings { seed: 7, batch: 3 })?;
    println!("{} of 3 images withstand {}", attacked.accuracy().correct(), OneStep.name());
    Ok(())
}
