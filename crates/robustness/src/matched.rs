//! Results of a control at a matched clean accuracy, interpolated between its networks.

/// A result of a control at clean accuracy `accuracy`, interpolated linearly between its networks
/// just below and above. `path` holds the clean accuracy and the result of each network in any
/// order; results of networks with equal accuracy are averaged. `None` if all networks lie on one
/// side: nothing is extrapolated.
///
/// A regularized network is less accurate than its baseline, and lower accuracy alone can make a
/// network more or less robust. The controls are therefore networks from shorter trainings, each
/// complete with its own learning rate schedule: a network from the middle of a longer training
/// would differ in more than its accuracy.
///
/// ```
/// let baseline = [(0.6, 0.2), (0.4, 0.3)];
/// assert_eq!(brainprior_robustness::at_accuracy(&baseline, 0.5), Some(0.25));
/// assert_eq!(brainprior_robustness::at_accuracy(&baseline, 0.3), None);
/// ```
pub fn at_accuracy(path: &[(f64, f64)], accuracy: f64) -> Option<f64> {
    let below = path
        .iter()
        .map(|point| point.0)
        .filter(|reached| *reached <= accuracy)
        .max_by(f64::total_cmp)?;
    let above = path
        .iter()
        .map(|point| point.0)
        .filter(|reached| *reached >= accuracy)
        .min_by(f64::total_cmp)?;
    let at = |reached: f64| {
        let figures: Vec<f64> =
            path.iter().filter(|point| point.0 == reached).map(|point| point.1).collect();
        figures.iter().sum::<f64>() / figures.len() as f64
    };
    let share = if above > below { (accuracy - below) / (above - below) } else { 0.0 };
    Some((1.0 - share) * at(below) + share * at(above))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_straight_path_is_met_everywhere_on_it_and_nowhere_beyond() {
        let path: Vec<(f64, f64)> =
            [0.7, 0.3, 0.45, 0.6].map(|accuracy| (accuracy, 1.0 - 0.5 * accuracy)).to_vec();
        for accuracy in [0.3, 0.31, 0.45, 0.52, 0.65, 0.7] {
            assert!(
                (at_accuracy(&path, accuracy).unwrap() - (1.0 - 0.5 * accuracy)).abs() < 1e-12,
                "{accuracy}"
            );
        }
        assert_eq!(
            (at_accuracy(&path, 0.29), at_accuracy(&path, 0.71), at_accuracy(&[], 0.5)),
            (None, None, None)
        );
    }

    #[test]
    fn only_the_neighbors_count() {
        let path = [(0.2, 9.0), (0.4, 0.1), (0.5, 0.3), (0.9, 9.0)];
        assert!((at_accuracy(&path, 0.45).unwrap() - 0.2).abs() < 1e-12);
    }

    #[test]
    fn networks_of_equal_accuracy_are_averaged() {
        let path = [(0.4, 0.1), (0.4, 0.3), (0.6, 0.4)];
        assert!((at_accuracy(&path, 0.4).unwrap() - 0.2).abs() < 1e-12);
        assert!((at_accuracy(&path, 0.5).unwrap() - 0.3).abs() < 1e-12);
    }
}
