//! Stage `robustness`: every network under noise and attack.

use super::train::{self, Part};
use crate::pipeline::context::Context;
use crate::pipeline::jobs;
use crate::pipeline::provenance::{self, Key, Record};
use crate::pipeline::results::{MinimalPerturbation, NetworkResult, Point};
use anyhow::Result;
use std::collections::BTreeMap;
use std::path::Path;

const CURVES: &str = "curves.json";

/// Measures every part that is not measured yet.
pub fn run(context: &Context, images: &Record, trained: &[(Part, Record)]) -> Result<Vec<Option<Record>>> {
    jobs::run(trained.to_vec(), |(part, record)| {
        // One seed for all parts: every network sees the same noise and the same random starts.
        let seed = context.config.seed_of("robustness");
        let key = Key::new(&part.task("robustness"), &context.config.robustness, seed)?.after(images).after(&record);
        context.run.task(key, &context.terminal, |folder| measure(context, part, seed, folder))
    })
}

fn measure(context: &Context, part: Part, seed: u64, folder: &Path) -> Result<Vec<String>> {
    todo_measure(context, part, seed, folder)
}

/// The figures of a part.
pub fn load(context: &Context, part: Part) -> Result<NetworkResult> {
    provenance::read_json(&context.run.folder(&part.task("robustness")).join(CURVES))
}
