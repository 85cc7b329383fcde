//! The Square attack.

use crate::{Attack, AttackKind, Batch, Norm, Result};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// Random search over squares, using scores but no gradients (Andriushchenko et al. 2020). The
/// defaults are those of AutoAttack's `SquareAttack`: 5,000 queries, an initial square of 0.8 of
/// the image, the schedule for 10,000 queries scaled to the number of queries, and the margin loss.
/// Unlike in AutoAttack, every image has its own squares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Square {
    norm: Norm,
    queries: usize,
    stretched: bool,
}

const FIRST_SHARE: f64 = 0.8;
/// The square's share of the image is halved at fixed queries of a schedule of this length.
const SCHEDULE: usize = 10_000;
const HALVED_AFTER: [usize; 9] = [10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000];

impl Square {
    /// Uses AutoAttack's defaults in this norm.
    ///
    /// # Panics
    /// Panics in L1 and L0, where the attack is not defined.
    pub fn new(norm: Norm) -> Self {
        assert!(
            matches!(norm, Norm::Linf | Norm::L2),
            "the square attack is defined in Linf and L2, not in {norm:?}"
        );
        Self { norm, queries: 5000, stretched: true }
    }

    /// Truncates the schedule for 10,000 queries instead of scaling it, as AutoAttack's standard
    /// ensemble does.
    pub fn unstretched(self) -> Self {
        Self { stretched: false, ..self }
    }

    /// Sets the number of queries.
    pub fn with_queries(self, queries: usize) -> Self {
        Self { queries, ..self }
    }
}

struct Searcher {
    image: usize,
    generator: ChaCha8Rng,
    point: Vec<f32>,
    margin: f64,
}

impl Attack for Square {
    fn name(&self) -> String {
        "square".into()
    }

    fn norm(&self) -> Norm {
        self.norm
    }

    fn kind(&self) -> AttackKind {
        AttackKind::FixedEpsilon
    }

    fn run(&self, batch: &mut Batch) -> Result<()> {
        let shape = batch.shape();
        let mut searchers: Vec<Searcher> = batch
            .all()
            .into_iter()
            .map(|image| {
                let mut generator = batch.generator(image, 0);
                let start = match self.norm {
                    Norm::Linf => stripes(shape, &mut generator),
                    _ => tiles(shape, &mut generator),
                };
                let point = batch.moved(image, batch.original(image), &start, batch.epsilon(image));
                Searcher { image, generator, point, margin: f64::NEG_INFINITY }
            })
            .collect();
        for query in 0..=self.queries {
            if searchers.is_empty() {
                break;
            }
            // The first query evaluates the starting point itself.
            let share = share_at(
                query.saturating_sub(1),
                if self.stretched { self.queries } else { SCHEDULE },
            );
            let proposals: Vec<Vec<f32>> = searchers
                .iter_mut()
                .map(|searcher| match (query, self.norm) {
                    (0, _) => searcher.point.clone(),
                    (_, Norm::Linf) => searcher.square_linf(batch, shape, share),
                    (_, _) => searcher.square_l2(batch, shape, share),
                })
                .collect();
            let images: Vec<usize> = searchers.iter().map(|searcher| searcher.image).collect();
            let rows = batch.query(&images, &proposals.concat())?;
            let mut results = proposals.into_iter().zip(rows);
            searchers.retain_mut(|searcher| {
                let (point, row) = results.next().expect("a result for each");
                let criterion = batch.criterion(searcher.image);
                let margin = criterion.margin(&row);
                if query == 0 || margin > searcher.margin {
                    (searcher.point, searcher.margin) = (point, margin);
                    batch.set_candidate(searcher.image, &searcher.point);
                }
                !criterion.is_clearly_met(&row)
            });
        }
        Ok(())
    }
}

fn share_at(query: usize, queries: usize) -> f64 {
    let scaled = query * SCHEDULE / queries.max(1);
    let halvings = HALVED_AFTER.iter().filter(|after| scaled > **after).count();
    FIRST_SHARE / 2f64.powi(halvings as i32)
}

/// +1 or -1 for each column of each channel.
fn stripes([channels, height, width]: [usize; 3], generator: &mut ChaCha8Rng) -> Vec<f64> {
    let signs: Vec<f64> = (0..channels * width).map(|_| sign(generator)).collect();
    let at = |index: usize| signs[index / (height * width) * width + index % width];
    (0..channels * height * width).map(at).collect()
}

/// Bumps of random sign, five along the height, scaled to length 1.
fn tiles([channels, height, width]: [usize; 3], generator: &mut ChaCha8Rng) -> Vec<f64> {
    let side = (height / 5).max(1).min(width);
    let offset = height.saturating_sub(5 * side) / 2;
    let mut start = vec![0.0; channels * height * width];
    for row in 0..height / side {
        for column in 0..width / side {
            let bump = bump(side, side, generator);
            for channel in 0..channels {
                let sign = sign(generator);
                for y in 0..side {
                    for x in 0..side {
                        let (y_at, x_at) = (offset + row * side + y, offset + column * side + x);
                        if y_at < height && x_at < width {
                            start[(channel * height + y_at) * width + x_at] +=
                                sign * bump[y * side + x];
                        }
                    }
                }
            }
        }
    }
    let length = start.iter().map(|value| value * value).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
    start.iter().map(|value| value / length).collect()
}

