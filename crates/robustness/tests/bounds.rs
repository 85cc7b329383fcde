//! Properties of every attack on every model: bounds, counts, and independence of the batch.

mod models;

use brainprior_robustness::{
    Apgd, ApgdMinimal, ApgdTargeted, Attack, AttackKind, Batch, Bim, Boundary, BrendelBethge,
    CarliniWagner, Clamp, Classifier, Counts, Ddn, DeepFool, Error, Fab, FabTargeted, Fgsm, Fmn,
    HopSkipJump, LabeledBatch, Loss, MaskingSettings, Mim, MinimalPerturbations, Noise, Norm,
    Perturbation, Pgd, PrimalDual, Result, Search, Settings, SigmaZero, Square, accuracy, attack,
    attack_curve, ensemble, masking_report, median, noise_curve,
};
use candle_core::Tensor;
use models::Planes;
use proptest::prelude::*;

fn settings(batch: usize) -> Settings {
    Settings { seed: 5, batch }
}

/// Every attack with few steps: these properties do not depend on strength.
fn attacks() -> Vec<Box<dyn Attack>> {
    let mut attacks: Vec<Box<dyn Attack>> = vec![
        Box::new(Ddn::default().with_steps(8)),
        Box::new(CarliniWagner::default().with_steps(8).with_searches(4)),
        Box::new(Boundary::default().with_steps(12)),
        Box::new(SigmaZero::default().with_steps(8)),
    ];
    for norm in [Norm::Linf, Norm::L2, Norm::L1, Norm::L0] {
        attacks.extend([
            Box::new(DeepFool::new(norm)) as Box<dyn Attack>,
            Box::new(Fmn::new(norm).with_steps(8)),
            Box::new(PrimalDual::new(norm).with_steps(8)),
            Box::new(BrendelBethge::new(norm).with_steps(6)),
            Box::new(Fab::new(norm).with_steps(5)),
            Box::new(FabTargeted::new(norm).with_steps(5)),
            Box::new(HopSkipJump::new(norm).with_steps(1)),
        ]);
    }
    for norm in [Norm::Linf, Norm::L2] {
        attacks.extend([
            Box::new(Fgsm::new(norm)) as Box<dyn Attack>,
            Box::new(Bim::new(norm)),
            Box::new(Mim::new(norm)),
            Box::new(Pgd::new(norm).with_steps(6).with_restarts(2)),
            Box::new(Square::new(norm).with_queries(12)),
            Box::new(Apgd::new(norm).with_steps(8).with_restarts(2)),
            Box::new(Apgd::new(norm).with_steps(8).with_loss(Loss::Dlr)),
            Box::new(ApgdTargeted::new(norm).with_steps(8)),
            Box::new(ApgdMinimal::new(norm).with_steps(40)),
            Box::new(ApgdMinimal::new(norm).with_steps(40).targeted()),
        ]);
    }
    attacks
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn epsilon_and_bounds_hold_exactly(
        seed in any::<u64>(),
        batch in 1usize..34,
        epsilon in prop_oneof![0.0..0.01f64, 0.0..0.9f64],
        contrast in 0.05f32..0.5,
    ) {
        let model = Planes::random(3, 24, 0.7, seed);
        let labeled = model.labeled_batch(12, contrast, seed ^ 1);
        for attacker in attacks() {
            // The same fraction of the largest distance in every norm.
            let epsilon = epsilon * attacker.norm().range(24) / if attacker.norm() == Norm::L2 { 24f64.sqrt() } else { 1.0 };
            let attacked = attack(&model, attacker.as_ref(), &labeled, epsilon, settings(batch)).unwrap();
            for (index, outcome) in attacked.outcomes().iter().enumerate() {
                let distance = attacker.norm().distance(labeled.image(index), attacked.image(index));
                prop_assert!(distance <= epsilon);
                prop_assert_eq!(distance, outcome.distance);
                prop_assert!(attacked.image(index).iter().all(|value| (0.0..=1.0).contains(value)));
                // A reported success is adversarial when evaluated on its own.
                let alone = LabeledBatch::new(1, 6, 4, attacked.image(index).to_vec(), vec![labeled.label(index)]).unwrap();
                let right = accuracy(&model, &alone, settings(1)).unwrap();
                prop_assert_eq!((right.correct(), right.images()), (usize::from(!outcome.success), 1));
            }
        }
    }
}

