//! Compares attacks at equal numbers of passes: median, success, local optimality and time of each,
//! next to the results that `equal_budgets.py` wrote for other libraries.
//!
//! ```sh
//! cargo run --release -p brainprior-robustness --example compare_attacks -- NETWORK IMAGES COUNT NORM [PEERS.json]
//! ```
//!
//! The reference for each image is the smallest perturbation over all attacks of both sides at all
//! budgets. A second column excludes our attacks from the reference.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use brainprior_classifier::ResNet;
use brainprior_robustness::{
    ApgdMinimal, Attack, BrendelBethge, Classifier, Ddn, Fmn, LabeledBatch, Loss,
    MinimalPerturbations, Norm, PrimalDual, Search, Settings, SigmaZero, ensemble,
    local_optimality,
};
use candle_core::{Device, Tensor, safetensors};
use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::time::Instant;

const BUDGETS: [usize; 4] = [100, 400, 1000, 2000];

struct Network(ResNet);

impl Classifier for Network {
    fn logits(&self, images: &Tensor) -> candle_core::Result<Tensor> {
        self.0.logits(images).map_err(candle_core::Error::wrap)
    }

    fn is_batch_invariant(&self) -> bool {
        self.0.is_batch_invariant()
    }
}

type Distances = Vec<Option<f64>>;

/// What one attack found within one budget of passes.
struct Row {
    name: String,
    passes: usize,
    sizes: Distances,
    seconds: f64,
    is_ours: bool,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [network, images, count, norm_name, peers @ ..] = arguments.as_slice() else {
        return Err("expected NETWORK IMAGES COUNT NORM [PEERS.json]".into());
    };
    let norm = match norm_name.as_str() {
        "linf" => Norm::Linf,
        "l2" => Norm::L2,
        "l1" => Norm::L1,
        "l0" => Norm::L0,
        other => return Err(format!("norm {other}: expected linf, l2, l1 or l0").into()),
    };
    let network = Network(ResNet::load(Path::new(network))?);
    let labeled = read(images, count.parse()?)?;
    let mut rows = Vec::new();
    for passes in BUDGETS {
        for (name, attacks) in ours(norm, passes) {
            let start = Instant::now();
            let sizes = sizes(&network, &labeled, norm, &attacks)?;
            let row =
                Row { name, passes, sizes, seconds: start.elapsed().as_secs_f64(), is_ours: true };
            report(&row);
            rows.push(row);
        }
    }
    if let Some(path) = peers.first() {
        type Peers = BTreeMap<String, BTreeMap<String, BTreeMap<String, serde_json::Value>>>;
        let peers: Peers = serde_json::from_str(&std::fs::read_to_string(path)?)?;
        for (name, budgets) in peers.get(norm_name).into_iter().flatten() {
            for (passes, entry) in budgets {
                let sizes: Distances = serde_json::from_value(entry["sizes"].clone())?;
                let seconds = entry["seconds"].as_f64().unwrap_or(f64::NAN);
                rows.push(Row {
                    name: name.clone(),
                    passes: passes.parse()?,
                    sizes,
                    seconds,
                    is_ours: false,
                });
            }
        }
    }
    let best = |rows: &mut dyn Iterator<Item = &Row>| {
        rows.map(|row| row.sizes.clone()).reduce(|best, sizes| {
            let smaller = |pair| match pair {
                (Some(a), Some(b)) => Some(f64::min(a, b)),
                (a, b) => a.or(b),
            };
            best.into_iter().zip(sizes).map(smaller).collect()
        })
    };
    let all = best(&mut rows.iter()).unwrap_or_default();
    let theirs = best(&mut rows.iter().filter(|row| !row.is_ours)).unwrap_or_else(|| all.clone());
    rows.sort_by_key(|row| row.passes);
    println!(
        "| {norm_name}: attack | passes | local optimality | against theirs alone | median | found | s |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|");
    for row in &rows {
        let mut found: Vec<f64> =
            row.sizes.iter().flatten().copied().filter(|size| *size > 0.0).collect();
        found.sort_by(f64::total_cmp);
        let median = found.get(found.len() / 2).copied().unwrap_or(f64::NAN);
        println!(
            "| {}{} | {} | {:.4} | {:.4} | {median:.5} | {} | {:.0} |",
            if row.is_ours { "**ours** " } else { "" },
            row.name,
            row.passes,
            local_optimality(&row.sizes, &all)?,
            local_optimality(&row.sizes, &theirs)?,
            found.len(),
            row.seconds
        );
    }
    Ok(())
}

