//! Conditions of the grid: a target, and training settings that differ from `[training]`.

use super::known::Known;
use super::{Target, overrides};
use anyhow::{Context as _, Result, bail, ensure};
use brainprior_classifier::{RobustTraining, TrainConfig};
use serde::{Deserialize, Serialize, Serializer};
use toml::{Table, Value};

/// One entry of `training.conditions`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Arm {
    name: String,
    kind: String,
    own: Table,
    target: Target,
    force: Option<f64>,
    keep: Keep,
    training: TrainConfig,
    written: Table,
}

/// Which network of a training is evaluated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Keep {
    /// The one with the lowest loss on the validation images.
    #[default]
    Best,
    /// The one after the last epoch, at the end of the learning rate schedule.
    Last,
}

/// Keys of `[training]` that only concern pairs of stimuli, which [`without_target`] resets.
const OF_PAIRS: [&str; 9] = [
    "pairs",
    "alpha",
    "alpha_warm_up",
    "layers",
    "mixture",
    "centering",
    "target_limit",
    "loss_scale",
    "running_statistics",
];

/// Keys of a condition itself.
#[derive(Deserialize)]
struct Written {
    target: Target,
    name: Option<String>,
    force: Option<f64>,
    keep: Option<Keep>,
    #[serde(flatten)]
    training: Table,
}

impl Arm {
    /// Makes the condition described by `written`, based on the settings in `[training]`.
    ///
    /// # Errors
    /// Returns an error if a target or key does not exist, a value is out of range, or a name
    /// cannot be a folder name.
    pub(crate) fn new(written: Table, common: &Table, known: &Known) -> Result<Self> {
        let inline = Value::Table(written.clone());
        let wrong = || format!("training.conditions, {inline}");
        let Written { target, name, force, keep, training: mut own } =
            written.clone().try_into().with_context(wrong)?;
        if let Some(force) = force {
            ensure!(
                !own.contains_key("alpha"),
                "{}: `force` replaces `alpha`; leave one of them out",
                wrong()
            );
            ensure!(
                target.has_pairs(),
                "{}: target `{}` has no force; leave it out",
                wrong(),
                target.name()
            );
            ensure!(
                force >= 0.0 && force.is_finite(),
                "{}: force: expected a number of at least 0, found {force}",
                wrong()
            );
        }
        if let Some(key) =
            OF_PAIRS.into_iter().find(|key| !target.has_pairs() && own.contains_key(*key))
        {
            bail!(
                "{}: target `{}` has no pairs, so {key} has no effect; leave it out",
                wrong(),
                target.name()
            );
        }
        let mut settings = common.clone();
        overrides::merge(&mut settings, own.clone(), known, &wrong(), "training.conditions")?;
        let training: TrainConfig = settings.try_into().with_context(wrong)?;
        super::training::check(&training).with_context(wrong)?;
        let robust = own.contains_key("robust_training").then_some(training.robust_training);
        let kind = kind(target, robust);
        own.remove("robust_training");
        own.extend(
            ["force", "keep"]
                .into_iter()
                .filter_map(|key| Some((key.to_owned(), written.get(key)?.clone()))),
        );
        let name = name.unwrap_or_else(|| described(&kind, &own));
        let usable = |c: char| c.is_alphanumeric() || " ._=,+-[]{}".contains(c);
        ensure!(
            name.starts_with(char::is_alphanumeric) && name.chars().all(usable),
            "{}: the name `{name}` is also used for folders; give one with only letters, digits, spaces and . _ - = , + by name = \"..\"",
            wrong()
        );
        let training = if target.has_pairs() { training } else { without_target(training) };
        // A force sets alpha once the target is known.
        let training = if force.is_some() {
            TrainConfig { alpha: TrainConfig::default().alpha, ..training }
        } else {
            training
        };
        Ok(Self {
            name,
            kind,
            own,
            target,
            force,
            keep: keep.unwrap_or_default(),
            training,
            written,
        })
    }

    /// Name in results and on the command line.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Name in folder names.
    pub(crate) fn folder(&self) -> String {
        self.name.replace(' ', "_")
    }

    /// What the condition does, apart from its settings: the target, or `noise-augmented`,
    /// `adversarial`, or both.
    pub(crate) fn kind(&self) -> &str {
        &self.kind
    }

    /// Keys of its own settings that `kind` does not already express.
    pub(crate) fn own(&self) -> impl Iterator<Item = &str> {
        self.own.keys().map(String::as_str)
    }

    /// The target of the similarity loss.
    pub(crate) fn target(&self) -> Target {
        self.target
    }

