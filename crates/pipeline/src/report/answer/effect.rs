//! One difference between two conditions, in a sentence.

use super::super::page::Sign;
use crate::artifacts::{Difference, Ratio};

/// The conclusion from all seeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// The 95% interval lies above no difference.
    More,
    /// The 95% interval lies below no difference.
    Less,
    /// The interval includes no difference.
    Undecided,
    /// The number of seeds, one or two: one has no interval, and the interval of two says less than
    /// both values.
    TooFewSeeds(usize),
}

impl Seen {
    pub(super) fn sign(self) -> (Sign, &'static str) {
        match self {
            Self::More => (Sign::More, "more"),
            Self::Less => (Sign::Less, "less"),
            Self::Undecided => (Sign::Open, "undecided"),
            Self::TooFewSeeds(1) => (Sign::Open, "one seed"),
            Self::TooFewSeeds(_) => (Sign::Open, "two seeds"),
        }
    }
}

/// The unit of a difference.
enum Unit {
    /// Points of accuracy, 0 if both are equal.
    Points,
    /// A ratio of smallest perturbations in a norm, 1 if both are equal.
    Times(String),
}

/// A difference in one figure.
pub(super) struct Effect {
    when: String,
    one: String,
    other: String,
    unit: Unit,
    mean: f64,
    values: Vec<f64>,
    /// The 95% interval over seeds.
    interval: Option<(f64, f64)>,
}

impl Effect {
    /// A difference in accuracy; `when` begins the sentence.
    pub(super) fn points(when: String, one: &str, other: &str, found: Difference) -> Self {
        let percent = |share: f64| 100.0 * share;
        let mean = percent(found.over_seeds.mean);
        let interval = found.half_width.map(|half| (mean - percent(half), mean + percent(half)));
        let values = found.over_seeds.values.into_iter().map(percent).collect();
        Self {
            when,
            one: one.into(),
            other: other.into(),
            unit: Unit::Points,
            mean,
            values,
            interval,
        }
    }

    /// A ratio of smallest perturbations; `None` if a seed has none.
    pub(super) fn ratio(norm: &str, one: &str, other: &str, found: &Ratio) -> Option<Self> {
        let values: Option<Vec<f64>> = found.seeds.iter().map(|seed| seed.ratio).collect();
        Some(Self {
            when: String::new(),
            one: one.into(),
            other: other.into(),
            unit: Unit::Times(norm_in_words(norm)),
            mean: found.ratio?,
            values: values?,
            interval: found.low.zip(found.high),
        })
    }

    fn equal(&self) -> f64 {
        match self.unit {
            Unit::Points => 0.0,
            Unit::Times(_) => 1.0,
        }
    }

    pub(super) fn seen(&self) -> Seen {
        match (self.values.len(), self.interval) {
            (seeds @ 0..=2, _) => Seen::TooFewSeeds(seeds),
            (_, Some((low, _))) if low > self.equal() => Seen::More,
            (_, Some((_, high))) if high < self.equal() => Seen::Less,
            (_, Some(_)) => Seen::Undecided,
            (seeds, None) => Seen::TooFewSeeds(seeds),
        }
    }

    /// Whether its sentence begins with `when`.
    pub(super) fn is_of(&self, when: &str) -> bool {
        self.when == when
    }

    /// The difference with its interval, as a sentence.
    pub(super) fn sentence(&self) -> String {
        match &self.unit {
            Unit::Points => self.in_points(),
            Unit::Times(norm) => self.in_times(norm),
        }
    }

    fn in_points(&self) -> String {
        let Self { when, one, other, mean, .. } = self;
        let size = mean.abs();
        match (self.seen(), self.values.as_slice()) {
            (Seen::TooFewSeeds(_), [first, second]) => format!(
                "{when}, {one} minus {other} is {} points of accuracy with one seed and {} with the other.",
                signed(*first, 1),
                signed(*second, 1)
            ),
            (Seen::TooFewSeeds(_), _) => format!(
                "{when}, {one} is {size:.1} points of accuracy {} {other} with the one seed that is compared; a single seed has no interval, so this may be chance.",
                above(*mean)
            ),
            (Seen::Undecided, _) => format!(
                "{when}, {one} is {size:.1} points of accuracy {} {other} on average, but the interval includes zero ({}).{}",
                above(*mean),
                self.interval_in_words(),
                self.direction()
            ),
            (Seen::More | Seen::Less, _) => {
                format!(
                    "{when}, {one} is {size:.1} points of accuracy {} {other} ({}).",
                    above(*mean),
                    self.interval_in_words()
                )
            }
        }
    }

    fn in_times(&self, norm: &str) -> String {
        let Self { one, other, mean, .. } = self;
        let what = format!("The smallest perturbations ({norm}) that mislead {one} are");
        match (self.seen(), self.values.as_slice()) {
            (Seen::TooFewSeeds(_), [first, second]) => {
                format!(
                    "{what} {first:.2} times as large as those of {other} with one seed and {second:.2} times with the other."
                )
            }
            (Seen::TooFewSeeds(_), _) => format!(
                "{what} {mean:.2} times as large as those of {other} with the one seed that is compared; a single seed has no interval over seeds."
            ),
            (Seen::Undecided, _) => format!(
                "{what} {mean:.2} times as large as those of {other} on average, but the interval includes 1 ({}).{}",
                self.interval_in_words(),
                self.direction()
            ),
            (Seen::More | Seen::Less, _) => {
                format!(
                    "{what} {mean:.2} times as large as those of {other} ({}).",
                    self.interval_in_words()
                )
            }
        }
    }

    fn interval_in_words(&self) -> String {
        let (low, high) = self.interval.unwrap_or((f64::NAN, f64::NAN));
        let (low, high) = match self.unit {
            Unit::Points => (signed(low, 1), signed(high, 1)),
            Unit::Times(_) => (format!("{low:.2}"), format!("{high:.2}")),
        };
        format!("95% interval over {} seeds: {low} to {high}", self.values.len())
    }

    /// Whether the seeds at least agree on the direction.
    fn direction(&self) -> String {
        let above = self.values.iter().filter(|value| **value > self.equal()).count();
        let seeds = self.values.len();
        if above == seeds {
            format!(" It is ahead with each of the {seeds} seeds.")
        } else if self.values.iter().all(|value| *value < self.equal()) {
            format!(" It is behind with each of the {seeds} seeds.")
        } else {
            format!(" It is ahead with {above} of {seeds} seeds.")
        }
    }
}

fn norm_in_words(norm: &str) -> String {
    match norm {
        "linf" => "Linf".into(),
        other => other.to_uppercase(),
    }
}

fn above(value: f64) -> &'static str {
    if value < 0.0 { "below" } else { "above" }
}

/// The number with its sign, with a typographic minus.
fn signed(value: f64, digits: usize) -> String {
    format!("{value:+.digits$}").replace('-', "−")
}
