//! Device, seed, checkpoint and observer of a fit.

use super::FitEvent;
use candle_core::Device;
use std::fmt;
use std::path::Path;

/// Device, seed, checkpoint and observer of a fit.
///
/// ```
/// use brainprior_response_model::{FitEvent, FitOptions};
///
/// let mut observer = |event| {
///     if let FitEvent::Epoch { epoch, train_loss, .. } = event {
///         println!("epoch {epoch}: {train_loss}");
///     }
/// };
/// let options = FitOptions { seed: 7, observer: Some(&mut observer), ..FitOptions::default() };
/// # drop(options);
/// ```
pub struct FitOptions<'a> {
    /// Device of the fit and of the returned model.
    pub device: Device,
    /// Seed of all random streams.
    pub seed: u64,
    /// The file from which an interrupted [`fit`](crate::fit) resumes, or the folder of such files
    /// for [`CrossFitted::fit`](crate::CrossFitted::fit).
    pub checkpoint: Option<&'a Path>,
    /// Receives the events of the fit.
    pub observer: Option<&'a mut dyn FnMut(FitEvent)>,
}

impl FitOptions<'_> {
    pub(crate) fn tell(&mut self, event: FitEvent) {
        if let Some(observer) = &mut self.observer {
            observer(event);
        }
    }
}

impl Default for FitOptions<'_> {
    /// On the CPU, with seed 0 and without a checkpoint or an observer.
    fn default() -> Self {
        Self { device: Device::Cpu, seed: 0, checkpoint: None, observer: None }
    }
}

impl fmt::Debug for FitOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { device, seed, checkpoint, observer } = self;
        let mut shown = f.debug_struct("FitOptions");
        shown.field("device", device).field("seed", seed).field("checkpoint", checkpoint);
        shown.field("observed", &observer.is_some()).finish()
    }
}
