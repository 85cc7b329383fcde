//! A similarity matrix as a picture, next to some of its images: PNG in a data URI, blue for
//! negative and red for positive values.

use super::page::escape;
use anyhow::{Context, Result};
use base64::Engine;

/// Approximate side of the picture in pixels; every pair is a square of whole pixels.
const SIDE: usize = 600;

/// Pixels between the images and the matrix, for the lines that join an image to its row.
const GAP: usize = 28;

const WHITE: [u8; 3] = [255, 255, 255];
const LINE: [u8; 3] = [150, 150, 150];

/// A matrix as a picture, and where its cells lie in it.
pub(crate) struct Heatmap {
    /// The text of an `src` attribute.
    uri: String,
    /// Pixels left of the matrix.
    left: usize,
    /// Pixels of a pair's side.
    cell: usize,
    size: usize,
}

impl Heatmap {
    /// An `img` that tells the page where its cells lie.
    pub(crate) fn image(&self, description: &str) -> String {
        let Self { uri, left, cell, size } = self;
        let description = escape(description);
        format!(
            "<img class=\"matrix\" src=\"{uri}\" alt=\"{description}\" data-left=\"{left}\" data-cell=\"{cell}\" data-size=\"{size}\">"
        )
    }
}

/// A grayscale image in [0, 1].
pub(crate) struct Thumbnail<'a> {
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) pixels: &'a [f32],
}

/// Draws `value(i, j)` over `size` images, with colors that saturate at ±`limit`. `image(i)`
/// returns the pictures at the margin, of which as many are shown as fit, each connected to its
/// row.
pub(crate) fn heatmap<'a>(
    size: usize,
    limit: f32,
    value: impl Fn(usize, usize) -> f32,
    image: impl Fn(usize) -> Thumbnail<'a>,
) -> Result<Heatmap> {
    let cell = (SIDE / size.max(1)).max(1);
    let first = image(0);
    let side = (size * cell).max(first.height);
    let left = first.width + GAP;
    let mut picture =
        Picture { width: left + side, height: side, pixels: vec![WHITE; (left + side) * side] };
    for i in 0..size * cell {
        for j in 0..size * cell {
            picture.set(left + j, i, color(value(i / cell, j / cell) / limit));
        }
    }
    let count = (side / (first.height + 2)).clamp(1, size);
    for index in 0..count {
        let row = (2 * index + 1) * size / (2 * count);
        let thumbnail = image(row);
        let top = (2 * index + 1) * side / (2 * count) - thumbnail.height / 2;
        for y in 0..thumbnail.height {
            for x in 0..thumbnail.width {
                let shade = (255.0 * thumbnail.pixels[y * thumbnail.width + x]) as u8;
                picture.set(x, top.min(side - thumbnail.height) + y, [shade; 3]);
            }
        }
        let (from, to) = (top + thumbnail.height / 2, row * cell + cell / 2);
        for x in 0..GAP - 4 {
            let y = from as f64 + (to as f64 - from as f64) * x as f64 / (GAP - 5) as f64;
            picture.set(thumbnail.width + 2 + x, y.round() as usize, LINE);
        }
    }
    Ok(Heatmap { uri: picture.uri()?, left, cell, size })
}

struct Picture {
    width: usize,
    height: usize,
    pixels: Vec<[u8; 3]>,
}

impl Picture {
    fn set(&mut self, x: usize, y: usize, color: [u8; 3]) {
        self.pixels[y.min(self.height - 1) * self.width + x] = color;
    }

    fn uri(&self) -> Result<String> {
        picture_uri(self.height, self.width, |y, x| self.pixels[y * self.width + x])
    }
}

/// A picture of `height` x `width` RGB pixels, as the text of an `src` attribute.
pub(crate) fn picture_uri(
    height: usize,
    width: usize,
    pixel: impl Fn(usize, usize) -> [u8; 3],
) -> Result<String> {
    let pixels: Vec<u8> =
        (0..height * width).flat_map(|index| pixel(index / width, index % width)).collect();
    let mut bytes = Vec::new();
    let [columns, rows] =
        [width, height].map(|side| u32::try_from(side).context("a picture is too large"));
    let mut encoder = png::Encoder::new(&mut bytes, columns?, rows?);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder
        .write_header()
        .and_then(|mut writer| writer.write_image_data(&pixels))
        .context("a picture could not be drawn")?;
    Ok(format!("data:image/png;base64,{}", base64::engine::general_purpose::STANDARD.encode(bytes)))
}

/// White at 0, red towards 1, blue towards -1.
pub(crate) fn color(value: f32) -> [u8; 3] {
    let value = value.clamp(-1.0, 1.0);
    let fade = |strength: f32, full: f32| (255.0 + (full - 255.0) * strength) as u8;
    let [red, green, blue] = if value < 0.0 { [33.0, 102.0, 172.0] } else { [178.0, 24.0, 43.0] };
    [fade(value.abs(), red), fade(value.abs(), green), fade(value.abs(), blue)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_white() {
        assert_eq!(color(0.0), WHITE);
        assert_ne!(color(0.5), color(-0.5));
    }

    #[test]
    fn any_number_of_images_can_be_drawn() {
        let pixels = vec![0.5; 36 * 64];
        let thumbnail = |_: usize| Thumbnail { height: 36, width: 64, pixels: &pixels };
        for size in [1, 2, 17, 100, 700] {
            let found =
                heatmap(size, 1.0, |i, j| if i == j { 1.0 } else { 0.2 }, thumbnail).unwrap();
            assert!(found.uri.starts_with("data:image/png;base64,"), "{size}");
            assert!(found.image("a & b").contains(&format!(
                "alt=\"a &amp; b\" data-left=\"92\" data-cell=\"{}\"",
                found.cell
            )));
        }
    }
}
