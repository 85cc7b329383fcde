//! Outlines of ten kinds of objects.
//!
//! Outline coordinates are scaled so that the object roughly fits the unit circle, with x to the
//! right and y down. The proportions are drawn for every image, so a class is a family of shapes
//! rather than a template.

use super::scene::log_uniform;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::f32::consts::PI;

/// Names of the classes, by label.
pub(super) const NAMES: [&str; 10] = [
    "leaf",
    "fish",
    "bird",
    "tree",
    "flower",
    "starfish",
    "mushroom",
    "bottle",
    "mug",
    "butterfly",
];

/// The area that a part covers.
enum Area {
    /// Rotated by an angle.
    Ellipse { center: [f32; 2], radii: [f32; 2], turn: f32 },
    /// A lens with pointed ends at `-length` and `length` on the x axis; bent by `bend`.
    Lens { length: f32, width: f32, bend: f32 },
    /// The convex hull of two circles.
    Limb { from: [f32; 2], to: [f32; 2], radii: [f32; 2] },
    /// Any simple polygon.
    Polygon(Vec<[f32; 2]>),
    /// The area between two circles.
    Ring { center: [f32; 2], inner: f32, outer: f32 },
    /// Lobes around a center: the radius oscillates between two values, with sharper lobes for
    /// larger `sharpness`.
    Lobes { count: f32, inner: f32, outer: f32, sharpness: f32, phase: f32 },
}

/// A part: its area, and its tone relative to the whole object.
struct Part {
    area: Area,
    tone: f32,
}

/// The outline of an object: parts in the order in which they occlude each other.
pub(super) struct Silhouette(Vec<Part>);

impl Silhouette {
    /// Draws an object of class `label`.
    pub(super) fn draw(label: usize, rng: &mut ChaCha8Rng) -> Self {
        let parts = match label {
            0 => leaf(rng),
            1 => fish(rng),
            2 => bird(rng),
            3 => tree(rng),
            4 => flower(rng),
            5 => starfish(rng),
            6 => mushroom(rng),
            7 => bottle(rng),
            8 => mug(rng),
            9 => butterfly(rng),
            _ => unreachable!("there are ten classes"),
        };
        Self(parts)
    }

    /// The relative tone at a point, or `None` outside the object.
    pub(super) fn tone(&self, x: f32, y: f32) -> Option<f32> {
        self.0.iter().rev().find(|part| part.area.contains(x, y)).map(|part| part.tone)
    }

    /// Whether objects of the class may have any orientation.
    pub(super) fn any_turn(label: usize) -> bool {
        matches!(NAMES[label], "leaf" | "starfish" | "flower" | "butterfly")
    }
}

impl Area {
    fn contains(&self, x: f32, y: f32) -> bool {
        match self {
            Self::Ellipse { center, radii, turn } => {
                let (dx, dy) = (x - center[0], y - center[1]);
                let (sin, cos) = turn.sin_cos();
                let (u, v) = ((cos * dx + sin * dy) / radii[0], (cos * dy - sin * dx) / radii[1]);
                u * u + v * v <= 1.0
            }
            Self::Lens { length, width, bend } => {
                let along = 1.0 - (x / length).powi(2);
                along > 0.0 && (y - bend * along).abs() <= width * along
            }
            Self::Limb { from, to, radii } => {
                let (ax, ay) = (to[0] - from[0], to[1] - from[1]);
                let share = (((x - from[0]) * ax + (y - from[1]) * ay) / (ax * ax + ay * ay))
                    .clamp(0.0, 1.0);
                let (dx, dy) = (x - from[0] - share * ax, y - from[1] - share * ay);
                let radius = radii[0] + share * (radii[1] - radii[0]);
                dx * dx + dy * dy <= radius * radius
            }
            Self::Polygon(corners) => {
                // A ray to the right crosses the border an odd number of times.
                let mut inside = false;
                for (index, [x0, y0]) in corners.iter().enumerate() {
                    let [x1, y1] = corners[(index + 1) % corners.len()];
                    if (*y0 > y) != (y1 > y) && x < x0 + (y - y0) / (y1 - y0) * (x1 - x0) {
                        inside = !inside;
                    }
                }
                inside
            }
            Self::Ring { center, inner, outer } => {
                let distance = (x - center[0]).hypot(y - center[1]);
                (*inner..=*outer).contains(&distance)
            }
            Self::Lobes { count, inner, outer, sharpness, phase } => {
                let distance = x.hypot(y);
                let swing = (0.5 * count * (y.atan2(x) - phase)).cos().abs().powf(*sharpness);
                distance <= inner + (outer - inner) * swing
            }
        }
    }
}

