//! Stage `report`: gathers all results into `results.json` and draws `report.html`. Before this
//! stage, the page shows the run so far.

mod gathered;
mod live;
mod neural;

use super::{Inputs, Outcome, Stage, train};
use crate::grid::Part;
use crate::run::Context;
use anyhow::Result;
use brainprior_artifact::{json, replace};
use gathered::Gathered;
pub(super) use live::LivePage;
use neural::{Measured, Reached};

/// All results of the run.
pub(super) const RESULTS: &str = "results.json";
/// Duration of each task, in a separate file since equal runs differ in it.
const TIMES: &str = "times.json";
/// The page.
pub(super) const REPORT: &str = "report.html";

/// Writes `results.json`, `times.json` and `report.html` of a whole grid.
pub(super) struct Report;

impl Stage for Report {
    fn name(&self) -> &'static str {
        "report"
    }

    fn inputs(&self) -> &'static [&'static str] {
        &["scans", "images", "response", "similarity", "train", "trade-off", "robustness"]
    }

    /// It is not a task: every run that reaches it writes it again.
    fn is_wanted(&self, context: &Context) -> bool {
        !context.run.is_dry() && context.selection.is_all()
    }

    fn run(&self, context: &Context, inputs: &Inputs) -> Result<Outcome> {
        let root = context.run.root();
        let parts: Vec<Part> =
            train::trained(context, inputs).into_iter().map(|(part, _)| part).collect();
        let gathered = Gathered {
            context,
            scans: &Measured::gather(context, Reached::Similarity)?,
            trained: parts.clone(),
            measured: parts,
            is_followed: true,
            seconds: inputs
                .records
                .iter()
                .map(|record| (record.key.task().to_owned(), record.seconds))
                .collect(),
            missing: Vec::new(),
        };
        let results = gathered.results()?;
        json::write(&root.join(RESULTS), &results)?;
        json::write(&root.join(TIMES), &gathered.seconds)?;
        // Another process may be about to write a page with fewer results.
        let _lock = context.run.hold(live::LOCK)?;
        replace::bytes(&root.join(REPORT), gathered.page(&results)?.as_bytes())?;
        Ok(Outcome::Done(Vec::new()))
    }
}
