//! The training trials of a fit of several scans.

use std::collections::HashSet;

use brainprior_images::ImageId;
use brainprior_recording::{Scan, Tier};

/// The training trials of each scan in a fit of several scans.
///
/// Scans with the same images are divided into tiers independently, so an image in the validation
/// tier of one scan may be in the training tier of another. The shared core would be trained on it,
/// and early stopping and [`v_a`](crate::ResponseModel::v_a) would be evaluated on training images.
/// Therefore an image (identified by content) that is in the validation tier of any scan is used
/// for training in none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrainingTrials {
    trials: Vec<Vec<usize>>,
    left_out: Vec<usize>,
}

impl TrainingTrials {
    /// The training trials of a fit of `scans`.
    pub fn of(scans: &[&Scan]) -> Self {
        let image = |scan: &Scan, trial: usize| -> ImageId {
            scan.stimuli().ids()[scan.trial_image()[trial]]
        };
        let validating: HashSet<ImageId> = scans
            .iter()
            .flat_map(|scan| {
                scan.trials_in(Tier::Validation).into_iter().map(|trial| image(scan, trial))
            })
            .collect();
        let (trials, left_out) = scans
            .iter()
            .map(|scan| {
                let (left_out, trains): (Vec<usize>, Vec<usize>) = scan
                    .trials_in(Tier::Train)
                    .into_iter()
                    .partition(|trial| validating.contains(&image(scan, *trial)));
                (trains, left_out.len())
            })
            .unzip();
        Self { trials, left_out }
    }

    /// For each scan, its training trials in ascending order.
    pub fn trials(&self) -> &[Vec<usize>] {
        &self.trials
    }

    /// For each scan, the number of trials in its training tier that are not used, because their
    /// images are in the validation tier of another scan.
    pub fn left_out(&self) -> &[usize] {
        &self.left_out
    }
}
