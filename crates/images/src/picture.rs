//! Reads PNG and JPEG files.

use crate::Result;
use brainprior_artifact::FileError;
use image::{DynamicImage, ImageFormat, ImageReader};
use std::cmp::Ordering;
use std::io::Cursor;
use std::path::Path;

/// File name extensions of pictures, in lower case.
const ENDINGS: [&str; 3] = [".png", ".jpg", ".jpeg"];

const CUT: &str = "the file is truncated: copy it again";

/// The most pixels that one byte of a JPEG file can encode: one bit per block of 8 x 8.
const JPEG_PIXELS: u64 = 512;
/// The same for PNG: one byte of deflate decodes to at most 1,032 bytes, and each of these to at
/// most eight pixels.
const PNG_PIXELS: u64 = 8 * 1032;
/// Headers and tables encode no pixels; they are counted as if they did.
const SMALL: u64 = 1 << 16;

/// A decoded picture with 8 bits per value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// 1 for grayscale, 3 for RGB.
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// `[channels, height, width]`, row-major.
    pub pixels: Vec<u8>,
}

/// Whether a file name has the extension of a picture. Hidden files, which begin with a dot, do not
/// count.
pub fn is_picture(name: &str) -> bool {
    let file = name.rsplit('/').next().unwrap_or(name);
    let small = file.to_lowercase();
    !file.starts_with('.') && ENDINGS.iter().any(|ending| small.ends_with(ending))
}

/// Natural sort order: digits compare as numbers, so `image10` follows `image9`.
pub fn by_number(left: &str, right: &str) -> Ordering {
    let (mut one, mut other) = (left.as_bytes(), right.as_bytes());
    loop {
        let digits = |name: &[u8]| name.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let order = match (digits(one), digits(other)) {
            (0, _) | (_, 0) => match (one.split_first(), other.split_first()) {
                (Some((first, rest)), Some((second, others))) => {
                    (one, other) = (rest, others);
                    first.cmp(second)
                }
                // Names that differ only in leading zeros need an order, too.
                (first, second) => {
                    return first.is_some().cmp(&second.is_some()).then_with(|| left.cmp(right));
                }
            },
            (long, wide) => {
                let number = |digits: &[u8]| {
                    digits
                        .iter()
                        .position(|digit| *digit != b'0')
                        .map_or(digits.len(), |zeros| zeros)
                };
                let (first, second) =
                    (&one[number(&one[..long])..long], &other[number(&other[..wide])..wide]);
                let order = first.len().cmp(&second.len()).then_with(|| first.cmp(second));
                (one, other) = (&one[long..], &other[wide..]);
                order
            }
        };
        if order.is_ne() {
            return order;
        }
    }
}

impl Picture {
    /// Decodes the bytes of the file at `path`, or of its member `name`.
    ///
    /// # Errors
    /// Returns an error if the file is neither PNG nor JPEG, is truncated or damaged, has more than
    /// 8 bits per value, or has pixels that are not opaque.
    pub fn decode(path: &Path, name: &str, bytes: &[u8]) -> Result<Self> {
        let damaged = |error: String| {
            FileError::refused(path, "decode")(error).in_dataset(name).advise("copy the file again")
        };
        if bytes.starts_with(b"\x89PNG") {
            return of_png(path, name, bytes);
        }
        if !bytes.starts_with(&[0xff, 0xd8]) {
            let found = format!(
                "{} bytes that begin with {:?}",
                bytes.len(),
                String::from_utf8_lossy(&bytes[..bytes.len().min(6)])
            );
            let advice = "save it as PNG, or leave it out of the folder";
            return Err(FileError::mismatch(path, name, "a PNG or JPEG file", found, advice).into());
        }
        if !is_whole_jpeg(bytes) {
            let found = format!("{} bytes without one", bytes.len());
            return Err(FileError::mismatch(
                path,
                name,
                "a JPEG file with an end marker",
                found,
                CUT,
            )
            .into());
        }
        let decoder = || ImageReader::with_format(Cursor::new(bytes), ImageFormat::Jpeg);
        let (width, height) =
            decoder().into_dimensions().map_err(|error| damaged(error.to_string()))?;
        check_size(path, name, bytes, [height, width], JPEG_PIXELS)?;
        let read = decoder().decode().map_err(|error| damaged(error.to_string()))?;
        let (height, width) = (read.height() as usize, read.width() as usize);
        Ok(match read {
            DynamicImage::ImageLuma8(gray) => {
                Self { channels: 1, height, width, pixels: gray.into_raw() }
            }
            DynamicImage::ImageRgb8(color) => Self::interleaved(3, height, width, color.as_raw()),
            other => return Err(depth(path, name, format!("{:?}", other.color()))),
        })
    }

