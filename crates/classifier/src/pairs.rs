//! Pairs of stimuli with their target similarities, drawn without replacement.
//!
//! All pairs are numbered, those of a matrix along its packed triangle, and visited in random
//! order, each once before any repeats. The order of 12.5 million pairs is not stored: a Feistel
//! network, keyed by the seed and the number of the pass, permutes the numbers below a power of
//! four, and results beyond the last pair are permuted again until they are in range (cycle
//! walking, at most four rounds on average). The pairs of any step thus depend on its number alone,
//! which makes training resumable.

use crate::rng::Stream;
use crate::{Error, PairSource, Result, Target};
use brainprior_images::StimulusSet;
use candle_core::{Device, Tensor};
use rand::Rng;

const ROUNDS: usize = 6;

/// Numbers of the `count` pairs of a training starting with the `start`-th, out of `all` pairs:
/// each comes once before any repeats.
///
/// # Panics
/// Panics if `all` is 0.
pub fn pair_numbers(all: u64, seed: u64, start: u64, count: usize) -> impl Iterator<Item = u64> {
    assert!(all > 0, "there are no pairs to draw");
    let mut pass = None;
    (start..start + count as u64).map(move |number| {
        let current = (number / all) as usize;
        if pass.as_ref().is_none_or(|(known, _)| *known != current) {
            pass = Some((current, Permutation::new(all, seed, current)));
        }
        pass.as_ref().expect("just set").1.at(number % all)
    })
}

/// A random permutation of the numbers below `count`.
#[derive(Clone, Debug)]
struct Permutation {
    count: u64,
    half_bits: u32,
    keys: [u64; ROUNDS],
}

impl Permutation {
    fn new(count: u64, seed: u64, pass: usize) -> Self {
        let bits = u64::BITS - (count - 1).leading_zeros();
        let mut generator = Stream::Pairs.generator(seed, pass, 0);
        Self {
            count,
            half_bits: bits.div_ceil(2).max(1),
            keys: std::array::from_fn(|_| generator.random()),
        }
    }

    fn at(&self, mut number: u64) -> u64 {
        debug_assert!(number < self.count);
        let mask = (1 << self.half_bits) - 1;
        loop {
            let (mut left, mut right) = (number >> self.half_bits, number & mask);
            for key in self.keys {
                (left, right) = (right, left ^ (mixed(right ^ key) & mask));
            }
            number = left << self.half_bits | right;
            if number < self.count {
                return number;
            }
        }
    }
}

/// The finalizer of SplitMix64.
fn mixed(mut value: u64) -> u64 {
    value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

/// The stimuli and similarities from which pairs are drawn.
pub(crate) struct Pairs<'a> {
    stimuli: &'a StimulusSet,
    source: &'a dyn PairSource,
    /// Index of each image of the pairs among the stimuli.
    positions: Vec<usize>,
    seed: u64,
    channels: usize,
    /// Targets are clamped to this absolute value.
    limit: f32,
}

/// The pairs of a step.
pub(crate) struct PairBatch {
    /// `[2 pairs, channels, height, width]`: first images, then second images.
    pub(crate) images: Tensor,
    /// `[pairs]`: target similarities.
    pub(crate) target: Tensor,
    /// Number of the first pair, counted over the whole training.
    pub(crate) first: u64,
}

impl<'a> Pairs<'a> {
    /// The pairs of a target, if it has any; grayscale stimuli are repeated over `channels`.
    pub(crate) fn new(
        target: &'a Target,
        channels: usize,
        limit: f64,
        seed: u64,
    ) -> Result<Option<Self>> {
        let Some((stimuli, source)) = target.pairs() else { return Ok(None) };
        let place = |(index, id): (usize, &brainprior_images::ImageId)| {
            stimuli.position(*id).ok_or(Error::MissingStimulus {
                index,
                id: *id,
                stimuli: stimuli.len(),
            })
        };
        let positions =
            source.ids().iter().enumerate().map(place).collect::<Result<Vec<usize>>>()?;
        Ok(Some(Self { stimuli, source, positions, seed, channels, limit: limit as f32 }))
    }

    /// The `count` pairs of `step`, counted over the whole training.
    pub(crate) fn batch(&self, step: usize, count: usize) -> Result<PairBatch> {
        let area = self.stimuli.height() * self.stimuli.width() * self.channels;
        let mut images = vec![0.0f32; 2 * count * area];
        let mut target = Vec::with_capacity(count);
        let (first, second) = images.split_at_mut(count * area);
        let rows = first.chunks_exact_mut(area).zip(second.chunks_exact_mut(area));
        for (number, (first, second)) in
            pair_numbers(self.source.count(), self.seed, (step * count) as u64, count).zip(rows)
        {
            let (i, j, similarity) = self.source.pair(number);
            for (row, image) in [(first, i), (second, j)] {
                let image = self.stimuli.image(self.positions[image]);
                row.chunks_exact_mut(image.len())
                    .for_each(|channel| channel.copy_from_slice(image));
            }
            target.push(similarity.clamp(-self.limit, self.limit));
        }
        let shape = (2 * count, self.channels, self.stimuli.height(), self.stimuli.width());
        Ok(PairBatch {
            images: Tensor::from_vec(images, shape, &Device::Cpu)?,
            target: Tensor::from_vec(target, count, &Device::Cpu)?,
            first: (step * count) as u64,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_pair_comes_once_before_any_comes_again() {
        let mut passes = [vec![0; 780], vec![0; 780]];
        let mut orders = [vec![], vec![]];
        for step in 0..120 {
            for (offset, index) in pair_numbers(780, 3, step * 13, 13).enumerate() {
                let pass = (step as usize * 13 + offset) / 780;
                passes[pass][index as usize] += 1;
                orders[pass].push(index);
            }
        }
        assert_eq!(passes, [vec![1; 780], vec![1; 780]]);
        assert_ne!(orders[0], orders[1], "each pass has its own order");
    }

    #[test]
    fn orders_look_random() {
        let permutation = Permutation::new(12_497_500, 1, 0);
        let drawn: Vec<f64> =
            (0..20_000).map(|number| permutation.at(number) as f64 / 12_497_500.0).collect();
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let centered: Vec<f64> = drawn.iter().map(|value| value - 0.5).collect();
        let neighbors: Vec<f64> = centered.windows(2).map(|pair| pair[0] * pair[1]).collect();
        let squares: Vec<f64> = centered.iter().map(|value| value * value).collect();
        // Five standard errors of uniform numbers.
        assert!(mean(&centered).abs() < 5.0 * (1.0f64 / 12.0 / 20_000.0).sqrt());
        assert!((mean(&squares) - 1.0 / 12.0).abs() < 5.0 * (1.0f64 / 180.0 / 20_000.0).sqrt());
        assert!(mean(&neighbors).abs() < 5.0 / 12.0 / 20_000f64.sqrt());
    }

    proptest! {
        #[test]
        fn a_permutation_is_one(count in 1u64..3000, seed: u64, pass in 0usize..5) {
            let permutation = Permutation::new(count, seed, pass);
            let mut seen = vec![false; count as usize];
            for number in 0..count {
                let image = permutation.at(number) as usize;
                prop_assert!(!std::mem::replace(&mut seen[image], true));
            }
        }
    }
}
