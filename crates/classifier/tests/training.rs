//! Trainings seen from outside: they learn, follow a target, resume after an interruption, and
//! report errors.

use brainprior_classifier::{
    Error, Mixture, PairSource, Precision, ResNet, RobustTraining, RunningStatistics, SampledPairs,
    Target, TrainConfig, TrainEvent, TrainOptions, Trained, train,
};
use brainprior_images::{LabeledImages, StimulusSet};
use brainprior_similarity::vectors;
use ndarray::Array2;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

const SIDE: usize = 16;

/// Noisy gratings of random phase; the class is the orientation.
fn gratings(count: usize) -> LabeledImages {
    let mut generator = ChaCha8Rng::seed_from_u64(9);
    let labels: Vec<u8> = (0..count).map(|image| (image % 3) as u8).collect();
    let mut pixels = Vec::with_capacity(count * SIDE * SIDE);
    for label in &labels {
        let phase: f32 = generator.random_range(0.0..std::f32::consts::TAU);
        let (fx, fy) = [(1.0, 0.0), (0.0, 1.0), (0.7, 0.7)][usize::from(*label)];
        for y in 0..SIDE {
            for x in 0..SIDE {
                let wave = ((fx * x as f32 + fy * y as f32) * 1.2 + phase).sin();
                pixels.push((127.0 + 60.0 * wave + generator.random_range(-40.0..40.0)) as u8);
            }
        }
    }
    LabeledImages::new(
        1,
        SIDE,
        SIDE,
        pixels,
        labels,
        ["across", "along", "oblique"].map(String::from).to_vec(),
    )
    .unwrap()
}

/// Stimuli that are brighter on the left or right by some amount, and the similarity of those
/// amounts: the centered brightness of four quadrants.
fn target() -> Target {
    let mut generator = ChaCha8Rng::seed_from_u64(2);
    let (count, height, width) = (40, 8, 12);
    let amounts = Array2::from_shape_fn((count, 4), |_| generator.random_range(0.2f32..0.8));
    let mut pixels = Vec::with_capacity(count * height * width);
    for image in 0..count {
        for y in 0..height {
            for x in 0..width {
                let quadrant = 2 * (2 * y / height) + 2 * x / width;
                pixels.push(amounts[[image, quadrant]] + generator.random_range(-0.1..0.1));
            }
        }
    }
    let stimuli = StimulusSet::new(height, width, pixels).unwrap();
    let matrix =
        vectors(stimuli.ids(), amounts.view(), &[1.0; 4], "brightness of quadrants").unwrap();
    Target::Similarity { stimuli, matrix }
}

fn config() -> TrainConfig {
    TrainConfig {
        blocks: vec![1, 1],
        base_channels: 4,
        epochs: 4,
        batch: 32,
        pairs: 8,
        validation_fraction: 0.1,
        ..TrainConfig::default()
    }
}

fn seeded(seed: u64) -> TrainOptions<'static> {
    TrainOptions { seed, ..TrainOptions::default() }
}

fn observed(observer: &mut dyn FnMut(TrainEvent)) -> TrainOptions<'_> {
    TrainOptions { seed: 7, observer: Some(observer), ..TrainOptions::default() }
}

fn run(target: &Target, config: &TrainConfig, folder: &Path) -> Trained {
    train(&gratings(300), target, config, folder, seeded(7)).unwrap()
}

/// The bytes of the best and the last network.
fn bytes(trained: &Trained) -> [Vec<u8>; 2] {
    let folder = tempfile::tempdir().unwrap();
    [&trained.network, &trained.last].map(|network| {
        let path = folder.path().join("network.safetensors");
        network.save(&path).unwrap();
        std::fs::read(path).unwrap()
    })
}

#[test]
fn a_separable_set_is_learned_and_the_best_epoch_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let trained = run(&Target::None, &config(), folder.path());
    let evaluation = trained.network.evaluate(&gratings(600)).unwrap();
    assert!(evaluation.accuracy > 0.9, "{evaluation:?}, chance is 0.33: {:?}", trained.epochs);
    let losses: Vec<f64> = trained.epochs.iter().map(|epoch| epoch.validation_loss).collect();
    assert_eq!(losses.len(), 4);
    assert!(losses.iter().all(|loss| losses[trained.best_epoch] <= *loss), "{losses:?}");
    assert!(
        trained
            .epochs
            .iter()
            .all(|epoch| epoch.similarity_loss.is_none() && epoch.pair_correlation.is_none())
    );
    assert_eq!(trained.epochs[3].gamma, [1.0 / 3.0; 3], "nothing moves gamma without a target");
}