    /// Makes a picture of pixels whose channels are interleaved.
    fn interleaved(channels: usize, height: usize, width: usize, pixels: &[u8]) -> Self {
        let planes = (0..channels)
            .flat_map(|channel| pixels.iter().skip(channel).step_by(channels).copied());
        Self { channels, height, width, pixels: planes.collect() }
    }

    /// Converts to grayscale, with the luma of labeled sets.
    #[must_use]
    pub fn to_gray(&self) -> Self {
        if self.channels == 1 {
            return self.clone();
        }
        let (red, rest) = self.pixels.split_at(self.height * self.width);
        let (green, blue) = rest.split_at(self.height * self.width);
        let pixels = red
            .iter()
            .zip(green)
            .zip(blue)
            .map(|((red, green), blue)| crate::labeled::luma(*red, *green, *blue))
            .collect();
        Self { channels: 1, height: self.height, width: self.width, pixels }
    }

    /// Whether any pixel has a color, that is, red, green and blue that differ.
    pub fn has_color(&self) -> bool {
        let planes: Vec<&[u8]> = self.pixels.chunks(self.height * self.width).collect();
        planes.iter().any(|plane| plane != &planes[0])
    }
}

/// Checks that the file is large enough for the size it states, before memory is allocated.
fn check_size(
    path: &Path,
    name: &str,
    bytes: &[u8],
    [height, width]: [u32; 2],
    each: u64,
) -> Result<()> {
    if u64::from(height) * u64::from(width) <= each * bytes.len() as u64 + SMALL {
        return Ok(());
    }
    let expected = format!("no more pixels than its {} bytes can hold", bytes.len());
    Err(FileError::mismatch(path, name, expected, format!("{height} x {width}"), CUT).into())
}

fn depth(path: &Path, name: &str, found: String) -> crate::Error {
    let advice = "save it with 8 bits per value, in grayscale or RGB";
    FileError::mismatch(path, name, "8 bits per value", found, advice).into()
}

/// Whether the end marker follows the last scan. The marker cannot occur in the data of a scan, but
/// it can in a preview before it.
fn is_whole_jpeg(bytes: &[u8]) -> bool {
    let last = |marker: u8| bytes.windows(2).rposition(|pair| pair == [0xff, marker]);
    last(0xda).is_some_and(|scan| last(0xd9).is_some_and(|end| end > scan))
}

