//! The images that were shown: an array, or pictures, in gray, in [0, 1], at the size asked for.

use super::layout::{Color, ImageAxis, Layout};
use super::resize::{area_average, area_average_bytes};
use super::source::{self, Data};
use crate::Result;
use crate::import::Account;
use brainprior_artifact::FileError;
use brainprior_images::{ImageId, Picture, StimulusSet, by_number, is_picture};
use ndarray::Axis;
use rayon::prelude::*;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use zip::ZipArchive;

/// The distinct images.
pub(super) struct Images {
    pub stimuli: StimulusSet,
    /// For each of them, the number that the source gives it.
    pub labels: Vec<i64>,
    /// For each image of the source, which of them it is.
    pub distinct: Vec<usize>,
}

/// Images before they are gray and small: `[images, channels, height, width]`.
struct Stored {
    shape: [usize; 4],
    pixels: Pixels,
}

enum Pixels {
    Bytes(Vec<u8>),
    /// In [0, 1].
    Units(Vec<f32>),
}

pub(super) fn read(layout: &Layout, wanted: Option<usize>, account: &mut Account) -> Result<Images> {
    let settings = &layout.images;
    let path = layout.beside(&settings.file);
    std::fs::metadata(&path).map_err(FileError::refused(&path, "read"))?;
    let stored = match pictures_in(&path)? {
        Some(names) => of_pictures(layout, &path, names, account)?,
        None => of_array(layout, &path, account)?,
    };
    let count = stored.shape[0];
    if let Some(wanted) = wanted.filter(|wanted| *wanted != count) {
        let advice = "give the responses and the images the same images, in one order";
        let expected = format!("{wanted} images, as along the axis of the responses");
        return Err(FileError::mismatch(&path, "images", expected, count.to_string(), advice).into());
    }
    let gray = to_gray(layout, &path, stored, account)?;
    let small = to_size(layout, &path, gray, account)?;
    distinct(small, layout.first_image, account)
}

fn of_array(layout: &Layout, path: &Path, account: &mut Account) -> Result<Stored> {
    let settings = &layout.images;
    let source = source::read(path, settings.array.as_deref())?;
    let Some(axes) = &settings.axes else {
        let (expected, found) = ("the axes of the array", format!("none, for shape {:?}", source.shape()));
        let advice = "name them, as axes = [\"image\", \"height\", \"width\"]";
        return Err(layout.mismatch("images.axes", expected, found, advice).into());
    };
    source.check_rank(axes)?;
    let order = order(layout, axes)?;
    let sizes = source.shape();
    let size = |wanted| order.iter().find(|(axis, _)| *axis == wanted).map(|(_, place)| sizes[*place]);
    let (height, width) = match (size(ImageAxis::Pixel), settings.stored) {
        (Some(pixels), Some([height, width])) if height * width == pixels => (height, width),
        (Some(pixels), found) => {
            let expected = format!("height and width of the {pixels} pixels of an image");
            let found = found.map_or("none".to_owned(), |[height, width]| format!("{height} x {width}"));
            return Err(layout.mismatch("images.stored", expected, found, "add stored = [height, width]").into());
        }
        (None, Some(_)) => {
            let advice = "take it out: height and width are axes of the array";
            return Err(layout.mismatch("images.stored", "none", "one", advice).into());
        }
        (None, None) => (size(ImageAxis::Height).unwrap_or(1), size(ImageAxis::Width).unwrap_or(1)),
    };
    let shape = [size(ImageAxis::Image).unwrap_or(0), size(ImageAxis::Channel).unwrap_or(1), height, width];
    if shape.contains(&0) || ![1, 3].contains(&shape[1]) {
        let expected = "at least one image and pixel, and 1 or 3 channels";
        return Err(source.mismatch(expected, format!("shape {sizes:?}"), "correct the axes in the layout").into());
    }
    account.took(format!(
        "images from {}: {} of {height} x {width}, {} channels, {}",
        source.shown(),
        shape[0],
        shape[1],
        source.data.dtype()
    ));
    let places: Vec<usize> = order.iter().map(|(_, place)| *place).collect();
    let has_channels = order.iter().any(|(axis, _)| *axis == ImageAxis::Channel);
    let pixels = match (&source.data, settings.range) {
        (Data::Bytes(bytes), None | Some([0.0, 255.0])) => {
            Pixels::Bytes(in_order(bytes.view().into_dyn(), &places, has_channels))
        }
        (_, Some([black, white])) if black < white => {
            let values = in_order(source.doubles()?.view(), &places, has_channels);
            let area = shape[1] * height * width;
            if let Some(place) = values.iter().position(|value| !(black..=white).contains(value)) {
                let found = format!("{} at image {}, pixel {}", values[place], place / area, place % area);
                let advice = "images.range of the layout is black and white: correct it, or the images";
                return Err(source.mismatch(format!("pixels from {black} to {white}"), found, advice).into());
            }
            let unit = |value: f64| (value - black) / (white - black);
            // What was stored as a part of 255 is that again, so that images keep their identity.
            let byte = |value: &f64| {
                let scaled = unit(*value) * 255.0;
                ((scaled - scaled.round()).abs() < 1e-3).then_some(scaled.round() as u8)
            };
            match values.iter().map(byte).collect::<Option<Vec<u8>>>() {
                Some(bytes) => Pixels::Bytes(bytes),
                None => Pixels::Units(values.iter().map(|value| unit(*value) as f32).collect()),
            }
        }
        (_, Some(found)) => {
            let advice = "give the value of black, then that of white";
            return Err(layout.mismatch("images.range", "black below white", format!("{found:?}"), advice).into());
        }
        (_, None) => {
            let expected = format!("the values of black and white, since the images are {}", source.data.dtype());
            return Err(layout.mismatch("images.range", expected, "none", "add range = [0, 255], or what they are").into());
        }
    };
    Ok(Stored { shape, pixels })
}

