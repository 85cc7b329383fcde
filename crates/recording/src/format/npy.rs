//! NumPy's array files (format 1.0 to 3.0), as far as scans use them: numbers and strings, row-major, little-endian.

use std::fmt::Write;

/// The values of an array.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Values {
    /// `u1`.
    Bytes(Vec<u8>),
    /// Other whole numbers, and booleans as 0 and 1.
    Integers(Vec<i64>),
    /// `f4`, and `f8` rounded to it.
    Floats(Vec<f32>),
    /// `S` and `U`, padding removed.
    Strings(Vec<String>),
}

/// An array.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Npy {
    pub shape: Vec<usize>,
    pub values: Values,
}

/// What is wrong with an array file.
#[derive(Debug)]
pub(crate) struct Problem {
    pub expected: String,
    pub found: String,
    pub advice: &'static str,
}

const MAGIC: &[u8] = b"\x93NUMPY";
const CUT: &str = "the file may be cut off";
const AGAIN: &str = "save the array again with numpy.save, in the native order and type";

impl Npy {
    /// Of the bytes of a file.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Problem> {
        let problem = |expected: &str, found: String, advice| Problem { expected: expected.to_owned(), found, advice };
        if !bytes.starts_with(MAGIC) || bytes.len() < 10 {
            return Err(problem("a NumPy array file", format!("{} bytes of another kind", bytes.len()), AGAIN));
        }
        let (start, length) = match bytes[6] {
            1 => (10, usize::from(u16::from_le_bytes([bytes[8], bytes[9]]))),
            2 | 3 if bytes.len() >= 12 => (12, u32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]) as usize),
            other => return Err(problem("format version 1, 2 or 3", other.to_string(), AGAIN)),
        };
        let Some(header) = bytes.get(start..start + length) else {
            return Err(problem(&format!("a header of {length} bytes"), format!("{} bytes in all", bytes.len()), CUT));
        };
        let header = String::from_utf8_lossy(header);
        let unclear = || problem("a header with descr, fortran_order and shape", header.trim().to_owned(), AGAIN);
        let descr = quoted(&header, "descr").ok_or_else(unclear)?;
        let shape = shape(&header).ok_or_else(unclear)?;
        if value(&header, "fortran_order").ok_or_else(unclear)?.starts_with("True")
            && shape.iter().filter(|size| **size > 1).count() > 1
        {
            return Err(problem(
                "row-major (C) order",
                "column-major (Fortran) order".into(),
                "save numpy.ascontiguousarray of it",
            ));
        }
        let item = item_size(descr).ok_or_else(|| {
            problem(
                "type u1, f4, f8, an integer, S or U, little-endian",
                descr.to_owned(),
                "save it as such a type, with allow_pickle=False",
            )
        })?;
        let data = &bytes[start + length..];
        let size = shape.iter().try_fold(item, |size, dimension| size.checked_mul(*dimension));
        if size != Some(data.len()) {
            let expected = size.map_or("a shape that fits into memory".to_owned(), |size| format!("{size} bytes of data"));
            return Err(problem(&expected, format!("{} bytes", data.len()), CUT));
        }
        let values = decode(descr, item, data).map_err(|found| problem("text in UCS-4", found, AGAIN))?;
        Ok(Self { shape, values })
    }

    /// The bytes of a file.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let (descr, data): (String, Vec<u8>) = match &self.values {
            Values::Bytes(values) => ("|u1".into(), values.clone()),
            Values::Integers(values) => ("<i8".into(), values.iter().flat_map(|value| value.to_le_bytes()).collect()),
            Values::Floats(values) => ("<f4".into(), values.iter().flat_map(|value| value.to_le_bytes()).collect()),
            Values::Strings(values) => {
                let length = values.iter().map(|value| value.chars().count()).max().unwrap_or(0).max(1);
                let padded = |value: &String| value.chars().chain(std::iter::repeat('\0')).take(length).collect::<Vec<_>>();
                let data = values.iter().flat_map(padded).flat_map(|letter| u32::from(letter).to_le_bytes()).collect();
                (format!("<U{length}"), data)
            }
        };
        let sizes = self.shape.iter().fold(String::new(), |mut text, size| {
            let _ = write!(text, "{size}, ");
            text
        });
        let sizes = if self.shape.len() == 1 { sizes.trim_end() } else { sizes.trim_end_matches(", ") };
        let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({sizes}), }}");
        // The data begin at a multiple of 64 bytes, after a line break.
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

/// What follows a key of the header, which is a Python dictionary.
fn value<'a>(header: &'a str, key: &str) -> Option<&'a str> {
    let rest = ["'", "\""].iter().find_map(|quote| header.split_once(&format!("{quote}{key}{quote}")))?.1;
    Some(rest.trim_start().strip_prefix(':')?.trim_start())
}

fn quoted<'a>(header: &'a str, key: &str) -> Option<&'a str> {
    let value = value(header, key)?;
    let quote = value.chars().next().filter(|quote| "'\"".contains(*quote))?;
    value[1..].split_once(quote).map(|(text, _)| text)
}

fn shape(header: &str) -> Option<Vec<usize>> {
    let (sizes, _) = value(header, "shape")?.strip_prefix('(')?.split_once(')')?;
    sizes.split(',').map(str::trim).filter(|size| !size.is_empty()).map(|size| size.trim_end_matches('L').parse().ok()).collect()
}

