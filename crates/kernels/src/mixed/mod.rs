//! Images in mixed precision: stored as bfloat16 in chunks of sixteen channels, summed in f32.
//!
//! A value is a bf16 tensor `[batch, chunks of channels, height, width, 16]`; channels that pad the
//! last chunk are 0. The channels of a pixel are then pairs that can be multiplied as stored, and a
//! vector of results can be written as it is in the registers: nothing is transposed between
//! operations.

use crate::arguments::{image_sizes, same_kind, with_elements};
use crate::simd::{Isa, narrow, vectorized, widen};
use crate::transpose::transpose;
use crate::uninit::{Uninit, Uninit16, written};
use candle_core::{CpuStorage, Device, Result, Storage, Tensor};
use half::vec::HalfBitsVecExt;
use rayon::prelude::*;

/// Contiguous channels.
pub(crate) const CHUNK: usize = 16;

/// Sizes of images, whose channels may not fill the last chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sizes {
    pub batch: usize,
    pub channels: usize,
    pub height: usize,
    pub width: usize,
}

impl Sizes {
    pub(crate) fn new([batch, channels, height, width]: [usize; 4]) -> Self {
        Self { batch, channels, height, width }
    }

    pub(crate) fn chunks(&self) -> usize {
        self.channels.div_ceil(CHUNK)
    }

    pub(crate) fn area(&self) -> usize {
        self.height * self.width
    }

    /// Numbers per chunk of an image.
    pub(crate) fn plane(&self) -> usize {
        self.area() * CHUNK
    }

    /// Numbers per image.
    pub(crate) fn image(&self) -> usize {
        self.chunks() * self.plane()
    }

    pub(crate) fn len(&self) -> usize {
        self.batch * self.image()
    }

    pub(crate) fn dims(&self) -> [usize; 4] {
        [self.batch, self.channels, self.height, self.width]
    }

    /// A tensor of these numbers.
    pub(crate) fn tensor(&self, numbers: Vec<u16>) -> Result<Tensor> {
        let shape = (self.batch, self.chunks(), self.height, self.width, CHUNK);
        Tensor::from_vec(numbers.reinterpret_into::<half::bf16>(), shape, &Device::Cpu)
    }

    /// Channels of a chunk that exist.
    pub(crate) fn channels_of(&self, chunk: usize) -> usize {
        CHUNK.min(self.channels - chunk * CHUNK)
    }
}

/// Calls `work` with the numbers of a tensor made by [`Sizes::tensor`].
pub(crate) fn with_numbers<R>(
    tensor: &Tensor,
    work: impl FnOnce(&[u16]) -> Result<R>,
) -> Result<R> {
    let (storage, layout) = tensor.storage_and_layout();
    match (&*storage, layout.contiguous_offsets()) {
        (Storage::Cpu(CpuStorage::BF16(numbers)), Some((start, end))) => {
            work(bytemuck::cast_slice(&numbers[start..end]))
        }
        _ => candle_core::bail!("a feature map of mixed precision has left the CPU"),
    }
}

/// The same for several tensors.
pub(crate) fn with_all_numbers<R>(
    tensors: &[Tensor],
    work: impl FnOnce(&[&[u16]]) -> Result<R>,
) -> Result<R> {
    let held: Vec<_> = tensors.iter().map(Tensor::storage_and_layout).collect();
    let numbers =
        held.iter().map(|(storage, layout)| match (&**storage, layout.contiguous_offsets()) {
            (Storage::Cpu(CpuStorage::BF16(numbers)), Some((start, end))) => {
                Ok(bytemuck::cast_slice(&numbers[start..end]))
            }
            _ => candle_core::bail!("a feature map of mixed precision has left the CPU"),
        });
    work(&numbers.collect::<Result<Vec<_>>>()?)
}

