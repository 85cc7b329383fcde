//! How the upper triangle is divided into tasks.

use crate::Population;
use crate::matrix::pairs;
use brainprior_kernels::gram::PANEL;
use std::ops::Range;

/// Side of a tile in images: five panels, so that a tile and its slices of vectors fit into the L2
/// cache.
pub(super) const SIDE: usize = 5 * PANEL;

/// Bands of rows, each divided into blocks of columns that are [`SIDE`] images wide, from the
/// band's first image on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plan {
    images: usize,
    /// Images per band: at most [`SIDE`], or a multiple of it; always a multiple of [`PANEL`].
    height: usize,
    resident: bool,
    /// First task of each band, then the number of tasks.
    first_task: Vec<usize>,
}

/// A band of rows against a block of columns.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Task {
    pub(super) rows: Range<usize>,
    pub(super) columns: Range<usize>,
}

impl Plan {
    /// A plan for `memory` bytes of vectors and bands of at most `rows` images. It depends neither
    /// on the number of threads nor on the machine.
    pub(crate) fn new(population: &Population<'_>, memory: usize, rows: usize) -> Self {
        let images = population.len();
        let resident = population.packed_bytes(images) <= memory;
        let fitting = if resident {
            SIDE
        } else {
            // A quarter is reserved for the blocks of columns, one per thread.
            let images = memory / 4 * 3 / population.packed_bytes(PANEL) * PANEL;
            (images / SIDE * SIDE).max(SIDE)
        };
        let height = if rows < fitting { (rows / PANEL * PANEL).max(PANEL) } else { fitting };
        let height = if height > SIDE { height / SIDE * SIDE } else { height };
        let mut first_task = vec![0];
        for start in (0..images).step_by(height) {
            let blocks = (images - start).div_ceil(SIDE);
            first_task.push(first_task.last().expect("never empty") + blocks);
        }
        Self { images, height, resident, first_task }
    }

    /// Whether all vectors are packed at once.
    pub(crate) fn resident(&self) -> bool {
        self.resident
    }

    /// Number of tasks.
    pub(crate) fn tasks(&self) -> usize {
        *self.first_task.last().expect("never empty")
    }

    /// Number of pairs.
    pub(super) fn pairs(&self) -> u64 {
        pairs(self.images) as u64
    }

    /// Each band with its tasks.
    pub(crate) fn bands(&self) -> impl Iterator<Item = (Range<usize>, Range<usize>)> {
        self.first_task
            .windows(2)
            .enumerate()
            .map(|(band, tasks)| (self.band(band), tasks[0]..tasks[1]))
    }

    /// The band that contains row `image`; only files are written by bands.
    #[cfg(feature = "hdf5")]
    pub(crate) fn band_of(&self, image: usize) -> Range<usize> {
        self.band(image / self.height)
    }

    fn band(&self, band: usize) -> Range<usize> {
        band * self.height..((band + 1) * self.height).min(self.images)
    }

    pub(super) fn task(&self, task: usize) -> Task {
        let band = self.first_task.partition_point(|first| *first <= task) - 1;
        let rows = self.band(band);
        let start = rows.start + (task - self.first_task[band]) * SIDE;
        Task { rows, columns: start..(start + SIDE).min(self.images) }
    }

    /// Number of pairs in a task.
    pub(super) fn pairs_of(&self, task: usize) -> u64 {
        let Task { rows, columns } = self.task(task);
        // Pairs of the band's rows with columns before `end`: a triangle and a rectangle next to
        // it.
        let before = |end: usize| {
            pairs(end.min(rows.end) - rows.start) + end.saturating_sub(rows.end) * rows.len()
        };
        (before(columns.end) - before(columns.start)) as u64
    }

    /// A hash of everything that determines which pairs a task contains.
    pub(crate) fn fingerprint(&self, population: u64) -> u64 {
        [self.images, self.height, SIDE].iter().fold(population, |hash, value| {
            (hash ^ *value as u64).wrapping_mul(0x0100_0000_01b3).rotate_left(29)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Images, ScanVectors};
    use brainprior_images::ImageId;
    use ndarray::Array2;

    #[test]
    fn every_pair_is_shown_once() {
        let ids: Vec<ImageId> = (0..1700).map(ImageId::from_u64).collect();
        let values = Array2::from_shape_fn((1700, 4), |(i, k)| (i * k) as f32);
        let view = values.view();
        let sources = [ScanVectors { name: "made", ids: &ids, rows: &view, weights: &[1.0; 4] }];
        let population = Population::new(&sources, Images::Identical).unwrap();
        // All resident; bands of two tiles; bands of one tile; bands below one tile.
        for (memory, rows) in [
            (1 << 20, usize::MAX),
            (17_000, usize::MAX),
            (1000, usize::MAX),
            (1 << 20, 100),
            (17_000, 100),
        ] {
            let plan = Plan::new(&population, memory, rows);
            assert_eq!(plan.resident(), memory == 1 << 20);
            let mut shown = vec![0u8; 1700 * 1700];
            for task in 0..plan.tasks() {
                let Task { rows, columns } = plan.task(task);
                let mut count = 0;
                for i in rows {
                    for j in columns.clone().filter(|j| *j > i) {
                        shown[i * 1700 + j] += 1;
                        count += 1;
                    }
                }
                assert_eq!(count, plan.pairs_of(task), "{plan:?} {task}");
            }
            assert!(
                (0..1700 * 1700).all(|index| u8::from(index % 1700 > index / 1700) == shown[index]),
                "{plan:?}"
            );
        }
    }
}
