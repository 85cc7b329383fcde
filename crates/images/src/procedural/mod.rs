//! Generated images, so that the pipeline can run and be tested without a download.
//!
//! There are two kinds: stimuli with the image statistics relevant to vision ([`natural_stimuli`]),
//! and ten classes of objects that differ only in their outlines, which a small network can learn
//! ([`ten_classes`]). Both are scenes of opaque objects that occlude each other. Such *dead leaves*
//! have the spectra, the edges and the heavy tails of photographs (Lee, Mumford & Huang, *Occlusion
//! models for natural images*, IJCV 2001).
//!
//! Every image has its own random stream, so the bytes depend only on the seed, not on the number
//! of threads.

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

/// The random generator of image `index`; the last streams serve a whole set.
fn stream(seed: u64, index: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(index);
    rng
}

/// Stream of the texture of a set.
const TEXTURE: u64 = u64::MAX;
/// Stream of the order of a set.
const ORDER: u64 = u64::MAX - 1;
