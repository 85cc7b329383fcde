//! Random signs: the weakest black-box attack.

use crate::{Attack, AttackKind, Batch, Norm, Result};

/// Random corners of the Linf ball.
pub(super) struct RandomSigns {
    pub(super) draws: usize,
}

impl Attack for RandomSigns {
    fn name(&self) -> String {
        "random-signs".into()
    }

    fn norm(&self) -> Norm {
        Norm::Linf
    }

    fn kind(&self) -> AttackKind {
        AttackKind::FixedEpsilon
    }

    fn run(&self, batch: &mut Batch) -> Result<()> {
        let mut standing = batch.all();
        for draw in 0..self.draws {
            let points: Vec<Vec<f32>> = standing
                .iter()
                .map(|image| {
                    let signs = Norm::Linf
                        .random_direction(batch.area(), &mut batch.generator(*image, draw as u64));
                    batch.moved(*image, batch.original(*image), &signs, batch.epsilon(*image))
                })
                .collect();
            let adversarial = batch.are_adversarial(&standing, &points.concat())?;
            let mut left = Vec::new();
            for ((image, point), adversarial) in standing.into_iter().zip(points).zip(adversarial) {
                batch.set_candidate(image, &point);
                if !adversarial {
                    left.push(image);
                }
            }
            standing = left;
            if standing.is_empty() {
                break;
            }
        }
        Ok(())
    }
}
