//! Explains why a safetensors header was rejected, tensor by tensor if it can be parsed at all.

use crate::FileError;
use crate::signature::kind_of;
use safetensors::tensor::SafeTensorError;
use serde_json::Value;
use std::path::Path;

pub(super) fn explain(path: &Path, bytes: &[u8], source: &SafeTensorError) -> FileError {
    let wrong = |dataset: &str, expected: String, found: String| {
        let advice = "the file is truncated, damaged, or not safetensors: write or fetch it again";
        FileError::mismatch(path, dataset, expected, found, advice)
    };
    let Some((declared, rest)) =
        bytes.split_first_chunk::<8>().map(|(head, rest)| (u64::from_le_bytes(*head), rest))
    else {
        return wrong("header", "at least 8 bytes".into(), format!("{} bytes", bytes.len()));
    };
    // The header of a truncated safetensors file still begins as one.
    if rest.first() != Some(&b'{') && declared > rest.len() as u64 {
        let begins =
            || format!("a file that begins with {:?}", String::from_utf8_lossy(&bytes[..8]));
        let found = kind_of(bytes).map_or_else(begins, str::to_owned);
        return FileError::mismatch(
            path,
            "kind of file",
            "safetensors",
            found,
            "`cargo xtask inspect` says what kind of file this is",
        );
    }
    let Some((text, data)) =
        usize::try_from(declared).ok().and_then(|length| rest.split_at_checked(length))
    else {
        let found = format!("a header that claims to be {declared} bytes long");
        return wrong("header", format!("at most the {} bytes that follow", rest.len()), found);
    };
    let tensors = match serde_json::from_slice::<Value>(text) {
        Ok(Value::Object(tensors)) => tensors,
        _ => return wrong("header", "a JSON object".into(), source.to_string()),
    };
    let mut end = 0;
    for (name, tensor) in tensors.iter().filter(|(name, _)| *name != "__metadata__") {
        let numbers = |key: &str| {
            tensor[key].as_array()?.iter().map(Value::as_u64).collect::<Option<Vec<u64>>>()
        };
        let (Some(shape), Some(offsets)) = (numbers("shape"), numbers("data_offsets")) else {
            return wrong(name, "dtype, shape and data_offsets".into(), tensor.to_string());
        };
        let [from, to] = offsets[..] else {
            return wrong(name, "two data_offsets".into(), format!("{offsets:?}"));
        };
        end = end.max(to);
        let elements = shape.iter().try_fold(1u64, |product, size| product.checked_mul(*size));
        let bits = tensor["dtype"].as_str().and_then(bits_of);
        let size = elements
            .zip(bits)
            .and_then(|(elements, bits)| elements.checked_mul(bits))
            .map(|bits| bits / 8);
        if to < from || to > data.len() as u64 {
            let expected = format!("data_offsets within the {} bytes after the header", data.len());
            return wrong(name, expected, format!("{from} to {to}"));
        }
        if size.is_some_and(|size| size != to - from) || elements.is_none() {
            let expected = format!(
                "{} bytes for {} {shape:?}",
                size.map_or("more than 2^64".into(), |size| size.to_string()),
                tensor["dtype"]
            );
            return wrong(
                name,
                expected,
                format!("data_offsets {from} to {to}, which are {} bytes", to - from),
            );
        }
    }
    if end != data.len() as u64 {
        return wrong(
            "header",
            format!("tensors that fill the {} bytes after it", data.len()),
            format!("{end} bytes"),
        );
    }
    wrong("header", "the header of a safetensors file".into(), source.to_string())
}

fn bits_of(dtype: &str) -> Option<u64> {
    match dtype {
        "U8" | "I8" | "BOOL" => Some(8),
        "U16" | "I16" | "F16" | "BF16" => Some(16),
        "U32" | "I32" | "F32" => Some(32),
        "U64" | "I64" | "F64" => Some(64),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::archive::{Archive, Dtype, TensorView, write};
    use std::fs;
    use std::path::Path;

    /// The message about a file with two tensors whose header was changed and whose end was cut
    /// off.
    fn said_of(folder: &Path, change: impl Fn(&str) -> String, cut: usize) -> String {
        let path = folder.join("set.safetensors");
        let view =
            |shape: &[usize], bytes| TensorView::new(Dtype::U8, shape.to_vec(), bytes).unwrap();
        write(&path, &1, [("images", view(&[3, 4], &[7; 12])), ("labels", view(&[3], &[1; 3]))])
            .unwrap();
        let whole = fs::read(&path).unwrap();
        let length = u64::from_le_bytes(*whole.first_chunk().unwrap()) as usize;
        let header = change(std::str::from_utf8(&whole[8..8 + length]).unwrap());
        let changed =
            [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &whole[8 + length..]]
                .concat();
        fs::write(&path, &changed[..changed.len() - cut]).unwrap();
        Archive::read(&path, "").unwrap_err().to_string()
    }

    #[test]
    fn headers_that_lie_and_files_that_are_cut_are_explained() {
        let folder = tempfile::tempdir().unwrap();
        let same = str::to_owned;
        let check = |change: &dyn Fn(&str) -> String, cut, words: &[&str]| {
            let said = said_of(folder.path(), change, cut);
            words
                .iter()
                .chain(&["set.safetensors", "write or fetch it again"])
                .for_each(|word| assert!(said.contains(word), "{word}: {said}"));
        };
        check(
            &|header| header.replace("[3,4]", "[900,4]"),
            0,
            &["images", "3600 bytes", "12 bytes"],
        );
        check(
            &|header| header.replace("[12,15]", "[12,1500]"),
            0,
            &["labels", "within the 15 bytes", "12 to 1500"],
        );
        check(
            &|header| header.replace("[3,4]", "[18446744073709551615,4]"),
            0,
            &["images", "2^64"],
        );
        check(&|header| header[1..].to_owned(), 0, &["header", "JSON object"]);
        check(&|header| header.replace("[0,12]", "[0]"), 0, &["images", "two data_offsets"]);
        check(
            &|header| header.replace("\"shape\"", "\"size\""),
            0,
            &["dtype, shape and data_offsets"],
        );
        check(&same, 1, &["labels", "within the 14 bytes"]);
        check(&same, 30, &["header", "at most the"]);
        check(
            &|header| {
                header.replace(
                    r#""labels":{"dtype":"U8","shape":[3],"data_offsets":[12,15]}"#,
                    r#""labels":{"dtype":"U8","shape":[2],"data_offsets":[12,14]}"#,
                )
            },
            0,
            &["header", "fill the 15 bytes", "14 bytes"],
        );
    }

    #[test]
    fn a_file_of_another_kind_is_not_called_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("set.safetensors");
        for (bytes, kind) in [
            (&b"\x89HDF\r\n\x1a\n........"[..], "an HDF5 file"),
            (b"\x93NUMPY\x01\x00v\x00{'descr'", "a NumPy array"),
            (b"# Read me first", "a file that begins with \"# Read m\""),
        ] {
            fs::write(&path, bytes).unwrap();
            let error = Archive::read(&path, "").unwrap_err().to_string();
            assert!(
                error.contains(&format!("kind of file: expected safetensors, found {kind}")),
                "{error}"
            );
            assert!(!error.contains("damaged"), "{error}");
        }
    }

    #[test]
    fn a_file_of_a_few_bytes_is_no_archive() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("set.safetensors");
        fs::write(&path, [1; 5]).unwrap();
        assert!(
            Archive::read(&path, "")
                .unwrap_err()
                .to_string()
                .contains("at least 8 bytes, found 5 bytes")
        );
    }
}
