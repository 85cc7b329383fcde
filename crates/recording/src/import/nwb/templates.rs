//! The images of a file: groups of images, or series with one image per frame.

use super::file::{File, listed};
use crate::Result;
use crate::import::Account;
use crate::import::asked::Asked;
use crate::import::pictures::{Numbers, Pixels, Stored, units};
use crate::import::settings::{ImageAxis, ImageSettings};
use brainprior_artifact::hdf5::{Kind, Object};
use ndarray::ArrayD;

/// Types of series whose samples may be stimulus images.
const SERIES: [&str; 2] = ["ImageSeries", "OpticalSeries"];
/// Images of Allen's Brain Observatory, with the known axes height and width.
const OF_ALLEN: [&str; 2] = ["natural_scenes_template", "natural_scenes_image_stack"];

/// How the number of an image is determined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// The file states it.
    Stated,
    /// Image names are one word followed by the numbers from 0.
    Numbered,
    Unknown,
}

/// Images, numbered from 0.
pub(super) struct Template {
    pub path: String,
    /// The datasets that hold the images: one per image, or one series.
    datasets: Vec<String>,
    is_series: bool,
    /// The image names, if they have some.
    pub names: Vec<String>,
    pub order: Order,
    pub count: usize,
}

/// Whether an object is a single image.
fn is_image(object: &Object) -> bool {
    !object.is_group && object.kind.ends_with("Image")
}

/// Whether a group is a series whose samples may be stimulus images.
pub(super) fn is_series(object: &Object) -> bool {
    object.is_group && SERIES.contains(&object.kind.as_str())
}

/// All groups of images; only those of stimuli if there are any.
pub(super) fn all(file: &File) -> Vec<&Object> {
    let found = file.groups(|group| {
        file.objects.within(&group.path).any(is_image)
            || is_series(group) && group.path.starts_with("stimulus/templates/")
    });
    let of_stimuli: Vec<&Object> =
        found.iter().copied().filter(|group| group.path.starts_with("stimulus/")).collect();
    if of_stimuli.is_empty() { found } else { of_stimuli }
}

impl Template {
    /// Opens a group.
    pub(super) fn open(file: &File, group: &Object) -> Result<Self> {
        let path = group.path.clone();
        if is_series(group) {
            let data = format!("{path}/data");
            let shape = file.input.shape(&data)?.unwrap_or_default();
            if file.input.has(&format!("{path}/external_file"))? || shape.len() < 3 {
                let advice = "movies and images in other files are not supported: choose images in this file with --images";
                let found = if shape.len() < 3 {
                    "images in another file"
                } else {
                    "a movie in another file"
                };
                return Err(file
                    .input
                    .mismatch(&path, "images in this file", found, advice)
                    .into());
            }
            let (datasets, names) = (vec![data], vec![]);
            return Ok(Self {
                path,
                datasets,
                is_series: true,
                names,
                order: Order::Stated,
                count: shape[0],
            });
        }
        let order = format!("{path}/order_of_images");
        let mut images: Vec<&Object> =
            file.objects.within(&group.path).filter(|object| is_image(object)).collect();
        let order = if file.input.has(&order)? {
            let stated = file.objects.referred(&file.input, &order)?;
            if stated.len() != images.len() || !stated.iter().all(|image| is_image(image)) {
                let expected = format!("each of the {} images of {path} once", images.len());
                let found = format!("references to {}", listed(&stated));
                return Err(file
                    .input
                    .mismatch(&order, expected, found, "write the file again")
                    .into());
            }
            images = stated;
            Order::Stated
        } else {
            numbered(&mut images)
        };
        if images.is_empty() {
            return Err(file
                .input
                .mismatch(&path, "images", "none", "choose a group of images with --images")
                .into());
        }
        let datasets: Vec<String> = images.iter().map(|image| image.path.clone()).collect();
        let names = images.iter().map(|image| image.name().to_owned()).collect();
        Ok(Self { path, count: datasets.len(), datasets, is_series: false, names, order })
    }