    /// The force of the target, if given in place of alpha.
    pub(crate) fn force(&self) -> Option<f64> {
        self.force
    }

    /// Which network of its training is evaluated.
    pub(crate) fn keep(&self) -> Keep {
        self.keep
    }

    /// `[training]` with this condition's own settings. Without a target, the settings of pairs
    /// have their defaults: they have no effect, so that changing them makes no network stale and
    /// interrupts no resumable training.
    pub(crate) fn training(&self) -> &TrainConfig {
        &self.training
    }

    /// Whether it is the training of `baseline` with at most as many epochs, completing its own
    /// learning rate schedule.
    pub(crate) fn is_shorter(&self, baseline: &Self) -> bool {
        self.target == baseline.target
            && self.keep == Keep::Last
            && self.training.epochs <= baseline.training.epochs
            && baseline.training
                == TrainConfig { epochs: baseline.training.epochs, ..self.training.clone() }
    }
}

impl Serialize for Arm {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.written.serialize(serializer)
    }
}

fn kind(target: Target, robust: Option<RobustTraining>) -> String {
    let robust = robust.map(|robust| match robust {
        RobustTraining::None => "not-robust",
        RobustTraining::Noise { .. } => "noise-augmented",
        RobustTraining::Adversarial { .. } => "adversarial",
    });
    let mut words: Vec<&str> = robust.into_iter().collect();
    if target.has_pairs() || words.is_empty() {
        words.insert(0, target.name());
    }
    words.join(" ")
}

/// A description: the kind, then the other settings, as in `denoised alpha=80 layers=[0,2]`.
fn described(kind: &str, own: &Table) -> String {
    let settings = own.iter().map(|(key, value)| format!("{key}={}", compact(value)));
    std::iter::once(kind.to_owned()).chain(settings).collect::<Vec<_>>().join(" ")
}

/// A value without spaces and quotes.
fn compact(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => {
            format!("[{}]", values.iter().map(compact).collect::<Vec<_>>().join(","))
        }
        Value::Table(table) => {
            let pairs: Vec<String> =
                table.iter().map(|(key, value)| format!("{key}={}", compact(value))).collect();
            format!("{{{}}}", pairs.join(","))
        }
        value => value.to_string(),
    }
}

