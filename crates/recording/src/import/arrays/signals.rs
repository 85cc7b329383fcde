//! Reads the signals recorded with the responses: behavior and pupil center, one row per trial.

use super::layout::{Layout, SignalAxis, Signals};
use super::trials::Trials;
use crate::Result;
use crate::import::{Account, source};
use ndarray::{Array2, Axis, Ix3};

/// Behavior and pupil center; trials in which they are NaN are removed from `trials`.
pub(super) fn read(
    layout: &Layout,
    trials: &mut Trials,
    account: &mut Account,
) -> Result<(Option<Array2<f32>>, Option<Array2<f32>>)> {
    let mut of = |key: &'static str, signals: &Option<Signals>| match signals {
        Some(signals) => rows(layout, key, signals, trials, account).map(Some),
        None => Ok(None),
    };
    let (behavior, pupil_center) =
        (of("behavior", &layout.behavior)?, of("pupil_center", &layout.pupil_center)?);
    let has_numbers = |rows: &Option<Array2<f32>>, trial: usize| {
        rows.as_ref().is_none_or(|rows| rows.row(trial).iter().all(|value| !value.is_nan()))
    };
    let keep: Vec<bool> = (0..trials.image.len())
        .map(|trial| has_numbers(&behavior, trial) && has_numbers(&pupil_center, trial))
        .collect();
    let kept: Vec<usize> = (0..keep.len()).filter(|trial| keep[*trial]).collect();
    if kept.is_empty() {
        let (expected, found) = ("trials without NaN", format!("NaN in all {} trials", keep.len()));
        let advice = "check that the axes are named in order, or remove behavior and pupil_center from the layout";
        return Err(layout.mismatch("behavior and pupil_center", expected, found, advice).into());
    }
    if kept.len() < keep.len() {
        let lost = keep.len() - kept.len();
        account
            .dropped_as(format!("{lost} of {} trials with NaN in behavior or pupil", keep.len()));
        trials.retain(&keep);
    }
    let select = |rows: Option<Array2<f32>>| rows.map(|rows| rows.select(Axis(0), &kept));
    Ok((select(behavior), select(pupil_center)))
}

fn rows(
    layout: &Layout,
    key: &str,
    signals: &Signals,
    trials: &Trials,
    account: &mut Account,
) -> Result<Array2<f32>> {
    let source = source::read(&layout.beside(&signals.file), signals.array.as_deref())?;
    source.check_rank(&signals.axes)?;
    let place = |wanted: &[SignalAxis]| signals.axes.iter().position(|axis| wanted.contains(axis));
    let of_rows = place(&[SignalAxis::Image, SignalAxis::Trial]).expect("checked axes");
    let of_signals = place(&[SignalAxis::Signal]).expect("checked axes");
    let ordered = match place(&[SignalAxis::Repeat]) {
        Some(repeats) => source.doubles()?.permuted_axes(vec![of_rows, repeats, of_signals]),
        None => source.doubles()?.permuted_axes(vec![of_rows, of_signals]).insert_axis(Axis(1)),
    };
    let values = ordered.into_dimensionality::<Ix3>().expect("three axes");
    let (places, repeats, count) = values.dim();
    if (places, repeats) != (trials.places, trials.repeats) || count == 0 {
        let axis = if trials.are_of_images { "images" } else { "trials" };
        let expected =
            format!("{} {axis} x {} repeats, like the responses", trials.places, trials.repeats);
        let found = format!("{places} x {repeats} of {count} signals");
        return Err(source
            .mismatch(expected, found, "correct the axes in the layout, or the array")
            .into());
    }
    if key == "pupil_center" && count != 2 {
        return Err(source
            .mismatch("2 signals: x and y", count.to_string(), "save the two coordinates")
            .into());
    }
    account.took(format!("{key} from {}: {count} signals", source.shown()));
    if key == "behavior" && count == 3 {
        account.assumes("the behavior signals are pupil size, its change, and running speed");
    }
    let of_trial = |(place, repeat): (&usize, &usize)| {
        values.slice(ndarray::s![*place, *repeat, ..]).mapv(|value| value as f32)
    };
    let flat: Vec<f32> = trials.place.iter().zip(&trials.repeat).flat_map(of_trial).collect();
    Ok(Array2::from_shape_vec((trials.place.len(), count), flat).expect("a row for each trial"))
}
