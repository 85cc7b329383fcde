//! SHA-256 hashes.

use crate::{FileError, Result};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

/// SHA-256 as 64 hexadecimal digits.
pub type Hash = String;

/// Bytes read from a file at a time.
const BUFFER: usize = 1 << 20;

/// An incremental SHA-256.
#[derive(Clone, Debug, Default)]
pub struct Hasher(Sha256);

impl Hasher {
    /// Hashes the next bytes. The hash does not depend on how the content is split into calls.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Returns the hash of everything passed to [`update`](Self::update).
    pub fn finish(self) -> Hash {
        self.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// SHA-256 of bytes.
pub fn of_bytes(bytes: &[u8]) -> Hash {
    let mut hasher = Hasher::default();
    hasher.update(bytes);
    hasher.finish()
}

/// SHA-256 of a file, or of the names and contents of all files in a folder, sorted by name.
///
/// # Errors
/// Returns [`FileError`] if the file or folder cannot be read.
pub fn of_path(path: &Path) -> Result<Hash> {
    let mut hasher = Hasher::default();
    feed(path, &mut hasher)?;
    Ok(hasher.finish())
}

fn feed(path: &Path, hasher: &mut Hasher) -> Result<()> {
    if path.is_dir() {
        let entries = std::fs::read_dir(path)
            .and_then(|entries| entries.collect::<std::io::Result<Vec<_>>>());
        let entries = entries.map_err(FileError::refused(path, "list"))?;
        let mut paths: Vec<_> = entries.into_iter().map(|entry| entry.path()).collect();
        paths.sort();
        for path in paths {
            hasher.update(path.file_name().unwrap_or_default().as_encoded_bytes());
            feed(&path, hasher)?;
        }
        return Ok(());
    }
    let mut file = File::open(path).map_err(FileError::refused(path, "open"))?;
    let mut buffer = vec![0; BUFFER];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => hasher.update(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(FileError::refused(path, "read")(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_folder_hash_depends_on_names_and_contents() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "1").unwrap();
        let first = of_path(folder.path()).unwrap();
        assert_eq!(first, of_bytes(b"a1"), "the layout of older hashes");
        fs::write(&path, "2").unwrap();
        assert_ne!(first, of_path(folder.path()).unwrap());
        fs::remove_file(&path).unwrap();
        fs::write(folder.path().join("b"), "1").unwrap();
        assert_ne!(first, of_path(folder.path()).unwrap());
    }

    #[test]
    fn pieces_files_and_bytes_have_one_hash() {
        let bytes: Vec<u8> = (0..BUFFER + 3).map(|index| index as u8).collect();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large");
        fs::write(&path, &bytes).unwrap();
        let mut hasher = Hasher::default();
        bytes.chunks(1000).for_each(|piece| hasher.update(piece));
        assert_eq!(hasher.finish(), of_bytes(&bytes));
        assert_eq!(of_path(&path).unwrap(), of_bytes(&bytes));
        assert_eq!(
            of_bytes(b""),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert!(of_path(&folder.path().join("none")).unwrap_err().to_string().contains("none"));
    }
}