fn part(area: Area) -> Part {
    Part { area, tone: 0.0 }
}

fn toned(area: Area, tone: f32) -> Part {
    Part { area, tone }
}

fn between(from: f32, to: f32, rng: &mut ChaCha8Rng) -> f32 {
    rng.random_range(from..to)
}

fn leaf(rng: &mut ChaCha8Rng) -> Vec<Part> {
    let (width, bend) = (between(0.28, 0.5, rng), between(-0.2, 0.2, rng));
    let rib = toned(Area::Lens { length: 0.85, width: 0.06, bend }, between(-0.6, 0.6, rng));
    let stalk =
        Area::Limb { from: [0.7, 0.0], to: [1.15, between(-0.2, 0.2, rng)], radii: [0.08, 0.07] };
    vec![part(stalk), part(Area::Lens { length: 0.9, width, bend }), rib]
}

fn fish(rng: &mut ChaCha8Rng) -> Vec<Part> {
    let (height, tail) = (between(0.26, 0.44, rng), between(0.28, 0.48, rng));
    let fork = between(0.7, 0.95, rng);
    let fin = between(0.1, 0.35, rng);
    vec![
        part(Area::Polygon(vec![[0.35, 0.0], [1.0, -tail], [fork, 0.0], [1.0, tail]])),
        part(Area::Polygon(vec![
            [-0.35, -0.5 * height],
            [0.1, -height - fin],
            [0.3, -0.4 * height],
        ])),
        part(Area::Ellipse { center: [-0.25, 0.0], radii: [0.72, height], turn: 0.0 }),
        toned(
            Area::Ellipse { center: [-0.68, -0.25 * height], radii: [0.09, 0.09], turn: 0.0 },
            between(-1.2, -0.5, rng),
        ),
    ]
}

fn bird(rng: &mut ChaCha8Rng) -> Vec<Part> {
    // In flight, wings up or down, seen from the side or from the front.
    let lift = between(0.3, 0.75, rng) * if rng.random_bool(0.7) { -1.0 } else { 1.0 };
    let lean = between(-0.15, 0.35, rng);
    let wing = |side: f32| {
        let elbow = [side * 0.45 + lean * 0.3, 0.65 * lift];
        let tip = [side * 0.98 + lean * 0.3, 0.45 * lift];
        [
            part(Area::Limb { from: [0.0, 0.0], to: elbow, radii: [0.2, 0.15] }),
            part(Area::Limb { from: elbow, to: tip, radii: [0.15, 0.04] }),
        ]
    };
    let mut parts: Vec<Part> = wing(-1.0).into_iter().chain(wing(1.0)).collect();
    parts.push(part(Area::Ellipse { center: [0.0, 0.08], radii: [0.34, 0.2], turn: 0.3 }));
    parts.push(part(Area::Ellipse { center: [-0.36, -0.02], radii: [0.14, 0.13], turn: 0.0 }));
    parts.push(part(Area::Polygon(vec![[0.2, 0.08], [0.7, 0.12], [0.62, 0.36]])));
    parts
}