/// The sum of one or more tensors.
pub(crate) fn sum(sizes: &Sizes, tensors: &[Tensor]) -> Result<Tensor> {
    if let [only] = tensors {
        return Ok(only.clone());
    }
    with_all_numbers(tensors, |parts| {
        let mut total = parts[0].to_vec();
        for part in &parts[1..] {
            total
                .par_chunks_mut(RUN)
                .zip(part.par_chunks(RUN))
                .for_each(|(total, part)| add(total, part));
        }
        sizes.tensor(total)
    })
}

vectorized! {
    fn add(sum: &mut [u16], numbers: &[u16]) {
        sum.iter_mut().zip(numbers).for_each(|(sum, number)| *sum = narrow(widen(*sum) + widen(*number)));
    }
}

/// Approximate numbers per thread and task.
pub(crate) const RUN: usize = 1 << 15;

const OP: &str = "mixed";

/// The error for mixed precision on a device that does not support it.
pub(crate) fn refused(x: &Tensor) -> crate::Error {
    let (expected, found) = (
        "the CPU, the only device with mixed precision".into(),
        format!("{:?}", x.device().location()),
    );
    crate::Error::Device { op: OP, argument: "x", expected, found }
}

/// Rounds f32 images `[batch, channels, height, width]` on the CPU to chunks of bfloat16, to
/// nearest even.
///
/// # Errors
/// Returns an error for other types or ranks.
pub(crate) fn pack(x: &Tensor) -> Result<(Sizes, Tensor)> {
    same_kind(OP, &[("x", x)])?;
    let sizes = Sizes::new(image_sizes(OP, "x", x)?);
    let numbers = with_elements(x, |x| {
        // SAFETY: the planes cover all numbers, and each one is written.
        let (numbers, ()) = unsafe {
            written(sizes.len(), |to: &mut [Uninit16]| {
                to.par_chunks_exact_mut(sizes.plane()).enumerate().for_each(|(index, to)| {
                    let (image, chunk) = (index / sizes.chunks(), index % sizes.chunks());
                    let first = (image * sizes.channels + chunk * CHUNK) * sizes.area();
                    let from = &x[first..first + sizes.channels_of(chunk) * sizes.area()];
                    interleave(from, sizes.area(), to);
                });
            })
        };
        Ok(numbers)
    })?;
    Ok((sizes, sizes.tensor(numbers)?))
}

/// Unpacks images to f32, `[batch, channels, height, width]`.
pub(crate) fn unpack(sizes: &Sizes, packed: &Tensor) -> Result<Tensor> {
    let values = with_numbers(packed, |numbers| Ok(unpacked(sizes, numbers)))?;
    Tensor::from_vec(values, &sizes.dims(), &Device::Cpu)
}

fn unpacked(sizes: &Sizes, numbers: &[u16]) -> Vec<f32> {
    let image = sizes.channels * sizes.area();
    // SAFETY: the images cover all values, and each channel of each is written.
    let (values, ()) = unsafe {
        written(sizes.batch * image, |to: &mut [Uninit]| {
            to.par_chunks_exact_mut(image).zip(numbers.par_chunks_exact(sizes.image())).for_each(
                |(to, from)| {
                    for (to, from) in
                        to.chunks_mut(CHUNK * sizes.area()).zip(from.chunks_exact(sizes.plane()))
                    {
                        separate(from, sizes.area(), to);
                    }
                },
            );
        })
    };
    values
}

/// Mean of each channel over images and pixels.
pub(crate) fn channel_means(sizes: &Sizes, numbers: &[u16]) -> Vec<f32> {
    let planes: Vec<[f64; CHUNK]> =
        numbers.par_chunks_exact(sizes.plane()).map(plane_sums).collect();
    let count = (sizes.batch * sizes.area()) as f64;
    let mean = |channel: usize| {
        let of_chunk = planes.iter().skip(channel / CHUNK).step_by(sizes.chunks());
        (of_chunk.map(|sums| sums[channel % CHUNK]).sum::<f64>() / count) as f32
    };
    (0..sizes.channels).map(mean).collect()
}