fn of_png(path: &Path, name: &str, bytes: &[u8]) -> Result<Picture> {
    let failed = |error: png::DecodingError| match error {
        png::DecodingError::IoError(_) => {
            let found = format!("{} bytes that end too early", bytes.len());
            FileError::mismatch(path, name, "a complete PNG file", found, CUT)
        }
        error => {
            FileError::refused(path, "decode")(error).in_dataset(name).advise("copy the file again")
        }
    };
    let mut decoder = png::Decoder::new(Cursor::new(bytes));
    decoder.set_transformations(png::Transformations::EXPAND);
    let mut reader = decoder.read_info().map_err(failed)?;
    let (width, height) = reader.info().size();
    check_size(path, name, bytes, [height, width], PNG_PIXELS)?;
    let size = reader
        .output_buffer_size()
        .ok_or_else(|| depth(path, name, "more pixels than fit into memory".into()))?;
    let mut pixels = vec![0; size];
    let info = reader.next_frame(&mut pixels).map_err(failed)?;
    pixels.truncate(info.buffer_size());
    let (height, width) = (info.height as usize, info.width as usize);
    if info.bit_depth != png::BitDepth::Eight {
        return Err(depth(path, name, format!("{:?}", info.bit_depth).to_lowercase()));
    }
    let channels = info.color_type.samples();
    let picture = Picture::interleaved(channels, height, width, &pixels);
    let opaque = channels - channels.is_multiple_of(2) as usize;
    let area = height * width;
    if let Some(pixel) = picture.pixels[opaque * area..].iter().position(|alpha| *alpha != 255) {
        let found = format!(
            "pixel {pixel} with an opacity of {} of 255",
            picture.pixels[opaque * area + pixel]
        );
        let advice =
            "flatten it onto the background that was shown, and save it without an alpha channel";
        return Err(FileError::mismatch(path, name, "opaque pixels", found, advice).into());
    }
    Ok(Picture {
        channels: opaque,
        height,
        width,
        pixels: picture.pixels[..opaque * area].to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A PNG of 2 x 2 pixels.
    fn png_of(color: png::ColorType, depth: png::BitDepth, data: &[u8]) -> Vec<u8> {
        let mut bytes = vec![];
        let mut encoder = png::Encoder::new(&mut bytes, 2, 2);
        encoder.set_color(color);
        encoder.set_depth(depth);
        encoder.write_header().unwrap().write_image_data(data).unwrap();
        bytes
    }

    fn refused(bytes: &[u8], parts: &[&str]) {
        let error =
            Picture::decode(Path::new("set.zip"), "a/b.png", bytes).unwrap_err().to_string();
        for part in parts.iter().chain(&["set.zip", "a/b.png"]) {
            assert!(error.contains(part), "{part:?} is not in: {error}");
        }
    }

    /// A PNG file of the given size with a single byte of pixel data.
    fn empty_png(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = vec![];
        let mut encoder = png::Encoder::new(&mut bytes, width, height);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.write_header().unwrap().write_chunk(png::chunk::IDAT, &[0]).unwrap();
        bytes
    }

    /// A JPEG file of 8 x 8 pixels whose header states another size.
    fn small_jpeg(width: u16, height: u16) -> Vec<u8> {
        let mut bytes = vec![];
        image::codecs::jpeg::JpegEncoder::new(&mut bytes)
            .encode(&[128; 64], 8, 8, image::ExtendedColorType::L8)
            .unwrap();
        let head = bytes.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
        bytes[head + 5..head + 7].copy_from_slice(&height.to_be_bytes());
        bytes[head + 7..head + 9].copy_from_slice(&width.to_be_bytes());
        bytes
    }

    #[test]
    fn a_size_that_the_bytes_cannot_fill_is_refused_before_memory_is_taken() {
        for bytes in [empty_png(60_000, 50_000), small_jpeg(60_000, 50_000)] {
            let error =
                Picture::decode(Path::new("a.zip"), "huge", &bytes).unwrap_err().to_string();
            let expected = format!(
                "a.zip: huge: expected no more pixels than its {} bytes can hold",
                bytes.len()
            );
            assert!(
                error.starts_with(&expected) && error.contains("found 50000 x 60000"),
                "{error}"
            );
        }
        assert!(Picture::decode(Path::new("a.zip"), "small", &small_jpeg(8, 8)).is_ok());
    }

    #[test]
    fn names_are_ordered_as_people_number_them() {
        let mut names = ["b1", "a10", "a9", "a", "a09x", "a010"];
        names.sort_by(|left, right| by_number(left, right));
        assert_eq!(names, ["a", "a9", "a09x", "a010", "a10", "b1"]);
        assert!(is_picture("x/A.JPG") && !is_picture("x/._A.JPG") && !is_picture("A.txt"));
    }

    #[test]
    fn pictures_come_channels_first_in_gray_and_color() {
        let bytes = png_of(
            png::ColorType::Rgb,
            png::BitDepth::Eight,
            &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12],
        );
        let color = Picture::decode(Path::new("x"), "x", &bytes).unwrap();
        assert_eq!(
            (color.channels, &color.pixels[..]),
            (3, &[1, 4, 7, 10, 2, 5, 8, 11, 3, 6, 9, 12][..])
        );
        assert!(color.has_color());
        let gray = png_of(
            png::ColorType::GrayscaleAlpha,
            png::BitDepth::Eight,
            &[9, 255, 8, 255, 7, 255, 6, 255],
        );
        let gray = Picture::decode(Path::new("x"), "x", &gray).unwrap();
        assert_eq!(
            (gray.channels, &gray.pixels[..], gray.has_color()),
            (1, &[9, 8, 7, 6][..], false)
        );
        let equal = png_of(png::ColorType::Rgb, png::BitDepth::Eight, &[5; 12]);
        let equal = Picture::decode(Path::new("x"), "x", &equal).unwrap();
        assert!(!equal.has_color());
        assert_eq!(equal.to_gray().pixels, [5; 4]);
    }

    #[test]
    fn what_is_cut_deep_or_transparent_is_refused() {
        let whole = png_of(
            png::ColorType::Rgb,
            png::BitDepth::Eight,
            &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12],
        );
        refused(&whole[..whole.len() - 20], &["a complete PNG file", "truncated"]);
        refused(
            &png_of(png::ColorType::Grayscale, png::BitDepth::Sixteen, &[0; 8]),
            &["8 bits per value", "sixteen"],
        );
        let glass = png_of(
            png::ColorType::GrayscaleAlpha,
            png::BitDepth::Eight,
            &[9, 255, 8, 254, 7, 255, 6, 255],
        );
        refused(&glass, &["opaque pixels", "pixel 1 with an opacity of 254"]);
        refused(&[0xff, 0xd8, 0xff, 0xda, 1, 2], &["end marker", "6 bytes", "truncated"]);
        refused(b"GIF89a", &["a PNG or JPEG file", "GIF89a"]);
    }
}
