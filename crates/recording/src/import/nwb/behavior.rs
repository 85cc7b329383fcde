//! Running and pupil, from series of known types.

use super::file::{File, listed};
use super::series::Series;
use crate::Result;
use crate::import::Account;
use brainprior_artifact::hdf5::Object;
use ndarray::{Array1, Array2};

/// The series that were found.
#[derive(Default)]
pub(super) struct Behavior {
    pub running: Option<Series>,
    pub size: Option<Series>,
    pub center: Option<Series>,
}

/// Behavior and pupil center, one row per window.
type Rows = (Option<Array2<f64>>, Option<Array2<f64>>);

/// Finds series by NWB type: a series `running_speed`; the only series of a PupilTracking; the only
/// one of an EyeTracking with two columns.
pub(super) fn find(file: &File, account: &mut Account) -> Result<Behavior> {
    let is_series = |group: &Object| group.is_group && group.kind.ends_with("Series");
    let of = |kind: &str| -> Vec<&Object> {
        file.groups(|group| {
            is_series(group)
                && file.objects.get(group.parent()).is_some_and(|parent| parent.kind == kind)
        })
    };
    let mut only = |what: &str, found: Vec<&Object>, columns: usize| -> Result<Option<Series>> {
        let mut fitting = vec![];
        for group in &found {
            let shape = file.input.shape(&format!("{}/data", group.path))?.unwrap_or_default();
            if shape.iter().skip(1).product::<usize>() == columns {
                fitting.push(*group);
            }
        }
        match fitting[..] {
            [series] => Series::open(&file.input, &series.path, Some(columns)).map(Some),
            [] => Ok(None),
            _ => {
                account.dropped_as(format!("{what}: ambiguous among {}", listed(&fitting)));
                Ok(None)
            }
        }
    };
    Ok(Behavior {
        running: only(
            "running",
            file.groups(|group| is_series(group) && group.name() == "running_speed"),
            1,
        )?,
        size: only("the pupil size", of("PupilTracking"), 1)?,
        center: only("the pupil center", of("EyeTracking"), 2)?,
    })
}

impl Behavior {
    /// For each window: the mean pupil size, the slope of a line fitted to it, and the mean
    /// absolute running speed; and the pupil center in the middle of the window. A missing
    /// value is NaN.
    pub(super) fn in_windows(&self, windows: &[[f64; 2]], account: &mut Account) -> Result<Rows> {
        let behavior = match (&self.size, &self.running) {
            (Some(size), Some(running)) => {
                account
                    .took(format!("behavior from {} and {}: {SIGNALS}", size.path, running.path));
                Some(signals(size, running, windows)?)
            }
            (None, None) => {
                account.took("no behavior");
                None
            }
            (found, other) => {
                let path = found
                    .iter()
                    .chain(other)
                    .map(|series| series.path.as_str())
                    .collect::<String>();
                account.dropped_as(format!(
                    "{path}: behavior needs pupil and running, and one of them is missing"
                ));
                None
            }
        };
        let center = match &self.center {
            None => None,
            Some(series) => {
                account.took(format!(
                    "pupil center from {}, in the middle of the window",
                    series.path
                ));
                let values = series.values()?;
                let mut rows = Array2::from_elem((windows.len(), 2), f64::NAN);
                for (window, [from, to]) in windows.iter().enumerate() {
                    if let Some(sample) = series.clock.at((from + to) / 2.0) {
                        rows.row_mut(window).assign(&values.row(sample));
                    }
                }
                Some(rows)
            }
        };
        Ok((behavior, center))
    }
}

const SIGNALS: &str = "pupil size, its change per second, absolute running speed";

fn signals(size: &Series, running: &Series, windows: &[[f64; 2]]) -> Result<Array2<f64>> {
    let (of_pupil, of_running) = (size.values()?, running.values()?);
    let mut rows = Array2::from_elem((windows.len(), 3), f64::NAN);
    for (window, times) in windows.iter().enumerate() {
        if let Some(samples) = size.clock.window(*times) {
            let values = of_pupil.slice(ndarray::s![samples.clone(), 0]).to_owned();
            let at: Array1<f64> =
                samples.map(|sample| size.clock.time(sample) - times[0]).collect();
            let (mean, middle) = (values.mean().unwrap_or(f64::NAN), at.mean().unwrap_or(f64::NAN));
            rows[(window, 0)] = mean;
            // A single sample has no slope: 0 / 0 gives NaN.
            let spread: f64 = at.iter().map(|time| (time - middle).powi(2)).sum();
            let slope: f64 =
                at.iter().zip(&values).map(|(time, value)| (time - middle) * (value - mean)).sum();
            rows[(window, 1)] = slope / spread;
        }
        if let Some(samples) = running.clock.window(*times) {
            let values = of_running.slice(ndarray::s![samples, 0]);
            rows[(window, 2)] = values.mapv(f64::abs).mean().unwrap_or(f64::NAN);
        }
    }
    Ok(rows)
}
