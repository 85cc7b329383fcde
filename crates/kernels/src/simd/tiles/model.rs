//! The AMX instructions by their definition, in plain Rust.

use super::{COUNT, Config, ROW_BYTES, ROWS, Tiles};
#[cfg(target_arch = "x86_64")]
use crate::simd::Isa;
use crate::simd::widen;

/// Tiles as bytes; invalid instructions panic.
pub(crate) struct Model {
    config: Config,
    tiles: [[[u8; ROW_BYTES]; ROWS]; COUNT],
}

impl Model {
    fn size(&self, tile: usize) -> (usize, usize) {
        let (rows, bytes) =
            (usize::from(self.config.rows[tile]), usize::from(self.config.row_bytes[tile]));
        assert!(tile < COUNT && rows > 0 && bytes > 0, "tile {tile} is not configured");
        (rows, bytes)
    }

    fn float(&self, tile: usize, row: usize, column: usize) -> f32 {
        let bytes = &self.tiles[tile][row][4 * column..][..4];
        f32::from_le_bytes(bytes.try_into().unwrap())
    }

    fn number(&self, tile: usize, row: usize, index: usize) -> f32 {
        let bytes = &self.tiles[tile][row][2 * index..][..2];
        widen(u16::from_le_bytes(bytes.try_into().unwrap()))
    }
}

/// Flushes subnormal numbers to zero, keeping the sign.
fn without_subnormal(value: f32) -> f32 {
    if value.is_subnormal() { 0.0f32.copysign(value) } else { value }
}

/// `a b + sum`, rounded once to nearest even; subnormal factors, sums and results are flushed to
/// zero.
pub(super) fn fused(a: f32, b: f32, sum: f32) -> f32 {
    let [a, b, sum] = [a, b, sum].map(without_subnormal);
    let result = a.mul_add(b, sum);
    if result.abs() > f32::MIN_POSITIVE || result.is_nan() {
        return result;
    }
    // A result is subnormal if it is so after rounding to 24 bits with unlimited exponent. Rounding
    // with fewer bits may round up to the smallest normal number while rounding to 24 bits stays
    // below it.
    const UP: f32 = 18_446_744_073_709_551_616.0;
    let product = (f64::from(a) * f64::from(b) * f64::from(UP)) as f32;
    if (product + sum * UP).abs() < f32::MIN_POSITIVE * UP {
        0.0f32.copysign(result)
    } else {
        result
    }
}

impl Tiles for Model {
    unsafe fn configure(config: &Config) -> Self {
        assert!(config.palette == 1 && config.start_row == 0 && config.reserved == [0; 14]);
        for tile in 0..16 {
            let (rows, bytes) =
                (usize::from(config.rows[tile]), usize::from(config.row_bytes[tile]));
            assert!(
                rows <= ROWS && bytes <= ROW_BYTES && (rows == 0) == (bytes == 0),
                "sizes of tile {tile}"
            );
            assert!(tile < COUNT || rows == 0, "there is no tile {tile}");
        }
        Self { config: *config, tiles: [[[0; ROW_BYTES]; ROWS]; COUNT] }
    }

    unsafe fn zero<const TILE: usize>(&mut self) {
        self.size(TILE);
        self.tiles[TILE] = [[0; ROW_BYTES]; ROWS];
    }

    unsafe fn load<const TILE: usize>(&mut self, from: *const u8, stride: usize) {
        let (rows, bytes) = self.size(TILE);
        self.tiles[TILE] = [[0; ROW_BYTES]; ROWS];
        for row in 0..rows {
            // SAFETY: the caller guarantees the rows.
            unsafe {
                std::ptr::copy_nonoverlapping(
                    from.add(row * stride),
                    self.tiles[TILE][row].as_mut_ptr(),
                    bytes,
                )
            };
        }
    }

    unsafe fn store<const TILE: usize>(&mut self, to: *mut u8, stride: usize) {
        let (rows, bytes) = self.size(TILE);
        for row in 0..rows {
            // SAFETY: as above.
            unsafe {
                std::ptr::copy_nonoverlapping(
                    self.tiles[TILE][row].as_ptr(),
                    to.add(row * stride),
                    bytes,
                )
            };
        }
    }

    unsafe fn add_products<const SUMS: usize, const LEFT: usize, const RIGHT: usize>(&mut self) {
        let ((rows, bytes), (left_rows, left_bytes), (right_rows, right_bytes)) =
            (self.size(SUMS), self.size(LEFT), self.size(RIGHT));
        assert!(SUMS != LEFT && SUMS != RIGHT && LEFT != RIGHT, "three tiles");
        assert!(
            rows == left_rows && bytes == right_bytes && left_bytes == 4 * right_rows,
            "sizes that fit together"
        );
        for row in 0..rows {
            for column in 0..bytes / 4 {
                let sum = |which: usize| {
                    (0..left_bytes / 4).fold(0.0, |sum, pair| {
                        let (left, right) = (
                            self.number(LEFT, row, 2 * pair + which),
                            self.number(RIGHT, pair, 2 * column + which),
                        );
                        fused(left, right, sum)
                    })
                };
                let both = fused(sum(0), 1.0, sum(1));
                let total = fused(both, 1.0, self.float(SUMS, row, column));
                self.tiles[SUMS][row][4 * column..][..4].copy_from_slice(&total.to_le_bytes());
            }
            self.tiles[SUMS][row][bytes..].fill(0);
        }
        self.tiles[SUMS][rows..].fill([0; ROW_BYTES]);
    }
}

/// Whether there is hardware to compare with; prints why not.
#[cfg(target_arch = "x86_64")]
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
pub(crate) fn has_amx() -> bool {
    let has = Isa::available().any(|isa| isa == Isa::Amx);
    if !has {
        eprintln!(
            "skipped: this processor has no AMX tiles of bfloat16, or its system does not provide them; only their model was tested"
        );
    }
    has
}
