//! Transposes between `[images, channels, pixels]` and `[images, pixels, channels]`.

use super::launch::{Module, Stored, blocks_of, launch, module, room};
use candle_core::Result;
use candle_core::cuda::CudaDevice;
use candle_core::cuda::cudarc::driver::{CudaSlice, CudaView};

const MODULE: Module = module!("layout");
const TILE: u32 = 32;

/// Transposes `[images, rows, columns]` to `[images, columns, rows]`; fewer than 2^31 values.
pub(crate) fn transposed<T: Stored>(
    device: &CudaDevice,
    from: &CudaView<T>,
    images: u32,
    rows: u32,
    columns: u32,
) -> Result<CudaSlice<T>> {
    let count = images as usize * rows as usize * columns as usize;
    assert_eq!(from.len(), count, "the values of {images} images");
    let mut to = room::<T>(device, count)?;
    let tiles_across = columns.div_ceil(TILE);
    let tiles = images * rows.div_ceil(TILE) * tiles_across;
    // SAFETY: the parameters match `transpose`, which reads and writes `images` x `rows` x
    // `columns` values.
    unsafe {
        launch!(device, MODULE, &format!("transpose_{}", T::SUFFIX), blocks_of(tiles, (TILE, 8)),
            (from.slice(..), rows, columns, tiles_across) => (&mut to));
    }
    Ok(to)
}
