//! AutoAttack.

use super::{Apgd, ApgdTargeted, FabTargeted, Square};
use crate::{Attack, AttackKind, Batch, Norm, Result};

/// The standard ensemble of Croce and Hein (2020) in its order: Auto-PGD on cross-entropy, Auto-PGD
/// towards 9 classes, FAB towards 9 classes, and Square with 5,000 queries, each on the images that
/// withstood the earlier ones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AutoAttack {
    norm: Norm,
}

impl AutoAttack {
    /// Makes the ensemble for this norm.
    pub fn new(norm: Norm) -> Self {
        Self { norm }
    }
}

impl Attack for AutoAttack {
    fn name(&self) -> String {
        "autoattack".into()
    }

    fn norm(&self) -> Norm {
        self.norm
    }

    fn kind(&self) -> AttackKind {
        AttackKind::FixedEpsilon
    }

    fn run(&self, batch: &mut Batch) -> Result<()> {
        let square = Square::new(self.norm).unstretched();
        let members: [&dyn Attack; 4] = [
            &Apgd::new(self.norm),
            &ApgdTargeted::new(self.norm),
            &FabTargeted::new(self.norm),
            &square,
        ];
        let mut standing = batch.all();
        for member in members {
            let results = batch.nested(&standing, |inner| member.run(inner))?;
            standing = keep_fallen(batch, self.norm, standing, results)?;
        }
        Ok(())
    }
}

/// Keeps results that are adversarial within epsilon as candidates; returns the images that
/// withstand.
pub(super) fn keep_fallen(
    batch: &mut Batch,
    norm: Norm,
    images: Vec<usize>,
    results: Vec<Option<Vec<f32>>>,
) -> Result<Vec<usize>> {
    let (mut tried, mut points, mut standing) = (Vec::new(), Vec::new(), Vec::new());
    for (image, result) in images.into_iter().zip(results) {
        let Some(mut pixels) = result else {
            standing.push(image);
            continue;
        };
        norm.project(batch.original(image), &mut pixels, batch.epsilon(image));
        tried.push(image);
        points.push(pixels);
    }
    for ((image, pixels), fallen) in
        tried.iter().zip(&points).zip(batch.are_adversarial(&tried, &points.concat())?)
    {
        if fallen || batch.candidate(*image).is_none() {
            batch.set_candidate(*image, pixels);
        }
        if !fallen {
            standing.push(*image);
        }
    }
    standing.sort_unstable();
    Ok(standing)
}
