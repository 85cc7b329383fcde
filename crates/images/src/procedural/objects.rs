//! Ten classes of objects in clutter.

use super::canvas::{Canvas, develop, expose};
use super::scene::{Litter, Surface, log_uniform, normal};
use super::silhouette::{NAMES, Silhouette};
use super::texture::Texture;
use super::{ORDER, TEXTURE, stream};
use crate::{LabeledImages, LabeledSplit};
use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use std::f32::consts::{PI, TAU};

const SIDE: usize = 32;
/// First stream of the test images, which therefore do not depend on the number of training images.
const TEST_STREAMS: u64 = 1 << 32;

/// `train` and `test` grayscale images of 32 x 32 pixels: leaf, fish, bird, tree, flower, starfish,
/// mushroom, bottle, mug, butterfly.
///
/// Each shows one object over a cluttered scene, made as in
/// [`natural_stimuli`](super::natural_stimuli). The outline defines the class; proportions, pose,
/// size, position, tone (darker or lighter than the background), texture and shading vary, and
/// clutter hides parts. Only the object depends on the class: the background carries no information
/// about it.
///
/// Classes are balanced in both parts and in random order. The same seed gives the same images;
/// test images do not depend on `train`.
pub fn ten_classes(train: usize, test: usize, seed: u64) -> LabeledSplit {
    let _span = tracing::info_span!("ten_classes", train, test).entered();
    let texture = Texture::new(&mut stream(seed, TEXTURE));
    LabeledSplit {
        train: part(train, seed, 0, &texture),
        test: part(test, seed, TEST_STREAMS, &texture),
    }
}

fn part(count: usize, seed: u64, first: u64, texture: &Texture) -> LabeledImages {
    let mut labels: Vec<u8> = (0..count).map(|index| (index % NAMES.len()) as u8).collect();
    labels.shuffle(&mut stream(seed, ORDER - first));
    let images: Vec<Vec<u8>> = labels
        .par_iter()
        .enumerate()
        .map(|(index, label)| {
            image(usize::from(*label), texture, &mut stream(seed, first + index as u64)).0
        })
        .collect();
    let names = NAMES.map(str::to_owned).to_vec();
    LabeledImages::new(1, SIDE, SIDE, images.concat(), labels, names)
        .expect("labels index the names")
}

/// The pixels of an image, and the object it shows.
fn image<'a>(label: usize, texture: &'a Texture, rng: &mut ChaCha8Rng) -> (Vec<u8>, Thing<'a>) {
    let mut canvas = Canvas::new(SIDE, SIDE);
    let litter = Litter {
        radii: [log_uniform(2.0, 6.0, rng), log_uniform(10.0, 30.0, rng)],
        coverage: log_uniform(0.05, 0.7, rng),
        roughness: log_uniform(0.1, 0.4, rng),
    };
    litter.scatter(&mut canvas, texture, rng);
    let thing = Thing::draw(label, texture, rng);
    thing.cover(&mut canvas);
    for _ in 0..rng.random_range(0..3) {
        let (distance, direction) =
            (thing.radius * rng.random_range(0.3..1.1f32), rng.random_range(0.0..TAU));
        let (x, y) = (thing.x + distance * direction.cos(), thing.y + distance * direction.sin());
        let radius = thing.radius * log_uniform(0.12, 0.35, rng);
        litter.leaf(&mut canvas, [x, y], radius, texture, rng);
    }
    let mut pixels = canvas.pixels();
    let std = 0.19 * (0.3 * normal(rng)).exp();
    expose(&mut pixels, (0.47 + 0.1 * normal(rng)).clamp(0.2, 0.8), std);
    (pixels.into_iter().map(develop).collect(), thing)
}

/// An object and its pose.
struct Thing<'a> {
    x: f32,
    y: f32,
    radius: f32,
    /// Maps offsets in pixels to coordinates of the outline.
    to_outline: [[f32; 2]; 2],
    outline: Silhouette,
    surface: Surface<'a>,
}

