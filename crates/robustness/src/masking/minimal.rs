//! Checks that two searches for the smallest perturbation agree.

use super::check::Check;
use super::trial::Trial;
use crate::{ApgdMinimal, Attack, Ddn, Norm, Result, minimize_perturbation};

/// Steps of each search. On sound networks the two results differ by 2% in the median after 60
/// steps and by 0.5% after 200, which took half of the time of all checks in the default run.
const STEPS: usize = 60;
/// Largest acceptable factor between them, in the median over images.
const APART: f64 = 1.25;

/// DDN follows single gradients on a sphere that shrinks with every success; Auto-PGD keeps the
/// best of many points, returns to it and searches over epsilon. On a smooth model both find about
/// the same size. With misleading gradients they do not: on k-winners-take-all networks DDN is
/// fooled more than Auto-PGD (Cina et al. 2025, AttackBench).
pub(super) fn searches(trial: &Trial) -> Result<Check> {
    let sizes = |attack: &dyn Attack| -> Result<Vec<f64>> {
        let found = minimize_perturbation(trial.model, attack, trial.labeled, trial.settings)?;
        let size = |outcome: &crate::Outcome| {
            if outcome.success { outcome.distance } else { f64::INFINITY }
        };
        Ok(found.outcomes().iter().map(size).collect())
    };
    let (ddn, apgd) = (
        sizes(&Ddn::default().with_steps(STEPS))?,
        sizes(&ApgdMinimal::new(Norm::L2).with_steps(STEPS))?,
    );
    let ratio = |(ddn, apgd): (&f64, &f64)| {
        if ddn == apgd { 1.0 } else { ddn.max(f64::MIN_POSITIVE) / apgd.max(f64::MIN_POSITIVE) }
    };
    let ratios: Vec<f64> = ddn.iter().zip(&apgd).map(ratio).collect();
    let (ddn_over_apgd, apart) = (
        middle(ratios.clone()),
        middle(ratios.iter().map(|ratio| ratio.max(1.0 / ratio)).collect()),
    );
    let finding = (apart > APART).then(|| {
        format!(
            "two searches for the smallest perturbation differ by a factor of {apart:.2} (DDN's are {ddn_over_apgd:.2} times as large as \
             those of Auto-PGD): gradients are misleading"
        )
    });
    let figures = vec![
        ("median of DDN's over Auto-PGD's".to_owned(), ddn_over_apgd),
        ("median of the larger over the smaller".to_owned(), apart),
    ];
    Ok(Check { name: "searches", figures, finding })
}

/// The median of a non-empty list.
fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
