//! Weather corruptions that need no photographs.

use super::plane::Plane;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

pub(super) fn brightness(planes: Vec<Plane>, level: usize) -> Vec<Plane> {
    let more = [0.05, 0.1, 0.15, 0.2, 0.3][level];
    planes.into_iter().map(|plane| plane.map(|value| value + more)).collect()
}

pub(super) fn snow(planes: Vec<Plane>, level: usize, generator: &mut ChaCha8Rng) -> Vec<Plane> {
    // Mean and standard deviation of the flakes, their size, threshold, length and width of the
    // trail, weight of the image.
    let (mean, spread, size, least, radius, sigma, kept) = [
        (0.1f32, 0.2f32, 1.0f32, 0.6f32, 8, 3.0f32, 0.95f32),
        (0.1, 0.2, 1.0, 0.5, 10, 4.0, 0.9),
        (0.15, 0.3, 1.75, 0.55, 10, 4.0, 0.9),
        (0.25, 0.3, 2.25, 0.6, 12, 6.0, 0.85),
        (0.3, 0.3, 1.25, 0.65, 14, 12.0, 0.8),
    ][level];
    let (height, width) = (planes[0].height, planes[0].width);
    let flakes = Plane::from_fn(height, width, |_, _| {
        mean + spread * generator.sample::<f32, _>(StandardNormal)
    });
    let flakes = flakes.enlarged(size).map(|value| if value < least { 0.0 } else { value });
    let flakes = flakes
        .cut_to_bytes()
        .trailed(radius, sigma, generator.random_range(-135.0..-45.0))
        .rounded_to_bytes();
    let gray: Vec<f32> = (0..height * width)
        .map(|index| {
            planes.iter().map(|plane| plane.values[index]).sum::<f32>() / planes.len() as f32
        })
        .collect();
    let snowed = |plane: Plane| {
        Plane::from_fn(height, width, |y, x| {
            let value = plane.at(y, x);
            let white = value.max(1.5 * gray[y * width + x] + 0.5);
            kept * value
                + (1.0 - kept) * white
                + flakes.at(y, x)
                + flakes.at(height - 1 - y, width - 1 - x)
        })
    };
    planes.into_iter().map(snowed).collect()
}

pub(super) fn fog(planes: Vec<Plane>, level: usize, generator: &mut ChaCha8Rng) -> Vec<Plane> {
    let (amount, decay) =
        [(0.2f32, 3.0f32), (0.5, 3.0), (0.75, 2.5), (1.0, 2.0), (1.5, 1.75)][level];
    let cloud = plasma(planes[0].height.max(planes[0].width).next_power_of_two(), decay, generator);
    let brightest =
        planes.iter().flat_map(|plane| &plane.values).fold(0.0f32, |max, value| max.max(*value));
    let fogged = |plane: Plane| {
        Plane::from_fn(plane.height, plane.width, |y, x| {
            (plane.at(y, x) + amount * cloud.at(y, x)) * brightest / (brightest + amount)
        })
    };
    planes.into_iter().map(fogged).collect()
}

/// A cloud in [0, 1] by the diamond-square algorithm on a torus: each new point is the mean of its
/// four neighbors plus a random term, which shrinks by `decay` with every halving of the distance.
fn plasma(side: usize, decay: f32, generator: &mut ChaCha8Rng) -> Plane {
    let mut map = vec![0.0f32; side * side];
    let (mut step, mut wobble) = (side, 100.0f32);
    while step >= 2 {
        let half = step / 2;
        let mut fill = |map: &mut Vec<f32>, y: usize, x: usize, neighbors: [(usize, usize); 4]| {
            let mean =
                neighbors.iter().map(|(y, x)| map[(y % side) * side + x % side]).sum::<f32>() / 4.0;
            map[y * side + x] = mean + wobble * generator.random_range(-wobble..wobble);
        };
        for y in (0..side).step_by(step) {
            for x in (0..side).step_by(step) {
                fill(
                    &mut map,
                    y + half,
                    x + half,
                    [(y, x), (y + step, x), (y, x + step), (y + step, x + step)],
                );
            }
        }
        for y in (0..side).step_by(step) {
            for x in (0..side).step_by(step) {
                let (up, left) = (y + side - half, x + side - half);
                fill(
                    &mut map,
                    y,
                    x + half,
                    [(y, x), (y, x + step), (up, x + half), (y + half, x + half)],
                );
                fill(
                    &mut map,
                    y + half,
                    x,
                    [(y, x), (y + step, x), (y + half, left), (y + half, x + half)],
                );
            }
        }
        step = half;
        wobble /= decay;
    }
    let least = map.iter().copied().fold(f32::INFINITY, f32::min);
    let most = map.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    Plane::new(side, side, map).map(|value| (value - least) / (most - least).max(f32::MIN_POSITIVE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn clouds_fill_the_range_and_are_smoother_where_they_decay_faster() {
        let roughness = |decay: f32| {
            let cloud = plasma(32, decay, &mut ChaCha8Rng::seed_from_u64(4));
            assert!(cloud.values.contains(&0.0) && cloud.values.contains(&1.0));
            cloud.values.windows(2).map(|pair| (pair[0] - pair[1]).abs()).sum::<f32>()
        };
        assert!(roughness(3.0) < roughness(1.75));
    }
}