fn tree(rng: &mut ChaCha8Rng) -> Vec<Part> {
    let trunk = between(0.07, 0.14, rng);
    let mut parts = vec![toned(
        Area::Limb {
            from: [0.0, 0.0],
            to: [between(-0.08, 0.08, rng), 0.98],
            radii: [0.7 * trunk, 1.2 * trunk],
        },
        between(-0.6, 0.2, rng),
    )];
    if rng.random_bool(0.4) {
        // A conifer: tiers that widen towards the bottom.
        let width = between(0.4, 0.62, rng);
        for tier in 0..3 {
            let (top, share) = (-1.0 + 0.42 * tier as f32, 0.55 + 0.225 * tier as f32);
            parts.push(part(Area::Polygon(vec![
                [0.0, top],
                [width * share, top + 0.75],
                [-width * share, top + 0.75],
            ])));
        }
    } else {
        let (width, height) = (between(0.42, 0.62, rng), between(0.38, 0.5, rng));
        parts.push(part(Area::Ellipse { center: [0.0, -0.42], radii: [width, height], turn: 0.0 }));
        for _ in 0..4 {
            let angle = between(0.0, 2.0 * PI, rng);
            let center = [0.8 * width * angle.cos(), -0.42 + 0.8 * height * angle.sin()];
            let radius = between(0.18, 0.28, rng);
            parts.push(part(Area::Ellipse { center, radii: [radius, radius], turn: 0.0 }));
        }
    }
    parts
}

fn flower(rng: &mut ChaCha8Rng) -> Vec<Part> {
    let count = rng.random_range(5..9) as f32;
    let petals = Area::Lobes {
        count,
        inner: between(0.3, 0.5, rng),
        outer: between(0.85, 1.0, rng),
        sharpness: between(0.4, 0.8, rng),
        phase: between(0.0, PI, rng),
    };
    let heart = between(0.2, 0.36, rng);
    let tone = between(0.6, 1.3, rng) * if rng.random_bool(0.5) { -1.0 } else { 1.0 };
    vec![
        part(petals),
        toned(Area::Ellipse { center: [0.0, 0.0], radii: [heart, heart], turn: 0.0 }, tone),
    ]
}

fn starfish(rng: &mut ChaCha8Rng) -> Vec<Part> {
    let star = Area::Lobes {
        count: 5.0,
        inner: between(0.2, 0.36, rng),
        outer: between(0.92, 1.05, rng),
        sharpness: between(1.8, 3.5, rng),
        phase: between(0.0, PI, rng),
    };
    vec![part(star)]
}

fn mushroom(rng: &mut ChaCha8Rng) -> Vec<Part> {
    let (width, height, stem) =
        (between(0.6, 0.95, rng), between(0.45, 0.9, rng), between(0.14, 0.28, rng));
    let brim = between(-0.15, 0.1, rng);
    let corners = 12;
    let cap = (0..=corners).map(|corner| {
        let angle = PI * corner as f32 / corners as f32;
        [width * angle.cos(), brim - height * angle.sin()]
    });
    vec![
        toned(
            Area::Limb {
                from: [0.0, brim],
                to: [between(-0.15, 0.15, rng), 0.8],
                radii: [stem, between(0.9, 1.4, rng) * stem],
            },
            between(-0.3, 0.7, rng),
        ),
        part(Area::Polygon(cap.collect())),
    ]
}

fn bottle(rng: &mut ChaCha8Rng) -> Vec<Part> {
    let (width, neck) = (between(0.26, 0.42, rng), between(0.08, 0.15, rng));
    let (shoulder, slope) = (between(-0.35, 0.05, rng), between(0.1, 0.4, rng));
    let outline = [[neck, -1.0], [neck, shoulder - slope], [width, shoulder], [width, 1.0]];
    let corners =
        outline.iter().copied().chain(outline.iter().rev().map(|[x, y]| [-x, *y])).collect();
    let label = vec![[-width, 0.25], [width, 0.25], [width, 0.7], [-width, 0.7]];
    let mut parts = vec![part(Area::Polygon(corners))];
    if rng.random_bool(0.5) {
        parts.push(toned(Area::Polygon(label), between(-0.9, 0.9, rng)));
    }
    parts
}