/// The axes in the order image, channel, height, width, with the place of each in the array.
fn order(layout: &Layout, axes: &[ImageAxis]) -> Result<Vec<(ImageAxis, usize)>> {
    use ImageAxis::{Channel, Height, Image, Pixel, Width};
    let order: Vec<(ImageAxis, usize)> = [Image, Channel, Height, Width, Pixel]
        .into_iter()
        .filter_map(|wanted| Some((wanted, axes.iter().position(|axis| *axis == wanted)?)))
        .collect();
    let has = |axis| axes.contains(&axis);
    let fits = has(Image) && (has(Height) && has(Width) && !has(Pixel) || has(Pixel) && !has(Height) && !has(Width));
    if fits && order.len() == axes.len() {
        return Ok(order);
    }
    let expected = "image, height and width, with or without channel; or image and pixel";
    let found = format!("{axes:?}").to_lowercase();
    Err(layout.mismatch("images.axes", expected, found, "name each axis of the array once").into())
}

fn in_order<T: Copy>(values: ndarray::ArrayViewD<T>, places: &[usize], has_channels: bool) -> Vec<T> {
    let ordered = values.permuted_axes(places.to_vec());
    let ordered = if has_channels { ordered } else { ordered.insert_axis(Axis(1)) };
    ordered.iter().copied().collect()
}

/// The names of the pictures in a folder or a zip archive, in order; `None` for another file.
fn pictures_in(path: &Path) -> Result<Option<Vec<String>>> {
    if path.is_dir() {
        let listed = std::fs::read_dir(path).map_err(FileError::refused(path, "list"))?;
        let names = listed.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        return Ok(Some(names.collect::<std::io::Result<_>>().map_err(FileError::refused(path, "list"))?));
    }
    let mut start = [0; 2];
    let read = File::open(path).and_then(|mut file| file.read(&mut start));
    read.map_err(FileError::refused(path, "read"))?;
    // An archive of NumPy is one of zip, too.
    if start != *b"PK" || path.extension().is_some_and(|ending| ending == "npz") {
        return Ok(None);
    }
    let archive = archive(path)?;
    Ok(Some(archive.file_names().filter_map(|name| Some(name.ok()?.into_owned())).filter(|name| !name.ends_with('/')).collect()))
}

fn archive(path: &Path) -> Result<ZipArchive<BufReader<File>>> {
    let file = File::open(path).map_err(FileError::refused(path, "open"))?;
    let opened = ZipArchive::new(BufReader::new(file));
    let advice = "it may be cut short: copy it again";
    Ok(opened.map_err(|error| FileError::refused(path, "open as a zip archive")(error).advise(advice))?)
}

