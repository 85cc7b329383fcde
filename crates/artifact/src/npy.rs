//! NumPy array files (format 1.0 to 3.0) of numbers or strings, in either memory order and byte
//! order.

use crate::{FileError, unpacked};
use half::f16;
use std::borrow::Cow;
use std::fmt::Write;
use std::path::Path;

/// The values of an array.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// `u1`.
    Bytes(Vec<u8>),
    /// Other integers; booleans are 0 and 1.
    Integers(Vec<i64>),
    /// `u8` if a value is 2^63 or more.
    Large(Vec<u64>),
    /// `f4` and `f2`.
    Floats(Vec<f32>),
    /// `f8`.
    Doubles(Vec<f64>),
    /// `S` and `U`, with padding removed.
    Strings(Vec<String>),
}

/// An array.
#[derive(Clone, Debug, PartialEq)]
pub struct Npy {
    /// Sizes of the axes.
    pub shape: Vec<usize>,
    /// Values in C order: the last axis varies fastest.
    pub values: Values,
}

/// Why an array file was rejected.
#[derive(Debug)]
pub struct Problem {
    /// What was expected.
    pub expected: String,
    /// What was found.
    pub found: String,
    /// What to do.
    pub advice: &'static str,
}

impl Problem {
    /// Turns this into an error about a file of a tree.
    pub fn of(self, path: &Path, name: &str) -> FileError {
        FileError::mismatch(path, name, self.expected, self.found, self.advice)
    }
}

const MAGIC: &[u8] = b"\x93NUMPY";
const CUT: &str = "the file may be truncated";
/// NumPy's own limit. Reordering axes costs one step per axis and number.
const MOST_AXES: usize = 64;
const AGAIN: &str = "save the array again with numpy.save";

/// The header of an array file.
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    /// Sizes of the axes.
    pub shape: Vec<usize>,
    /// Whether numbers are big-endian.
    big_endian: bool,
    /// Whether the first axis varies fastest (Fortran order).
    column_major: bool,
    kind: char,
    /// Bytes per item.
    item: usize,
    /// Offset of the data in the file.
    pub start: usize,
}

impl Header {
    /// Parses the header of a file that begins with `bytes`.
    ///
    /// # Errors
    /// Returns [`Problem`] if this is not an array file, the header is truncated, or the type is
    /// not supported.
    pub fn parse(bytes: &[u8]) -> Result<Self, Problem> {
        let problem = |expected: &str, found: String, advice| Problem {
            expected: expected.to_owned(),
            found,
            advice,
        };
        if !bytes.starts_with(MAGIC) || bytes.len() < 10 {
            return Err(problem(
                "a NumPy array file",
                format!("{} bytes of something else", bytes.len()),
                AGAIN,
            ));
        }
        let (start, length) = match bytes[6] {
            1 => (10, usize::from(u16::from_le_bytes([bytes[8], bytes[9]]))),
            2 | 3 if bytes.len() >= 12 => {
                (12, u32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]) as usize)
            }
            other => return Err(problem("format version 1, 2 or 3", other.to_string(), AGAIN)),
        };
        let Some(header) = bytes.get(start..start + length) else {
            return Err(problem(
                &format!("a header of {length} bytes"),
                format!("{} bytes in all", bytes.len()),
                CUT,
            ));
        };
        let header = String::from_utf8_lossy(header);
        let unclear = || {
            problem("a header with descr, fortran_order and shape", header.trim().to_owned(), AGAIN)
        };
        let descr = quoted(&header, "descr").ok_or_else(unclear)?;
        let shape = shape(&header).ok_or_else(unclear)?;
        let column_major = value(&header, "fortran_order").ok_or_else(unclear)?.starts_with("True");
        let (big_endian, kind, item) = item(descr).ok_or_else(|| {
            let advice = "save it as one of these types, with allow_pickle=False";
            let found = if descr.ends_with('O') {
                format!("{descr}: pickled Python objects")
            } else {
                descr.to_owned()
            };
            problem("an integer, f2, f4, f8, S or U", found, advice)
        })?;
        if shape.len() > MOST_AXES {
            return Err(problem(
                &format!("at most {MOST_AXES} axes"),
                shape.len().to_string(),
                AGAIN,
            ));
        }
        // Without this check, a shape of any size would need no bytes of data.
        if item == 0 && !shape.contains(&0) {
            return Err(problem(
                "strings with a length",
                format!("{descr} in shape {shape:?}"),
                AGAIN,
            ));
        }
        Ok(Self { shape, big_endian, column_major, kind, item, start: start + length })
    }

    /// NumPy's name of the type if the data are little-endian and in C order.
    pub fn stored_as(&self) -> Option<String> {
        (!self.column_major && (!self.big_endian || self.item == 1))
            .then(|| format!("{}{}", self.kind, self.item))
    }

    /// The type as the data specs name it: `u8` is a byte, `string` any text.
    pub fn dtype(&self) -> String {
        match self.kind {
            'S' | 'U' => "string".to_owned(),
            'b' => "bool".to_owned(),
            kind => format!("{kind}{}", 8 * self.item),
        }
    }
}

