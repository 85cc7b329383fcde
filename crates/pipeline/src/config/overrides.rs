//! The three layers of a configuration: the embedded default, a file, and `--set` on the command
//! line.

use super::known::Known;
use super::replaced;
use anyhow::{Context, Result, bail, ensure};
use std::path::Path;
use toml::{Table, Value};

/// Maximum number of parts of a key.
const DEEPEST: usize = 8;

/// Overrides `default` by `file` and then by `overrides` (`section.key=value`).
///
/// # Errors
/// Returns an error if a key is unknown (with the nearest valid one), a value has the wrong type,
/// or a file is not TOML.
pub(crate) fn layer(default: &str, file: Option<&Path>, overrides: &[String]) -> Result<Table> {
    let known = Known::of(default)?;
    let mut table: Table = default.parse().context("the embedded default is not valid TOML")?;
    if let Some(path) = file {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("could not read the configuration {}", path.display()))?;
        let over: Table =
            text.parse().with_context(|| format!("{} is not valid TOML", path.display()))?;
        merge(&mut table, over, &known, &path.display().to_string(), "")?;
    }
    for item in overrides {
        let (key, value) = item.split_once('=').with_context(|| {
            format!("--set {item}: expected SECTION.KEY=VALUE, for example training.epochs=12")
        })?;
        // No section is nested as deeply; merging deeper ones would recurse as deeply.
        ensure!(
            key.matches('.').count() < DEEPEST,
            "--set {item}: the key has more than {DEEPEST} parts"
        );
        let over = nested(key.trim(), parse_value(value.trim()));
        merge(&mut table, over, &known, &format!("--set {item}"), "")?;
    }
    Ok(table)
}

/// Parses a value as TOML; anything else (a bare word, a path) is a string.
fn parse_value(text: &str) -> Value {
    format!("value = {text}")
        .parse::<Table>()
        .ok()
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| Value::String(text.to_owned()))
}

fn nested(key: &str, value: Value) -> Table {
    let mut parts = key.rsplit('.');
    let mut table = Table::new();
    table.insert(parts.next().unwrap_or_default().to_owned(), value);
    for part in parts {
        let mut outer = Table::new();
        outer.insert(part.to_owned(), Value::Table(table));
        table = outer;
    }
    table
}

/// Merges the keys of `over`, found by `source` in `section`, into `base`.
///
/// # Errors
/// Returns an error if a key is unknown (with the nearest valid one) or a value has the wrong type.
pub(crate) fn merge(
    base: &mut Table,
    over: Table,
    known: &Known,
    source: &str,
    section: &str,
) -> Result<()> {
    for (key, value) in over {
        let path = if section.is_empty() { key.clone() } else { format!("{section}.{key}") };
        if let Some(examples) = known.examples(&key) {
            base.insert(key, fitting(examples, value, source, &path)?);
            continue;
        }
        let Some(within) = known.section(&key) else {
            let instead = replaced::key(&path).unwrap_or_else(|| suggestion(known, &key, section));
            bail!("{source}: unknown key `{path}`; {instead}");
        };
        match (base.entry(key).or_insert_with(|| Value::Table(Table::new())), value) {
            (Value::Table(base), Value::Table(over)) => merge(base, over, within, source, &path)?,
            (_, value) => {
                bail!("{source}: `{path}` is a section, found {}: {value}", value.type_str())
            }
        }
    }
    Ok(())
}

/// Accepts the new value if some example has its type; integers are accepted for floats.
fn fitting(examples: &[Value], value: Value, source: &str, path: &str) -> Result<Value> {
    let fits = |value: &Value| examples.iter().any(|example| example.same_type(value));
    if fits(&value) {
        return Ok(value);
    }
    let value = match value {
        Value::Integer(number) if fits(&Value::Float(0.0)) => {
            return Ok(Value::Float(number as f64));
        }
        value if fits(&Value::Array(Vec::new())) => return Ok(Value::Array(vec![value])),
        value => value,
    };
    let mut types: Vec<&str> = examples.iter().map(Value::type_str).collect();
    types.dedup();
    let examples: Vec<String> = examples.iter().map(Value::to_string).collect();
    bail!(
        "{source}: `{path}` expects {} (for example {}), found {}: {value}",
        types.join(" or "),
        examples.join(" or "),
        value.type_str()
    );
}

