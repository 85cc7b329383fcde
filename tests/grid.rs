//! The grid of conditions and seeds: every condition, single parts, several processes in one run
//! directory, a batch system.

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// A pipeline that takes seconds.
const SMALL: [&str; 21] = [
    "simulation.neurons=20",
    "simulation.images=100",
    "simulation.oracle_images=10",
    "simulation.repeats=4",
    "simulation.scans=1",
    "images.train=128",
    "images.test=40",
    "response.core.channels=[4, 4]",
    "response.core.kernels=[7, 3]",
    "response.optimization.max_epochs=1",
    "training.epochs=2",
    "training.base_channels=4",
    "training.pairs=4",
    "robustness.noise_images=40",
    "robustness.attack_images=5",
    "robustness.gaussian=[0.0, 0.1]",
    "robustness.linf=[0.1]",
    "robustness.passes=100",
    "robustness.corruption_images=5",
    "robustness.masking_images=5",
    "robustness.masking_queries=10",
];

fn pipeline(run: &Path, settings: &[&str], arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(["--threads", "2", "pipeline", "--run"]).arg(run).env_remove("RUST_BACKTRACE");
    for setting in SMALL.iter().chain(settings) {
        command.args(["--set", setting]);
    }
    command.args(arguments);
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[track_caller]
fn succeed(mut command: Command) -> Output {
    let output = command.output().expect("the pipeline starts");
    assert!(output.status.success(), "{}", text(&output.stderr));
    output
}

#[track_caller]
fn fails(mut command: Command, parts: &[&str]) {
    let output = command.output().expect("the pipeline starts");
    assert!(!output.status.success());
    for part in parts {
        assert!(
            text(&output.stderr).contains(part),
            "`{part}` is not in: {}",
            text(&output.stderr)
        );
    }
}

/// Everything before the grid.
fn inputs(run: &Path, settings: &[&str]) {
    for stage in ["scans", "images", "response", "similarity"] {
        succeed(pipeline(run, settings, &["--only", stage]));
    }
}

#[test]
fn every_condition_is_one_table() {
    let folder = tempfile::tempdir().unwrap();
    let first = folder.path().join("first");
    let conditions = ["training.conditions={target=\"none\"}", "training.seeds=1"];
    inputs(&first, &conditions);
    let page = || std::fs::read_to_string(first.join("report.html")).unwrap();
    assert!(
        page().contains("Trained: 0 of 1 networks. Missing: none, seed 0."),
        "the page of a run in progress"
    );
    succeed(pipeline(&first, &conditions, &["--only", "train"]));
    assert!(
        page().contains("This run is in progress")
            && page().contains("Trained: 1 of 1 networks.</p>")
    );
    assert!(
        page()
            .contains("Evaluated under noise and attack: 0 of 1 networks. Missing: none, seed 0.")
    );

    let conditions = [
        ("none", r#"target = "none""#),
        ("denoised", r#"target = "denoised""#),
        ("shuffled", r#"target = "shuffled""#),
        ("raw", r#"target = "raw""#),
        ("oracle", r#"target = "oracle""#),
        ("pixels", r#"target = "pixels""#),
        (
            "one force",
            r#"name = "one force", target = "thresholded", target_limit = 0.76, force = 2"#,
        ),
        ("features", r#"target = "features""#),
        ("labels", r#"target = "labels", target_limit = 0.76, name = "labels""#),
        ("none epochs=1 keep=last", r#"target = "none", epochs = 1, keep = "last""#),
        ("noise-augmented", r#"target = "none", robust_training = { noise = { std = 0.2 } }"#),
        (
            "adversarial",
            r#"target = "none", robust_training = { adversarial = { epsilon = 0.016, steps = 1 } }"#,
        ),
        (
            "denoised alpha_warm_up=0.5 layers=[1] pairs=2",
            r#"target = "denoised", layers = [1], pairs = 2, alpha_warm_up = 0.5"#,
        ),
        (
            "equal shares",
            r#"name = "equal shares", target = "denoised", mixture = { fixed = [1, 0, 0, 0, 1] }, centering = "batch",
               running_statistics = "shared", loss_scale = 4"#,
        ),
    ];
    let names: Vec<&str> = conditions.iter().map(|(name, _)| *name).collect();
    let tables: Vec<String> =
        conditions.iter().map(|(_, table)| format!("{{ {} }}", table.replace('\n', " "))).collect();
    let list = format!("training.conditions=[{}]", tables.join(", "));
    let network =
        format!("similarity.network={}", first.join("train/none-seed0/best.safetensors").display());
    let run = folder.path().join("run");
    let settings = [
        list.as_str(),
        &network,
        "training.seeds=1",
        "training.snapshots=true",
        "images.grayscale=false",
    ];
    let output = succeed(pipeline(&run, &settings, &[]));
    assert!(
        !text(&output.stdout).contains('±'),
        "one seed has no spread: {}",
        text(&output.stdout)
    );

    let results: Value =
        serde_json::from_slice(&std::fs::read(run.join("results.json")).unwrap()).unwrap();
    let networks = results["networks"].as_array().unwrap().iter();
    assert_eq!(networks.map(|one| one["condition"].as_str().unwrap()).collect::<Vec<_>>(), names);
    let gamma = |condition: &str| -> Vec<f64> {
        let network = results["networks"]
            .as_array()
            .unwrap()
            .iter()
            .find(|one| one["condition"] == condition)
            .unwrap();
        network["gamma"].as_array().unwrap().iter().map(|share| share.as_f64().unwrap()).collect()
    };
    assert_eq!(gamma(names[12]), [0.0, 1.0, 0.0, 0.0, 0.0]);
    assert_eq!(gamma(names[13]), [0.5, 0.0, 0.0, 0.0, 0.5]);
    assert!(!results["conditions"].to_string().contains("standard_deviation"));
    let pull = |condition: &str| {
        results["networks"]
            .as_array()
            .unwrap()
            .iter()
            .find(|one| one["condition"] == condition)
            .unwrap()["pull"]
            .clone()
    };
    assert_eq!(
        (&pull("none"), &pull("denoised")["set"], &pull("denoised")["alpha"]),
        (&Value::Null, &"alpha".into(), &5.0.into())
    );
    assert_eq!(pull("one force")["set"], "force");
    assert!((pull("one force")["force"].as_f64().unwrap() - 2.0).abs() < 1e-9);
    let compared = |condition: &str| {
        results["comparisons"]
            .as_array()
            .unwrap()
            .iter()
            .find(|one| one["condition"] == condition)
            .unwrap()
            .clone()
    };
    assert_eq!(
        compared("denoised")["at_equal_accuracy"]["controls"].to_string(),
        r#"["none epochs=1 keep=last","none"]"#
    );
    assert_eq!(compared("none epochs=1 keep=last")["at_equal_accuracy"], Value::Null);
    assert!(compared("pixels")["minimal_perturbation"]["l2"]["seeds"][0]["images"].is_u64());
    let targets: Vec<&str> = results["targets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        targets,
        ["denoised", "shuffled", "raw", "oracle", "pixels", "thresholded", "features"]
    );
    let report = std::fs::read_to_string(run.join("report.html")).unwrap();
    for part in [
        "Clean versus noisy accuracy",
        "At equal clean accuracy",
        "Validation accuracy, for choosing settings",
        "Gamma, denoised alpha_warm_up=0.5 layers=[1]",
        "layer 9",
        "images/s",
    ] {
        assert!(report.contains(part), "{part}");
    }
    for file in [
        "train/none_epochs=1_keep=last-seed0/last.safetensors",
        "train/equal_shares-seed0/epoch-002.safetensors",
    ] {
        assert!(run.join(file).exists(), "{file}");
    }
}

#[test]
fn parts_run_alone_and_side_by_side() {
    let folder = tempfile::tempdir().unwrap();
    let settings =
        ["training.conditions=[{target=\"none\"}, {target=\"denoised\"}]", "training.seeds=2"];
    let run = folder.path().join("run");
    inputs(&run, &settings);
    let part = |condition, seed| {
        pipeline(&run, &settings, &["--only", "train", "--condition", condition, "--seed", seed])
    };
    succeed(part("denoised", "1"));
    let trained = |run: &Path| -> Vec<String> {
        let entries = std::fs::read_dir(run.join("train")).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    assert_eq!(trained(&run), ["denoised-seed1"]);
    fails(part("denoised", "2"), &["--seed 2", "training.seeds=3"]);
    fails(part("raw", "0"), &["--condition raw", "none; denoised"]);

    // Three processes work on the same grid: each network is trained once.
    let start = || {
        let mut command = pipeline(&run, &settings, &["--only", "train"]);
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let said: Vec<String> = [start(), start(), start()]
        .into_iter()
        .map(|child| {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", text(&output.stderr));
            text(&output.stderr)
        })
        .collect();
    let everything = said.concat();
    for part in ["none-seed0", "none-seed1", "denoised-seed0"] {
        let trained = everything.lines().filter(|line| {
            line.contains(part) && line.contains('✓') && !line.contains("already done")
        });
        assert_eq!(trained.count(), 1, "{part}: {everything}");
    }

    // The result equals that of one process.
    let alone = folder.path().join("alone");
    inputs(&alone, &settings);
    succeed(pipeline(&alone, &settings, &["--only", "train"]));
    assert_eq!(trained(&alone), trained(&run));
    for part in trained(&run) {
        for file in ["best.safetensors", "last.safetensors", "history.json"] {
            let bytes =
                |run: &Path| std::fs::read(run.join("train").join(&part).join(file)).unwrap();
            assert!(bytes(&run) == bytes(&alone), "{part}/{file}");
        }
    }
}

/// Runs a job at once, and the tasks of an array one after the other, whereas Slurm would queue
/// them.
const SBATCH: &str = r#"#!/bin/bash
for argument in "$@"; do
  case $argument in
  --array=0-*%2) last=${argument#--array=0-} last=${last%\%2} ;;
  --array=*) exit 1 ;;
  esac
  script=$argument
done
for ((task = 0; task <= ${last:-0}; task++)); do
  SLURM_ARRAY_TASK_ID=$task SLURM_CPUS_PER_TASK=1 bash "$script" 1>&2 || exit 1
done
echo 7
"#;

/// A cluster with small arrays.
const SCONTROL: &str = "#!/bin/bash\necho 'MaxArraySize            = 3'\n";

/// Accepts two jobs and refuses the third.
const REFUSING: &str = r#"#!/bin/bash
count=$(cat "$0.count" 2>/dev/null || echo 0)
echo $((count + 1)) > "$0.count"
if [ "$count" = 2 ]; then echo "sbatch: error: you have too many jobs" >&2; exit 1; fi
echo $((40 + count))
"#;

/// `bash FILE` on a machine with these programs.
fn submit(file: &Path, tools: &Path, programs: &[(&str, &str)]) -> Command {
    use std::os::unix::fs::PermissionsExt;
    std::fs::create_dir(tools).unwrap();
    for (name, text) in programs {
        std::fs::write(tools.join(name), text).unwrap();
        std::fs::set_permissions(tools.join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut command = Command::new("bash");
    command
        .arg(file)
        .env("PATH", format!("{}:{}", tools.display(), std::env::var("PATH").unwrap()));
    command
}

#[test]
fn where_a_batch_system_refuses_a_job_those_before_it_are_canceled() {
    let folder = tempfile::tempdir().unwrap();
    let script = succeed(pipeline(&folder.path().join("run"), &[], &["--emit", "slurm"])).stdout;
    let file = folder.path().join("grid.sh");
    std::fs::write(&file, &script).unwrap();
    let scancel = "#!/bin/bash\necho \"$@\" > \"$0.said\"\n";
    let tools = folder.path().join("tools");
    let refused = submit(
        &file,
        &tools,
        &[("sbatch", REFUSING), ("scontrol", SCONTROL), ("scancel", scancel)],
    );
    fails(refused, &["you have too many jobs", "the submitted jobs are canceled: 40 41"]);
    assert_eq!(std::fs::read_to_string(tools.join("scancel.said")).unwrap(), "40 41\n");
    let refused =
        submit(&file, &folder.path().join("none"), &[("sbatch", "#!/bin/bash\nexit 1\n")]);
    fails(refused, &["nothing was submitted"]);
    let without = submit(
        &file,
        &folder.path().join("no-arrays"),
        &[("scontrol", "#!/bin/bash\necho 'MaxArraySize = 0'\n")],
    );
    fails(without, &["this Slurm accepts no array jobs"]);
}

#[test]
fn a_batch_system_runs_the_grid() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("a run");
    let settings = [
        "training.conditions=[{target=\"none\"}, {target=\"denoised\", alpha=5}, {target=\"raw\"}, {target=\"shuffled\"}]",
        "training.seeds=1",
    ];
    let script = succeed(pipeline(&run, &settings, &["--emit", "slurm", "--at-once", "2"])).stdout;
    let file = folder.path().join("grid.sh");
    std::fs::write(&file, &script).unwrap();
    assert!(text(&script).contains("'denoised alpha=5' 0"), "{}", text(&script));
    let output = succeed(submit(
        &file,
        &folder.path().join("tools"),
        &[("sbatch", SBATCH), ("scontrol", SCONTROL)],
    ));
    // Four tasks, but at most three per array.
    let said = "inputs 7, grid 7 7 and measure 7 7 (tasks 0 to 3), report 7";
    assert!(text(&output.stdout).contains(said), "{}", text(&output.stdout));
    assert!(run.join("report.html").exists());
    // No job repeats the work of another.
    let said = text(&output.stderr);
    for task in ["train/none-seed0", "robustness/none-seed0", "robustness/denoised_alpha=5-seed0"] {
        let done = said
            .lines()
            .filter(|line| line.contains(&format!("✓ {task} ")) && !line.contains("already done"));
        assert_eq!(done.count(), 1, "{task}: {said}");
    }
    assert!(run.join("train/denoised_alpha=5-seed0/best.safetensors").exists());
}
