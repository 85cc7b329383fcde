//! `[training]`: training settings and the conditions trained with them.

use super::known::Known;
use super::{Arm, Target, replaced};
use anyhow::{Result, bail, ensure};
use brainprior_classifier::TrainConfig;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

/// The settings of the trainings and their conditions.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "Section")]
pub(crate) struct Training {
    pub(crate) seeds: u64,
    /// Settings of all conditions unless they override them.
    #[serde(flatten)]
    pub(crate) common: TrainConfig,
    pub(crate) conditions: Vec<Arm>,
}

#[derive(Deserialize)]
struct Section {
    seeds: u64,
    conditions: Vec<Value>,
    #[serde(flatten)]
    common: Table,
}

impl TryFrom<Section> for Training {
    type Error = String;

    fn try_from(section: Section) -> Result<Self, String> {
        Self::resolved(section).map_err(|error| format!("{error:#}"))
    }
}

impl Training {
    fn resolved(section: Section) -> Result<Self> {
        let Section { seeds, conditions, common } = section;
        // Check these first, so that an error is not attributed to a condition.
        let settings: TrainConfig = common.clone().try_into()?;
        check(&settings)?;
        let known = Known::of_conditions()?;
        let tables = tables(conditions, &known)?;
        let conditions = tables
            .into_iter()
            .map(|table| Arm::new(table, &common, &known))
            .collect::<Result<_>>()?;
        Ok(Self { seeds, common: settings, conditions })
    }

    /// The reference condition for all others: the first without a target and robust training,
    /// preferably one without settings of its own.
    pub(crate) fn baseline(&self) -> Option<&Arm> {
        let mut plain = self.conditions.iter().filter(|arm| arm.kind() == Target::None.name());
        plain.clone().find(|arm| arm.own().next().is_none()).or_else(|| plain.next())
    }

    /// Checks the settings as far as possible without the data.
    pub(crate) fn check(&self) -> Result<()> {
        ensure!(
            !self.conditions.is_empty(),
            "training.conditions is empty; give at least {{ target = \"none\" }}"
        );
        for (index, arm) in self.conditions.iter().enumerate() {
            ensure!(
                self.conditions[..index].iter().all(|other| other.folder() != arm.folder()),
                "training.conditions: `{}` appears twice; tell them apart by name = \"..\"",
                arm.name()
            );
        }
        Ok(())
    }

    /// Shorter, complete trainings of the baseline, between which the report interpolates its
    /// results to other clean accuracies.
    pub(crate) fn shorter(&self) -> Vec<&Arm> {
        let Some(baseline) = self.baseline() else { return Vec::new() };
        self.conditions.iter().filter(|arm| *arm != baseline && arm.is_shorter(baseline)).collect()
    }
}

/// The conditions as tables; lines of an earlier version are an error.
fn tables(conditions: Vec<Value>, known: &Known) -> Result<Vec<Table>> {
    let mut tables = Vec::new();
    let mut lines = Vec::new();
    for value in conditions {
        match value {
            Value::Table(table) => tables.push(table),
            Value::String(line) => lines.push(line),
            value => bail!(
                "training.conditions: expected tables like {{ target = \"denoised\" }}, found {value}"
            ),
        }
    }
    if lines.is_empty() {
        return Ok(tables);
    }
    let replacements: Option<Vec<String>> =
        lines.iter().map(|line| replaced::condition(line, known)).collect();
    match replacements {
        Some(replacements) => bail!(
            "training.conditions now holds tables, not lines; instead of {lines:?} write\n[\n    {},\n]",
            replacements.join(",\n    ")
        ),
        None => bail!(
            "training.conditions: expected tables like {{ target = \"denoised\" }}, found {lines:?}"
        ),
    }
}

/// Checks the settings as far as possible without the data.
pub(crate) fn check(settings: &TrainConfig) -> Result<()> {
    ensure!(
        settings.alpha_warm_up != Some(0.0),
        "training.alpha_warm_up is 0; leave it out for a constant alpha"
    );
    ensure!(
        settings.layers.as_deref() != Some(&[]),
        "training.layers is empty; leave it out for all layers"
    );
    settings.check().map_err(|error| anyhow::anyhow!("training.{error}"))
}
