//! Made images, so that the chain can run and be tested without a download.
//!
//! Two kinds: stimuli with the statistics that vision depends on ([`natural_stimuli`]), and ten classes of objects, told
//! apart by their outlines alone, on which a small network has something to learn ([`ten_classes`]). Both are scenes of opaque
//! things that hide each other: such *dead leaves* have the spectra, the edges and the heavy tails of photographs (Lee, Mumford
//! & Huang, *Occlusion models for natural images*, IJCV 2001).
//!
//! Every image draws from a stream of its own, so that the bytes depend on the seed alone, not on the number of threads.

mod canvas;
mod natural;
mod objects;
mod scene;
mod silhouette;
mod texture;

pub use natural::natural_stimuli;
pub use objects::ten_classes;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// The generator of image `index`; the last streams serve what a whole set shares.
fn stream(seed: u64, index: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(index);
    rng
}

/// Stream of the texture of a set.
const TEXTURE: u64 = u64::MAX;
/// Stream of the order of a set.
const ORDER: u64 = u64::MAX - 1;
