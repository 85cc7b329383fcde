//! Sums of products of bfloat16 numbers with AMX tiles (Sapphire Rapids and later): registers of
//! sixteen rows of 64 bytes.
//!
//! One instruction, `tdpbf16ps`, adds to sixteen by sixteen f32 sums the products of sixteen rows
//! of [`DEPTH`] numbers with sixteen columns of as many: 8,192 products, compared with 32 of
//! `vdpbf16ps`. A row of the first factor is contiguous. The second factor is stored in pairs,
//! `[pair of numbers][column][2]`, the same layout as for `vdpbf16ps`.
//!
//! All tiles are complete: incomplete ones are padded with zeros on one side, and with any finite
//! values on the other. There is therefore a single configuration ([`Config::WHOLE`]), and edges
//! need no special case.
//!
//! # Definition
//!
//! According to Intel's manual (*Software Developer's Manual*, volume 2, TDPBF16PS), the products
//! of the first numbers of all pairs are summed in order from zero, and those of the second numbers
//! separately; then both sums are added, and the result is added to the tile. Every step rounds
//! once to nearest even, and treats subnormal inputs and results as zero. `vdpbf16ps` adds in
//! another order, so the last bits differ. [`Model`] is this definition in plain Rust: tests run
//! all tile code with it on any processor, and compare it bit by bit with the instruction where
//! available.

#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

#[cfg(target_arch = "x86_64")]
pub(crate) use amx::{Amx, is_detected};
#[cfg(test)]
pub(crate) use model::Model;
#[cfg(all(test, target_arch = "x86_64"))]
pub(crate) use model::has_amx;

/// Rows per tile, and columns of sums.
pub(crate) const ROWS: usize = 16;

/// Numbers per row of a factor.
pub(crate) const DEPTH: usize = 32;

/// Numbers per tile of a factor.
pub(crate) const NUMBERS: usize = ROWS * DEPTH;

/// Bytes per row of any tile.
const ROW_BYTES: usize = 64;

/// Number of tiles.
const COUNT: usize = 8;

/// The sizes of all tiles, in the order in which `ldtilecfg` reads them.
#[repr(C, align(64))]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Config {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    /// Bytes per row of each tile; the format has space for sixteen tiles.
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

impl Config {
    /// Eight tiles of sixteen rows of 64 bytes.
    pub(crate) const WHOLE: Self = {
        let mut config =
            Self { palette: 1, start_row: 0, reserved: [0; 14], row_bytes: [0; 16], rows: [0; 16] };
        let mut tile = 0;
        while tile < COUNT {
            config.row_bytes[tile] = ROW_BYTES as u16;
            config.rows[tile] = ROWS as u8;
            tile += 1;
        }
        config
    };
}

/// The tiles of a thread, released when the value is dropped.
///
/// # Safety
///
/// The processor must have the instructions, and the system must let the process use them. Only one
/// value may be in use at a time per thread, and the thread must not run other work meanwhile. Tile
/// numbers must be below [`COUNT`], and pointers valid for sixteen rows of 64 bytes, `stride` bytes
/// apart.
pub(crate) trait Tiles {
    unsafe fn configure(config: &Config) -> Self;
    unsafe fn zero<const TILE: usize>(&mut self);
    unsafe fn load<const TILE: usize>(&mut self, from: *const u8, stride: usize);
    unsafe fn store<const TILE: usize>(&mut self, to: *mut u8, stride: usize);
    /// Adds to the f32 tile `SUMS` the products of the rows of `LEFT` and the columns of `RIGHT`.
    unsafe fn add_products<const SUMS: usize, const LEFT: usize, const RIGHT: usize>(&mut self);
}

/// Calls `work` with the tiles of the thread.
///
/// # Safety
///
/// See [`Tiles`]; `work` must not wait for the work of other threads.
pub(crate) unsafe fn with_tiles<T: Tiles, R>(work: impl FnOnce(&mut T) -> R) -> R {
    // SAFETY: the caller guarantees the instructions and the thread; processors with tiles support
    // the configuration.
    let mut tiles = unsafe { T::configure(&Config::WHOLE) };
    work(&mut tiles)
}

/// The sums to compute: one or two tiles of rows by one or two of columns.
#[derive(Clone, Copy)]
pub(crate) struct TileSums<'a> {
    /// Rows of [`DEPTH`] numbers, `left_row` numbers apart; a tile begins at each of `left_tiles`.
    pub left: &'a [u16],
    pub left_row: usize,
    pub left_tiles: &'a [usize],
    /// Sixteen rows of sixteen pairs, `right_row` numbers apart; a tile begins at each of
    /// `right_tiles`.
    pub right: &'a [u16],
    pub right_row: usize,
    pub right_tiles: &'a [usize],
    /// Additional offsets of both sides for each product, in numbers.
    pub steps: &'a [[usize; 2]],
}

