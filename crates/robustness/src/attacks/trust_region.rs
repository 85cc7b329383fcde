//! The Brendel-Bethge step: towards the image, along the linearized decision boundary, within a
//! trust region.

use super::plane::{Room, length, step_onto};
use crate::Norm;

/// The current point and the decision boundary near it.
pub(crate) struct Problem<'a> {
    /// The image.
    pub(crate) original: &'a [f32],
    /// The current point.
    pub(crate) point: &'a [f32],
    /// Gradient of the margin at the point.
    pub(crate) normal: &'a [f32],
    /// The required change of the margin.
    pub(crate) change: f64,
    /// Radius of the trust region: an L2 length, or for L1 and L0 the largest change of a value.
    pub(crate) radius: f64,
}

/// Bisections until an interval counts as a point.
const HALVINGS: usize = 24;

/// The step within [0, 1] and the trust region that changes the margin as required and minimizes
/// the distance to the image in this norm; if the decision boundary is out of reach, the step that
/// comes closest to it.
pub(crate) fn step(norm: Norm, problem: &Problem) -> Vec<f64> {
    let room = Room::unit(problem.point);
    if matches!(norm, Norm::L1 | Norm::L0) {
        return home_but_for_some(norm, problem, &room);
    }
    let (straight, reached) = step_onto(Norm::L2, problem.normal, problem.change, &room);
    if !reached || length(&straight) > problem.radius {
        return towards(&straight, problem, &room);
    }
    match norm {
        Norm::Linf => nearest_linf(problem, &room).unwrap_or(straight),
        _ => nearest_l2(problem, &room).unwrap_or(straight),
    }
}

/// In L1 and L0, every value first returns to the image as far as the trust region allows, and then
/// some move away again until the margin has changed enough: in L1 in order of the change per unit
/// distance, in L0 in order of the total change. A value that cannot return costs L0 nothing extra,
/// so it moves as far as it can in the direction of the margin. These steps solve a linear program
/// (L1) and a minimum cardinality problem (L0); a larger change than required does no harm.
fn home_but_for_some(norm: Norm, problem: &Problem, room: &Room) -> Vec<f64> {
    let rate = |index: usize| f64::from(problem.normal[index]);
    let down = |index: usize| room.down[index].max(-problem.radius);
    let up = |index: usize| room.up[index].min(problem.radius);
    let away = |index: usize| if rate(index) > 0.0 { up(index) } else { down(index) };
    let home = |index: usize| f64::from(problem.original[index]) - f64::from(problem.point[index]);
    let gets_home = |index: usize| (down(index)..=up(index)).contains(&home(index));
    let mut step: Vec<f64> = (0..problem.normal.len())
        .map(|index| match norm {
            Norm::L0 if !gets_home(index) => away(index),
            _ => home(index).clamp(down(index), up(index)),
        })
        .collect();
    let mut missing = problem.change
        - step.iter().enumerate().map(|(index, step)| rate(index) * step).sum::<f64>();
    let gain = |index: usize, from: f64| rate(index) * (away(index) - from);
    let worth = |index: usize, from: f64| {
        if norm == Norm::L0 { gain(index, from) } else { rate(index).abs() }
    };
    let mut order: Vec<usize> =
        (0..step.len()).filter(|index| gain(*index, step[*index]) > 0.0).collect();
    order.sort_by(|a, b| worth(*b, step[*b]).total_cmp(&worth(*a, step[*a])));
    for index in order {
        if missing <= 0.0 {
            break;
        }
        let whole = gain(index, step[index]);
        // In L0 a changed value costs the same however far it moves.
        if norm == Norm::L1 && whole > missing {
            step[index] += missing / rate(index);
        } else {
            step[index] = away(index);
        }
        missing -= whole;
    }
    step
}

/// Moves as far towards the decision boundary as the radius allows. Straight steps of different
/// lengths are clip(t normal), so a shorter one is the step for a smaller change.
fn towards(straight: &[f64], problem: &Problem, room: &Room) -> Vec<f64> {
    if length(straight) <= problem.radius {
        return straight.to_vec();
    }
    let (mut low, mut high) = (0.0, 1.0);
    let mut best = vec![0.0; straight.len()];
    for _ in 0..HALVINGS {
        let middle = 0.5 * (low + high);
        let (step, _) = step_onto(Norm::L2, problem.normal, middle * problem.change, room);
        if length(&step) <= problem.radius {
            (low, best) = (middle, step);
        } else {
            high = middle;
        }
    }
    best
}

