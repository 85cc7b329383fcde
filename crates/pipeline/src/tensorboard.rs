//! TensorBoard event files: scalars over epochs, for watching a fit or a training.
//!
//! A file is a sequence of records: the length of the content (u64, little endian), the masked
//! CRC-32C of these eight bytes, the content, and the masked CRC-32C of the content. The content is
//! a Protocol Buffers message `Event`: wall time (field 1, double), step (2, varint), version of
//! the format (3, text) or summary (5), whose values (1) have a tag (1, text) and a number (2,
//! float). This is the part of [TensorFlow's
//! `event.proto`](https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/util/event.proto)
//! that scalars need. The crates that write such files depend on a Protocol Buffers compiler or an
//! image library.
//!
//! Equal runs write equal bytes, so the wall time of an event is its step in seconds. The file of
//! an interrupted run is therefore a prefix of the finished one: resuming repeats no event and
//! completes a torn one.

use anyhow::{Context, Result};
use brainprior_artifact::replace;
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::Path;

/// TensorBoard reads any file with `tfevents` in its name and names its curves after the folder.
const FILE: &str = "events.out.tfevents";

/// The version in the first record of every file.
const VERSION: &[u8] = b"brain.Event:2";

/// Fields of `Event`, `Summary` and `Summary.Value`: the number of the field and how its content is
/// encoded, as one byte.
const WALL_TIME: u8 = 1 << 3 | DOUBLE;
const STEP: u8 = 2 << 3 | VARINT;
const FILE_VERSION: u8 = 3 << 3 | BYTES;
const SUMMARY: u8 = 5 << 3 | BYTES;
const VALUE: u8 = 1 << 3 | BYTES;
const TAG: u8 = 1 << 3 | BYTES;
const SIMPLE_VALUE: u8 = 2 << 3 | FLOAT;

const VARINT: u8 = 0;
const DOUBLE: u8 = 1;
const BYTES: u8 = 2;
const FLOAT: u8 = 5;

/// Scalars after one epoch.
pub(crate) struct Step {
    /// Number of the epoch, from 1.
    pub(crate) epoch: usize,
    /// Tags and values.
    pub(crate) scalars: Vec<(String, f64)>,
}

/// Writes exactly these steps into the event file in `folder`. If the existing file is a prefix,
/// the rest is appended, so that a TensorBoard that has the file open continues to read it.
///
/// # Errors
/// Returns an error if the folder or the file cannot be read or written.
pub(crate) fn write(folder: &Path, steps: &[Step]) -> Result<()> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("could not create {}", folder.display()))?;
    let path = folder.join(FILE);
    let wanted = bytes(steps);
    let there = match std::fs::read(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        read => Some(read.with_context(|| format!("could not read {}", path.display()))?),
    };
    match there.as_deref().and_then(|there| wanted.strip_prefix(there)) {
        Some(rest) => {
            let appended =
                File::options().append(true).open(&path).and_then(|mut file| file.write_all(rest));
            appended.with_context(|| format!("could not write to {}", path.display()))
        }
        None => Ok(replace::bytes(&path, &wanted)?),
    }
}

fn bytes(steps: &[Step]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut version = Vec::new();
    field(&mut version, FILE_VERSION, VERSION);
    record(&mut file, &version);
    for step in steps {
        let mut summary = Vec::new();
        for (tag, scalar) in &step.scalars {
            let mut value = Vec::new();
            field(&mut value, TAG, tag.as_bytes());
            value.push(SIMPLE_VALUE);
            value.extend((*scalar as f32).to_le_bytes());
            field(&mut summary, VALUE, &value);
        }
        let mut event = vec![WALL_TIME];
        event.extend((step.epoch as f64).to_le_bytes());
        event.push(STEP);
        varint(&mut event, step.epoch as u64);
        field(&mut event, SUMMARY, &summary);
        record(&mut file, &event);
    }
    file
}

fn field(message: &mut Vec<u8>, key: u8, content: &[u8]) {
    message.push(key);
    varint(message, content.len() as u64);
    message.extend(content);
}

/// Writes seven bits per byte, the lowest first; the eighth bit says whether more follow.
fn varint(message: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        message.push(value as u8 | 0x80);
        value >>= 7;
    }
    message.push(value as u8);
}

fn record(file: &mut Vec<u8>, content: &[u8]) {
    let length = (content.len() as u64).to_le_bytes();
    file.extend(length);
    file.extend(masked(&length).to_le_bytes());
    file.extend(content);
    file.extend(masked(content).to_le_bytes());
}

/// The checksum as stored, rotated and shifted: an unmasked checksum of bytes that contain their
/// own checksum would be weak.
fn masked(bytes: &[u8]) -> u32 {
    crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32C (Castagnoli, RFC 3720), bit by bit: a file has some kilobytes.
fn crc32c(bytes: &[u8]) -> u32 {
    const POLYNOMIAL: u32 = 0x82f6_3b78;
    let step = |rest: u32| if rest & 1 == 1 { rest >> 1 ^ POLYNOMIAL } else { rest >> 1 };
    !bytes
        .iter()
        .fold(u32::MAX, |rest, byte| (0..8).fold(rest ^ u32::from(*byte), |rest, _| step(rest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by TensorBoard 2.21 itself (its `RecordWriter` and `event_pb2`) of [`steps`], and read
    /// back by its `EventFileLoader`.
    const GOLDEN: &[u8] = include_bytes!("../tests/data/events.out.tfevents");

    fn steps(epochs: usize) -> Vec<Step> {
        let step = |epoch: usize| Step {
            epoch,
            scalars: vec![
                ("loss/training".into(), 1.5 / epoch as f64),
                ("accuracy/validation".into(), 0.1 * epoch as f64),
            ],
        };
        (1..=epochs).map(step).collect()
    }

    fn read(folder: &Path) -> Vec<u8> {
        std::fs::read(folder.join(FILE)).unwrap()
    }

    #[test]
    fn checksums_are_those_of_rfc_3720() {
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn bytes_are_those_that_tensorboard_writes_and_reads() {
        // Steps from 128 on take two bytes.
        assert_eq!(bytes(&steps(130)), GOLDEN);
    }

    #[test]
    fn a_resumed_file_has_every_step_once_wherever_it_was_torn() {
        let folder = tempfile::tempdir().unwrap();
        let whole = bytes(&steps(3));
        for length in 0..=whole.len() {
            std::fs::write(folder.path().join(FILE), &whole[..length]).unwrap();
            write(folder.path(), &steps(3)).unwrap();
            assert!(read(folder.path()) == whole, "torn after {length} bytes");
        }
        // A killed training resumes at an earlier epoch, or another one begins.
        write(folder.path(), &steps(2)).unwrap();
        assert_eq!(read(folder.path()), bytes(&steps(2)));
        std::fs::write(folder.path().join(FILE), "something else").unwrap();
        write(folder.path(), &steps(1)).unwrap();
        assert_eq!(read(folder.path()), bytes(&steps(1)));
    }

    #[cfg(unix)]
    #[test]
    fn what_is_read_meanwhile_is_continued_in_its_place() {
        use std::os::unix::fs::MetadataExt;
        let folder = tempfile::tempdir().unwrap();
        let inode = || std::fs::metadata(folder.path().join(FILE)).unwrap().ino();
        write(folder.path(), &steps(1)).unwrap();
        let before = inode();
        write(folder.path(), &steps(2)).unwrap();
        assert_eq!(inode(), before);
    }
}