impl Npy {
    /// Parses the bytes of a file.
    ///
    /// # Errors
    /// Returns [`Problem`] if [`Header::parse`] does, if the data do not have the length the header
    /// states, or if a string is not valid text.
    pub fn parse(bytes: &[u8]) -> Result<Self, Problem> {
        let header = Header::parse(bytes)?;
        let data = &bytes[header.start..];
        let size = header
            .shape
            .iter()
            .try_fold(header.item, |size, dimension| size.checked_mul(*dimension));
        if size != Some(data.len()) {
            let expected = size.map_or("a shape that fits into memory".to_owned(), |size| {
                format!("{size} bytes of data")
            });
            return Err(Problem { expected, found: format!("{} bytes", data.len()), advice: CUT });
        }
        // An array without values may still have axes of any length, and readers iterate over them.
        if unpacked::extent(&header.shape, 1)
            .is_none_or(|axes| axes > unpacked::most(bytes.len() as u64))
        {
            return Err(Problem {
                expected: "axes that are not empty".into(),
                found: format!("shape {:?}", header.shape),
                advice: AGAIN,
            });
        }
        let mut data = Cow::Borrowed(data);
        if header.column_major && header.shape.iter().filter(|size| **size > 1).count() > 1 {
            data = Cow::Owned(row_major(&data, header.item, &header.shape));
        }
        // A character of a `U` string has four bytes.
        let number = if header.kind == 'U' { 4 } else { header.item };
        if header.big_endian && number > 1 && header.kind != 'S' {
            data.to_mut().chunks_exact_mut(number).for_each(<[u8]>::reverse);
        }
        let values = decode(header.kind, header.item, &data);
        let values = values.map_err(|found| Problem {
            expected: "text in UCS-4".into(),
            found,
            advice: AGAIN,
        })?;
        Ok(Self { shape: header.shape, values })
    }

    /// Encodes the array as the bytes of a file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let (descr, data): (String, Vec<u8>) = match &self.values {
            Values::Bytes(values) => ("|u1".into(), values.clone()),
            Values::Integers(values) => {
                ("<i8".into(), values.iter().flat_map(|value| value.to_le_bytes()).collect())
            }
            Values::Large(values) => {
                ("<u8".into(), values.iter().flat_map(|value| value.to_le_bytes()).collect())
            }
            Values::Floats(values) => {
                ("<f4".into(), values.iter().flat_map(|value| value.to_le_bytes()).collect())
            }
            Values::Doubles(values) => {
                ("<f8".into(), values.iter().flat_map(|value| value.to_le_bytes()).collect())
            }
            Values::Strings(values) => {
                let length =
                    values.iter().map(|value| value.chars().count()).max().unwrap_or(0).max(1);
                let padded = |value: &String| {
                    value.chars().chain(std::iter::repeat('\0')).take(length).collect::<Vec<_>>()
                };
                let data = values
                    .iter()
                    .flat_map(padded)
                    .flat_map(|letter| u32::from(letter).to_le_bytes())
                    .collect();
                (format!("<U{length}"), data)
            }
        };
        let sizes = self.shape.iter().fold(String::new(), |mut text, size| {
            let _ = write!(text, "{size}, ");
            text
        });
        let sizes =
            if self.shape.len() == 1 { sizes.trim_end() } else { sizes.trim_end_matches(", ") };
        let mut header =
            format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({sizes}), }}");
        // NumPy aligns the data to 64 bytes, after a line break.
        let padding = 63 - (MAGIC.len() + 4 + header.len()) % 64;
        header.extend(std::iter::repeat_n(' ', padding));
        header.push('\n');
        let mut bytes = MAGIC.to_vec();
        bytes.extend([1, 0]);
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        bytes
    }
}

