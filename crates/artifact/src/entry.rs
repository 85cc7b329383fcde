//! An entry in the listing of a file.

/// A dataset in a file, tree or archive.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// `u8` for bytes, `i64`, `f32`, `string`, ...; a phrase in parentheses if the entry is not an
    /// array.
    pub dtype: String,
    /// Size of each dimension.
    pub shape: Vec<usize>,
}
