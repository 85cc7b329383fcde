//! The smallest perturbation that misleads, image by image, over an ensemble of attacks.

use crate::attack::{AttackKind, Attacked, Job, already, attack_some};
use crate::batch::Counts;
use crate::{
    Attack, BrendelBethge, Classifier, Ddn, DeepFool, Error, Fmn, LabeledBatch, LineSearch, Loss, Norm, Pgd, Progress, Result,
    Settings,
};

/// Rounds of bisection at most; a tolerance of 1% needs about half of them.
const ROUNDS: usize = 24;

/// How far to search with attacks that need an epsilon, and how finely.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Search {
    /// Largest perturbation tried. An image that withstands it is censored there.
    pub largest: f64,
    /// Where to stop: relative distance of a size that misleads and one that does not.
    pub tolerance: f64,
}

/// The smallest perturbation found for an image.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub enum Perturbation {
    /// Of this size, verified.
    Found(f64),
    /// None of at most this size.
    Censored(f64),
}

impl Perturbation {
    /// Its size, where one was found.
    pub fn found(self) -> Option<f64> {
        match self {
            Self::Found(size) => Some(size),
            Self::Censored(_) => None,
        }
    }

    /// The size that was found, or withstood.
    pub fn size(self) -> f64 {
        match self {
            Self::Found(size) | Self::Censored(size) => size,
        }
    }
}

/// What is known about one image: the nearest adversarial point so far and its cost.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageRecord {
    /// Whether it was adversarial as it was.
    pub already: bool,
    /// The nearest adversarial image so far, verified on its own, and the attack that found it.
    pub nearest: Option<(Vec<f32>, String)>,
    /// What it has cost.
    pub counts: Counts,
}

/// The smallest perturbations found so far, in one norm: a record for each image. Attacks come one after the other
/// ([`MinimalPerturbations::approach`]), each starting from what is known; between them this can be put on disk and taken up
/// again ([`MinimalPerturbations::restore`]).
#[derive(Clone, Debug, PartialEq)]
pub struct MinimalPerturbations {
    norm: Norm,
    records: Vec<ImageRecord>,
}

impl MinimalPerturbations {
    /// Records that hold nothing but which images are adversarial as they are.
    ///
    /// # Errors
    /// A label or target without a logit, a logit that is not finite, a failing model.
    pub fn new(model: &dyn Classifier, labeled: &LabeledBatch, norm: Norm, settings: Settings) -> Result<Self> {
        let records = already(model, labeled, settings)?
            .into_iter()
            .map(|already| ImageRecord { already, nearest: None, counts: Counts::default() })
            .collect();
        Ok(Self { norm, records })
    }

    /// From records that were kept before.
    pub fn restore(norm: Norm, records: Vec<ImageRecord>) -> Self {
        Self { norm, records }
    }

    /// The record of each image.
    pub fn records(&self) -> &[ImageRecord] {
        &self.records
    }

    /// The norm of the distances.
    pub fn norm(&self) -> Norm {
        self.norm
    }

    /// Distance of the nearest adversarial image, for each image: 0 where the image is one itself.
    pub fn distances(&self, labeled: &LabeledBatch) -> Vec<Option<f64>> {
        let distance = |(index, record): (usize, &ImageRecord)| match (&record.nearest, record.already) {
            (_, true) => Some(0.0),
            (Some((pixels, _)), false) => Some(self.norm.distance(labeled.image(index), pixels)),
            (None, false) => None,
        };
        self.records.iter().enumerate().map(distance).collect()
    }

    /// The smallest perturbations of the images that were not adversarial to begin with; those that withstood are censored
    /// at the largest size that was searched.
    pub fn perturbations(&self, labeled: &LabeledBatch, search: Search) -> Vec<Perturbation> {
        self.distances(labeled)
            .into_iter()
            .zip(&self.records)
            .filter(|(_, record)| !record.already)
            .map(|(distance, _)| distance.map_or(Perturbation::Censored(search.largest), Perturbation::Found))
            .collect()
    }

    /// Lets one more attack try to come nearer. One that looks for the smallest perturbation runs once; of one that needs
    /// an epsilon, the epsilon is bisected for each image. A later attack has only to beat the earlier ones.
    ///
    /// # Errors
    /// Another norm; a largest size or tolerance that makes no sense; as [`crate::attack()`].
    pub fn approach(
        &mut self,
        model: &dyn Classifier,
        attack: &dyn Attack,
        labeled: &LabeledBatch,
        search: Search,
        settings: Settings,
        observe: &mut dyn FnMut(Progress),
    ) -> Result<()> {
        self.check(attack, labeled, search)?;
        match attack.kind() {
            AttackKind::Minimization => self.run_once(model, attack, labeled, settings, observe),
            AttackKind::FixedEpsilon => self.bisect(model, attack, labeled, search, settings, observe),
        }
    }

    fn check(&self, attack: &dyn Attack, labeled: &LabeledBatch, search: Search) -> Result<()> {
        if attack.norm() != self.norm || labeled.len() != self.records.len() {
            return Err(Error::Size {
                what: "attack and images",
                expected: format!("{:?} and {} images", self.norm, self.records.len()),
                found: format!("{:?} and {} images", attack.norm(), labeled.len()),
            });
        }
        self.norm.check(&[search.largest], labeled.area())?;
        let sensible = |what, value: f64| match value > 0.0 && value < f64::INFINITY {
            true => Ok(()),
            false => Err(Error::Level { what, index: 0, expected: "above 0".into(), found: value }),
        };
        sensible("largest perturbation", search.largest)?;
        sensible("tolerance", search.tolerance)
    }