    /// Opens a dataset `data` in a group of an NWB 1 file.
    pub(super) fn of_stack(file: &File, path: &str) -> Result<Self> {
        let data = format!("{path}/data");
        let count = file.input.numbers(&data, &[None, None, None])?.shape()[0];
        Ok(Self {
            path: path.to_owned(),
            datasets: vec![data],
            is_series: true,
            names: vec![],
            order: Order::Stated,
            count,
        })
    }

    /// Checks that images can be identified by number.
    pub(super) fn check_order(&self, file: &File, account: &mut Account) -> Result<()> {
        match self.order {
            Order::Stated => {}
            Order::Numbered => account.assumes(format!(
                "the images of {} are numbered by their names ({} is image 0), since the file has no order_of_images",
                self.path, self.names[0]
            )),
            Order::Unknown => {
                let names: Vec<&str> = self.names.iter().take(4).map(String::as_str).collect();
                let found = format!("none, for images {} ...", names.join(", "));
                let advice =
                    "readers sort them as text, which may not be the intended order: write order_of_images into the file";
                let dataset = format!("{}/order_of_images", self.path);
                return Err(file.input.mismatch(&dataset, "the order of images that are shown by number", found, advice).into());
            }
        }
        Ok(())
    }

    /// Reads the images.
    pub(super) fn read(
        &self,
        file: &File,
        asked: Asked,
        settings: &ImageSettings,
        account: &mut Account,
    ) -> Result<Stored> {
        let turned = self.is_turned(file, asked, settings, account)?;
        let first = &self.datasets[0];
        let shape = file.input.shape(first)?.unwrap_or_default();
        let (frames, of_image) =
            if self.is_series { (shape[0], &shape[1..]) } else { (1, &shape[..]) };
        let channels = match of_image {
            [_, _] => 1,
            [_, _, 3] => 3,
            _ => {
                let advice =
                    "images must be grayscale, or RGB along the last axis: write the file again";
                return Err(file
                    .input
                    .mismatch(first, "grayscale or RGB images", format!("shape {shape:?}"), advice)
                    .into());
            }
        };
        let (mut bytes, mut floats, mut dtype) = (vec![], vec![], "");
        for dataset in &self.datasets {
            let sizes: Vec<Option<usize>> = shape.iter().map(|size| Some(*size)).collect();
            let numbers = file.input.numbers(dataset, &sizes)?;
            dtype = if numbers.kind() == Kind::Byte { "u8" } else { "not bytes" };
            match numbers.kind() {
                Kind::Byte if floats.is_empty() => append(
                    &mut bytes,
                    planar(&shape, frames, channels, turned, numbers.stored::<u8>()?),
                ),
                Kind::Whole | Kind::Float if bytes.is_empty() => {
                    append(
                        &mut floats,
                        planar(&shape, frames, channels, turned, numbers.floats()?),
                    );
                }
                _ => {
                    let advice = "write all images with one type";
                    return Err(file
                        .input
                        .mismatch(dataset, "the type of the other images", "another type", advice)
                        .into());
                }
            }
        }
        let (height, width) =
            if turned { (of_image[1], of_image[0]) } else { (of_image[0], of_image[1]) };
        account.took(format!(
            "images from {}: {} of {height} x {width}, {channels} channels, {dtype}",
            self.path, self.count
        ));
        let range =
            settings.range.or((self.is_of_allen() && dtype != "u8").then_some([0.0, 255.0]));
        let mismatch =
            |expected, found, advice| file.input.mismatch(&self.path, expected, found, advice);
        let area = channels * height * width;
        let pixels = match range {
            None | Some([0.0, 255.0]) if floats.is_empty() => Pixels::Bytes(bytes),
            _ if floats.is_empty() => {
                units(asked, range, Numbers { values: &bytes, area, dtype }, mismatch, account)?
            }
            _ => units(asked, range, Numbers { values: &floats, area, dtype }, mismatch, account)?,
        };
        Ok(Stored { shape: [self.count, channels, height, width], pixels })
    }

    fn is_of_allen(&self) -> bool {
        OF_ALLEN.iter().any(|name| self.path.rsplit('/').next() == Some(*name))
    }

