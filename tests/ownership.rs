//! One crate owns writing files, and one owns unsafe code.

use std::fs;
use std::path::{Path, PathBuf};

/// All Rust sources of the workspace except integration tests, by path.
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
        (
            path.strip_prefix(&root)
                .expect("within the workspace")
                .to_string_lossy()
                .replace('\\', "/"),
            text,
        )
    };
    files.into_iter().map(text).collect()
}

/// Lines of code that contain one of `words`, outside the given folders and comments.
fn lines_with(words: &[&str], owners: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in
        sources().iter().filter(|(path, _)| !owners.iter().any(|owner| path.starts_with(owner)))
    {
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
    // The launcher installs a build tool by itself, before anything else is built.
    let owners = ["crates/artifact/", "xtask/src/native_tools.rs"];
    let words = ["persist(", "rename("];
    let found = lines_with(&words, &owners);
    assert!(found.is_empty(), "use artifact::replace for these:\n{}", found.join("\n"));
    assert!(!lines_with(&words, &[]).is_empty(), "the search finds known lines");
}

#[test]
fn unsafe_code_stands_in_kernels_and_where_hdf5_itself_is_asked() {
    let words = ["unsafe {", "unsafe fn", "unsafe impl", "unsafe trait", "unsafe extern"];
    // Only the HDF5 library knows the sources of a virtual dataset, and the hdf5 crate fails on
    // most of them. It also lacks the calls that write a compressed chunk, that report the memory
    // needed for strings, and that open an object without following external links.
    let hdf5 = ["virtual_map.rs", "chunk.rs", "extent.rs", "own_link.rs"]
        .map(|file| format!("crates/artifact/src/hdf5/{file}"));
    let hdf5 = hdf5.each_ref().map(String::as_str);
    let found = lines_with(&words, &[&["crates/kernels/"][..], &hdf5].concat());
    assert!(found.is_empty(), "unsafe code belongs in kernels:\n{}", found.join("\n"));
    assert!(!lines_with(&words, &[]).is_empty(), "the search finds known lines");
}
