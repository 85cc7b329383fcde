//! Valid files to start from: the fixtures of the tests.

use super::tree::Files;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// A file of the workspace.
pub fn path(name: &str) -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = own
        .ancestors()
        .find(|folder| folder.join("data-specs").is_dir())
        .expect("the manifest lies in the workspace");
    root.join("crates").join(name)
}

pub fn bytes(name: &str) -> Vec<u8> {
    fs::read(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The members of an archive, without the folder `within`.
pub fn unzipped(name: &str, within: &str) -> Files {
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(bytes(name))).expect("a fixture");
    let mut files = Files::new();
    for place in 0..archive.len() {
        let mut member = archive.by_index(place).expect("a fixture");
        let name = member.name().expect("a fixture").into_owned();
        let Some(name) =
            name.strip_prefix(within).filter(|name| !name.ends_with('/') && !name.is_empty())
        else {
            continue;
        };
        let (name, mut content) = (name.to_owned(), vec![]);
        member.read_to_end(&mut content).expect("a fixture");
        files.insert(name, content);
    }
    files
}

/// The fixtures in a folder with these name endings, sorted.
pub fn all(folder: &str, endings: &[&str]) -> Vec<Vec<u8>> {
    let mut paths: Vec<PathBuf> = fs::read_dir(path(folder))
        .expect("a folder of fixtures")
        .map(|entry| entry.expect("a fixture").path())
        .collect();
    paths.sort();
    let is_one =
        |path: &&PathBuf| endings.iter().any(|ending| path.to_string_lossy().ends_with(ending));
    paths.iter().filter(is_one).map(|path| fs::read(path).expect("a fixture")).collect()
}
