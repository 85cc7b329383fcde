//! Checks of gradient descent: more steps must find more, more restarts hardly more, and a large
//! epsilon everything.

use super::check::{Check, percent};
use super::settings::MaskingSettings;
use super::trial::{SLACK, Trial, counted, share};
use crate::{Norm, Pgd, Result};

/// Gain from restarts above which the loss landscape counts as rough.
const RESTARTS_GAIN: f64 = 0.1;
/// The epsilon at which every image can be turned gray.
const EVERYTHING: f64 = 0.5;

/// More steps must not leave more images that withstand.
pub(super) fn steps(masking: &MaskingSettings, trial: &Trial) -> Result<Check> {
    let mut figures = Vec::new();
    let mut finding = None;
    let mut fewer: Option<Vec<bool>> = None;
    for steps in &masking.steps {
        let pgd = Pgd::new(Norm::Linf).from_the_image().with_steps(*steps);
        // A single step covers the whole epsilon.
        let pgd = if *steps == 1 { pgd.with_relative_step(1.0) } else { pgd };
        let fallen = trial.fallen(&pgd, masking.epsilon)?;
        if let Some(before) = fewer {
            let recovered =
                counted(before.iter().zip(&fallen).map(|(before, now)| *before && !*now));
            let lost = counted(before.iter().zip(&fallen).map(|(before, now)| !*before && *now));
            if beyond_chance(recovered.saturating_sub(lost), recovered + lost, fallen.len()) {
                finding = Some(format!(
                    "{} of images withstand {steps} steps of gradient descent, but {} withstand fewer steps: the gradient is misleading",
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

/// Random restarts should matter little.
pub(super) fn restarts(masking: &MaskingSettings, trial: &Trial) -> Result<Check> {
    let mut figures: Vec<(String, f64)> = Vec::new();
    for restarts in &masking.restarts {
        let pgd =
            Pgd::new(Norm::Linf).with_steps(20).with_relative_step(0.1).with_restarts(*restarts);
        figures.push((
            format!("stand after {restarts} starts"),
            1.0 - share(&trial.fallen(&pgd, masking.epsilon)?),
        ));
    }
    let gain = match (figures.first(), figures.last()) {
        (Some(first), Some(last)) => first.1 - last.1,
        _ => 0.0,
    };
    // Allow for sampling error with few images.
    let error = (gain.max(0.0) * (1.0 - gain) / trial.labeled.len() as f64).sqrt();
    let finding = (gain > RESTARTS_GAIN + 2.0 * error).then(|| {
        format!(
            "restarts from other points find adversarial examples for {} more of the images: the gradient is of little use",
            percent(gain)
        )
    });
    Ok(Check { name: "restarts", figures, finding })
}

/// If every image can be turned gray, none may withstand.
pub(super) fn everything(trial: &Trial) -> Result<Check> {
    let pgd = Pgd::new(Norm::Linf).with_relative_step(0.1).with_restarts(2);
    let stands = 1.0 - share(&trial.fallen(&pgd, EVERYTHING)?);
    let finding = (stands > 0.0).then(|| {
        format!(
            "{} of images withstand gradient descent although every pixel may change by {EVERYTHING}, enough to turn any image gray: gradient descent fails",
            percent(stands)
        )
    });
    Ok(Check {
        name: "large epsilon",
        figures: vec![(format!("stand at {EVERYTHING}"), stands)],
        finding,
    })
}

/// Whether so many of the images that changed sides exceed slack and chance: two standard errors of
/// a count.
fn beyond_chance(excess: usize, changed: usize, images: usize) -> bool {
    excess as f64 > SLACK * images as f64 + 2.0 * (changed as f64).sqrt()
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
