//! Names that were replaced by the field's terms must not return.

use std::path::{Path, PathBuf};

/// The folder that defined a name, the name, and its replacement.
const REMOVED: &[(&str, &str, &str)] = &[
    ("crates/kernels/src", "Traced", "autograd::FeatureMap"),
    ("crates/kernels/src/conv2d", "frame", "padded_image"),
    ("crates/kernels/src/conv2d", "tap_sums", "weight_gradient"),
    ("crates/kernels/src/conv2d", "pass", "batch"),
    ("crates/kernels/src", "unwritten", "uninit"),
    ("crates/kernels/src", "optimiser", "optimizer"),
    ("crates/robustness", "Goal", "Criterion"),
    ("crates/robustness", "Aim", "AttackKind"),
    ("crates/robustness", "propose", "set_candidate"),
    ("crates/robustness", "offer", "keep_if_closer"),
    ("crates/robustness", "border", "decision_boundary"),
    ("crates/robustness", "borders", "decision_boundary"),
    ("crates/robustness", "LogitsRatio", "Dlr"),
    ("crates/robustness", "Closest", "MinimalPerturbations"),
    ("crates/robustness", "Known", "ImageRecord"),
    ("crates/robustness", "Examples", "LabeledBatch"),
    ("crates/classifier", "Hardening", "RobustTraining"),
    ("crates/classifier", "taps", "layers"),
    ("crates/classifier", "tap_layers", "layer_depths"),
    ("crates/classifier", "Purpose", "rng::Stream"),
    ("crates/classifier", "streams", "rng"),
    ("crates/response-model", "Circumstances", "BehavioralState"),
    ("crates/recording", "Circumstances", "SimulationConstants"),
    ("crates/recording", "Cell", "SimulatedNeuron"),
    ("crates/similarity/src", "Source", "ScanVectors"),
    ("crates/similarity/src", "Alike", "Neighbor"),
    ("crates", "Centring", "Centering"),
    ("crates", "LabelledImages", "LabeledImages"),
    ("crates", "LabelledSplit", "LabeledSplit"),
    ("crates", "Neighbours", "Neighbors"),
    ("crates", "Optimisation", "OptimizationConfig"),
];

/// Keywords that define a name in Rust.
const DEFINING: [&str; 9] =
    ["struct", "enum", "trait", "type", "fn", "mod", "const", "static", "union"];

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

/// The names defined by a line of Rust: items, and a variant alone on its line.
fn defined(line: &str) -> Vec<&str> {
    let code = line.split("//").next().unwrap_or_default();
    let words: Vec<&str> = code
        .split(|c: char| !(c.is_alphanumeric() || c == '_'))
        .filter(|word| !word.is_empty())
        .collect();
    let mut names: Vec<&str> =
        words.windows(2).filter(|pair| DEFINING.contains(&pair[0])).map(|pair| pair[1]).collect();
    let trimmed = code.trim();
    let variant = trimmed.trim_end_matches(['{', '(', ',']).trim_end();
    if variant != trimmed
        && variant.starts_with(char::is_uppercase)
        && variant.chars().all(char::is_alphanumeric)
    {
        names.push(variant);
    }
    names
}

#[test]
fn removed_names_are_defined_nowhere() {
    let workspace = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let mut files = Vec::new();
    rust_files(&workspace.join("crates"), &mut files);
    assert!(files.len() > 100, "this test finds the sources");
    for (place, _, _) in REMOVED {
        assert!(
            workspace.join(place).is_dir(),
            "{place} does not exist; name the folder that replaced it"
        );
    }
    let mut found = Vec::new();
    for path in files {
        let text = std::fs::read_to_string(&path).expect("a source file");
        let removed: Vec<_> = REMOVED
            .iter()
            .filter(|(place, _, _)| path.starts_with(workspace.join(place)))
            .collect();
        for (number, line) in text.lines().enumerate() {
            for name in defined(line) {
                if let Some((_, old, new)) = removed.iter().find(|(_, old, _)| *old == name) {
                    found.push(format!(
                        "{}:{}: `{old}` was replaced by `{new}`",
                        path.display(),
                        number + 1
                    ));
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
