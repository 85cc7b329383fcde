//! Digital corruptions: compression, pixelation and geometric distortion.

use super::plane::{Edge, Plane};
use crate::{Error, Result};
use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageFormat};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

pub(super) fn contrast(planes: Vec<Plane>, level: usize) -> Vec<Plane> {
    let kept = [0.75, 0.5, 0.4, 0.3, 0.15][level];
    let flatten = |plane: Plane| {
        let mean = plane.mean();
        plane.map(|value| (value - mean) * kept + mean)
    };
    planes.into_iter().map(flatten).collect()
}

pub(super) fn pixelate(planes: Vec<Plane>, level: usize) -> Vec<Plane> {
    let kept = [0.95f32, 0.9, 0.85, 0.75, 0.65][level];
    let coarser = |plane: &Plane| {
        let size = |size: usize| ((size as f32 * kept) as usize).max(1);
        let (height, width) = (plane.height, plane.width);
        // As in Pillow: horizontally, then vertically, in bytes.
        [(height, size(width)), (size(height), size(width)), (size(height), width), (height, width)]
            .into_iter()
            .fold(plane.clone(), |plane, (height, width)| {
                plane.boxed(height, width).rounded_to_bytes()
            })
    };
    planes.iter().map(coarser).collect()
}

/// Lengths are for images with a side of 32 and scale with the smaller side.
pub(super) fn elastic(planes: Vec<Plane>, level: usize, generator: &mut ChaCha8Rng) -> Vec<Plane> {
    let (shift, sigma, corner) = [
        (0.0f32, 0.0f32, 0.08f32),
        (0.05, 0.2, 0.07),
        (0.08, 0.06, 0.06),
        (0.1, 0.04, 0.05),
        (0.1, 0.03, 0.03),
    ][level];
    let (height, width) = (planes[0].height, planes[0].width);
    let side = height.min(width) as f32;
    let (middle, reach) =
        ([(width / 2) as f32, (height / 2) as f32], (height.min(width) / 3) as f32);
    let from = [
        [middle[0] + reach, middle[1] + reach],
        [middle[0] + reach, middle[1] - reach],
        [middle[0] - reach, middle[1] - reach],
    ];
    let to = from.map(|point| {
        point.map(|value| value + side * corner * generator.random_range(-1.0..1.0f32))
    });
    // The source of each pixel: the affine map that inverts the displacement of the points.
    let back = affine(to, from);
    let mut displacements = || {
        let random = Plane::from_fn(height, width, |_, _| generator.random_range(-1.0..1.0));
        random.blurred(side * sigma, 3.0, Edge::Mirror).map(|value| side * shift * value)
    };
    let (right, down) = (displacements(), displacements());
    let deformed = |plane: &Plane| {
        let moved = Plane::from_fn(height, width, |y, x| {
            let [from_x, from_y] =
                back.map(|[along, across, offset]| along * x as f32 + across * y as f32 + offset);
            plane.between(from_y, from_x, Edge::MirrorWithout)
        });
        Plane::from_fn(height, width, |y, x| {
            moved.between(y as f32 + down.at(y, x), x as f32 + right.at(y, x), Edge::Mirror)
        })
    };
    planes.iter().map(deformed).collect()
}

/// The rows (a, b, c) of the affine map a x + b y + c that maps three points, not on a line, to
/// three others.
fn affine(from: [[f32; 2]; 3], to: [[f32; 2]; 3]) -> [[f32; 3]; 2] {
    let edge =
        |points: [[f32; 2]; 3], index: usize, axis: usize| points[index][axis] - points[0][axis];
    let determinant = edge(from, 1, 0) * edge(from, 2, 1) - edge(from, 2, 0) * edge(from, 1, 1);
    [0, 1].map(|axis| {
        let (first, second) = (edge(to, 1, axis), edge(to, 2, axis));
        let along = (first * edge(from, 2, 1) - second * edge(from, 1, 1)) / determinant;
        let across = (second * edge(from, 1, 0) - first * edge(from, 2, 0)) / determinant;
        [along, across, to[0][axis] - along * from[0][0] - across * from[0][1]]
    })
}

pub(super) fn jpeg(planes: Vec<Plane>, level: usize) -> Result<Vec<Plane>> {
    let quality = [80, 65, 58, 50, 40][level];
    let (height, width, channels) = (planes[0].height, planes[0].width, planes.len());
    let bytes: Vec<u8> = (0..height * width)
        .flat_map(|index| {
            planes.iter().map(move |plane| (255.0 * plane.values[index]).round() as u8)
        })
        .collect();
    let color = if channels == 1 { ExtendedColorType::L8 } else { ExtendedColorType::Rgb8 };
    let mut packed = Vec::new();
    JpegEncoder::new_with_quality(&mut packed, quality)
        .encode(&bytes, width as u32, height as u32, color)
        .and_then(|()| image::load_from_memory_with_format(&packed, ImageFormat::Jpeg))
        .map(|image| {
            if channels == 1 { image.into_luma8().into_raw() } else { image.into_rgb8().into_raw() }
        })
        .map(|bytes| {
            let channel = |channel: usize| {
                bytes.iter().skip(channel).step_by(channels).map(|byte| f32::from(*byte) / 255.0)
            };
            (0..channels).map(|index| Plane::new(height, width, channel(index).collect())).collect()
        })
        .map_err(|error| Error::Jpeg { reason: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_affine_map_takes_its_points_along() {
        let (from, to) =
            ([[1.0, 2.0], [4.0, 2.5], [0.0, 7.0]], [[1.5, 1.0], [5.0, 2.0], [-1.0, 6.0]]);
        let map = affine(from, to);
        for (from, to) in from.iter().zip(to) {
            let mapped = map.map(|[a, b, c]| a * from[0] + b * from[1] + c);
            assert!((mapped[0] - to[0]).abs() < 1e-4 && (mapped[1] - to[1]).abs() < 1e-4);
        }
    }

    #[test]
    fn jpeg_changes_an_image_by_its_blocks() {
        let image = Plane::from_fn(32, 32, |y, x| ((y * x) % 7) as f32 / 7.0);
        let packed = jpeg(vec![image.clone()], 4).unwrap().remove(0);
        let error =
            image.values.iter().zip(&packed.values).map(|(a, b)| (a - b).abs()).sum::<f32>()
                / 1024.0;
        assert!((0.005..0.2).contains(&error), "{error}");
        let gray = Plane::from_fn(16, 16, |_, _| 128.0 / 255.0);
        assert_eq!(jpeg(vec![gray.clone()], 0).unwrap()[0], gray, "a uniform image is unchanged");
    }
}
