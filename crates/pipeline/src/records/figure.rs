//! The figure made from records: accuracy under noise of every condition.

use super::NetworkRecord;
use super::tables::{conditions, levels};
use crate::artifacts::{Spread, each_once};
use crate::config::Target;
use crate::report::plots::{Axes, Curve, color, curves};
use anyhow::{Result, ensure};
use brainprior_artifact::replace;
use std::path::Path;

/// Writes an SVG image of accuracy against the noise level, from the records in `folder`: means over
/// seeds, with bands as in the report (both values of two seeds, one standard deviation of three or
/// more).
///
/// # Errors
/// Returns an error if the folder has no records, a record cannot be read, the records are of
/// several experiments, or the file cannot be written.
pub fn write_figure(folder: &Path, path: &Path) -> Result<()> {
    let svg = of_records(&super::read(folder)?)?;
    Ok(replace::bytes(path, svg.as_bytes())?)
}

fn of_records(records: &[NetworkRecord]) -> Result<String> {
    let experiments = each_once(records.iter().map(|record| record.experiment.as_str()));
    ensure!(
        experiments.len() == 1,
        "the records are of the experiments {}: keep each in a folder of its own for a figure",
        experiments.join(", ")
    );
    let levels = levels(records)?;
    let conditions = conditions(records.iter(), Target::None.name());
    let curve = |(index, condition): (usize, &&str)| {
        let own = || records.iter().filter(|record| record.figures.condition == **condition);
        let point = |(at, level): (usize, &f64)| {
            let values: Vec<f64> =
                own().map(|record| record.figures.gaussian_noise[at].accuracy).collect();
            let accuracy = Spread::of(&values);
            (*level, accuracy.mean, accuracy.band())
        };
        Curve {
            name: (*condition).to_owned(),
            color: color(condition, index),
            points: levels.iter().enumerate().map(point).collect(),
        }
    };
    let axes = Axes {
        title: "Accuracy under noise",
        x: "standard deviation of the noise",
        y: "accuracy",
        y_range: Some((0.0, 1.0)),
    };
    let found: Vec<Curve> = conditions.iter().enumerate().map(curve).collect();
    Ok(curves(&axes, &found).svg())
}

#[cfg(test)]
mod tests {
    use super::super::tables::tests::record;
    use super::*;

    #[test]
    fn every_condition_has_a_curve() {
        let mut records = vec![
            record("denoised alpha=20", 1, [0.8, 0.5], &[1.0]),
            record("none", 1, [0.9, 0.25], &[1.0]),
            record("none", 2, [0.9, 0.35], &[1.0]),
        ];
        let svg = of_records(&records).unwrap();
        assert!(svg.starts_with("<svg xmlns") && svg.contains("denoised alpha=20"), "{svg}");
        assert!(svg.find(">none<").unwrap() < svg.find(">denoised alpha=20<").unwrap(), "{svg}");
        records[0].experiment = "other".into();
        let error = of_records(&records).unwrap_err().to_string();
        assert!(error.contains("other, claim"), "{error}");
    }
}
