//! Reductions over all pairs against the matrix; stopped, killed and resumed.

use brainprior_images::ImageId;
use brainprior_similarity::{
    Checkpoint, Computed, Error, Images, NearestImages, PairsAbove, Population, Progress,
    Reduction, Rows, ScanVectors, SimilarityHistogram, SimilarityMatrix, StratifiedPairs, Sweep,
    UniformPairs,
};
use ndarray::Array2;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const IMAGES: usize = 1500;
const NEURONS: usize = 40;

fn ids(count: usize) -> Vec<ImageId> {
    (0..count as u64).map(ImageId::from_u64).collect()
}

fn values(seed: u64) -> Array2<f32> {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    Array2::from_shape_fn((IMAGES, NEURONS), |_| generator.random_range(-0.5f32..1.0))
}

fn with<T>(values: &Array2<f32>, of: impl FnOnce(&Population<'_>) -> T) -> T {
    let (ids, view) = (ids(IMAGES), values.view());
    let source = ScanVectors { name: "made", ids: &ids, rows: &view, weights: &[1.0; NEURONS] };
    of(&Population::new(&[source], Images::Identical).unwrap())
}

fn matrix(values: &Array2<f32>) -> SimilarityMatrix {
    with(values, |population| population.matrix(&Sweep::default()).unwrap())
}

/// All vectors in memory, and only some bands at a time.
fn sweeps() -> [Sweep<'static>; 2] {
    [Sweep::default(), Sweep { memory: 100_000, ..Sweep::default() }]
}

#[test]
fn the_matrix_is_the_same_with_little_memory() {
    let values = values(1);
    let [whole, bands] = sweeps();
    let (whole, bands) = with(&values, |p| (p.matrix(&whole).unwrap(), p.matrix(&bands).unwrap()));
    assert!(whole.packed().iter().zip(bands.packed()).all(|(a, b)| a.to_bits() == b.to_bits()));
}

#[test]
fn neighbors_are_the_largest_of_each_row() {
    let mut values = values(2);
    // Images that equal others, so that there are ties.
    for copy in 0..60 {
        let row = values.row(copy / 2).to_owned();
        values.row_mut(IMAGES - 1 - copy).assign(&row);
    }
    let matrix = matrix(&values);
    for sweep in sweeps() {
        let nearest = NearestImages::new(IMAGES, 7);
        let found = with(&values, |population| population.reduce(&nearest, &sweep).unwrap());
        for image in 0..IMAGES {
            let mut expected: Vec<(u32, f32)> = (0..IMAGES)
                .filter(|other| *other != image)
                .map(|other| (other as u32, matrix.get(image, other)))
                .collect();
            expected.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            assert_eq!(found.of(image), &expected[..7], "image {image}");
        }
    }
}

#[test]
fn histogram_counts_every_pair() {
    let values = values(3);
    let matrix = matrix(&values);
    for sweep in sweeps() {
        let found = with(&values, |population| {
            population.reduce(&SimilarityHistogram::new(64), &sweep).unwrap()
        });
        let mut expected = vec![0u64; 64];
        for value in matrix.packed() {
            expected[(((value + 1.0) * 0.5 * 64.0) as usize).min(63)] += 1;
        }
        assert_eq!(found.counts, expected);
        assert_eq!(found.edges(0), (-1.0, -0.96875));
        let (mean, deviation) = found.moments();
        let spread = brainprior_similarity::spread(&matrix);
        assert!(
            (mean - spread.mean).abs() < 0.01
                && (deviation - spread.standard_deviation).abs() < 0.01
        );
    }
}

#[test]
fn a_uniform_sample_is_distinct_reproducible_and_even() {
    let values = values(4);
    let matrix = matrix(&values);
    let drawn = UniformPairs::new(IMAGES, 20_000, 11).unwrap();
    for sweep in sweeps() {
        let sample =
            drawn.sample(with(&values, |population| population.reduce(&drawn, &sweep).unwrap()));
        assert_eq!(sample.len(), 20_000);
        assert!(
            sample.is_sorted_by(|a, b| (a.first, a.second) < (b.first, b.second)),
            "distinct and in order"
        );
        for pair in &sample {
            assert_eq!(pair.similarity, matrix.get(pair.first as usize, pair.second as usize));
        }
        // Pairs of the first half of the images are a quarter of all: 5,000 +- 61 (one standard
        // deviation).
        let half = sample.iter().filter(|pair| (pair.second as usize) < IMAGES / 2).count();
        assert!(half.abs_diff(5_000) < 300, "{half}");
    }
    assert!(UniformPairs::new(IMAGES, 20_000, 11).unwrap().pairs().eq(drawn.pairs()));
    assert!(!UniformPairs::new(IMAGES, 20_000, 12).unwrap().pairs().eq(drawn.pairs()));
    assert_eq!(UniformPairs::new(5, 10, 1).unwrap().pairs().count(), 10);
    assert!(matches!(UniformPairs::new(5, 11, 1), Err(Error::Size { .. })));
}

#[test]
fn a_stratified_sample_has_rare_similarities_as_often_as_common_ones() {
    let values = values(5);
    let matrix = matrix(&values);
    let mut before = None;
    for sweep in sweeps() {
        let found = with(&values, |population| {
            population.reduce(&StratifiedPairs::new(20, 50, 3), &sweep).unwrap()
        });
        let mut expected = [0u64; 20];
        for value in matrix.packed() {
            expected[(((value + 1.0) * 10.0) as usize).min(19)] += 1;
        }
        assert_eq!(found.population, expected);
        for (bin, pairs) in found.bins.iter().enumerate() {
            assert_eq!(pairs.len() as u64, expected[bin].min(50), "bin {bin}");
            for pair in pairs {
                assert_eq!(pair.similarity, matrix.get(pair.first as usize, pair.second as usize));
                assert_eq!((((pair.similarity + 1.0) * 10.0) as usize).min(19), bin);
            }
        }
        // The same pairs for any order of blocks.
        assert_eq!(before.get_or_insert(found.clone()), &found);
    }
}

#[test]
fn pairs_above_a_threshold_and_never_too_many() {
    let values = values(6);
    let matrix = matrix(&values);
    let expected = matrix.packed().iter().filter(|value| **value >= 0.4).count();
    assert!(expected > 100, "{expected}");
    for sweep in sweeps() {
        let found = with(&values, |population| {
            population.reduce(&PairsAbove::new(0.4, expected), &sweep).unwrap()
        });
        assert_eq!(found.len(), expected);
        assert!(found.iter().all(|p| p.similarity >= 0.4
            && p.similarity == matrix.get(p.first as usize, p.second as usize)));
        let error = with(&values, |population| {
            population.reduce(&PairsAbove::new(0.4, expected - 1), &sweep).unwrap_err()
        });
        assert!(matches!(error, Error::TooManyPairs { limit, .. } if limit == expected - 1));
    }
}

/// Counts the blocks.
struct Counted<R>(R, AtomicUsize);

impl<R: Reduction> Reduction for Counted<R> {
    type Part = R::Part;
    type State = R::State;

    fn start(&self) -> R::State {
        self.0.start()
    }

    fn block(&self, block: &brainprior_similarity::Block<'_>) -> R::Part {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.block(block)
    }

    fn merge(
        &self,
        state: &mut R::State,
        part: R::Part,
        pairs: usize,
    ) -> brainprior_similarity::Result<()> {
        self.0.merge(state, part, pairs)
    }
}

impl<R: brainprior_similarity::Resumable> brainprior_similarity::Resumable for Counted<R> {
    fn settings(&self) -> u64 {
        self.0.settings()
    }

    fn save(&self, state: &R::State, to: &mut brainprior_similarity::StateWriter) {
        self.0.save(state, to);
    }

    fn load(&self, from: &mut brainprior_similarity::StateReader<'_>) -> Option<R::State> {
        self.0.load(from)
    }
}

#[test]
fn a_stopped_sweep_goes_on_without_doing_anything_twice() {
    let values = values(7);
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = Checkpoint::at(&folder.path().join("state"));
    let reductions = || {
        let samples = (UniformPairs::new(IMAGES, 500, 1).unwrap(), StratifiedPairs::new(10, 20, 1));
        Counted(
            (NearestImages::new(IMAGES, 5), (SimilarityHistogram::new(16), samples)),
            AtomicUsize::new(0),
        )
    };
    for memory in [Sweep::MEMORY, 100_000] {
        let quiet = Sweep { memory, ..Sweep::default() };
        let whole = reductions();
        let expected = with(&values, |population| population.reduce(&whole, &quiet).unwrap());
        let (mut blocks, mut runs) = (0, 0);
        let found = loop {
            let told = AtomicUsize::new(0);
            // Each run is stopped after three more tasks.
            let observer = |progress: Progress| {
                assert_eq!(progress.total, (IMAGES * (IMAGES - 1) / 2) as u64);
                assert!(progress.resumed < progress.pairs);
                told.fetch_add(1, Ordering::Relaxed) < 2
            };
            let counted = reductions();
            let sweep = Sweep { memory, observer: &observer };
            let result = with(&values, |population| {
                population.reduce_resumably(&counted, &sweep, &checkpoint, Duration::from_secs(600))
            });
            blocks += counted.1.load(Ordering::Relaxed);
            runs += 1;
            match result {
                Ok(found) => break found,
                Err(Error::Stopped { pairs, total }) => assert!(pairs < total),
                Err(error) => panic!("{error}"),
            }
        };
        assert!(runs > 2, "{runs}");
        assert_eq!(found, expected);
        // A thread may have been working on a block when the sweep was stopped.
        let once = whole.1.load(Ordering::Relaxed);
        assert!(
            blocks >= once && blocks <= once + runs * 4 * rayon::current_num_threads(),
            "{blocks} blocks in {runs} runs, {once} in one"
        );
        checkpoint.remove().unwrap();
    }
}

/// Where a sweep panics.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Planted {
    Block,
    Merge,
    Observer,
}

