//! The images that an attack works on, their epsilons, and access to the model.

use crate::driver::Driver;
use crate::loss::Slope;
use crate::pass::{self, Pass, batches};
use crate::{AttackKind, Classifier, Counts, Criterion, LabeledBatch, Loss, Norm, Result};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// Images under attack. The attack evaluates the model at points of its choice ([`Batch::query`],
/// [`Batch::pass`]) and leaves the best ones as candidates ([`Batch::set_candidate`],
/// [`Batch::keep_if_closer`]). It stops querying images that are done.
///
/// Points are flat: the values of one image after another, in the order in which images are passed.
pub struct Batch<'a> {
    model: &'a dyn Classifier,
    labeled: &'a LabeledBatch,
    images: Vec<Image>,
    norm: Norm,
    kind: AttackKind,
    seed: u64,
    /// Points per call to the model.
    width: usize,
    /// The pass at the unperturbed images, until an attack takes it.
    clean: Option<Pass>,
}

/// One image of a batch.
#[derive(Clone)]
struct Image {
    index: usize,
    epsilon: f64,
    start: Option<Vec<f32>>,
    candidate: Option<Candidate>,
    counts: Counts,
}

#[derive(Clone)]
struct Candidate {
    pixels: Vec<f32>,
    distance: f64,
}

/// A loss and its gradient, at one point of each queried image.
pub struct Gradients {
    pass: Pass,
    slopes: Vec<Slope>,
    area: usize,
    values: Vec<f32>,
}

impl Gradients {
    /// The gradient at the `row`-th point, one value per pixel.
    pub fn of(&self, row: usize) -> &[f32] {
        &self.values[row * self.area..(row + 1) * self.area]
    }

    /// The loss at the `row`-th point.
    pub fn loss(&self, row: usize) -> f64 {
        self.slopes[row].value
    }

    /// The logits at the `row`-th point.
    pub fn logits(&self, row: usize) -> &[f32] {
        self.pass.logits(row)
    }
}

impl<'a> Batch<'a> {
    /// The images of the driver at `indices`, each with its epsilon.
    pub(crate) fn new(driver: &Driver<'a>, indices: &[usize], epsilons: &[f64]) -> Self {
        let Driver { model, attack, kind, labeled, settings } = *driver;
        assert_eq!(indices.len(), epsilons.len(), "an epsilon for each image");
        let image = |(index, epsilon): (&usize, &f64)| Image {
            index: *index,
            epsilon: *epsilon,
            start: None,
            candidate: None,
            counts: Counts::default(),
        };
        let images = indices.iter().zip(epsilons).map(image).collect();
        Self {
            model,
            labeled,
            images,
            norm: attack.norm(),
            kind,
            seed: settings.seed,
            width: settings.batch.max(1),
            clean: None,
        }
    }

    /// Adds a pass already made at all unperturbed images.
    pub(crate) fn with_clean(self, clean: Option<Pass>) -> Self {
        Self { clean, ..self }
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.images.len()
    }

