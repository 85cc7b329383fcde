//! The table of onsets for a suite2p folder.

use crate::Result;
use crate::import::asked::Asked;
use crate::import::settings::OnsetUnit;
use crate::import::{Account, source};
use brainprior_artifact::FileError;
use ndarray::Ix2;
use std::path::Path;

/// One row per presentation.
pub(super) struct Onsets {
    /// Onset in `unit`.
    pub at: Vec<f64>,
    pub unit: OnsetUnit,
    pub image: Shown,
}

/// The image of each presentation.
pub(super) enum Shown {
    /// Image numbers; -1 is a blank.
    Numbers(Vec<i64>),
    /// Picture names; an empty name is a blank.
    Names(Vec<String>),
}

pub(super) fn read(
    asked: Asked,
    path: &Path,
    unit: Option<OnsetUnit>,
    account: &mut Account,
) -> Result<Onsets> {
    let onsets = match path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("csv")) {
        true => of_csv(path, unit, asked, account)?,
        false => of_array(path, unit, asked)?,
    };
    if let Some(row) = onsets.at.iter().position(|at| !at.is_finite()) {
        let found = format!("{} in row {row}", onsets.at[row]);
        let advice = "an onset without a time cannot be used: leave that row out";
        return Err(FileError::mismatch(path, "onsets", "finite numbers", found, advice).into());
    }
    account.took(format!(
        "{} onsets from {}",
        onsets.at.len(),
        path.file_name().unwrap_or_default().to_string_lossy()
    ));
    Ok(onsets)
}

fn of_array(path: &Path, unit: Option<OnsetUnit>, asked: Asked) -> Result<Onsets> {
    let source = source::read(path, None)?;
    let Ok(table) = source.doubles()?.into_dimensionality::<Ix2>() else {
        let (expected, found) = ("rows of onset and image", format!("shape {:?}", source.shape()));
        return Err(source
            .mismatch(expected, found, "save it as two columns, or as .csv with a header")
            .into());
    };
    if table.ncols() != 2 {
        let found = format!("{} columns", table.ncols());
        return Err(source
            .mismatch("2 columns, onset and image", found, "leave out the others")
            .into());
    }
    let Some(unit) = unit else {
        let advice = "use --onsets-in seconds or --onsets-in frames";
        return Err(asked
            .mismatch("onsets-in", "the unit of onsets in .npy", "none", [advice; 2])
            .into());
    };
    let whole = |(row, number): (usize, &f64)| match number.fract() == 0.0 && number.abs() < 1e15 {
        true => Ok(*number as i64),
        false => Err(source.mismatch(
            "numbers of images",
            format!("{number} in row {row}"),
            "leave that row out",
        )),
    };
    let numbers =
        table.column(1).iter().enumerate().map(whole).collect::<std::result::Result<_, _>>()?;
    Ok(Onsets { at: table.column(0).to_vec(), unit, image: Shown::Numbers(numbers) })
}

fn of_csv(
    path: &Path,
    unit: Option<OnsetUnit>,
    asked: Asked,
    account: &mut Account,
) -> Result<Onsets> {
    let advice = "give the table of onsets: text with one line per onset";
    let text = std::fs::read_to_string(path)
        .map_err(|error| FileError::refused(path, "read")(error).advise(advice))?;
    let mut lines = text.lines().map(|line| {
        line.split(',').map(|cell| cell.trim().trim_matches('"').trim()).collect::<Vec<_>>()
    });
    let head = lines.next().unwrap_or_default();
    let place = |name: &str| {
        head.iter()
            .position(|column| column.trim_start_matches('\u{feff}').eq_ignore_ascii_case(name))
    };
    let onset = place("seconds")
        .map(|place| (place, OnsetUnit::Seconds))
        .or(place("frame").map(|place| (place, OnsetUnit::Frames)));
    let both = place("seconds").is_some() && place("frame").is_some();
    let (Some((onset, found)), Some(image), false) = (onset, place("image"), both) else {
        let expected = "a header with image, and seconds or frame";
        let advice =
            "name the columns accordingly: seconds after the first frame, or frames from 0";
        return Err(FileError::mismatch(path, "line 1", expected, head.join(", "), advice).into());
    };
    if unit.is_some_and(|unit| unit != found) {
        let (expected, found) =
            (format!("{found:?}, as in the header").to_lowercase(), "another unit");
        return Err(asked
            .mismatch("onsets-in", expected, found, ["leave it out for .csv"; 2])
            .into());
    }
    let others: Vec<&str> = (0..head.len())
        .filter(|place| ![onset, image].contains(place))
        .map(|place| head[place])
        .collect();
    if !others.is_empty() {
        account.dropped_as(format!("other columns of the onsets: {}", others.join(", ")));
    }
    let (mut at, mut names) = (vec![], vec![]);
    for (line, cells) in lines
        .enumerate()
        .filter(|(_, cells)| cells.len() > 1 || cells.iter().any(|cell| !cell.is_empty()))
    {
        let cell = |place: usize| cells.get(place).copied().unwrap_or_default();
        let Ok(time) = cell(onset).parse::<f64>() else {
            let (dataset, found) =
                (format!("line {}", line + 2), format!("{:?} as {}", cell(onset), head[onset]));
            return Err(FileError::mismatch(
                path,
                dataset,
                "a number",
                found,
                "correct it, or leave that line out",
            )
            .into());
        };
        at.push(time);
        names.push(cell(image).to_owned());
    }
    let numbers: Option<Vec<i64>> = names.iter().map(|name| name.parse().ok()).collect();
    let image = numbers.map_or(Shown::Names(names), Shown::Numbers);
    Ok(Onsets { at, unit: found, image })
}