#[test]
fn an_image_alone_and_in_any_batch_gives_the_same() {
    let model = Planes::random(4, 30, 0.5, 8);
    let labeled = model.labeled_batch(33, 0.3, 9);
    for attacker in attacks() {
        let run = |labeled: &LabeledBatch, batch| {
            let epsilon = if matches!(attacker.norm(), Norm::L1 | Norm::L0) { 2.0 } else { 0.03 };
            attack(&model, attacker.as_ref(), labeled, epsilon, settings(batch)).unwrap()
        };
        let all = run(&labeled, 33);
        for batch in [1, 2, 7, 16, 32] {
            assert_eq!(run(&labeled, batch), all, "{}, batches of {batch}", attacker.name());
        }
        for index in [0, 7, 32] {
            let alone = run(&labeled.subset(&[index]), 1);
            assert_eq!(
                (alone.outcomes()[0], alone.image(0)),
                (all.outcomes()[index], all.image(index))
            );
        }
    }
    let noise = |batch| {
        noise_curve(
            &model,
            &labeled,
            Noise::Gaussian,
            Clamp::Unit,
            &[0.0, 0.2, 0.4],
            settings(batch),
        )
        .unwrap()
    };
    assert_eq!(noise(1), noise(33));
    assert_eq!(noise(33)[0].accuracy.share(), Some(1.0));
    assert!(noise(33)[2].accuracy.correct() < 33);
}

#[test]
fn no_ensemble_takes_more_passes_than_it_is_given() {
    let model = Planes::random(10, 64, 0.7, 3);
    let labeled = model.labeled_batch(6, 0.3, 4);
    for norm in [Norm::Linf, Norm::L2, Norm::L1, Norm::L0] {
        let search = Search { largest: norm.range(64), tolerance: 0.01 };
        for passes in [100, 249, 250, 400, 1000] {
            let mut minimal =
                MinimalPerturbations::new(&model, &labeled, norm, settings(6)).unwrap();
            for attacker in ensemble(norm, passes) {
                minimal.approach(&model, attacker.as_ref(), &labeled, search, settings(6)).unwrap();
            }
            assert!(
                minimal.distances(&labeled).iter().all(Option::is_some),
                "{norm:?} in {passes} passes"
            );
            let most = minimal.records().iter().map(|record| record.counts.passes()).max().unwrap();
            assert!(most <= passes && 2 * most > passes, "{norm:?}: {most} passes of {passes}");
        }
    }
}

#[test]
fn a_model_that_is_always_wrong() {
    let model = Planes::random(2, 16, 0.0, 1);
    let right = model.labeled_batch(5, 0.2, 2);
    let pixels = (0..5).flat_map(|index| right.image(index)).copied().collect();
    let wrong =
        LabeledBatch::new(1, 4, 4, pixels, right.labels().iter().map(|label| 1 - label).collect())
            .unwrap();
    let pgd = Pgd::new(Norm::Linf);
    let attacked = attack(&model, &pgd, &wrong, 0.1, settings(4)).unwrap();
    assert_eq!((attacked.accuracy().correct(), attacked.accuracy().images()), (0, 5));
    assert!(
        attacked
            .outcomes()
            .iter()
            .all(|o| o.already && o.success && o.distance == 0.0 && o.counts == Counts::default())
    );
    let search = Search { largest: 0.5, tolerance: 0.01 };
    let mut minimal = MinimalPerturbations::new(&model, &wrong, Norm::Linf, settings(4)).unwrap();
    minimal.approach(&model, &pgd, &wrong, search, settings(4)).unwrap();
    assert_eq!(minimal.distances(&wrong), [Some(0.0); 5]);
    assert!(matches!(median(&minimal.perturbations(&wrong, search), 100, 0), Err(Error::NoImages)));
    let none = right.subset(&[]);
    assert_eq!(accuracy(&model, &none, settings(4)).unwrap().share(), None);
    assert_eq!(attack(&model, &pgd, &none, 0.1, settings(4)).unwrap().accuracy().share(), None);
}