impl Reduction for Planted {
    type Part = bool;
    type State = ();

    fn start(&self) {}

    fn block(&self, block: &brainprior_similarity::Block<'_>) -> bool {
        // An early block, so that all other threads have to wait for it.
        let early = block.rows().start == 0 && block.columns().contains(&300);
        assert!(!(early && *self == Self::Block), "planted");
        early
    }

    fn merge(&self, (): &mut (), early: bool, _pairs: usize) -> brainprior_similarity::Result<()> {
        assert!(!(early && *self == Self::Merge), "planted");
        Ok(())
    }
}

#[test]
fn a_panic_in_one_thread_ends_the_sweep_instead_of_leaving_the_others_waiting() {
    for planted in [Planted::Block, Planted::Merge, Planted::Observer] {
        for memory in [Sweep::MEMORY, 100_000] {
            let (tell, told) = std::sync::mpsc::channel();
            std::thread::spawn(move || {
                let values = values(12);
                let observer = |progress: Progress| {
                    assert!(!(planted == Planted::Observer && progress.pairs > 100_000), "planted");
                    true
                };
                let sweep = Sweep { memory, observer: &observer };
                let pool = rayon::ThreadPoolBuilder::new().num_threads(4).build().unwrap();
                let swept = || {
                    pool.install(|| {
                        with(&values, |population| population.reduce(&planted, &sweep).is_ok())
                    })
                };
                let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(swept));
                tell.send(
                    outcome.map_err(|panic| {
                        panic.downcast_ref::<&str>().map(|text| (*text).to_owned())
                    }),
                )
                .unwrap();
            });
            let outcome = told
                .recv_timeout(Duration::from_secs(60))
                .expect("no thread waits for the one that panicked");
            assert_eq!(outcome, Err(Some("planted".to_owned())), "{planted:?}");
        }
    }
}