    /// Whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.images.is_empty()
    }

    /// Indices of all images in the batch.
    pub fn all(&self) -> Vec<usize> {
        (0..self.len()).collect()
    }

    /// Channels, height, width.
    pub fn shape(&self) -> [usize; 3] {
        self.labeled.shape()
    }

    /// Number of values of an image.
    pub fn area(&self) -> usize {
        self.labeled.area()
    }

    /// The unperturbed image `image`.
    pub fn original(&self, image: usize) -> &'a [f32] {
        self.labeled.image(self.images[image].index)
    }

    /// The unperturbed images `images`, flat.
    pub fn originals(&self, images: &[usize]) -> Vec<f32> {
        images.iter().flat_map(|image| self.original(*image)).copied().collect()
    }

    /// The success criterion of image `image`.
    pub fn criterion(&self, image: usize) -> Criterion {
        self.labeled.criterion(self.images[image].index)
    }

    /// The epsilon of image `image`.
    pub fn epsilon(&self, image: usize) -> f64 {
        self.images[image].epsilon
    }

    /// A known adversarial point of image `image` to start from.
    pub fn start(&self, image: usize) -> Option<&[f32]> {
        self.images[image].start.as_deref()
    }

    pub(crate) fn set_start(&mut self, image: usize, pixels: &[f32]) {
        self.images[image].start = Some(pixels.to_vec());
    }

    /// The random stream of image `image`. It is the same in any batch and differs between
    /// `attempt`s.
    pub fn generator(&self, image: usize, attempt: u64) -> ChaCha8Rng {
        let mut generator =
            ChaCha8Rng::seed_from_u64(self.seed ^ attempt.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        generator.set_stream(self.labeled.numbers()[self.images[image].index] as u64);
        generator
    }

    /// Logits at one point for each entry of `images`, which may repeat an image.
    ///
    /// # Errors
    /// Returns [`Error::NotFinite`](crate::Error::NotFinite) if a logit is not finite,
    /// [`Error::Size`](crate::Error::Size) if the model does not return one row of at least two
    /// logits per point, and [`Error::Model`](crate::Error::Model) if the model fails.
    pub fn query(&mut self, images: &[usize], points: &[f32]) -> Result<Vec<Vec<f32>>> {
        let area = self.area();
        let mut rows = Vec::with_capacity(images.len());
        for range in batches(images.len(), self.width) {
            let numbers = self.numbers(&images[range.clone()]);
            rows.extend(pass::logits(
                self.model,
                self.shape(),
                &points[range.start * area..range.end * area],
                &numbers,
            )?);
        }
        images.iter().for_each(|image| self.images[*image].counts.queries += 1);
        Ok(rows)
    }

    /// Whether one point of each of `images` is adversarial by more than rounding could undo.
    ///
    /// # Errors
    /// Returns the errors of [`Batch::query`].
    pub fn are_adversarial(&mut self, images: &[usize], points: &[f32]) -> Result<Vec<bool>> {
        let rows = self.query(images, points)?;
        Ok(images
            .iter()
            .zip(&rows)
            .map(|(image, row)| self.criterion(*image).is_clearly_met(row))
            .collect())
    }

    /// One forward pass at a point of each of `images`; [`Batch::back`] takes gradients from it.
    ///
    /// # Errors
    /// Returns the errors of [`Batch::query`].
    pub fn pass(&mut self, images: &[usize], points: &[f32]) -> Result<Pass> {
        let clean = self.clean.take().filter(|_| {
            images.iter().copied().eq(0..self.len()) && points == self.originals(images)
        });
        let pass = match clean {
            Some(clean) => clean,
            None => Pass::of(self.model, self.shape(), points, &self.numbers(images))?,
        };
        images.iter().for_each(|image| self.images[*image].counts.queries += 1);
        Ok(pass)
    }

    /// The gradient of the sum of each image's logits weighted by its `factors`, flat, for the
    /// `images` of `pass`. Images whose factors are all 0 are not counted.
    ///
    /// # Errors
    /// Returns [`Error::NotFinite`](crate::Error::NotFinite) if a gradient is not finite, and
    /// [`Error::Model`](crate::Error::Model) if the model fails.
    pub fn back(
        &mut self,
        pass: &Pass,
        images: &[usize],
        factors: &[Vec<f32>],
    ) -> Result<Vec<f32>> {
        let gradients = pass.back(factors)?;
        for ((image, factors), gradient) in
            images.iter().zip(factors).zip(gradients.chunks(self.area()))
        {
            if factors.iter().any(|factor| *factor != 0.0) {
                let counts = &mut self.images[*image].counts;
                counts.gradient_calls += 1;
                counts.zero_gradients += usize::from(gradient.iter().all(|value| *value == 0.0));
            }
        }
        Ok(gradients)
    }

    /// A loss and its gradients at one point of each of `images`.
    ///
    /// # Errors
    /// Returns the errors of [`Batch::query`] and [`Batch::back`].
    pub fn gradients(&mut self, images: &[usize], points: &[f32], loss: Loss) -> Result<Gradients> {
        self.gradients_by(images, points, |_| loss)
    }

    /// Like [`Batch::gradients`], with a loss of its own for each image.
    ///
    /// # Errors
    /// Returns the errors of [`Batch::query`] and [`Batch::back`].
    pub fn gradients_by(
        &mut self,
        images: &[usize],
        points: &[f32],
        loss: impl Fn(usize) -> Loss,
    ) -> Result<Gradients> {
        let pass = self.pass(images, points)?;
        let slopes: Vec<Slope> = images
            .iter()
            .enumerate()
            .map(|(row, image)| loss(*image).slope(pass.logits(row), self.criterion(*image)))
            .collect();
        let factors: Vec<Vec<f32>> = slopes.iter().map(|slope| slope.factors.clone()).collect();
        let values = self.back(&pass, images, &factors)?;
        Ok(Gradients { pass, slopes, area: self.area(), values })
    }

    /// Sets the candidate of image `image` unconditionally.
    pub fn set_candidate(&mut self, image: usize, pixels: &[f32]) {
        let distance = self.norm.distance(self.original(image), pixels);
        self.images[image].candidate = Some(Candidate { pixels: pixels.to_vec(), distance });
    }

    /// Keeps an adversarial point as the candidate of image `image` if it is closer to the original
    /// than the current one.
    pub fn keep_if_closer(&mut self, image: usize, pixels: &[f32]) {
        let distance = self.norm.distance(self.original(image), pixels);
        if self.images[image].candidate.as_ref().is_none_or(|best| distance < best.distance) {
            self.images[image].candidate = Some(Candidate { pixels: pixels.to_vec(), distance });
        }
    }

    /// The candidate of image `image` and its distance from the original.
    pub fn candidate(&self, image: usize) -> Option<(&[f32], f64)> {
        self.images[image].candidate.as_ref().map(|best| (best.pixels.as_slice(), best.distance))
    }

    /// Whether the candidate kept by [`Batch::keep_if_closer`] is close enough, so that the image
    /// is done.
    pub fn satisfied(&self, image: usize) -> bool {
        self.kind == AttackKind::FixedEpsilon
            && self.candidate(image).is_some_and(|(_, distance)| distance <= self.epsilon(image))
    }

    /// Moves `start` by `length` along `direction`, then projects it to within the image's epsilon
    /// and [0, 1].
    pub fn moved(&self, image: usize, start: &[f32], direction: &[f64], length: f64) -> Vec<f32> {
        let mut moved: Vec<f32> = start
            .iter()
            .zip(direction)
            .map(|(value, step)| (f64::from(*value) + length * step) as f32)
            .collect();
        self.norm.project(self.original(image), &mut moved, self.epsilon(image));
        moved
    }

    /// Runs `work` on a subset of the images, adds its cost to theirs, and returns its candidates.
    pub(crate) fn nested(
        &mut self,
        images: &[usize],
        work: impl FnOnce(&mut Batch) -> Result<()>,
    ) -> Result<Vec<Option<Vec<f32>>>> {
        self.elsewhere(images, self.model, work)
    }

    /// Like `nested`, with other epsilons.
    pub(crate) fn within(
        &mut self,
        images: &[usize],
        epsilons: &[f64],
        work: impl FnOnce(&mut Batch) -> Result<()>,
    ) -> Result<Vec<Option<Vec<f32>>>> {
        self.nested(images, |inner| {
            inner
                .images
                .iter_mut()
                .zip(epsilons)
                .for_each(|(image, epsilon)| image.epsilon = *epsilon);
            work(inner)
        })
    }

    /// Like `nested`, on another model.
    pub(crate) fn elsewhere(
        &mut self,
        images: &[usize],
        model: &dyn Classifier,
        work: impl FnOnce(&mut Batch) -> Result<()>,
    ) -> Result<Vec<Option<Vec<f32>>>> {
        let fresh = |image: &usize| Image {
            candidate: None,
            counts: Counts::default(),
            ..self.images[*image].clone()
        };
        let mut inner =
            Batch { model, images: images.iter().map(fresh).collect(), clean: None, ..*self };
        work(&mut inner)?;
        let results = inner.images;
        for (image, inner) in images.iter().zip(&results) {
            self.images[*image].counts = self.images[*image].counts.plus(inner.counts);
        }
        Ok(results
            .into_iter()
            .map(|image| image.candidate.map(|candidate| candidate.pixels))
            .collect())
    }

    pub(crate) fn counts(&self, image: usize) -> Counts {
        self.images[image].counts
    }

    fn numbers(&self, images: &[usize]) -> Vec<usize> {
        images.iter().map(|image| self.labeled.numbers()[self.images[*image].index]).collect()
    }
}
