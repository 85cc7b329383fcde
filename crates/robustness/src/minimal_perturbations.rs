//! The smallest adversarial perturbation of each image over an ensemble of attacks.

use crate::accuracy::already_adversarial;
use crate::bracket::Bracket;
use crate::driver::{Driver, Job};
use crate::{
    Accuracy, Attack, AttackKind, Attacked, Classifier, Counts, Error, EvalOptions, LabeledBatch,
    Norm, Perturbation, Progress, Result, Search, Settings,
};

/// Maximum rounds of bisection; a tolerance of 1% needs about half as many.
const ROUNDS: usize = 24;

/// The nearest adversarial point found so far for one image, and its cost.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageRecord {
    /// Whether the unperturbed image was already adversarial.
    pub already: bool,
    /// The nearest adversarial image so far, verified on its own, and the attack that found it.
    pub nearest: Option<(Vec<f32>, String)>,
    /// The cost so far.
    pub counts: Counts,
}

/// The smallest perturbations found so far in one norm, one record per image. Attacks run one after
/// the other ([`MinimalPerturbations::approach`]), and each starts from what the earlier ones
/// found. Between attacks the records can be saved and later restored
/// ([`MinimalPerturbations::restore`]).
#[derive(Clone, Debug, PartialEq)]
pub struct MinimalPerturbations {
    norm: Norm,
    records: Vec<ImageRecord>,
}

impl MinimalPerturbations {
    /// Starts with records that only say which images are already adversarial.
    ///
    /// # Errors
    /// Returns the errors of [`correct`](crate::correct).
    pub fn new(
        model: &dyn Classifier,
        labeled: &LabeledBatch,
        norm: Norm,
        settings: Settings,
    ) -> Result<Self> {
        let records = already_adversarial(model, labeled, settings)?
            .into_iter()
            .map(|already| ImageRecord { already, nearest: None, counts: Counts::default() })
            .collect();
        Ok(Self { norm, records })
    }

    /// Restores saved records.
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

    /// For each image, the distance to the nearest adversarial image found: 0 if the image itself
    /// is adversarial.
    pub fn distances(&self, labeled: &LabeledBatch) -> Vec<Option<f64>> {
        let distance =
            |(index, record): (usize, &ImageRecord)| match (&record.nearest, record.already) {
                (_, true) => Some(0.0),
                (Some((pixels, _)), false) => {
                    Some(self.norm.distance(labeled.image(index), pixels))
                }
                (None, false) => None,
            };
        self.records.iter().enumerate().map(distance).collect()
    }

    /// The smallest perturbations of the images that were not already adversarial. Images that
    /// withstood all attacks are censored at the largest size searched.
    pub fn perturbations(&self, labeled: &LabeledBatch, search: Search) -> Vec<Perturbation> {
        self.distances(labeled)
            .into_iter()
            .zip(&self.records)
            .filter(|(_, record)| !record.already)
            .map(|(distance, _)| {
                distance.map_or(Perturbation::Censored(search.largest), Perturbation::Found)
            })
            .collect()
    }

    /// Accuracy at each of `epsilons`: the number of all images that are classified correctly and
    /// withstand every perturbation of at most that size, as far as the attacks found.
    /// Misclassified images count as errors at every epsilon, so that networks of different
    /// accuracy can be compared.
    ///
    /// # Errors
    /// Returns [`Error::Size`] if the numbers of images and records differ, and [`Error::Level`] if
    /// an epsilon is below 0 or above the largest size searched, beyond which nothing is known
    /// about images that withstood.
    pub fn accuracies(
        &self,
        labeled: &LabeledBatch,
        search: Search,
        epsilons: &[f64],
    ) -> Result<Vec<Accuracy>> {
        let perturbations = self.of_all_images(labeled, search)?;
        if let Some(index) =
            epsilons.iter().position(|epsilon| !(0.0..=search.largest).contains(epsilon))
        {
            let expected = format!("0 to {}, the largest size searched", search.largest);
            return Err(Error::Level { what: "epsilon", index, expected, found: epsilons[index] });
        }
        let standing = |epsilon: &f64| {
            let stands = |perturbation: &&Perturbation| {
                perturbation.found().is_none_or(|size| size > *epsilon)
            };
            Accuracy::new(perturbations.iter().filter(stands).count(), labeled.len())
        };
        Ok(epsilons.iter().map(standing).collect())
    }

