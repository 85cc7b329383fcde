//! PyTorch weights (`tests/data`, with the script) against what torch.load finds.

use brainprior_artifact::archive::Archive;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

fn read(name: &str) -> Archive {
    Archive::read_weights(&file(name), "give another").unwrap()
}

fn bits((shape, values): (Vec<usize>, Vec<f32>)) -> (Vec<usize>, Vec<u32>) {
    (shape, values.into_iter().map(f32::to_bits).collect())
}

const READ: [&str; 7] = [
    "averaged.pt",
    "compiled.pt",
    "data-parallel.pt",
    "kinds.pt",
    "plain.pt",
    "protocol-4.pt",
    "row.pth",
];

#[test]
fn every_tensor_has_the_bits_that_torch_gives_it() {
    let expected = Archive::read(&file("expected.safetensors"), "make it again").unwrap();
    let mut compared = 0;
    for name in READ {
        let found = read(name);
        let prefix = format!("{name}/");
        let of_file: BTreeSet<String> = expected
            .names()
            .iter()
            .filter_map(|tensor| tensor.strip_prefix(&prefix))
            .map(str::to_owned)
            .collect();
        let floating: BTreeSet<String> =
            found.names().into_iter().filter(|tensor| found.floats(tensor).is_ok()).collect();
        assert_eq!(floating, of_file, "{name}");
        for tensor in of_file {
            let wanted = bits(expected.floats(&format!("{prefix}{tensor}")).unwrap());
            assert_eq!(bits(found.floats(&tensor).unwrap()), wanted, "{name}: {tensor}");
            compared += 1;
        }
    }
    assert_eq!(compared, expected.names().len());
}

#[test]
fn whole_numbers_and_flags_keep_their_types() {
    let found = read("kinds.pt");
    assert_eq!(found.values::<i64>("whole", &[4]).unwrap(), [0, 1, 2, 3]);
    assert_eq!(found.tensor("flags").unwrap().data(), [1, 0]);
    assert_eq!(read("row.pth").values::<i64>("whole", &[4]).unwrap(), [0, 1, 2, 3]);
    assert_eq!(read("plain.pt").values::<i64>("1.num_batches_tracked", &[]).unwrap(), [1]);
    let error = found.floats("whole").unwrap_err().to_string();
    assert!(
        error.contains("kinds.pt: whole: expected numbers in f16, bf16, f32 or f64, found I64"),
        "{error}"
    );
}

/// Asserts that the error is one sentence that names the file.
#[track_caller]
fn refused(path: &Path, parts: &[&str]) {
    let error = Archive::read_weights(path, "give another").unwrap_err().to_string();
    for part in parts {
        assert!(error.contains(part), "{part:?} is not in: {error}");
    }
    assert!(
        !error.contains('\n')
            && error.contains("; ")
            && error.starts_with(&path.display().to_string()),
        "{error}"
    );
}

#[test]
fn what_lies_beside_a_state_dict_is_named() {
    let sentence = read("data-parallel.pt").left_out().unwrap();
    assert!(sentence.ends_with(
        "ignored everything but the network's tensors: epoch, arch, optimizer, scheduler, best_acc1, loss and 3 more"
    ));
    assert!(read("averaged.pt").left_out().unwrap().ends_with(": n_averaged"));
    assert!(read("compiled.pt").left_out().unwrap().ends_with(": ema"));
    assert_eq!(read("plain.pt").left_out(), None);
}

#[test]
fn a_program_is_not_run_and_the_line_that_converts_it_is_said() {
    let line = "python -c \"import torch; m = torch.load('";
    refused(
        &file("program.pt"),
        &["a call of posix.getcwd", "no part of it was run", line, "program.weights.pt')\""],
    );
    refused(
        &file("module.pt"),
        &["a call of torch.nn.modules.container.Sequential", line, "m.state_dict()"],
    );
}

#[test]
fn what_would_take_more_memory_than_its_file_is_refused() {
    refused(&file("overlapping.pt"), &["no more than twice the", "28800 bytes", ".clone()"]);
    refused(&file("expanded.pt"), &["weight", "expected at least 2000 bytes of numbers, found 4"]);
    refused(&file("packed.pt"), &["an uncompressed member", "without compression"]);
}

#[test]
fn files_that_are_cut_are_named() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["plain.pt", "row.pth"] {
        let whole = std::fs::read(file(name)).unwrap();
        let path = folder.path().join(name);
        for keep in [whole.len() - 3, whole.len() / 2, 20] {
            std::fs::write(&path, &whole[..keep]).unwrap();
            refused(&path, &["copy it again"]);
        }
    }
}

#[test]
fn damaged_files_never_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("damaged.pt");
    for name in ["kinds.pt", "row.pth"] {
        let whole = std::fs::read(file(name)).unwrap();
        for place in (0..whole.len()).step_by(7) {
            let mut damaged = whole.clone();
            damaged[place] ^= 0x55;
            std::fs::write(&path, damaged).unwrap();
            let _ = Archive::read_weights(&path, "give another");
        }
    }
}

#[test]
fn what_holds_no_tensors_says_what_it_holds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.pt");
    // torch.save does not write pickle.dumps({"labels": [1]}, 2).
    std::fs::write(&path, b"\x80\x02}q\x00X\x06\x00\x00\x00labelsq\x01]q\x02K\x01as.").unwrap();
    refused(&path, &["expected what torch.save writes, found another pickle"]);
    let safetensors = folder.path().join("plain.safetensors");
    std::fs::copy(file("expected.safetensors"), &safetensors).unwrap();
    assert!(
        Archive::read_weights(&safetensors, "give another")
            .unwrap()
            .names()
            .contains(&"plain.pt/0.bias".to_owned())
    );
}
