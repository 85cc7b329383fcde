#![doc = include_str!("../README.md")]

pub use brainprior_artifact as artifact;
pub use brainprior_classifier as classifier;
pub use brainprior_images as images;
pub use brainprior_kernels as kernels;
pub use brainprior_recording as recording;
pub use brainprior_response_model as response_model;
pub use brainprior_robustness as robustness;
pub use brainprior_similarity as similarity;
/// Tensors and devices, in the version that the modules use.
pub use candle_core;
/// Arrays, in the version that the modules use.
pub use ndarray;

/// Tests the code in the readme of the repository, which is not part of the package.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Repository;
