//! What a file of datasets holds under a name.

/// What a file, a tree or an archive holds under one name.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// `u8` for a byte, `i64`, `f32`, `string`, ...; in brackets and in words where it is no array.
    pub dtype: String,
    /// Sizes of its dimensions.
    pub shape: Vec<usize>,
}
