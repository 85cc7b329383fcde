//! Stage `robustness`: every network under noise and attack.

use super::train::{self, Part};
use crate::pipeline::context::Context;
use crate::pipeline::jobs;
use crate::pipeline::provenance::{self, Key, Record};
use crate::pipeline::results::{MinimalPerturbation, NetworkResult, Point};
use anyhow::Result;
use brainprior_classifier::ResNet;
use brainprior_images::LabelledImages;
use brainprior_robustness::{
    Attack, AttackPoint, Clamp, Classifier, Examples, Fgsm, Loss, Noise, Norm, Perturbation, Pgd, Progress, Search, Settings,
    accuracy, attack_curve, median, minimal_perturbations, noise_curve,
};
use candle_core::Tensor;
use std::collections::BTreeMap;
use std::path::Path;

const CURVES: &str = "curves.json";
/// Images that a network takes at once.
pub const BATCH: usize = 100;
/// Resamples behind the interval of a median.
const RESAMPLES: usize = 1000;
/// Minimal perturbations are searched up to this many times the largest epsilon of the curves.
const SEARCH_BEYOND: f64 = 16.0;
/// Relative precision of a minimal perturbation.
const TOLERANCE: f64 = 0.02;

/// Measures every part that is not measured yet.
pub fn run(context: &Context, images: &Record, trained: &[(Part, Record)]) -> Result<Vec<Option<Record>>> {
    jobs::run(trained.to_vec(), |(part, record)| {
        // One seed for all parts: every network sees the same noise and the same random starts.
        let seed = context.config.seed_of("robustness");
        let key = Key::new(&part.task("robustness"), &context.config.robustness, seed)?.after(images).after(&record);
        context.run.task(key, &context.terminal, |folder| measure(context, part, seed, folder))
    })
}

/// A trained network as `robustness` sees it.
pub struct Attackable(pub ResNet);

impl Classifier for Attackable {
    fn logits(&self, images: &Tensor) -> candle_core::Result<Tensor> {
        self.0.logits(images).map_err(candle_core::Error::wrap)
    }
}

/// The first images of a set in [0, 1].
pub fn examples(images: &LabelledImages, count: usize) -> Result<Examples> {
    let count = count.min(images.len());
    let area = images.channels() * images.height() * images.width();
    let mut pixels = vec![0.0; count * area];
    for (index, target) in pixels.chunks_exact_mut(area).enumerate() {
        images.pixels_unit(index, target);
    }
    let labels = (0..count).map(|index| usize::from(images.label(index))).collect();
    Ok(Examples::new(images.channels(), images.height(), images.width(), pixels, labels)?)
}

fn measure(context: &Context, part: Part, seed: u64, folder: &Path) -> Result<Vec<String>> {
    let settings = &context.config.robustness;
    let test = super::images::load(context)?.test;
    let network = train::network(context, part)?;
    let gamma = network.gamma()?;
    let model = Attackable(network);
    let run = Settings { seed, batch: BATCH };
    let (noisy, attacked) = (examples(&test, settings.noise_images)?, examples(&test, settings.attack_images)?);

    let mut bar = context.terminal.bar(&part.task("robustness"), 1);
    let mut show = |what: &str, progress: Progress| bar.set(progress.done as u64, progress.total as u64, what);
    let clean_accuracy = accuracy(&model, &noisy, run)?.unwrap_or_default();
    let gaussian_noise = noise_curve(&model, &noisy, Noise::Gaussian, Clamp::Unit, &settings.gaussian, run, &mut |progress| {
        show("Gaussian noise", progress)
    })?
    .into_iter()
    .map(|point| Point { level: point.level, accuracy: point.accuracy().unwrap_or_default() })
    .collect();

    let linf = Pgd::new(Norm::Linf).with_steps(settings.pgd_steps);
    let l2 = Pgd::new(Norm::L2).with_steps(settings.pgd_steps);
    let fgsm = Fgsm::new(Norm::Linf);
    let unperturbed = Point { level: 0.0, accuracy: accuracy(&model, &attacked, run)?.unwrap_or_default() };
    let mut attacks = BTreeMap::new();
    for (name, attack, epsilons) in
        [("fgsm", &fgsm as &dyn Attack, &settings.linf), ("pgd_linf", &linf, &settings.linf), ("pgd_l2", &l2, &settings.l2)]
    {
        let points = attack_curve(&model, attack, &attacked, epsilons, run, &mut |progress| show(name, progress))?;
        let point = |point: AttackPoint| Point { level: point.epsilon, accuracy: point.accuracy().unwrap_or_default() };
        attacks.insert(name.to_owned(), std::iter::once(unperturbed.clone()).chain(points.into_iter().map(point)).collect());
    }

    let mut minimal = BTreeMap::new();
    // From the image along the margin: the closest of the attacks on models where the smallest distance is known.
    let margin = |norm| Pgd::new(norm).with_steps(settings.pgd_steps).from_the_image().with_loss(Loss::Margin);
    let (margin_linf, margin_l2) = (margin(Norm::Linf), margin(Norm::L2));
    let ensembles: [(&str, Norm, Vec<&dyn Attack>, &Vec<f64>); 2] = [
        ("linf", Norm::Linf, vec![&fgsm, &margin_linf, &linf], &settings.linf),
        ("l2", Norm::L2, vec![&margin_l2, &l2], &settings.l2),
    ];
    for (name, norm, ensemble, epsilons) in ensembles {
        let largest = (SEARCH_BEYOND * epsilons.last().copied().unwrap_or(1.0)).min(norm.range(attacked.area()));
        let search = Search { largest, tolerance: TOLERANCE };
        let found = minimal_perturbations(&model, &ensemble, &attacked, search, run, &mut |progress| {
            show(&format!("smallest {name}"), progress)
        })?;
        minimal.insert(name.to_owned(), summarise(&found.of_initially_correct(), seed)?);
    }
    drop(bar);
    let epochs = train::history(context, part)?;
    let result = NetworkResult {
        condition: part.condition.name().to_owned(),
        seed: part.seed,
        clean_accuracy,
        gaussian_noise,
        attacks,
        minimal_perturbation: minimal,
        gamma,
        pair_correlation: epochs.last().and_then(|epoch| epoch.pair_correlation),
    };
    provenance::write_json(&folder.join(CURVES), &result)?;
    Ok(vec![CURVES.into()])
}

/// Median over the images that the network classifies rightly to begin with.
fn summarise(perturbations: &[Perturbation], seed: u64) -> Result<MinimalPerturbation> {
    if perturbations.is_empty() {
        return Ok(MinimalPerturbation { median: None, low: None, high: None, images: 0, censored: 0 });
    }
    let found = median(perturbations, RESAMPLES, seed)?;
    Ok(MinimalPerturbation {
        median: found.value.found(),
        low: found.low.found(),
        high: found.high.found(),
        images: found.images,
        censored: found.censored,
    })
}

/// The figures of a part.
pub fn load(context: &Context, part: Part) -> Result<NetworkResult> {
    provenance::read_json(&context.run.folder(&part.task("robustness")).join(CURVES))
}
