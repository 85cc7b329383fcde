//! Cosine similarity of the centered features of image pairs (Li et al. 2019).

mod cpu;
#[cfg(feature = "cuda")]
mod cuda;
mod mixed;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;

use crate::Error;
use crate::arguments::{has_shape, image_sizes, stored_kind};
use candle_core::{Result, Tensor};
pub(crate) use cpu::PairCosine;
pub(crate) use mixed::MixedPairCosine;

const OP: &str = "pair_cosine";

/// Cosine of each pair, `[pairs]`. `features` `[2 pairs, channels, height, width]` holds the first
/// images of all pairs, then the second ones; `center` `[channels]` is subtracted at every pixel
/// and has no gradient. If one image of a pair has zero centered features (a norm below 1e-8), the
/// pair has cosine 0 and no gradient.
///
/// # Errors
/// Returns [`Error`] if the number of images is odd, or ranks, sizes or types do not match.
pub fn pair_cosine(features: &Tensor, center: &Tensor) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if features.device().is_cuda() {
        check(features, center)?;
        return cuda::pair_cosine(features, center);
    }
    features.contiguous()?.apply_op1(PairCosine::new(features, center)?)
}

/// The sizes of the features.
fn check(features: &Tensor, center: &Tensor) -> std::result::Result<[usize; 4], Error> {
    stored_kind(OP, &[("features", features)], &[("center", center)])?;
    let sizes = image_sizes(OP, "features", features)?;
    has_shape(OP, "center", center, &[sizes[1]])?;
    check_pairs(&sizes)?;
    Ok(sizes)
}

fn check_pairs(sizes: &[usize; 4]) -> std::result::Result<(), Error> {
    if sizes[0].is_multiple_of(2) {
        return Ok(());
    }
    let (expected, found) = (
        "an even number of images, the first of all pairs and then the second".into(),
        sizes.to_vec(),
    );
    let remedy = "give both images of every pair";
    Err(Error::Shape { op: OP, argument: "features", expected, found, remedy })
}