/// Logits in steps of one eighth: correct on most images, and flat everywhere.
struct Quantized(Planes);

impl Classifier for Quantized {
    fn logits(&self, images: &Tensor) -> candle_core::Result<Tensor> {
        self.0.logits(&((images * 8.0)?.detach().round()? / 8.0)?)
    }
}

#[test]
fn zero_gradients_are_counted_and_failures_censored() {
    let model = Quantized(Planes::random(2, 16, 0.0, 3));
    let labeled = model.0.labeled_batch(6, 0.5, 4);
    let right = brainprior_robustness::correct(&model, &labeled, settings(6)).unwrap();
    let pgd = Pgd::new(Norm::L2).with_steps(5).from_the_image();
    let points = attack_curve(&model, &pgd, &labeled, &[0.1, 0.5], settings(4)).unwrap();
    for point in &points {
        assert!(point.counts.zero_gradients > 0);
        assert_eq!(point.counts.zero_gradients, point.counts.gradient_calls);
    }
    let search = Search { largest: 0.5, tolerance: 0.01 };
    let mut minimal = MinimalPerturbations::new(&model, &labeled, Norm::L2, settings(4)).unwrap();
    minimal.approach(&model, &pgd, &labeled, search, settings(4)).unwrap();
    let perturbations = minimal.perturbations(&labeled, search);
    assert_eq!(
        perturbations,
        vec![Perturbation::Censored(0.5); right.iter().filter(|right| **right).count()]
    );
    assert!(minimal.records().iter().any(|record| record.counts.zero_gradients > 0));
}

/// Leaves candidates far outside the bounds.
struct Overshoot;

impl Attack for Overshoot {
    fn name(&self) -> String {
        "overshoot".into()
    }

    fn norm(&self) -> Norm {
        Norm::L2
    }

    fn kind(&self) -> AttackKind {
        AttackKind::FixedEpsilon
    }

    fn run(&self, batch: &mut Batch) -> Result<()> {
        for image in batch.all() {
            let far: Vec<f32> = batch.original(image).iter().map(|value| value + 10.0).collect();
            batch.set_candidate(image, &far);
        }
        Ok(())
    }
}

#[test]
fn an_attack_beyond_its_bounds_is_brought_back() {
    let model = Planes::random(2, 16, 0.0, 3);
    let labeled = model.labeled_batch(4, 0.3, 4);
    let attacked = attack(&model, &Overshoot, &labeled, 0.2, settings(4)).unwrap();
    assert!(
        attacked
            .outcomes()
            .iter()
            .all(|outcome| outcome.distance <= 0.2 && outcome.distance > 0.15)
    );
}

/// An attack that must not be run.
struct Forbidden;

impl Attack for Forbidden {
    fn name(&self) -> String {
        "forbidden".into()
    }

    fn norm(&self) -> Norm {
        Norm::L2
    }

    fn kind(&self) -> AttackKind {
        AttackKind::Minimization
    }

    fn run(&self, _: &mut Batch) -> Result<()> {
        panic!("the attack is run on a model whose logits are not finite");
    }
}

#[test]
fn a_model_whose_logits_are_not_finite_is_refused_before_the_attack() {
    let labeled = Planes::random(2, 16, 0.0, 3).labeled_batch(3, 0.3, 4).subset(&[2, 1]);
    let refused = |error: Error| {
        assert!(
            matches!(error, Error::NotFinite { image: 2, what: "logit", index: 0, .. }),
            "{error}"
        );
        assert!(
            error
                .to_string()
                .contains("image 2: the model's logit 0 is NaN, expected a finite value"),
            "{error}"
        );
    };
    refused(attack(&Broken, &Forbidden, &labeled, 0.1, settings(4)).unwrap_err());
    refused(MinimalPerturbations::new(&Broken, &labeled, Norm::L2, settings(4)).unwrap_err());
    let masking = MaskingSettings::at(0.1);
    refused(masking_report(&Broken, &[], &labeled, &masking, settings(4)).unwrap_err());
}