    /// Whether images are stored width first. The format says so, most writers do not, and nothing
    /// in a file tells.
    fn is_turned(
        &self,
        file: &File,
        asked: Asked,
        settings: &ImageSettings,
        account: &mut Account,
    ) -> Result<bool> {
        use ImageAxis::{Height, Width};
        if let Some(axes) = &settings.axes {
            let of_pixels: Vec<ImageAxis> =
                axes.iter().copied().filter(|axis| [Height, Width].contains(axis)).collect();
            if of_pixels.len() == 2 && of_pixels[0] != of_pixels[1] {
                return Ok(of_pixels[0] == Width);
            }
            let found = format!("{axes:?}").to_lowercase();
            return Err(asked
                .mismatch(
                    "images.axes",
                    "height,width or width,height",
                    found,
                    ["in the order of the file"; 2],
                )
                .into());
        }
        if self.is_of_allen() {
            account.assumes(
                "images of the Brain Observatory are stored in row-major order: height, then width",
            );
            return Ok(false);
        }
        let shape = file.input.shape(&self.datasets[0])?.unwrap_or_default();
        let of_image = &shape[usize::from(self.is_series)..];
        let dimension = format!("{}/dimension", self.path);
        if self.is_series && file.input.has(&dimension)? {
            let stated = file.input.numbers(&dimension, &[None])?.integers()?;
            let [first, second] = [of_image[0] as i64, of_image[1] as i64];
            match stated[..] {
                [width, height] if width != height && (height, width) == (first, second) => {
                    account.took(format!(
                        "the axes of images from their attribute `dimension`, {width} x {height}: height, then width"
                    ));
                    return Ok(false);
                }
                [width, height] if width != height && (width, height) == (first, second) => {
                    account.took(format!(
                        "the axes of images from their attribute `dimension`, {width} x {height}: width, then height"
                    ));
                    return Ok(true);
                }
                _ => {}
            }
        }
        let expected = format!("which of the axes {of_image:?} of {} is the height", self.path);
        let advice = "the format says width first, but many writers store height first: use --image-axes height,width or width,height, whichever \
                      shows the pictures upright";
        Err(asked.mismatch("images.axes", expected, "none", [advice; 2]).into())
    }
}

/// Sorts by number if all names are one word followed by the numbers from 0.
fn numbered(images: &mut [&Object]) -> Order {
    let number = |image: &Object| -> Option<(String, usize)> {
        let word = image.name().trim_end_matches(|letter: char| letter.is_ascii_digit());
        Some((word.to_owned(), image.name()[word.len()..].parse().ok()?))
    };
    let numbers: Option<Vec<(String, usize)>> = images.iter().map(|image| number(image)).collect();
    let Some(numbers) = numbers else {
        return if images.len() == 1 { Order::Stated } else { Order::Unknown };
    };
    let mut places: Vec<usize> = numbers.iter().map(|(_, number)| *number).collect();
    places.sort_unstable();
    if numbers.iter().any(|(word, _)| *word != numbers[0].0)
        || !places.iter().copied().eq(0..images.len())
    {
        return Order::Unknown;
    }
    images.sort_by_key(|image| number(image).map(|(_, number)| number));
    Order::Numbered
}

/// Converts to `[frames, channels, height, width]` from channels last; `turned` if stored width
/// first.
fn planar<T: Copy>(
    shape: &[usize],
    frames: usize,
    channels: usize,
    turned: bool,
    values: Vec<T>,
) -> Vec<T> {
    if channels == 1 && !turned {
        return values;
    }
    let sides = if shape.len() == 2 {
        shape
    } else {
        &shape[shape.len() - 2 - usize::from(channels == 3)..][..2]
    };
    let stored = ArrayD::from_shape_vec(vec![frames, sides[0], sides[1], channels], values)
        .expect("as many values as the shape says");
    let ordered = stored.permuted_axes(if turned { vec![0, 3, 2, 1] } else { vec![0, 3, 1, 2] });
    ordered.iter().copied().collect()
}

/// Appends without a copy if `to` is empty: the images of a session may take half a gigabyte.
fn append<T>(to: &mut Vec<T>, mut from: Vec<T>) {
    match to.is_empty() {
        true => *to = from,
        false => to.append(&mut from),
    }
}
