//! Figures and page of the finished parts of a run.

use super::super::{comparisons, images, robustness, trade_off, train};
use super::neural::Measured;
use crate::artifacts::{NetworkResult, Pictures, Results, summarize};
use crate::grid::Part;
use crate::report::{self, Content, Design};
use crate::run::{Context, DeviceName, described};
use anyhow::Result;
use brainprior_artifact::hash;
use brainprior_classifier::NetConfig;
use brainprior_kernels::Precision;
use std::collections::BTreeMap;

/// Version of `results.json`, as in `data-specs/results.toml`.
const RESULTS_VERSION: u32 = 3;

/// The finished parts of a run.
pub(super) struct Gathered<'a> {
    pub(super) context: &'a Context,
    pub(super) scans: &'a Measured,
    /// Trained networks, in the order of the configuration.
    pub(super) trained: Vec<Part<'a>>,
    /// Evaluated networks, in the same order.
    pub(super) measured: Vec<Part<'a>>,
    /// Whether stage `trade-off` has finished for every network, if it was requested.
    pub(super) is_followed: bool,
    /// Durations, by task.
    pub(super) seconds: BTreeMap<String, f64>,
    /// Sentences on unfinished work.
    pub(super) missing: Vec<String>,
}

impl Gathered<'_> {
    /// All results.
    pub(super) fn results(&self) -> Result<Results> {
        let Self { context, scans, .. } = self;
        let config = &context.config;
        let networks: Vec<NetworkResult> = self
            .measured
            .iter()
            .map(|part| robustness::load(context, *part))
            .collect::<Result<_>>()?;
        let mixed = config
            .training
            .conditions
            .iter()
            .map(|arm| arm.training().precision)
            .chain([config.response.optimization.precision]);
        let precision = if mixed.into_iter().all(|precision| precision.is_f32()) {
            Precision::F32
        } else {
            Precision::Mixed
        };
        Ok(Results {
            format: "brainprior-results".into(),
            version: RESULTS_VERSION,
            name: config.name.clone(),
            crate_version: env!("CARGO_PKG_VERSION").into(),
            config_hash: hash::of_bytes(serde_json::to_string(config)?.as_bytes()),
            seed: config.seed,
            device: described(DeviceName::of(&context.device).name(), precision),
            scans: scans.scans.clone(),
            weights: scans.weights.clone(),
            targets: scans.targets.clone(),
            conditions: summarize(&networks),
            comparisons: comparisons::all(context, &networks)?,
            networks,
        })
    }

    /// The page as HTML.
    pub(super) fn page(&self, results: &Results) -> Result<String> {
        let Self { context, .. } = self;
        let config = &context.config;
        let content = Content {
            results,
            design: self.design()?,
            missing: self.missing.clone(),
            neural: &self.scans.neural,
            seconds: &self.seconds,
            training: train::histories(context, &self.trained)?,
            speeds: train::speeds(context, &self.trained),
            trade_off: if self.is_followed { trade_off::curves(context)? } else { Vec::new() },
            layers: NetConfig {
                blocks: config.training.common.blocks.clone(),
                ..NetConfig::default()
            }
            .layer_depths(),
            adversarial: self.pictures()?,
            settings: config.to_toml()?,
        };
        report::render(&content)
    }

    fn design(&self) -> Result<Design> {
        let config = &self.context.config;
        let test =
            if self.measured.is_empty() { 0 } else { images::load(self.context)?.test.len() };
        Ok(Design {
            conditions: config
                .training
                .conditions
                .iter()
                .map(|arm| arm.name().to_owned())
                .collect(),
            simulated: config.scans.files.is_none(),
            procedural: config.images.file.is_none(),
            test_images: config.robustness.noise_images.min(test),
            attacked_images: config.robustness.attack_images.min(test),
        })
    }

    /// Pictures of the first seed of each condition.
    fn pictures(&self) -> Result<Vec<(String, Pictures)>> {
        let first = self.measured.iter().filter(|part| part.seed == 0);
        first
            .map(|part| {
                Ok((part.condition.name().to_owned(), robustness::pictures(self.context, *part)?))
            })
            .collect()
    }
}
