//! How fast the hot paths run on this machine, in JSON with the names that a peer's own script can use for the same work.

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

/// What can be timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BenchName {
    /// Convolutions, batch norm, sampling, at the sizes of a ResNet18 and of a response model.
    Ops,
    /// Response models: steps of training, prediction, an epoch at the size of the paper's scans.
    Response,
    /// Similarities of all pairs: in memory, into a file, growing with the images, and streamed.
    Similarity,
    /// Steps of the joint training of a ResNet18, loader included.
    Training,
    /// Attacks on 100 images, ResNet18 with 16 base channels.
    Attacks,
}

/// What is timed, and how often.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which bench.
    pub name: BenchName,
    /// Counted runs of each case; one more runs first.
    pub repeats: usize,
    /// Only cases whose name or shape contains this text; all where it is empty.
    pub filter: String,
    /// What steps, and the operations of a step, are computed in.
    pub precision: Precision,
}

/// One case, timed.
#[derive(Clone, Debug)]
pub struct Measurement {
    /// One object, for programs.
    pub json: Value,
    /// One line, for people.
    pub text: String,
}

/// Runs one bench; each case is handed to `observer` as soon as it is timed.
///
/// # Errors
/// Whatever the work that is timed says.
pub fn run(options: &Options, device: Device, observer: &(dyn Fn(Measurement) + Sync)) -> Result<()> {
    let bencher = Bencher { repeats: options.repeats, filter: &options.filter, precision: options.precision, device, observer };
    // On a worker thread, as the stages of the pipeline do their work.
    rayon::scope(|_| match options.name {
        BenchName::Ops => ops::run(&bencher),
        BenchName::Response => response::run(&bencher),
        BenchName::Similarity => similarity::run(&bencher),
        BenchName::Training => training::run(&bencher),
        BenchName::Attacks => attacks::run(&bencher),
    })
}

/// What every bench is given.
struct Bencher<'a> {
    /// Counted runs of each case.
    repeats: usize,
    /// Only cases whose name or shape contains this text run.
    filter: &'a str,
    precision: Precision,
    /// Where tensors live.
    device: Device,
    observer: &'a (dyn Fn(Measurement) + Sync),
}

/// One piece of work, as it is reported.
struct Case {
    /// What is done.
    bench: &'static str,
    /// At which size.
    shape: String,
    /// Amounts of work in one run, each reported per second.
    work: Vec<(&'static str, f64)>,
    /// Further fields, as they are.
    labels: Vec<(&'static str, Value)>,
}

impl Bencher<'_> {
    /// Whether the case was asked for.
    fn wants(&self, case: &Case) -> bool {
        format!("{} {}", case.bench, case.shape).contains(self.filter)
    }

    /// Times `work` after one run that is not counted, and reports the case with the median.
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
        let rate = case.work.first().map_or(String::new(), |(name, amount)| spoken_rate(name, amount / median));
        let text = format!("  {:<24} {:<34} {:>10.2} ms  {rate}", case.bench, case.shape, 1e3 * median);
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

/// The most memory this process has held at once since [`forget_peak_memory`], in bytes; none where the system does not say.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// Starts the peak anew from what is held now. Where the system cannot, the peak is that of the whole process, which is never
/// too small.
fn forget_peak_memory() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}