/// The minimizer of |home - d|^2 on the plane, within room and radius, is d = clip(s home + l
/// normal), where home leads to the image; s is 1 if the radius does not bind and otherwise
/// decreases until it holds.
fn nearest_l2(problem: &Problem, room: &Room) -> Option<Vec<f64>> {
    let home: Vec<f64> = problem
        .original
        .iter()
        .zip(problem.point)
        .map(|(a, b)| f64::from(*a) - f64::from(*b))
        .collect();
    let at = |share: f64| {
        let base: Vec<f64> = home.iter().map(|value| share * value).collect();
        onto(&base, problem.normal, problem.change, room)
    };
    let whole = at(1.0)?;
    if length(&whole) <= problem.radius {
        return Some(whole);
    }
    let (mut low, mut high, mut best) = (0.0, 1.0, None);
    for _ in 0..HALVINGS {
        let middle = 0.5 * (low + high);
        match at(middle) {
            Some(step) if length(&step) <= problem.radius => {
                (low, best) = (middle, Some(step));
                if high - low < 1e-4 * low {
                    break;
                }
            }
            _ => high = middle,
        }
    }
    best
}

/// The smallest cube around the image within which the plane can be reached inside the radius.
fn nearest_linf(problem: &Problem, room: &Room) -> Option<Vec<f64>> {
    let inside = |size: f64| {
        let bound = |index: usize, side: f64| {
            f64::from(problem.original[index]) + side * size - f64::from(problem.point[index])
        };
        let cube = Room {
            down: (0..room.down.len())
                .map(|index| room.down[index].max(bound(index, -1.0)))
                .collect(),
            up: (0..room.up.len()).map(|index| room.up[index].min(bound(index, 1.0))).collect(),
        };
        // The shortest such step, so that the radius holds if it can.
        onto(&vec![0.0; room.up.len()], problem.normal, problem.change, &cube)
            .filter(|step| length(step) <= problem.radius)
    };
    let mut high = Norm::Linf.distance(problem.original, problem.point).max(1e-6);
    let mut best = inside(high);
    while best.is_none() && high < 1.0 {
        high = (2.0 * high).min(1.0);
        best = inside(high);
    }
    best.as_ref()?;
    let mut low = 0.0;
    while high - low > 5e-4 * high {
        let middle = 0.5 * (low + high);
        match inside(middle) {
            Some(step) => (high, best) = (middle, Some(step)),
            None => low = middle,
        }
    }
    best
}