fn of_pictures(layout: &Layout, path: &Path, names: Vec<String>, account: &mut Account) -> Result<Stored> {
    for (key, is_there) in [
        ("images.array", layout.images.array.is_some()),
        ("images.axes", layout.images.axes.is_some()),
        ("images.stored", layout.images.stored.is_some()),
        ("images.range", layout.images.range.is_some()),
    ] {
        if is_there {
            let advice = "take it out of the layout: the files of pictures say that themselves";
            return Err(layout.mismatch(key, "none for pictures", "one", advice).into());
        }
    }
    let (mut names, others): (Vec<String>, Vec<String>) = names.into_iter().partition(|name| is_picture(name));
    names.sort_by(|left, right| by_number(left, right));
    let others: Vec<String> =
        others.into_iter().filter(|name| !name.starts_with('.') && !name.starts_with("__MACOSX/")).collect();
    let (Some(first), Some(last)) = (names.first(), names.last()) else {
        return Err(FileError::mismatch(path, "pictures", "PNG or JPEG files", "none", "name the folder that holds them").into());
    };
    if !others.is_empty() {
        let shown: Vec<&str> = others.iter().take(3).map(String::as_str).collect();
        account.dropped_as(format!("{} files that are no PNG or JPEG: {}", others.len(), shown.join(", ")));
    }
    let files: Vec<Vec<u8>> = if path.is_dir() {
        let read = |name: &String| std::fs::read(path.join(name)).map_err(FileError::refused(&path.join(name), "read"));
        names.iter().map(read).collect::<std::result::Result<_, _>>()?
    } else {
        let mut archive = archive(path)?;
        let mut member = |name: &String| {
            let mut bytes = vec![];
            let read = archive.by_name(name).map_err(std::io::Error::from).and_then(|mut file| file.read_to_end(&mut bytes));
            read.map(|_| bytes).map_err(|error| FileError::refused(path, "unpack")(error).in_dataset(name))
        };
        names.iter().map(&mut member).collect::<std::result::Result<_, _>>()?
    };
    let decode = |(name, bytes): (&String, &Vec<u8>)| Picture::decode(path, name, bytes);
    let pictures: Vec<Picture> = names.par_iter().zip(&files).map(decode).collect::<std::result::Result<_, _>>()?;
    let Picture { height, width, .. } = pictures[0];
    if let Some(place) = pictures.iter().position(|picture| (picture.height, picture.width) != (height, width)) {
        let found = format!("{} x {}", pictures[place].height, pictures[place].width);
        let expected = format!("{height} x {width} pixels, as in {first}");
        return Err(FileError::mismatch(path, &names[place], expected, found, "give all pictures one size").into());
    }
    let colored = pictures.iter().filter(|picture| picture.has_color()).count();
    account.took(format!(
        "images from {}: {} pictures of {height} x {width}, {colored} of them in color, {first} to {last}",
        path.file_name().unwrap_or_default().to_string_lossy(),
        pictures.len()
    ));
    account.assumes("pictures in the order of their names, numbers in them compared as numbers, are the images of the responses");
    // Gray ones that were saved in color are gray again, and all have one number of channels.
    let channels = if colored > 0 { 3 } else { 1 };
    let planes = |picture: &Picture| match picture.channels {
        found if found >= channels => picture.pixels[..channels * height * width].to_vec(),
        _ => picture.pixels.repeat(channels),
    };
    let pixels = pictures.iter().flat_map(planes).collect();
    Ok(Stored { shape: [pictures.len(), channels, height, width], pixels: Pixels::Bytes(pixels) })
}

