//! Image presentations: a series of indices, a series of images, or a table of intervals.

use super::file::{File, listed};
use super::series::{check_times, clock};
use super::templates::{self, Order, Template, is_series};
use crate::Result;
use crate::import::Account;
use crate::import::asked::Asked;
use crate::import::settings::NwbSettings;
use brainprior_artifact::hdf5::Object;

/// Images that follow each other within fewer seconds are frames of a movie.
const MOVIE: f64 = 0.1;
/// Columns with the image name of a row.
const NAMES: [&str; 2] = ["image_name", "stimulus_name"];
/// Columns with the image number, from 0, in the order of images.
const NUMBERS: [&str; 3] = ["image_index", "stimulus_index", "frame"];
/// Names in rows without an image.
const BLANKS: [&str; 7] = ["", "blank", "gray", "grey", "omitted", "none", "nan"];
/// An index of -1 that was stored as an unsigned number.
const ALL_ONES: [f64; 4] = [255.0, 65535.0, 4_294_967_295.0, 18_446_744_073_709_551_615.0];

/// Image onsets.
pub(super) struct Presentations {
    /// The number of each presentation, counting blanks.
    pub trial: Vec<i64>,
    pub onset: Vec<f64>,
    /// The image number, from 0.
    pub image: Vec<usize>,
    pub template: Template,
}

/// Reads the chosen series or table, or the only one; the others are reported as dropped.
pub(super) fn read(
    file: &File,
    asked: Asked,
    settings: &NwbSettings,
    account: &mut Account,
) -> Result<Presentations> {
    let candidates = file.groups(|group| is_presentation(file, group, settings.column.as_deref()));
    let chosen = match &settings.presentations {
        Some(name) => {
            let path = file.named(asked, "presentations", name, &candidates)?;
            file.objects.get(&path).expect("a candidate")
        }
        None => {
            let (movies, still): (Vec<&Object>, Vec<&Object>) =
                candidates.iter().partition(|group| is_movie(file, group));
            if !movies.is_empty() && !still.is_empty() {
                account.dropped_as(format!("movies: {}", listed(&movies)));
            }
            if still.is_empty() {
                let found = if movies.is_empty() {
                    "none".to_owned()
                } else {
                    format!("only movies: {}", listed(&movies))
                };
                let expected = "an IndexSeries, a series of images or a table of intervals with image_name or image_index";
                let advice = "movies are not supported; if the column has another name, use --presentations TABLE --column NAME";
                return Err(asked.mismatch("presentations", expected, found, [advice; 2]).into());
            }
            file.only(
                asked,
                "presentations",
                "the presentations of images in the file",
                &still,
                |group| group.name().starts_with("natural_scenes"),
            )?
        }
    };
    if is_movie(file, chosen) {
        let found = format!("a movie: images that follow each other in less than {MOVIE} s");
        let advice = "movies are not supported: choose presentations of still images";
        return Err(file.input.mismatch(&chosen.path, "still images", found, advice).into());
    }
    let others: Vec<&Object> = candidates
        .into_iter()
        .filter(|group| group.path != chosen.path && !is_movie(file, group))
        .collect();
    if !others.is_empty() {
        account.dropped_as(format!("other presentations: {}", listed(&others)));
    }
    let all = if chosen.kind == "IndexSeries" {
        by_index(file, chosen, account)?
    } else if is_series(chosen) {
        by_frame(file, chosen)?
    } else {
        by_row(file, asked, settings, chosen, account)?
    };
    without_blanks(file, &chosen.path, all, account)
}

/// All presentations; `None` for a blank.
struct All {
    onset: Vec<f64>,
    image: Vec<Option<usize>>,
    template: Template,
}

fn without_blanks(
    file: &File,
    path: &str,
    all: All,
    account: &mut Account,
) -> Result<Presentations> {
    let All { onset, image, template } = all;
    let count = image.len();
    let of_trial = |trial: usize| image[trial].map(|image| (trial as i64, onset[trial], image));
    let shown: Vec<(i64, f64, usize)> = (0..count).filter_map(of_trial).collect();
    if shown.is_empty() {
        let found = format!("none among {count} presentations");
        return Err(file
            .input
            .mismatch(path, "presentations of images", found, "choose others with --presentations")
            .into());
    }
    account.took(format!(
        "presentations from {path}: {} of {count} of images of {}",
        shown.len(),
        template.path
    ));
    if shown.len() < count {
        account.dropped_as(format!(
            "{} of {count} presentations that show a blank or no image",
            count - shown.len()
        ));
    }
    if template.names.is_empty() || template.order != Order::Unknown {
        let least = shown.iter().map(|(_, _, image)| *image).min().unwrap_or(0);
        if least > 0 {
            account.assumes(format!(
                "image numbers start at 0, although none of 0 to {} was shown",
                least - 1
            ));
        }
    }
    let (mut trial, mut at, mut images) = (vec![], vec![], vec![]);
    for (number, onset, image) in shown {
        trial.push(number);
        at.push(onset);
        images.push(image);
    }
    Ok(Presentations { trial, onset: at, image: images, template })
}

