//! Bytes on disk have one owner, and so has what the compiler cannot check.

use std::fs;
use std::path::{Path, PathBuf};

/// All Rust sources of the workspace but those of integration tests, by their path within it.
fn sources() -> Vec<(String, String)> {
    fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a folder of the workspace") {
            let path = entry.expect("its entries").path();
            let name = path.file_name().unwrap_or_default();
            if path.is_dir() {
                if name != "tests" && name != "target" {
                    collect(&path, files);
                }
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                files.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = Vec::new();
    for folder in ["crates", "xtask"] {
        collect(&root.join(folder), &mut files);
    }
    assert!(files.len() > 100, "the workspace is there");
    let text = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("Rust sources are text");
        (path.strip_prefix(&root).expect("within the workspace").to_string_lossy().replace('\\', "/"), text)
    };
    files.into_iter().map(text).collect()
}

/// Each line of code that has one of `words`, outside of the given folders; comments aside.
fn lines_with(words: &[&str], owners: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in sources().iter().filter(|(path, _)| !owners.iter().any(|owner| path.starts_with(owner))) {
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if words.iter().any(|word| code.contains(word)) {
                found.push(format!("{path}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    found
}

#[test]
fn files_come_into_place_through_artifact_alone() {
    // Before anything else is built, the launcher puts a build tool into place by itself.
    let owners = ["crates/artifact/", "xtask/src/native_tools.rs"];
    let words = ["persist(", "rename("];
    let found = lines_with(&words, &owners);
    assert!(found.is_empty(), "give these to artifact::replace:\n{}", found.join("\n"));
    assert!(!lines_with(&words, &[]).is_empty(), "the search finds what there is");
}

#[test]
fn unsafe_code_stands_in_kernels_and_where_hdf5_itself_is_asked() {
    let words = ["unsafe {", "unsafe fn", "unsafe impl", "unsafe trait", "unsafe extern"];
    // What a virtual dataset is made of is known to the library of HDF5 alone: its crate fails on most of them. Nor does that hand on the
    // calls that write a compressed chunk and that say how much memory texts would take.
    let hdf5 = ["virtual_map.rs", "chunk.rs", "extent.rs"].map(|file| format!("crates/artifact/src/hdf5/{file}"));
    let hdf5 = hdf5.each_ref().map(String::as_str);
    let found = lines_with(&words, &[&["crates/kernels/"][..], &hdf5].concat());
    assert!(found.is_empty(), "kernels owns what the compiler cannot check:\n{}", found.join("\n"));
    assert!(!lines_with(&words, &[]).is_empty(), "the search finds what there is");
}