#[test]
fn similarities_move_to_the_target_and_gamma_moves() {
    let folder = tempfile::tempdir().unwrap();
    let config = TrainConfig { epochs: 6, ..config() };
    let trained = run(&target(), &config, folder.path());
    let (first, last) = (&trained.epochs[0], &trained.epochs[5]);
    assert!(
        last.similarity_loss.unwrap() < 0.5 * first.similarity_loss.unwrap(),
        "{:?}",
        trained.epochs
    );
    assert!(last.pair_correlation.unwrap() > 0.6, "{:?}", trained.epochs);
    assert!(last.gamma.iter().any(|gamma| (gamma - 1.0 / 3.0).abs() > 0.05), "{:?}", last.gamma);
    assert!((last.gamma.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    assert!(
        trained.network.provenance()[0].contains("quadrants"),
        "{:?}",
        trained.network.provenance()
    );
}

#[test]
fn an_interrupted_training_ends_with_the_same_bytes() {
    for precision in [Precision::F32, Precision::Mixed] {
        ends_with_the_same_bytes(&TrainConfig { precision, ..config() });
    }
}

fn ends_with_the_same_bytes(config: &TrainConfig) {
    let whole = tempfile::tempdir().unwrap();
    let target = target();
    let expected = run(&target, config, whole.path());

    let folder = tempfile::tempdir().unwrap();
    let mut events = 0;
    // Stops at the first step, in the middle of an epoch, right after an epoch, and in the last
    // epoch.
    for limit in [1, 14, 11, 8] {
        let interrupted = catch_unwind(AssertUnwindSafe(|| {
            let mut left = limit;
            let mut observer = |_| {
                events += 1;
                left -= 1;
                if left == 0 {
                    panic!("interrupted on purpose");
                }
            };
            train(&gratings(300), &target, config, folder.path(), observed(&mut observer)).unwrap();
        }));
        assert!(interrupted.is_err());
    }
    let found = run(&target, config, folder.path());
    assert_eq!(found.epochs, expected.epochs);
    assert!(bytes(&found) == bytes(&expected), "weights differ after a resume");
    assert_eq!(events, 34);

    let mut observer = |_| panic!("all epochs are done");
    let again =
        train(&gratings(300), &target, config, folder.path(), observed(&mut observer)).unwrap();
    assert!(bytes(&again) == bytes(&expected));
}

#[test]
fn threads_change_nothing() {
    let target = target();
    let with = |threads: usize, precision| {
        let folder = tempfile::tempdir().unwrap();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let config = TrainConfig { epochs: 2, precision, ..config() };
        let trained = pool.install(|| run(&target, &config, folder.path()));
        (bytes(&trained), trained.epochs)
    };
    let [plain, mixed] = [Precision::F32, Precision::Mixed].map(|precision| {
        let (one, two) = (with(1, precision), with(2, precision));
        assert!(one == two, "{precision:?}: {:?} and {:?}", one.1, two.1);
        one
    });
    assert!(plain.0 != mixed.0, "mixed precision has changed nothing");
}

#[test]
fn running_statistics_are_of_labeled_images_unless_shared() {
    let target = target();
    let trained = |running_statistics, target: &Target| {
        let folder = tempfile::tempdir().unwrap();
        // With alpha 0, pairs pass through the network without changing its weights.
        let config = TrainConfig { epochs: 1, alpha: 0.0, running_statistics, ..config() };
        run(target, &config, folder.path()).epochs[0].validation_loss
    };
    let none = trained(RunningStatistics::Separate, &Target::None);
    assert_eq!(trained(RunningStatistics::Separate, &target), none);
    assert_ne!(trained(RunningStatistics::Shared, &target), none);
}

#[test]
fn color_networks_see_grayscale_stimuli() {
    let gray = gratings(60);
    let pixels = (0..60).flat_map(|image| gray.image(image).repeat(3)).collect();
    let color = LabeledImages::new(
        3,
        SIDE,
        SIDE,
        pixels,
        gray.labels().to_vec(),
        gray.class_names().to_vec(),
    )
    .unwrap();
    let config = TrainConfig { epochs: 1, ..config() };
    let folder = tempfile::tempdir().unwrap();
    let trained = train(&color, &target(), &config, folder.path(), seeded(1)).unwrap();
    let error = trained.network.evaluate(&gray).unwrap_err().to_string();
    assert!(error.contains("channels") && error.contains("expected 3, found 1"), "{error}");
}

#[test]
fn what_is_wrong_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let data = gratings(60);
    let attempt = |target: &Target, config: &TrainConfig, seed: u64| {
        train(&data, target, config, folder.path(), seeded(seed)).unwrap_err()
    };
    let Target::Similarity { stimuli, matrix } = target() else { unreachable!("made above") };
    let missing = Target::Similarity {
        stimuli: stimuli.subset(&(0..30).collect::<Vec<_>>()),
        matrix: matrix.clone(),
    };
    let error = attempt(&missing, &config(), 7);
    assert!(matches!(error, Error::MissingStimulus { index: 30, stimuli: 30, .. }), "{error}");

    let held_back = TrainConfig { validation_fraction: 0.999, ..config() };
    assert!(attempt(&Target::None, &held_back, 7).to_string().contains("held out"));

    let one_class =
        LabeledImages::new(1, SIDE, SIDE, data.pixels().to_vec(), vec![0; 60], vec!["only".into()])
            .unwrap();
    let error = train(&one_class, &Target::None, &config(), folder.path(), seeded(7))
        .unwrap_err()
        .to_string();
    assert!(error.contains("classes") && error.contains("expected 2 to 256, found 1"), "{error}");
    let network = ResNet::new(&config().net(1, 4), 7).unwrap();
    let error = network.evaluate(&data).unwrap_err().to_string();
    assert!(error.contains("classes") && error.contains("expected 4, found 3"), "{error}");

    // The state of another training in the same folder is not resumed.
    let short = TrainConfig { epochs: 1, ..config() };
    train(&data, &Target::None, &short, folder.path(), seeded(7)).unwrap();
    for error in [
        attempt(&Target::None, &short, 8),
        attempt(&Target::None, &TrainConfig { alpha: 1.0, ..short.clone() }, 7),
        attempt(&Target::Similarity { stimuli, matrix }, &short, 7),
    ] {
        assert!(matches!(error, Error::OtherTraining { .. }), "{error}");
        assert!(error.to_string().contains("training-state.safetensors"), "{error}");
    }
    let error = attempt(&Target::None, &TrainConfig { alpha: 1.0, ..short.clone() }, 7).to_string();
    assert!(error.contains("alpha: expected 1.0, found 20.0"), "{error}");
    let error =
        attempt(&Target::None, &TrainConfig { base_channels: 8, ..short.clone() }, 7).to_string();
    assert!(error.contains("base_channels: expected 8, found 4"), "{error}");
    let state = folder.path().join("training-state.safetensors");
    let bytes = std::fs::read(&state).unwrap();
    std::fs::write(&state, &bytes[..bytes.len() / 2]).unwrap();
    assert!(matches!(attempt(&Target::None, &short, 7), Error::File(_)));
}

#[test]
fn events_tell_the_course_of_a_training() {
    let folder = tempfile::tempdir().unwrap();
    let mut events = Vec::new();
    let config = TrainConfig { epochs: 2, ..config() };
    train(
        &gratings(100),
        &target(),
        &config,
        folder.path(),
        observed(&mut |event| events.push(event)),
    )
    .unwrap();
    // 90 images in batches of 32.
    assert_eq!(events.len(), 2 * (3 + 1));
    let done: Vec<usize> = events
        .iter()
        .filter_map(|event| match event {
            TrainEvent::Step {
                done,
                total: 6,
                loss,
                similarity_loss: Some(similarity),
                images_per_second,
                waited,
            } => {
                assert!((0.0..=1.0).contains(waited));
                assert!(loss.is_finite() && *similarity > 0.0 && *images_per_second > 0.0);
                Some(*done)
            }
            _ => None,
        })
        .collect();
    assert_eq!(done, [1, 2, 3, 4, 5, 6]);
    assert!(matches!(&events[7], TrainEvent::Epoch(report) if report.epoch == 1));
}

#[test]
fn similarities_of_a_matrix_are_found_by_identity() {
    // Only the order of the matrix matters, along which pairs are numbered, not that of the
    // stimuli.
    let Target::Similarity { stimuli, matrix } = target() else { unreachable!("made above") };
    let reversed: Vec<usize> = (0..stimuli.len()).rev().collect();
    let shuffled =
        Target::Similarity { stimuli: stimuli.subset(&reversed), matrix: matrix.clone() };
    let straight = Target::Similarity { stimuli, matrix };
    let config = TrainConfig { epochs: 1, ..config() };
    let [first, second] = [&straight, &shuffled]
        .map(|target| run(target, &config, tempfile::tempdir().unwrap().path()));
    assert_eq!(first.epochs, second.epochs);
}

#[test]
fn a_loss_that_is_no_number_stops_the_training_and_keeps_what_was_good() {
    let folder = tempfile::tempdir().unwrap();
    let data = gratings(60);
    let attempt = |config: &TrainConfig, folder: &Path| match train(
        &data,
        &target(),
        config,
        folder,
        seeded(7),
    ) {
        Ok(_) => panic!("it went on"),
        Err(error) => error,
    };
    let diverging = TrainConfig { epochs: 40, learning_rate: 1e30, ..config() };
    let error = attempt(&diverging, folder.path());
    let Error::Diverged(found) = &error else { panic!("{error}") };
    assert_eq!(
        (found.epoch, found.step, found.learning_rate, &found.kept),
        (0, 1, 1e30, &None),
        "{error}"
    );
    assert_eq!((found.images.len(), found.first_pair), (22, Some(8)), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("epoch 0, step 1, learning rate 1")
            && text.contains("batch of 22 labeled images ("),
        "{text}"
    );
    assert!(
        text.contains("pairs from number 8 on") && text.contains("lower learning_rate or alpha"),
        "{text}"
    );

    // One good epoch, then a momentum that no step survives.
    let folder = tempfile::tempdir().unwrap();
    let config = TrainConfig { epochs: 2, ..config() };
    let stopped = catch_unwind(AssertUnwindSafe(|| {
        let mut stop =
            |event| assert!(!matches!(event, TrainEvent::Epoch(_)), "interrupted on purpose");
        train(&data, &target(), &config, folder.path(), observed(&mut stop)).is_ok()
    }));
    assert!(stopped.is_err());
    let (state, last) =
        (folder.path().join("training-state.safetensors"), folder.path().join("last.safetensors"));
    let mut bytes = std::fs::read(&state).unwrap();
    let place = {
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let velocities =
            file.tensor("velocities.head.weight.momentum").unwrap().data().as_ptr_range();
        let begin = bytes.as_ptr() as usize;
        velocities.start as usize - begin..velocities.end as usize - begin
    };
    bytes[place]
        .chunks_exact_mut(4)
        .for_each(|value| value.copy_from_slice(&1e30f32.to_le_bytes()));
    std::fs::write(&state, &bytes).unwrap();
    let good = std::fs::read(&last).unwrap();
    let error = attempt(&config, folder.path());
    assert!(
        matches!(&error, Error::Diverged(found) if found.epoch == 1 && found.kept.as_ref() == Some(&last)),
        "{error}"
    );
    assert!(error.to_string().contains("the network of the last good epoch is"), "{error}");
    assert!(
        std::fs::read(&last).unwrap() == good && std::fs::read(&state).unwrap() == bytes,
        "nothing was written"
    );
}

#[test]
fn noisy_copies_and_attacks_are_trained_on() {
    let accuracy = |robust_training: RobustTraining| {
        let folder = tempfile::tempdir().unwrap();
        let config = TrainConfig { robust_training, epochs: 6, ..config() };
        let trained = run(&Target::None, &config, folder.path());
        assert!(
            trained.last.evaluate(&gratings(300)).unwrap().accuracy > 0.8,
            "{robust_training:?}: {:?}",
            trained.epochs
        );
        trained.epochs[0].cross_entropy
    };
    let plain = accuracy(RobustTraining::None);
    assert_ne!(accuracy(RobustTraining::Noise { std: 0.2 }), plain);
    assert!(
        accuracy(RobustTraining::Adversarial { epsilon: 0.03, steps: 2 }) > plain,
        "attacked images are harder"
    );
}

#[test]
fn a_fixed_mixture_stays_and_a_subset_of_layers_is_kept_to() {
    let folder = tempfile::tempdir().unwrap();
    let config = TrainConfig {
        epochs: 2,
        layers: Some(vec![0, 2]),
        mixture: Mixture::Fixed(vec![1.0, 3.0]),
        ..config()
    };
    let trained = run(&target(), &config, folder.path());
    for (found, expected) in trained.epochs[1].gamma.iter().zip([0.25, 0.0, 0.75]) {
        assert!((found - expected).abs() < 1e-6, "{:?}", trained.epochs[1].gamma);
    }
    let folder = tempfile::tempdir().unwrap();
    let learned = run(
        &target(),
        &TrainConfig { epochs: 4, mixture: Mixture::Learned, ..config },
        folder.path(),
    );
    let gamma = &learned.epochs[3].gamma;
    assert!(
        gamma[1] == 0.0
            && (gamma[0] - 0.5).abs() > 0.01
            && (gamma[0] + gamma[2] - 1.0).abs() < 1e-9,
        "{gamma:?}"
    );
}

#[test]
fn the_best_the_last_and_every_epoch_are_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let config = TrainConfig { epochs: 3, snapshots: true, ..config() };
    let trained = run(&target(), &config, folder.path());
    assert_eq!(trained.epochs.len(), 3);
    let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    let [best, last] = bytes(&trained);
    assert!(
        read("best.safetensors") == best
            && read("last.safetensors") == last
            && read("epoch-003.safetensors") == last
    );
    assert!(read(&format!("epoch-{:03}.safetensors", trained.best_epoch + 1)) == best);
}