#[test]
fn a_checkpoint_of_something_else_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let checkpoint = Checkpoint::at(&path);
    let run = |values: &Array2<f32>, bins: usize, stop: bool| {
        let observer = |_: Progress| !stop;
        let sweep = Sweep { observer: &observer, ..Sweep::default() };
        let histogram = SimilarityHistogram::new(bins);
        with(values, |population| {
            population.reduce_resumably(&histogram, &sweep, &checkpoint, Duration::ZERO)
        })
    };
    let (first, second) = (values(8), values(9));
    assert!(matches!(run(&first, 8, true), Err(Error::Stopped { .. })));
    let error = run(&second, 8, false).unwrap_err().to_string();
    assert!(
        error.contains("other images, responses, weights") && error.contains("state"),
        "{error}"
    );
    let error = run(&first, 9, false).unwrap_err().to_string();
    assert!(error.contains("another reduction"), "{error}");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.truncate(bytes.len() - 3);
    std::fs::write(&path, &bytes).unwrap();
    assert!(matches!(run(&first, 8, false), Err(Error::Checkpoint { .. })));
    checkpoint.remove().unwrap();
    assert!(run(&first, 8, false).is_ok());
}

#[test]
fn one_and_two_threads_make_the_same_of_it() {
    let values = values(10);
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let reduction = (NearestImages::new(IMAGES, 5), StratifiedPairs::new(10, 20, 1));
        pool.install(|| {
            with(&values, |population| population.reduce(&reduction, &Sweep::default()).unwrap())
        })
    };
    assert_eq!(on(1), on(2));
    assert_eq!(on(1), on(5));
}

