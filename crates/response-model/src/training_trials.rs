//! Which trials a fit of several scans trains on.

use std::collections::HashSet;

use brainprior_images::ImageId;
use brainprior_recording::{Scan, Tier};

/// The trials that a fit of several scans trains on, for each scan.
///
/// Scans that showed the same images are divided into tiers each by itself, so that an image on which one of them validates may
/// lie in the training tier of another. The core that both share would know it, and the stopping of the fit and
/// [`v_a`](crate::ResponseModel::v_a) would be measured on images that trained. So an image, known by its content, that
/// validates in any scan trains in none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrainingTrials {
    trials: Vec<Vec<usize>>,
    left_out: Vec<usize>,
}

impl TrainingTrials {
    /// Of a fit of `scans`.
    pub fn of(scans: &[&Scan]) -> Self {
        let image = |scan: &Scan, trial: usize| -> ImageId { scan.stimuli().ids()[scan.trial_image()[trial]] };
        let validating: HashSet<ImageId> =
            scans.iter().flat_map(|scan| scan.trials_in(Tier::Validation).into_iter().map(|trial| image(scan, trial))).collect();
        let (trials, left_out) = scans
            .iter()
            .map(|scan| {
                let (left_out, trains): (Vec<usize>, Vec<usize>) =
                    scan.trials_in(Tier::Train).into_iter().partition(|trial| validating.contains(&image(scan, *trial)));
                (trains, left_out.len())
            })
            .unzip();
        Self { trials, left_out }
    }

    /// For each scan its trials, ascending.
    pub fn trials(&self) -> &[Vec<usize>] {
        &self.trials
    }

    /// For each scan the number of trials of its training tier that do not train, since their images validate in another scan.
    pub fn left_out(&self) -> &[usize] {
        &self.left_out
    }
}
