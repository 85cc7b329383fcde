//! `inspect` and `validate` on real-world files: they never disagree with each other or with the
//! reader of stage `scans`.

use brainprior_pipeline::files::{inspect, validate};
use brainprior_recording::read_scan;
use std::fs;
use std::path::{Path, PathBuf};

/// All test fixtures by other programs, and every tree also unpacked.
fn fixtures(folder: &Path) -> Vec<PathBuf> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut found = vec![];
    for tests in [
        "recording/tests/data",
        "recording/tests/data/labs",
        "images/tests/data",
        "similarity/tests/data",
    ] {
        for entry in fs::read_dir(crates.join(tests)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() && path.extension().is_some_and(|ending| ending != "py") {
                found.push(path);
            }
        }
    }
    for path in
        found.clone().iter().filter(|path| path.extension().is_some_and(|ending| ending == "zip"))
    {
        let into = folder.join(path.file_stem().unwrap());
        zip::ZipArchive::new(fs::File::open(path).unwrap()).unwrap().extract(&into).unwrap();
        found.push(into.join("static17-2-3"));
    }
    found.sort();
    found
}

#[test]
fn inspect_and_validate_never_disagree_with_the_stage_that_reads_scans() {
    let folder = tempfile::tempdir().unwrap();
    let (mut valid, mut refused) = (0, 0);
    for path in fixtures(folder.path()) {
        let shown = path.display();
        let (inspected, validated, read) = (inspect(&path), validate(&path), read_scan(&path));
        match &validated {
            Ok(text) => {
                valid += 1;
                let inspected = inspected.unwrap_or_else(|error| {
                    panic!("{shown}: valid, but inspect rejects it: {error:#}")
                });
                assert!(
                    !text.contains("differs from the data spec"),
                    "the spec knows less than the reader: {text}"
                );
                assert_eq!(
                    text.contains("a valid Scan"),
                    read.is_ok(),
                    "{shown}: {text}, {:?}",
                    read.err()
                );
                assert_eq!(text.contains("note:"), inspected.contains("note:"), "{shown}");
            }
            Err(error) => {
                refused += 1;
                let sentence = format!("{error:#}");
                assert!(read.is_err(), "{shown}: validate rejects a valid scan: {sentence}");
                match inspected {
                    Ok(text) => assert!(
                        text.contains("of unknown kind") && sentence.contains("of unknown kind"),
                        "{text}"
                    ),
                    Err(error) => assert_eq!(format!("{error:#}"), sentence, "{shown}"),
                }
                assert!(
                    sentence.starts_with(&format!("{shown}: ")),
                    "the file comes first: {sentence}"
                );
                assert!(
                    !sentence.contains("target/"),
                    "a folder of the machine that built it: {sentence}"
                );
                let first = sentence.lines().next().unwrap();
                for part in ["expected ", "found "] {
                    let said = first.contains(part) || first.contains("is in tier");
                    assert!(said, "{part:?} is not in: {first}");
                }
                assert!(first.contains("; "), "what to do is not in: {first}");
            }
        }
    }
    assert!(valid > 30 && refused > 30, "{valid} valid, {refused} refused");
}

#[test]
fn what_is_unknown_is_called_unknown() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (name, parts) in [
        (
            "recording/tests/data/labs/unknown.nwb",
            &["an NWB file of version 2.7.0", "a scan (images, responses, tiers)"][..],
        ),
        (
            "recording/tests/data/labs/unknown.h5",
            &["an HDF5 file with session/traces", "a scan (images, responses, tiers)"],
        ),
        (
            "images/tests/data/unknown.safetensors",
            &["tensors encoder.weight", "a classifier (stem.0.weight"],
        ),
        (
            "artifact/tests/data/plain.pt",
            &["tensors 0.bias, 0.weight", "a VGG network (features.0.weight"],
        ),
    ] {
        let error = validate(&crates.join(name)).unwrap_err().to_string();
        for part in parts.iter().chain(&["which is of unknown kind"]) {
            assert!(error.contains(part), "{part:?} is not in: {error}");
        }
        assert!(!error.contains('\n'), "{error}");
    }
    let text = inspect(&crates.join("recording/tests/data/labs/unknown.nwb")).unwrap();
    assert!(
        text.contains("processing/ophys/DfOverF/DfOverF/data") && text.contains("f64"),
        "{text}"
    );
    assert!(!text.contains("Responses") && !text.contains("Trained classifier"), "{text}");
}

#[test]
fn what_can_be_brought_in_says_by_what() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["screen", "responses"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    let error = validate(folder.path()).unwrap_err().to_string();
    assert!(
        error.contains("a session of experanto") && error.contains("import experanto"),
        "{error}"
    );
    let array =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../recording/tests/data/arrays/responses.npy");
    let error = validate(&array).unwrap_err().to_string();
    assert!(error.contains("a single NumPy array") && error.contains("import arrays"), "{error}");
}

