//! Whether attacks on a model can be believed: signs of gradient masking and of confused bounds.
//!
//! After the checklists of Athalye et al. (2018) and Carlini et al. (2019): stronger attacks must do better than weaker ones,
//! white-box better than black-box, without limit everything must fall, and gradients must be what they claim.

use crate::criterion::{decision, strongest_but};
use crate::model::{Pass, batches, logits_of};
use crate::norm::l2;
use crate::{
    Apgd, Attack, Classifier, Error, LabeledBatch, Loss, Mim, Norm, Pgd, Progress, Result, Settings, Square, Transfer, attack,
};

/// How much is tried.
#[derive(Clone, Debug, PartialEq)]
pub struct MaskingSettings {
    /// Linf size at which attacks are compared: one at which a good part of the images falls and another stands.
    pub epsilon: f64,
    /// Steps of gradient descent, rising.
    pub steps: Vec<usize>,
    /// Random starts of gradient descent, rising.
    pub restarts: Vec<usize>,
    /// Queries of the black-box attack.
    pub queries: usize,
    /// Random directions tried for each image.
    pub directions: usize,
}

impl MaskingSettings {
    /// 1 to 100 steps, 1 and 5 starts, 1,000 queries, 50 directions.
    pub fn at(epsilon: f64) -> Self {
        Self { epsilon, steps: vec![1, 5, 20, 100], restarts: vec![1, 5], queries: 1000, directions: 50 }
    }
}

/// One check.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// The figures, each with what it is.
    pub figures: Vec<(String, f64)>,
    /// What is wrong, in plain words; `None` where nothing is.
    pub finding: Option<String>,
}

/// All checks of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct MaskingReport {
    /// The checks, in the order in which they were made.
    pub checks: Vec<Check>,
    /// Images that the model is right about, on which they were made.
    pub images: usize,
}

impl MaskingReport {
    /// Whether nothing was found.
    pub fn clean(&self) -> bool {
        self.checks.iter().all(|check| check.finding.is_none())
    }

    /// What to make of it, in plain words.
    pub fn verdict(&self) -> String {
        let findings: Vec<&str> = self.checks.iter().filter_map(|check| check.finding.as_deref()).collect();
        match findings.len() {
            0 => format!("no sign of gradient masking in {} checks on {} images", self.checks.len(), self.images),
            count => format!(
                "{count} of {} checks found something, so that attacks on this model prove little: {}",
                self.checks.len(),
                findings.join("; ")
            ),
        }
    }
}

/// Share of images by which results may differ without meaning anything.
const SLACK: f64 = 0.02;
/// Share of images whose gradients may vanish because the model is certain.
const VANISHING: f64 = 0.05;
/// Share of images whose gradients may be off: the margin has kinks.
const WRONG_SLOPES: f64 = 0.25;
/// Gain of restarts from which on the landscape must be called rough.
const RESTARTS_GAIN: f64 = 0.1;
/// The size at which every image can be made gray.
const EVERYTHING: f64 = 0.5;

