//! `[training]`: the settings of the library's trainings, and what is trained by them.

use super::known::Known;
use super::{Arm, replaced};
use anyhow::{Result, bail, ensure};
use brainprior_classifier::TrainConfig;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

/// What is trained, and how.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "Section")]
pub(crate) struct Training {
    pub(crate) seeds: u64,
    /// What all arms have that say nothing else.
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
        // First, so that what is wrong with it is not said of a condition.
        let settings: TrainConfig = common.clone().try_into()?;
        check(&settings)?;
        let known = Known::of_conditions()?;
        let tables = tables(conditions, &known)?;
        let conditions = tables.into_iter().map(|table| Arm::new(table, &common, &known)).collect::<Result<_>>()?;
        Ok(Self { seeds, common: settings, conditions })
    }

    /// Whether trainings can be asked for this, as far as that is known without their data.
    pub(crate) fn check(&self) -> Result<()> {
        ensure!(!self.conditions.is_empty(), "training.conditions is empty; give at least {{ target = \"none\" }}");
        for (index, arm) in self.conditions.iter().enumerate() {
            ensure!(
                self.conditions[..index].iter().all(|other| other.folder() != arm.folder()),
                "training.conditions: `{}` stands there twice; tell them apart by name = \"..\"",
                arm.name()
            );
            self.compared(arm)?;
        }
        Ok(())
    }

    /// What decides where an arm is stopped early: the same training, whole, and the one whose accuracy it is to reach. Nothing for
    /// an arm that is not.
    ///
    /// # Errors
    /// Either is not among the conditions.
    pub(crate) fn compared(&self, arm: &Arm) -> Result<Option<[&Arm; 2]>> {
        let Some(reached) = arm.stop_at_accuracy_of() else { return Ok(None) };
        let mut whole = self.conditions.iter().filter(|other| other.stop_at_accuracy_of().is_none());
        let Some(other) = whole.clone().find(|other| other.name() == reached) else {
            bail!(
                "training.conditions: `{}` stops at the accuracy of `{reached}`, which is not among those that are trained to their \
                 end; add it",
                arm.name()
            );
        };
        let Some(same) = whole.find(|other| other.trains_as(arm)) else {
            bail!(
                "training.conditions: `{}` stops early, but the same training to its end is not among them; add {}",
                arm.name(),
                arm.written_whole()
            );
        };
        Ok(Some([same, other]))
    }
}

/// The conditions, unless some are lines of an earlier version.
fn tables(conditions: Vec<Value>, known: &Known) -> Result<Vec<Table>> {
    let mut tables = Vec::new();
    let mut lines = Vec::new();
    for value in conditions {
        match value {
            Value::Table(table) => tables.push(table),
            Value::String(line) => lines.push(line),
            value => bail!("training.conditions: expected tables, as {{ target = \"denoised\" }}, found {value}"),
        }
    }
    if lines.is_empty() {
        return Ok(tables);
    }
    let replacements: Option<Vec<String>> = lines.iter().map(|line| replaced::condition(line, known)).collect();
    match replacements {
        Some(replacements) => bail!(
            "training.conditions holds tables now, not lines; instead of {lines:?} write\n[\n    {},\n]",
            replacements.join(",\n    ")
        ),
        None => bail!("training.conditions: expected tables, as {{ target = \"denoised\" }}, found {lines:?}"),
    }
}

/// Whether a training can be asked for this, as far as that is known without its data.
pub(crate) fn check(settings: &TrainConfig) -> Result<()> {
    ensure!(settings.alpha_warm_up != Some(0.0), "training.alpha_warm_up is 0; leave it out for an alpha that is constant");
    ensure!(settings.layers.as_deref() != Some(&[]), "training.layers is empty; leave it out for all layers");
    settings.check().map_err(|error| anyhow::anyhow!("training.{error}"))
}
