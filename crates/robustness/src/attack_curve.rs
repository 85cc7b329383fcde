//! Accuracy under attacks of increasing size.

use crate::accuracy::already_adversarial;
use crate::driver::{Driver, Job};
use crate::{
    Accuracy, Attack, AttackKind, Attacked, Classifier, Counts, Error, EvalOptions, LabeledBatch,
    Progress, Result,
};

/// Accuracy under attack at one epsilon.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AttackPoint {
    /// Largest perturbation allowed.
    pub epsilon: f64,
    /// Number of images that withstand it, out of all.
    pub accuracy: Accuracy,
    /// Cost at this epsilon.
    pub counts: Counts,
}

/// Accuracy at each of `epsilons`, which must increase. An image that falls at one epsilon counts
/// as fallen at all larger ones.
///
/// # Errors
/// Returns [`Error::Level`] if the epsilons do not increase, and the errors of
/// [`attack()`](crate::attack()).
pub fn attack_curve<'a>(
    model: &dyn Classifier,
    attack: &dyn Attack,
    labeled: &LabeledBatch,
    epsilons: &[f64],
    options: impl Into<EvalOptions<'a>>,
) -> Result<Vec<AttackPoint>> {
    attack.norm().check(epsilons, labeled.area())?;
    if let Some(index) = epsilons.windows(2).position(|pair| pair[0] >= pair[1]) {
        let expected = format!("more than {}, the previous one", epsilons[index]);
        return Err(Error::Level {
            what: "epsilon",
            index: index + 1,
            expected,
            found: epsilons[index + 1],
        });
    }
    let mut options = options.into();
    let settings = options.settings;
    let driver = Driver { model, attack, kind: AttackKind::FixedEpsilon, labeled, settings };
    let already = already_adversarial(model, labeled, settings)?;
    let mut standing: Vec<usize> = (0..labeled.len()).filter(|index| !already[*index]).collect();
    let total = epsilons.len() * labeled.len();
    let mut points = Vec::with_capacity(epsilons.len());
    for (level, epsilon) in epsilons.iter().enumerate() {
        let mut attacked = Attacked::unharmed(labeled, &already);
        let done = level * labeled.len() + labeled.len() - standing.len();
        let jobs: Vec<Job> = standing
            .iter()
            .map(|index| Job { index: *index, epsilon: *epsilon, start: None })
            .collect();
        driver.attack_some(&jobs, &mut attacked, &mut |progress| {
            options.tell(Progress { done: done + progress.done, total })
        })?;
        standing.retain(|index| !attacked.outcomes()[*index].success);
        let accuracy = Accuracy::new(standing.len(), labeled.len());
        points.push(AttackPoint { epsilon: *epsilon, accuracy, counts: attacked.counts() });
    }
    options.tell(Progress { done: total, total });
    Ok(points)
}