/// Checks a model on labeled images. `sources` are other models of the same classes, from which attacks are transferred;
/// without them that check is left out.
///
/// # Errors
/// No images; an epsilon that makes no sense; as [`attack()`]. A model that is right about no image gets a report of the first two
/// checks.
pub fn masking_report(
    model: &dyn Classifier,
    sources: &[&dyn Classifier],
    labeled: &LabeledBatch,
    masking: &MaskingSettings,
    settings: Settings,
    observe: &mut dyn FnMut(Progress),
) -> Result<MaskingReport> {
    if labeled.is_empty() {
        return Err(Error::NoImages);
    }
    Norm::Linf.check(&[masking.epsilon], labeled.area())?;
    let total = 9 + usize::from(!sources.is_empty());
    let mut checks = Vec::with_capacity(total);
    let mut enter = |check: Check| {
        checks.push(check);
        observe(Progress { done: checks.len(), total });
    };
    enter(scale(model, labeled, settings)?);
    enter(repeatable(model, labeled, settings)?);
    let rows = logits_of(model, labeled, settings)?;
    let right: Vec<usize> = (0..labeled.len()).filter(|index| decision(&rows[*index]) == labeled.label(*index)).collect();
    if right.is_empty() {
        return Ok(MaskingReport { checks, images: 0 });
    }
    let labeled = &labeled.subset(&right);
    let under = |attacker: &dyn Attack, epsilon: f64| -> Result<Vec<bool>> {
        let attacked = attack(model, attacker, labeled, epsilon, settings, &mut |_| {})?;
        Ok(attacked.outcomes().iter().map(|outcome| outcome.success).collect())
    };
    enter(vanishing(model, labeled, settings)?);
    enter(slopes(model, labeled, settings)?);
    enter(steps(masking, &under)?);
    enter(restarts(masking, labeled.len(), &under)?);
    enter(everything(&under)?);

    let (ce, dlr) = (Apgd::new(Norm::Linf).with_steps(50), Apgd::new(Norm::Linf).with_steps(50).with_loss(Loss::Dlr));
    let white: Vec<bool> = under(&ce, masking.epsilon)?.iter().zip(under(&dlr, masking.epsilon)?).map(|(a, b)| *a || b).collect();
    let black = under(&Square::new(Norm::Linf).with_queries(masking.queries), masking.epsilon)?;
    enter(weaker("black-box", "random search without gradients", &white, &black));
    if !sources.is_empty() {
        let mim = Mim::new(Norm::Linf);
        let transferred = under(&Transfer::new(&mim, sources.to_vec()), masking.epsilon)?;
        enter(weaker("transfer", "perturbations made on other models", &white, &transferred));
    }
    let random = under(&RandomSigns { draws: masking.directions }, masking.epsilon)?;
    enter(weaker("random directions", "random signs", &white, &random));
    Ok(MaskingReport { checks, images: right.len() })
}

fn share(fallen: &[bool]) -> f64 {
    fallen.iter().filter(|fallen| **fallen).count() as f64 / fallen.len() as f64
}

fn percent(share: f64) -> String {
    format!("{:.1}%", 100.0 * share)
}

/// The images in the scales that models are often trained in.
fn scale(model: &dyn Classifier, labeled: &LabeledBatch, settings: Settings) -> Result<Check> {
    let count = labeled.len() * labeled.area();
    let values = (0..labeled.len()).flat_map(|index| labeled.image(index)).map(|value| f64::from(*value));
    let mean = values.clone().sum::<f64>() / count as f64;
    let spread = (values.map(|value| (value - mean).powi(2)).sum::<f64>() / count as f64).sqrt().max(1e-6);
    let scales = [
        ("[0, 1]", 1.0, 0.0),
        ("[0, 255]", 255.0, 0.0),
        ("[-1, 1]", 2.0, -1.0),
        ("mean 0 and standard deviation 1", 1.0 / spread, -mean / spread),
        ("[0, 1/255]", 1.0 / 255.0, 0.0),
    ];
    let mut figures = Vec::new();
    let mut decisions_differ = false;
    for (name, factor, offset) in scales {
        let mut right = 0;
        for batch in batches(labeled.len(), settings.batch) {
            let pixels: Vec<f32> = batch
                .clone()
                .flat_map(|index| labeled.image(index))
                .map(|value| (factor * f64::from(*value) + offset) as f32)
                .collect();
            let rows = crate::model::logits(model, labeled.shape(), &pixels, &labeled.numbers()[batch.clone()])?;
            if figures.is_empty() {
                decisions_differ |= rows.iter().any(|row| decision(row) != decision(&rows[0]));
            }
            right += rows.iter().zip(batch).filter(|(row, index)| decision(row) == labeled.label(*index)).count();
        }
        figures.push((format!("accuracy on images in {name}"), right as f64 / labeled.len() as f64));
    }
    let (here, best) =
        (figures[0].1, (0..scales.len()).fold(0, |best, index| if figures[index].1 > figures[best].1 { index } else { best }));
    let error = (here.max(0.01) * (1.0 - here).max(0.01) / labeled.len() as f64).sqrt();
    let finding = if figures[best].1 > here + 0.05 + 2.0 * error {
        let (here, there) = (percent(here), percent(figures[best].1));
        Some(format!(
            "it is right about {here} of images in [0, 1] and about {there} in {}: wrong bounds, or normalisation missing or done twice",
            scales[best].0
        ))
    } else if here == 0.0 {
        Some("it is right about no image".into())
    } else if !decisions_differ && labeled.len() > 10 {
        Some("it gives every image the same class: wrong bounds, or a model that is not trained".into())
    } else {
        None
    };
    Ok(Check { name: "bounds", figures, finding })
}