/// The text after a key of the header, which is a Python dictionary.
fn value<'a>(header: &'a str, key: &str) -> Option<&'a str> {
    let rest =
        ["'", "\""].iter().find_map(|quote| header.split_once(&format!("{quote}{key}{quote}")))?.1;
    Some(rest.trim_start().strip_prefix(':')?.trim_start())
}

fn quoted<'a>(header: &'a str, key: &str) -> Option<&'a str> {
    let value = value(header, key)?;
    let quote = value.chars().next().filter(|quote| "'\"".contains(*quote))?;
    value[1..].split_once(quote).map(|(text, _)| text)
}

fn shape(header: &str) -> Option<Vec<usize>> {
    let (sizes, _) = value(header, "shape")?.strip_prefix('(')?.split_once(')')?;
    sizes
        .split(',')
        .map(str::trim)
        .filter(|size| !size.is_empty())
        .map(|size| size.trim_end_matches('L').parse().ok())
        .collect()
}

/// Byte order (true if big-endian), kind and item size of a supported type.
fn item(descr: &str) -> Option<(bool, char, usize)> {
    let (order, kind) = descr.split_at_checked(1)?;
    let size = kind.get(1..)?.parse::<usize>().ok()?;
    let big_endian = match order {
        ">" => true,
        "<" | "|" => false,
        "=" => cfg!(target_endian = "big"),
        _ => return None,
    };
    let kind = kind.chars().next()?;
    // Types that have a byte order state it, except for strings of length zero.
    let ordered = order != "|";
    let item = match (kind, size) {
        ('u' | 'i' | 'b', 1) | ('S', _) => size,
        ('u' | 'i', 2 | 4 | 8) | ('f', 2 | 4 | 8) if ordered => size,
        ('U', _) if ordered || size == 0 => size.checked_mul(4)?,
        _ => return None,
    };
    Some((big_endian, kind, item))
}

/// Reorders the items of a Fortran-order array into C order.
fn row_major(data: &[u8], item: usize, shape: &[usize]) -> Vec<u8> {
    let mut index = vec![0; shape.len()];
    let mut sorted = Vec::with_capacity(data.len());
    for _ in 0..data.len() / item.max(1) {
        let place =
            index.iter().zip(shape).rev().fold(0, |place, (index, size)| place * size + index);
        sorted.extend_from_slice(&data[place * item..(place + 1) * item]);
        for (index, size) in index.iter_mut().zip(shape).rev() {
            *index += 1;
            if *index < *size {
                break;
            }
            *index = 0;
        }
    }
    sorted
}

