//! The page of a run in progress, rewritten after each stage and each network.

use super::super::{Inputs, robustness, train};
use super::REPORT;
use super::gathered::Gathered;
use super::neural::{Measured, Reached};
use crate::grid::Part;
use crate::run::{Context, Record};
use anyhow::Result;
use brainprior_artifact::replace;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// The process that holds this lock writes the page.
pub(super) const LOCK: &str = "report";

/// Largest number of networks named in a sentence.
const NAMED: usize = 8;

/// Shows the progress of a run.
#[derive(Default)]
pub(in super::super) struct LivePage(Mutex<State>);

#[derive(Default)]
struct State {
    /// Records of the finished stages.
    records: Vec<Record>,
    /// Number of tasks that this process had done when it last wrote the page.
    shown: usize,
    /// Results on the scans, kept because large scans take long to read.
    scans: Option<(Reached, Measured)>,
}

impl LivePage {
    /// Adds the records of a stage, from this call or an earlier one.
    pub(in super::super) fn add(&self, records: &[Record]) {
        self.state().records.extend_from_slice(records);
    }

    /// Writes the page if any task was done since the last time. If that fails, the run continues
    /// with a warning.
    pub(in super::super) fn refresh(&self, context: &Context) {
        if context.run.is_dry() {
            return;
        }
        if let Err(error) = self.written(context) {
            tracing::warn!("could not write the report of the run so far: {error:#}");
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // A job that panicked ends the run; the page must not cause a second panic before that.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn written(&self, context: &Context) -> Result<()> {
        let mut state = self.state();
        let State { records, shown, scans } = &mut *state;
        let done = context.run.done();
        let stages = |name: &str| records.iter().any(|record| record.key.task() == name);
        let reached = match [stages("scans"), stages("response"), stages("similarity")] {
            [_, _, true] => Reached::Similarity,
            [_, true, _] => Reached::Response,
            [true, ..] => Reached::Scans,
            _ => return Ok(()),
        };
        if *shown == done {
            return Ok(());
        }
        // The lock is held from reading to writing, so that no older state replaces a newer one.
        let _lock = context.run.hold(LOCK)?;
        *shown = done;
        if scans.as_ref().is_none_or(|(level, _)| *level != reached) {
            *scans = Some((reached, Measured::gather(context, reached)?));
        }
        let (_, scans) = scans.as_ref().expect("they were gathered just now");
        let inputs = Inputs { records: records.iter().collect(), page: self };
        let trained = match reached {
            Reached::Similarity => train::recorded(context, &inputs)?,
            _ => Vec::new(),
        };
        let measured: Vec<(Part, Record)> = match inputs.find("images") {
            Some(images) => {
                let of = |(part, trained): &(_, _)| {
                    Some((*part, robustness::measured(context, images, *part, trained)?))
                };
                trained.iter().filter_map(of).collect()
            }
            None => Vec::new(),
        };
        let done = records.iter().chain(trained.iter().chain(&measured).map(|(_, record)| record));
        let seconds: BTreeMap<String, f64> =
            done.map(|record| (record.key.task().to_owned(), record.seconds)).collect();
        let all = Part::all(context);
        let followed = records.iter().filter(|record| record.key.stage() == "trade-off").count();
        let (trained, measured) = (parts(&trained), parts(&measured));
        let gathered = Gathered {
            context,
            scans,
            missing: missing(reached, &all, &trained, &measured),
            is_followed: followed == all.len(),
            trained,
            measured,
            seconds,
        };
        let page = gathered.page(&gathered.results()?)?;
        Ok(replace::bytes(&context.run.root().join(REPORT), page.as_bytes())?)
    }
}

fn parts<'a>(found: &[(Part<'a>, Record)]) -> Vec<Part<'a>> {
    found.iter().map(|(part, _)| *part).collect()
}

/// Sentences on unfinished work.
fn missing(reached: Reached, all: &[Part], trained: &[Part], measured: &[Part]) -> Vec<String> {
    let mut sentences = vec![
        "This page shows the run so far and is rewritten after each stage and each network; reload it to see more.".to_owned(),
    ];
    match reached {
        Reached::Scans => sentences.push(
            "The response model is not fitted yet, and similarities are not computed yet.".into(),
        ),
        Reached::Response => sentences.push("Similarities are not computed yet.".into()),
        Reached::Similarity => {}
    }
    let left = |done: &[Part]| -> Vec<String> {
        let is_done = |part: &Part| {
            done.iter().any(|done| done.condition == part.condition && done.seed == part.seed)
        };
        all.iter()
            .filter(|part| !is_done(part))
            .map(|part| format!("{}, seed {}", part.condition.name(), part.seed))
            .collect()
    };
    let named = |names: Vec<String>| match names.len() {
        0 => String::new(),
        count if count > NAMED => {
            format!(" Missing: {}; and {} more.", names[..NAMED].join("; "), count - NAMED)
        }
        _ => format!(" Missing: {}.", names.join("; ")),
    };
    let count = all.len();
    sentences.push(format!(
        "Trained: {} of {count} networks.{}",
        trained.len(),
        named(left(trained))
    ));
    sentences.push(format!(
        "Evaluated under noise and attack: {} of {count} networks.{}",
        measured.len(),
        named(left(measured))
    ));
    sentences
}
