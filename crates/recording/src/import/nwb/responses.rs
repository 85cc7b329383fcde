//! Neural responses: fluorescence series or spike times.

use super::file::{File, listed};
use super::series::{Series, check_times};
use crate::Result;
use crate::import::Account;
use crate::import::asked::Asked;
use brainprior_artifact::hdf5::Object;
use ndarray::{Array2, Axis, concatenate};
use std::collections::HashSet;

/// Columns that identify a cell across sessions.
const ACROSS_SESSIONS: [&str; 2] = ["cell_specimen_id", "global_roi_id"];

/// Neurons recorded together.
pub(super) enum Responses {
    Traces(Box<Series>),
    /// The spike times of each unit, in ascending order.
    Spikes(Vec<Vec<f64>>),
}

/// Neuron metadata: identifier, area, layer.
pub(super) struct Known {
    pub unit_ids: Vec<i64>,
    pub area: String,
    pub layer: String,
}

/// Reads the chosen series or tables, or the only one; the others are reported as dropped.
pub(super) fn read(
    file: &File,
    asked: Asked,
    wanted: &[String],
    account: &mut Account,
) -> Result<Vec<(Responses, Known)>> {
    let candidates =
        file.groups(|group| ["RoiResponseSeries", "Units"].contains(&group.kind.as_str()));
    if candidates.is_empty() {
        let advice = "write the responses as RoiResponseSeries or Units";
        return Err(file
            .input
            .mismatch("/", "responses: a RoiResponseSeries or a table Units", "none", advice)
            .into());
    }
    let chosen: Vec<&Object> = if wanted.is_empty() {
        // Among corrected, demixed and neuropil traces the choice is dF/F; detected events are a
        // different measure.
        let is_dff = |group: &Object| {
            let parent =
                file.objects.get(group.parent()).is_some_and(|parent| parent.kind == "DfOverF");
            parent && !group.name().to_lowercase().contains("event")
        };
        vec![file.only(
            asked,
            "responses",
            "the response series in the file, or one per plane",
            &candidates,
            is_dff,
        )?]
    } else {
        let paths = wanted
            .iter()
            .map(|name| file.named(asked, "responses", name, &candidates))
            .collect::<Result<Vec<_>>>()?;
        paths.iter().filter_map(|path| file.objects.get(path)).collect()
    };
    let others: Vec<&Object> = candidates
        .into_iter()
        .filter(|group| chosen.iter().all(|chosen| chosen.path != group.path))
        .collect();
    if !others.is_empty() {
        account.dropped_as(format!("other responses: {}", listed(&others)));
    }
    chosen
        .into_iter()
        .map(|group| {
            if group.kind == "Units" {
                units(file, group, account)
            } else {
                traces(file, group, account)
            }
        })
        .collect()
}

fn traces(file: &File, group: &Object, account: &mut Account) -> Result<(Responses, Known)> {
    let rois = format!("{}/rois", group.path);
    let rows = match file.input.has(&rois)? {
        true => Some(file.input.numbers(&rois, &[None])?.naturals()?),
        false => None,
    };
    let series = Series::open(&file.input, &group.path, rows.as_ref().map(Vec::len))?;
    let mut known = Known {
        unit_ids: (1..=series.signals as i64).collect(),
        area: "unknown".into(),
        layer: "unknown".into(),
    };
    if let (Some(rows), Some(table)) =
        (rows, file.objects.referred_by(&file.input, &rois, "table")?)
    {
        if let Some(ids) = identifiers(file, &table.path, &rows)? {
            known.unit_ids = ids;
        }
        let location = format!("{}/imaging_plane/location", table.path);
        if file.input.has(&location)? {
            known.area = file.input.strings(&location)?.concat();
        }
    }
    told(&series, account);
    Ok((Responses::Traces(Box::new(series)), known))
}

/// Reports the series that was found.
pub(super) fn told(series: &Series, account: &mut Account) {
    let [start, end] = series.clock.span();
    account.took(format!(
        "responses from {}: {} neurons, {} samples from {start:.3} to {end:.3} s",
        series.path,
        series.signals,
        series.clock.samples()
    ));
    if series.is_turned() {
        account.assumes(format!(
            "{}/data is stored neurons first, judging by the number of samples",
            series.path
        ));
    }
}