fn decode(kind: char, item: usize, data: &[u8]) -> Result<Values, String> {
    fn all<const N: usize, T>(data: &[u8], value: impl Fn([u8; N]) -> T) -> Vec<T> {
        data.chunks_exact(N)
            .map(|bytes| value(bytes.try_into().expect("chunks of that size")))
            .collect()
    }
    let strings = |text: fn(&[u8]) -> Result<String, String>| -> Result<Values, String> {
        // chunks_exact panics on size zero.
        Ok(Values::Strings(data.chunks_exact(item.max(1)).map(text).collect::<Result<_, _>>()?))
    };
    Ok(match (kind, item) {
        ('u', 1) => Values::Bytes(data.to_vec()),
        ('b', _) => Values::Integers(data.iter().map(|value| i64::from(*value != 0)).collect()),
        ('i', 1) => Values::Integers(all(data, |bytes| i64::from(i8::from_le_bytes(bytes)))),
        ('u', 2) => Values::Integers(all(data, |bytes| i64::from(u16::from_le_bytes(bytes)))),
        ('i', 2) => Values::Integers(all(data, |bytes| i64::from(i16::from_le_bytes(bytes)))),
        ('u', 4) => Values::Integers(all(data, |bytes| i64::from(u32::from_le_bytes(bytes)))),
        ('i', 4) => Values::Integers(all(data, |bytes| i64::from(i32::from_le_bytes(bytes)))),
        ('u', _) => {
            let values = all(data, u64::from_le_bytes);
            match values.iter().map(|value| i64::try_from(*value).ok()).collect() {
                Some(values) => Values::Integers(values),
                None => Values::Large(values),
            }
        }
        ('i', _) => Values::Integers(all(data, i64::from_le_bytes)),
        ('f', 2) => Values::Floats(all(data, |bytes| f16::from_le_bytes(bytes).to_f32())),
        ('f', 4) => Values::Floats(all(data, f32::from_le_bytes)),
        ('f', _) => Values::Doubles(all(data, f64::from_le_bytes)),
        ('S', _) => {
            strings(|bytes| Ok(String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned()))?
        }
        _ => strings(|bytes| {
            let letters = bytes
                .chunks_exact(4)
                .map(|letter| u32::from_le_bytes(letter.try_into().expect("four bytes")));
            let text: Option<String> = letters.map(char::from_u32).collect();
            Ok(text.ok_or("a number that is not a character")?.trim_end_matches('\0').to_owned())
        })?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// An array file as numpy.save writes it: `descr`, order, shape, data.
    fn saved(descr: &str, fortran: &str, shape: &str, data: &[u8]) -> Vec<u8> {
        let header =
            format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n");
        [&b"\x93NUMPY\x01\x00"[..], &(header.len() as u16).to_le_bytes(), header.as_bytes(), data]
            .concat()
    }

    #[track_caller]
    fn refused(bytes: &[u8], expected: &str, found: &str) {
        let problem = Npy::parse(bytes).unwrap_err();
        assert!(
            problem.expected.contains(expected) && problem.found.contains(found),
            "{problem:?}"
        );
    }

    #[test]
    fn reads_what_numpy_writes() {
        let ucs4: Vec<u8> =
            "V1\0LM\0".chars().flat_map(|letter| u32::from(letter).to_le_bytes()).collect();
        let strings = Npy::parse(&saved("<U3", "False", "(2,)", &ucs4)).unwrap();
        assert_eq!(
            strings,
            Npy { shape: vec![2], values: Values::Strings(vec!["V1".into(), "LM".into()]) }
        );
        let bytes = Npy::parse(&saved("|S3", "False", "(2,)", b"ab\0cde")).unwrap();
        assert_eq!(bytes.values, Values::Strings(vec!["ab".into(), "cde".into()]));
        let scalar = Npy::parse(&saved("<f8", "False", "()", &2.5f64.to_le_bytes())).unwrap();
        assert_eq!(scalar, Npy { shape: vec![], values: Values::Doubles(vec![2.5]) });
        let vector =
            Npy::parse(&saved("<i4", "True", "(2,)", &[1, 0, 0, 0, 255, 255, 255, 255])).unwrap();
        assert_eq!(vector.values, Values::Integers(vec![1, -1]));
    }

    #[test]
    fn reads_either_order_of_axes_and_of_bytes() {
        // numpy.arange(6).reshape(2, 3), saved in C order and as a copy in Fortran order.
        let bytes = |values: [i16; 6]| {
            values.iter().flat_map(|value| value.to_be_bytes()).collect::<Vec<_>>()
        };
        let rows =
            Npy::parse(&saved(">i2", "False", "(2, 3)", &bytes([0, 1, 2, 3, 4, 5]))).unwrap();
        assert_eq!(rows, Npy { shape: vec![2, 3], values: Values::Integers((0..6).collect()) });
        assert_eq!(
            Npy::parse(&saved(">i2", "True", "(2, 3)", &bytes([0, 3, 1, 4, 2, 5]))).unwrap(),
            rows
        );
        // Three axes in Fortran order: the first varies fastest.
        let mixed: Vec<u8> = vec![0, 4, 2, 6, 1, 5, 3, 7];
        let cube = Npy::parse(&saved("|u1", "True", "(2, 2, 2)", &mixed)).unwrap();
        assert_eq!(cube.values, Values::Bytes((0..8).collect()));
        let letters: Vec<u8> =
            "V1LM".chars().flat_map(|letter| u32::from(letter).to_be_bytes()).collect();
        let strings = Npy::parse(&saved(">U2", "False", "(2,)", &letters)).unwrap();
        assert_eq!(strings.values, Values::Strings(vec!["V1".into(), "LM".into()]));
        let halves = Npy::parse(&saved(">f2", "False", "(2,)", &[0x3c, 0, 0xc1, 0])).unwrap();
        assert_eq!(halves.values, Values::Floats(vec![1.0, -2.5]));
    }

    #[test]
    fn large_numbers_stay_apart() {
        let bytes = |values: [u64; 2]| {
            values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>()
        };
        let large = Npy::parse(&saved("<u8", "False", "(2,)", &bytes([1, 1 << 63]))).unwrap();
        assert_eq!(large.values, Values::Large(vec![1, 1 << 63]));
        let small = Npy::parse(&saved("<u8", "False", "(2,)", &bytes([1, (1 << 63) - 1]))).unwrap();
        assert_eq!(small.values, Values::Integers(vec![1, i64::MAX]));
    }

    #[test]
    fn refuses_what_it_would_misread() {
        refused(b"PK\x03\x04 and so on", "NumPy", "14 bytes");
        refused(&saved("|O", "False", "(2,)", &[0; 8]), "f4, f8, S or U", "|O");
        refused(&saved("<f16", "False", "(1,)", &[0; 16]), "f4, f8, S or U", "<f16");
        refused(&saved("<f4", "False", "(2, 3)", &[0; 20]), "24 bytes", "20 bytes");
        refused(&saved("<f8", "False", "(4611686018427387904, 9)", &[0; 8]), "memory", "8 bytes");
        refused(&saved("<f4", "False", "(2, 3)", &[0; 24])[..40], "header", "40 bytes");
        refused(&saved("<U1", "False", "(1,)", &[0, 0, 255, 255]), "UCS-4", "not a character");
    }

    #[test]
    fn refuses_axes_along_which_nothing_lies() {
        refused(
            &saved("<f4", "False", &format!("({})", "1, ".repeat(65)), &[0; 4]),
            "at most 64 axes",
            "65",
        );
        refused(
            &saved("|S0", "False", "(4611686018427387904,)", &[]),
            "strings with a length",
            "|S0",
        );
        assert_eq!(
            Npy::parse(&saved("|S0", "False", "(0,)", &[])).unwrap().values,
            Values::Strings(vec![])
        );
        refused(
            &saved("<f4", "True", "(1152921504606846976, 0)", &[]),
            "axes that are not empty",
            "[1152921504606846976, 0]",
        );
        refused(&saved("<f4", "False", "(4294967296, 4294967296, 0)", &[]), "memory", "0 bytes");
        assert_eq!(Npy::parse(&saved("<f4", "False", "(12, 0)", &[])).unwrap().shape, [12, 0]);
    }

    proptest! {
        #[test]
        fn round_trip(values in prop::collection::vec(-1e30f32..1e30, 0..40), words in prop::collection::vec("[a-zé/0-9]{0,12}", 1..20)) {
            let arrays = [
                Npy { shape: vec![values.len()], values: Values::Floats(values.clone()) },
                Npy { shape: vec![1, values.len(), 1], values: Values::Integers(values.iter().map(|value| *value as i64).collect()) },
                Npy { shape: vec![values.len()], values: Values::Bytes(values.iter().map(|value| *value as u8).collect()) },
                Npy { shape: vec![words.len()], values: Values::Strings(words) },
            ];
            for array in arrays {
                let bytes = array.to_bytes();
                prop_assert_eq!((10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]))) % 64, 0, "data are aligned");
                prop_assert_eq!(&Npy::parse(&bytes).unwrap(), &array);
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Npy::parse(&[MAGIC, &bytes[..]].concat());
        }
    }
}
