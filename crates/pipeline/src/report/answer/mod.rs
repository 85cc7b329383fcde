//! The top of the page: sentences on the comparison, the findings, the limitations, and whether the
//! denoised target can be trusted. Every sentence is made from the figures in `results.json`.

mod effect;
mod limits;
mod trust;

use super::page::{Page, Sign};
use super::{Content, Design};
use crate::artifacts::{
    ConditionSummary, Difference, LevelDifference, NetworkResult, Results, each_once,
};
use crate::table;
use effect::{Effect, Seen};
use trust::trust;

/// The target whose effect the page reports first, and the control without neural information.
const DENOISED: &str = "denoised";
const SHUFFLED: &str = "shuffled";

/// The level of noise at which conditions are compared, or the nearest that was measured.
const NOISE: f64 = 0.2;

type Marked = Vec<(Option<(Sign, &'static str)>, String)>;

/// All sentences at the top of the page.
struct Answer {
    headline: String,
    compared: Vec<String>,
    seen: Marked,
    limits: Vec<String>,
    trust: Marked,
}

/// Adds the answer to the page.
pub(super) fn section(page: &mut Page, content: &Content) {
    let Answer { headline, compared, seen, limits, trust } =
        answer(content.results, &content.design);
    let plain = |sentences: Vec<String>| -> Marked {
        sentences.into_iter().map(|sentence| (None, sentence)).collect()
    };
    page.answer(
        &headline,
        &[
            ("Comparison", plain(compared)),
            ("Findings", seen),
            ("Limitations", plain(limits)),
            ("Can the denoised target be trusted?", trust),
        ],
    );
}

fn answer(results: &Results, design: &Design) -> Answer {
    let trust = trust(results);
    let Some(pair) = Pair::of(results) else {
        let headline = match results.conditions.is_empty() {
            true => "No network has been evaluated yet, so there is nothing to compare.",
            false => "Only one condition has been evaluated, so there is nothing to compare.",
        };
        return Answer {
            headline: headline.into(),
            compared: compared(results, design),
            seen: vec![],
            limits: vec![],
            trust,
        };
    };
    let effects = pair.effects();
    let seen =
        effects.iter().map(|effect| (Some(effect.seen().sign()), effect.sentence())).collect();
    Answer {
        headline: pair.headline(),
        compared: compared(results, design),
        seen,
        limits: limits::limits(&pair, &effects, design),
        trust,
    }
}

/// The condition under test, the baseline that it is compared with, and the control, if any.
struct Pair<'a> {
    results: &'a Results,
    subject: &'a str,
    baseline: &'a str,
    control: Option<&'a str>,
    /// Index of the noise level.
    level: usize,
}

impl<'a> Pair<'a> {
    /// `None` if fewer than two conditions are evaluated, or none of them is the baseline.
    fn of(results: &'a Results) -> Option<Self> {
        let first = results.comparisons.first()?;
        let baseline = first.baseline.as_str();
        let names: Vec<&str> =
            results.comparisons.iter().map(|compared| compared.condition.as_str()).collect();
        let has_target = |name: &&&str| {
            results
                .conditions
                .iter()
                .any(|condition| condition.condition == ***name && condition.pull.is_some())
        };
        let named = names.iter().find(|name| **name == DENOISED);
        let other = || names.iter().filter(|name| **name != SHUFFLED).find(has_target);
        let subject = *named.or_else(other).or(names.first())?;
        let control = names.iter().find(|name| **name == SHUFFLED && **name != subject).copied();
        let levels = &results.conditions.first()?.gaussian_noise;
        let away = |level: &usize| (levels[*level].level - NOISE).abs();
        let level = (0..levels.len()).min_by(|a, b| away(a).total_cmp(&away(b)))?;
        Some(Self { results, subject, baseline, control, level })
    }

    fn noise(&self) -> f64 {
        self.results.conditions[0].gaussian_noise[self.level].level
    }

    /// The difference between two conditions, over the seeds that both have.
    fn difference(
        &self,
        one: &str,
        other: &str,
        figure: impl Fn(&NetworkResult) -> Option<f64>,
    ) -> Option<Difference> {
        let of = |condition: &str, seed: u64| {
            self.results
                .networks
                .iter()
                .find(|network| network.condition == condition && network.seed == seed)
        };
        let own = self.results.networks.iter().filter(|network| network.condition == one);
        let values: Vec<f64> = own
            .filter_map(|network| Some(figure(network)? - figure(of(other, network.seed)?)?))
            .collect();
        (!values.is_empty()).then(|| Difference::of(&values))
    }

    fn under_noise(&self, one: &str, other: &str) -> Option<Effect> {
        let found = self.difference(one, other, |network| {
            Some(network.gaussian_noise.get(self.level)?.accuracy)
        })?;
        Some(Effect::points(
            format!("Under Gaussian noise of {:.2}", self.noise()),
            one,
            other,
            found,
        ))
    }

    /// The difference under noise from the baseline at the same accuracy on clean images.
    fn at_equal_accuracy(&self) -> Option<Effect> {
        let compared =
            self.results.comparisons.iter().find(|compared| compared.condition == self.subject)?;
        let levels = &compared.at_equal_accuracy.as_ref()?.gaussian_noise;
        let at_level = |level: &&LevelDifference| level.level == self.noise();
        let found = levels.iter().find(at_level)?.difference.clone()?;
        let when = format!(
            "At equal accuracy on clean images, under Gaussian noise of {:.2}",
            self.noise()
        );
        Some(Effect::points(when, self.subject, self.baseline, found))
    }

    fn clean(&self) -> Option<Effect> {
        let found =
            self.difference(self.subject, self.baseline, |network| Some(network.clean_accuracy))?;
        Some(Effect::points("On clean images".into(), self.subject, self.baseline, found))
    }

    fn perturbations(&self) -> Vec<Effect> {
        let compared =
            self.results.comparisons.iter().find(|compared| compared.condition == self.subject);
        let ratios = compared.into_iter().flat_map(|compared| &compared.minimal_perturbation);
        ratios
            .filter_map(|(norm, ratio)| Effect::ratio(norm, self.subject, self.baseline, ratio))
            .collect()
    }

    /// All differences, that of the headline first.
    fn effects(&self) -> Vec<Effect> {
        let named = [self.baseline, self.subject];
        let conditions =
            self.results.comparisons.iter().map(|compared| compared.condition.as_str());
        let others = conditions
            .filter(|name| !named.contains(name))
            .filter_map(|name| self.under_noise(name, self.baseline));
        let mut effects: Vec<Effect> =
            self.under_noise(self.subject, self.baseline).into_iter().collect();
        effects.extend(self.at_equal_accuracy());
        effects.extend(self.control.and_then(|control| self.under_noise(self.subject, control)));
        effects.extend(self.clean());
        effects.extend(self.perturbations());
        effects.extend(others);
        effects
    }

    /// One sentence, at equal clean accuracy if known, and compared with the control, if any.
    fn headline(&self) -> String {
        let (subject, baseline) = (self.subject, self.baseline);
        let matched = self.at_equal_accuracy();
        let when = if matched.is_some() { " and at equal accuracy on clean images" } else { "" };
        let Some(main) = matched.or_else(|| self.under_noise(subject, baseline)) else {
            return format!("No seed has been evaluated for both {subject} and {baseline} yet.");
        };
        let control = self
            .control
            .and_then(|control| Some((control, self.under_noise(subject, control)?.seen())));
        match (main.seen(), control) {
            (Seen::More, Some((control, Seen::More))) => format!(
                "Under noise{when}, {subject} is more accurate than {baseline}, and more accurate than the control {control}: the neural information about the images matters."
            ),
            (Seen::More, Some((control, _))) => format!(
                "Under noise{when}, {subject} is more accurate than {baseline}. It is not shown to be more accurate than the control {control}, so the gain may not come from the neural information."
            ),
            (Seen::More, None) => format!(
                "Under noise{when}, {subject} is more accurate than {baseline}. Without a control, this does not show that the neural information is the reason."
            ),
            (Seen::Less, _) => {
                format!("Under noise{when}, {subject} is less accurate than {baseline}.")
            }
            (Seen::Undecided, _) => {
                format!(
                    "This run does not decide whether {subject} is more accurate than {baseline} under noise{when}."
                )
            }
            (Seen::TooFewSeeds(1), _) => {
                format!(
                    "One seed cannot show whether {subject} is more accurate than {baseline} under noise{when}."
                )
            }
            (Seen::TooFewSeeds(_), _) => {
                format!(
                    "Two seeds cannot show whether {subject} is more accurate than {baseline} under noise{when}."
                )
            }
        }
    }
}

fn compared(results: &Results, design: &Design) -> Vec<String> {
    if results.conditions.is_empty() {
        return Vec::new();
    }
    let seeds = |condition: &ConditionSummary| condition.seeds;
    let (fewest, most) = results
        .conditions
        .iter()
        .map(seeds)
        .fold((usize::MAX, 0), |(fewest, most), seeds| (fewest.min(seeds), most.max(seeds)));
    let count = match (fewest, most) {
        (1, 1) => "one network each".to_owned(),
        (fewest, most) if fewest == most => format!("{most} networks each, one for each seed"),
        (fewest, most) => format!("{fewest} to {most} networks each so far"),
    };
    let names =
        listed(&each_once(results.conditions.iter().map(|condition| condition.condition.as_str())));
    let mut sentences = vec![format!(
        "Image classifiers of {}: {names}; {count}.",
        conditions(results.conditions.len())
    )];
    let what = |name: &str| match name {
        "none" => Some("is trained on labels only"),
        DENOISED => Some("is also trained to match the denoised similarities of the neurons"),
        SHUFFLED => Some(
            "is trained to match the same similarities with the images permuted, which removes the neural information about them",
        ),
        _ => None,
    };
    let told = results.conditions.iter().filter_map(|condition| {
        Some(format!("{} {}", condition.condition, what(&condition.condition)?))
    });
    let told: Vec<String> = told.collect();
    if !told.is_empty() {
        sentences.push(format!("{}.", told.join("; ")));
    }
    if most > 1 {
        sentences.push("Networks of one seed begin with the same weights and see the same images in the same order, so differences are taken seed by seed.".into());
    }
    sentences.push(format!(
        "Accuracy is measured on {} test images, the smallest perturbations on {} of them.",
        design.test_images, design.attacked_images
    ));
    sentences.extend(table::matched(results));
    sentences
}

fn conditions(count: usize) -> String {
    if count == 1 { "one condition".into() } else { format!("{count} conditions") }
}

/// Names with commas and an "and".
fn listed(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests;
