//! Iteration over a `[batch, channels, area]` tensor by channel, and sums in a fixed order.

use std::ops::Range;

/// Divides a `[batch, channels, area]` tensor between threads, into groups of neighboring channels,
/// which are contiguous within each image.
#[derive(Clone, Copy)]
pub(crate) struct Groups {
    pub batch: usize,
    pub channels: usize,
    pub area: usize,
}

impl Groups {
    /// Minimum floats of an image per group, so that small images are not read in scattered
    /// snippets.
    const RUN: usize = 256;

    /// Channels per group; the last group may have fewer.
    fn width(&self) -> usize {
        Self::RUN.div_ceil(self.area).min(self.channels)
    }

    pub(crate) fn count(&self) -> usize {
        self.channels.div_ceil(self.width())
    }

    /// The channels of a group.
    pub(crate) fn channels_of(&self, group: usize) -> Range<usize> {
        group * self.width()..((group + 1) * self.width()).min(self.channels)
    }

    /// The range of a channel of an image.
    pub(crate) fn plane(&self, image: usize, channel: usize) -> Range<usize> {
        let start = (image * self.channels + channel) * self.area;
        start..start + self.area
    }

    /// The parts of each group, image by image, for writing by different threads.
    pub(crate) fn split<'a, T>(&self, values: &'a mut [T]) -> Vec<Vec<&'a mut [T]>> {
        let mut groups: Vec<Vec<&mut [T]>> =
            (0..self.count()).map(|_| Vec::with_capacity(self.batch)).collect();
        for image in values.chunks_exact_mut(self.channels * self.area) {
            for (group, part) in groups.iter_mut().zip(image.chunks_mut(self.width() * self.area)) {
                group.push(part);
            }
        }
        groups
    }
}

const LANES: usize = 16;
/// Rows of lanes that are summed in f32 before they are added in f64.
const ROWS: usize = 32;

/// `SUMS` sums over the same values: sixteen lanes in f32 over short stretches, and the stretches
/// in f64. The order depends only on the slice lengths.
#[derive(Clone, Copy)]
pub(crate) struct Sums<const SUMS: usize> {
    lanes: [[f32; LANES]; SUMS],
    rows: usize,
    totals: [f64; SUMS],
}

impl<const SUMS: usize> Sums<SUMS> {
    pub(crate) fn new() -> Self {
        Self { lanes: [[0.0; LANES]; SUMS], rows: 0, totals: [0.0; SUMS] }
    }

    /// Adds `terms(a, b, c)` for the elements of three slices of equal length.
    #[inline(always)]
    pub(crate) fn add(
        &mut self,
        a: &[f32],
        b: &[f32],
        c: &[f32],
        terms: impl Fn(f32, f32, f32) -> [f32; SUMS],
    ) {
        assert!(b.len() == a.len() && c.len() == a.len(), "slices of equal length");
        let mut at = 0;
        while at < a.len() {
            let rows = ((a.len() - at) / LANES).min(ROWS - self.rows);
            let end = at + rows * LANES;
            let mut lanes = self.lanes;
            for ((a, b), c) in a[at..end]
                .chunks_exact(LANES)
                .zip(b[at..end].chunks_exact(LANES))
                .zip(c[at..end].chunks_exact(LANES))
            {
                for lane in 0..LANES {
                    let terms = terms(a[lane], b[lane], c[lane]);
                    for sum in 0..SUMS {
                        lanes[sum][lane] += terms[sum];
                    }
                }
            }
            (at, self.rows) = (end, self.rows + rows);
            if a.len() - at < LANES && self.rows < ROWS {
                for (lane, index) in (at..a.len()).enumerate() {
                    let terms = terms(a[index], b[index], c[index]);
                    for sum in 0..SUMS {
                        lanes[sum][lane] += terms[sum];
                    }
                }
                (at, self.rows) = (a.len(), self.rows + 1);
            }
            self.lanes = lanes;
            if self.rows == ROWS {
                self.flush();
            }
        }
    }

    fn flush(&mut self) {
        for (total, lanes) in self.totals.iter_mut().zip(&mut self.lanes) {
            *total += lanes.iter().map(|lane| f64::from(*lane)).sum::<f64>();
            *lanes = [0.0; LANES];
        }
        self.rows = 0;
    }

    pub(crate) fn totals(mut self) -> [f64; SUMS] {
        self.flush();
        self.totals
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::values;

    #[test]
    fn sums_of_pieces_of_any_length_are_complete() {
        for length in [1, 15, 16, 17, 49, 511, 512, 513, 1024, 5000] {
            let (a, b) = (values(length, 1), values(length, 2));
            let mut sums = Sums::<2>::new();
            for _ in 0..7 {
                sums.add(&a, &b, &a, |a, b, c| [a, b * c]);
            }
            let expected: f64 = a.iter().map(|a| 7.0 * f64::from(*a)).sum();
            let products: f64 =
                a.iter().zip(&b).map(|(a, b)| 7.0 * f64::from(*a) * f64::from(*b)).sum();
            let [found, found_products] = sums.totals();
            assert!(
                (found - expected).abs() < 1e-6 * length as f64,
                "{length}: {found} against {expected}"
            );
            assert!(
                (found_products - products).abs() < 1e-6 * length as f64,
                "{length}: {found_products} against {products}"
            );
        }
    }

    #[test]
    fn groups_share_out_every_value_once() {
        for (batch, channels, area) in [(2, 5, 1), (3, 70, 16), (2, 3, 300), (1, 1, 1), (2, 33, 49)]
        {
            let groups = Groups { batch, channels, area };
            let mut values = vec![0.0f32; batch * channels * area];
            for (group, parts) in groups.split(&mut values).into_iter().enumerate() {
                assert_eq!(parts.len(), batch);
                for (image, part) in parts.into_iter().enumerate() {
                    assert_eq!(part.len(), groups.channels_of(group).len() * area);
                    part.iter_mut().for_each(|value| *value += (image * 1000 + group) as f32);
                }
            }
            for group in 0..groups.count() {
                for channel in groups.channels_of(group) {
                    for image in 0..batch {
                        assert!(
                            values[groups.plane(image, channel)]
                                .iter()
                                .all(|v| *v == (image * 1000 + group) as f32)
                        );
                    }
                }
            }
        }
    }
}
