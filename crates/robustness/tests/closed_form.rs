//! For a linear model the smallest perturbation is known: the distance to the nearest of its
//! planes.

mod models;

use brainprior_robustness::{
    Apgd, ApgdMinimal, ApgdTargeted, Attack, AutoAttack, Bim, BlendedNoise, Boundary,
    BrendelBethge, CarliniWagner, Ddn, DeepFool, Fab, FabTargeted, Fgsm, Fmn, HopSkipJump,
    LineSearch, Loss, Mim, MinimalPerturbations, Norm, Perturbation, Pgd, PrimalDual, Search,
    Settings, SigmaZero, Square, Transfer, attack, attack_curve, ensemble, median,
};
use models::{Planes, closed_form, to_plane};

const SETTINGS: Settings = Settings { seed: 3, batch: 16 };

/// Smallest perturbations found by these attacks together, divided by the closed form.
fn ratios(model: &Planes, attacks: &[&dyn Attack], images: usize, tolerance: f64) -> Vec<f64> {
    let labeled = model.labeled_batch(images, 0.05, 4);
    let norm = attacks[0].norm();
    let search = Search { largest: norm.range(labeled.area()) / 4.0, tolerance };
    let mut minimal = MinimalPerturbations::new(model, &labeled, norm, SETTINGS).unwrap();
    for attack in attacks {
        minimal.approach(model, *attack, &labeled, search, SETTINGS).unwrap();
    }
    let distances = minimal.distances(&labeled);
    (0..images)
        .map(|index| {
            let truth = closed_form(model, labeled.image(index), labeled.label(index), norm);
            distances[index]
                .unwrap_or_else(|| panic!("{} finds nothing for image {index}", attacks[0].name()))
                / truth
        })
        .collect()
}

#[track_caller]
fn assert_within(name: &str, ratios: &[f64], tolerance: f64) {
    for (index, ratio) in ratios.iter().enumerate() {
        assert!(*ratio > 0.9999, "{name}, image {index}: below what is possible, {ratio}");
        assert!(
            *ratio < 1.0 + tolerance,
            "{name}, image {index}: {ratio} times the closed form, all {ratios:?}"
        );
    }
}

/// Two classes have one plane, and every attack with enough steps finds it.
#[test]
fn every_attack_finds_the_nearest_point_of_a_plane() {
    let model = Planes::random(2, 64, 0.0, 1);
    for norm in [Norm::Linf, Norm::L2] {
        let line = LineSearch::new(norm);
        let mim = Mim::new(norm);
        let attacks: Vec<Box<dyn Attack + '_>> = vec![
            Box::new(Fgsm::new(norm)),
            Box::new(Bim::new(norm)),
            Box::new(mim),
            // Foolbox's steps cover 1.3 epsilons, too short to cross the ball.
            Box::new(Pgd::new(norm).with_relative_step(0.1).with_restarts(2)),
            Box::new(Pgd::new(norm).from_the_image()),
            Box::new(DeepFool::new(norm)),
            Box::new(Fmn::new(norm)),
            Box::new(BrendelBethge::new(norm)),
            Box::new(HopSkipJump::new(norm)),
            Box::new(Apgd::new(norm)),
            Box::new(Apgd::new(norm).with_loss(Loss::Dlr)),
            Box::new(ApgdTargeted::new(norm)),
            Box::new(ApgdMinimal::new(norm)),
            Box::new(ApgdMinimal::new(norm).with_loss(Loss::Dlr)),
            Box::new(ApgdMinimal::new(norm).targeted()),
            Box::new(Fab::new(norm)),
            Box::new(FabTargeted::new(norm)),
            Box::new(AutoAttack::new(norm)),
            Box::new(Transfer::new(&mim, vec![&model])),
        ];
        for attack in &attacks {
            let name = format!("{} {norm:?}", attack.name());
            assert_within(&name, &ratios(&model, &[attack.as_ref(), &line], 4, 0.004), 0.01);
        }
    }
    // The weights of margin and distance change until the end.
    for norm in [Norm::Linf, Norm::L2, Norm::L1] {
        let line = LineSearch::new(norm);
        let found = ratios(&model, &[&PrimalDual::new(norm).with_steps(4000), &line], 8, 0.004);
        assert_within(&format!("primal-dual {norm:?}"), &found, 0.03);
    }
    let line = LineSearch::new(Norm::L2);
    assert_within("ddn", &ratios(&model, &[&Ddn::default(), &line], 8, 0.004), 0.01);
    // Foolbox's steps are a fifth of the distance here and overshoot the nearest point by up to a
    // sixth.
    let fine = CarliniWagner::default().with_step(2e-4).with_steps(4000).with_searches(18);
    assert_within("carlini-wagner", &ratios(&model, &[&fine, &line], 8, 0.004), 0.01);
}

