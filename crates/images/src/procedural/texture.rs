//! Textures with a power-law spectrum.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

const SIDE: usize = 256;
/// Amplitude ratio of each octave to the next coarser one. At 1 every octave has equal energy,
/// which in two dimensions is a 1/f amplitude spectrum; photographs at this size fall off a little
/// faster.
const OCTAVE_RATIO: f32 = 0.85;

/// A periodic patch of noise with mean 0 and variance 1, the source of all surface textures.
pub(super) struct Texture {
    values: Vec<f32>,
}

impl Texture {
    /// Sums smoothly interpolated lattices of normal values, from 4 to 128 cells across the patch.
    pub(super) fn new(rng: &mut ChaCha8Rng) -> Self {
        let mut values = vec![0.0f32; SIDE * SIDE];
        let mut amplitude = 1.0;
        for octave in 2..8 {
            let cells = 1 << octave;
            let lattice: Vec<f32> =
                (0..cells * cells).map(|_| rng.sample(StandardNormal)).collect();
            for y in 0..SIDE {
                let (row, v) = cell(y, cells);
                for x in 0..SIDE {
                    let (column, u) = cell(x, cells);
                    let at = |dy: usize, dx: usize| {
                        lattice[(row + dy) % cells * cells + (column + dx) % cells]
                    };
                    let above = at(0, 0) + u * (at(0, 1) - at(0, 0));
                    let below = at(1, 0) + u * (at(1, 1) - at(1, 0));
                    values[y * SIDE + x] += amplitude * (above + v * (below - above));
                }
            }
            amplitude *= OCTAVE_RATIO;
        }
        let count = values.len() as f32;
        let mean = values.iter().sum::<f32>() / count;
        let std = (values.iter().map(|value| (value - mean).powi(2)).sum::<f32>() / count).sqrt();
        values.iter_mut().for_each(|value| *value = (*value - mean) / std);
        Self { values }
    }

    /// Value at any point: periodic, with bilinear interpolation between samples.
    pub(super) fn at(&self, x: f32, y: f32) -> f32 {
        let (left, top) = (x.floor(), y.floor());
        let (u, v) = (x - left, y - top);
        let wrap = |position: f32| (position as i64).rem_euclid(SIDE as i64) as usize;
        let (column, row) = (wrap(left), wrap(top));
        let (right, bottom) = ((column + 1) % SIDE, (row + 1) % SIDE);
        let above =
            self.values[row * SIDE + column] * (1.0 - u) + self.values[row * SIDE + right] * u;
        let below = self.values[bottom * SIDE + column] * (1.0 - u)
            + self.values[bottom * SIDE + right] * u;
        above * (1.0 - v) + below * v
    }
}

/// The lattice cell of a sample and the position in it, eased so that the noise has no creases.
fn cell(position: usize, cells: usize) -> (usize, f32) {
    let scaled = position * cells;
    let within = (scaled % SIDE) as f32 / SIDE as f32;
    (scaled / SIDE, within * within * (3.0 - 2.0 * within))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::procedural::stream;

    #[test]
    fn periodic_and_normalized() {
        let texture = Texture::new(&mut stream(1, 0));
        for (x, y) in [(0.25, 3.5), (255.5, 17.0), (100.0, 255.9)] {
            assert!((texture.at(x, y) - texture.at(x - 256.0, y + 512.0)).abs() < 1e-4);
        }
        let mean = texture.values.iter().sum::<f32>() / texture.values.len() as f32;
        assert!(mean.abs() < 1e-3);
        assert_eq!(texture.at(3.0, 2.0), texture.values[2 * SIDE + 3]);
    }
}