/// Returns clip(base + l normal) for the l at which the linear function changes as required, or
/// `None` if there is no such l. The change increases with l, so Newton's method is safeguarded by
/// the bounds known so far.
fn onto(base: &[f64], normal: &[f32], change: f64, room: &Room) -> Option<Vec<f64>> {
    let evaluate = |l: f64| {
        let (mut changed, mut slope) = (0.0, 0.0);
        for index in 0..base.len() {
            let rate = f64::from(normal[index]);
            let free = base[index] + l * rate;
            let clipped = free.max(room.down[index]).min(room.up[index]);
            changed += rate * clipped;
            if free == clipped {
                slope += rate * rate;
            }
        }
        (changed, slope)
    };
    let most = |sign: f64| {
        let end =
            |i: usize| if sign * f64::from(normal[i]) > 0.0 { room.up[i] } else { room.down[i] };
        (0..base.len()).map(|i| f64::from(normal[i]) * end(i)).sum::<f64>()
    };
    if change > most(1.0) || change < most(-1.0) {
        return None;
    }
    let scale: f64 = normal.iter().map(|value| f64::from(*value).powi(2)).sum();
    let close = 1e-9 * change.abs().max(1e-3 * scale.sqrt());
    let (mut low, mut high, mut l) = (f64::NEG_INFINITY, f64::INFINITY, 0.0);
    let mut stride = 1e-3 / scale.sqrt().max(f64::MIN_POSITIVE);
    for _ in 0..100 {
        let (changed, slope) = evaluate(l);
        let missing = change - changed;
        if missing.abs() <= close {
            return Some(
                (0..base.len())
                    .map(|i| (base[i] + l * f64::from(normal[i])).max(room.down[i]).min(room.up[i]))
                    .collect(),
            );
        }
        if missing > 0.0 {
            low = l
        } else {
            high = l
        }
        let newton = if slope > 0.0 { l + missing / slope } else { f64::NAN };
        stride *= 4.0;
        l = match (low.is_finite(), high.is_finite()) {
            _ if newton > low && newton < high => newton,
            (true, true) => 0.5 * (low + high),
            // If every value is at an end of its room, a larger l frees one.
            (true, false) => low + stride,
            _ => high - stride,
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// On random problems, a fine random search along the plane finds no better step.
    #[test]
    fn no_feasible_step_comes_nearer() {
        let mut generator = ChaCha8Rng::seed_from_u64(3);
        for trial in 0..200 {
            let n = 6;
            let mut draw = |low: f32, high: f32| {
                (0..n).map(|_| generator.random_range(low..high)).collect::<Vec<f32>>()
            };
            let (original, point, normal) = (draw(0.0, 1.0), draw(0.0, 1.0), draw(-1.0, 1.0));
            let problem = Problem {
                original: &original,
                point: &point,
                normal: &normal,
                change: f64::from(generator.random_range(-0.3f32..0.3)),
                radius: f64::from(generator.random_range(0.05f32..1.5)),
            };
            let room = Room::unit(&point);
            for norm in [Norm::L2, Norm::Linf] {
                let best = step(norm, &problem);
                let changes = |step: &[f64]| {
                    step.iter().zip(&normal).map(|(a, b)| a * f64::from(*b)).sum::<f64>()
                };
                let far = |step: &[f64]| {
                    let moved: Vec<f32> =
                        point.iter().zip(step).map(|(a, b)| (f64::from(*a) + b) as f32).collect();
                    norm.distance(&original, &moved)
                };
                assert!(length(&best) <= problem.radius + 1e-9, "trial {trial}");
                assert!(
                    (0..n)
                        .all(|i| best[i] >= room.down[i] - 1e-12 && best[i] <= room.up[i] + 1e-12)
                );
                if (changes(&best) - problem.change).abs() > 1e-6 {
                    // Out of reach: then no step of that length changes the margin more in the
                    // required direction.
                    let (straight, reached) = step_onto(Norm::L2, &normal, problem.change, &room);
                    assert!(!reached || length(&straight) > problem.radius - 1e-6);
                    continue;
                }
                for _ in 0..300 {
                    let mut other: Vec<f64> = best
                        .iter()
                        .map(|value| value + generator.random_range(-0.1..0.1))
                        .collect();
                    let square: f64 = normal.iter().map(|value| f64::from(*value).powi(2)).sum();
                    let back = (problem.change - changes(&other)) / square;
                    other
                        .iter_mut()
                        .zip(&normal)
                        .for_each(|(value, rate)| *value += back * f64::from(*rate));
                    let feasible = length(&other) <= problem.radius
                        && (0..n).all(|i| other[i] >= room.down[i] && other[i] <= room.up[i]);
                    assert!(
                        !feasible || far(&other) >= far(&best) - 2e-3,
                        "trial {trial}: {} < {}",
                        far(&other),
                        far(&best)
                    );
                }
            }
        }
    }

    /// On random problems, no random step with at least the same change is better.
    #[test]
    fn in_l1_and_l0_no_feasible_step_comes_nearer() {
        let mut generator = ChaCha8Rng::seed_from_u64(5);
        let mut beaten_by_none = 0;
        for trial in 0..300 {
            let n = 5;
            let mut draw = |low: f32, high: f32| {
                (0..n).map(|_| generator.random_range(low..high)).collect::<Vec<f32>>()
            };
            let (original, normal) = (draw(0.0, 1.0), draw(-1.0, 1.0));
            // Some values are unperturbed.
            let point: Vec<f32> = draw(0.0, 1.0)
                .iter()
                .zip(&original)
                .map(|(a, b)| if *a < 0.4 { *b } else { *a })
                .collect();
            let change = f64::from(generator.random_range(-0.3f32..0.3));
            let radius = f64::from(generator.random_range(0.05f32..1.0));
            let problem =
                Problem { original: &original, point: &point, normal: &normal, change, radius };
            let room = Room::unit(&point);
            let changes = |step: &[f64]| {
                step.iter().zip(&normal).map(|(a, b)| a * f64::from(*b)).sum::<f64>()
            };
            let home: Vec<f64> =
                original.iter().zip(&point).map(|(a, b)| f64::from(*a) - f64::from(*b)).collect();
            let far = |norm: Norm, step: &[f64]| {
                norm.size(&step.iter().zip(&home).map(|(a, b)| a - b).collect::<Vec<_>>())
            };
            for norm in [Norm::L1, Norm::L0] {
                let best = step(norm, &problem);
                let bound = |i: usize| (room.down[i].max(-radius), room.up[i].min(radius));
                assert!(
                    (0..n).all(|i| best[i] >= bound(i).0 - 1e-12 && best[i] <= bound(i).1 + 1e-12)
                );
                if changes(&best) < change - 1e-9 {
                    let most: f64 = (0..n)
                        .map(|i| {
                            f64::from(normal[i])
                                * if normal[i] > 0.0 { bound(i).1 } else { bound(i).0 }
                        })
                        .sum();
                    assert!(
                        (changes(&best) - most).abs() < 1e-9,
                        "trial {trial}: the step is shorter than it could be"
                    );
                    continue;
                }
                for _ in 0..500 {
                    let other: Vec<f64> = (0..n)
                        .map(|i| {
                            let (down, up) = bound(i);
                            let drawn = match generator.random_range(0..4) {
                                0 => home[i],
                                1 => down,
                                2 => up,
                                _ => generator.random_range(-1.0..1.0),
                            };
                            drawn.clamp(down, up)
                        })
                        .collect();
                    if changes(&other) >= change {
                        beaten_by_none += 1;
                        assert!(
                            far(norm, &other) >= far(norm, &best) - 1e-9,
                            "trial {trial} {norm:?}"
                        );
                    }
                }
            }
        }
        assert!(beaten_by_none > 10_000, "{beaten_by_none}");
    }
}