/// The same images twice, and alone instead of in a batch.
fn repeatable(model: &dyn Classifier, labeled: &LabeledBatch, settings: Settings) -> Result<Check> {
    let some: Vec<usize> = (0..labeled.len().min(32)).collect();
    let labeled = labeled.subset(&some);
    let first = logits_of(model, &labeled, settings)?;
    let again = logits_of(model, &labeled, settings)?;
    let alone = logits_of(model, &labeled, Settings { batch: 1, ..settings })?;
    let largest = first.iter().flatten().fold(f32::MIN_POSITIVE, |max, logit| max.max(logit.abs()));
    let apart = |other: &[Vec<f32>]| {
        let differences = first.iter().flatten().zip(other.iter().flatten()).map(|(a, b)| (a - b).abs());
        f64::from(differences.fold(0.0f32, f32::max) / largest)
    };
    let (twice, batch) = (apart(&again), apart(&alone));
    let finding = match (twice > 1e-3, batch > 1e-3) {
        (true, _) => Some("its logits differ from one call to the next: something in it is random".to_owned()),
        (false, true) => Some("its logits depend on the other images of the batch: batch norm in training mode?".to_owned()),
        (false, false) => None,
    };
    let figures = vec![
        ("largest difference of logits between two calls, over the largest logit".to_owned(), twice),
        ("the same between an image alone and in a batch".to_owned(), batch),
    ];
    Ok(Check { name: "repeatable", figures, finding })
}

/// Cross-entropy as other tools compute it, in single precision and not rescaled: does it leave a gradient?
fn vanishing(model: &dyn Classifier, labeled: &LabeledBatch, settings: Settings) -> Result<Check> {
    let plain = |row: &[f32], label: usize| {
        let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let powers: Vec<f32> = row.iter().map(|logit| (logit - largest).exp()).collect();
        let total: f32 = powers.iter().sum();
        (0..row.len()).map(|class| powers[class] / total - f32::from(u8::from(class == label))).collect()
    };
    let without = |factors: &dyn Fn(&[f32], usize) -> Vec<f32>| -> Result<f64> {
        let zero: Vec<bool> = gradients(model, labeled, settings, factors)?.iter().map(|gradient| l2(gradient) == 0.0).collect();
        Ok(share(&zero))
    };
    let (cross_entropy, logits) = (without(&plain)?, without(&lead)?);
    let finding = if logits > VANISHING {
        Some(format!(
            "for {} of images not even the logits have a gradient: something in it cannot be differentiated",
            percent(logits)
        ))
    } else if cross_entropy > VANISHING {
        Some(format!(
            "for {} of images cross-entropy has no gradient: the logits are so large that it saturates",
            percent(cross_entropy)
        ))
    } else {
        None
    };
    let figures = vec![
        ("images without gradient of cross-entropy".to_owned(), cross_entropy),
        ("images without gradient of the logits".to_owned(), logits),
    ];
    Ok(Check { name: "zero gradients", figures, finding })
}

fn gradients(
    model: &dyn Classifier,
    labeled: &LabeledBatch,
    settings: Settings,
    factors: &dyn Fn(&[f32], usize) -> Vec<f32>,
) -> Result<Vec<Vec<f32>>> {
    let mut all = Vec::with_capacity(labeled.len());
    for batch in batches(labeled.len(), settings.batch) {
        let pixels: Vec<f32> = batch.clone().flat_map(|index| labeled.image(index)).copied().collect();
        let pass = Pass::of(model, labeled.shape(), &pixels, &labeled.numbers()[batch.clone()])?;
        let rows: Vec<Vec<f32>> = batch.enumerate().map(|(row, index)| factors(pass.logits(row), labeled.label(index))).collect();
        all.extend(pass.back(&rows)?.chunks_exact(labeled.area()).map(<[f32]>::to_vec));
    }
    Ok(all)
}