fn report(row: &Row) {
    let found = row.sizes.iter().flatten().filter(|size| **size > 0.0).count();
    let sum: f64 = row.sizes.iter().flatten().sum();
    eprintln!(
        "{} {}: {found} found, mean {:.6}, {:.1} s",
        row.name,
        row.passes,
        sum / found as f64,
        row.seconds
    );
}

/// Our attacks at this budget, and the ensemble.
fn ours(norm: Norm, passes: usize) -> Vec<(String, Vec<Box<dyn Attack>>)> {
    let steps = passes / 2;
    let mut singles: Vec<Box<dyn Attack>> = vec![Box::new(Fmn::new(norm).with_steps(steps))];
    match norm {
        Norm::L2 => singles.push(Box::new(Ddn::default().with_steps(steps))),
        Norm::L0 => singles.push(Box::new(SigmaZero::default().with_steps(steps))),
        _ => {}
    }
    singles.push(Box::new(PrimalDual::new(norm).with_steps(steps)));
    if matches!(norm, Norm::L2 | Norm::Linf) {
        let search = ApgdMinimal::new(norm).with_steps(steps);
        singles.extend(
            [search, search.with_loss(Loss::Dlr), search.targeted()]
                .map(|attack| Box::new(attack) as Box<dyn Attack>),
        );
    }
    singles.push(Box::new(BrendelBethge::new(norm).with_steps(steps - 30)));
    let mut all: Vec<(String, Vec<Box<dyn Attack>>)> =
        singles.into_iter().map(|attack| (attack.name(), vec![attack])).collect();
    all.push(("ensemble".to_owned(), ensemble(norm, passes)));
    all
}

fn sizes(
    network: &Network,
    labeled: &LabeledBatch,
    norm: Norm,
    attacks: &[Box<dyn Attack>],
) -> Result<Distances, Box<dyn Error>> {
    let settings = Settings { seed: 1, batch: 100 };
    let search = Search { largest: norm.range(labeled.area()), tolerance: 0.01 };
    let mut minimal = MinimalPerturbations::new(network, labeled, norm, settings)?;
    for attack in attacks {
        minimal.approach(network, attack.as_ref(), labeled, search, settings)?;
    }
    Ok(minimal.distances(labeled))
}

/// The first images of a safetensors file: `images` and `labels`, or `test_images` and
/// `test_labels`, in bytes.
fn read(path: &str, count: usize) -> Result<LabeledBatch, Box<dyn Error>> {
    let tensors = safetensors::load(path, &Device::Cpu)?;
    let tensor = |name: &str| {
        tensors
            .get(name)
            .or_else(|| tensors.get(&format!("test_{name}")))
            .ok_or("no images in the file")
    };
    let (images, labels) = (tensor("images")?, tensor("labels")?);
    let (_, channels, height, width) = images.dims4()?;
    let count = count.min(images.dim(0)?);
    let pixels = images.narrow(0, 0, count)?.flatten_all()?.to_vec1::<u8>()?;
    let labels =
        labels.narrow(0, 0, count)?.to_vec1::<u8>()?.into_iter().map(usize::from).collect();
    Ok(LabeledBatch::new(
        channels,
        height,
        width,
        pixels.into_iter().map(|byte| f32::from(byte) / 255.0).collect(),
        labels,
    )?)
}
