//! Bisection of the size of an attack, for one image.

/// How far to search with attacks that need an epsilon, and how finely.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Search {
    /// Largest perturbation tried. An image that withstands it is censored there.
    pub largest: f64,
    /// The bisection stops once a size that misleads and one that does not differ by this share of the former.
    pub tolerance: f64,
}

/// The sizes between which the smallest perturbation of an image lies, for one attack.
pub(crate) struct Bracket {
    lower: f64,
    upper: Option<f64>,
    /// The attack has not been tried yet.
    fresh: bool,
    /// The attack fails at the largest size, or just below the size that another has found: no smaller one needs a try.
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
            // Whether it can do better at all.
            Some(upper) if self.fresh => upper * (1.0 - search.tolerance),
            Some(upper) => 0.5 * (self.lower + upper),
        }
    }

    pub(crate) fn enter(&mut self, epsilon: f64, found: Option<f64>) {
        match found {
            Some(distance) => self.upper = Some(self.upper.map_or(distance, |upper| upper.min(distance))),
            None if self.fresh => self.hopeless = true,
            None => self.lower = epsilon,
        }
        self.fresh = false;
    }
}
