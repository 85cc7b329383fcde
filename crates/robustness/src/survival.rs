//! Survival analysis of smallest perturbations, some of which are censored.

use crate::{Error, Perturbation, Result};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A median with its 95% bootstrap interval. Each of the three values is censored if too many
/// images withstand everything.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Median {
    /// The median.
    pub value: Perturbation,
    /// Lower end: 2.5th percentile over resampled images.
    pub low: Perturbation,
    /// Upper end: 97.5th percentile.
    pub high: Perturbation,
    /// Number of images.
    pub images: usize,
    /// Number of censored images.
    pub censored: usize,
}

/// Fraction of images whose smallest perturbation is larger than a size (Kaplan and Meier 1958). An
/// image censored at some size counts as at risk up to that size and then leaves the sample. If no
/// image is censored below the largest perturbation found, these are plain fractions.
#[derive(Clone, Debug, PartialEq)]
pub struct Survival {
    /// Increasing sizes at which images fall, and the fraction that survives beyond each.
    steps: Vec<(f64, f64)>,
    /// The largest size found or withstood.
    end: f64,
}

impl Survival {
    /// Estimates the survival function of these perturbations.
    ///
    /// # Errors
    /// Returns [`Error::NoImages`] if there are no perturbations.
    pub fn of(perturbations: &[Perturbation]) -> Result<Self> {
        if perturbations.is_empty() {
            return Err(Error::NoImages);
        }
        let mut sorted = perturbations.to_vec();
        // At equal sizes, events precede censoring: a censored image withstood that size.
        sorted.sort_by(|a, b| {
            a.size().total_cmp(&b.size()).then(a.found().is_none().cmp(&b.found().is_none()))
        });
        let (mut steps, mut share, mut index): (Vec<(f64, f64)>, f64, usize) = (Vec::new(), 1.0, 0);
        while index < sorted.len() {
            let (size, at_risk) = (sorted[index].size(), sorted.len() - index);
            let here = sorted[index..].iter().take_while(|other| other.size() == size).count();
            let fallen =
                sorted[index..index + here].iter().filter(|other| other.found().is_some()).count();
            if fallen > 0 {
                // Computed so that without censoring it equals the remaining fraction exactly.
                share *= (at_risk - fallen) as f64 / at_risk as f64;
                steps.push((size, share));
            }
            index += here;
        }
        Ok(Self { steps, end: sorted.last().map_or(0.0, |last| last.size()) })
    }

    /// Fraction of images that withstand every perturbation of at most this size.
    pub fn beyond(&self, size: f64) -> f64 {
        self.steps.iter().take_while(|step| step.0 <= size).last().map_or(1.0, |step| step.1)
    }

    /// The size that half of the images withstand; if exactly half do over an interval, its middle,
    /// as usual for a median. Censored if more than half withstand everything.
    pub fn median(&self) -> Perturbation {
        const HALF: f64 = 0.5;
        // Products of fractions carry rounding errors.
        let near = |share: f64| (share - HALF).abs() < 1e-9;
        let Some(index) = self.steps.iter().position(|step| step.1 <= HALF || near(step.1)) else {
            return Perturbation::Censored(self.end);
        };
        match self.steps.get(index + 1) {
            Some(next) if near(self.steps[index].1) => {
                Perturbation::Found(0.5 * (self.steps[index].0 + next.0))
            }
            None if near(self.steps[index].1) => Perturbation::Censored(self.end),
            _ => Perturbation::Found(self.steps[index].0),
        }
    }
}

/// The median smallest perturbation ([`Survival::median`]) with a bootstrap interval over images.
///
/// # Errors
/// Returns [`Error::NoImages`] if there are no perturbations: no image was given, or the model
/// misclassifies all of them.
pub fn median(perturbations: &[Perturbation], resamples: usize, seed: u64) -> Result<Median> {
    let value = Survival::of(perturbations)?.median();
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    let count = perturbations.len();
    let mut medians: Vec<Perturbation> = (0..resamples)
        .map(|_| {
            let drawn: Vec<Perturbation> =
                (0..count).map(|_| perturbations[generator.random_range(0..count)]).collect();
            Ok(Survival::of(&drawn)?.median())
        })
        .collect::<Result<_>>()?;
    // Censored medians are larger than all found ones.
    medians.sort_by(|a, b| {
        a.found().is_none().cmp(&b.found().is_none()).then(a.size().total_cmp(&b.size()))
    });
    let at = |quantile: f64| match medians.len() {
        0 => value,
        count => medians[((count - 1) as f64 * quantile).round() as usize],
    };
    let censored =
        perturbations.iter().filter(|perturbation| perturbation.found().is_none()).count();
    Ok(Median { value, low: at(0.025), high: at(0.975), images: count, censored })
}

#[cfg(test)]
mod tests {
    use super::*;
    use Perturbation::{Censored, Found};

    #[test]
    fn without_censoring_it_is_the_plain_median() {
        let of = |values: &[Perturbation]| median(values, 0, 0).unwrap().value;
        assert_eq!(of(&[Found(3.0), Found(1.0), Found(2.0)]), Found(2.0));
        assert_eq!(of(&[Found(3.0), Found(1.0), Found(2.0), Found(2.5)]), Found(2.25));
        assert_eq!(of(&[Found(1.0), Found(1.0), Found(1.0), Found(4.0)]), Found(1.0));
        assert!(matches!(median(&[], 10, 0), Err(Error::NoImages)));
    }

    #[test]
    fn images_censored_beyond_the_others_count_as_larger() {
        let of = |values: &[Perturbation]| median(values, 0, 0).unwrap().value;
        assert_eq!(of(&[Censored(5.0), Found(1.0), Found(2.0)]), Found(2.0));
        assert_eq!(of(&[Censored(5.0), Found(1.0), Censored(5.0)]), Censored(5.0));
        assert_eq!(of(&[Censored(5.0), Found(1.0)]), Censored(5.0));
    }

    /// Textbook case: images censored early leave the sample at risk.
    #[test]
    fn shares_are_those_of_kaplan_and_meier() {
        let values = [Found(1.0), Censored(1.0), Found(2.0), Censored(3.0), Found(4.0), Found(5.0)];
        let survival = Survival::of(&values).unwrap();
        for (size, share) in [
            (0.5, 1.0),
            (1.0, 5.0 / 6.0),
            (2.0, 5.0 / 6.0 * 0.75),
            (3.9, 0.625),
            (4.0, 0.3125),
            (9.0, 0.0),
        ] {
            assert!((survival.beyond(size) - share).abs() < 1e-12, "{size}");
        }
        assert_eq!(survival.median(), Found(4.0));
    }

    #[test]
    fn intervals_hold_the_median_and_repeat() {
        let values: Vec<Perturbation> = (1..=200).map(|size| Found(f64::from(size))).collect();
        let first = median(&values, 1000, 5).unwrap();
        assert_eq!(first, median(&values, 1000, 5).unwrap());
        assert_eq!(first.value, Found(100.5));
        let (low, high) = (first.low.found().unwrap(), first.high.found().unwrap());
        // Standard error of the median of a uniform: range / (2 sqrt(n)) = 7.07.
        assert!(
            (low - (100.5 - 1.96 * 7.07)).abs() < 4.0 && (high - (100.5 + 1.96 * 7.07)).abs() < 4.0,
            "{low} {high}"
        );
        let mut mixed = values[..104].to_vec();
        mixed.extend([Censored(150.0); 96]);
        let mixed = median(&mixed, 1000, 5).unwrap();
        assert_eq!((mixed.value, mixed.high, mixed.censored), (Found(100.5), Censored(150.0), 96));
    }
}
