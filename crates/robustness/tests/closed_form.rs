//! On a linear model the smallest perturbation is known: the distance to the nearest of its planes.

mod models;

use brainprior_robustness::{
    Attack, Fgsm, Loss, MinimalPerturbations, Norm, Pgd, Search, Settings, attack, attack_curve, median, minimal_perturbations,
};
use models::Planes;

const SETTINGS: Settings = Settings { seed: 3, batch: 16 };

/// Distance of an image to the nearest plane between its class and another; the dual norm of the planes' difference.
fn closed_form(model: &Planes, image: &[f32], label: usize, norm: Norm) -> f64 {
    let distance = |other: usize| {
        let normal = model.weights[other].iter().zip(&model.weights[label]).map(|(a, b)| f64::from(*a) - f64::from(*b));
        let dual = match norm {
            Norm::Linf => normal.map(f64::abs).sum::<f64>(),
            Norm::L2 => normal.map(|value| value * value).sum::<f64>().sqrt(),
        };
        (model.value(image, label) - model.value(image, other)) / dual
    };
    (0..model.bias.len()).filter(|other| *other != label).map(distance).fold(f64::INFINITY, f64::min)
}

fn minimal(model: &Planes, attacks: &[&dyn Attack], images: usize) -> (MinimalPerturbations, Vec<f64>) {
    let examples = model.examples(images, 0.05, 4);
    let norm = attacks[0].norm();
    let search = Search { largest: norm.range(examples.area()) / 4.0, tolerance: 0.005 };
    let found = minimal_perturbations(model, attacks, &examples, search, SETTINGS, &mut |_| {}).unwrap();
    let truth = (0..images).map(|index| closed_form(model, examples.image(index), examples.label(index), norm)).collect();
    (found, truth)
}

#[track_caller]
fn assert_near(found: &MinimalPerturbations, truth: &[f64], tolerance: f64) {
    assert_eq!(found.censored(), 0);
    for (index, (found, truth)) in found.all().iter().zip(truth).enumerate() {
        let ratio = found.found().unwrap() / truth;
        assert!(ratio > 0.9999, "image {index}: below what is possible, {ratio}");
        assert!(ratio < 1.0 + tolerance, "image {index}: {ratio} times the closed form");
    }
}

#[test]
fn two_classes_within_one_percent() {
    let model = Planes::random(2, 64, 0.0, 1);
    for norm in [Norm::Linf, Norm::L2] {
        for attack in [&Fgsm::new(norm) as &dyn Attack, &Pgd::new(norm).from_the_image()] {
            let (found, truth) = minimal(&model, &[attack], 20);
            assert_near(&found, &truth, 0.01);
        }
    }
}

#[test]
fn five_classes_within_two_percent() {
    // Every class looks at its own twelve values, so that the planes lie alike and the strongest logit is the nearest
    // plane. Cross-entropy, pushing towards all of them at once, would miss by a quarter.
    let mut model = Planes::random(5, 60, 0.0, 2);
    for (class, weights) in model.weights.iter_mut().enumerate() {
        for (index, weight) in weights.iter_mut().enumerate() {
            *weight = if index / 12 == class { weight.signum() } else { 0.0 };
        }
        model.bias[class] = -0.5 * weights.iter().sum::<f32>();
    }
    for norm in [Norm::Linf, Norm::L2] {
        let pgd = Pgd::new(norm).from_the_image();
        let (found, truth) = minimal(&model, &[&Fgsm::new(norm), &pgd.with_loss(Loss::Margin)], 30);
        assert_near(&found, &truth, 0.02);
    }
}

#[test]
fn saturated_logits_do_not_stop_the_gradient() {
    let mut model = Planes::random(2, 64, 0.0, 1);
    model.scale = 1e6;
    let (found, truth) = minimal(&model, &[&Fgsm::new(Norm::Linf)], 20);
    assert_near(&found, &truth, 0.01);
    assert_eq!(found.zero_gradients(), 0);
}

#[test]
fn accuracy_falls_where_the_closed_form_says() {
    let model = Planes::random(2, 64, 0.0, 1);
    let examples = model.examples(40, 0.05, 4);
    let truth: Vec<f64> =
        (0..40).map(|index| closed_form(&model, examples.image(index), examples.label(index), Norm::Linf)).collect();
    let epsilons = [0.0, 0.001, 0.004, 0.02, 0.2];
    let pgd = Pgd::new(Norm::Linf).from_the_image();
    let points = attack_curve(&model, &pgd, &examples, &epsilons, SETTINGS, &mut |_| {}).unwrap();
    for (point, epsilon) in points.iter().zip(epsilons) {
        let expected = truth.iter().filter(|distance| **distance > epsilon).count();
        assert_eq!(point.correct, expected, "epsilon {epsilon}");
    }
    assert_eq!(points.last().unwrap().accuracy(), Some(0.0), "a large epsilon leaves nothing standing");
}

#[test]
fn the_median_is_that_of_the_closed_form() {
    let model = Planes::random(2, 64, 0.0, 1);
    let (found, mut truth) = minimal(&model, &[&Fgsm::new(Norm::L2)], 41);
    truth.sort_by(f64::total_cmp);
    let median = median(&found.of_initially_correct(), 500, 9).unwrap();
    assert!((median.value.found().unwrap() / truth[20] - 1.0).abs() < 0.01);
    assert!(median.low <= median.value && median.value <= median.high);
}

#[test]
fn random_starts_and_restarts_help_no_image_to_stand() {
    let model = Planes::random(3, 64, 0.0, 6);
    let examples = model.examples(30, 0.05, 4);
    let standing = |pgd: Pgd| attack(&model, &pgd, &examples, 0.005, SETTINGS, &mut |_| {}).unwrap().accuracy().unwrap();
    let once = Pgd::new(Norm::Linf).with_steps(10);
    assert!(standing(once.with_restarts(5)) <= standing(once));
    assert!(standing(once.from_the_image()) <= standing(once));
}

/// The figures in the documentation of `minimal_perturbations`.
#[test]
fn the_margin_from_the_image_comes_closest() {
    let mut model = Planes::random(10, 256, 0.0, 2);
    model.scale = 2.0;
    for (norm, from_the_image, from_random) in [(Norm::Linf, 1.23, 1.38), (Norm::L2, 1.26, 1.49)] {
        let random = Pgd::new(norm).with_steps(20);
        let image = random.from_the_image();
        let margin = image.with_loss(Loss::Margin);
        for (pgd, expected) in [(margin, 1.002), (image, from_the_image), (random, from_random)] {
            let (found, truth) = minimal(&model, &[&pgd], 100);
            let mut ratios: Vec<f64> =
                found.all().iter().zip(&truth).map(|(found, truth)| found.found().unwrap() / truth).collect();
            ratios.sort_by(f64::total_cmp);
            assert!((ratios[50] - expected).abs() < 0.01, "{pgd:?}: {} times the closed form", ratios[50]);
        }
    }
}