    fn run_once(
        &mut self,
        model: &dyn Classifier,
        attack: &dyn Attack,
        labeled: &LabeledBatch,
        settings: Settings,
        observe: &mut dyn FnMut(Progress),
    ) -> Result<()> {
        let epsilon = self.norm.range(labeled.area());
        let open: Vec<usize> = (0..labeled.len()).filter(|index| !self.records[*index].already).collect();
        let attacked = self.try_at(model, attack, labeled, &open, &vec![epsilon; open.len()], settings, observe)?;
        for index in open {
            self.enter(index, attack, &attacked, labeled);
        }
        Ok(())
    }

    fn bisect(
        &mut self,
        model: &dyn Classifier,
        attack: &dyn Attack,
        labeled: &LabeledBatch,
        search: Search,
        settings: Settings,
        observe: &mut dyn FnMut(Progress),
    ) -> Result<()> {
        let mut brackets: Vec<Bracket> = self.distances(labeled).into_iter().map(Bracket::new).collect();
        for round in 0..ROUNDS {
            let open: Vec<usize> = (0..labeled.len()).filter(|index| brackets[*index].is_open(search)).collect();
            observe(Progress { done: labeled.len() - open.len(), total: labeled.len() });
            if open.is_empty() {
                break;
            }
            let epsilons: Vec<f64> = open.iter().map(|index| brackets[*index].next(search)).collect();
            let attacked = self.try_at(model, attack, labeled, &open, &epsilons, settings, &mut |_| {})?;
            for (index, epsilon) in open.iter().zip(&epsilons) {
                let outcome = attacked.outcomes()[*index];
                brackets[*index].enter(*epsilon, outcome.success.then_some(outcome.distance));
                self.enter(*index, attack, &attacked, labeled);
            }
            tracing::debug!(attack = attack.name(), round, open = open.len());
        }
        Ok(())
    }

    fn try_at(
        &self,
        model: &dyn Classifier,
        attack: &dyn Attack,
        labeled: &LabeledBatch,
        open: &[usize],
        epsilons: &[f64],
        settings: Settings,
        observe: &mut dyn FnMut(Progress),
    ) -> Result<Attacked> {
        let jobs: Vec<Job> = open
            .iter()
            .zip(epsilons)
            .map(|(index, epsilon)| {
                let start = self.records[*index].nearest.as_ref().map(|(pixels, _)| pixels.as_slice());
                Job { index: *index, epsilon: *epsilon, start }
            })
            .collect();
        let already: Vec<bool> = self.records.iter().map(|record| record.already).collect();
        let mut attacked = Attacked::unharmed(labeled, &already);
        attack_some(model, attack, attack.kind(), labeled, &jobs, settings, &mut attacked, observe)?;
        Ok(attacked)
    }

    /// Takes over what an attack found for an image, if it is nearer.
    fn enter(&mut self, index: usize, attack: &dyn Attack, attacked: &Attacked, labeled: &LabeledBatch) {
        let outcome = attacked.outcomes()[index];
        let record = &mut self.records[index];
        record.counts = record.counts.plus(outcome.counts);
        let before = record.nearest.as_ref().map(|(pixels, _)| self.norm.distance(labeled.image(index), pixels));
        if outcome.success && before.is_none_or(|before| outcome.distance < before) {
            record.nearest = Some((attacked.image(index).to_vec(), attack.name()));
        }
    }
}

/// The attacks of the paper's protocol in one norm, in the order in which they help each other: cheap ones that come near,
/// then one that follows the decision boundary from there in `decision_boundary_steps` steps, then what is left beyond the
/// decision boundary is taken off.
pub fn ensemble(norm: Norm, decision_boundary_steps: usize) -> Vec<Box<dyn Attack>> {
    let mut attacks: Vec<Box<dyn Attack>> =
        vec![Box::new(DeepFool::new(norm)), Box::new(LineSearch::new(norm)), Box::new(Fmn::new(norm))];
    match norm {
        Norm::L2 => attacks.push(Box::new(Ddn::default())),
        Norm::Linf => attacks.push(Box::new(Pgd::new(norm).from_the_image().with_loss(Loss::Margin))),
    }
    attacks.push(Box::new(BrendelBethge::new(norm).with_steps(decision_boundary_steps)));
    attacks.push(Box::new(LineSearch::new(norm)));
    attacks
}

/// Between which sizes the smallest perturbation of an image lies, for the attack at hand.
struct Bracket {
    lower: f64,
    upper: Option<f64>,
    /// The attack has not been tried yet.
    fresh: bool,
    /// It fails at the largest size, or just below what is known, so smaller ones need no try.
    hopeless: bool,
}

impl Bracket {
    fn new(upper: Option<f64>) -> Self {
        Self { lower: 0.0, upper, fresh: true, hopeless: false }
    }

    fn is_open(&self, search: Search) -> bool {
        let wide = self.upper.is_none_or(|upper| upper - self.lower > search.tolerance * upper);
        wide && !self.hopeless
    }

    fn next(&self, search: Search) -> f64 {
        match self.upper {
            None => search.largest,
            // Whether it can do better at all.
            Some(upper) if self.fresh => upper * (1.0 - search.tolerance),
            Some(upper) => 0.5 * (self.lower + upper),
        }
    }

    fn enter(&mut self, epsilon: f64, found: Option<f64>) {
        match found {
            Some(distance) => self.upper = Some(self.upper.map_or(distance, |upper| upper.min(distance))),
            None if self.fresh => self.hopeless = true,
            None => self.lower = epsilon,
        }
        self.fresh = false;
    }
}
