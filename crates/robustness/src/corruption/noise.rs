//! Noise corruptions.

use super::plane::Plane;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Poisson, StandardNormal};

pub(super) fn gaussian(planes: Vec<Plane>, level: usize, generator: &mut ChaCha8Rng) -> Vec<Plane> {
    let sigma = [0.04, 0.06, 0.08, 0.09, 0.10][level];
    each(planes, |value| value + sigma * generator.sample::<f32, _>(StandardNormal))
}

pub(super) fn speckle(planes: Vec<Plane>, level: usize, generator: &mut ChaCha8Rng) -> Vec<Plane> {
    let sigma = [0.06, 0.1, 0.12, 0.16, 0.2][level];
    each(planes, |value| value + value * sigma * generator.sample::<f32, _>(StandardNormal))
}

pub(super) fn shot(planes: Vec<Plane>, level: usize, generator: &mut ChaCha8Rng) -> Vec<Plane> {
    let photons = [500.0f32, 250.0, 100.0, 75.0, 50.0][level];
    each(planes, |value| match Poisson::new(value * photons) {
        Ok(poisson) => poisson.sample(generator) / photons,
        // A black pixel receives no photons.
        Err(_) => 0.0,
    })
}

pub(super) fn impulse(planes: Vec<Plane>, level: usize, generator: &mut ChaCha8Rng) -> Vec<Plane> {
    let amount = [0.01, 0.02, 0.03, 0.05, 0.07][level];
    each(planes, |value| {
        let (drawn, white): (f32, bool) = (generator.random(), generator.random());
        if drawn < amount { f32::from(u8::from(white)) } else { value }
    })
}

fn each(planes: Vec<Plane>, mut value: impl FnMut(f32) -> f32) -> Vec<Plane> {
    planes.into_iter().map(|plane| plane.map(&mut value)).collect()
}