/// The identifiers of rows of a segmentation: identifiers across sessions if available, else its
/// own.
fn identifiers(file: &File, table: &str, rows: &[u64]) -> Result<Option<Vec<i64>>> {
    for column in ACROSS_SESSIONS.iter().chain(&["id"]) {
        let path = format!("{table}/{column}");
        let Ok(numbers) = file.input.numbers(&path, &[None]) else { continue };
        let Ok(all) = numbers.integers() else { continue };
        let ids: Option<Vec<i64>> =
            rows.iter().map(|row| all.get(usize::try_from(*row).ok()?).copied()).collect();
        let Some(ids) = ids else {
            let expected = format!("rows of {table}, which has {}", all.len());
            let found = format!("row {}", rows.iter().max().unwrap_or(&0));
            return Err(file.input.mismatch(table, expected, found, "write the file again").into());
        };
        let distinct: HashSet<i64> = ids.iter().copied().collect();
        if distinct.len() == ids.len() && (*column == "id" || ids.iter().all(|id| *id > 0)) {
            return Ok(Some(ids));
        }
    }
    Ok(None)
}

fn units(file: &File, group: &Object, account: &mut Account) -> Result<(Responses, Known)> {
    let (times_at, ends_at) =
        (format!("{}/spike_times", group.path), format!("{}/spike_times_index", group.path));
    let times = file.input.numbers(&times_at, &[None])?.doubles()?;
    let ends = file.input.numbers(&ends_at, &[None])?.naturals()?;
    let (mut start, mut spikes) = (0, vec![]);
    for (unit, end) in ends.iter().enumerate() {
        let of_unit = usize::try_from(*end).ok().and_then(|end| times.get(start..end));
        let Some(of_unit) = of_unit else {
            let expected = format!("ascending ends, up to the {} times", times.len());
            let found = format!("{end} for unit {unit} after {start}");
            return Err(file
                .input
                .mismatch(&ends_at, expected, found, "write the file again")
                .into());
        };
        check_times(&file.input, &times_at, of_unit)?;
        start += of_unit.len();
        spikes.push(of_unit.to_vec());
    }
    account.took(format!(
        "responses from {}: {} units, {} spikes",
        group.path,
        spikes.len(),
        times.len()
    ));
    account.assumes("a response to an image is the number of spikes in the window");
    let id = format!("{}/id", group.path);
    let unit_ids = match file.input.has(&id)? {
        true => file.input.numbers(&id, &[Some(spikes.len())])?.integers()?,
        false => (1..=spikes.len() as i64).collect(),
    };
    Ok((
        Responses::Spikes(spikes),
        Known { unit_ids, area: "unknown".into(), layer: "unknown".into() },
    ))
}

/// The response of each neuron in each window, `[windows, neurons]`, and whether each window lies
/// within all recordings.
pub(super) fn in_windows(
    all: &[(Responses, Known)],
    windows: &[[f64; 2]],
) -> Result<(Array2<f64>, Vec<bool>)> {
    let mut is_within = vec![true; windows.len()];
    let mut columns: Vec<Array2<f64>> = vec![];
    for (responses, _) in all {
        columns.push(match responses {
            Responses::Traces(series) => {
                let samples: Vec<_> =
                    windows.iter().map(|window| series.clock.window(*window)).collect();
                let mut values = Array2::from_elem((windows.len(), series.signals), f64::NAN);
                let within: Vec<usize> =
                    (0..windows.len()).filter(|window| samples[*window].is_some()).collect();
                let means = series.means(&samples.iter().flatten().cloned().collect::<Vec<_>>())?;
                for (row, window) in within.iter().enumerate() {
                    values.row_mut(*window).assign(&means.row(row));
                }
                is_within
                    .iter_mut()
                    .zip(&samples)
                    .for_each(|(is_within, samples)| *is_within &= samples.is_some());
                values
            }
            Responses::Spikes(spikes) => {
                let first = spikes
                    .iter()
                    .filter_map(|times| times.first())
                    .copied()
                    .fold(f64::INFINITY, f64::min);
                let last = spikes
                    .iter()
                    .filter_map(|times| times.last())
                    .copied()
                    .fold(f64::NEG_INFINITY, f64::max);
                is_within.iter_mut().zip(windows).for_each(|(is_within, [from, to])| {
                    *is_within &= *from >= first && *to <= last
                });
                Array2::from_shape_fn((windows.len(), spikes.len()), |(window, unit)| {
                    let before = |time: f64| spikes[unit].partition_point(|spike| *spike < time);
                    (before(windows[window][1]) - before(windows[window][0])) as f64
                })
            }
        });
    }
    let views: Vec<_> = columns.iter().map(|columns| columns.view()).collect();
    Ok((concatenate(Axis(1), &views).expect("one row for each window"), is_within))
}