/// Whether a group lists image presentations: a table does if it has a column with a common name,
/// or with the chosen one.
fn is_presentation(file: &File, group: &Object, column: Option<&str>) -> bool {
    let is_column =
        |name: &str| NAMES.contains(&name) || NUMBERS.contains(&name) || column == Some(name);
    match group.kind.as_str() {
        "IndexSeries" => true,
        "TimeIntervals" => file.objects.within(&group.path).any(|column| is_column(column.name())),
        _ => is_series(group) && group.path.starts_with("stimulus/presentation/"),
    }
}

fn is_movie(file: &File, group: &Object) -> bool {
    if group.kind == "TimeIntervals" {
        return false;
    }
    let samples = file
        .input
        .shape(&format!("{}/data", group.path))
        .ok()
        .flatten()
        .and_then(|shape| shape.first().copied());
    // Errors in its times are reported when it is chosen.
    let Some(clock) = samples.and_then(|samples| clock(&file.input, &group.path, samples).ok())
    else {
        return false;
    };
    let mut steps: Vec<f64> =
        (1..clock.samples()).map(|sample| clock.time(sample) - clock.time(sample - 1)).collect();
    steps.sort_by(f64::total_cmp);
    steps.get(steps.len() / 2).is_some_and(|median| *median < MOVIE)
}

fn by_index(file: &File, group: &Object, account: &mut Account) -> Result<All> {
    let path = &group.path;
    let behind = |link: &str| file.objects.behind(&file.input, &format!("{path}/{link}"));
    // pynwb no longer writes indexed_timeseries, but older files have it.
    let Some(target) = behind("indexed_images")
        .transpose()
        .or_else(|| behind("indexed_timeseries").transpose())
        .transpose()?
    else {
        let advice = "an IndexSeries must link to its images: write the file again";
        return Err(file
            .input
            .mismatch(path, "indexed_images or indexed_timeseries", "neither", advice)
            .into());
    };
    let template = Template::open(file, target)?;
    let data = format!("{path}/data");
    let indices = file.input.numbers(&data, &[None])?.doubles()?;
    let clock = clock(&file.input, path, indices.len())?;
    template.check_order(file, account)?;
    let image = numbers(file, &data, &indices, template.count)?;
    Ok(All {
        onset: (0..indices.len()).map(|sample| clock.time(sample)).collect(),
        image,
        template,
    })
}

/// Parses image numbers; `None` for a blank: -1, its unsigned equivalent, or NaN.
pub(super) fn numbers(
    file: &File,
    dataset: &str,
    stored: &[f64],
    count: usize,
) -> Result<Vec<Option<usize>>> {
    let of_trial = |(trial, stored): (usize, &f64)| {
        let is_blank = stored.is_nan()
            || *stored == -1.0
            || ALL_ONES.contains(stored) && *stored >= count as f64;
        match is_blank {
            true => Ok(None),
            false if stored.fract() == 0.0 && *stored >= 0.0 && *stored < count as f64 => {
                Ok(Some(*stored as usize))
            }
            false => {
                let expected = format!("numbers of the {count} images from 0, or -1 for a blank");
                let advice = "they may refer to other images or count from 1: write the file again with numbers from 0";
                Err(file
                    .input
                    .mismatch(dataset, expected, format!("{stored} at {trial}"), advice)
                    .into())
            }
        }
    };
    stored.iter().enumerate().map(of_trial).collect()
}

fn by_frame(file: &File, group: &Object) -> Result<All> {
    let template = Template::open(file, group)?;
    let clock = clock(&file.input, &group.path, template.count)?;
    let onset = (0..template.count).map(|sample| clock.time(sample)).collect();
    Ok(All { onset, image: (0..template.count).map(Some).collect(), template })
}

fn by_row(
    file: &File,
    asked: Asked,
    settings: &NwbSettings,
    table: &Object,
    account: &mut Account,
) -> Result<All> {
    let groups = templates::all(file);
    let target = match &settings.images {
        Some(name) => {
            let path = file.named(asked, "images", name, &groups)?;
            file.objects.get(&path).expect("a candidate")
        }
        None if groups.is_empty() => {
            let advice = "a table of intervals needs images in the file: write the trials as arrays, and describe them in a layout";
            return Err(file
                .input
                .mismatch("stimulus/templates", "images that were shown", "none", advice)
                .into());
        }
        None => {
            file.only(asked, "images", "the groups of images in the file", &groups, |_| false)?
        }
    };
    let template = Template::open(file, target)?;
    let start = format!("{}/start_time", table.path);
    let onset = file.input.numbers(&start, &[None])?.doubles()?;
    check_times(&file.input, &start, &onset)?;
    let image = of_column(file, asked, settings, table, &template, account)?;
    if image.len() != onset.len() {
        let expected = format!("{} rows, like start_time", onset.len());
        return Err(file
            .input
            .mismatch(&table.path, expected, image.len().to_string(), "write the table again")
            .into());
    }
    Ok(All { onset, image, template })
}

