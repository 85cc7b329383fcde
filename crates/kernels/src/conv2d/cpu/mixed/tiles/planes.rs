//! The image layout for tiles.

use super::super::super::correlation::{Phase, Tap};
use super::super::super::padded_image::PaddedImage;
use super::super::dots::CHUNK;

/// The positions of a padded image: for every row and column modulo the stride, a plane of those
/// rows and columns.
#[derive(Debug, Clone, Copy)]
pub(super) struct Planes {
    padded: PaddedImage,
    /// Rows per plane.
    rows: usize,
}

/// Taps that read consecutive positions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Run {
    pub position: usize,
    /// Their indices in the weight.
    pub taps: Vec<usize>,
}

impl Planes {
    pub(super) fn new(padded: PaddedImage) -> Self {
        Self { padded, rows: padded.rows.div_ceil(padded.stride) }
    }

    /// Positions from one row of outputs to the next; neighbors in a row are consecutive.
    pub(super) fn row(&self) -> usize {
        self.padded.run
    }

    /// Number of positions of an image.
    pub(super) fn positions(&self) -> usize {
        self.padded.stride * self.padded.stride * self.rows * self.row()
    }

    /// The position of index `offset` in the padded image.
    fn position(&self, offset: usize) -> usize {
        let stride = self.padded.stride;
        let (y, rest) = (offset / self.padded.row(), offset % self.padded.row());
        let (phase, x) = (rest / self.row(), rest % self.row());
        ((y % stride * stride + phase) * self.rows + y / stride) * self.row() + x
    }

    /// The taps of a phase, grouped into runs of consecutive positions.
    pub(super) fn runs(&self, taps: &[Tap]) -> Vec<Run> {
        let mut taps: Vec<_> =
            taps.iter().map(|tap| (self.position(tap.offset), tap.index)).collect();
        taps.sort_unstable();
        let mut runs: Vec<Run> = Vec::new();
        for (position, index) in taps {
            match runs.last_mut() {
                Some(run) if run.position + run.taps.len() == position => run.taps.push(index),
                _ => runs.push(Run { position, taps: vec![index] }),
            }
        }
        runs
    }

    /// Calls `copy` for each row of a plane with pixels of the image: with the position of the
    /// first pixel, its index in the image, the number of pixels, and the distance between them in
    /// the image. All other positions are zero.
    pub(super) fn rows_of_image(&self, mut copy: impl FnMut(usize, usize, usize, usize)) {
        let f = &self.padded;
        let (runs, step) = (f.runs(), f.stride * f.every);
        for y in 0..f.height.div_ceil(f.every).min(f.rows.saturating_sub(f.top)) {
            let padded_y = f.top + y;
            for (phase, run) in runs.iter().enumerate() {
                if run.columns > 0 {
                    let plane = padded_y % f.stride * f.stride + phase;
                    let position =
                        (plane * self.rows + padded_y / f.stride) * self.row() + run.left;
                    copy(position, y * f.every * f.width + run.first, run.columns, step);
                }
            }
        }
    }

    /// Copies sixteen channels of an image, `[pixel][channel]`, to the first lanes of
    /// `[position][lane]` with `lanes` lanes.
    pub(super) fn fill(&self, chunk: &[u16], channels: usize, to: &mut [u16], lanes: usize) {
        self.rows_of_image(|position, pixel, columns, step| {
            let from =
                chunk[pixel * CHUNK..].as_chunks::<CHUNK>().0.iter().step_by(step).take(columns);
            for (from, to) in from.zip(to[position * lanes..].chunks_mut(lanes)) {
                match channels {
                    CHUNK => to[..CHUNK].copy_from_slice(from),
                    _ => to[..channels].copy_from_slice(&from[..channels]),
                }
            }
        });
    }
}

/// Sixteen positions of a tile, and which of them are outputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spot {
    /// The first position.
    pub position: usize,
    /// Row of the tile, row and column of the phase.
    pub outputs: Vec<[usize; 3]>,
}

/// Tiles for all outputs of a phase whose rows are `row` positions apart: row by row, or across all
/// rows if that needs fewer.
pub(super) fn spots(phase: &Phase, row: usize) -> Vec<Spot> {
    const TILE: usize = crate::simd::tiles::ROWS;
    let reach = (phase.rows.max(1) - 1) * row + phase.columns;
    let starts: Vec<(usize, usize)> =
        match reach.div_ceil(TILE) < phase.rows * phase.columns.div_ceil(TILE) {
            true => (0..reach).step_by(TILE).map(|start| (start, TILE)).collect(),
            false => (0..phase.rows)
                .flat_map(|r| {
                    (0..phase.columns)
                        .step_by(TILE)
                        .map(move |c| (r * row + c, TILE.min(phase.columns - c)))
                })
                .collect(),
        };
    let output = |position: usize| (position / row, position % row);
    let spot = |(start, count): (usize, usize)| {
        let outputs = (0..count)
            .map(|m| (m, output(start + m)))
            .filter(|(_, (r, c))| *r < phase.rows && *c < phase.columns);
        Spot { position: start, outputs: outputs.map(|(m, (r, c))| [m, r, c]).collect() }
    };
    starts.into_iter().map(spot).filter(|spot| !spot.outputs.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_output_has_one_place_in_tiles() {
        for (rows, columns, row) in
            [(32, 32, 34), (8, 8, 10), (4, 4, 6), (1, 5, 5), (7, 17, 17), (3, 40, 52), (0, 4, 4)]
        {
            let phase = Phase { rows, columns, first_row: 0, first_column: 0, taps: Vec::new() };
            let mut seen = vec![0; rows * columns];
            for spot in spots(&phase, row) {
                for [m, r, c] in spot.outputs {
                    assert_eq!(spot.position + m, r * row + c);
                    assert!(m < 16);
                    seen[r * columns + c] += 1;
                }
            }
            assert!(seen.iter().all(|count| *count == 1), "{phase:?} {row}");
        }
    }

    #[test]
    fn planes_have_what_the_padded_image_has() {
        for padded in [
            PaddedImage {
                height: 5,
                width: 6,
                top: 1,
                left: 1,
                rows: 7,
                run: 8,
                stride: 1,
                every: 1,
            },
            PaddedImage {
                height: 5,
                width: 6,
                top: 1,
                left: 1,
                rows: 7,
                run: 4,
                stride: 2,
                every: 1,
            },
            PaddedImage {
                height: 7,
                width: 5,
                top: 2,
                left: 2,
                rows: 10,
                run: 3,
                stride: 3,
                every: 1,
            },
            PaddedImage {
                height: 6,
                width: 6,
                top: 0,
                left: 0,
                rows: 3,
                run: 3,
                stride: 1,
                every: 2,
            },
        ] {
            let planes = Planes::new(padded);
            let image: Vec<u16> =
                (0..padded.height * padded.width * CHUNK).map(|i| i as u16 + 1).collect();
            let mut buffer = vec![0; super::super::super::padded::buffer(&padded, 1)];
            super::super::super::padded::fill(&padded, &image, &mut buffer);
            let mut found = vec![0; planes.positions() * CHUNK];
            planes.fill(&image, CHUNK, &mut found, CHUNK);
            for offset in 0..padded.plane() {
                let position = planes.position(offset);
                assert_eq!(
                    found[position * CHUNK..][..CHUNK],
                    buffer[offset * CHUNK..][..CHUNK],
                    "{padded:?} {offset}"
                );
            }
        }
    }
}
