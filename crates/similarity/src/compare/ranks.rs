//! Ranks and rank correlations of the values of matrices.

use super::numbers::{Number, correlation};
use crate::{Error, Result};
use rayon::prelude::*;

/// Pearson's correlation of ranks; ties share their mean rank.
pub(super) fn spearman(first: &[f64], second: &[f64]) -> Result<f64> {
    correlation(&ranks(first), &ranks(second))
}

/// Rank of each value, from 1; equal values share their mean rank.
pub(super) fn ranks<T: Number>(values: &[T]) -> Vec<f64> {
    let order = sorted(values);
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    for tied in order.chunk_by(|a, b| a.0 == b.0) {
        let shared = start as f64 + (tied.len() as f64 + 1.0) / 2.0;
        for (_, index) in tied {
            ranks[*index as usize] = shared;
        }
        start += tied.len();
    }
    ranks
}

/// Kendall's tau-a: concordant minus discordant over all pairs of pairs, where ties count as
/// neither; by merge sort, in O(m log m) for m values (Knight, JASA 1966).
///
/// # Errors
/// Returns an error if there is a single value.
pub(super) fn kendall_tau_a<T: Number>(first: &[T], second: &[T]) -> Result<f64> {
    if first.len() < 2 {
        return Err(Error::Constant { which: "first", pairs: first.len() });
    }
    let count = first.len() as u64;
    let place = dense(second);
    // The second matrix's ranks in the order of the first; ties of the first are ordered by the
    // second.
    let mut order: Vec<(u64, u32)> =
        sorted(first).into_par_iter().map(|(bits, index)| (bits, place[index as usize])).collect();
    order.par_sort_unstable();
    let choose = |n: u64| n * n.saturating_sub(1) / 2;
    let ties = |equal: &dyn Fn(&(u64, u32), &(u64, u32)) -> bool| -> u64 {
        order.chunk_by(|a, b| equal(a, b)).map(|tied| choose(tied.len() as u64)).sum()
    };
    let (tied_first, tied_both) = (ties(&|a, b| a.0 == b.0), ties(&|a, b| a == b));
    let mut places: Vec<u32> = order.into_iter().map(|(_, place)| place).collect();
    let discordant = inversions(&mut places);
    let tied_second: u64 =
        places.chunk_by(|a, b| a == b).map(|tied| choose(tied.len() as u64)).sum();
    let untied = choose(count) - tied_first - tied_second + tied_both;
    Ok((untied as f64 - 2.0 * discordant as f64) / choose(count) as f64)
}

/// For each value, the number of distinct smaller values.
fn dense<T: Number>(values: &[T]) -> Vec<u32> {
    let mut places = vec![0; values.len()];
    for (place, tied) in sorted(values).chunk_by(|a, b| a.0 == b.0).enumerate() {
        tied.iter().for_each(|(_, index)| places[*index as usize] = place as u32);
    }
    places
}

/// Order-preserving bits of the values, sorted, with the index of each value.
fn sorted<T: Number>(values: &[T]) -> Vec<(u64, u32)> {
    assert!(u32::try_from(values.len()).is_ok(), "fewer than 2^32 pairs");
    let mut order: Vec<(u64, u32)> = values
        .par_iter()
        .enumerate()
        .map(|(index, value)| (ordered_bits((*value).into()), index as u32))
        .collect();
    order.par_sort_unstable();
    order
}

/// Order-preserving bits of a value. Adding 0 makes -0 equal to 0.
fn ordered_bits(value: f64) -> u64 {
    let bits = (value + 0.0).to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

/// Sorts, and counts the inversions.
fn inversions(values: &mut [u32]) -> u64 {
    const SMALL: usize = 32;
    if values.len() <= SMALL {
        let mut count = 0;
        for i in 1..values.len() {
            let mut place = i;
            while place > 0 && values[place - 1] > values[place] {
                values.swap(place - 1, place);
                place -= 1;
                count += 1;
            }
        }
        return count;
    }
    let (left, right) = values.split_at_mut(values.len() / 2);
    let (a, b) = rayon::join(|| inversions(left), || inversions(right));
    let mut merged = Vec::with_capacity(left.len() + right.len());
    let (mut i, mut j, mut count) = (0, 0, a + b);
    while i < left.len() && j < right.len() {
        if left[i] <= right[j] {
            merged.push(left[i]);
            i += 1;
        } else {
            merged.push(right[j]);
            count += (left.len() - i) as u64;
            j += 1;
        }
    }
    merged.extend_from_slice(&left[i..]);
    merged.extend_from_slice(&right[j..]);
    values.copy_from_slice(&merged);
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn ties_share_their_ranks() {
        assert_eq!(ranks(&[0.5f32, -1.0, 0.5, 0.0, -0.0]), [4.5, 1.0, 4.5, 2.5, 2.5]);
    }

    #[test]
    fn tau_is_that_of_the_definition() {
        let mut generator = ChaCha8Rng::seed_from_u64(2);
        for (count, distinct) in [(2, 5), (40, 4), (40, 1000), (300, 30), (301, 100_000)] {
            let mut draw = || -> Vec<f32> {
                (0..count).map(|_| generator.random_range(0..distinct) as f32 / 7.0 - 1.0).collect()
            };
            let (a, b) = (draw(), draw());
            let mut sum = 0i64;
            for i in 0..count {
                for j in 0..i {
                    let sign = |x: f32, y: f32| i64::from(x > y) - i64::from(x < y);
                    sum += sign(a[i], a[j]) * sign(b[i], b[j]);
                }
            }
            let expected = sum as f64 / (count * (count - 1) / 2) as f64;
            assert!(
                (kendall_tau_a(&a, &b).unwrap() - expected).abs() < 1e-12,
                "{count} values of {distinct}"
            );
        }
    }
}
