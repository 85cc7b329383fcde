//! Limits how much a file may decompress to. A small malicious file could otherwise exhaust the
//! memory, by archive members that share the same bytes, a chunk of equal numbers, or a picture
//! that claims a huge size.

use crate::{FileError, Result};
use std::io::{self, Read};
use std::path::Path;

/// How many times its own size a file may decompress to. Measurements, images and weights stay
/// below ten; a tree of small all-zero files reaches about one hundred.
const TIMES: u64 = 256;

/// What any file may decompress to, however small it is.
const ALWAYS: u64 = 16 << 20;

/// What to do about a file that decompresses to more.
pub const ADVICE: &str = "if you trust the file, unpack it, or store it without compression";

/// The bytes to which a file of `packed` bytes may decompress: 256 times as many plus 16 MiB.
///
/// ```
/// use brainprior_artifact::unpacked;
///
/// assert_eq!(unpacked::most(0), 16 << 20);
/// assert_eq!(unpacked::most(1 << 30), (256 << 30) + (16 << 20));
/// ```
pub const fn most(packed: u64) -> u64 {
    packed.saturating_mul(TIMES).saturating_add(ALWAYS)
}

/// The same limit in words.
pub fn words(packed: u64) -> String {
    format!("{TIMES} times the {packed} bytes of the file plus {} MiB", ALWAYS >> 20)
}

/// The bytes of an array of this shape and item size; `None` on overflow. Empty axes and items of
/// zero bytes count as one, since readers iterate over the other axes anyway.
pub(crate) fn extent(shape: &[usize], item: usize) -> Option<u64> {
    shape.iter().try_fold(item.max(1) as u64, |size, axis| size.checked_mul((*axis).max(1) as u64))
}

/// Checks that `rows` times `columns` numbers do not exceed what a file of `length` bytes may
/// decompress to.
///
/// # Errors
/// Returns [`FileError`] with both numbers if they do.
pub fn check_rows(path: &Path, length: u64, rows: usize, columns: usize) -> Result<()> {
    let size = (rows as u64).saturating_mul(columns as u64).saturating_mul(size_of::<f64>() as u64);
    match size <= most(length) {
        true => Ok(()),
        false => {
            let (expected, found) = (
                format!("no more than {}", words(length)),
                format!("{rows} rows of {columns} numbers"),
            );
            Err(FileError::mismatch(
                path,
                "responses",
                expected,
                found,
                "check that both come from the same recording",
            ))
        }
    }
}

/// A decompressing reader with a limit.
#[derive(Debug)]
pub struct Bounded<R> {
    unpacking: R,
    budget: Budget,
}

impl<R: Read> Bounded<R> {
    /// `unpacking` decompresses a file of `packed` bytes.
    pub fn new(unpacking: R, packed: u64) -> Self {
        Self { unpacking, budget: Budget::of(packed) }
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.unpacking.read(buffer)?;
        self.budget.take(read)?;
        Ok(read)
    }
}

/// The remaining bytes to which a file may decompress; all its members share them.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    packed: u64,
    left: u64,
}

impl Budget {
    /// The budget of a file of `packed` bytes.
    pub fn of(packed: u64) -> Self {
        Self { packed, left: most(packed) }
    }

    /// Reads all bytes of a member.
    ///
    /// # Errors
    /// Returns an error if the member's reader fails or the member exceeds the remaining bytes.
    pub fn read(&mut self, member: impl Read) -> io::Result<Vec<u8>> {
        let (mut bytes, mut bounded) = (vec![], Bounded { unpacking: member, budget: *self });
        bounded.read_to_end(&mut bytes)?;
        *self = bounded.budget;
        Ok(bytes)
    }

    fn take(&mut self, count: usize) -> io::Result<()> {
        let too_much = || {
            io::Error::other(format!(
                "it decompresses to more than {}; {ADVICE}",
                words(self.packed)
            ))
        };
        self.left = self.left.checked_sub(count as u64).ok_or_else(too_much)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_share_what_a_file_may_unpack_to() {
        let zeros = |count| io::repeat(0).take(count);
        let mut budget = Budget::of(10);
        assert_eq!(budget.read(zeros(ALWAYS)).unwrap().len() as u64, ALWAYS);
        assert_eq!(budget.read(zeros(TIMES * 10)).unwrap().len() as u64, TIMES * 10);
        let error = budget.read(zeros(1)).unwrap_err().to_string();
        assert!(
            error.contains("256 times the 10 bytes")
                && error.contains("store it without compression"),
            "{error}"
        );
    }
}
