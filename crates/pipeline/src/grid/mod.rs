//! The grid of conditions and seeds: its parts, the selection of parts, and scripts for batch
//! systems.

mod slurm;

pub use slurm::{BatchSystem, Resources, script};

use crate::config::Arm;
use crate::run::Context;
use anyhow::{Result, ensure};

/// One network of the run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part<'a> {
    pub(crate) condition: &'a Arm,
    pub(crate) seed: u64,
}

impl<'a> Part<'a> {
    /// Every condition and seed of the run; conditions with a target come first, since they take
    /// longest.
    pub(crate) fn all(context: &'a Context) -> Vec<Self> {
        let training = &context.config.training;
        let mut parts: Vec<Self> = training
            .conditions
            .iter()
            .flat_map(|condition| (0..training.seeds).map(move |seed| Self { condition, seed }))
            .collect();
        parts.sort_by_key(|part| (!part.condition.target().has_pairs(), part.seed));
        parts
    }

    /// The parts selected on the command line.
    pub(crate) fn selected(context: &'a Context) -> Vec<Self> {
        let chosen = |part: &Self| {
            context.selection.condition.as_ref().is_none_or(|name| name == part.condition.name())
                && context.selection.seed.is_none_or(|seed| seed == part.seed)
        };
        Self::all(context).into_iter().filter(chosen).collect()
    }

    /// Sort key in results: by condition in the order of the configuration, then by seed.
    pub(crate) fn place(self, context: &Context) -> (Option<usize>, u64) {
        (context.config.training.conditions.iter().position(|arm| arm == self.condition), self.seed)
    }

    /// Seed of its training. Networks of one seed start with equal weights and see the same batches
    /// in every condition, so that conditions can be compared in pairs.
    pub(crate) fn seed_of_training(self, context: &Context) -> u64 {
        context.config.seed_of(&format!("train/seed{}", self.seed))
    }

    /// Name of the part's task within a stage.
    pub(crate) fn task(self, stage: &str) -> String {
        format!("{stage}/{}-seed{}", self.condition.folder(), self.seed)
    }
}

/// Returns an error if the selection is not part of the grid.
pub(crate) fn check_selection(context: &Context) -> Result<()> {
    let training = &context.config.training;
    let names: Vec<&str> = training.conditions.iter().map(Arm::name).collect();
    if let Some(condition) = &context.selection.condition {
        ensure!(
            names.contains(&condition.as_str()),
            "--condition {condition}: not in training.conditions, which are: {}",
            names.join("; ")
        );
    }
    if let Some(seed) = context.selection.seed {
        ensure!(
            seed < training.seeds,
            "--seed {seed}: training.seeds = {} makes seeds 0 to {}; raise it with --set training.seeds={}",
            training.seeds,
            training.seeds - 1,
            seed + 1
        );
    }
    Ok(())
}
