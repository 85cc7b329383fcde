//! Shortest steps onto a plane within a box, used by DeepFool, FAB and Brendel-Bethge on linearized
//! decision boundaries.

use crate::Norm;

/// For each value, how far it can decrease (at most 0) and increase (at least 0).
pub(crate) struct Room {
    pub(crate) down: Vec<f64>,
    pub(crate) up: Vec<f64>,
}

impl Room {
    /// The room of a point in [0, 1].
    pub(crate) fn unit(point: &[f32]) -> Self {
        let down = point.iter().map(|value| -f64::from(*value)).collect();
        Self { down, up: point.iter().map(|value| 1.0 - f64::from(*value)).collect() }
    }
}

/// The shortest step within the room that changes the linear function with this `normal` by
/// `change`, and true; if there is none, the step that comes closest, and false.
///
/// In Linf and L2 the step is clip(t d), where d is the steepest direction. The change is a
/// concave, piecewise linear function of t, so Newton's method approaches it from below and ends
/// after a few pieces. In L1 and L0 values move to the end of their room one after the other: in L1
/// in order of the change per unit step, in L0 in order of the total change.
pub(crate) fn step_onto(norm: Norm, normal: &[f32], change: f64, room: &Room) -> (Vec<f64>, bool) {
    if matches!(norm, Norm::L1 | Norm::L0) {
        return one_by_one(norm, normal, change, room);
    }
    let sign = if change < 0.0 { -1.0 } else { 1.0 };
    let wanted = change.abs();
    let direction: Vec<f64> = normal
        .iter()
        .map(|value| match norm {
            Norm::Linf if *value == 0.0 => 0.0,
            Norm::Linf => sign * f64::from(value.signum()),
            _ => sign * f64::from(*value),
        })
        .collect();
    let mut t = 0.0;
    loop {
        // The change at t, and its derivative for increasing t.
        let (mut changed, mut slope) = (0.0, 0.0);
        for index in 0..normal.len() {
            let (rate, step) = (sign * f64::from(normal[index]), t * direction[index]);
            let clipped = step.clamp(room.down[index], room.up[index]);
            changed += rate * clipped;
            let moves = if direction[index] > 0.0 {
                step < room.up[index]
            } else {
                step > room.down[index]
            };
            if moves {
                slope += rate * direction[index];
            }
        }
        let missing = wanted - changed;
        let reached = missing <= 1e-12 * wanted;
        if reached || slope <= 0.0 {
            let step =
                |index: usize| (t * direction[index]).clamp(room.down[index], room.up[index]);
            return ((0..normal.len()).map(step).collect(), reached);
        }
        let next = t + missing / slope;
        if next <= t {
            let step =
                |index: usize| (t * direction[index]).clamp(room.down[index], room.up[index]);
            return ((0..normal.len()).map(step).collect(), true);
        }
        t = next;
    }
}

fn one_by_one(norm: Norm, normal: &[f32], change: f64, room: &Room) -> (Vec<f64>, bool) {
    let sign = if change < 0.0 { -1.0 } else { 1.0 };
    let rate = |index: usize| sign * f64::from(normal[index]);
    let end = |index: usize| if rate(index) > 0.0 { room.up[index] } else { room.down[index] };
    let gain = |index: usize| rate(index) * end(index);
    let worth = |index: usize| if norm == Norm::L0 { gain(index) } else { rate(index).abs() };
    let mut order: Vec<usize> = (0..normal.len()).filter(|index| gain(*index) > 0.0).collect();
    order.sort_by(|a, b| worth(*b).total_cmp(&worth(*a)));
    let (mut step, mut missing) = (vec![0.0; normal.len()], change.abs());
    let close = 1e-12 * missing;
    for index in order {
        if missing <= close {
            break;
        }
        step[index] = if gain(index) > missing { missing / rate(index) } else { end(index) };
        missing -= rate(index) * step[index];
    }
    (step, missing <= close)
}

