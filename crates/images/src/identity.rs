//! Identifies images by content, not by file name.

use crate::Error;
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;

/// Identity of a grayscale image by content: the first 64 bits of SHA-256 over its size and its
/// pixels in [0, 1].
///
/// Among 100,000 images, the probability that any two share an identity by accident is below 10^-9.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageId(u64);

impl ImageId {
    /// The identity of `height * width` pixels, row-major, in [0, 1].
    pub fn of(height: usize, width: usize, pixels: &[f32]) -> Self {
        let mut hasher = Sha256::new();
        hasher.update((height as u64).to_le_bytes());
        hasher.update((width as u64).to_le_bytes());
        let bytes: Vec<u8> =
            pixels.iter().flat_map(|pixel| pixel.to_bits().to_le_bytes()).collect();
        hasher.update(&bytes);
        let [first, second, third, fourth, fifth, sixth, seventh, eighth, ..]: [u8; 32] =
            hasher.finalize().into();
        Self(u64::from_be_bytes([first, second, third, fourth, fifth, sixth, seventh, eighth]))
    }

    /// The identity as a number, for storage.
    pub fn to_u64(self) -> u64 {
        self.0
    }

    /// Restores an identity from storage.
    pub fn from_u64(bits: u64) -> Self {
        Self(bits)
    }
}

impl fmt::Display for ImageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for ImageId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        u64::from_str_radix(text, 16).ok().filter(|_| text.len() == 16).map(Self).ok_or_else(|| {
            Error::Size {
                what: "an image identity",
                expected: "16 hexadecimal digits".into(),
                found: format!("{text:?}"),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identity_is_content_and_size() {
        let id = ImageId::of(1, 4, &[0.0, 0.25, 0.5, 1.0]);
        assert_eq!(id, ImageId::of(1, 4, &[0.0, 0.25, 0.5, 1.0]));
        assert_ne!(id, ImageId::of(2, 2, &[0.0, 0.25, 0.5, 1.0]));
        assert_ne!(id, ImageId::of(1, 4, &[0.0, 0.25, 0.5, 0.99]));
        assert_eq!(id.to_string().parse::<ImageId>().unwrap(), id);
        assert!("xyz".parse::<ImageId>().is_err());
    }
}