impl<'a> Thing<'a> {
    fn draw(label: usize, texture: &'a Texture, rng: &mut ChaCha8Rng) -> Self {
        let outline = Silhouette::draw(label, rng);
        let radius = log_uniform(11.0, 15.0, rng);
        let middle = SIDE as f32 / 2.0;
        let room = 17.0 - radius;
        let (x, y) =
            (middle + rng.random_range(-room..room), middle + rng.random_range(-room..room));
        let turn = if Silhouette::any_turn(label) {
            rng.random_range(-PI..PI)
        } else {
            0.12 * normal(rng)
        };
        let flip = if rng.random_bool(0.5) { -1.0 } else { 1.0 };
        let stretch = log_uniform(0.75, 1.33, rng).sqrt();
        let (sin, cos) = turn.sin_cos();
        let to_outline = [
            [flip * cos * stretch / radius, flip * sin * stretch / radius],
            [-sin / stretch / radius, cos / stretch / radius],
        ];
        let polarity = if rng.random_bool(0.3) { -1.0 } else { 1.0 };
        let tone = polarity * log_uniform(1.4, 2.8, rng);
        let roughness = log_uniform(0.1, 0.4, rng);
        let surface = Surface::draw(tone, 0.6, roughness, 2.0 * radius, texture, rng);
        Self { x, y, radius, to_outline, outline, surface }
    }