/// Euclidean length.
pub(crate) fn length(step: &[f64]) -> f64 {
    step.iter().map(|value| value * value).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn without_a_box_the_step_is_the_closed_form() {
        let normal = [3.0f32, -4.0];
        let wide = Room { down: vec![-9.0; 2], up: vec![9.0; 2] };
        let (step, reached) = step_onto(Norm::L2, &normal, 5.0, &wide);
        assert!(reached && (step[0] - 0.6).abs() < 1e-9 && (step[1] + 0.8).abs() < 1e-9);
        let (step, _) = step_onto(Norm::Linf, &normal, -7.0, &wide);
        assert!((step[0] + 1.0).abs() < 1e-9 && (step[1] - 1.0).abs() < 1e-9);
    }

    /// No smaller set of values, each moved to the end of its room, reaches the plane.
    #[test]
    fn in_l0_no_smaller_set_of_values_reaches_the_plane() {
        let normal = [0.9f32, -0.8, 0.4, 0.3, -0.7, 0.1];
        let room = Room::unit(&[0.95, 0.5, 0.1, 0.2, 0.9, 0.5]);
        let gain = |index: usize| {
            f64::from(normal[index])
                * if normal[index] > 0.0 { room.up[index] } else { room.down[index] }
        };
        for tenth in 1..16 {
            let change = 0.1 * f64::from(tenth);
            let fewest = (0u32..64)
                .filter(|set| {
                    (0..6).filter(|index| set >> index & 1 == 1).map(gain).sum::<f64>() >= change
                })
                .map(u32::count_ones)
                .min();
            let (step, reached) = step_onto(Norm::L0, &normal, change, &room);
            assert_eq!(reached.then(|| Norm::L0.size(&step) as u32), fewest, "change by {change}");
        }
    }

    proptest! {
        /// No other step within the room that changes the function as much is shorter; checked
        /// against random ones.
        #[test]
        fn steps_reach_the_plane_and_are_shortest(
            values in prop::collection::vec((-1.0f32..1.0, 0.0f32..=1.0, -0.5f64..0.5), 2..20),
            share in -1.2f64..1.2,
        ) {
            let normal: Vec<f32> = values.iter().map(|value| value.0).collect();
            let point: Vec<f32> = values.iter().map(|value| value.1).collect();
            let room = Room::unit(&point);
            let sign = share.signum();
            let most: f64 = (0..normal.len())
                .map(|index| (sign * f64::from(normal[index])).max(0.0) * room.up[index]
                    + (sign * f64::from(normal[index])).min(0.0) * room.down[index])
                .sum();
            let change = share * most;
            let changes = |step: &[f64]| step.iter().zip(&normal).map(|(a, b)| a * f64::from(*b)).sum::<f64>();
            for norm in [Norm::Linf, Norm::L2, Norm::L1, Norm::L0] {
                let (step, reached) = step_onto(norm, &normal, change, &room);
                prop_assert!(step.iter().zip(&room.down).all(|(a, b)| a >= b));
                prop_assert!(step.iter().zip(&room.up).all(|(a, b)| a <= b));
                if share.abs() > 1.0 + 1e-9 {
                    prop_assert!(!reached && (changes(&step).abs() - most.abs()).abs() < 1e-9);
                    continue;
                }
                prop_assert!((changes(&step) - change).abs() < 1e-6 * (1.0 + most.abs()));
                // Move along the plane and back into the room: if the change is still as large, the
                // step is no shorter.
                let other: Vec<f64> = step.iter().zip(&values).enumerate()
                    .map(|(index, (step, value))| (step + value.2).clamp(room.down[index], room.up[index])).collect();
                if changes(&other).abs() >= change.abs() && changes(&other) * change > 0.0 {
                    prop_assert!(norm.size(&other) >= norm.size(&step) - 1e-6);
                }
            }
        }
    }
}