/// In L1 and L0 the bounds of [0, 1] bind: values move to their ends, the most effective ones
/// first.
#[test]
fn the_smallest_perturbations_in_l1_and_l0_are_found() {
    for (classes, seed) in [(2, 1), (10, 2)] {
        let mut model = Planes::random(classes, 64, 0.0, seed);
        model.scale = 2.0;
        for norm in [Norm::L1, Norm::L0] {
            let line = LineSearch::new(norm);
            let mut attacks: Vec<Box<dyn Attack>> = vec![
                Box::new(DeepFool::new(norm)),
                Box::new(Fab::new(norm)),
                Box::new(FabTargeted::new(norm)),
            ];
            if classes == 2 {
                // With several planes this attack finds one that need not be the nearest.
                attacks.push(Box::new(BrendelBethge::new(norm).with_steps(200)));
                attacks.push(Box::new(Fmn::new(norm).with_steps(500)));
                if norm == Norm::L0 {
                    attacks.push(Box::new(SigmaZero::default()));
                }
            }
            for attack in &attacks {
                let name = format!("{} {norm:?}, {classes} classes", attack.name());
                let ratios = ratios(&model, &[attack.as_ref(), &line], 8, 0.004);
                // A count is exact or wrong.
                assert_within(&name, &ratios, if norm == Norm::L0 { 1e-9 } else { 0.01 });
            }
            let all = ensemble(norm, 400);
            let all: Vec<&dyn Attack> = all.iter().map(AsRef::as_ref).collect();
            assert_within(&format!("ensemble {norm:?}"), &ratios(&model, &all, 8, 0.01), 0.005);
        }
    }
}

/// Random search comes close in few dimensions.
#[test]
fn random_searches_find_it_in_few_dimensions() {
    let model = Planes::random(2, 16, 0.0, 1);
    assert_within("square", &ratios(&model, &[&Square::new(Norm::Linf)], 8, 0.004), 0.01);
    assert_within(
        "boundary",
        &ratios(&model, &[&Boundary::default().with_steps(10_000)], 4, 0.004),
        0.01,
    );
    // In L2 its changes are smooth bumps of at least 3 x 3 pixels, and the normals of these planes
    // are not smooth.
    let bumps = ratios(&model, &[&Square::new(Norm::L2)], 8, 0.004);
    assert!(bumps.iter().all(|ratio| (1.0..1.7).contains(ratio)), "{bumps:?}");
    let noise = ratios(&model, &[&BlendedNoise::new(Norm::L2)], 8, 0.004);
    assert!(noise.iter().all(|ratio| (1.0..20.0).contains(ratio)), "{noise:?}");
}

#[test]
fn of_many_planes_the_nearest_is_found() {
    let mut model = Planes::random(10, 128, 0.0, 2);
    model.scale = 2.0;
    for norm in [Norm::Linf, Norm::L2] {
        let line = LineSearch::new(norm);
        let several: [&dyn Attack; 4] = [
            &DeepFool::new(norm),
            &Fab::new(norm),
            &FabTargeted::new(norm),
            &ApgdTargeted::new(norm),
        ];
        for attack in several {
            assert_within(
                &format!("{} {norm:?}", attack.name()),
                &ratios(&model, &[attack, &line], 10, 0.004),
                0.01,
            );
        }
        let all = ensemble(norm, 1000);
        let all: Vec<&dyn Attack> = all.iter().map(AsRef::as_ref).collect();
        assert_within(&format!("ensemble {norm:?}"), &ratios(&model, &all, 30, 0.01), 0.005);
    }
}

