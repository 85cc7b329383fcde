//! `similarity`: similarities of any responses, for any number of images.

use crate::run::Progress as Observer;
use crate::synthetic;
use anyhow::{Context as _, Result, bail, ensure};
use brainprior_artifact::{hdf5, json, lock};
use brainprior_images::ImageId;
use brainprior_similarity::{
    Checkpoint, DeviceOptions, FileRows, Images, NearestImages, Population, Precision, Progress,
    Rows, ScanVectors, SimilarityHistogram, Sweep, UniformPairs, write_neighbors, write_pairs,
};
use candle_core::Device;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Interval between checkpoints.
const KEEP_EVERY: Duration = Duration::from_secs(5);

/// Bins of the histogram over [-1, 1].
const BINS: usize = 400;

/// One source of responses.
struct Input {
    name: String,
    ids: Vec<ImageId>,
    rows: Box<dyn Rows>,
    weights: Vec<f32>,
}

/// Precision of the written matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatrixPrecision {
    /// Four bytes per pair.
    F32,
    /// Two bytes per pair, with errors of at most 0.00025.
    F16,
}

/// Options of the command.
#[derive(Clone, Debug)]
pub struct Options {
    /// Files of responses; similarities are averaged over them, with images matched by content.
    pub responses: Vec<PathBuf>,
    /// Output folder.
    pub out: PathBuf,
    /// Dataset in each file with one weight per neuron; equal weights if absent.
    pub weights: Option<String>,
    /// Whether to use only images that every file has, instead of those of any file.
    pub intersection: bool,
    /// Precision of the full matrix, if it is to be written.
    pub matrix: Option<MatrixPrecision>,
    /// Number of nearest images to keep per image.
    pub neighbors: usize,
    /// Number of pairs to sample uniformly; all if there are fewer.
    pub pairs: usize,
    /// Seed of the sample.
    pub seed: u64,
    /// Memory limit in bytes for the vectors; if they do not fit, responses are read again for each
    /// band of images.
    pub memory: usize,
    /// Random responses instead of files, such as `100000x2000`: images x neurons.
    pub synthetic: Option<String>,
}

/// Writes the requested similarities into the folder. Resumes an interrupted run.
///
/// # Errors
/// Returns an error if neither or both of files and synthetic responses are given, a file holds no
/// responses, the folder cannot be written, or a GPU is used without requesting the full matrix,
/// which is all it computes.
pub fn run(options: &Options, device: &Device, observer: &dyn Observer) -> Result<()> {
    ensure!(
        device.is_cpu() || options.matrix.is_some(),
        "a GPU only computes the full matrix: add --matrix, or use the CPU for neighbors, pairs and histogram"
    );
    let mut inputs = options
        .responses
        .iter()
        .map(|path| open(path, options.weights.as_deref()))
        .collect::<Result<Vec<_>>>()?;
    if let Some(text) = &options.synthetic {
        ensure!(
            inputs.is_empty(),
            "--synthetic replaces files of responses; give one or the other"
        );
        inputs.push(synthetic_input(text)?);
    }
    ensure!(
        !inputs.is_empty(),
        "give at least one file of responses (data-specs/responses.toml), or --synthetic IMAGESxNEURONS"
    );
    std::fs::create_dir_all(&options.out)
        .with_context(|| format!("could not create the folder {}", options.out.display()))?;
    let Some(_lock) = lock::try_take(&options.out.join(".lock"))? else {
        bail!(
            "another process is writing into {}: wait for it, or give another --out",
            options.out.display()
        );
    };
    let started = Instant::now();
    let sources: Vec<ScanVectors<'_>> = inputs
        .iter()
        .map(|input| ScanVectors {
            name: &input.name,
            ids: &input.ids,
            rows: &*input.rows,
            weights: &input.weights,
        })
        .collect();
    let images = if options.intersection { Images::OfEveryScan } else { Images::OfAnyScan };
    let population = Population::new(&sources, images)?;
    let steps = population.provenance();
    let all = population.len() as u64 * (population.len() as u64 - 1) / 2;
    observer.line(&format!(
        "{} images, {} pairs, {} neurons over {} scans",
        population.len(),
        all,
        population.dimensions(),
        population.scans()
    ));

    let memory = options.memory;
    if let Some(precision) = options.matrix {
        let path = options.out.join("similarity.h5");
        let precision = match precision {
            MatrixPrecision::F32 => Precision::F32,
            MatrixPrecision::F16 => Precision::F16,
        };
        if device.is_cpu() {
            swept(observer, "similarity.h5", memory, |sweep| {
                Ok(population.write(&path, precision, sweep, KEEP_EVERY)?)
            })?;
        } else {
            population.matrix_on(device, DeviceOptions::default())?.write_as(&path, precision)?;
        }
        observer.line(&format!("matrix:      {}", path.display()));
    }
    let sample =
        UniformPairs::new(population.len(), options.pairs.min(all as usize), options.seed)?;
    let reduction = (
        NearestImages::new(population.len(), options.neighbors),
        (sample, SimilarityHistogram::new(BINS)),
    );
    let checkpoint = Checkpoint::at(&options.out.join("sweep.checkpoint"));
    let (neighbors, (similarities, histogram)) =
        swept(observer, "pairs, neighbors", memory, |sweep| {
            Ok(population.reduce_resumably(&reduction, sweep, &checkpoint, KEEP_EVERY)?)
        })?;
    let path = options.out.join("neighbours.h5");
    write_neighbors(&path, population.ids(), &neighbors, &steps)?;
    observer.line(&format!("neighbors:   {}", path.display()));
    let path = options.out.join("pairs.h5");
    let mut drawn = steps.clone();
    drawn.push(format!("pairs drawn uniformly without replacement with seed {}", options.seed));
    write_pairs(&path, population.ids(), &reduction.1.0.sample(similarities), &drawn)?;
    observer.line(&format!("pairs:       {}", path.display()));
    let path = options.out.join("histogram.json");
    json::write(
        &path,
        &serde_json::json!({ "from": -1.0, "to": 1.0, "counts": histogram.counts }),
    )?;
    observer.line(&format!("histogram:   {}", path.display()));
    checkpoint.remove()?;
    let (mean, deviation) = histogram.moments();
    observer.line(&format!(
        "similarity:  mean {mean:.4}, standard deviation {deviation:.4} (in bins of {})",
        2.0 / BINS as f64
    ));
    observer.line(&format!("run: {:.1} s", started.elapsed().as_secs_f64()));
    Ok(())
}

