//! Assigns a tier to each trial, in one of the ways a layout offers.

use super::layout::{Layout, Tiers};
use super::trials::Trials;
use crate::import::source::{self, Data};
use crate::import::{Account, draw};
use crate::{Result, Tier};
use std::path::Path;

pub(super) fn of_trials(
    layout: &Layout,
    trials: &Trials,
    images: usize,
    account: &mut Account,
) -> Result<Vec<Tier>> {
    let tiers: Vec<Tier> = match &layout.tiers {
        Tiers::All(tier) => vec![*tier; trials.image.len()],
        Tiers::Column { file, array } => of_column(layout, file, array.as_deref(), trials, images)?,
        Tiers::Counts(counts) => {
            let mut shown = vec![0usize; images];
            trials.image.iter().for_each(|image| shown[*image] += 1);
            let of_image = draw::draw(layout.asked(), *counts, &shown, account)?;
            trials
                .image
                .iter()
                .map(|image| of_image[*image].expect("an image with a trial"))
                .collect()
        }
        Tiers::Lists { of, others } => {
            let of_image = listed(layout, of, *others, images)?;
            let tier = |image: &usize| {
                of_image[*image].ok_or_else(|| {
                    let image = image + layout.first_image;
                    let advice = "list it, or set one tier to \"others\"";
                    layout.mismatch(
                        "tiers",
                        "every image with trials in one of the lists",
                        format!("image {image} in no list"),
                        advice,
                    )
                })
            };
            trials.image.iter().map(tier).collect::<std::result::Result<_, _>>()?
        }
    };
    let counts = [Tier::Train, Tier::Validation, Tier::Test].map(|tier| {
        let of_tier = || {
            trials
                .image
                .iter()
                .zip(&tiers)
                .filter(|(_, found)| **found == tier)
                .map(|(image, _)| *image)
        };
        let distinct: std::collections::HashSet<usize> = of_tier().collect();
        format!("{tier} {} trials of {} images", of_tier().count(), distinct.len())
    });
    account.took(format!("tiers: {}", counts.join(", ")));
    Ok(tiers)
}

fn of_column(
    layout: &Layout,
    file: &Path,
    array: Option<&str>,
    trials: &Trials,
    images: usize,
) -> Result<Vec<Tier>> {
    let source = source::read(&layout.beside(file), array)?;
    let Data::Texts(names) = &source.data else {
        let advice = "write train, validation or test for each image";
        return Err(source.mismatch("names of tiers", source.data.dtype(), advice).into());
    };
    let of_row = |(row, name): (usize, &String)| {
        Tier::from_name(name).ok_or_else(|| {
            source.mismatch(
                "train, validation or test",
                format!("{name:?} in row {row}"),
                "rename it, or leave that row out",
            )
        })
    };
    let tiers = names.iter().enumerate().map(of_row).collect::<std::result::Result<Vec<_>, _>>()?;
    let of_images = || -> Vec<Tier> { trials.image.iter().map(|image| tiers[*image]).collect() };
    let of_places = || -> Vec<Tier> { trials.place.iter().map(|place| tiers[*place]).collect() };
    let expected = match trials.are_of_images {
        true => format!("{images} names, one per image"),
        false => format!("{images} names, one per image, or {}, one per trial", trials.places),
    };
    match (tiers.len() == images, tiers.len() == trials.places) {
        (true, true) if of_images() == of_places() => Ok(of_images()),
        (true, true) => {
            let found = format!("{images}, which could be names of images or of trials");
            Err(source
                .mismatch(expected, found, "list the images of each tier in the layout instead")
                .into())
        }
        (true, false) => Ok(of_images()),
        (false, true) => Ok(of_places()),
        (false, false) => {
            Err(source.mismatch(expected, names.len().to_string(), "save one row for each").into())
        }
    }
}

fn listed(
    layout: &Layout,
    of: &[(Tier, Vec<usize>)],
    others: Option<Tier>,
    images: usize,
) -> Result<Vec<Option<Tier>>> {
    let mut of_image: Vec<Option<Tier>> = vec![None; images];
    let first = layout.first_image;
    for (tier, numbers) in of {
        for number in numbers {
            let key = format!("tiers.{tier}");
            let Some(place) = number.checked_sub(first).filter(|place| *place < images) else {
                let expected = format!("image numbers from {first} to {}", first + images - 1);
                let advice = "correct it, or set first_image to the number of the first image";
                return Err(layout.mismatch(&key, expected, number.to_string(), advice).into());
            };
            if let Some(known) = of_image[place].replace(*tier) {
                let found = format!("image {number} in {known} and in {tier}");
                return Err(layout
                    .mismatch(&key, "each image once", found, "keep it in one of them")
                    .into());
            }
        }
    }
    Ok(of_image.into_iter().map(|tier| tier.or(others)).collect())
}
