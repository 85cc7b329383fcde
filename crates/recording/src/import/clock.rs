//! Sampling times.

use std::ops::Range;

/// Tolerance in seconds for equal times. Times are stored as f64, whose rounding is a quarter of a
/// microsecond for seconds since 1970.
const ROUNDING: f64 = 1e-6;

/// The time of each sample.
pub(super) enum Clock {
    /// Times that never decrease.
    Times(Vec<f64>),
    Regular {
        start: f64,
        rate: f64,
        samples: usize,
    },
}

impl Clock {
    pub(super) fn samples(&self) -> usize {
        match self {
            Self::Times(times) => times.len(),
            Self::Regular { samples, .. } => *samples,
        }
    }

    pub(super) fn time(&self, sample: usize) -> f64 {
        match self {
            Self::Times(times) => times[sample],
            Self::Regular { start, rate, .. } => start + sample as f64 / rate,
        }
    }

    /// Start of the first sample and end of the last.
    pub(super) fn span(&self) -> [f64; 2] {
        match (self, self.samples()) {
            (_, 0) => [0.0, 0.0],
            (Self::Regular { start, rate, samples }, _) => [*start, start + *samples as f64 / rate],
            (Self::Times(times), count) => {
                let (first, last) = (times[0], times[count - 1]);
                [first, last + (last - first) / (count.max(2) - 1) as f64]
            }
        }
    }

    /// The samples in a time window; `None` if it extends beyond the recording or lies between two
    /// samples.
    pub(super) fn window(&self, [from, to]: [f64; 2]) -> Option<Range<usize>> {
        let [start, end] = self.span();
        let samples = self.first_from(from)..self.first_from(to);
        (from >= start - ROUNDING && to <= end + ROUNDING && !samples.is_empty()).then_some(samples)
    }

    /// The last sample at or before a time.
    pub(super) fn at(&self, time: f64) -> Option<usize> {
        let [start, end] = self.span();
        let after = self.first_from(time + 2.0 * ROUNDING);
        (time >= start - ROUNDING && time <= end + ROUNDING).then(|| after.checked_sub(1)).flatten()
    }

    fn first_from(&self, time: f64) -> usize {
        match self {
            Self::Times(times) => times.partition_point(|known| *known < time - ROUNDING),
            Self::Regular { start, rate, samples } => {
                let place = ((time - ROUNDING - start) * rate).ceil();
                (place.max(0.0) as usize).min(*samples)
            }
        }
    }
}

/// The mean of a trace in each window.
pub(super) fn means(trace: &[f64], windows: &[Range<usize>]) -> Vec<f64> {
    windows
        .iter()
        .map(|window| trace[window.clone()].iter().sum::<f64>() / window.len() as f64)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_begin_and_end_at_samples_whatever_rounding_does() {
        let times: Vec<f64> = (0..30).map(|sample| 1.5e9 + f64::from(sample) / 10.0).collect();
        let regular = Clock::Regular { start: 1.5e9, rate: 10.0, samples: 30 };
        for clock in [Clock::Times(times), regular] {
            assert_eq!(clock.window([1.5e9 + 0.3, 1.5e9 + 0.3 + 0.5]), Some(3..8));
            assert_eq!(clock.window([1.5e9 + 0.31, 1.5e9 + 0.79]), Some(4..8));
            assert_eq!(
                clock.window([1.5e9 - 0.1, 1.5e9 + 0.5]),
                None,
                "begins before the recording"
            );
            assert_eq!(clock.window([1.5e9 + 2.9, 1.5e9 + 3.0]), Some(29..30));
            assert_eq!(clock.window([1.5e9 + 2.9, 1.5e9 + 3.1]), None, "ends after it");
            assert_eq!(
                clock.window([1.5e9 + 0.31, 1.5e9 + 0.39]),
                None,
                "lies between two samples"
            );
            assert_eq!(
                (clock.at(1.5e9 + 0.3), clock.at(1.5e9 + 0.29), clock.at(1.5e9 - 1.0)),
                (Some(3), Some(2), None)
            );
        }
        assert_eq!(means(&[1.0, 2.0, 4.0, 8.0], &[0..2, 1..4]), [1.5, 14.0 / 3.0]);
    }
}