#[test]
fn the_plane_to_a_target_class() {
    let model = Planes::random(3, 64, 0.0, 5);
    let labeled = model.labeled_batch(12, 0.05, 4);
    let targets: Vec<usize> = labeled.labels().iter().map(|label| (label + 1) % 3).collect();
    let targeted = labeled.clone().with_targets(&targets).unwrap();
    for norm in [Norm::Linf, Norm::L2] {
        let search = Search { largest: norm.range(64) / 4.0, tolerance: 0.004 };
        let margin = Pgd::new(norm).from_the_image().with_loss(Loss::Margin);
        for attack in [
            &margin as &dyn Attack,
            &DeepFool::new(norm),
            &Fmn::new(norm),
            &Fab::new(norm),
            &ApgdTargeted::new(norm),
        ] {
            let mut minimal = MinimalPerturbations::new(&model, &targeted, norm, SETTINGS).unwrap();
            minimal.approach(&model, attack, &targeted, search, SETTINGS).unwrap();
            let line = LineSearch::new(norm);
            minimal.approach(&model, &line, &targeted, search, SETTINGS).unwrap();
            minimal
                .approach(&model, &BrendelBethge::new(norm), &targeted, search, SETTINGS)
                .unwrap();
            for (index, distance) in minimal.distances(&targeted).into_iter().enumerate() {
                let distance = distance
                    .unwrap_or_else(|| panic!("{} finds no image of the class", attack.name()));
                // The target must lead both other classes: at least the distance to the plane
                // between it and the label.
                let truth = to_plane(
                    &model,
                    labeled.image(index),
                    labeled.label(index),
                    targets[index],
                    norm,
                );
                assert!(distance > 0.9999 * truth, "{}: {distance} below {truth}", attack.name());
            }
        }
    }
}

#[test]
fn saturated_logits_do_not_stop_the_gradient() {
    let mut model = Planes::random(2, 64, 0.0, 1);
    model.scale = 1e6;
    for norm in [Norm::Linf, Norm::L2] {
        let attacks: [&dyn Attack; 2] = [&Fgsm::new(norm), &Apgd::new(norm)];
        for attack in attacks {
            assert_within(&attack.name(), &ratios(&model, &[attack], 20, 0.005), 0.01);
        }
    }
}

#[test]
fn accuracy_falls_where_the_closed_form_says() {
    let model = Planes::random(2, 64, 0.0, 1);
    let labeled = model.labeled_batch(40, 0.05, 4);
    let truth: Vec<f64> = (0..40)
        .map(|index| closed_form(&model, labeled.image(index), labeled.label(index), Norm::Linf))
        .collect();
    let epsilons = [0.0, 0.001, 0.004, 0.02, 0.2];
    let pgd = Pgd::new(Norm::Linf).from_the_image();
    let points = attack_curve(&model, &pgd, &labeled, &epsilons, SETTINGS).unwrap();
    for (point, epsilon) in points.iter().zip(epsilons) {
        let expected = truth.iter().filter(|distance| **distance > epsilon).count();
        assert_eq!(point.accuracy.correct(), expected, "epsilon {epsilon}");
    }
    assert_eq!(
        points.last().unwrap().accuracy.share(),
        Some(0.0),
        "a large epsilon leaves nothing standing"
    );
}

#[test]
fn the_median_is_that_of_the_closed_form() {
    let model = Planes::random(2, 64, 0.0, 1);
    let labeled = model.labeled_batch(41, 0.05, 4);
    let search = Search { largest: 2.0, tolerance: 0.005 };
    let mut minimal = MinimalPerturbations::new(&model, &labeled, Norm::L2, SETTINGS).unwrap();
    minimal.approach(&model, &Fgsm::new(Norm::L2), &labeled, search, SETTINGS).unwrap();
    let perturbations = minimal.perturbations(&labeled, search);
    let mut truth: Vec<f64> = (0..41)
        .map(|index| closed_form(&model, labeled.image(index), labeled.label(index), Norm::L2))
        .collect();
    truth.sort_by(f64::total_cmp);
    let median = median(&perturbations, 500, 9).unwrap();
    assert!((median.value.found().unwrap() / truth[20] - 1.0).abs() < 0.01);
    assert!(median.low <= median.value && median.value <= median.high);

    // Perturbations out of the search's reach are censored at its end.
    let mut minimal = MinimalPerturbations::new(&model, &labeled, Norm::L2, SETTINGS).unwrap();
    let short = Search { largest: truth[10] * 1.001, tolerance: 0.005 };
    minimal.approach(&model, &Fgsm::new(Norm::L2), &labeled, short, SETTINGS).unwrap();
    let perturbations = minimal.perturbations(&labeled, short);
    assert_eq!(
        perturbations
            .iter()
            .filter(|found| **found == Perturbation::Censored(short.largest))
            .count(),
        30
    );
}

#[test]
fn random_starts_and_restarts_help_no_image_to_stand() {
    let model = Planes::random(3, 64, 0.0, 6);
    let labeled = model.labeled_batch(30, 0.05, 4);
    let standing =
        |pgd: Pgd| attack(&model, &pgd, &labeled, 0.005, SETTINGS).unwrap().accuracy().correct();
    let once = Pgd::new(Norm::Linf).with_steps(10);
    assert!(standing(once.with_restarts(5)) <= standing(once));
    assert!(standing(once.from_the_image()) <= standing(once));
}
