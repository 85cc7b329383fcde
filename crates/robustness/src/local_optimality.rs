//! Local optimality of attacks.

use crate::{Error, Result};

/// Local optimality of an attack (Cina et al. 2025, AttackBench): 1 if it finds the smallest known
/// perturbation of every image, 0 if it finds nothing.
///
/// It compares areas under the curve of accuracy against perturbation size, up to the largest of
/// the smallest perturbations: with A for the attack, A* for the best known results and M for a
/// model that is never misled, it is 1 - (A - A*) / (M - A*). `distances` and `best` have one entry
/// per image: 0 if the image is misclassified, `None` if nothing was found. The best known distance
/// is the smaller of the two.
///
/// # Errors
/// Returns [`Error::Size`] if the numbers of distances differ, and [`Error::NoImages`] if no
/// perturbation is known for any correctly classified image, so that there is nothing to compare
/// with.
pub fn local_optimality(distances: &[Option<f64>], best: &[Option<f64>]) -> Result<f64> {
    if distances.len() != best.len() {
        let (expected, found) =
            (format!("{}, one for each best distance", best.len()), distances.len().to_string());
        return Err(Error::Size { what: "distances", expected, found });
    }
    let size = |distance: &Option<f64>| distance.unwrap_or(f64::INFINITY);
    let best: Vec<f64> =
        best.iter().zip(distances).map(|(best, found)| size(best).min(size(found))).collect();
    let largest = best.iter().copied().filter(|size| size.is_finite()).fold(0.0, f64::max);
    if largest == 0.0 {
        return Err(Error::NoImages);
    }
    let area =
        |sizes: &mut dyn Iterator<Item = f64>| sizes.map(|size| size.min(largest)).sum::<f64>();
    let (found, least) = (area(&mut distances.iter().map(size)), area(&mut best.iter().copied()));
    let nothing = best.iter().filter(|size| **size > 0.0).count() as f64 * largest;
    // With a single image, the smallest perturbation is also the largest.
    Ok(if nothing > least { 1.0 - (found - least) / (nothing - least) } else { 1.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition: areas under the two curves, by fine steps.
    #[test]
    fn it_is_the_ratio_of_areas_under_the_curves() {
        let best = [Some(0.0), Some(0.1), Some(0.4), Some(1.0), Some(0.3)];
        let attack = [Some(0.0), Some(0.15), None, Some(1.2), Some(0.3)];
        const STEPS: usize = 100_000;
        let area = |sizes: &[Option<f64>]| {
            let standing = |at: f64| {
                sizes.iter().filter(|size| size.is_none_or(|size| size > at)).count() as f64 / 5.0
            };
            (0..STEPS)
                .map(|step| standing((step as f64 + 0.5) / STEPS as f64) / STEPS as f64)
                .sum::<f64>()
        };
        let expected = 1.0 - (area(&attack) - area(&best)) / (0.8 * 1.0 - area(&best));
        assert!((local_optimality(&attack, &best).unwrap() - expected).abs() < 1e-4);
    }

    #[test]
    fn the_best_has_one_and_what_finds_nothing_has_none() {
        let best = [Some(0.0), Some(0.1), Some(0.4)];
        assert_eq!(local_optimality(&best, &best).unwrap(), 1.0);
        assert_eq!(local_optimality(&[Some(0.0), None, None], &best).unwrap(), 0.0);
        // An attack that beats all others is itself the best known.
        assert_eq!(local_optimality(&[Some(0.0), Some(0.05), Some(0.4)], &best).unwrap(), 1.0);
        assert!(matches!(local_optimality(&[Some(0.0)], &[Some(0.0)]), Err(Error::NoImages)));
        assert!(matches!(local_optimality(&[None], &best), Err(Error::Size { .. })));
    }
}