fn sign(generator: &mut ChaCha8Rng) -> f64 {
    if generator.random::<bool>() { 1.0 } else { -1.0 }
}

/// A bump and its negative next to each other, of length 1, in a random orientation.
fn bump(height: usize, width: usize, generator: &mut ChaCha8Rng) -> Vec<f64> {
    let lying = height == width && generator.random::<bool>();
    let mut values = vec![0.0; height * width];
    let upper = height / 2;
    pyramid(&mut values[..upper * width], upper, width, 1.0);
    pyramid(&mut values[upper * width..], height - upper, width, -1.0);
    let length =
        values.iter().map(|value| value * value).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
    let at = |index: usize| if lying { index % height * width + index / height } else { index };
    (0..values.len()).map(|index| values[at(index)] / length).collect()
}

/// Concentric rectangles, the n-th of height 1 / n^2, scaled to length 1.
fn pyramid(values: &mut [f64], height: usize, width: usize, sign: f64) {
    let (mut top, mut left) = ((height / 2) as isize, (width / 2) as isize);
    for ring in 0..(height / 2 + 1).max(width / 2 + 1) {
        let size = 2 * ring as isize + 1;
        for y in top.max(0)..(top + size).min(height as isize) {
            for x in left.max(0)..(left + size).min(width as isize) {
                values[y as usize * width + x as usize] += sign / ((ring + 1) * (ring + 1)) as f64;
            }
        }
        (top, left) = (top - 1, left - 1);
    }
    let length =
        values.iter().map(|value| value * value).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
    values.iter_mut().for_each(|value| *value /= length);
}

/// Top left corner of a random window.
fn corner(
    height: usize,
    width: usize,
    [_, rows, columns]: [usize; 3],
    generator: &mut ChaCha8Rng,
) -> (usize, usize) {
    (generator.random_range(0..=rows - height), generator.random_range(0..=columns - width))
}

/// Indices of a window in one channel.
fn window(corner: (usize, usize), height: usize, width: usize, columns: usize) -> Vec<usize> {
    (0..height * width)
        .map(|index| (corner.0 + index / width) * columns + corner.1 + index % width)
        .collect()
}

impl Searcher {
    /// The full change, up or down, within one square.
    fn square_linf(&mut self, batch: &Batch, shape: [usize; 3], share: f64) -> Vec<f32> {
        let [channels, rows, columns] = shape;
        let side = ((share * (rows * columns) as f64).sqrt().round() as usize).max(1);
        let (height, width) = (side.min(rows), side.min(columns));
        let place =
            window(corner(height, width, shape, &mut self.generator), height, width, columns);
        let mut step = vec![0.0; self.point.len()];
        for channel in 0..channels {
            let sign = sign(&mut self.generator);
            place.iter().for_each(|index| step[channel * rows * columns + index] = sign);
        }
        batch.moved(self.image, &self.point, &step, 2.0 * batch.epsilon(self.image))
    }

    /// Moves the change of one window to another.
    fn square_l2(&mut self, batch: &Batch, shape: [usize; 3], share: f64) -> Vec<f32> {
        let [channels, rows, columns] = shape;
        let side = ((share * (rows * columns) as f64).sqrt().round() as usize).max(3) | 1;
        let (height, width) = (side.min(rows), side.min(columns));
        let to = window(corner(height, width, shape, &mut self.generator), height, width, columns);
        let from =
            window(corner(height, width, shape, &mut self.generator), height, width, columns);
        let (original, epsilon) = (batch.original(self.image), batch.epsilon(self.image));
        let mut delta: Vec<f64> =
            self.point.iter().zip(original).map(|(a, b)| f64::from(*a) - f64::from(*b)).collect();
        let total: f64 = delta.iter().map(|value| value * value).sum();
        let plane = rows * columns;
        let mut both = to.clone();
        both.extend(&from);
        both.sort_unstable();
        both.dedup();
        let in_windows: f64 = (0..channels)
            .flat_map(|channel| both.iter().map(move |index| channel * plane + index))
            .map(|i| delta[i] * delta[i])
            .sum();
        let budget = ((epsilon * epsilon - total).max(0.0) / channels as f64
            + in_windows / channels as f64)
            .sqrt();
        let shape_of_change = bump(height, width, &mut self.generator);
        let mut change = vec![0.0; channels * to.len()];
        for channel in 0..channels {
            let sign = sign(&mut self.generator);
            let old: Vec<f64> = to.iter().map(|index| delta[channel * plane + index]).collect();
            let old_length = old.iter().map(|value| value * value).sum::<f64>().sqrt() + 1e-12;
            let new: Vec<f64> = old
                .iter()
                .zip(&shape_of_change)
                .map(|(old, new)| sign * new + old / old_length)
                .collect();
            let new_length = new.iter().map(|value| value * value).sum::<f64>().sqrt() + 1e-12;
            for (index, value) in new.iter().enumerate() {
                change[channel * to.len() + index] = value / new_length * budget;
            }
        }
        for channel in 0..channels {
            from.iter().for_each(|index| delta[channel * plane + index] = 0.0);
            to.iter().enumerate().for_each(|(index, at)| {
                delta[channel * plane + at] = change[channel * to.len() + index]
            });
        }
        let length =
            delta.iter().map(|value| value * value).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
        batch.moved(self.image, original, &delta, epsilon / length)
    }
}
