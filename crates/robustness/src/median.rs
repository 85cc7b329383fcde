//! Medians of which some values are only known to be large.

use crate::{Error, Perturbation, Result};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A median and its bootstrap interval of 95%. Each is censored where too many images are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Median {
    /// The median.
    pub value: Perturbation,
    /// Lower end, the 2.5th percentile over resampled sets of images.
    pub low: Perturbation,
    /// Upper end, the 97.5th percentile.
    pub high: Perturbation,
    /// Images it was taken over.
    pub images: usize,
    /// Those of them that were censored.
    pub censored: usize,
}

/// Median over images. Censored ones count as larger than all that were found, which is all that is known of them and
/// all that a median needs; it is itself censored once half of the images are.
///
/// # Errors
/// No images.
pub fn median(perturbations: &[Perturbation], resamples: usize, seed: u64) -> Result<Median> {
    let sorted = sort(perturbations.to_vec());
    let Some(value) = middle(&sorted) else { return Err(Error::NoImages) };
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    let medians = (0..resamples)
        .map(|_| {
            let drawn = (0..sorted.len()).map(|_| sorted[generator.random_range(0..sorted.len())]).collect();
            middle(&sort(drawn)).expect("as many images as given")
        })
        .collect();
    let medians = sort(medians);
    let at = |quantile: f64| match medians.len() {
        0 => value,
        count => medians[((count - 1) as f64 * quantile).round() as usize],
    };
    let censored = perturbations.iter().filter(|perturbation| perturbation.found().is_none()).count();
    Ok(Median { value, low: at(0.025), high: at(0.975), images: sorted.len(), censored })
}

/// Found ones by size, then censored ones by the size that they withstood: the order of the variants.
fn sort(mut perturbations: Vec<Perturbation>) -> Vec<Perturbation> {
    perturbations.sort_by(|a, b| a.partial_cmp(b).expect("sizes are numbers"));
    perturbations
}

fn middle(sorted: &[Perturbation]) -> Option<Perturbation> {
    let upper = *sorted.get(sorted.len() / 2)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    Some(match (sorted[sorted.len() / 2 - 1], upper) {
        (Perturbation::Found(a), Perturbation::Found(b)) => Perturbation::Found(0.5 * (a + b)),
        (_, censored) => censored,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use Perturbation::{Censored, Found};

    #[test]
    fn censored_images_are_larger_than_all_others() {
        let of = |values: &[Perturbation]| median(values, 0, 0).unwrap().value;
        assert_eq!(of(&[Found(3.0), Found(1.0), Found(2.0)]), Found(2.0));
        assert_eq!(of(&[Found(3.0), Found(1.0)]), Found(2.0));
        assert_eq!(of(&[Censored(0.5), Found(1.0), Found(2.0)]), Found(2.0));
        assert_eq!(of(&[Censored(5.0), Found(1.0), Censored(5.0)]), Censored(5.0));
        assert_eq!(of(&[Censored(5.0), Found(1.0)]), Censored(5.0));
        assert!(matches!(median(&[], 10, 0), Err(Error::NoImages)));
    }

    #[test]
    fn intervals_hold_the_median_and_repeat() {
        let values: Vec<Perturbation> = (1..=200).map(|size| Found(f64::from(size))).collect();
        let first = median(&values, 1000, 5).unwrap();
        assert_eq!(first, median(&values, 1000, 5).unwrap());
        let (low, high) = (first.low.found().unwrap(), first.high.found().unwrap());
        // The median's standard error is about 1.253 * 57.7 / sqrt(200) for a normal, 200 / (2 sqrt(200)) = 7.07 here.
        assert!((low - (100.5 - 1.96 * 7.07)).abs() < 4.0 && (high - (100.5 + 1.96 * 7.07)).abs() < 4.0, "{low} {high}");
        let mut mixed = values[..104].to_vec();
        mixed.extend([Censored(150.0); 96]);
        let mixed = median(&mixed, 1000, 5).unwrap();
        assert_eq!((mixed.value, mixed.high, mixed.censored), (Found(100.5), Censored(150.0), 96));
    }
}
