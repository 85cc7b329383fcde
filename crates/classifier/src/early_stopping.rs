//! The control of a baseline that is stopped as soon as it is as accurate as another network.

use crate::{Error, Evaluation, Result};

/// Epochs after which a training is stopped, to be as accurate on images held back as the network that another training keeps:
/// up to the first epoch of `baseline` with at least the accuracy of the best epoch of `matched`, or all of them where none
/// gets there. A regularized network whose robustness beats that of the baseline so stopped is not just robust for being less
/// far trained.
///
/// Both are evaluations on images held back, one for each epoch ([`crate::EpochReport::validation`]); the best epoch is the first
/// of lowest loss, whose network a training keeps.
///
/// ```
/// use brainprior_classifier::{Evaluation, epochs_to_match};
///
/// let epochs = |course: &[(f64, f64)]| -> Vec<Evaluation> {
///     course.iter().map(|(loss, accuracy)| Evaluation { loss: *loss, accuracy: *accuracy }).collect()
/// };
/// let baseline = epochs(&[(1.5, 0.4), (1.1, 0.6), (0.8, 0.7)]);
/// let regularized = epochs(&[(1.8, 0.3), (1.2, 0.55), (1.3, 0.65)]);
/// assert_eq!(epochs_to_match(&baseline, &regularized)?, 2);
/// # Ok::<(), brainprior_classifier::Error>(())
/// ```
///
/// # Errors
/// No epoch on either side.
pub fn epochs_to_match(baseline: &[Evaluation], matched: &[Evaluation]) -> Result<usize> {
    let none = |what| Error::Size { what, expected: "at least one".into(), found: "none".into() };
    if baseline.is_empty() {
        return Err(none("epochs of the baseline"));
    }
    let kept = matched.iter().min_by(|a, b| a.loss.total_cmp(&b.loss)).ok_or_else(|| none("epochs of the training to match"))?;
    let reached = baseline.iter().position(|epoch| epoch.accuracy >= kept.accuracy);
    Ok(reached.map_or(baseline.len(), |epoch| epoch + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epochs(course: &[(f64, f64)]) -> Vec<Evaluation> {
        course.iter().map(|(loss, accuracy)| Evaluation { loss: *loss, accuracy: *accuracy }).collect()
    }

    #[test]
    fn the_first_epoch_as_accurate_as_the_kept_network_is_the_last() {
        let baseline = epochs(&[(2.0, 0.3), (1.0, 0.5), (0.9, 0.4), (0.8, 0.9)]);
        let after = |matched: &[(f64, f64)]| epochs_to_match(&baseline, &epochs(matched)).unwrap();
        assert_eq!(after(&[(1.0, 0.2)]), 1);
        assert_eq!(after(&[(1.0, 0.5)]), 2, "as accurate is enough");
        assert_eq!(after(&[(1.0, 0.6)]), 4);
        assert_eq!(after(&[(1.0, 0.95)]), 4, "none gets there");
    }

    #[test]
    fn the_network_that_is_matched_is_that_of_the_lowest_loss() {
        let baseline = epochs(&[(2.0, 0.3), (1.0, 0.5)]);
        assert_eq!(epochs_to_match(&baseline, &epochs(&[(1.2, 0.9), (1.1, 0.2), (1.3, 0.8)])).unwrap(), 1);
        assert_eq!(epochs_to_match(&baseline, &epochs(&[(1.1, 0.4), (1.1, 0.2)])).unwrap(), 2, "the first of equal ones");
    }

    #[test]
    fn a_training_of_no_epoch_is_named() {
        let some = epochs(&[(1.0, 0.5)]);
        assert!(epochs_to_match(&[], &some).unwrap_err().to_string().starts_with("epochs of the baseline"));
        assert!(epochs_to_match(&some, &[]).unwrap_err().to_string().starts_with("epochs of the training to match"));
    }
}
