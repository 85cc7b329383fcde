//! Progress events of a fit.

/// A progress event of a fit.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum FitEvent {
    /// The fit of a fold starts ([`CrossFitted::fit`](crate::CrossFitted::fit)).
    Fold {
        /// The fold, counted from 0.
        fold: usize,
    },
    /// The scan has no behavior, so its rates have no gain.
    WithoutModulator {
        /// Name of the scan.
        scan: String,
    },
    /// The scan has no pupil centers, so its receptive fields do not shift.
    WithoutShifter {
        /// Name of the scan.
        scan: String,
    },
    /// Some neurons are constant over the training trials. They are left out of the loss, predicted
    /// by their constant, and have no v_a.
    NeverVarying {
        /// Name of the scan.
        scan: String,
        /// Number of these neurons.
        neurons: usize,
    },
    /// Receptive fields were located by reverse correlation.
    Located {
        /// Name of the scan.
        scan: String,
        /// Neurons with a clear peak; the others start at the mean of these.
        clear: usize,
        /// Number of all neurons.
        neurons: usize,
    },
    /// The fit resumed from a checkpoint.
    Resumed {
        /// Number of epochs in the checkpoint.
        epochs: usize,
    },
    /// A step is complete.
    Step {
        /// Epoch, counted from 0.
        epoch: usize,
        /// Completed steps of this epoch.
        done: usize,
        /// Steps per epoch.
        total: usize,
    },
    /// An epoch is complete.
    Epoch {
        /// Epoch, counted from 0.
        epoch: usize,
        /// Largest number of epochs of this fit.
        max_epochs: usize,
        /// Mean over neurons and trials of the loss with all penalties.
        train_loss: f64,
        /// Mean over all neurons of the correlation on the validation tier; undefined correlations
        /// count as 0.
        validation_correlation: f64,
        /// Learning rate of the epoch.
        learning_rate: f64,
        /// Whether this is the best validation correlation so far.
        best: bool,
        /// Wall-clock time of the epoch and its validation.
        seconds: f64,
    },
    /// The validation correlation stopped rising, and the best state was restored.
    Decayed {
        /// The new learning rate.
        learning_rate: f64,
    },
    /// The fit is complete; the model is in its best state.
    Finished {
        /// Number of epochs.
        epochs: usize,
        /// The best validation correlation.
        validation_correlation: f64,
    },
}
