//! Blurs.

use super::plane::{Edge, Plane};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// The cutoff of skimage's Gaussian.
const TRUNCATE: f32 = 4.0;

pub(super) fn gaussian(planes: Vec<Plane>, level: usize) -> Vec<Plane> {
    let sigma = [0.4, 0.6, 0.7, 0.8, 1.0][level];
    planes.iter().map(|plane| plane.blurred(sigma, TRUNCATE, Edge::Nearest)).collect()
}

pub(super) fn defocus(planes: Vec<Plane>, level: usize) -> Vec<Plane> {
    let (radius, smooth) =
        [(0.3f32, 0.4f32), (0.4, 0.5), (0.5, 0.6), (1.0, 0.2), (1.5, 0.1)][level];
    let disk = Plane::from_fn(17, 17, |y, x| {
        let (y, x) = (y as f32 - 8.0, x as f32 - 8.0);
        f32::from(u8::from(y * y + x * x <= radius * radius))
    });
    let total: f32 = disk.values.iter().sum();
    // A 3 x 3 Gaussian antialiases the rim of the disk.
    let kernel =
        disk.map(|value| value / total).filter(&small_gaussian(smooth), Edge::MirrorWithout);
    planes.iter().map(|plane| plane.filter(&kernel, Edge::MirrorWithout)).collect()
}

fn small_gaussian(sigma: f32) -> Plane {
    let weight = |step: usize| (-0.5 * ((step as f32 - 1.0) / sigma).powi(2)).exp();
    let total: f32 = (0..3).map(weight).sum();
    Plane::from_fn(3, 3, |y, x| weight(y) * weight(x) / (total * total))
}

pub(super) fn glass(planes: Vec<Plane>, level: usize, generator: &mut ChaCha8Rng) -> Vec<Plane> {
    let (sigma, rounds) = [(0.05, 1), (0.25, 1), (0.4, 1), (0.25, 2), (0.4, 2)][level];
    let mut planes: Vec<Plane> = planes
        .iter()
        .map(|plane| plane.blurred(sigma, TRUNCATE, Edge::Nearest).cut_to_bytes())
        .collect();
    for _ in 0..rounds {
        for y in (2..planes[0].height).rev() {
            for x in (2..planes[0].width).rev() {
                // Zero or one step back in each direction.
                let (dy, dx) =
                    (generator.random_range(0..2usize), generator.random_range(0..2usize));
                for plane in &mut planes {
                    let width = plane.width;
                    // The original code means to swap the two values, but its views alias, so that
                    // one value is lost.
                    plane.values[y * width + x] = plane.values[(y - dy) * width + x - dx];
                }
            }
        }
    }
    planes.iter().map(|plane| plane.blurred(sigma, TRUNCATE, Edge::Nearest)).collect()
}

pub(super) fn motion(planes: Vec<Plane>, level: usize, generator: &mut ChaCha8Rng) -> Vec<Plane> {
    let (radius, sigma) = [(6, 1.0), (6, 1.5), (6, 2.0), (8, 2.0), (9, 2.5)][level];
    let degrees = generator.random_range(-45.0..45.0);
    planes.iter().map(|plane| plane.trailed(radius, sigma, degrees).rounded_to_bytes()).collect()
}

pub(super) fn zoom(planes: Vec<Plane>, level: usize) -> Vec<Plane> {
    let steps = [7, 12, 16, 21, 26][level];
    let over_steps = |plane: Plane| {
        let mut sum = plane.values.clone();
        for step in 0..steps {
            let enlarged = plane.enlarged(1.0 + 0.01 * step as f32);
            sum.iter_mut().zip(enlarged.values).for_each(|(sum, value)| *sum += value);
        }
        Plane::new(plane.height, plane.width, sum).map(|value| value / (steps + 1) as f32)
    };
    planes.into_iter().map(over_steps).collect()
}
