use super::*;
use crate::simd::tiles::Model;
use crate::testing::values;

type Multiply = Box<dyn Fn(Panels<'_>, Panels<'_>, bool, &mut [f32])>;

/// The products at every level, and with the model of tiles.
fn of_every_level() -> Vec<(String, Multiply)> {
    let mut all: Vec<(String, Multiply)> = Vec::new();
    for isa in Isa::available() {
        let multiply =
            move |rows: Panels<'_>, columns: Panels<'_>, upper: bool, out: &mut [f32]| {
                Gram { isa }.products(rows, columns, upper, out);
            };
        all.push((format!("{isa:?}"), Box::new(multiply)));
    }
    let model = |rows: Panels<'_>, columns: Panels<'_>, upper: bool, out: &mut [f32]| {
        // SAFETY: the model has no instructions of its own.
        unsafe { tiles::multiply::<Model>(Isa::active(), rows, columns, upper, out) };
    };
    all.push(("the model of tiles".to_owned(), Box::new(model)));
    all
}

#[test]
fn every_level_gives_the_sums_of_the_definition() {
    for (row_panels, column_panels, depth, upper) in [
        (1, 1, 1, false),
        (2, 3, 7, false),
        (1, 2, 600, false),
        (3, 3, 259, true),
        (2, 3, 33, true),
    ] {
        let columns = values(column_panels * depth * PANEL, 1);
        let rows = if upper {
            columns[..row_panels * depth * PANEL].to_vec()
        } else {
            values(row_panels * depth * PANEL, 2)
        };
        for (level, multiply) in of_every_level() {
            let mut out = vec![7.0f32; row_panels * column_panels * PANEL * PANEL + 1];
            multiply(Panels::new(&rows, depth), Panels::new(&columns, depth), upper, &mut out);
            assert_eq!(out.pop(), Some(7.0), "{level} wrote beyond the products");
            for r in 0..row_panels * PANEL {
                for c in 0..column_panels * PANEL {
                    let found = f64::from(out[r * column_panels * PANEL + c]);
                    if upper && r / PANEL > c / PANEL {
                        assert_eq!(found, 7.0, "{level} wrote below the diagonal at ({r}, {c})");
                        continue;
                    }
                    let expected = reference::product(&rows, &columns, depth, r, c);
                    assert!(
                        (found - expected).abs() < 1e-4,
                        "{level} ({r}, {c}): expected {expected}, found {found}"
                    );
                }
            }
        }
    }
}

/// Responses that are hard to sum, one row for each vector of a panel.
fn straining(width: usize) -> [(&'static str, Vec<f32>); 4] {
    let uniform = values(PANEL * width, 11);
    let half_zeros = uniform.iter().map(|value| value.max(0.0)).collect();
    let dominated = uniform
        .iter()
        .enumerate()
        .map(|(i, value)| if i % width == width / 3 { 300.0 + 200.0 * value } else { *value });
    let alike =
        uniform.iter().enumerate().map(|(i, value)| uniform[i % width] + 1e-4 * value).collect();
    [
        ("uniform", uniform.clone()),
        ("half zeros", half_zeros),
        ("one dominates", dominated.collect()),
        ("alike", alike),
    ]
}

#[test]
fn cosines_at_every_level_are_within_a_millionth_of_those_in_f64() {
    for width in [50, 2000] {
        for (name, responses) in straining(width) {
            let rows: Vec<&[f32]> = responses.chunks_exact(width).collect();
            let weights: Vec<f64> =
                values(width, 12).iter().map(|value| 1.0 + 0.5 * f64::from(*value)).collect();
            let mean = |k: usize| {
                rows.iter().map(|row| f64::from(row[k])).sum::<f64>() / rows.len() as f64
            };
            // Centered like similarities, and uncentered, where similar vectors stay similar.
            for means in [(0..width).map(mean).collect(), vec![0.0; width]] {
                let exact: Vec<Vec<f64>> = rows
                    .iter()
                    .map(|row| reference::unit(row, &means, &weights).unwrap())
                    .collect();
                let mut panel = vec![0.0; width * PANEL];
                for (group, rows) in rows.chunks_exact(GROUP).enumerate() {
                    let mut units = vec![0.0; GROUP * width];
                    for (row, unit) in rows.iter().zip(units.chunks_exact_mut(width)) {
                        assert!(normalize(row, &means, &weights, unit));
                    }
                    interleave(&units, width, &mut panel[group * GROUP..]);
                }
                for (level, multiply) in of_every_level() {
                    let mut out = vec![0.0; PANEL * PANEL];
                    multiply(
                        Panels::new(&panel, width),
                        Panels::new(&panel, width),
                        true,
                        &mut out,
                    );
                    let mut worst: f64 = 0.0;
                    for (r, row) in exact.iter().enumerate() {
                        for (c, column) in exact.iter().enumerate() {
                            let expected: f64 = row.iter().zip(column).map(|(a, b)| a * b).sum();
                            worst = worst.max((f64::from(out[r * PANEL + c]) - expected).abs());
                        }
                    }
                    assert!(worst < 1e-6, "{name}, {width} dimensions, {level}: off by {worst}");
                }
            }
        }
    }
}

#[test]
#[cfg(target_arch = "x86_64")]
fn tiles_give_the_bits_of_their_model() {
    if !crate::simd::tiles::has_amx() {
        return;
    }
    for (depth, upper) in [(7, false), (800, true)] {
        let panels = values(2 * depth * PANEL, 13);
        let panels = Panels::new(&panels, depth);
        let mut found = [vec![0.0f32; 4 * PANEL * PANEL], vec![0.0; 4 * PANEL * PANEL]];
        Gram { isa: Isa::Amx }.products(panels, panels, upper, &mut found[0]);
        // SAFETY: the model has no instructions of its own.
        unsafe { tiles::multiply::<Model>(Isa::Amx, panels, panels, upper, &mut found[1]) };
        assert!(found[0] == found[1], "{depth} dimensions");
    }
}

#[test]
fn interleaved_vectors_lie_dimension_by_dimension() {
    for width in [1, 7, 8, 19] {
        let units = values(GROUP * width, 3);
        let mut panel = vec![7.0f32; width * PANEL];
        interleave(&units, width, &mut panel);
        for (index, found) in panel.iter().enumerate() {
            let (k, vector) = (index / PANEL, index % PANEL);
            assert_eq!(
                *found,
                if vector < GROUP { units[vector * width + k] } else { 7.0 },
                "dimension {k} of vector {vector}"
            );
        }
    }
}

#[test]
fn normalized_vectors_are_those_of_the_definition() {
    for width in [1, 15, 16, 50] {
        let row = values(width, 4);
        let [means, weights] =
            [5, 6].map(|seed| values(width, seed).into_iter().map(f64::from).collect::<Vec<f64>>());
        let mut unit = vec![0.0; width];
        assert!(normalize(&row, &means, &weights, &mut unit));
        for (found, expected) in unit.iter().zip(reference::unit(&row, &means, &weights).unwrap()) {
            assert!((f64::from(*found) - expected).abs() < 1e-6, "{found} against {expected}");
        }
        // Nothing is left of responses that equal their means.
        let means: Vec<f64> = row.iter().copied().map(f64::from).collect();
        assert!(
            !normalize(&row, &means, &weights, &mut unit)
                && reference::unit(&row, &means, &weights).is_none()
        );
    }
}

#[test]
fn sums_are_added_in_double_precision() {
    let mut sums = vec![1e9; 33];
    add_to_sums(&[0.125; 33], &mut sums);
    assert_eq!(sums, [1e9 + 0.125; 33]);
}
