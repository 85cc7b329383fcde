//! Bisection of epsilon for one image.

/// Range and precision of the search with attacks that need an epsilon.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Search {
    /// Largest perturbation tried, such as [`Norm::range`](crate::Norm::range): the norm of the
    /// largest possible change. Images that withstand it are censored there.
    pub largest: f64,
    /// The bisection stops when the smallest successful and largest unsuccessful sizes differ by
    /// less than this fraction of the former.
    pub tolerance: f64,
}

/// The interval that contains the smallest perturbation of an image, for one attack.
pub(crate) struct Bracket {
    lower: f64,
    upper: Option<f64>,
    /// The attack has not been tried yet.
    fresh: bool,
    /// The attack fails at the largest size, or just below the size found by another attack, so
    /// smaller ones need no try.
    hopeless: bool,
}

impl Bracket {
    pub(crate) fn new(upper: Option<f64>) -> Self {
        Self { lower: 0.0, upper, fresh: true, hopeless: false }
    }

    pub(crate) fn is_open(&self, search: Search) -> bool {
        let wide = self.upper.is_none_or(|upper| upper - self.lower > search.tolerance * upper);
        wide && !self.hopeless
    }

    pub(crate) fn next(&self, search: Search) -> f64 {
        match self.upper {
            None => search.largest,
            // First test whether this attack can improve at all.
            Some(upper) if self.fresh => upper * (1.0 - search.tolerance),
            Some(upper) => 0.5 * (self.lower + upper),
        }
    }

    pub(crate) fn enter(&mut self, epsilon: f64, found: Option<f64>) {
        match found {
            Some(distance) => {
                self.upper = Some(self.upper.map_or(distance, |upper| upper.min(distance)))
            }
            None if self.fresh => self.hopeless = true,
            None => self.lower = epsilon,
        }
        self.fresh = false;
    }
}