/// What a small step along the gradient changes, over what the gradient says that it changes.
fn slopes(model: &dyn Classifier, labeled: &LabeledBatch, settings: Settings) -> Result<Check> {
    const STEP: f32 = 0.01;
    let gradients = gradients(model, labeled, settings, &lead)?;
    let before = logits_of(model, labeled, settings)?;
    let mut ratios = Vec::new();
    for (index, gradient) in gradients.iter().enumerate() {
        let length = l2(gradient) as f32;
        if length == 0.0 {
            continue;
        }
        let at = |sign: f32| -> Vec<f32> {
            let move_one = |(value, slope): (&f32, &f32)| (value + sign * STEP * slope / length).clamp(0.0, 1.0);
            labeled.image(index).iter().zip(gradient).map(move_one).collect()
        };
        let (up, down) = (at(1.0), at(-1.0));
        let rows =
            crate::model::logits(model, labeled.shape(), &[up.clone(), down.clone()].concat(), &[labeled.numbers()[index]; 2])?;
        let factors = lead(&before[index], labeled.label(index));
        let changed: f64 = (0..factors.len())
            .map(|class| f64::from(factors[class]) * (f64::from(rows[0][class]) - f64::from(rows[1][class])))
            .sum();
        let claimed: f64 =
            up.iter().zip(&down).zip(gradient).map(|((up, down), slope)| f64::from(up - down) * f64::from(*slope)).sum();
        if claimed > 0.0 {
            ratios.push(changed / claimed);
        }
    }
    ratios.sort_by(f64::total_cmp);
    let Some(median) = ratios.get(ratios.len() / 2).copied() else {
        return Ok(Check { name: "slopes", figures: vec![], finding: Some("there is no gradient to follow".into()) });
    };
    let off = ratios.iter().filter(|ratio| !(0.5..2.0).contains(*ratio)).count() as f64 / ratios.len() as f64;
    let finding = (off > WRONG_SLOPES).then(|| {
        format!(
            "for {} of images a small step along the gradient does not do what the gradient says: it is not that of the model",
            percent(off)
        )
    });
    let figures = vec![
        ("median of changed over claimed".to_owned(), median),
        ("images where that is not between 0.5 and 2".to_owned(), off),
    ];
    Ok(Check { name: "slopes", figures, finding })
}

/// Derivative of the lead of the strongest other class over the label, with respect to the logits.
fn lead(row: &[f32], label: usize) -> Vec<f32> {
    let mut factors = vec![0.0; row.len()];
    (factors[label], factors[strongest_but(row, label)]) = (-1.0, 1.0);
    factors
}

type Under<'a> = dyn Fn(&dyn Attack, f64) -> Result<Vec<bool>> + 'a;

/// Whether so many images, of those that changed sides, are more than slack and chance explain: two standard errors of a count.
fn beyond_chance(excess: usize, changed: usize, images: usize) -> bool {
    excess as f64 > SLACK * images as f64 + 2.0 * (changed as f64).sqrt()
}

fn counted(images: impl Iterator<Item = bool>) -> usize {
    images.filter(|image| *image).count()
}

/// More steps must not help the model.
fn steps(masking: &MaskingSettings, under: &Under) -> Result<Check> {
    let mut figures = Vec::new();
    let mut finding = None;
    let mut fewer: Option<Vec<bool>> = None;
    for steps in &masking.steps {
        let pgd = Pgd::new(Norm::Linf).from_the_image().with_steps(*steps);
        // One step goes all the way.
        let pgd = if *steps == 1 { pgd.with_relative_step(1.0) } else { pgd };
        let fallen = under(&pgd, masking.epsilon)?;
        if let Some(before) = fewer {
            let recovered = counted(before.iter().zip(&fallen).map(|(before, now)| *before && !*now));
            let lost = counted(before.iter().zip(&fallen).map(|(before, now)| !*before && *now));
            if beyond_chance(recovered.saturating_sub(lost), recovered + lost, fallen.len()) {
                finding = Some(format!(
                    "{steps} steps of gradient descent leave {} standing where fewer left {}: following the gradient leads astray",
                    percent(1.0 - share(&fallen)),
                    percent(1.0 - share(&before))
                ));
            }
        }
        figures.push((format!("stand after {steps} steps"), 1.0 - share(&fallen)));
        fewer = Some(fallen);
    }
    Ok(Check { name: "steps", figures, finding })
}

