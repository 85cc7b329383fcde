//! Differentiable operations on candle tensors: what the response model and the classifiers spend their time in.
//!
//! Every operation is a candle custom operation with an exact gradient, computed only where it is asked for, and stands
//! beside a naive reference in its tests. Threads share outputs, never a sum, so that results do not depend on their number.

mod arguments;
mod conv2d;
mod error;
mod matrix;

pub use conv2d::{Conv2dGeometry, conv2d};
pub use error::Error;