/// Bytes of one item of a type that is read.
fn item_size(descr: &str) -> Option<usize> {
    let (order, kind) = descr.split_at_checked(1)?;
    let size = kind.get(1..)?.parse::<usize>().ok()?;
    match (order, kind.chars().next()?, size) {
        ("|", 'u' | 'i' | 'b', 1) | ("<", 'u' | 'i', 1 | 2 | 4 | 8) | ("<", 'f', 4 | 8) => Some(size),
        ("|", 'S', _) => Some(size),
        ("<", 'U', _) => size.checked_mul(4),
        // A string of no length has no byte order.
        ("|", 'U', 0) => Some(0),
        _ => None,
    }
}

fn decode(descr: &str, item: usize, data: &[u8]) -> Result<Values, String> {
    fn all<const N: usize, T>(data: &[u8], value: impl Fn([u8; N]) -> T) -> Vec<T> {
        data.chunks_exact(N).map(|bytes| value(bytes.try_into().expect("chunks of that size"))).collect()
    }
    let strings = |text: fn(&[u8]) -> Result<String, String>| -> Result<Values, String> {
        // chunks_exact refuses items of no size.
        Ok(Values::Strings(data.chunks_exact(item.max(1)).map(text).collect::<Result<_, _>>()?))
    };
    Ok(match &descr[1..] {
        "u1" => Values::Bytes(data.to_vec()),
        "b1" => Values::Integers(data.iter().map(|value| i64::from(*value != 0)).collect()),
        "i1" => Values::Integers(all(data, |bytes| i64::from(i8::from_le_bytes(bytes)))),
        "u2" => Values::Integers(all(data, |bytes| i64::from(u16::from_le_bytes(bytes)))),
        "i2" => Values::Integers(all(data, |bytes| i64::from(i16::from_le_bytes(bytes)))),
        "u4" => Values::Integers(all(data, |bytes| i64::from(u32::from_le_bytes(bytes)))),
        "i4" => Values::Integers(all(data, |bytes| i64::from(i32::from_le_bytes(bytes)))),
        // Identifiers are only compared, so that the upper half may become negative.
        "u8" => Values::Integers(all(data, |bytes| u64::from_le_bytes(bytes) as i64)),
        "i8" => Values::Integers(all(data, i64::from_le_bytes)),
        "f4" => Values::Floats(all(data, f32::from_le_bytes)),
        "f8" => Values::Floats(all(data, |bytes| f64::from_le_bytes(bytes) as f32)),
        text if text.starts_with('S') => strings(|bytes| Ok(String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned()))?,
        _ => strings(|bytes| {
            let letters = bytes.chunks_exact(4).map(|letter| u32::from_le_bytes(letter.try_into().expect("four bytes")));
            let text: Option<String> = letters.map(char::from_u32).collect();
            Ok(text.ok_or("a number that is no letter")?.trim_end_matches('\0').to_owned())
        })?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As numpy.save writes it: `descr`, order, shape, data.
    fn saved(descr: &str, fortran: &str, shape: &str, data: &[u8]) -> Vec<u8> {
        let header = format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n");
        [&b"\x93NUMPY\x01\x00"[..], &(header.len() as u16).to_le_bytes(), header.as_bytes(), data].concat()
    }

    #[track_caller]
    fn refused(bytes: &[u8], expected: &str, found: &str) {
        let problem = Npy::parse(bytes).unwrap_err();
        assert!(problem.expected.contains(expected) && problem.found.contains(found), "{problem:?}");
    }

    #[test]
    fn reads_what_numpy_writes() {
        let ucs4: Vec<u8> = "V1\0LM\0".chars().flat_map(|letter| u32::from(letter).to_le_bytes()).collect();
        let strings = Npy::parse(&saved("<U3", "False", "(2,)", &ucs4)).unwrap();
        assert_eq!(strings, Npy { shape: vec![2], values: Values::Strings(vec!["V1".into(), "LM".into()]) });
        let bytes = Npy::parse(&saved("|S3", "False", "(2,)", b"ab\0cde")).unwrap();
        assert_eq!(bytes.values, Values::Strings(vec!["ab".into(), "cde".into()]));
        let scalar = Npy::parse(&saved("<f8", "False", "()", &2.5f64.to_le_bytes())).unwrap();
        assert_eq!(scalar, Npy { shape: vec![], values: Values::Floats(vec![2.5]) });
        let vector = Npy::parse(&saved("<i4", "True", "(2,)", &[1, 0, 0, 0, 255, 255, 255, 255])).unwrap();
        assert_eq!(vector.values, Values::Integers(vec![1, -1]));
    }

    #[test]
    fn refuses_what_it_would_misread() {
        refused(b"PK\x03\x04 and so on", "NumPy", "14 bytes");
        refused(&saved("<f4", "True", "(2, 3)", &[0; 24]), "row-major", "column-major");
        refused(&saved(">f4", "False", "(2,)", &[0; 8]), "little-endian", ">f4");
        refused(&saved("|O", "False", "(2,)", &[0; 8]), "type u1", "|O");
        refused(&saved("<f4", "False", "(2, 3)", &[0; 20]), "24 bytes", "20 bytes");
        refused(&saved("<f8", "False", "(4611686018427387904, 9)", &[0; 8]), "memory", "8 bytes");
        refused(&saved("<f4", "False", "(2, 3)", &[0; 24])[..40], "header", "40 bytes");
        refused(&saved("<U1", "False", "(1,)", &[0, 0, 255, 255]), "UCS-4", "no letter");
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