/// A model that fails.
struct Broken;

impl Classifier for Broken {
    fn logits(&self, images: &Tensor) -> candle_core::Result<Tensor> {
        images.flatten_from(1)?.narrow(1, 0, 2)?.affine(0.0, f64::NAN)
    }
}

#[test]
fn bad_input_is_named() {
    let model = Planes::random(2, 16, 0.0, 3);
    let labeled = model.labeled_batch(3, 0.3, 4);
    let run = |epsilon| attack(&model, &Fgsm::new(Norm::Linf), &labeled, epsilon, settings(4));
    assert!(matches!(run(-0.1), Err(Error::Level { index: 0, .. })));
    assert!(matches!(run(1.5), Err(Error::Level { .. })));
    assert!(run(f64::NAN).is_err());
    let curve = |epsilons: &[f64]| {
        attack_curve(&model, &Fgsm::new(Norm::L2), &labeled, epsilons, settings(4))
    };
    assert!(matches!(curve(&[0.1, 0.3, 0.2]), Err(Error::Level { index: 2, .. })));
    assert!(
        curve(&[0.1, 3.9]).is_ok() && curve(&[0.1, 4.1]).is_err(),
        "the L2 range of 16 values is 4"
    );

    let labels = vec![0, 1, 7];
    let pixels = (0..3).flat_map(|index| labeled.image(index)).copied().collect();
    let mislabeled = LabeledBatch::new(1, 4, 4, pixels, labels).unwrap();
    let error = accuracy(&model, &mislabeled, settings(4)).unwrap_err();
    assert!(matches!(error, Error::Label { image: 2, found: 7, classes: 2 }), "{error}");
    let other: Vec<usize> = labeled.labels().iter().map(|label| label + 2).collect();
    let targeted = labeled.clone().with_targets(&other).unwrap();
    let error = attack(&model, &Fgsm::new(Norm::L2), &targeted, 0.1, settings(4)).unwrap_err();
    assert!(matches!(error, Error::Label { image: 0, classes: 2, .. }), "{error}");
    let error = accuracy(&Broken, &labeled.subset(&[2, 1]), settings(4)).unwrap_err();
    assert!(matches!(error, Error::NotFinite { image: 2, what: "logit", index: 0, .. }), "{error}");
    let mut minimal = MinimalPerturbations::new(&model, &labeled, Norm::Linf, settings(4)).unwrap();
    let mut search = |attack: &dyn Attack, largest, tolerance| {
        minimal.approach(&model, attack, &labeled, Search { largest, tolerance }, settings(4))
    };
    let (linf, l2) = (Fgsm::new(Norm::Linf), Fgsm::new(Norm::L2));
    assert!(matches!(search(&l2, 0.1, 0.01), Err(Error::Size { .. })));
    assert!(search(&linf, 0.0, 0.01).is_err() && search(&linf, 0.1, 0.0).is_err());
    assert!(search(&linf, 1.1, 0.01).is_err());
}

#[test]
fn progress_ends_at_the_total() {
    let model = Planes::random(2, 16, 0.0, 3);
    let labeled = model.labeled_batch(9, 0.3, 4);
    let mut seen = Vec::new();
    attack_curve(
        &model,
        &Fgsm::new(Norm::Linf),
        &labeled,
        &[0.01, 0.1],
        settings(4).observed(&mut |progress| seen.push(progress)),
    )
    .unwrap();
    assert!(seen.windows(2).all(|pair| pair[0].done <= pair[1].done));
    assert_eq!(seen.last().map(|progress| (progress.done, progress.total)), Some((18, 18)));
}
