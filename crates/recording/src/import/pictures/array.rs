//! Images in an array with named axes.

use super::{Pixels, Stored};
use crate::Result;
use crate::import::Account;
use crate::import::asked::Asked;
use crate::import::settings::{ImageAxis, ImageSettings};
use crate::import::source::{Data, Source};
use brainprior_artifact::FileError;
use ndarray::Axis;

/// Reads an array; `stored` is the image height and width if pixels lie along one axis.
pub(in crate::import) fn of_array(
    asked: Asked,
    settings: &ImageSettings,
    stored: Option<[usize; 2]>,
    source: &Source,
    account: &mut Account,
) -> Result<Stored> {
    let Some(axes) = &settings.axes else {
        let (expected, found) =
            ("the axes of the array", format!("none, for shape {:?}", source.shape()));
        let advice = [
            "name them, for example axes = [\"image\", \"height\", \"width\"]",
            "name them, for example --image-axes image,height,width",
        ];
        return Err(asked.mismatch("images.axes", expected, found, advice).into());
    };
    source.check_rank(axes)?;
    let order = order(asked, axes)?;
    let sizes = source.shape();
    let size =
        |wanted| order.iter().find(|(axis, _)| *axis == wanted).map(|(_, place)| sizes[*place]);
    let (height, width) = match (size(ImageAxis::Pixel), stored) {
        (Some(pixels), Some([height, width])) if height.checked_mul(width) == Some(pixels) => {
            (height, width)
        }
        (Some(pixels), found) => {
            let expected = format!("height and width of the {pixels} pixels of an image");
            let found =
                found.map_or("none".to_owned(), |[height, width]| format!("{height} x {width}"));
            let advice = [
                "add stored = [height, width]",
                "save the images with an axis of rows and one of columns",
            ];
            return Err(asked.mismatch("images.stored", expected, found, advice).into());
        }
        (None, Some(_)) => {
            let advice = ["remove it: height and width are axes of the array"; 2];
            return Err(asked.mismatch("images.stored", "none", "one", advice).into());
        }
        (None, None) => (size(ImageAxis::Height).unwrap_or(1), size(ImageAxis::Width).unwrap_or(1)),
    };
    let shape =
        [size(ImageAxis::Image).unwrap_or(0), size(ImageAxis::Channel).unwrap_or(1), height, width];
    if shape.contains(&0) || ![1, 3].contains(&shape[1]) {
        let expected = "at least one image and pixel, and 1 or 3 channels";
        return Err(source
            .mismatch(expected, format!("shape {sizes:?}"), "correct the axis names")
            .into());
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
        _ => {
            let values = in_order(source.doubles()?.view(), &places, has_channels);
            let mismatch = |expected, found, advice| source.mismatch(expected, found, advice);
            let numbers = Numbers {
                values: &values,
                area: shape[1] * height * width,
                dtype: source.data.dtype(),
            };
            units(asked, settings.range, numbers, mismatch, account)?
        }
    };
    Ok(Stored { shape, pixels })
}

/// Stored images: all values, the number of values per image, and their type.
#[derive(Clone, Copy)]
pub(in crate::import) struct Numbers<'a, T> {
    pub(in crate::import) values: &'a [T],
    pub(in crate::import) area: usize,
    pub(in crate::import) dtype: &'a str,
}

/// Scales pixels to [0, 1] by the values of black and white.
/// `mismatch` builds the error for pixels out of range.
pub(in crate::import) fn units<T: Copy + Into<f64>>(
    asked: Asked,
    range: Option<[f64; 2]>,
    numbers: Numbers<T>,
    mismatch: impl FnOnce(String, String, &'static str) -> FileError,
    account: &mut Account,
) -> Result<Pixels> {
    let Numbers { values, area, dtype } = numbers;
    let Some([black, white]) = range else {
        let expected = format!("the pixel values of black and white, since the images are {dtype}");
        let advice = [
            "add range = [0, 255] with the right values",
            "add --range 0,255 with the right values",
        ];
        return Err(asked.mismatch("images.range", expected, "none", advice).into());
    };
    if !(black < white && black.is_finite() && white.is_finite()) {
        let (found, advice) = (format!("[{black}, {white}]"), ["give black first, then white"; 2]);
        return Err(asked.mismatch("images.range", "black below white", found, advice).into());
    }
    let values = || values.iter().map(|value| (*value).into());
    if let Some(place) = values().position(|value| !(black..=white).contains(&value)) {
        let found = format!(
            "{} at image {}, pixel {}",
            values().nth(place).unwrap_or(f64::NAN),
            place / area,
            place % area
        );
        let advice = "this is the stated range from black to white: correct it, or the images";
        return Err(mismatch(format!("pixels from {black} to {white}"), found, advice).into());
    }
    let (least, most) = values()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), value| {
            (least.min(value), most.max(value))
        });
    account
        .took(format!("pixels from {least} to {most}, with black = {black} and white = {white}"));
    if most - least < (white - black) / 2.0 {
        let part = 100.0 * (most - least) / (white - black);
        account
            .assumes(format!("the images use {part:.1}% of the stated range [{black}, {white}]: if white is {most}, state that"));
    }
    let unit = |value: f64| (value - black) / (white - black);
    // Values that were k/255 are made exactly that again, so that images keep their identity; but
    // not if all would become one gray.
    let are_many = unit(most) - unit(least) >= 1.0 / 255.0;
    let byte = |value: f64| {
        let scaled = unit(value) * 255.0;
        (are_many && (scaled - scaled.round()).abs() < 1e-3).then_some(scaled.round() as u8)
    };
    Ok(match values().map(byte).collect::<Option<Vec<u8>>>() {
        Some(bytes) => Pixels::Bytes(bytes),
        None => Pixels::Units(values().map(|value| unit(value) as f32).collect()),
    })
}

/// The axes in the order image, channel, height, width, each with its position in the array.
fn order(asked: Asked, axes: &[ImageAxis]) -> Result<Vec<(ImageAxis, usize)>> {
    use ImageAxis::{Channel, Height, Image, Pixel, Width};
    let order: Vec<(ImageAxis, usize)> = [Image, Channel, Height, Width, Pixel]
        .into_iter()
        .filter_map(|wanted| Some((wanted, axes.iter().position(|axis| *axis == wanted)?)))
        .collect();
    let has = |axis| axes.contains(&axis);
    let fits = has(Image)
        && (has(Height) && has(Width) && !has(Pixel) || has(Pixel) && !has(Height) && !has(Width));
    if fits && order.len() == axes.len() {
        return Ok(order);
    }
    let expected = "image, height and width, with or without channel; or image and pixel";
    let found = format!("{axes:?}").to_lowercase();
    Err(asked
        .mismatch("images.axes", expected, found, ["use each axis of the array once"; 2])
        .into())
}

fn in_order<T: Copy>(
    values: ndarray::ArrayViewD<T>,
    places: &[usize],
    has_channels: bool,
) -> Vec<T> {
    let ordered = values.permuted_axes(places.to_vec());
    let ordered = if has_channels { ordered } else { ordered.insert_axis(Axis(1)) };
    ordered.iter().copied().collect()
}
