//! Scenes of objects that occlude each other.

use super::canvas::Canvas;
use super::texture::Texture;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use std::f32::consts::TAU;

/// A surface: an even tone, shading along one direction, and texture.
pub(super) struct Surface<'a> {
    tone: f32,
    shading: [f32; 2],
    texture: &'a Texture,
    /// Rotates and scales pixels to texture samples.
    grain: [f32; 2],
    origin: [f32; 2],
    roughness: f32,
}

impl<'a> Surface<'a> {
    /// A random surface seen across `size` pixels; shading changes the tone by about `shading` over
    /// that distance.
    pub(super) fn draw(
        tone: f32,
        shading: f32,
        roughness: f32,
        size: f32,
        texture: &'a Texture,
        rng: &mut ChaCha8Rng,
    ) -> Self {
        let slope = shading * normal(rng) / size;
        let (direction, turn) = (rng.random_range(0.0..TAU), rng.random_range(0.0..TAU));
        // Texture samples per pixel, from coarse to fine grain.
        let zoom = log_uniform(0.6, 4.0, rng);
        Self {
            tone,
            shading: [slope * direction.cos(), slope * direction.sin()],
            texture,
            grain: [zoom * turn.cos(), zoom * turn.sin()],
            origin: [rng.random_range(0.0..256.0), rng.random_range(0.0..256.0)],
            roughness,
        }
    }

    /// Luminance at an offset in pixels from the center.
    pub(super) fn at(&self, dx: f32, dy: f32) -> f32 {
        let [cos, sin] = self.grain;
        let texture = self
            .texture
            .at(self.origin[0] + cos * dx - sin * dy, self.origin[1] + sin * dx + cos * dy);
        self.tone + self.shading[0] * dx + self.shading[1] * dy + self.roughness * texture
    }
}

/// Parameters of the leaves of a scene.
pub(super) struct Litter {
    /// Smallest and largest radius in pixels. Radii follow r^-3, so that every octave covers the
    /// same area.
    pub(super) radii: [f32; 2],
    /// Total area of all leaves relative to the scene.
    pub(super) coverage: f32,
    /// Standard deviation of a leaf's texture, relative to that of the tones.
    pub(super) roughness: f32,
}

impl Litter {
    /// Covers a scene with one surface, then draws leaves on top of each other.
    pub(super) fn scatter(&self, canvas: &mut Canvas, texture: &Texture, rng: &mut ChaCha8Rng) {
        let (height, width) = (canvas.height(), canvas.width());
        let ground = Surface::draw(normal(rng), 1.0, 1.5 * self.roughness, height, texture, rng);
        canvas
            .cover(width / 2.0, height / 2.0, width.max(height), |dx, dy| Some(ground.at(dx, dy)));
        let mut left = self.coverage * height * width;
        while left > 0.0 {
            let [smallest, largest] = self.radii.map(|radius| radius.powi(-2));
            let radius = (smallest + rng.random::<f32>() * (largest - smallest)).powf(-0.5);
            let x = rng.random_range(-radius..width + radius);
            let y = rng.random_range(-radius..height + radius);
            left -= self.leaf(canvas, [x, y], radius, texture, rng);
        }
    }

    /// Draws one leaf with random outline, rotation and surface; returns its area.
    pub(super) fn leaf(
        &self,
        canvas: &mut Canvas,
        [x, y]: [f32; 2],
        radius: f32,
        texture: &Texture,
        rng: &mut ChaCha8Rng,
    ) -> f32 {
        let aspect = log_uniform(0.12, 1.0, rng);
        let (long, short) = (radius / aspect.sqrt(), radius * aspect.sqrt());
        let turn: f32 = rng.random_range(0.0..TAU);
        let (cos, sin) = (turn.cos(), turn.sin());
        let outline = rng.random_range(0..3);
        let surface = Surface::draw(
            normal(rng),
            0.7,
            self.roughness * rng.random_range(0.3..1.7),
            2.0 * radius,
            texture,
            rng,
        );
        canvas.cover(x, y, 1.42 * long, |dx, dy| {
            let (u, v) = ((cos * dx + sin * dy) / long, (cos * dy - sin * dx) / short);
            let inside = match outline {
                0 => u * u + v * v <= 1.0,
                // Between an ellipse and a rectangle.
                1 => u * u * u * u + v * v * v * v <= 1.0,
                _ => u.abs().max(v.abs()) <= 1.0,
            };
            inside.then(|| surface.at(dx, dy))
        });
        4.0 * long * short
    }
}

pub(super) fn normal(rng: &mut ChaCha8Rng) -> f32 {
    rng.sample(StandardNormal)
}

/// Draws a value uniformly on a logarithmic scale.
pub(super) fn log_uniform(from: f32, to: f32, rng: &mut ChaCha8Rng) -> f32 {
    from * (to / from).powf(rng.random())
}