#[test]
#[cfg(feature = "hdf5")]
fn a_file_written_in_bands_is_the_file_of_the_matrix() {
    use brainprior_similarity::Precision;
    let values = values(11);
    let matrix = matrix(&values);
    let folder = tempfile::tempdir().unwrap();
    for precision in [Precision::F32, Precision::F16] {
        let expected = folder.path().join("expected.h5");
        matrix.write_as(&expected, precision).unwrap();
        for memory in [Sweep::MEMORY, 400_000] {
            let path = folder.path().join("bands.h5");
            // Stopped at every second task, both within and between bands.
            let mut stops = 0;
            loop {
                let told = AtomicUsize::new(0);
                let observer = |_: Progress| told.fetch_add(1, Ordering::Relaxed) < 1;
                let sweep = Sweep { memory, observer: &observer };
                match with(&values, |population| {
                    population.write(&path, precision, &sweep, Duration::from_secs(600))
                }) {
                    Ok(()) => break,
                    Err(Error::Stopped { .. }) => stops += 1,
                    Err(error) => panic!("{error}"),
                }
                assert!(!path.exists() && folder.path().join("bands.h5.partial").exists());
            }
            assert!(stops > 2, "{stops}");
            assert!(
                std::fs::read(&path).unwrap() == std::fs::read(&expected).unwrap(),
                "{precision:?}, {memory} bytes"
            );
            std::fs::remove_file(&path).unwrap();
        }
        let read = SimilarityMatrix::read(&expected).unwrap();
        let bound = if precision == Precision::F16 { 1.0 / 4096.0 } else { 0.0 };
        assert!(read.packed().iter().zip(matrix.packed()).all(|(a, b)| (a - b).abs() <= bound));
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing temporary is left");
}

/// `rows` give the matrix of `values`, whatever the source.
fn check_rows(rows: &dyn Rows, values: &Array2<f32>) {
    let (expected, ids) = (matrix(values), ids(IMAGES));
    for sweep in sweeps() {
        let source = ScanVectors { name: "made", ids: &ids, rows, weights: &[1.0; NEURONS] };
        let found = Population::new(&[source], Images::Identical).unwrap().matrix(&sweep).unwrap();
        assert_eq!(found.packed(), expected.packed());
    }
}

#[test]
fn rows_may_be_computed() {
    let values = values(12);
    let computed = Computed::new(IMAGES, NEURONS, |first, rows: &mut [f32]| {
        for (row, to) in rows.chunks_exact_mut(NEURONS).enumerate() {
            to.copy_from_slice(values.row(first + row).as_slice().unwrap());
        }
    });
    check_rows(&computed, &values);
}

#[test]
#[cfg(feature = "hdf5")]
fn rows_may_lie_in_a_file() {
    let values = values(12);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("responses.h5");
    let file = hdf5::File::create(&path).unwrap();
    file.new_dataset_builder().with_data(&values).create("responses").unwrap();
    file.close().unwrap();
    let stored = brainprior_similarity::FileRows::open(&path, "responses").unwrap();
    check_rows(&stored, &values);
    let error = brainprior_similarity::FileRows::open(&path, "other").err().unwrap().to_string();
    assert!(error.contains("responses.h5") && error.contains("other"), "{error}");
}

#[test]
fn a_matrix_that_memory_cannot_hold_is_refused_with_its_size() {
    let images = 2_000_000;
    let ids = ids(images);
    let rows = Computed::new(images, 1, |first, rows: &mut [f32]| {
        rows.iter_mut().enumerate().for_each(|(row, value)| *value = ((first + row) % 7) as f32);
    });
    let source = ScanVectors { name: "made", ids: &ids, rows: &rows, weights: &[1.0] };
    let population = Population::new(&[source], Images::Identical).unwrap();
    if std::path::Path::new("/proc/meminfo").exists() {
        let error = population.matrix(&Sweep::default()).unwrap_err();
        assert!(matches!(error, Error::TooLarge { images: 2_000_000, .. }), "{error}");
        assert!(error.to_string().contains("8000.0 GB"), "{error}");
    }
}