fn without_target(training: TrainConfig) -> TrainConfig {
    let TrainConfig {
        pairs,
        alpha,
        alpha_warm_up,
        layers,
        mixture,
        centering,
        target_limit,
        loss_scale,
        running_statistics,
        ..
    } = TrainConfig::default();
    TrainConfig {
        pairs,
        alpha,
        alpha_warm_up,
        layers,
        mixture,
        centering,
        target_limit,
        loss_scale,
        running_statistics,
        ..training
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Config, MatrixTarget};
    use super::*;

    fn arm(table: &str) -> Result<Arm> {
        let config = Config::load(None, &[])?;
        let common = Table::try_from(&config.training.common)?;
        Arm::new(
            format!("arm = {table}").parse::<Table>()?["arm"].as_table().unwrap().clone(),
            &common,
            &Known::of_conditions()?,
        )
    }

    #[test]
    fn an_arm_is_a_target_with_settings_of_its_own() {
        let common = Config::load(None, &[]).unwrap().training.common;
        let found = arm("{ target = \"denoised\", layers = [0, 2], alpha = 80 }").unwrap();
        assert_eq!(
            (found.target(), found.name()),
            (Target::Matrix(MatrixTarget::Denoised), "denoised alpha=80 layers=[0,2]")
        );
        assert_eq!(found.folder(), "denoised_alpha=80_layers=[0,2]");
        assert_eq!(
            found.training(),
            &TrainConfig { alpha: 80.0, layers: Some(vec![0, 2]), ..common }
        );
    }

    #[test]
    fn names_are_given_or_say_what_is_done() {
        for (table, name) in [
            ("{ target = \"none\" }", "none"),
            (
                "{ target = \"none\", robust_training = { noise = { std = 0.2 } } }",
                "noise-augmented",
            ),
            (
                "{ target = \"none\", robust_training = { adversarial = { epsilon = 0.01, steps = 2 } } }",
                "adversarial",
            ),
            ("{ target = \"none\", epochs = 4, keep = \"last\" }", "none epochs=4 keep=last"),
            ("{ target = \"raw\", force = 0.5 }", "raw force=0.5"),
            (
                "{ target = \"labels\", robust_training = { noise = { std = 0.2 } } }",
                "labels noise-augmented",
            ),
            (
                "{ target = \"raw\", mixture = { fixed = [1, 0, 0, 0, 1] } }",
                "raw mixture={fixed=[1,0,0,0,1]}",
            ),
            ("{ target = \"raw\", alpha = 3, name = \"weak raw\" }", "weak raw"),
        ] {
            assert_eq!(arm(table).unwrap().name(), name);
        }
        assert!(
            arm("{ target = \"raw\", name = \"a/b\" }").unwrap_err().to_string().contains("`a/b`")
        );
    }

    #[test]
    fn what_an_arm_gets_wrong_is_named() {
        for (table, parts) in [
            ("{ target = \"denoised\", alfa = 80 }", ["alfa = 80", "did you mean `alpha`"]),
            ("{ target = \"denoise\" }", ["unknown target `denoise`", "`denoised`"]),
            ("{ alpha = 80 }", ["missing field `target`", "alpha = 80"]),
            ("{ target = \"raw\", alpha = -1 }", ["alpha: expected a number of at least 0", "-1"]),
            ("{ target = \"raw\", layers = [] }", ["layers = []", "leave it out"]),
            ("{ target = \"raw\", snapshots = true }", ["unknown key", "snapshots"]),
            ("{ target = \"raw\", noise_std = 0.1 }", ["unknown key", "noise_std"]),
            (
                "{ target = \"raw\", alpha = 3, force = 1 }",
                ["`force` replaces `alpha`", "alpha = 3"],
            ),
            (
                "{ target = \"none\", alpha = 2 }",
                ["target `none` has no pairs", "alpha has no effect; leave it out"],
            ),
            ("{ target = \"none\", force = 1 }", ["target `none` has no force", "leave it out"]),
            ("{ target = \"raw\", force = -1 }", ["at least 0", "found -1"]),
            ("{ target = \"raw\", keep = \"first\" }", ["first", "`best`"]),
            (
                "{ target = \"none\", stop_at_accuracy_of = \"raw\" }",
                ["unknown key", "keep = \"last\""],
            ),
        ] {
            let error = format!("{:#}", arm(table).unwrap_err());
            assert!(parts.iter().all(|part| error.contains(part)), "{error}");
        }
    }

    #[test]
    fn settings_of_targets_are_none_of_an_arm_without_one() {
        let with = |common: &str, target: &str| {
            let config = Config::load(None, &[common.to_owned()]).unwrap();
            let common = Table::try_from(&config.training.common).unwrap();
            let written = format!("target = \"{target}\"").parse().unwrap();
            Arm::new(written, &common, &Known::of_conditions().unwrap()).unwrap().training().clone()
        };
        let default = "training.epochs=10";
        for common in
            ["alpha=3", "pairs=5", "layers=[1]", "alpha_warm_up=0.5", "centering=\"batch\""]
        {
            let common = format!("training.{common}");
            assert_eq!(with(&common, "none"), with(default, "none"), "{common}");
            assert_ne!(with(&common, "denoised"), with(default, "denoised"), "{common}");
        }
        assert_ne!(with("training.epochs=3", "none"), with(default, "none"));
    }

    #[test]
    fn a_shorter_training_is_complete_and_differs_in_its_length_alone() {
        let baseline = arm("{ target = \"none\" }").unwrap();
        for (table, shorter) in [
            ("{ target = \"none\", epochs = 4, keep = \"last\" }", true),
            ("{ target = \"none\", keep = \"last\", name = \"whole\" }", true),
            ("{ target = \"none\", epochs = 4 }", false),
            ("{ target = \"none\", epochs = 400, keep = \"last\" }", false),
            ("{ target = \"none\", epochs = 4, keep = \"last\", momentum = 0.5 }", false),
            ("{ target = \"raw\", epochs = 4, keep = \"last\" }", false),
        ] {
            assert_eq!(arm(table).unwrap().is_shorter(&baseline), shorter, "{table}");
        }
    }

    #[test]
    fn a_force_takes_the_place_of_whatever_alpha_all_have() {
        let common = |alpha: f64| {
            let config = Config::load(None, &[format!("training.alpha={alpha}")]).unwrap();
            Table::try_from(&config.training.common).unwrap()
        };
        let written: Table = "target = \"raw\"\nforce = 2".parse().unwrap();
        let of = |alpha| {
            Arm::new(written.clone(), &common(alpha), &Known::of_conditions().unwrap()).unwrap()
        };
        assert_eq!((of(3.0).force(), of(3.0).training()), (Some(2.0), of(5.0).training()));
    }
}
