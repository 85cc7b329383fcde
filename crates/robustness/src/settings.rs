//! Settings and progress of an evaluation.

use std::fmt;

/// Settings of an evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Seed of all random streams.
    pub seed: u64,
    /// Images per call to the model, at least 1. It affects speed only; results differ at most by
    /// the model's own rounding in different batch sizes.
    pub batch: usize,
}

impl Settings {
    /// These settings with an observer of the progress.
    pub fn observed(self, observer: &mut dyn FnMut(Progress)) -> EvalOptions<'_> {
        EvalOptions { settings: self, observer: Some(observer) }
    }
}

/// [`Settings`] with an optional observer. Functions that report their progress take either of the
/// two.
pub struct EvalOptions<'a> {
    /// Seed and batch size.
    pub settings: Settings,
    /// Receives the progress.
    pub observer: Option<&'a mut dyn FnMut(Progress)>,
}

impl EvalOptions<'_> {
    pub(crate) fn tell(&mut self, progress: Progress) {
        if let Some(observer) = &mut self.observer {
            observer(progress);
        }
    }
}

impl From<Settings> for EvalOptions<'_> {
    fn from(settings: Settings) -> Self {
        Self { settings, observer: None }
    }
}

impl fmt::Debug for EvalOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { settings, observer } = self;
        f.debug_struct("EvalOptions")
            .field("settings", settings)
            .field("observed", &observer.is_some())
            .finish()
    }
}

/// Progress of a long evaluation, reported from time to time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Images done.
    pub done: usize,
    /// Images to do.
    pub total: usize,
}