/// Runs `work` with a progress bar in millions of pairs.
fn swept<T>(
    observer: &dyn Observer,
    name: &str,
    memory: usize,
    work: impl FnOnce(&Sweep<'_>) -> Result<T>,
) -> Result<T> {
    let bar = Mutex::new((None, Instant::now()));
    let watch = |progress: Progress| {
        let mut bar = bar.lock().expect("no thread panicked");
        if bar.0.is_none() {
            if progress.resumed > 0 {
                observer.line(&format!(
                    "  {name}: resuming after {:.1}% of the pairs",
                    100.0 * progress.resumed as f64 / progress.total as f64
                ));
            }
            let mut shown =
                observer.bar(&format!("{name}, million pairs"), progress.total / 1_000_000);
            shown.begin_at(progress.resumed / 1_000_000);
            bar.0 = Some(shown);
            bar.1 = Instant::now();
        }
        let rate = (progress.pairs - progress.resumed) as f64
            / bar.1.elapsed().as_secs_f64().max(1e-9)
            / 1e6;
        let message = format!("{rate:.1} M pairs/s");
        if let Some(shown) = &mut bar.0 {
            shown.set(progress.pairs / 1_000_000, progress.total / 1_000_000, &message);
        }
        true
    };
    work(&Sweep { memory, observer: &watch })
}

fn open(path: &Path, weights: Option<&str>) -> Result<Input> {
    let rows = FileRows::open(path, "values").with_context(|| {
        format!("{}: expected a file of responses (data-specs/responses.toml)", path.display())
    })?;
    let file = hdf5::Input::open(path)?;
    let ids = file.numbers("image_id", &[None])?.naturals()?;
    let weights = match weights {
        Some(name) => file.numbers(name, &[None])?.floats()?,
        None => vec![1.0; rows.shape().1],
    };
    let name = path.display().to_string();
    Ok(Input {
        name,
        ids: ids.into_iter().map(ImageId::from_u64).collect(),
        rows: Box::new(rows),
        weights,
    })
}

fn synthetic_input(text: &str) -> Result<Input> {
    let sizes: Vec<usize> = text.split('x').map_while(|size| size.parse().ok()).collect();
    let [images, neurons] = sizes[..] else {
        bail!("--synthetic {text}: expected IMAGESxNEURONS, for example 100000x2000")
    };
    let ids = (0..images as u64).map(ImageId::from_u64).collect();
    let rows = Box::new(synthetic::responses(images, neurons));
    Ok(Input { name: format!("made {images} x {neurons}"), ids, rows, weights: vec![1.0; neurons] })
}
