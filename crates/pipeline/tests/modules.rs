//! Checks in the source which module of the pipeline uses which: unlisted uses fail, and the list
//! has no cycle, so that artifacts never depend on the report, nor runs on stages.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A module, and the modules it uses. `lib.rs` only names the modules.
const ALLOWED: [(&str, &[&str]); 17] = [
    ("artifacts", &[]),
    ("synthetic", &[]),
    ("table", &["artifacts"]),
    ("tensorboard", &[]),
    ("config", &[]),
    ("run", &["config"]),
    ("grid", &["config", "run"]),
    ("report", &["artifacts", "table"]),
    ("adversarial", &["artifacts", "run", "table"]),
    (
        "stages",
        &["adversarial", "artifacts", "config", "grid", "report", "run", "table", "tensorboard"],
    ),
    ("records", &["adversarial", "artifacts", "config", "report", "run", "table"]),
    ("denoise", &["config", "run", "stages", "table"]),
    ("files", &["artifacts"]),
    ("import", &[]),
    ("export", &[]),
    ("compare", &["files", "table"]),
    ("similarities", &["run", "synthetic"]),
];

/// Benchmarks stand apart: they time the other modules.
const BENCH: (&str, &[&str]) = ("bench", &["adversarial", "run", "synthetic"]);

fn allowed() -> BTreeMap<&'static str, &'static [&'static str]> {
    ALLOWED.into_iter().chain([BENCH]).collect()
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Every module named after `crate::` in a file.
fn used(text: &str) -> BTreeSet<&str> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let behind = code.flat_map(|line| line.split("crate::").skip(1));
    behind
        .flat_map(|rest| rest.split(|c: char| !(c.is_alphanumeric() || c == '_')).next())
        .collect()
}

#[test]
fn modules_use_only_what_is_listed() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    files(&source, &mut found);
    let allowed = allowed();
    let mut seen = BTreeSet::new();
    for path in found {
        let text = std::fs::read_to_string(&path).unwrap();
        let inside = path.strip_prefix(&source).unwrap();
        let first = inside.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
        let module = first.trim_end_matches(".rs").to_owned();
        let uses = used(&text);
        if module == "lib" {
            assert!(uses.is_empty(), "lib.rs uses {uses:?}; it should only name the modules");
            continue;
        }
        let (module, allowed) = allowed
            .get_key_value(module.as_str())
            .unwrap_or_else(|| panic!("{module} is not listed here"));
        // A brace after `crate::` would hide the modules used.
        assert!(
            !text.contains("use crate::{"),
            "{}: one `use crate::module` for each module",
            inside.display()
        );
        assert!(
            !text.contains("super::super::super"),
            "{}: name the module from `crate::`",
            inside.display()
        );
        for name in uses.into_iter().filter(|name| name != module) {
            assert!(allowed.contains(&name), "{}: {module} must not use {name}", inside.display());
            seen.insert((*module, name.to_owned()));
        }
    }
    for (module, uses) in allowed {
        for name in uses {
            assert!(
                seen.contains(&(module, (*name).to_owned())),
                "{module} no longer uses {name}; remove it from the list"
            );
        }
    }
}

#[test]
fn the_list_has_no_circle() {
    let mut left = allowed();
    while !left.is_empty() {
        let free = left
            .iter()
            .find(|(_, uses)| uses.iter().all(|name| !left.contains_key(name)))
            .map(|(module, _)| *module);
        let free = free.unwrap_or_else(|| panic!("a cycle among {:?}", left.keys()));
        left.remove(free);
    }
}
