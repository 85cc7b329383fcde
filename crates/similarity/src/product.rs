//! All pairs of cosines: the strict upper triangle of `E E^T`, in square tiles.

use crate::matrix::{pairs, rows_mut};
use crate::population::UnitVectors;
use rayon::prelude::*;

/// Side of a tile, in images.
const TILE: usize = 512;

/// A square of the upper triangle and the places in the packed triangle that it fills.
struct Tile<'a> {
    first_row: usize,
    first_column: usize,
    columns: usize,
    /// Part of each row of the tile that lies right of the diagonal.
    rows: Vec<&'a mut [f32]>,
}

/// Packed cosines of all pairs. A tile is one product in one thread, so the result does not depend on their number.
pub(crate) fn cosines(vectors: &UnitVectors) -> Vec<f32> {
    let images = vectors.values.len() / vectors.width;
    let mut packed = vec![0.0f32; pairs(images)];
    tiles(images, &mut packed).into_par_iter().with_max_len(1).for_each_init(
        || vec![0.0f32; TILE * TILE],
        |product, tile| {
            multiply(vectors, &tile, product);
            for (row, target) in tile.rows.into_iter().enumerate() {
                let stored = &product[row * tile.columns..(row + 1) * tile.columns];
                for (value, cosine) in target.iter_mut().rev().zip(stored.iter().rev()) {
                    *value = cosine.clamp(-1.0, 1.0);
                }
            }
        },
    );
    packed
}

/// The upper triangle cut in tiles.
fn tiles(images: usize, packed: &mut [f32]) -> Vec<Tile<'_>> {
    let mut tiles = Vec::new();
    let mut rows = rows_mut(images, packed).into_iter();
    let mut first_row = 0;
    while first_row < images {
        let height = TILE.min(images - first_row);
        let mut band: Vec<&mut [f32]> = rows.by_ref().take(height).collect();
        let mut first_column = first_row;
        while first_column < images {
            let columns = TILE.min(images - first_column);
            let cut = band
                .iter_mut()
                .enumerate()
                .map(|(row, rest)| {
                    let right = (first_column + columns).saturating_sub((first_row + row + 1).max(first_column));
                    let (segment, others) = std::mem::take(rest).split_at_mut(right);
                    *rest = others;
                    segment
                })
                .collect();
            tiles.push(Tile { first_row, first_column, columns, rows: cut });
            first_column += columns;
        }
        first_row += height;
    }
    tiles
}

/// `product[r, c]` = cosine of images `first_row + r` and `first_column + c`, row-major.
fn multiply(vectors: &UnitVectors, tile: &Tile, product: &mut [f32]) {
    let (height, width, depth) = (tile.rows.len(), tile.columns, vectors.width);
    assert!(product.len() >= height * width);
    let left = &vectors.values[tile.first_row * depth..(tile.first_row + height) * depth];
    let right = &vectors.values[tile.first_column * depth..(tile.first_column + width) * depth];
    // SAFETY: `product` holds height x width values with the given strides, `left` and `right` hold height and width
    // rows of `depth` values; `product` is borrowed mutably and so overlaps neither.
    unsafe {
        gemm::gemm(
            height,
            width,
            depth,
            product.as_mut_ptr(),
            1,
            width as isize,
            false,
            left.as_ptr(),
            1,
            depth as isize,
            right.as_ptr(),
            depth as isize,
            1,
            0.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}
