//! Benchmarks of the hot paths, printed as JSON with the field names used by scripts for other
//! libraries.

mod attacks;
mod ops;
mod response;
mod similarity;
mod training;

use crate::run::DeviceName;
use anyhow::Result;
use brainprior_kernels::{Precision, instruction_set};
use brainprior_recording::median;
use candle_core::Device;
use serde_json::{Map, Value, json};
use std::time::Instant;

/// The available benchmarks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BenchName {
    /// Convolutions, batch norm and sampling at the sizes of a ResNet18 and a response model.
    Ops,
    /// Response models: training steps, prediction, and an epoch at the size of the paper's scans.
    Response,
    /// Similarities of all pairs: in memory, into a file, for growing numbers of images, and
    /// streamed.
    Similarity,
    /// Joint training steps of a ResNet18, including the data loader.
    Training,
    /// Attacks on 100 images with a ResNet18 of 16 base channels.
    Attacks,
}

/// Options of a benchmark.
#[derive(Clone, Debug)]
pub struct Options {
    /// The benchmark.
    pub name: BenchName,
    /// Timed runs of each case, after one warm-up run.
    pub repeats: usize,
    /// Only cases whose name or shape contains this text; all if empty.
    pub filter: String,
    /// Precision of training steps and their operations.
    pub precision: Precision,
}

/// The timing of one case.
#[derive(Clone, Debug)]
pub struct Measurement {
    /// A JSON object for programs.
    pub json: Value,
    /// One line for people.
    pub text: String,
}

/// Runs one benchmark and passes each case to `observer` as soon as it is timed.
///
/// # Errors
/// Returns an error if the timed work fails.
pub fn run(
    options: &Options,
    device: Device,
    observer: &(dyn Fn(Measurement) + Sync),
) -> Result<()> {
    let bencher = Bencher {
        repeats: options.repeats,
        filter: &options.filter,
        precision: options.precision,
        device,
        observer,
    };
    // On a worker thread, like the stages of the pipeline.
    rayon::scope(|_| match options.name {
        BenchName::Ops => ops::run(&bencher),
        BenchName::Response => response::run(&bencher),
        BenchName::Similarity => similarity::run(&bencher),
        BenchName::Training => training::run(&bencher),
        BenchName::Attacks => attacks::run(&bencher),
    })
}

/// Shared state of the benchmarks.
struct Bencher<'a> {
    /// Timed runs of each case.
    repeats: usize,
    /// Only cases whose name or shape contains this text run.
    filter: &'a str,
    precision: Precision,
    /// Device of the tensors.
    device: Device,
    observer: &'a (dyn Fn(Measurement) + Sync),
}

/// One case.
struct Case {
    /// The kind of work.
    bench: &'static str,
    /// The size of the work.
    shape: String,
    /// Amounts of work per run, each reported per second.
    work: Vec<(&'static str, f64)>,
    /// Further fields of the JSON object.
    labels: Vec<(&'static str, Value)>,
}

impl Bencher<'_> {
    /// Whether the case was requested.
    fn wants(&self, case: &Case) -> bool {
        format!("{} {}", case.bench, case.shape).contains(self.filter)
    }

    /// Times `work` after one warm-up run, and reports the median.
    fn measure(&self, case: Case, mut work: impl FnMut() -> Result<()>) -> Result<()> {
        if !self.wants(&case) {
            return Ok(());
        }
        forget_peak_memory();
        work()?;
        self.device.synchronize()?;
        let mut seconds = Vec::with_capacity(self.repeats);
        for _ in 0..self.repeats {
            let started = Instant::now();
            work()?;
            self.device.synchronize()?;
            seconds.push(started.elapsed().as_secs_f64());
        }
        self.report(case, seconds);
        Ok(())
    }

    /// Reports a case whose runs took `seconds`.
    fn report(&self, case: Case, mut seconds: Vec<f64>) {
        seconds.sort_by(f64::total_cmp);
        let Some(median) = median(&seconds) else { return };
        let device = DeviceName::of(&self.device).name();
        let mut line = Map::new();
        for (name, value) in [
            ("bench", json!(case.bench)),
            ("peer", json!("brainprior")),
            ("device", json!(device)),
            ("precision", json!(self.precision.name())),
            ("instructions", json!(instruction_set())),
            ("threads", json!(rayon::current_num_threads())),
            ("shape", json!(case.shape)),
            ("seconds", json!(median)),
            ("fastest_seconds", json!(seconds[0])),
            ("slowest_seconds", json!(seconds[seconds.len() - 1])),
            ("runs", json!(seconds.len())),
            ("peak_resident_bytes", json!(peak_memory())),
        ] {
            line.insert(name.into(), value);
        }
        let rates = case.work.iter().map(|(name, amount)| (*name, json!(amount / median)));
        line.extend(rates.chain(case.labels).map(|(name, value)| (name.to_owned(), value)));
        let rate = case
            .work
            .first()
            .map_or(String::new(), |(name, amount)| spoken_rate(name, amount / median));
        let text =
            format!("  {:<24} {:<34} {:>10.2} ms  {rate}", case.bench, case.shape, 1e3 * median);
        (self.observer)(Measurement { json: Value::Object(line), text });
    }
}

fn spoken_rate(name: &str, rate: f64) -> String {
    match name {
        "flops" => format!("{:.1} GFLOP/s", rate / 1e9),
        _ if rate >= 1e9 => format!("{:.2} G {name}/s", rate / 1e9),
        _ if rate >= 1e6 => format!("{:.2} M {name}/s", rate / 1e6),
        _ => format!("{rate:.1} {name}/s"),
    }
}

/// Peak memory of this process in bytes since [`forget_peak_memory`]; `None` if the system does not
/// report it.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// Resets the peak to the current memory use. If the system cannot, the peak is that of the whole
/// process, which is never too small.
fn forget_peak_memory() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}
