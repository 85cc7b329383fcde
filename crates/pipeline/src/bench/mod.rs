//! `cargo xtask bench NAME`: how fast the hot paths run on this machine. One JSON object a line goes to standard output, with
//! the names that a peer's own script can use for the same work; text for people goes to standard error.

mod attacks;
mod ops;
mod response;
pub(in crate::pipeline) mod similarity;
mod training;

use crate::command_line::{BenchArguments, BenchName};
use anyhow::Result;
use candle_core::Device;
use serde_json::{Map, Value, json};
use std::time::Instant;

/// Runs one bench.
pub fn run(arguments: &BenchArguments, device: Device) -> Result<()> {
    let bencher = Bencher { repeats: arguments.repeats.into(), filter: arguments.filter.clone().unwrap_or_default(), device };
    // On a worker thread, as the stages of the pipeline do their work.
    rayon::scope(|_| match arguments.name {
        BenchName::Ops => ops::run(&bencher),
        BenchName::Response => response::run(&bencher),
        BenchName::Similarity => similarity::run(&bencher),
        BenchName::Training => training::run(&bencher),
        BenchName::Attacks => attacks::run(&bencher),
    })
}

/// What every bench is given.
pub struct Bencher {
    /// Counted runs of each case.
    pub repeats: usize,
    /// Only cases whose shape contains this text run.
    filter: String,
    /// Where tensors live.
    pub device: Device,
}

/// One piece of work, as it is reported.
pub struct Case {
    /// What is done.
    pub bench: &'static str,
    /// At which size.
    pub shape: String,
    /// Amounts of work in one run, each reported per second.
    pub work: Vec<(&'static str, f64)>,
    /// Further fields, as they are.
    pub labels: Vec<(&'static str, Value)>,
}

impl Bencher {
    /// Whether the case was asked for.
    pub fn wants(&self, case: &Case) -> bool {
        format!("{} {}", case.bench, case.shape).contains(&self.filter)
    }

    /// Times `work` after one run that is not counted, and prints the case with the median.
    pub fn measure(&self, case: Case, mut work: impl FnMut() -> Result<()>) -> Result<()> {
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
        self.print(case, seconds);
        Ok(())
    }

    /// Prints a case whose runs took `seconds`.
    pub fn print(&self, case: Case, mut seconds: Vec<f64>) {
        seconds.sort_by(f64::total_cmp);
        let median = seconds[seconds.len() / 2];
        let device = super::device::name(&self.device);
        let mut line = Map::new();
        for (name, value) in [
            ("bench", json!(case.bench)),
            ("peer", json!("brainprior")),
            ("device", json!(device)),
            ("precision", json!("fp32")),
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
        println!("{}", Value::Object(line));
        let rate = case.work.first().map_or(String::new(), |(name, amount)| spoken_rate(name, amount / median));
        eprintln!("  {:<24} {:<34} {:>10.2} ms  {rate}", case.bench, case.shape, 1e3 * median);
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

/// Values in [-1, 1) without pattern, the same in every run.
fn numbers(count: usize) -> Vec<f32> {
    (0..count as u64).map(|index| (mixed(index) >> 40) as f32 / (1 << 23) as f32 - 1.0).collect()
}

/// Bits without pattern (the finaliser of SplitMix64).
fn mixed(value: u64) -> u64 {
    let value = value.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}
