//! The three layers of a configuration: the embedded default, a file, and `--set` on the command line.
//!
//! The embedded default lists every key, so it is also the list of what may be set.

use anyhow::{Context, Result, bail};
use std::path::Path;
use toml::{Table, Value};

/// Puts `file` and then `overrides` (`section.key=value`) over `default`.
///
/// # Errors
/// An unknown key, with the nearest valid one; a value of another type than the default's; a file that is not TOML.
pub(crate) fn layer(default: &str, file: Option<&Path>, overrides: &[String]) -> Result<Table> {
    let mut table: Table = default.parse().context("the embedded default is not valid TOML")?;
    if let Some(path) = file {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("could not read the configuration {}", path.display()))?;
        let over: Table = text.parse().with_context(|| format!("{} is not valid TOML", path.display()))?;
        merge(&mut table, over, &path.display().to_string(), "")?;
    }
    for item in overrides {
        let (key, value) = item
            .split_once('=')
            .with_context(|| format!("--set {item}: expected SECTION.KEY=VALUE, for example training.epochs=12"))?;
        let over = nested(key.trim(), parse_value(value.trim()));
        merge(&mut table, over, &format!("--set {item}"), "")?;
    }
    Ok(table)
}

/// A value in TOML; what is not TOML (a bare word, a path) is a string.
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

fn merge(base: &mut Table, over: Table, source: &str, section: &str) -> Result<()> {
    for (key, value) in over {
        let path = if section.is_empty() { key.clone() } else { format!("{section}.{key}") };
        let Some(known) = base.get_mut(&key) else {
            bail!("{source}: unknown key `{path}`{}", suggestion(base, &key, section));
        };
        match (known, value) {
            (Value::Table(known), Value::Table(value)) => merge(known, value, source, &path)?,
            (known, value) => *known = fitting(known, value, source, &path)?,
        }
    }
    Ok(())
}

/// Takes the new value if its type is the default's; a whole number serves where a fraction is expected.
fn fitting(known: &Value, value: Value, source: &str, path: &str) -> Result<Value> {
    let value = match (known, value) {
        (Value::Float(_), Value::Integer(number)) => Value::Float(number as f64),
        (Value::Array(_), value) if !value.is_array() && !value.is_table() => Value::Array(vec![value]),
        (_, value) => value,
    };
    if known.same_type(&value) {
        return Ok(value);
    }
    bail!("{source}: `{path}` expects {} (the default is {known}), found {}: {value}", known.type_str(), value.type_str());
}

fn suggestion(known: &Table, key: &str, section: &str) -> String {
    let nearest = known.keys().max_by(|a, b| strsim::jaro_winkler(a, key).total_cmp(&strsim::jaro_winkler(b, key)));
    let place = if section.is_empty() { "at the top level".to_owned() } else { format!("in [{section}]") };
    let all = known.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    match nearest {
        Some(nearest) => format!("; did you mean `{nearest}`? Valid {place}: {all}"),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULT: &str = "name = \"default\"\n[training]\nepochs = 10\nalpha = 20.0\nconditions = [\"none\"]\n";

    #[test]
    fn later_layers_win_and_bare_words_are_strings() {
        let table = layer(DEFAULT, None, &["training.epochs=3".into(), "training.alpha=5".into(), "name=lab".into()]).unwrap();
        assert_eq!(table["name"].as_str(), Some("lab"));
        assert_eq!(table["training"]["epochs"].as_integer(), Some(3));
        assert_eq!(table["training"]["alpha"].as_float(), Some(5.0));
    }

    #[test]
    fn an_unknown_key_names_the_nearest() {
        let error = layer(DEFAULT, None, &["training.epoch=3".into()]).unwrap_err().to_string();
        assert!(error.contains("unknown key `training.epoch`; did you mean `epochs`?"), "{error}");
    }

    #[test]
    fn an_unknown_key_in_a_file_names_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lab.toml");
        std::fs::write(&path, "[trainings]\nepochs = 1\n").unwrap();
        let error = layer(DEFAULT, Some(&path), &[]).unwrap_err().to_string();
        assert!(error.contains("lab.toml") && error.contains("did you mean `training`?"), "{error}");
    }

    #[test]
    fn a_wrong_type_shows_the_default() {
        let error = layer(DEFAULT, None, &["training.epochs=many".into()]).unwrap_err().to_string();
        assert!(error.contains("expects integer (the default is 10), found string"), "{error}");
    }
}
