//! A similarity matrix as a picture: PNG in a data URI, one pixel per pair, blue for negative and red for positive.

use anyhow::{Context, Result};
use base64::Engine;

/// `value(i, j)` over `size` images, colours saturating at ±`limit`, as the text of an `src` attribute.
pub fn data_uri(size: usize, limit: f32, value: impl Fn(usize, usize) -> f32) -> Result<String> {
    picture_uri(size, size, |i, j| colour(value(i, j) / limit))
}

/// A picture of `height` x `width` pixels of red, green and blue, as the text of an `src` attribute.
pub fn picture_uri(height: usize, width: usize, pixel: impl Fn(usize, usize) -> [u8; 3]) -> Result<String> {
    let pixels: Vec<u8> = (0..height * width).flat_map(|index| pixel(index / width, index % width)).collect();
    let mut bytes = Vec::new();
    let [columns, rows] = [width, height].map(|side| u32::try_from(side).context("a picture is too large"));
    let mut encoder = png::Encoder::new(&mut bytes, columns?, rows?);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header().and_then(|mut writer| writer.write_image_data(&pixels)).context("a picture could not be drawn")?;
    Ok(format!("data:image/png;base64,{}", base64::engine::general_purpose::STANDARD.encode(bytes)))
}

/// White at 0, red towards 1, blue towards -1.
pub fn colour(value: f32) -> [u8; 3] {
    let value = value.clamp(-1.0, 1.0);
    let fade = |strength: f32, full: f32| (255.0 + (full - 255.0) * strength) as u8;
    let [red, green, blue] = if value < 0.0 { [33.0, 102.0, 172.0] } else { [178.0, 24.0, 43.0] };
    [fade(value.abs(), red), fade(value.abs(), green), fade(value.abs(), blue)]
}

/// An order of the images that brings similar ones together: by the leading eigenvector of the matrix.
pub fn order_by_similarity(size: usize, value: impl Fn(usize, usize) -> f32) -> Vec<usize> {
    let mut vector: Vec<f64> = (0..size).map(|i| 1.0 + i as f64 / size as f64).collect();
    for _ in 0..100 {
        let mut next: Vec<f64> = (0..size).map(|i| (0..size).map(|j| f64::from(value(i, j)) * vector[j]).sum()).collect();
        let norm = next.iter().map(|x| x * x).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
        next.iter_mut().for_each(|x| *x /= norm);
        vector = next;
    }
    let mut order: Vec<usize> = (0..size).collect();
    order.sort_by(|a, b| vector[*a].total_cmp(&vector[*b]));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_joins_two_mixed_groups() {
        let order = order_by_similarity(10, |i, j| if i % 2 == j % 2 { 1.0 } else { -1.0 });
        let groups: Vec<usize> = order.iter().map(|i| i % 2).collect();
        assert_eq!(groups.windows(2).filter(|pair| pair[0] != pair[1]).count(), 1, "{groups:?}");
    }

    #[test]
    fn zero_is_white() {
        assert_eq!(colour(0.0), [255, 255, 255]);
        assert!(data_uri(2, 1.0, |_, _| 0.5).unwrap().starts_with("data:image/png;base64,"));
    }
}