#[test]
fn inspect_says_what_the_pixels_were_taken_for() {
    let labs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../recording/tests/data/labs");
    let text = inspect(&labs.join("pixels-stated.h5")).unwrap();
    assert!(text.contains("0 to 1 in the file, divided by 1, as the file states"), "{text}");
    assert!(text.contains("note: 1 pixels lie outside the stated range"), "{text}");
    let text = inspect(&labs.join("ids-several.h5")).unwrap();
    assert!(
        text.contains("0 to 255 in the file")
            && text.contains("note: the file has 12 identifiers for 8 images"),
        "{text}"
    );
}

#[test]
fn what_a_run_and_the_commands_write_is_valid() {
    let folder = tempfile::tempdir().unwrap();
    for (name, title, content) in [
        ("times.json", "times.json", r#"{"scans":0.5,"train/denoised-seed0":12.25,"images":3}"#),
        ("histogram.json", "histogram.json", r#"{"from":-1.0,"to":1.0,"counts":[0,5,2]}"#),
        (
            "attack.json",
            "attack.json",
            r#"{"format":"brainprior-attack","version":2,"checkpoint":"a","images":"b","crate_version":"0.1.0","seed":0,"attacked":8,
               "clean_accuracy":0.5,"minimal_perturbation":{"linf":{}},"accuracy":{"linf":[]},"found_by":{"linf":{"none":1}},
               "ensemble":{"linf":[]},"masking":null}"#,
        ),
    ] {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        assert!(validate(&path).unwrap().contains(&format!("a valid {title}")));
        assert!(inspect(&path).unwrap().contains(title));
    }
    let path = folder.path().join("attack.json");
    fs::write(&path, r#"{"format":"brainprior-attack","version":1}"#).unwrap();
    let error = validate(&path).unwrap_err().to_string();
    assert!(error.contains("attack.json") && error.contains("clean_accuracy: missing"), "{error}");
}

#[test]
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn the_recordings_of_two_regions_of_mouse_v1_have_their_reliability() {
    let real = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/data/real/antolik2016-mouse-v1");
    for (region, oracle) in [(1, "0.394"), (2, "0.308")] {
        let path = real.join(format!("region{region}-validation.h5"));
        if !path.exists() {
            eprintln!("skipped: {} is not there", path.display());
            return;
        }
        let text = inspect(&path).unwrap();
        assert!(text.contains(&format!("oracle, jackknife  median {oracle}")), "{text}");
    }
}

/// Fixtures of the libraries, each made by its own script.
#[test]
fn weights_that_torch_saved_are_known_by_their_names() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (name, title, tensor) in [
        ("classifier/tests/golden/resnet18.pth", "Trained classifier", "stem.0.weight"),
        (
            "classifier/tests/golden/torchvision.pt",
            "State dict under torchvision's names",
            "layer2.0.downsample.0.weight",
        ),
        ("similarity/tests/data/vgg.pth", "State dict of a VGG network", "features.5.weight"),
        ("similarity/tests/data/vgg-half.pt", "State dict of a VGG network", "features.5.weight"),
    ] {
        let path = crates.join(name);
        assert!(validate(&path).unwrap().contains(&format!("a valid {title}")), "{name}");
        let text = inspect(&path).unwrap();
        assert!(text.contains(title) && text.contains(tensor) && !text.contains("note:"), "{text}");
    }
    let error = validate(&crates.join("artifact/tests/data/program.pt")).unwrap_err().to_string();
    assert!(
        error.contains("a call of posix.getcwd")
            && error.contains("python -c")
            && !error.contains('\n'),
        "{error}"
    );
}

#[test]
fn what_export_writes_is_known() {
    use brainprior_pipeline::export::{Kind, export};
    let folder = tempfile::tempdir().unwrap();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../classifier/tests/golden/resnet18.safetensors");
    let network = folder.path().join("network.safetensors");
    export(Kind::Network, &golden, &network).unwrap();
    assert!(validate(&network).unwrap().contains("a valid State dict under torchvision's names"));
    // The exported file can be read back.
    let back = folder.path().join("back.safetensors");
    export(Kind::Network, &network, &back).unwrap();
    assert!(fs::read(&back).unwrap() == fs::read(&network).unwrap());

    let (source, matrix) = (folder.path().join("matrix.h5"), folder.path().join("matrix.npy"));
    let ids = [7, 5, 9].map(brainprior_images::ImageId::from_u64).to_vec();
    let made = brainprior_similarity::SimilarityMatrix::new(
        ids,
        vec![0.5, -0.25, 0.125],
        vec!["made up".into()],
    )
    .unwrap();
    made.write(&source).unwrap();
    export(Kind::Matrix, &source, &matrix).unwrap();
    for path in [matrix.clone(), folder.path().join("matrix.images.npy")] {
        let text = inspect(&path).unwrap();
        assert!(text.contains("Exported similarity matrix") && text.contains("3 x 3"), "{text}");
        assert!(validate(&path).unwrap().contains("a valid Exported similarity matrix"));
    }
    let whole = fs::read(&matrix).unwrap();
    fs::write(&matrix, &whole[..whole.len() - 4]).unwrap();
    assert!(validate(&matrix).unwrap_err().to_string().contains("matrix.npy"));
}
