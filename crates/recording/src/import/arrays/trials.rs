//! Turns an array of responses into one row per trial.

use super::layout::{Layout, ResponseAxis};
use crate::Result;
use crate::import::Account;
use crate::import::source::{self, Source};
use ndarray::{Array2, Array3, ArrayD, Axis, Ix3};

/// One row per recorded trial.
pub(super) struct Trials {
    /// The image of each trial, from 0.
    pub image: Vec<usize>,
    /// The index of each trial along the image or trial axis, and the size of that axis.
    pub place: Vec<usize>,
    pub places: usize,
    /// The index of each trial along the repeat axis, and the size of that axis (1 without one).
    pub repeat: Vec<usize>,
    pub repeats: usize,
    /// Whether responses have an image axis instead of a trial axis.
    pub are_of_images: bool,
    /// `[trials, neurons]`.
    pub responses: Array2<f32>,
}

/// Responses that were not yet checked for missing values.
pub(super) struct Opened {
    source: Source,
    /// `[images or trials, repeats, neurons]`.
    values: Array3<f64>,
    are_of_images: bool,
}

pub(super) fn open(layout: &Layout, account: &mut Account) -> Result<Opened> {
    let axes = &layout.responses.axes;
    let source =
        source::read(&layout.beside(&layout.responses.file), layout.responses.array.as_deref())?;
    source.check_rank(axes)?;
    let sizes: Vec<String> = source
        .shape()
        .iter()
        .zip(axes)
        .map(|(size, axis)| format!("{size} {}s", format!("{axis:?}").to_lowercase()))
        .collect();
    account.took(format!(
        "responses from {}: {}, {}",
        source.shown(),
        sizes.join(" x "),
        source.data.dtype()
    ));
    let values = in_order(source.doubles()?, axes);
    Ok(Opened { source, values, are_of_images: layout.trials.is_none() })
}

impl Opened {
    /// The numbers of images and neurons, if an axis states the number of images.
    pub(super) fn images(&self) -> Option<(usize, usize)> {
        let (images, _, neurons) = self.values.dim();
        self.are_of_images.then_some((images, neurons))
    }

    /// The trials with values.
    pub(super) fn trials(self, layout: &Layout, account: &mut Account) -> Result<Trials> {
        let Self { source, values, are_of_images } = self;
        let (places, repeats, neurons) = values.dim();
        let of_trials = match &layout.trials {
            None => None,
            Some(trials) => Some(numbers_of_images(layout, trials, places, account)?),
        };
        let (mut image, mut place, mut of_repeat, mut rows, mut absent) =
            (vec![], vec![], vec![], vec![], 0);
        for (row, of_row) in values.outer_iter().enumerate() {
            for (repeat, trial) in of_row.outer_iter().enumerate() {
                let missing = trial.iter().filter(|value| value.is_nan()).count();
                if missing == trial.len() {
                    absent += 1;
                    continue;
                }
                if let Some(neuron) = trial.iter().position(|value| !(*value as f32).is_finite()) {
                    let at = match of_trials {
                        Some(_) => format!("trial {row}"),
                        None => format!("image {row}, repeat {repeat}"),
                    };
                    let others = trial.len() - missing;
                    let found = format!(
                        "{} for neuron {neuron} at {at}, where {others} neurons have values",
                        trial[neuron]
                    );
                    let expected = "values for all neurons of a trial, or for none";
                    let advice = "remove that neuron or that trial from the arrays";
                    return Err(source.mismatch(expected, found, advice).into());
                }
                place.push(row);
                of_repeat.push(repeat);
                image.push(of_trials.as_ref().map_or(row, |numbers| numbers[row]));
                rows.extend(trial.iter().map(|value| *value as f32));
            }
        }
        if absent > 0 {
            let all = places * repeats;
            account.dropped_as(format!(
                "{absent} of {all} trials without values: images with fewer repeats"
            ));
        }
        let responses = Array2::from_shape_vec((image.len(), neurons), rows)
            .expect("one value for each trial and neuron");
        if image.is_empty() || neurons == 0 {
            let found = format!("{} x {neurons}", image.len());
            return Err(source
                .mismatch("at least one trial and neuron", found, "add trials and neurons")
                .into());
        }
        Ok(Trials { image, place, places, repeat: of_repeat, repeats, are_of_images, responses })
    }
}

impl Trials {
    /// Removes the trials where `keep` is false.
    pub(super) fn retain(&mut self, keep: &[bool]) {
        let kept: Vec<usize> = (0..keep.len()).filter(|trial| keep[*trial]).collect();
        let of = |values: &[usize]| kept.iter().map(|trial| values[*trial]).collect();
        (self.image, self.place, self.repeat) =
            (of(&self.image), of(&self.place), of(&self.repeat));
        self.responses = self.responses.select(Axis(0), &kept);
    }
}

/// `[images or trials, repeats, neurons]`.
fn in_order(values: ArrayD<f64>, axes: &[ResponseAxis]) -> Array3<f64> {
    let place = |wanted: &[ResponseAxis]| axes.iter().position(|axis| wanted.contains(axis));
    let rows = place(&[ResponseAxis::Image, ResponseAxis::Trial]).expect("checked axes");
    let neurons = place(&[ResponseAxis::Neuron]).expect("checked axes");
    let ordered = match place(&[ResponseAxis::Repeat]) {
        Some(repeats) => values.permuted_axes(vec![rows, repeats, neurons]),
        None => values.permuted_axes(vec![rows, neurons]).insert_axis(Axis(1)),
    };
    ordered.into_dimensionality::<Ix3>().expect("three axes")
}

fn numbers_of_images(
    layout: &Layout,
    trials: &super::layout::Trials,
    count: usize,
    account: &mut Account,
) -> Result<Vec<usize>> {
    let source = source::read(&layout.beside(&trials.file), trials.array.as_deref())?;
    let numbers = source.whole_numbers()?;
    if numbers.len() != count {
        let expected = format!("{count} image numbers, one per trial of the responses");
        return Err(source
            .mismatch(expected, numbers.len().to_string(), "save both for the same trials")
            .into());
    }
    let first = layout.first_image as i64;
    let from_first = |(trial, number): (usize, &i64)| {
        usize::try_from(number - first).map_err(|_| {
            let advice = "set first_image in the layout to the number of the first image: 0, or 1 as in MATLAB";
            source.mismatch(format!("numbers of at least {first}"), format!("{number} in trial {trial}"), advice)
        })
    };
    let numbers =
        numbers.iter().enumerate().map(from_first).collect::<std::result::Result<Vec<_>, _>>()?;
    account.took(format!("the image of each trial from {}", source.shown()));
    if !numbers.contains(&0) {
        account.assumes(format!(
            "image numbers start at {first}, although no trial shows image {first}"
        ));
    }
    Ok(numbers)
}
