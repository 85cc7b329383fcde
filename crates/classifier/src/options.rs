//! Device, seed and observer of a training.

use crate::TrainEvent;
use candle_core::Device;
use std::fmt;

/// Device, seed and observer of a training.
///
/// ```
/// use brainprior_classifier::{TrainEvent, TrainOptions};
///
/// let mut losses = Vec::new();
/// let mut observer = |event| {
///     if let TrainEvent::Step { loss, .. } = event {
///         losses.push(loss);
///     }
/// };
/// let options = TrainOptions { seed: 7, observer: Some(&mut observer), ..TrainOptions::default() };
/// # drop(options);
/// ```
pub struct TrainOptions<'a> {
    /// Device of the training and of the returned network.
    pub device: Device,
    /// Seed of all random streams.
    pub seed: u64,
    /// Receives the steps and epochs.
    pub observer: Option<&'a mut dyn FnMut(TrainEvent)>,
}

impl Default for TrainOptions<'_> {
    /// On the CPU, with seed 0 and without an observer.
    fn default() -> Self {
        Self { device: Device::Cpu, seed: 0, observer: None }
    }
}

impl fmt::Debug for TrainOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { device, seed, observer } = self;
        let mut shown = f.debug_struct("TrainOptions");
        shown
            .field("device", device)
            .field("seed", seed)
            .field("observed", &observer.is_some())
            .finish()
    }
}
