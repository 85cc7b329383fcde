//! Keys of earlier versions, rejected with their replacement.

use super::known::Known;
use std::collections::BTreeMap;
use toml::{Table, Value};

/// The message for a key that no longer exists.
pub(crate) fn key(path: &str) -> Option<String> {
    // A condition has the keys of [training].
    let path = path.replacen("training.conditions.", "training.", 1);
    let instead = match path.as_str() {
        "training.gamma" => {
            "write fixed weights as mixture = { fixed = [3, 1] }; leave it out for learned ones"
        }
        "training.taps" => "it is now training.layers",
        "training.centring" => "it is now training.centering",
        "training.early_matches" | "training.stop_at_accuracy_of" | "training.stop_after" => {
            "a training stopped within its schedule is not a valid control; add shorter trainings with their own schedule: \
             { target = \"none\", epochs = 5, keep = \"last\" }, and the report interpolates between them"
        }
        "training.noise_std" => {
            "in the condition, write robust_training = { noise = { std = 0.2 } }"
        }
        "training.attack_epsilon" | "training.attack_steps" => {
            "in the condition, write robust_training = { adversarial = { epsilon = 0.016, steps = 5 } }"
        }
        "similarity.network_layer" => "give the name as similarity.layer: layer = \"conv3_1\"",
        "robustness.border_steps" | "robustness.decision_boundary_steps" => {
            "robustness.passes is the budget of all attacks together, in forward and backward passes per image"
        }
        "response.optimisation" => "it is now response.optimization",
        "similarity.tap" => "it is now similarity.layer",
        _ => return None,
    };
    Some(instead.to_owned())
}

/// Converts a line of the earlier `training.conditions`, such as `denoised alpha=80`, to a table;
/// `None` if it never was valid.
pub(crate) fn condition(line: &str, known: &Known) -> Option<String> {
    let mut words = line.split_whitespace();
    let word = words.next()?;
    let mut own: BTreeMap<&str, Value> = BTreeMap::new();
    for setting in words {
        let (key, value) = setting.split_once('=')?;
        let value = format!("value = {value}")
            .parse()
            .ok()
            .and_then(|mut table: Table| table.remove("value"));
        own.insert(
            key,
            value.unwrap_or_else(|| Value::String(setting[key.len() + 1..].to_owned())),
        );
    }
    let training = |kind: &str| {
        let examples = known.examples("robust_training").into_iter().flatten();
        examples.filter_map(|example| example.get(kind)?.as_table()).next().cloned()
    };
    let mut taken = |key: &str, or: &Value| own.remove(key).unwrap_or_else(|| or.clone());
    // The report now interpolates between several controls instead of matching one.
    taken("early_matches", &Value::Boolean(true));
    let epochs = known.examples("epochs").and_then(|examples| examples.first()?.as_integer())?;
    let half = Value::Integer(epochs / 2);
    let noise: Table = training("noise")?
        .iter()
        .map(|(key, value)| (key.clone(), taken("noise_std", value)))
        .collect();
    let attack = training("adversarial")?;
    let attack: Table = attack
        .iter()
        .map(|(key, value)| (key.clone(), taken(&format!("attack_{key}"), value)))
        .collect();
    let mut table = Vec::new();
    let mut add = |key: &str, value: Value| table.push(format!("{key} = {value}"));
    let name = |name: &str| Value::String(name.to_owned());
    let one = |key: &str, value: Table| {
        Value::Table(Table::from_iter([(key.to_owned(), Value::Table(value))]))
    };
    match word {
        "stopped-early" => {
            add("target", name("none"));
            add("epochs", half);
            add("keep", name("last"));
        }
        "noise-augmented" => {
            add("target", name("none"));
            add("robust_training", one("noise", noise));
        }
        "adversarial" => {
            add("target", name("none"));
            add("robust_training", one("adversarial", attack));
        }
        target => add("target", name(super::Target::try_from(target.to_owned()).ok()?.name())),
    }
    for (key, value) in own {
        // An empty value or 0 used to mean unset.
        let nothing = value.as_array().is_some_and(Vec::is_empty);
        match key {
            "gamma" | "layers" | "taps" if nothing => {}
            "alpha_warm_up" if value.as_float() == Some(0.0) || value.as_integer() == Some(0) => {}
            "gamma" => {
                add("mixture", Value::Table(Table::from_iter([("fixed".to_owned(), value)])))
            }
            "taps" => add("layers", value),
            "centring" => add("centering", value),
            key => add(key, value),
        }
    }
    Some(format!("{{ {} }}", table.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_earlier_line_has_its_table() {
        let known = Known::of_conditions().unwrap();
        for (line, table) in [
            ("none", "{ target = \"none\" }"),
            ("denoised alpha=80 taps=[0]", "{ target = \"denoised\", alpha = 80, layers = [0] }"),
            (
                "raw gamma=[1,0] layers=[] centering=batch",
                "{ target = \"raw\", centering = \"batch\", mixture = { fixed = [1, 0] } }",
            ),
            ("stopped-early", "{ target = \"none\", epochs = 5, keep = \"last\" }"),
            (
                "stopped-early early_matches=raw",
                "{ target = \"none\", epochs = 5, keep = \"last\" }",
            ),
            (
                "noise-augmented",
                "{ target = \"none\", robust_training = { noise = { std = 0.2 } } }",
            ),
            (
                "adversarial attack_steps=1",
                "{ target = \"none\", robust_training = { adversarial = { epsilon = 0.016, steps = 1 } } }",
            ),
        ] {
            assert_eq!(condition(line, &known).as_deref(), Some(table), "{line}");
        }
        assert_eq!(condition("denoise", &known), None);
        assert_eq!(condition("", &known), None);
    }
}
