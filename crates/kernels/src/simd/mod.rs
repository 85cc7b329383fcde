//! Vector instructions: detection, operations, and loops compiled for each level.
//!
//! A level is a set of processor features ([`Isa`]). A kernel is compiled once per level and
//! selected when it is called, so that one program can use any processor. There are two ways to
//! write one:
//!
//! - [`compiled_for_each!`]: generic over a [`Vector`], whose operations are single instructions,
//!   for loops that compilers do not vectorize well. A fused multiply-add rounds once, so levels
//!   differ in the last bits.
//! - [`vectorized!`]: plain Rust over slices, which the compiler vectorizes. Nothing is contracted,
//!   so all levels give the same bits.
//!
//! Kernels on bfloat16 numbers are generic over a [`Vector`] and its [`Bf16`]
//! ([`compiled_for_bf16!`]). Kernels that sum products with tiles are separate and generic over
//! [`tiles::Tiles`], since a tile is not a vector.
//!
//! To add a level (SVE), add a variant of [`Isa`], its features in [`at_level!`], a line in each of
//! the two macros, and a type that implements [`Vector`]; kernels do not change.

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
pub(crate) use dispatch::{
    at_level, bf16_instance, compiled_for_bf16, compiled_for_each, instance, vectorized,
};
pub(crate) use isa::Isa;
#[cfg(target_arch = "aarch64")]
pub(crate) use neon::Neon;
pub(crate) use vector::{Portable, Vector};
#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx2, Avx512};