    fn cover(&self, canvas: &mut Canvas) {
        let [[a, b], [c, d]] = self.to_outline;
        canvas.cover(self.x, self.y, 1.5 * self.radius, |dx, dy| {
            let tone = self.outline.tone(a * dx + b * dy, c * dx + d * dy)?;
            Some(self.surface.at(dx, dy) + tone)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(threads: usize, train: usize, test: usize, seed: u64) -> LabeledSplit {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| ten_classes(train, test, seed))
    }

    #[test]
    fn bytes_depend_on_the_seed_alone() {
        let split = made(1, 40, 20, 6);
        assert_eq!(split, made(3, 40, 20, 6));
        assert_eq!(
            split.test,
            made(2, 10, 20, 6).test,
            "test images do not depend on the number of training images"
        );
        assert_ne!(split.train.pixels(), made(2, 40, 20, 7).train.pixels());
    }

    #[test]
    fn balanced_shuffled_distinct_and_named() {
        let split = ten_classes(200, 100, 3);
        for (images, each) in [(&split.train, 20), (&split.test, 10)] {
            for class in 0..10u8 {
                assert_eq!(images.labels().iter().filter(|label| **label == class).count(), each);
            }
            let in_turn = images
                .labels()
                .iter()
                .enumerate()
                .filter(|(index, label)| index % 10 == usize::from(**label))
                .count();
            assert!(in_turn < images.len() / 2, "{in_turn} labels are in cyclic order");
        }
        assert_eq!(
            (split.train.class_names()[0].as_str(), split.train.class_names()[9].as_str()),
            ("leaf", "butterfly")
        );
        assert_eq!(
            (split.train.channels(), split.train.height(), split.train.width()),
            (1, 32, 32)
        );
        let all: std::collections::HashSet<&[u8]> = [&split.train, &split.test]
            .iter()
            .flat_map(|images| (0..images.len()).map(|index| images.image(index)))
            .collect();
        assert_eq!(all.len(), 300);
    }

    /// Without contrast there would be nothing to learn, and a brightness specific to a class would
    /// be too easy.
    #[test]
    fn brightness_does_not_tell_classes_apart() {
        let images = ten_classes(1000, 0, 9).train;
        let mut means = [0.0; 10];
        let mut square = 0.0;
        for index in 0..images.len() {
            let mean =
                images.image(index).iter().map(|byte| f64::from(*byte)).sum::<f64>() / 1024.0;
            means[usize::from(images.label(index))] += mean / 100.0;
            square += images
                .image(index)
                .iter()
                .map(|byte| (f64::from(*byte) - mean).powi(2))
                .sum::<f64>()
                / 1024.0;
        }
        let contrast = (square / images.len() as f64).sqrt();
        assert!((30.0..70.0).contains(&contrast), "standard deviation {contrast} of 255");
        let (least, most) = (
            means.iter().copied().fold(f64::MAX, f64::min),
            means.iter().copied().fold(0.0, f64::max),
        );
        // The standard error of a class mean is about 2.6.
        assert!(most - least < 18.0, "classes differ in mean brightness: {means:?}");
    }

    /// Gratings with periods of 3 and 4.5 pixels in five orientations, in cycles per pixel along x
    /// and y.
    fn gratings() -> Vec<[f32; 2]> {
        let of = |frequency: f32| {
            (0..5)
                .map(move |k| (k as f32 * PI / 8.0).sin_cos())
                .map(move |(s, c)| [frequency * c, frequency * s])
        };
        of(0.22).chain(of(0.33)).collect()
    }

    /// For each grating, and for its mirror image, the logarithm of its share of the energy in the
    /// background. Each pixel is taken relative to the mean of its neighbors, which suppresses the
    /// low frequencies that dominate images. `None` if there is hardly any background.
    fn energies_beyond(pixels: &[f32], thing: &Thing) -> Option<Vec<f64>> {
        // No outline extends beyond 1.25 radii, and no clutter drawn around the object beyond 1.1
        // plus its own radius.
        let beyond = |x: usize, y: usize| {
            (x as f32 + 0.5 - thing.x).hypot(y as f32 + 0.5 - thing.y) > 1.25 * thing.radius + 1.5
        };
        let at = |x: usize, y: usize| f64::from(pixels[y * SIDE + x]);
        let mut fine = Vec::new();
        for y in 1..SIDE - 1 {
            for x in (1..SIDE - 1).filter(|x| beyond(*x, y)) {
                let around = (at(x - 1, y) + at(x + 1, y) + at(x, y - 1) + at(x, y + 1)) / 4.0;
                fine.push((x as f64, y as f64, at(x, y) - around));
            }
        }
        let total: f64 = fine.iter().map(|(_, _, value)| value * value).sum();
        let energy = |fx: f64, fy: f64| {
            let wave = |x: f64, y: f64| (f64::from(TAU) * (fx * x + fy * y)).sin_cos();
            let (mut sine, mut cosine) = (0.0, 0.0);
            for (x, y, value) in &fine {
                let (s, c) = wave(*x, *y);
                sine += value * s;
                cosine += value * c;
            }
            (sine * sine + cosine * cosine) / (total * fine.len() as f64)
        };
        let share = |[fx, fy]: [f32; 2]| {
            (energy(fx.into(), fy.into()) + energy((-fx).into(), fy.into()) + 1e-6).ln()
        };
        (fine.len() >= 100 && total > 0.0).then(|| gratings().into_iter().map(share).collect())
    }

    /// Accuracy of nearest-class-mean classification: means from the first half, accuracy on the
    /// second.
    fn nearest_mean(examples: &[(usize, Vec<f64>)]) -> f64 {
        let (known, asked) = examples.split_at(examples.len() / 2);
        let dimensions = examples[0].1.len();
        let (mut means, mut counts) = (vec![vec![0.0; dimensions]; NAMES.len()], [0.0; 10]);
        for (label, energies) in known {
            counts[*label] += 1.0;
            means[*label].iter_mut().zip(energies).for_each(|(sum, energy)| *sum += energy);
        }
        for (mean, count) in means.iter_mut().zip(counts) {
            mean.iter_mut().for_each(|sum| *sum /= count);
        }
        let distance =
            |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
        let right = asked.iter().filter(|(label, energies)| {
            let nearest = (0..NAMES.len()).min_by(|a, b| {
                distance(&means[*a], energies).total_cmp(&distance(&means[*b], energies))
            });
            nearest == Some(*label)
        });
        right.count() as f64 / asked.len() as f64
    }

    /// A network would learn a class-specific grating instead of outlines, and the comparisons in
    /// the table would be meaningless.
    #[test]
    fn what_lies_beyond_the_thing_does_not_tell_its_class() {
        let texture = Texture::new(&mut stream(17, TEXTURE));
        let (mut found, mut planted) = (Vec::new(), Vec::new());
        for index in 0..6000 {
            let (label, mut rng) = (index % NAMES.len(), stream(17, index as u64));
            let (bytes, thing) = image(label, &texture, &mut rng);
            let mut pixels: Vec<f32> =
                bytes.into_iter().map(|byte| f32::from(byte) / 255.0).collect();
            found.extend(energies_beyond(&pixels, &thing).map(|energies| (label, energies)));
            let [fx, fy] = gratings()[label];
            let phase = rng.random_range(0.0..TAU);
            for (at, pixel) in pixels.iter_mut().enumerate() {
                *pixel += 0.03
                    * (TAU * (fx * (at % SIDE) as f32 + fy * (at / SIDE) as f32) + phase).sin();
            }
            planted.extend(energies_beyond(&pixels, &thing).map(|energies| (label, energies)));
        }
        assert!(found.len() > 2000, "{} images have enough background", found.len());
        let (found, planted) = (nearest_mean(&found), nearest_mean(&planted));
        // Chance is 0.1, with a standard error of 0.008 at most.
        assert!(found < 0.125, "{found} are classified correctly by gratings in the background");
        assert!(
            planted > 0.5,
            "only {planted} with a planted grating: this test could not detect one"
        );
    }
}
