//! What a fit reports while it runs.

/// What a fit reports while it runs.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum FitEvent {
    /// The scan has no behaviour, so that its rates have no gain.
    WithoutModulator {
        /// Name of the scan.
        scan: String,
    },
    /// The scan has no pupil centre, so that its receptive fields do not shift.
    WithoutShifter {
        /// Name of the scan.
        scan: String,
    },
    /// Some trials of the scan's training tier show images that validate in another scan of the fit: they do not train.
    LeftOut {
        /// Name of the scan.
        scan: String,
        /// How many.
        trials: usize,
    },
    /// Some neurons never vary over the training trials: they are left out of the loss, are predicted by their one value,
    /// and have no v_a.
    NeverVarying {
        /// Name of the scan.
        scan: String,
        /// How many.
        neurons: usize,
    },
    /// Receptive fields were located by reverse correlation.
    Located {
        /// Name of the scan.
        scan: String,
        /// Neurons with a clear peak; the others start at the mean of these.
        clear: usize,
        /// All neurons.
        neurons: usize,
    },
    /// A checkpoint was found and is continued.
    Resumed {
        /// Epochs it has behind it.
        epochs: usize,
    },
    /// A step was made.
    Step {
        /// Epoch, counted from 0.
        epoch: usize,
        /// Steps of this epoch behind it.
        done: usize,
        /// Steps of an epoch.
        total: usize,
    },
    /// An epoch was made.
    Epoch {
        /// Epoch, counted from 0.
        epoch: usize,
        /// Most epochs that this fit makes.
        max_epochs: usize,
        /// Mean over neurons and trials of the loss with all penalties.
        train_loss: f64,
        /// Mean over all neurons of the correlation on the validation tier, undefined ones as 0.
        validation_correlation: f64,
        /// Learning rate of the epoch.
        learning_rate: f64,
        /// Whether this is the best validation correlation so far.
        best: bool,
        /// Wall time of the epoch with its validation.
        seconds: f64,
    },
    /// The validation correlation stopped rising: the best state was restored.
    Decayed {
        /// The learning rate from here.
        learning_rate: f64,
    },
    /// The fit is complete; the model is in its best state.
    Finished {
        /// Epochs made.
        epochs: usize,
        /// The best validation correlation.
        validation_correlation: f64,
    },
}
