//! Draws tiers for images.

use super::Account;
use super::asked::Asked;
use super::settings::TierCounts;
use crate::{Result, Tier};
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// Draws a tier for each image with trials; `shown` counts the trials per image. Test images are
/// drawn among those with repeats.
pub(super) fn draw(
    asked: Asked,
    counts: TierCounts,
    shown: &[usize],
    account: &mut Account,
) -> Result<Vec<Option<Tier>>> {
    let recorded = shown.iter().filter(|count| **count > 0).count();
    let TierCounts { train, validation, test, seed } = counts;
    if train + validation + test != recorded {
        let expected = format!("{recorded} images in total, the number with trials");
        let found = format!("{train} + {validation} + {test} = {}", train + validation + test);
        return Err(asked
            .mismatch("tiers.counts", expected, found, ["correct the counts"; 2])
            .into());
    }
    let (mut repeated, mut rest): (Vec<usize>, Vec<usize>) =
        (0..shown.len()).filter(|image| shown[*image] > 0).partition(|image| shown[*image] > 1);
    if repeated.len() < test {
        let expected =
            format!("at most {} test images, the number with more than one trial", repeated.len());
        let advice = "test images need repeats";
        return Err(asked
            .mismatch("tiers.counts.test", expected, test.to_string(), [advice; 2])
            .into());
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    repeated.shuffle(&mut rng);
    rest.extend(repeated.split_off(test));
    rest.sort_unstable();
    rest.shuffle(&mut rng);
    let mut of_image = vec![None; shown.len()];
    repeated.iter().for_each(|image| of_image[*image] = Some(Tier::Test));
    rest.iter().take(validation).for_each(|image| of_image[*image] = Some(Tier::Validation));
    rest.iter().skip(validation).for_each(|image| of_image[*image] = Some(Tier::Train));
    account.assumes(format!(
        "tiers are drawn with seed {seed}; test images are drawn among those with repeats"
    ));
    Ok(of_image)
}

/// Like [`draw`]; without counts, the error states what is known about the images.
pub(super) fn asked_for(
    asked: Asked,
    counts: Option<TierCounts>,
    shown: &[usize],
    account: &mut Account,
) -> Result<Vec<Option<Tier>>> {
    let Some(counts) = counts else {
        let images = shown.iter().filter(|count| **count > 0).count();
        let repeated = shown.iter().filter(|count| **count > 1).count();
        let test = repeated.min(images.div_ceil(10));
        let validation = (images - test).min(images / 10);
        let advice =
            format!("for example --tiers {},{validation},{test}", images - test - validation);
        let expected = format!(
            "how many of the {images} images are for training, validation and test ({repeated} have repeats)"
        );
        return Err(asked.mismatch("tiers.counts", expected, "none", [&advice; 2]).into());
    };
    draw(asked, counts, shown, account)
}