vectorized! {
    /// Sums of sixteen channels, f32 over short stretches and f64 over those.
    fn plane_sums(plane: &[u16]) -> [f64; CHUNK] {
        const STRETCH: usize = 32;
        let mut totals = [0.0; CHUNK];
        for stretch in plane.as_chunks::<CHUNK>().0.chunks(STRETCH) {
            let mut sums = [0.0f32; CHUNK];
            for pixel in stretch {
                for lane in 0..CHUNK {
                    sums[lane] += widen(pixel[lane]);
                }
            }
            for lane in 0..CHUNK {
                totals[lane] += f64::from(sums[lane]);
            }
        }
        totals
    }
}

/// Pixels transposed at a time; few enough to stay in the L1 cache.
const TURNED: usize = 128;

/// Interleaves at most sixteen channels to pixels of sixteen; missing channels are 0.
fn interleave(from: &[f32], area: usize, to: &mut [Uninit16]) {
    let (isa, channels) = (Isa::active(), from.len() / area);
    let mut turned = [0.0; TURNED * CHUNK];
    for (index, to) in to.chunks_mut(TURNED * CHUNK).enumerate() {
        let turned = &mut turned[..to.len()];
        transpose(isa, [channels, to.len() / CHUNK], &from[index * TURNED..], area, turned, CHUNK);
        round(turned, to);
    }
}

/// The reverse of [`interleave`].
fn separate(from: &[u16], area: usize, to: &mut [Uninit]) {
    let (isa, channels) = (Isa::active(), to.len() / area);
    let mut turned = [0.0; TURNED * CHUNK];
    for (index, from) in from.chunks(TURNED * CHUNK).enumerate() {
        let turned = &mut turned[..from.len()];
        widened(from, turned);
        transpose(
            isa,
            [from.len() / CHUNK, channels],
            turned,
            CHUNK,
            &mut to[index * TURNED..],
            area,
        );
    }
}

vectorized! {
    /// Rounds to nearest even.
    pub(crate) fn round(from: &[f32], to: &mut [Uninit16]) {
        for (to, from) in to.iter_mut().zip(from) {
            to.write(narrow(*from));
        }
    }
}

vectorized! {
    fn widened(from: &[u16], to: &mut [f32]) {
        for (to, from) in to.iter_mut().zip(from) {
            *to = widen(*from);
        }
    }
}

/// Concatenates the channels of images of equal size; only the last part may have an incomplete
/// chunk.
pub(crate) fn concatenate(sizes: &Sizes, parts: &[(Sizes, &[u16])]) -> Vec<u16> {
    // SAFETY: the images cover all numbers, and the parts have all chunks of each.
    let (numbers, ()) = unsafe {
        written(sizes.len(), |to: &mut [Uninit16]| {
            to.par_chunks_exact_mut(sizes.image()).enumerate().for_each(|(image, to)| {
                let mut rest = to;
                for (sizes, numbers) in parts {
                    let (to, others) = rest.split_at_mut(sizes.image());
                    copied(&numbers[image * sizes.image()..][..sizes.image()], to);
                    rest = others;
                }
            });
        })
    };
    numbers
}

fn copied(from: &[u16], to: &mut [Uninit16]) {
    for (to, from) in to.iter_mut().zip(from) {
        to.write(*from);
    }
}

/// Extracts a part again: `sizes.image()` numbers of each image from number `first` on.
pub(crate) fn narrowed(whole: &Sizes, numbers: &[u16], first: usize, sizes: &Sizes) -> Vec<u16> {
    // SAFETY: the images cover all numbers, and each one is written.
    let (part, ()) = unsafe {
        written(sizes.len(), |to: &mut [Uninit16]| {
            let images = numbers.par_chunks_exact(whole.image());
            to.par_chunks_exact_mut(sizes.image()).zip(images).for_each(|(to, image)| {
                copied(&image[first..first + sizes.image()], to);
            });
        })
    };
    part
}
