//! Time series: groups with `data`, and with `timestamps` or a starting time and a rate.

use crate::Result;
use crate::import::clock::{Clock, means};
use brainprior_artifact::hdf5::{Input, Numbers};
use ndarray::Array2;
use std::ops::Range;

const AGAIN: &str = "write the file again with matching lengths";
/// How many numbers to read at a time.
const BLOCK: usize = 1 << 22;

/// A series in a file.
pub(super) struct Series {
    pub path: String,
    numbers: Numbers,
    pub signals: usize,
    /// Whether its data are `[samples, signals]`, as the format requires, or transposed.
    times_first: bool,
    pub clock: Clock,
    factor: f64,
    offset: f64,
}

impl Series {
    /// Opens a series of `signals` signals, if that number is known. The time axis is the one whose
    /// size matches the number of timestamps, or else the one that does not match the number of
    /// signals.
    pub(super) fn open(input: &Input, path: &str, signals: Option<usize>) -> Result<Self> {
        let data = format!("{path}/data");
        let shape = match input.shape(&data)? {
            Some(shape) if shape.len() == 1 || shape.len() == 2 => shape,
            found => {
                let found = found.map_or("none".to_owned(), |shape| format!("shape {shape:?}"));
                return Err(input
                    .mismatch(&data, "samples x signals", found, "choose another series")
                    .into());
            }
        };
        let times = input
            .shape(&format!("{path}/timestamps"))?
            .map(|shape| shape.iter().product::<usize>());
        let unfit =
            |expected: String| input.mismatch(&data, expected, format!("shape {shape:?}"), AGAIN);
        let times_first = match (shape.get(1), times, signals) {
            (None, ..) => true,
            (_, Some(times), _) if shape[0] == times => true,
            (Some(second), Some(times), _) if *second == times => false,
            (_, Some(times), _) => {
                return Err(unfit(format!("{times} samples, like timestamps")).into());
            }
            (Some(second), None, Some(signals)) => {
                match (*second == signals, shape[0] == signals) {
                    (true, _) => true,
                    (false, true) => false,
                    (false, false) => {
                        return Err(unfit(format!("{signals} signals, like rois")).into());
                    }
                }
            }
            (_, None, None) => true,
        };
        if shape.contains(&0) {
            return Err(unfit("at least one sample and one signal".to_owned()).into());
        }
        let (samples, found) = match (shape.get(1), times_first) {
            (None, _) => (shape[0], 1),
            (Some(second), true) => (shape[0], *second),
            (Some(second), false) => (*second, shape[0]),
        };
        if signals.is_some_and(|signals| signals != found) {
            return Err(unfit(format!("{} signals, like rois", signals.unwrap_or_default())).into());
        }
        Ok(Self {
            path: path.to_owned(),
            numbers: input.numbers(&data, &vec![None; shape.len()])?,
            signals: found,
            times_first,
            clock: clock(input, path, samples)?,
            factor: input.number_attribute(&data, "conversion")?.unwrap_or(1.0),
            offset: input.number_attribute(&data, "offset")?.unwrap_or(0.0),
        })
    }

    /// Ignores the attributes with scale factors.
    pub(super) fn unscaled(mut self) -> Self {
        (self.factor, self.offset) = (1.0, 0.0);
        self
    }

    /// Whether the file stores signals before samples.
    pub(super) fn is_turned(&self) -> bool {
        !self.times_first
    }

    /// All values, `[samples, signals]`.
    pub(super) fn values(&self) -> Result<Array2<f64>> {
        let values = self
            .numbers
            .doubles()?
            .into_iter()
            .map(|value| value * self.factor + self.offset)
            .collect();
        let samples = self.clock.samples();
        Ok(match self.times_first {
            true => Array2::from_shape_vec((samples, self.signals), values)
                .expect("as many values as the shape says"),
            false => {
                let turned = Array2::from_shape_vec((self.signals, samples), values)
                    .expect("as many values as the shape says");
                turned.reversed_axes()
            }
        })
    }

