//! The stages, and the one function that walks through them.
//!
//! A new stage is a file here whose type is a `Stage`, with a place in `CHAIN`; the structs that it writes stand in
//! `artifacts/`.

mod combined;
mod comparisons;
mod corrupted;
pub(crate) mod features;
mod images;
mod report;
pub(crate) mod response;
mod robustness;
mod scans;
mod similarity;
mod trade_off;
mod train;
mod verdict;

use crate::artifacts::Results;
use crate::grid;
use crate::run::{Context, Mode, Record};
use crate::table;
use anyhow::{Context as _, Result, bail};
use brainprior_artifact::json;
use report::LivePage;
use std::path::PathBuf;

/// Part of the chain from scans to the report.
trait Stage: Sync {
    /// As `--only` takes it; its tasks are called so, or begin with it and a slash.
    fn name(&self) -> &'static str;

    /// The stages whose records it is given, because it reads what they wrote. It gets no others.
    fn inputs(&self) -> &'static [&'static str];

    /// Whether this run has it at all; otherwise it is passed over without a word.
    fn is_wanted(&self, _context: &Context) -> bool {
        true
    }

    /// Does those of its tasks that are not done.
    fn run(&self, context: &Context, inputs: &Inputs) -> Result<Outcome>;
}

/// In this order.
const CHAIN: [&dyn Stage; 8] = [
    &scans::Scans,
    &images::Images,
    &response::Response,
    &similarity::Similarity,
    &train::Train,
    &trade_off::TradeOff,
    &robustness::Robustness,
    &report::Report,
];

/// What a stage came to.
enum Outcome {
    /// The records of its tasks; on a dry run of those that are done.
    Done(Vec<Record>),
    /// A dry run cannot know what later stages would do.
    Unknown,
}

impl From<Option<Record>> for Outcome {
    fn from(record: Option<Record>) -> Self {
        record.map_or(Self::Unknown, |record| Self::Done(vec![record]))
    }
}

/// The records of what a stage reads, and the page that shows how far the run is.
struct Inputs<'a> {
    records: Vec<&'a Record>,
    page: &'a LivePage,
}

impl<'a> Inputs<'a> {
    /// The record of a task, if it is done.
    fn find(&self, task: &str) -> Option<&'a Record> {
        self.records.iter().copied().find(|record| record.key.task() == task)
    }

    /// The record of a stage that is one task.
    fn of(&self, stage: &str) -> Result<&'a Record> {
        self.find(stage).with_context(|| format!("stage `{stage}` is not among the inputs of the one that reads it"))
    }
}

/// What a whole run leaves for people.
#[derive(Clone, Debug)]
pub struct Finished {
    /// One line for each condition, and a header.
    pub table: String,
    /// `report.html`.
    pub report: PathBuf,
    /// `results.json`.
    pub figures: PathBuf,
}

/// The mode that the command line asks for: `only` one stage, or a dry run.
///
/// # Errors
/// No stage has the name `only`.
pub fn mode(only: Option<&str>, dry_run: bool) -> Result<Mode> {
    if let Some(stage) = only.filter(|stage| CHAIN.iter().all(|known| known.name() != *stage)) {
        bail!("--only {stage}: no such stage; the stages are {}", CHAIN.map(|stage| stage.name()).join(", "));
    }
    Ok(match only {
        _ if dry_run => Mode::Dry,
        None => Mode::Run,
        Some(stage) => Mode::Only(stage.to_owned()),
    })
}

/// Walks through the stages in order, up to the one that was asked for. Nothing is returned where the report was not made.
///
/// # Errors
/// A selection that names no part of the grid; an input that `--only` needs and that is not there; whatever a stage says.
pub fn run(context: &Context) -> Result<Option<Finished>> {
    grid::check_selection(context)?;
    let (mut records, mut unknown): (Vec<Record>, Vec<&str>) = (Vec::new(), Vec::new());
    let page = LivePage::default();
    for stage in CHAIN.iter().filter(|stage| stage.is_wanted(context)) {
        // What stands on nothing unknown is asked all the same: a dry run says what it would refuse.
        if stage.inputs().iter().any(|input| unknown.contains(input)) {
            context.progress.would_run(stage.name(), "what it needs would be made");
            unknown.push(stage.name());
            continue;
        }
        let inputs = records.iter().filter(|record| stage.inputs().contains(&record.key.stage())).collect();
        match stage.run(context, &Inputs { records: inputs, page: &page })? {
            Outcome::Done(new) => {
                page.add(&new);
                records.extend(new);
            }
            Outcome::Unknown => {
                unknown.push(stage.name());
                continue;
            }
        }
        if stage.name() == report::Report.name() {
            return finished(context).map(Some);
        }
        page.refresh(context);
        if context.run.is_only(stage.name()) {
            break;
        }
    }
    Ok(None)
}

fn finished(context: &Context) -> Result<Finished> {
    let root = context.run.root();
    let figures = root.join(report::RESULTS);
    let results: Results = json::read(&figures)?;
    Ok(Finished { table: table::result(&results), report: root.join(report::REPORT), figures })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_reads_only_what_stands_before_it() {
        for (place, stage) in CHAIN.iter().enumerate() {
            let before: Vec<&str> = CHAIN[..place].iter().map(|stage| stage.name()).collect();
            assert!(stage.inputs().iter().all(|input| before.contains(input)), "{}: {:?}", stage.name(), stage.inputs());
            assert!(!before.contains(&stage.name()), "{} stands there twice", stage.name());
        }
    }

    #[test]
    fn a_stage_that_does_not_exist_is_refused_with_those_that_do() {
        assert_eq!(mode(Some("trade-off"), false).unwrap(), Mode::Only("trade-off".into()));
        for dry_run in [false, true] {
            let error = mode(Some("trian"), dry_run).unwrap_err().to_string();
            assert!(error.contains("no such stage; the stages are scans, images, response, similarity, train"), "{error}");
        }
    }
}