fn mug(rng: &mut ChaCha8Rng) -> Vec<Part> {
    let (width, foot) = (between(0.45, 0.62, rng), between(0.75, 1.05, rng));
    let height = between(0.5, 0.8, rng);
    let (outer, thickness) = (between(0.32, 0.45, rng), between(0.12, 0.18, rng));
    let shift = -0.2;
    let corners =
        [[-width, -height], [width, -height], [width * foot, height], [-width * foot, height]];
    vec![
        part(Area::Ring {
            center: [shift + width, between(-0.15, 0.1, rng)],
            inner: outer - thickness,
            outer,
        }),
        part(Area::Polygon(corners.iter().map(|[x, y]| [x + shift, *y]).collect())),
        toned(
            Area::Ellipse {
                center: [shift, -height],
                radii: [width, between(0.08, 0.2, rng)],
                turn: 0.0,
            },
            between(-0.8, -0.3, rng),
        ),
    ]
}

fn butterfly(rng: &mut ChaCha8Rng) -> Vec<Part> {
    let (upper, lower) = (between(0.4, 0.55, rng), between(0.3, 0.42, rng));
    let (spread, slim) = (between(0.35, 0.8, rng), log_uniform(0.5, 0.8, rng));
    let mut parts = Vec::new();
    for side in [-1.0, 1.0] {
        let turn = side * spread;
        // Wings attach to the body: their centers lie one radius out along their own direction.
        let wing = |radius: f32, angle: f32| {
            let direction = [side * angle.cos(), -angle.sin()];
            let center = direction.map(|along| along * (radius + 0.04));
            Area::Ellipse { center, radii: [radius, slim * radius], turn: -side * angle }
        };
        parts.push(part(wing(upper, turn.abs())));
        parts.push(part(wing(lower, -between(0.5, 0.9, rng))));
    }
    parts.push(toned(
        Area::Limb { from: [0.0, -0.45], to: [0.0, 0.5], radii: [0.07, 0.09] },
        between(-0.8, 0.2, rng),
    ));
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::procedural::stream;
    use std::f32::consts::FRAC_PI_2;

    #[test]
    fn areas_cover_what_they_should() {
        let square = Area::Polygon(vec![[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]]);
        assert!(square.contains(0.9, -0.9) && !square.contains(1.1, 0.0));
        let upright = Area::Ellipse { center: [1.0, 0.0], radii: [2.0, 0.5], turn: FRAC_PI_2 };
        assert!(upright.contains(1.0, 1.9) && !upright.contains(1.6, 0.0));
        let limb = Area::Limb { from: [0.0, 0.0], to: [2.0, 0.0], radii: [0.5, 0.1] };
        assert!(
            limb.contains(-0.4, 0.0)
                && limb.contains(1.0, 0.29)
                && !limb.contains(1.0, 0.31)
                && !limb.contains(2.2, 0.0)
        );
        let ring = Area::Ring { center: [0.0, 0.0], inner: 0.5, outer: 1.0 };
        assert!(ring.contains(0.7, 0.0) && !ring.contains(0.0, 0.0));
        let lens = Area::Lens { length: 1.0, width: 0.5, bend: 0.0 };
        assert!(lens.contains(0.0, 0.49) && !lens.contains(0.9, 0.2) && !lens.contains(1.1, 0.0));
        let star = Area::Lobes { count: 5.0, inner: 0.2, outer: 1.0, sharpness: 3.0, phase: 0.0 };
        assert!(star.contains(0.99, 0.0) && !star.contains(-0.5, 0.0));
    }

    /// Objects fill a fair part of their circle and stay roughly within it.
    #[test]
    fn sizes_are_comparable() {
        for label in 0..NAMES.len() {
            for index in 0..20 {
                let thing = Silhouette::draw(label, &mut stream(5, index));
                let (mut inside, mut beyond) = (0, 0);
                for row in -30..30 {
                    for column in -30..30 {
                        let (x, y) = (column as f32 / 20.0, row as f32 / 20.0);
                        if thing.tone(x, y).is_some() {
                            inside += 1;
                            beyond += usize::from(x.hypot(y) > 1.25);
                        }
                    }
                }
                let share = f64::from(inside) / (PI as f64 * 400.0);
                assert!(
                    (0.15..0.95).contains(&share) && beyond == 0,
                    "{}: covers {share}, {beyond} samples beyond",
                    NAMES[label]
                );
            }
        }
    }
}
