//! The order of presentations.

use super::SimulationConfig;
use crate::Tier;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// Image and tier of each trial, in order of presentation.
pub(super) struct Design {
    pub(super) trial_image: Vec<usize>,
    pub(super) tiers: Vec<Tier>,
}

impl Design {
    /// Images 0 to `single` are shown once, in tier train or validation. The `oracle` images that
    /// follow are shown `repeats` times in tier test. All trials are shuffled together.
    pub(super) fn draw(
        single: usize,
        oracle: usize,
        config: &SimulationConfig,
        rng: &mut ChaCha8Rng,
    ) -> Self {
        let validation = (config.validation_fraction * single as f64).round() as usize;
        let mut tiers: Vec<Tier> = (0..single)
            .map(|image| if image < validation { Tier::Validation } else { Tier::Train })
            .collect();
        tiers.shuffle(rng);
        let shown_once = tiers.into_iter().enumerate();
        let repeated = (single..single + oracle)
            .flat_map(|image| std::iter::repeat_n((image, Tier::Test), config.repeats));
        let mut trials: Vec<(usize, Tier)> = shown_once.chain(repeated).collect();
        trials.shuffle(rng);
        let (trial_image, tiers) = trials.into_iter().unzip();
        Self { trial_image, tiers }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn every_image_is_shown_as_often_as_asked() {
        let config =
            SimulationConfig { repeats: 4, validation_fraction: 0.2, ..Default::default() };
        let design = Design::draw(50, 10, &config, &mut ChaCha8Rng::seed_from_u64(2));
        assert_eq!(design.trial_image.len(), 90);
        for image in 0..60 {
            let tiers: Vec<Tier> = (0..90)
                .filter(|t| design.trial_image[*t] == image)
                .map(|t| design.tiers[t])
                .collect();
            assert_eq!(tiers.len(), if image < 50 { 1 } else { 4 });
            assert!(tiers.iter().all(|tier| (*tier == Tier::Test) == (image >= 50)));
        }
        assert_eq!(design.tiers.iter().filter(|tier| **tier == Tier::Validation).count(), 10);
        assert!(!design.trial_image.is_sorted());
    }
}