fn to_gray(layout: &Layout, path: &Path, stored: Stored, account: &mut Account) -> Result<Stored> {
    let [count, channels, height, width] = stored.shape;
    match (channels, layout.images.color) {
        (1, None) => return Ok(stored),
        (1, Some(_)) => {
            account.assumes("the images are gray already: color = \"luma\" changes nothing");
            return Ok(stored);
        }
        (_, None) => {
            let advice = "models see gray: add color = \"luma\" to [images]";
            return Err(layout
                .mismatch("images.color", "what becomes of color", format!("none, and {} has colors", path.display()), advice)
                .into());
        }
        (_, Some(Color::Luma)) => {}
    }
    account.assumes("color becomes luma by ITU-R 601: 0.299 red + 0.587 green + 0.114 blue");
    let area = height * width;
    let pixels = match stored.pixels {
        Pixels::Bytes(bytes) => {
            let gray = |image: &[u8]| Picture { channels, height, width, pixels: image.to_vec() }.to_gray().pixels;
            Pixels::Bytes(bytes.chunks(channels * area).flat_map(gray).collect())
        }
        Pixels::Units(units) => {
            let gray = |image: &[f32]| -> Vec<f32> {
                (0..area)
                    .map(|pixel| 0.299 * image[pixel] + 0.587 * image[area + pixel] + 0.114 * image[2 * area + pixel])
                    .collect()
            };
            Pixels::Units(units.chunks(channels * area).flat_map(gray).collect())
        }
    };
    Ok(Stored { shape: [count, 1, height, width], pixels })
}

fn to_size(layout: &Layout, path: &Path, stored: Stored, account: &mut Account) -> Result<Stored> {
    let [count, _, height, width] = stored.shape;
    let Some([new_height, new_width]) = layout.images.size.filter(|size| *size != [height, width]) else { return Ok(stored) };
    if new_height == 0 || new_width == 0 || new_height > height || new_width > width {
        let expected = format!("at most the {height} x {width} pixels of {}", path.display());
        let advice = "images are made smaller, never larger";
        return Err(layout.mismatch("images.size", expected, format!("{new_height} x {new_width}"), advice).into());
    }
    let (old, new) = ([height, width], [new_height, new_width]);
    let pixels = match stored.pixels {
        Pixels::Bytes(bytes) => {
            account
                .assumes("images of 8 bits stay so: averages of columns, then of rows, are rounded to the nearest of 256 grays");
            Pixels::Bytes(bytes.par_chunks(height * width).flat_map_iter(|image| area_average_bytes(image, old, new)).collect())
        }
        Pixels::Units(units) => {
            Pixels::Units(units.par_chunks(height * width).flat_map_iter(|image| area_average(image, old, new)).collect())
        }
    };
    let (rows, columns) = (height as f64 / new_height as f64, width as f64 / new_width as f64);
    account.took(format!("images at {new_height} x {new_width}: each pixel the mean of {rows:.4} x {columns:.4}"));
    if (rows / columns - 1.0).abs() > 0.01 {
        account.assumes(format!("images may be stretched: {rows:.4} rows become one, and {columns:.4} columns"));
    }
    Ok(Stored { shape: [count, 1, new_height, new_width], pixels })
}

fn distinct(stored: Stored, first_image: usize, account: &mut Account) -> Result<Images> {
    let [count, _, height, width] = stored.shape;
    let area = height * width;
    let units = match stored.pixels {
        Pixels::Bytes(bytes) => bytes.into_iter().map(|byte| f32::from(byte) / 255.0).collect(),
        // Means of pixels within the range can leave it by rounding.
        Pixels::Units(units) => units.into_iter().map(|unit| unit.clamp(0.0, 1.0)).collect::<Vec<f32>>(),
    };
    let ids: Vec<ImageId> = units.par_chunks(area).map(|image| ImageId::of(height, width, image)).collect();
    let (mut known, mut labels, mut pixels) = (HashMap::new(), vec![], vec![]);
    let mut of_image = Vec::with_capacity(count);
    for (index, id) in ids.iter().enumerate() {
        let next = known.len();
        let place = *known.entry(*id).or_insert(next);
        if place == next {
            labels.push((index + first_image) as i64);
            pixels.extend_from_slice(&units[index * area..(index + 1) * area]);
        }
        of_image.push(place);
    }
    if known.len() < count {
        let (few, more) = (known.len(), count - known.len());
        account
            .assumes(format!("{more} of {count} images have the pixels of another: {few} images, and their trials are repeats"));
    }
    Ok(Images { stimuli: StimulusSet::new(height, width, pixels)?, labels, distinct: of_image })
}
