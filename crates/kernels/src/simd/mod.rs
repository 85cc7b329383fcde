//! Vector instructions: which the processor has, what they do, and loops compiled for each of them.
//!
//! A level is a set of processor features ([`Isa`]); a kernel is compiled once for each and chosen when it is called, so that one
//! program uses whatever processor it comes to. There are two ways to write one:
//!
//! - [`compiled_for_each!`]: generic over a [`Vector`], whose operations are single instructions, for loops that a compiler does
//!   not vectorize well. A fused multiply-add rounds once, so that levels differ in the last bits.
//! - [`vectorized!`]: plain Rust over slices, which the compiler vectorizes. Nothing is contracted, so that all levels give the
//!   same bits.
//!
//! Kernels of bfloat16 numbers are generic over a [`Vector`] and its [`Bf16`] ([`compiled_for_bf16!`]). Those that sum products by
//! tiles are generic over [`tiles::Tiles`], and are other kernels: a tile is no vector.
//!
//! A further level (SVE) is a variant of [`Isa`], its features in [`at_level!`], a line in each of the two macros and a type that is a
//! [`Vector`]; kernels do not change.

mod bf16;
mod dispatch;
mod isa;
#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(test)]
mod tests;
#[cfg(any(test, target_arch = "x86_64"))]
pub(crate) mod tiles;
mod vector;
#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(target_arch = "x86_64")]
pub(crate) use bf16::Native;
pub(crate) use bf16::{Bf16, Emulated, narrow, widen};
pub(crate) use dispatch::{at_level, bf16_instance, compiled_for_bf16, compiled_for_each, instance, vectorized};
pub(crate) use isa::Isa;
#[cfg(target_arch = "aarch64")]
pub(crate) use neon::Neon;
pub(crate) use vector::{Portable, Vector};
#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx2, Avx512};
