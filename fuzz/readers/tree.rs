//! Edits of a folder of files, such as made by strangers, full disks and editors.

use super::program::Program;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Files by their names in a folder.
pub type Files = BTreeMap<String, Vec<u8>>;

const EDITS: usize = 24;

/// Replacements for a number or word in a text.
const WORDS: [&str; 16] = [
    "nan",
    ".inf",
    "-.inf",
    "-1",
    "0",
    "1e308",
    "99999999999999999999",
    "18446744073709551615",
    "true",
    "~",
    "[]",
    "{}",
    "\"\"",
    "&a [*a]",
    "\u{feff}",
    "image",
];

const TYPES: [&str; 20] = [
    "|u1",
    "|i1",
    "|b1",
    "<i2",
    "<u4",
    "<i8",
    "<u8",
    ">u8",
    "<f2",
    "<f4",
    "<f8",
    ">f8",
    "|S0",
    "|S1",
    "|S7",
    "<U0",
    "<U4",
    "|O",
    "<c8",
    "<U99999999",
];

/// The files after a program's edits.
pub fn edited(mut files: Files, program: &mut Program) -> Files {
    for _ in 0..EDITS {
        if program.is_over() || files.is_empty() {
            break;
        }
        let names: Vec<String> = files.keys().cloned().collect();
        let name = program.pick(&names).clone();
        match program.below(12) {
            0 => drop(files.remove(&name)),
            1 => {
                let content = files[program.pick(&names)].clone();
                files.insert(name, content);
            }
            2 => {
                let other = program.pick(&names).clone();
                if let Some(content) = files.remove(&name) {
                    files.insert(other, content);
                }
            }
            edit => change(edit, files.get_mut(&name).expect("one of the names"), program),
        }
    }
    files
}

fn change(edit: usize, content: &mut Vec<u8>, program: &mut Program) {
    let place = program.word() % (content.len() + 1);
    match edit {
        3 => content.truncate(place),
        4 => {
            let value = program.byte();
            content.get_mut(place).into_iter().for_each(|byte| *byte = value);
        }
        5 => {
            let (count, value) = (usize::from(program.byte()), program.byte());
            content.iter_mut().skip(place).take(count).for_each(|byte| *byte = value);
        }
        6 => {
            let count = program.below(16);
            content.splice(place..place, program.bytes(count).iter().copied());
        }
        7 => {
            let count = program.below(64).min(content.len() - place);
            content.drain(place..place + count);
        }
        8 | 9 => {
            let word = *program.pick(&WORDS);
            replace_word(content, program.byte(), word);
        }
        10 => {
            let header = header(program);
            let start = data_start(content).unwrap_or(0);
            content.splice(..start, header);
        }
        _ => {
            let number = program.number();
            let (double, single) = (number.to_le_bytes(), (number as f32).to_le_bytes());
            let bytes: &[u8] = if program.byte().is_multiple_of(2) { &double } else { &single };
            // Counted from the end, where numbers are aligned.
            let before = (place / bytes.len() + 1) * bytes.len();
            if let Some(start) = content.len().checked_sub(before) {
                content[start..start + bytes.len()].copy_from_slice(bytes);
            }
        }
    }
}

/// Replaces the value after the colon, comma or equals sign with this index by `word`.
fn replace_word(content: &mut Vec<u8>, number: u8, word: &str) {
    let separates = |byte: &u8| b":,=\n".contains(byte);
    let starts: Vec<usize> =
        (0..content.len()).filter(|place| separates(&content[*place])).collect();
    if starts.is_empty() {
        return;
    }
    let start = starts[usize::from(number) % starts.len()] + 1;
    let end =
        content[start..].iter().position(separates).map_or(content.len(), |length| start + length);
    content.splice(start..end, format!(" {word}").into_bytes());
}

/// Start of the data in an array file.
fn data_start(content: &[u8]) -> Option<usize> {
    let length = content.starts_with(b"\x93NUMPY").then(|| content.get(8..10)).flatten()?;
    Some((10 + usize::from(u16::from_le_bytes([length[0], length[1]]))).min(content.len()))
}

/// The header of a NumPy array file.
pub fn header(program: &mut Program) -> Vec<u8> {
    let (descr, order) =
        (*program.pick(&TYPES), if program.byte().is_multiple_of(4) { "True" } else { "False" });
    let shape: String = (0..program.below(5)).map(|_| format!("{}, ", program.size())).collect();
    let text = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': ({shape}), }}\n");
    [b"\x93NUMPY\x01\x00", &(text.len() as u16).to_le_bytes()[..], text.as_bytes()].concat()
}

/// Contents of the folder after the last call.
static LAST: Mutex<Option<(PathBuf, Files)>> = Mutex::new(None);

/// Makes the folder contain these files, leaving unchanged ones in place. Names that no file system
/// supports are skipped.
pub fn write(files: &Files, folder: &Path) {
    let mut last = LAST.lock().expect("a reader that panics ends the process");
    let last = last.get_or_insert_default();
    if last.0 != folder {
        *last = (folder.to_owned(), Files::new());
    }
    last.1
        .keys()
        .filter(|name| !files.contains_key(*name))
        .for_each(|name| drop(fs::remove_file(folder.join(name))));
    for (name, content) in
        files.iter().filter(|(name, content)| last.1.get(*name) != Some(*content))
    {
        let path = folder.join(name);
        let _ = path.parent().map(fs::create_dir_all);
        let _ = fs::write(path, content);
    }
    last.1 = files.clone();
}

/// The same files as one archive.
pub fn zipped(files: &Files) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(vec![]));
    for (place, (name, content)) in files.iter().enumerate() {
        let method = if place.is_multiple_of(2) {
            zip::CompressionMethod::Stored
        } else {
            zip::CompressionMethod::Deflated
        };
        let options = zip::write::SimpleFileOptions::default().compression_method(method);
        if archive.start_file(name.as_str(), options).is_ok() {
            archive.write_all(content).expect("memory takes everything");
        }
    }
    archive.finish().expect("memory takes everything").into_inner()
}
