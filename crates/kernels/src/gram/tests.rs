use super::*;
use crate::testing::values;

#[test]
fn every_level_gives_the_sums_of_the_definition() {
    for (row_panels, column_panels, depth, upper) in [(1, 1, 1, false), (2, 3, 7, false), (1, 2, 600, false), (3, 3, 259, true)] {
        let columns = values(column_panels * depth * PANEL, 1);
        let rows = if upper { columns.clone() } else { values(row_panels * depth * PANEL, 2) };
        for isa in Isa::available() {
            let mut out = vec![7.0f32; row_panels * column_panels * PANEL * PANEL];
            Gram { isa }.products(Panels::new(&rows, depth), Panels::new(&columns, depth), upper, &mut out);
            for r in 0..row_panels * PANEL {
                for c in 0..column_panels * PANEL {
                    let found = f64::from(out[r * column_panels * PANEL + c]);
                    if upper && r / PANEL > c / PANEL {
                        assert_eq!(found, 7.0, "{isa:?} wrote below the diagonal at ({r}, {c})");
                        continue;
                    }
                    let expected = reference::product(&rows, &columns, depth, r, c);
                    assert!((found - expected).abs() < 1e-4, "{isa:?} ({r}, {c}): expected {expected}, found {found}");
                }
            }
        }
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
            assert_eq!(*found, if vector < GROUP { units[vector * width + k] } else { 7.0 }, "dimension {k} of vector {vector}");
        }
    }
}

#[test]
fn normalized_vectors_are_those_of_the_definition() {
    for width in [1, 15, 16, 50] {
        let row = values(width, 4);
        let [means, weights] = [5, 6].map(|seed| values(width, seed).into_iter().map(f64::from).collect::<Vec<f64>>());
        let mut unit = vec![0.0; width];
        assert!(normalize(&row, &means, &weights, &mut unit));
        for (found, expected) in unit.iter().zip(reference::unit(&row, &means, &weights).unwrap()) {
            assert!((f64::from(*found) - expected).abs() < 1e-6, "{found} against {expected}");
        }
        // Nothing is left of responses that are their own means.
        let means: Vec<f64> = row.iter().copied().map(f64::from).collect();
        assert!(!normalize(&row, &means, &weights, &mut unit) && reference::unit(&row, &means, &weights).is_none());
    }
}

#[test]
fn sums_are_added_in_double_precision() {
    let mut sums = vec![1e9; 33];
    add_to_sums(&[0.125; 33], &mut sums);
    assert_eq!(sums, [1e9 + 0.125; 33]);
}
