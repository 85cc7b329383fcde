#![doc = include_str!("../README.md")]
//!
//! Every operation is a candle custom operation with an exact gradient, computed only on request,
//! and is tested against a naive reference. Threads divide outputs, never sums, so results do not
//! depend on the number of threads.

mod arguments;
mod autograd;
mod batch_norm;
mod bilinear;
mod channels;
mod conv2d;
#[cfg(feature = "cuda")]
pub mod cuda;
mod elementary;
mod error;
pub mod gram;
mod grid_sample;
mod in_place;
mod losses;
mod maps;
mod mixed;
mod optimizer;
mod pair_cosine;
mod point_readout;
mod pooling;
mod precision;
#[cfg(test)]
mod refusals;
mod simd;
#[cfg(test)]
mod testing;
mod transpose;
mod uninit;

pub use autograd::{FeatureMap, backward, backward_onto};
pub use batch_norm::{
    Activation, BatchStatistics, FixedBatchNorm, FixedStatistics, batch_norm_eval, batch_norm_train,
};
pub use conv2d::{Conv2dGeometry, conv2d};
pub use error::Error;
pub use grid_sample::grid_sample;
pub use losses::{CLAMP, arctanh_squared_loss, cross_entropy};
pub use maps::{absolute_sum, elu_rate, moved, moving_average, poisson_loss, rescaled};
pub use optimizer::{Adam, Sgd, SgdConfig};
pub use pair_cosine::pair_cosine;
pub use point_readout::point_readout;
pub use pooling::{area_pool, average_pool};
pub use precision::{Precision, instruction_set};