/// Names the sections that have the key, or else the most similar key of this one.
fn suggestion(known: &Known, key: &str, section: &str) -> String {
    let places = known.places_of(key);
    if !places.is_empty() {
        let within = if section.is_empty() { String::new() } else { format!("{section}.") };
        let named: Vec<String> = places.iter().map(|place| format!("`{within}{place}`")).collect();
        return format!("did you mean {}?", named.join(" or "));
    }
    let nearest = known
        .names()
        .max_by(|a, b| strsim::jaro_winkler(a, key).total_cmp(&strsim::jaro_winkler(b, key)));
    let place =
        if section.is_empty() { "at the top level".to_owned() } else { format!("in [{section}]") };
    let all = known.names().collect::<Vec<_>>().join(", ");
    format!("did you mean `{}`? Valid {place}: {all}", nearest.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULT: &str = "name = \"default\"\n[training]\nepochs = 10\nalpha = 20.0\nfiles = [\"a\"]\n#layers = [0]\n\
                           mixture = \"learned\"\n#mixture = { fixed = [1] }\n";

    fn set(settings: &[&str]) -> Result<Table> {
        layer(
            DEFAULT,
            None,
            &settings.iter().map(|setting| (*setting).to_owned()).collect::<Vec<_>>(),
        )
    }

    #[test]
    fn later_layers_win_and_bare_words_are_strings() {
        let table = set(&["training.epochs=3", "training.alpha=5", "training.files=b", "name=lab"])
            .unwrap();
        assert_eq!(table["name"].as_str(), Some("lab"));
        assert_eq!(table["training"]["epochs"].as_integer(), Some(3));
        assert_eq!(table["training"]["alpha"].as_float(), Some(5.0));
        assert_eq!(table["training"]["files"][0].as_str(), Some("b"));
    }

    #[test]
    fn a_key_of_very_many_parts_is_refused() {
        let error = set(&[&format!("{}b=1", "a.".repeat(100_000))]).unwrap_err().to_string();
        assert!(error.ends_with("the key has more than 8 parts"), "{}", &error[error.len() - 60..]);
    }

    #[test]
    fn a_key_that_is_left_out_can_be_set_and_a_table_replaces_a_word() {
        assert!(set(&[]).unwrap()["training"].get("layers").is_none());
        let table = set(&[
            "training.layers=[1, 2]",
            "training.mixture={fixed=[3]}",
            "training.mixture={other=1}",
        ])
        .unwrap();
        assert_eq!(table["training"]["layers"][1].as_integer(), Some(2));
        assert_eq!(table["training"]["mixture"].to_string(), "{ other = 1 }");
    }

    #[test]
    fn an_unknown_key_names_the_nearest() {
        let error = set(&["training.epoch=3"]).unwrap_err().to_string();
        assert!(error.contains("unknown key `training.epoch`; did you mean `epochs`?"), "{error}");
    }

    #[test]
    fn a_key_without_its_section_names_the_section() {
        let error = set(&["alpha=3"]).unwrap_err().to_string();
        assert!(error.ends_with("unknown key `alpha`; did you mean `training.alpha`?"), "{error}");
    }

    #[test]
    fn an_unknown_key_in_a_file_names_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lab.toml");
        std::fs::write(&path, "[trainings]\nepochs = 1\n").unwrap();
        let error = layer(DEFAULT, Some(&path), &[]).unwrap_err().to_string();
        assert!(
            error.contains("lab.toml") && error.contains("did you mean `training`?"),
            "{error}"
        );
    }

    #[test]
    fn a_wrong_type_shows_what_the_key_can_have() {
        let error = set(&["training.epochs=many"]).unwrap_err().to_string();
        assert!(error.contains("expects integer (for example 10), found string"), "{error}");
        let error = set(&["training.mixture=3"]).unwrap_err().to_string();
        assert!(
            error.contains("string or table (for example \"learned\" or { fixed = [1] })"),
            "{error}"
        );
        let error = set(&["training=3"]).unwrap_err().to_string();
        assert!(error.contains("`training` is a section"), "{error}");
    }
}