    /// The smallest perturbation of every image: 0 if it is already adversarial, and censored at
    /// the largest size searched if none is known up to there.
    pub(crate) fn of_all_images(
        &self,
        labeled: &LabeledBatch,
        search: Search,
    ) -> Result<Vec<Perturbation>> {
        if labeled.len() != self.records.len() {
            let (expected, found) =
                (format!("{}, one per record", self.records.len()), labeled.len().to_string());
            return Err(Error::Size { what: "images", expected, found });
        }
        let one = |distance: Option<f64>| match distance {
            Some(size) if size <= search.largest => Perturbation::Found(size),
            _ => Perturbation::Censored(search.largest),
        };
        Ok(self.distances(labeled).into_iter().map(one).collect())
    }

    /// Lets one more attack try to find smaller perturbations. A minimization attack runs once. For
    /// an attack that needs an epsilon, epsilon is bisected for each image. Later attacks only have
    /// to beat earlier ones.
    ///
    /// # Errors
    /// Returns [`Error::Size`] if the attack's norm or the number of images does not match the
    /// records, [`Error::Level`] if the largest size or the tolerance is not above 0 or the size
    /// exceeds the range of the norm, and the errors of [`attack()`](crate::attack()).
    pub fn approach<'a>(
        &mut self,
        model: &dyn Classifier,
        attack: &dyn Attack,
        labeled: &LabeledBatch,
        search: Search,
        options: impl Into<EvalOptions<'a>>,
    ) -> Result<()> {
        self.check(attack, labeled, search)?;
        let mut options = options.into();
        let driver =
            Driver { model, attack, kind: attack.kind(), labeled, settings: options.settings };
        let observe = &mut |progress| options.tell(progress);
        match attack.kind() {
            AttackKind::Minimization => self.run_once(&driver, observe),
            AttackKind::FixedEpsilon => self.bisect(&driver, search, observe),
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

    fn run_once(&mut self, driver: &Driver, observe: &mut dyn FnMut(Progress)) -> Result<()> {
        let labeled = driver.labeled;
        let epsilon = self.norm.range(labeled.area());
        let open: Vec<usize> =
            (0..labeled.len()).filter(|index| !self.records[*index].already).collect();
        let attacked = self.try_at(driver, &open, &vec![epsilon; open.len()], observe)?;
        for index in open {
            self.enter(index, driver.attack, &attacked, labeled);
        }
        Ok(())
    }

    fn bisect(
        &mut self,
        driver: &Driver,
        search: Search,
        observe: &mut dyn FnMut(Progress),
    ) -> Result<()> {
        let (labeled, attack) = (driver.labeled, driver.attack);
        let mut brackets: Vec<Bracket> =
            self.distances(labeled).into_iter().map(Bracket::new).collect();
        for round in 0..ROUNDS {
            let open: Vec<usize> =
                (0..labeled.len()).filter(|index| brackets[*index].is_open(search)).collect();
            observe(Progress { done: labeled.len() - open.len(), total: labeled.len() });
            if open.is_empty() {
                break;
            }
            let epsilons: Vec<f64> =
                open.iter().map(|index| brackets[*index].next(search)).collect();
            let attacked = self.try_at(driver, &open, &epsilons, &mut |_| {})?;
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
        driver: &Driver,
        open: &[usize],
        epsilons: &[f64],
        observe: &mut dyn FnMut(Progress),
    ) -> Result<Attacked> {
        let jobs: Vec<Job> = open
            .iter()
            .zip(epsilons)
            .map(|(index, epsilon)| {
                let start =
                    self.records[*index].nearest.as_ref().map(|(pixels, _)| pixels.as_slice());
                Job { index: *index, epsilon: *epsilon, start }
            })
            .collect();
        let already: Vec<bool> = self.records.iter().map(|record| record.already).collect();
        let mut attacked = Attacked::unharmed(driver.labeled, &already);
        driver.attack_some(&jobs, &mut attacked, observe)?;
        Ok(attacked)
    }

    /// Keeps an attack's result for an image if it is closer.
    fn enter(
        &mut self,
        index: usize,
        attack: &dyn Attack,
        attacked: &Attacked,
        labeled: &LabeledBatch,
    ) {
        let outcome = attacked.outcomes()[index];
        let record = &mut self.records[index];
        record.counts = record.counts.plus(outcome.counts);
        let before = record
            .nearest
            .as_ref()
            .map(|(pixels, _)| self.norm.distance(labeled.image(index), pixels));
        if outcome.success && before.is_none_or(|before| outcome.distance < before) {
            record.nearest = Some((attacked.image(index).to_vec(), attack.name()));
        }
    }
}
