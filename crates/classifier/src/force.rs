//! The strength of a target. The same alpha is not equally strong for all targets: the similarity
//! loss of a network with zero similarities is the mean of arctanh(target)^2, which differs a
//! hundredfold between targets.

use crate::{Error, Result, Target, TrainConfig};

impl Target {
    /// Mean of arctanh(target)^2 over all pairs, with targets clamped to `limit`: the similarity
    /// loss of a network whose similarities are all 0. `None` without a target.
    pub fn mean_square(&self, limit: f64) -> Option<f64> {
        let (_, source) = self.pairs()?;
        // Same precision as for drawn pairs.
        let limit = limit as f32;
        let square = |number| f64::from(source.pair(number).2.clamp(-limit, limit)).atanh().powi(2);
        Some((0..source.count()).map(square).sum::<f64>() / source.count() as f64)
    }
}

impl TrainConfig {
    /// The force of a target: alpha times `loss_scale` times [`Target::mean_square`], in nats like
    /// the cross-entropy to which it is added. `None` without a target.
    pub fn force(&self, target: &Target) -> Option<f64> {
        Some(self.alpha * self.loss_scale * target.mean_square(self.target_limit)?)
    }

    /// Sets alpha so that `target` has this force, which makes targets of different spread equally
    /// strong.
    ///
    /// # Errors
    /// Returns [`Error::Setting`] if the force is negative or not finite, and [`Error::Size`] if
    /// there is no target or if it is 0 for every pair, so that no alpha gives it a force.
    pub fn with_force(self, force: f64, target: &Target) -> Result<Self> {
        if !(force >= 0.0 && force.is_finite()) {
            return Err(Error::Setting {
                setting: "force",
                expected: "a number of at least 0",
                found: force.to_string(),
            });
        }
        let one = Self { alpha: 1.0, ..self };
        match one.force(target) {
            Some(of_one) if of_one > 0.0 => Ok(Self { alpha: force / of_one, ..one }),
            found => Err(Error::Size {
                what: "target of a force",
                expected: "similarities that are not all 0".into(),
                found: found.map_or("none", |_| "0 for every pair").into(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SampledPairs;
    use brainprior_images::{ImageId, StimulusSet};
    use brainprior_similarity::SimilarityMatrix;
    use std::sync::Arc;

    fn stimuli() -> (StimulusSet, Vec<ImageId>) {
        let stimuli = StimulusSet::new(1, 2, vec![0.0, 0.1, 0.2, 0.3, 0.4, 0.5]).unwrap();
        let ids = stimuli.ids().to_vec();
        (stimuli, ids)
    }

    fn target(similarities: [f32; 3]) -> Target {
        let (stimuli, ids) = stimuli();
        Target::Similarity {
            stimuli,
            matrix: SimilarityMatrix::new(ids, similarities.to_vec(), vec![]).unwrap(),
        }
    }

    /// arctanh from its definition, in f64.
    fn naive(similarities: &[f64]) -> f64 {
        let arctanh = |s: &f64| 0.5 * ((1.0 + s) / (1.0 - s)).ln();
        similarities.iter().map(|s| arctanh(s).powi(2)).sum::<f64>() / similarities.len() as f64
    }

    #[test]
    fn the_force_is_alpha_times_the_mean_square_of_arctanh() {
        let config = TrainConfig {
            alpha: 20.0,
            loss_scale: 4.0,
            target_limit: 0.5,
            ..TrainConfig::default()
        };
        let expected = 80.0 * naive(&[0.25, -0.125, 0.5]);
        assert!((config.force(&target([0.25, -0.125, 0.9])).unwrap() - expected).abs() < 1e-9);
        assert_eq!(config.force(&Target::None), None);
        let (stimuli, ids) = stimuli();
        let pairs = SampledPairs::new(ids, vec![(0, 1, 0.25), (0, 2, -0.125), (1, 2, 0.5)], vec![])
            .unwrap();
        let sampled = Target::Pairs { stimuli, source: Arc::new(pairs) };
        assert!((config.force(&sampled).unwrap() - expected).abs() < 1e-9);
    }

    #[test]
    fn targets_of_any_spread_are_brought_to_one_force() {
        for spread in [0.5, 0.0625] {
            let target = target([spread, -spread, 0.5 * spread]);
            let config = TrainConfig::default().with_force(2.0, &target).unwrap();
            assert!((config.force(&target).unwrap() - 2.0).abs() < 1e-9);
            assert_eq!(config, TrainConfig { alpha: config.alpha, ..TrainConfig::default() });
        }
        assert_eq!(TrainConfig::default().with_force(0.0, &target([0.5; 3])).unwrap().alpha, 0.0);
    }

    #[test]
    fn a_force_that_no_alpha_has_is_refused() {
        let error = |force: f64, target: &Target| {
            TrainConfig::default().with_force(force, target).unwrap_err().to_string()
        };
        assert!(error(1.0, &target([0.0; 3])).contains("found 0 for every pair"));
        assert!(error(1.0, &Target::None).contains("found none"));
        assert!(
            error(-1.0, &target([0.5; 3]))
                .starts_with("force: expected a number of at least 0, found -1")
        );
    }
}