    /// The mean of each signal over each window of samples, `[windows, signals]`. Reads the file
    /// once, in blocks.
    pub(super) fn means(&self, windows: &[Range<usize>]) -> Result<Array2<f64>> {
        let mut sums = Array2::zeros((windows.len(), self.signals));
        if self.times_first {
            self.sum_rows(windows, &mut sums)?;
            for (window, mut sums) in windows.iter().zip(sums.outer_iter_mut()) {
                sums.mapv_inplace(|sum| sum / window.len() as f64);
            }
        } else {
            let at_once = (BLOCK / self.clock.samples().max(1)).max(1);
            for first in (0..self.signals).step_by(at_once) {
                let rows = first..(first + at_once).min(self.signals);
                let block = self.numbers.rows_of_doubles(rows.clone())?;
                for (signal, trace) in rows.zip(block.chunks(self.clock.samples())) {
                    sums.column_mut(signal)
                        .iter_mut()
                        .zip(means(trace, windows))
                        .for_each(|(to, mean)| *to = mean);
                }
            }
        }
        sums.mapv_inplace(|mean| mean * self.factor + self.offset);
        Ok(sums)
    }

    fn sum_rows(&self, windows: &[Range<usize>], sums: &mut Array2<f64>) -> Result<()> {
        let at_once = (BLOCK / self.signals.max(1)).max(1);
        for first in (0..self.clock.samples()).step_by(at_once) {
            let rows = first..(first + at_once).min(self.clock.samples());
            let shared =
                |window: &Range<usize>| window.start.max(rows.start)..window.end.min(rows.end);
            let touched: Vec<usize> =
                (0..windows.len()).filter(|window| !shared(&windows[*window]).is_empty()).collect();
            if touched.is_empty() {
                continue;
            }
            let block = match self.signals {
                // A series of one signal may have a single axis.
                1 => self.numbers.doubles()?[rows.clone()].to_vec(),
                _ => self.numbers.rows_of_doubles(rows.clone())?,
            };
            for window in touched {
                for row in shared(&windows[window]) {
                    let samples = &block[(row - rows.start) * self.signals..][..self.signals];
                    sums.row_mut(window)
                        .iter_mut()
                        .zip(samples)
                        .for_each(|(sum, sample)| *sum += sample);
                }
            }
        }
        Ok(())
    }
}

/// The sampling times of a series.
pub(super) fn clock(input: &Input, path: &str, samples: usize) -> Result<Clock> {
    let (timestamps, starting_time) =
        (format!("{path}/timestamps"), format!("{path}/starting_time"));
    if let Some(shape) = input.shape(&timestamps)? {
        let times = input.numbers(&timestamps, &vec![None; shape.len()])?.doubles()?;
        if times.len() != samples {
            let expected = format!("{samples} times, one per sample");
            return Err(input
                .mismatch(&timestamps, expected, times.len().to_string(), AGAIN)
                .into());
        }
        check_times(input, &timestamps, &times)?;
        return Ok(Clock::Times(times));
    }
    if !input.has(&starting_time)? {
        let expected = "timestamps, or a starting_time and its rate";
        let advice = "they hold the times: write the file again with them";
        return Err(input.mismatch(path, expected, "neither", advice).into());
    }
    let start = input.numbers(&starting_time, &[])?.doubles()?.first().copied().unwrap_or(f64::NAN);
    match input.number_attribute(&starting_time, "rate")? {
        Some(rate) if rate > 0.0 && rate.is_finite() && start.is_finite() => {
            Ok(Clock::Regular { start, rate, samples })
        }
        rate => {
            let found = format!(
                "{start} at {}",
                rate.map_or("no rate".to_owned(), |rate| format!("{rate} Hz"))
            );
            Err(input
                .mismatch(
                    &starting_time,
                    "a finite time, and a rate above 0",
                    found,
                    "write the file again with them",
                )
                .into())
        }
    }
}

/// Checks that times are finite and never decrease.
pub(super) fn check_times(input: &Input, dataset: &str, times: &[f64]) -> Result<()> {
    let found = match (
        times.iter().position(|time| !time.is_finite()),
        times.windows(2).position(|pair| pair[1] < pair[0]),
    ) {
        (Some(place), _) => format!("{} at {place}", times[place]),
        (None, Some(place)) => {
            format!("{} after {} at {}", times[place + 1], times[place], place + 1)
        }
        (None, None) => return Ok(()),
    };
    let advice = "a sample without a valid time cannot be used: write the file again without it";
    Err(input.mismatch(dataset, "finite, non-decreasing times", found, advice).into())
}