impl TileSums<'_> {
    /// Writes the sums to rows of `c` that are `c_row` apart, or adds them.
    ///
    /// # Safety
    ///
    /// The processor has the instructions of `T`.
    ///
    /// # Panics
    ///
    /// Panics if a tile extends beyond its slice.
    pub(crate) unsafe fn sum<T: Tiles>(
        &self,
        tiles: &mut T,
        c: &mut [f32],
        c_row: usize,
        resume: bool,
    ) {
        let (m, n) = (self.left_tiles.len(), self.right_tiles.len());
        assert!(
            c_row >= n * ROWS && (m * ROWS - 1) * c_row + n * ROWS <= c.len(),
            "the output holds the sums"
        );
        let most = |side: usize| self.steps.iter().map(|step| step[side]).max();
        let reach = |starts: &[usize], row: usize| {
            starts.iter().max().map_or(0, |start| start + (ROWS - 1) * row + DEPTH)
        };
        if let (Some(left), Some(right)) = (most(0), most(1)) {
            assert!(
                left + reach(self.left_tiles, self.left_row) <= self.left.len(),
                "a row extends beyond its source"
            );
            assert!(
                right + reach(self.right_tiles, self.right_row) <= self.right.len(),
                "a column extends beyond its source"
            );
        }
        // SAFETY: the assertions cover all reads and writes; the caller guarantees the
        // instructions.
        unsafe {
            match (m, n) {
                (1, 1) => self.add::<T, 1, 1>(tiles, c.as_mut_ptr(), c_row, resume),
                (1, 2) => self.add::<T, 1, 2>(tiles, c.as_mut_ptr(), c_row, resume),
                (2, 1) => self.add::<T, 2, 1>(tiles, c.as_mut_ptr(), c_row, resume),
                (2, 2) => self.add::<T, 2, 2>(tiles, c.as_mut_ptr(), c_row, resume),
                _ => unreachable!("one or two tiles of either side"),
            }
        }
    }

    /// Tiles 0 to 3 are sums, 4 and 5 rows, 6 and 7 columns: four tiles are read for four products.
    ///
    /// # Safety
    ///
    /// Everything that the sizes describe is within the memory of the pointers; the processor has
    /// the instructions.
    #[inline(always)]
    unsafe fn add<T: Tiles, const M: usize, const N: usize>(
        &self,
        tiles: &mut T,
        c: *mut f32,
        c_row: usize,
        resume: bool,
    ) {
        let (c_stride, left_stride, right_stride) =
            (4 * c_row, 2 * self.left_row, 2 * self.right_row);
        // SAFETY: the caller guarantees access to every tile.
        unsafe {
            let at = |m: usize, n: usize| c.add(m * ROWS * c_row + n * ROWS).cast::<u8>();
            if resume {
                tiles.load::<0>(at(0, 0), c_stride);
                if N == 2 {
                    tiles.load::<1>(at(0, 1), c_stride);
                }
                if M == 2 {
                    tiles.load::<2>(at(1, 0), c_stride);
                }
                if M == 2 && N == 2 {
                    tiles.load::<3>(at(1, 1), c_stride);
                }
            } else {
                tiles.zero::<0>();
                tiles.zero::<1>();
                tiles.zero::<2>();
                tiles.zero::<3>();
            }
            let row = |m: usize| self.left.as_ptr().wrapping_add(self.left_tiles[m.min(M - 1)]);
            let column =
                |n: usize| self.right.as_ptr().wrapping_add(self.right_tiles[n.min(N - 1)]);
            let (rows, columns) = ([row(0), row(1)], [column(0), column(1)]);
            for [left, right] in self.steps {
                tiles.load::<6>(columns[0].add(*right).cast(), right_stride);
                tiles.load::<4>(rows[0].add(*left).cast(), left_stride);
                tiles.add_products::<0, 4, 6>();
                if N == 2 {
                    tiles.load::<7>(columns[1].add(*right).cast(), right_stride);
                    tiles.add_products::<1, 4, 7>();
                }
                if M == 2 {
                    tiles.load::<5>(rows[1].add(*left).cast(), left_stride);
                    tiles.add_products::<2, 5, 6>();
                }
                if M == 2 && N == 2 {
                    tiles.add_products::<3, 5, 7>();
                }
            }
            tiles.store::<0>(at(0, 0), c_stride);
            if N == 2 {
                tiles.store::<1>(at(0, 1), c_stride);
            }
            if M == 2 {
                tiles.store::<2>(at(1, 0), c_stride);
            }
            if M == 2 && N == 2 {
                tiles.store::<3>(at(1, 1), c_stride);
            }
        }
    }
}
