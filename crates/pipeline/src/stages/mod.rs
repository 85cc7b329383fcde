//! The stages, and the function that runs them in order.
//!
//! A new stage is a file here with a type that implements `Stage`, listed in `CHAIN`; the structs
//! it writes are in `artifacts/`.

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

/// A part of the pipeline.
trait Stage: Sync {
    /// Name for `--only`; its tasks have this name, or begin with it and a slash.
    fn name(&self) -> &'static str;

    /// The stages whose records it receives because it reads their outputs. It receives no others.
    fn inputs(&self) -> &'static [&'static str];

    /// Whether this run includes the stage; otherwise it is skipped silently.
    fn is_wanted(&self, _context: &Context) -> bool {
        true
    }

    /// Runs its unfinished tasks.
    fn run(&self, context: &Context, inputs: &Inputs) -> Result<Outcome>;
}

/// All stages in order.
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

/// The outcome of a stage.
enum Outcome {
    /// The records of its tasks; on a dry run, of the finished ones.
    Done(Vec<Record>),
    /// A dry run cannot tell what later stages would do.
    Unknown,
}

impl From<Option<Record>> for Outcome {
    fn from(record: Option<Record>) -> Self {
        record.map_or(Self::Unknown, |record| Self::Done(vec![record]))
    }
}

/// The records of a stage's inputs, and the page that shows the run so far.
struct Inputs<'a> {
    records: Vec<&'a Record>,
    page: &'a LivePage,
}

impl<'a> Inputs<'a> {
    /// The record of a task, if it is finished.
    fn find(&self, task: &str) -> Option<&'a Record> {
        self.records.iter().copied().find(|record| record.key.task() == task)
    }

    /// The record of a stage with a single task.
    fn of(&self, stage: &str) -> Result<&'a Record> {
        self.find(stage).with_context(|| {
            format!("stage `{stage}` is not listed in the inputs of the stage that reads it")
        })
    }
}

/// The result of a complete run.
#[derive(Clone, Debug)]
pub struct Finished {
    /// A header and one line per condition.
    pub table: String,
    /// `report.html`.
    pub report: PathBuf,
    /// `results.json`.
    pub figures: PathBuf,
}

/// The mode for these arguments: `only` one stage, or a dry run.
///
/// # Errors
/// Returns an error if there is no stage named `only`.
pub fn mode(only: Option<&str>, dry_run: bool) -> Result<Mode> {
    if let Some(stage) = only.filter(|stage| CHAIN.iter().all(|known| known.name() != *stage)) {
        bail!(
            "--only {stage}: no such stage; the stages are {}",
            CHAIN.map(|stage| stage.name()).join(", ")
        );
    }
    Ok(match only {
        _ if dry_run => Mode::Dry,
        None => Mode::Run,
        Some(stage) => Mode::Only(stage.to_owned()),
    })
}

/// Runs the stages in order, up to the requested one. Returns `None` if the report was not made.
///
/// # Errors
/// Returns an error if the selection is not part of the grid, an input of `--only` is missing, or a
/// stage fails.
pub fn run(context: &Context) -> Result<Option<Finished>> {
    grid::check_selection(context)?;
    let (mut records, mut unknown): (Vec<Record>, Vec<&str>) = (Vec::new(), Vec::new());
    let page = LivePage::default();
    for stage in CHAIN.iter().filter(|stage| stage.is_wanted(context)) {
        // Stages with known inputs are still asked: a dry run reports what they would reject.
        if stage.inputs().iter().any(|input| unknown.contains(input)) {
            context.progress.would_run(stage.name(), "its inputs would be made first");
            unknown.push(stage.name());
            continue;
        }
        let inputs =
            records.iter().filter(|record| stage.inputs().contains(&record.key.stage())).collect();
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
            assert!(
                stage.inputs().iter().all(|input| before.contains(input)),
                "{}: {:?}",
                stage.name(),
                stage.inputs()
            );
            assert!(!before.contains(&stage.name()), "{} appears twice", stage.name());
        }
    }

    #[test]
    fn a_stage_that_does_not_exist_is_refused_with_those_that_do() {
        assert_eq!(mode(Some("trade-off"), false).unwrap(), Mode::Only("trade-off".into()));
        for dry_run in [false, true] {
            let error = mode(Some("trian"), dry_run).unwrap_err().to_string();
            assert!(
                error.contains(
                    "no such stage; the stages are scans, images, response, similarity, train"
                ),
                "{error}"
            );
        }
    }
}
