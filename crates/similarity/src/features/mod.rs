//! The control *features*: responses of a pretrained network to the images, instead of a
//! population's.
//!
//! Any chain of convolutions in a weight file can be used, safetensors or PyTorch's own format. VGG
//! networks (11 to 19, with or without batch norm) are recognized by torchvision's names, so the
//! `.pth` that torchvision downloads for `vgg19(weights="DEFAULT")` is all that the paper's VGG19
//! conv3_1 needs.

mod network;
mod vgg;

pub use network::{Layer, Network};

use crate::{Result, SimilarityMatrix, vectors};
use brainprior_images::StimulusSet;
use ndarray::Array2;

/// Images per forward pass.
const BATCH: usize = 32;

/// Features of each image, `[images, channels * height * width]` of the network's last layer.
///
/// # Errors
/// Returns an error if the images are too small for the network or a tensor operation fails.
pub fn network_features(network: &Network, stimuli: &StimulusSet) -> Result<Array2<f32>> {
    let (height, width) = (stimuli.height(), stimuli.width());
    let mut values = Vec::new();
    for pixels in stimuli.pixels().chunks(BATCH * height * width) {
        let maps = network.maps(pixels, height, width)?;
        values.extend(
            maps.flatten_all()
                .and_then(|maps| maps.to_vec1::<f32>())
                .map_err(network.refused(height, width))?,
        );
    }
    Ok(in_rows(stimuli.len(), values))
}

fn in_rows(images: usize, values: Vec<f32>) -> Array2<f32> {
    let dimensions = values.len().checked_div(images).unwrap_or(0);
    Array2::from_shape_vec((images, dimensions), values).expect("as many features of each image")
}

/// The control *features*: the formula of [`crate::similarity`] with the features of each image as
/// its vector.
///
/// # Errors
/// Returns an error if [`network_features`] does, if there are fewer than two images, or if the
/// features of one equal the mean.
pub fn features(network: &Network, stimuli: &StimulusSet) -> Result<SimilarityMatrix> {
    let values = network_features(network, stimuli)?;
    vectors(
        stimuli.ids(),
        values.view(),
        &vec![1.0; values.ncols()],
        &format!("features of {}", network.name()),
    )
}
