//! Names that the field has other words for, and that were replaced once, do not come back.

use std::path::{Path, PathBuf};

/// A removed name, and the one that stands in its place.
const REMOVED: &[(&str, &str)] = &[
    ("Traced", "autograd::FeatureMap"),
    ("traced", "autograd"),
    ("Goal", "Criterion"),
    ("goal", "criterion"),
    ("Aim", "AttackKind"),
    ("propose", "set_candidate"),
    ("offer", "keep_if_closer"),
    ("border", "decision_boundary"),
    ("borders", "decision_boundary"),
    ("LogitsRatio", "Dlr"),
    ("Closest", "MinimalPerturbations"),
    ("Known", "ImageRecord"),
    ("Examples", "LabeledBatch"),
    ("Hardening", "RobustTraining"),
    ("hardening", "robust_training"),
    ("taps", "layers"),
    ("tap", "layer"),
    ("Purpose", "rng::Stream"),
    ("streams", "rng"),
    ("Circumstances", "SimulationConstants or BehavioralState"),
    ("Cell", "SimulatedNeuron"),
    ("Source", "ScanVectors"),
    ("Alike", "neighbors"),
    ("alike", "neighbors"),
    ("frame", "padded_image"),
    ("tap_sums", "weight_gradient"),
    ("pass", "batch"),
    ("unwritten", "uninit"),
    ("made", "synthetic"),
    ("shared", "intersection"),
];

/// Words behind which Rust defines a name.
const DEFINING: [&str; 9] = ["struct", "enum", "trait", "type", "fn", "mod", "const", "static", "union"];

fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder of the workspace") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The names that a line of Rust defines: items, and a variant that stands alone on it.
fn defined(line: &str) -> Vec<&str> {
    let code = line.split("//").next().unwrap_or_default();
    let words: Vec<&str> = code.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty()).collect();
    let mut names: Vec<&str> = words.windows(2).filter(|pair| DEFINING.contains(&pair[0])).map(|pair| pair[1]).collect();
    let trimmed = code.trim();
    let variant = trimmed.trim_end_matches(['{', '(', ',']).trim_end();
    if variant != trimmed && variant.starts_with(char::is_uppercase) && variant.chars().all(char::is_alphanumeric) {
        names.push(variant);
    }
    names
}

#[test]
fn removed_names_are_defined_nowhere() {
    let workspace = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let mut files = Vec::new();
    for folder in ["crates", "xtask", "tests"] {
        rust_files(&workspace.join(folder), &mut files);
    }
    assert!(files.len() > 100, "the sources are where this test looks for them");
    let mut found = Vec::new();
    for path in files {
        let text = std::fs::read_to_string(&path).expect("a source file");
        for (number, line) in text.lines().enumerate() {
            for name in defined(line) {
                if let Some((old, new)) = REMOVED.iter().find(|(old, _)| *old == name) {
                    found.push(format!("{}:{}: `{old}` was replaced by `{new}`", path.display(), number + 1));
                }
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn definitions_are_seen_where_they_stand() {
    assert_eq!(defined("pub struct Goal {"), ["Goal"]);
    assert_eq!(defined("    pub(crate) fn propose(&self, images: &[f32]) -> Self {"), ["propose"]);
    assert_eq!(defined("    LogitsRatio,"), ["LogitsRatio"]);
    assert_eq!(defined("    Closest { norm: Norm },"), Vec::<&str>::new());
    assert_eq!(defined("    Closest {"), ["Closest"]);
    assert!(defined("// struct Goal of old").is_empty());
    assert!(defined("let goal = criterion;").is_empty());
}