#[test]
fn two_trainings_do_not_share_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let mut tried = false;
    let data = gratings(100);
    let mut observer = |_| {
        if !std::mem::replace(&mut tried, true) {
            let error =
                train(&data, &Target::None, &config(), folder.path(), seeded(7)).unwrap_err();
            assert!(
                matches!(error, Error::Busy { .. })
                    && error.to_string().contains("another process"),
                "{error}"
            );
        }
    };
    train(&data, &Target::None, &config(), folder.path(), observed(&mut observer)).unwrap();
    assert!(tried);
}

/// The pairs of a matrix through another source.
#[derive(Debug)]
struct Streamed(brainprior_similarity::SimilarityMatrix);

impl PairSource for Streamed {
    fn ids(&self) -> &[brainprior_images::ImageId] {
        self.0.ids()
    }

    fn count(&self) -> u64 {
        self.0.pairs() as u64
    }

    fn pair(&self, number: u64) -> (usize, usize, f32) {
        self.0.pair(number)
    }

    fn provenance(&self) -> Vec<String> {
        vec!["a stream".into()]
    }

    fn fingerprint(&self) -> Vec<u8> {
        vec![1]
    }
}

#[test]
fn samples_and_streams_train_as_their_matrix_does() {
    let Target::Similarity { stimuli, matrix } = target() else { unreachable!("made above") };
    let config = TrainConfig { epochs: 1, ..config() };
    let epochs = |target: &Target| run(target, &config, tempfile::tempdir().unwrap().path()).epochs;
    let whole = epochs(&target());
    let sample = SampledPairs::in_range(&matrix, -1.0..=1.0).unwrap();
    assert_eq!(
        epochs(&Target::Pairs { stimuli: stimuli.clone(), source: Arc::new(sample) }),
        whole
    );
    assert_eq!(
        epochs(&Target::Pairs {
            stimuli: stimuli.clone(),
            source: Arc::new(Streamed(matrix.clone()))
        }),
        whole
    );
    let alike = SampledPairs::in_range(&matrix, 0.2..=1.0).unwrap();
    assert_ne!(epochs(&Target::Pairs { stimuli, source: Arc::new(alike) }), whole);
}
