//! The limitations of a run.

use super::super::Design;
use super::Pair;
use super::effect::{Effect, Seen};
use crate::artifacts::{MaskingSign, NetworkResult};

/// The limitations as sentences.
pub(super) fn limits(pair: &Pair, effects: &[Effect], design: &Design) -> Vec<String> {
    let mut limits = Vec::new();
    let seen =
        |wanted: fn(Seen) -> bool| effects.iter().filter(|effect| wanted(effect.seen())).count();
    if seen(|seen| seen == Seen::Undecided) > 0 {
        limits.push(
            "Undecided does not mean equal: more seeds or longer trainings may decide it."
                .to_owned(),
        );
    }
    if seen(|seen| matches!(seen, Seen::TooFewSeeds(_))) > 0 {
        limits.push(
            "One or two seeds do not show how much the result varies between seeds; use three or more (training.seeds).".into(),
        );
    }
    if pair.control.is_none() {
        limits.push("There is no condition shuffled for comparison, so a gain may come from any regularization of similarities rather than from the neurons.".into());
    }
    let clean = effects.iter().find(|effect| effect.is_of("On clean images")).map(Effect::seen);
    if pair.at_equal_accuracy().is_none() {
        limits.push(match clean {
            Some(Seen::Less) => format!(
                "{} is less accurate on clean images, and lower clean accuracy alone changes robustness; add shorter trainings of {} as conditions to see by how much.",
                pair.subject, pair.baseline
            ),
            _ => "Networks are not compared at equal accuracy on clean images; add shorter trainings of the baseline as conditions for that comparison.".into(),
        });
    }
    limits.extend(masking(&pair.results.networks));
    limits.push("Intervals are over training seeds. They hold for these test images, these scans and this architecture, and say nothing about other animals, images or networks.".into());
    if effects.len() > 1 {
        limits.push(format!(
            "The {} comparisons are not corrected for multiple testing: one 95% interval in twenty misses the true value by chance.",
            effects.len()
        ));
    }
    limits.push(
        "A smallest perturbation is an upper bound: a better attack may find a smaller one.".into(),
    );
    match (design.simulated, design.procedural) {
        (true, true) => limits.push(
            "Scans are simulated and images are procedural: this shows that the pipeline works and says nothing about brains."
                .into(),
        ),
        (true, false) => {
            limits.push("Scans are simulated: this shows that the pipeline works and says nothing about brains.".into())
        }
        (false, true) => limits.push("The labeled images are procedural: accuracies do not transfer to photographs.".into()),
        (false, false) => {}
    }
    limits
}

fn masking(networks: &[NetworkResult]) -> Option<String> {
    let with = |sign: MaskingSign| {
        let found = networks
            .iter()
            .filter(|network| network.masking.as_ref().is_some_and(|masking| masking.sign == sign));
        found
            .map(|network| format!("{}, seed {}", network.condition, network.seed))
            .collect::<Vec<_>>()
    };
    let (found, few) = (with(MaskingSign::Found), with(MaskingSign::TooFewImages));
    if !found.is_empty() {
        return Some(format!(
            "The checks found signs of gradient masking in {}: the smallest perturbations of these networks may be overestimated.",
            found.join("; ")
        ));
    }
    (!few.is_empty()).then(|| {
        format!(
            "{} of {} networks had too few images to check for gradient masking.",
            few.len(),
            networks.len()
        )
    })
}