/// Random starts should matter little.
fn restarts(masking: &MaskingSettings, images: usize, under: &Under) -> Result<Check> {
    let mut figures: Vec<(String, f64)> = Vec::new();
    for restarts in &masking.restarts {
        let pgd = Pgd::new(Norm::Linf).with_steps(20).with_relative_step(0.1).with_restarts(*restarts);
        figures.push((format!("stand after {restarts} starts"), 1.0 - share(&under(&pgd, masking.epsilon)?)));
    }
    let gain = match (figures.first(), figures.last()) {
        (Some(first), Some(last)) => first.1 - last.1,
        _ => 0.0,
    };
    // Few images tell little.
    let error = (gain.max(0.0) * (1.0 - gain) / images as f64).sqrt();
    let finding = (gain > RESTARTS_GAIN + 2.0 * error)
        .then(|| format!("starting again from other points brings down {} more: the gradient is of little use", percent(gain)));
    Ok(Check { name: "restarts", figures, finding })
}

/// Where every image can be made gray, nothing may stand.
fn everything(under: &Under) -> Result<Check> {
    let pgd = Pgd::new(Norm::Linf).with_relative_step(0.1).with_restarts(2);
    let stands = 1.0 - share(&under(&pgd, EVERYTHING)?);
    let finding = (stands > 0.0).then(|| {
        format!(
            "{} stand although every pixel may change by {EVERYTHING}, which makes any image grey: gradient descent fails",
            percent(stands)
        )
    });
    Ok(Check { name: "large epsilon", figures: vec![(format!("stand at {EVERYTHING}"), stands)], finding })
}

/// What sees less of the model must not find more.
fn weaker(name: &'static str, what: &str, white: &[bool], weaker: &[bool]) -> Check {
    let only = counted(white.iter().zip(weaker).map(|(white, weaker)| *weaker && !*white));
    let extra = only as f64 / white.len() as f64;
    // Random search may be luckier on an image, but not on several.
    let finding = (only as f64 > SLACK * white.len() as f64 + 1.0)
        .then(|| format!("{what} bring down {} that gradients do not", percent(extra)));
    let figures = vec![
        ("stand against gradients".to_owned(), 1.0 - share(white)),
        (format!("stand against {what}"), 1.0 - share(weaker)),
        ("fall to that alone".to_owned(), extra),
    ];
    Check { name, figures, finding }
}

/// Random corners of the ball.
struct RandomSigns {
    draws: usize,
}

impl Attack for RandomSigns {
    fn name(&self) -> String {
        "random-signs".into()
    }

    fn norm(&self) -> Norm {
        Norm::Linf
    }

    fn kind(&self) -> crate::AttackKind {
        crate::AttackKind::FixedEpsilon
    }

    fn run(&self, batch: &mut crate::Batch) -> Result<()> {
        let mut standing = batch.all();
        for draw in 0..self.draws {
            let points: Vec<Vec<f32>> = standing
                .iter()
                .map(|image| {
                    let signs = Norm::Linf.random_direction(batch.area(), &mut batch.generator(*image, draw as u64));
                    batch.moved(*image, batch.original(*image), &signs, batch.epsilon(*image))
                })
                .collect();
            let adversarial = batch.are_adversarial(&standing, &points.concat())?;
            let mut left = Vec::new();
            for ((image, point), adversarial) in standing.into_iter().zip(points).zip(adversarial) {
                batch.set_candidate(image, &point);
                if !adversarial {
                    left.push(image);
                }
            }
            standing = left;
            if standing.is_empty() {
                break;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::beyond_chance;

    #[test]
    fn one_image_of_few_is_no_finding_and_many_are() {
        assert!(!beyond_chance(1, 1, 23));
        assert!(!beyond_chance(4, 10, 100));
        assert!(beyond_chance(8, 8, 23));
        assert!(beyond_chance(20, 40, 200));
    }
}