/// The image of each row of a table, from the chosen column or from columns with common names,
/// which must agree.
fn of_column(
    file: &File,
    asked: Asked,
    settings: &NwbSettings,
    table: &Object,
    template: &Template,
    account: &mut Account,
) -> Result<Vec<Option<usize>>> {
    let columns: Vec<&Object> =
        file.objects.within(&table.path).filter(|object| !object.is_group).collect();
    let named = |name: &str| columns.iter().find(|column| column.name() == name).copied();
    if let Some(name) = &settings.column {
        let Some(column) = named(name) else {
            let names: Vec<&str> = columns.iter().map(|column| column.name()).collect();
            let found = format!("{name:?}; the table has {}", names.join(", "));
            return Err(asked
                .mismatch(
                    "column",
                    format!("a column of {}", table.path),
                    found,
                    ["choose one of them"; 2],
                )
                .into());
        };
        account.took(format!("the image of each row from the column {name}"));
        return match file.input.numbers(&column.path, &[None]) {
            Ok(numbers) => {
                template.check_order(file, account)?;
                self::numbers(file, &column.path, &numbers.doubles()?, template.count)
            }
            Err(_) => by_name(file, column, template),
        };
    }
    // Some of these columns name image sets: `stimulus_name` in Allen's tables.
    let holds_names = |column: &&Object| {
        file.input
            .strings(&column.path)
            .is_ok_and(|texts| texts.iter().any(|text| template.names.contains(text)))
    };
    let text = NAMES.iter().filter_map(|name| named(name)).find(holds_names);
    let number = NUMBERS
        .iter()
        .filter_map(|name| named(name))
        .find(|column| file.input.numbers(&column.path, &[None]).is_ok());
    let of_names = text.map(|column| by_name(file, column, template)).transpose()?;
    let of_numbers = match number {
        None => None,
        Some(column) => {
            let stored = file.input.numbers(&column.path, &[None])?.doubles()?;
            let found = numbers(file, &column.path, &stored, template.count);
            match (text.is_some(), template.order) {
                (false, _) => Some(found?),
                // Next to names, numbers that do not fit the images are ignored.
                (true, Order::Stated) => found.ok(),
                (true, _) => None,
            }
        }
    };
    let name = |column: Option<&Object>| column.map_or("", |column| column.name()).to_owned();
    match (of_names, of_numbers) {
        (Some(names), Some(numbers)) => {
            if let Some(row) =
                (0..names.len().min(numbers.len())).find(|row| names[*row] != numbers[*row])
            {
                let found = format!(
                    "{} and {} with different images in row {row}",
                    name(text),
                    name(number)
                );
                let advice = ["choose one: --column NAME"; 2];
                return Err(asked.mismatch("column", "columns that agree", found, advice).into());
            }
            account.took(format!(
                "the image of each row from the columns {} and {}, which agree",
                name(text),
                name(number)
            ));
            Ok(names)
        }
        (Some(names), None) => {
            account.took(format!("the image of each row from the column {}", name(text)));
            Ok(names)
        }
        (None, Some(numbers)) => {
            template.check_order(file, account)?;
            account.took(format!("the image of each row from the column {}", name(number)));
            Ok(numbers)
        }
        (None, None) => {
            let names: Vec<&str> = columns.iter().map(|column| column.name()).collect();
            let expected = format!(
                "a column with names or numbers of the {} images of {}",
                template.count, template.path
            );
            let found = format!("{} in {}", names.join(", "), table.path);
            Err(asked.mismatch("column", expected, found, ["choose it: --column NAME"; 2]).into())
        }
    }
}

fn by_name(file: &File, column: &Object, template: &Template) -> Result<Vec<Option<usize>>> {
    let of_row =
        |(row, text): (usize, &String)| match template.names.iter().position(|name| name == text) {
            Some(image) => Ok(Some(image)),
            None if BLANKS.contains(&text.to_lowercase().as_str()) => Ok(None),
            None => {
                let expected = format!("names of the images of {}, or blank", template.path);
                let advice =
                    "choose the images that were shown with --images, or add them to the file";
                Err(file
                    .input
                    .mismatch(&column.path, expected, format!("{text:?} in row {row}"), advice)
                    .into())
            }
        };
    file.input.strings(&column.path)?.iter().enumerate().map(of_row).collect()
}
