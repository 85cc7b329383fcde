//! NumPy arrays in Python pickles. No function of a pickle is called; its effect is computed here.

use brainprior_artifact::pickle::{Fault, Item, Pickle, Problem, Result};

/// Functions and types that a pickled array names.
const KNOWN: [&str; 5] = [
    "numpy.core.multiarray._reconstruct",
    "numpy._core.multiarray._reconstruct",
    "numpy.ndarray",
    "numpy.dtype",
    "_codecs.encode",
];

/// Parses a pickle of numbers, strings and arrays.
pub(super) fn parse(bytes: &[u8]) -> Result<Pickle<'_>> {
    Pickle::parse(bytes, |name| KNOWN.contains(&name)).map(|(pickle, _)| pickle)
}

/// Shape and bytes of a NumPy array of type `u1`, in C order.
pub(super) fn bytes_array(array: Item) -> Result<(Vec<usize>, Vec<u8>)> {
    let problem = |expected: String, found: String, fault| Err(Problem { expected, found, fault });
    let other = || problem("a NumPy array of type u1".into(), array.describe(), Fault::Damaged);
    let (Some((name, _)), Some(state)) = (array.call(), array.state()) else { return other() };
    let state: Vec<Item> = state.items()?.collect();
    let ([_, shape, dtype, columns_first, data], true) =
        (&state[..], name.ends_with("multiarray._reconstruct"))
    else {
        return other();
    };
    let shape: Vec<usize> =
        shape.integers()?.into_iter().map(|size| usize::try_from(size).unwrap_or(0)).collect();
    let of_type = dtype.call().and_then(|(_, arguments)| arguments.items().ok()?.next()?.text());
    if !matches!(of_type, Some("u1" | "|u1" | "uint8")) {
        let found = format!("type {}", of_type.unwrap_or("unknown"));
        return problem("an array of type u1".into(), found, Fault::Damaged);
    }
    let data = data.bytes()?;
    let size = shape.iter().try_fold(1usize, |size, axis| size.checked_mul(*axis));
    if size != Some(data.len()) {
        let expected = size.map_or("fewer".to_owned(), |size| size.to_string());
        return problem(
            format!("{expected} bytes for shape {shape:?}"),
            data.len().to_string(),
            Fault::Cut,
        );
    }
    match (columns_first.integer().is_some_and(|flag| flag != 0), &shape[..]) {
        (false, _) => Ok((shape, data.into_owned())),
        // Any number of empty rows holds no data.
        (true, [_, _]) if data.is_empty() => Ok((shape, vec![])),
        (true, [rows, columns]) => {
            let row = |row: usize| (0..*columns).map(move |column| (row, column));
            let values =
                (0..*rows).flat_map(row).map(|(row, column)| data[column * rows + row]).collect();
            Ok((shape, values))
        }
        (true, _) => problem("two axes".into(), format!("shape {shape:?}"), Fault::Damaged),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_of_any_number_of_empty_rows_is_empty() {
        let mut bytes = b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n)R(K\x01(\x8a\x08".to_vec();
        bytes.extend((1i64 << 60).to_le_bytes());
        bytes.extend(b"K\x00tcnumpy\ndtype\nU\x02u1\x85R\x88U\x00tb.");
        let pickle = parse(&bytes).unwrap();
        assert_eq!(bytes_array(pickle.root()).unwrap(), (vec![1 << 60, 0], vec![]));
    }
}
