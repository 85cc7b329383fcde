//! Similarities of all pairs: in memory, into a file, for growing numbers of images, and streamed
//! if neither memory nor disk can hold them. Rates count `n (n + 1) m` operations for n images and
//! m neurons, like the symmetric products of other libraries.

use super::{Bencher, Case, forget_peak_memory};
use crate::synthetic;
use anyhow::{Context as _, Result};
use brainprior_images::ImageId;
use brainprior_similarity::{
    DeviceOptions, Error, Images, NearestImages, Population, Precision, Progress, ScanVectors,
    Sweep, UniformPairs,
};
use ndarray::Array2;
use serde_json::json;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Sizes timed with other libraries.
const SIZES: [(usize, usize); 2] = [(5000, 8000), (5000, 2000)];

/// Sizes timed on a GPU, including transfers.
const ON_GPU: [(usize, usize); 2] = [(5000, 8000), (32_000, 8000)];

/// Images of the growing matrices, with [`NEURONS`] neurons.
const GROWTH: [usize; 6] = [1000, 2000, 4000, 8000, 16_000, 32_000];
const NEURONS: usize = 2000;

/// Images of the streamed sweep, and what is kept of it.
const STREAMED: usize = 100_000;
const NEIGHBORS: usize = 10;
const SAMPLE: usize = 1_000_000;

/// Fraction of the streamed pairs that is computed; the remaining time is extrapolated, since all
/// pairs cost the same.
const SHARE: f64 = 0.06;

/// Runs all cases.
pub(super) fn run(bencher: &Bencher) -> Result<()> {
    if !bencher.device.is_cpu() {
        return ON_GPU
            .into_iter()
            .try_for_each(|(images, neurons)| matrix(bencher, "similarity", images, neurons));
    }
    for (images, neurons) in SIZES {
        matrix(bencher, "similarity", images, neurons)?;
        files(bencher, images, neurons)?;
    }
    for images in GROWTH {
        matrix(bencher, "similarity_growth", images, NEURONS)?;
    }
    streamed(bencher)
}

fn flops(images: usize, neurons: usize) -> f64 {
    images as f64 * (images as f64 + 1.0) * neurons as f64
}

fn pairs(images: usize) -> f64 {
    images as f64 * (images as f64 - 1.0) / 2.0
}

fn case(bench: &'static str, images: usize, neurons: usize) -> Case {
    Case {
        bench,
        shape: format!("{images}x{neurons}"),
        work: vec![("flops", flops(images, neurons)), ("pairs", pairs(images))],
        labels: vec![],
    }
}

/// Responses with mean 1, and weights.
fn responses(images: usize, neurons: usize) -> (Vec<ImageId>, Array2<f32>, Vec<f32>) {
    let ids = (0..images as u64).map(ImageId::from_u64).collect();
    (
        ids,
        Array2::from_shape_vec((images, neurons), synthetic::numbers(images * neurons))
            .expect("as many numbers")
            + 1.0,
        weights(neurons),
    )
}

fn weights(neurons: usize) -> Vec<f32> {
    (0..neurons).map(|neuron| 0.5 + (neuron % 7) as f32 / 4.0).collect()
}

fn matrix(bencher: &Bencher, bench: &'static str, images: usize, neurons: usize) -> Result<()> {
    let case = case(bench, images, neurons);
    if !bencher.wants(&case) {
        return Ok(());
    }
    let (ids, values, weights) = responses(images, neurons);
    let view = values.view();
    bencher.measure(case, || {
        let source = ScanVectors { name: "bench", ids: &ids, rows: &view, weights: &weights };
        let population = Population::new(&[source], Images::Identical)?;
        match bencher.device.is_cpu() {
            true => population.matrix(&Sweep { memory: usize::MAX, ..Sweep::default() })?,
            false => population.matrix_on(&bencher.device, DeviceOptions::default())?,
        };
        Ok(())
    })
}

/// Weights, centers, normalizes, multiplies, writes, syncs and renames.
fn files(bencher: &Bencher, images: usize, neurons: usize) -> Result<()> {
    for (bench, precision) in
        [("similarity_file_f32", Precision::F32), ("similarity_file_f16", Precision::F16)]
    {
        let case = case(bench, images, neurons);
        if !bencher.wants(&case) {
            continue;
        }
        let (ids, values, weights) = responses(images, neurons);
        let view = values.view();
        let folder = tempfile::tempdir_in(".")
            .context("could not create a folder for the timed file in the working directory")?;
        bencher.measure(case, || {
            let source = ScanVectors { name: "bench", ids: &ids, rows: &view, weights: &weights };
            let sweep = Sweep { memory: 4 << 30, ..Sweep::default() };
            Ok(Population::new(&[source], Images::Identical)?.write(
                &folder.path().join("similarity.h5"),
                precision,
                &sweep,
                Duration::from_secs(60),
            )?)
        })?;
    }
    Ok(())
}

/// The first pairs of a sweep that is too large for memory, with responses computed on reading.
fn streamed(bencher: &Bencher) -> Result<()> {
    let mut case = case("similarity_streamed", STREAMED, NEURONS);
    if !bencher.wants(&case) {
        return Ok(());
    }
    forget_peak_memory();
    let ids: Vec<ImageId> = (0..STREAMED as u64).map(ImageId::from_u64).collect();
    let rows = synthetic::responses(STREAMED, NEURONS);
    let weights = weights(NEURONS);
    let started = Instant::now();
    let source = ScanVectors { name: "bench", ids: &ids, rows: &rows, weights: &weights };
    let population = Population::new(&[source], Images::Identical)?;
    let prepared = started.elapsed().as_secs_f64();
    let reduction =
        (NearestImages::new(STREAMED, NEIGHBORS), UniformPairs::new(STREAMED, SAMPLE, 0)?);
    let first = AtomicU64::new(u64::MAX);
    let seen = AtomicU64::new(0);
    let observer = |progress: Progress| {
        // Packing happens once, before the first pair, and is measured separately.
        first.fetch_min(started.elapsed().as_nanos() as u64, Ordering::Relaxed);
        seen.store(progress.pairs, Ordering::Relaxed);
        (progress.pairs as f64) < SHARE * progress.total as f64
    };
    match population.reduce(&reduction, &Sweep { memory: Sweep::MEMORY, observer: &observer }) {
        Err(Error::Stopped { .. }) => {}
        other => drop(other?),
    }
    let packed = first.into_inner() as f64 / 1e9;
    let seen = seen.into_inner() as f64;
    let seconds = started.elapsed().as_secs_f64() - packed;
    let share = seen / pairs(STREAMED);
    case.work = vec![("flops", share * flops(STREAMED, NEURONS)), ("pairs", seen)];
    case.labels = vec![
        (
            "kept",
            json!(format!("{NEIGHBORS} neighbors of each image, {SAMPLE} pairs drawn uniformly")),
        ),
        ("share_of_pairs_computed", json!(share)),
        ("means_seconds", json!(prepared)),
        ("before_first_pair_seconds", json!(packed)),
        ("whole_seconds_extrapolated", json!(packed + seconds / share)),
    ];
    bencher.report(case, vec![seconds]);
    Ok(())
}
