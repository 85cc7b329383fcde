//! Reads the images of a layout.

use super::layout::Layout;
use crate::Result;
use crate::import::Account;
use crate::import::pictures::{Images, of_array, of_files, pictures_in};
use crate::import::source;
use brainprior_artifact::FileError;

/// Reads the distinct images. `wanted` is the number of images of the responses, if their axes
/// state it, and the number of neurons.
pub(super) fn read(
    layout: &Layout,
    wanted: Option<(usize, usize)>,
    account: &mut Account,
) -> Result<Images> {
    let path = layout.beside(&layout.images.file);
    let (asked, settings) = (layout.asked(), layout.images.settings());
    std::fs::metadata(&path).map_err(FileError::refused(&path, "read"))?;
    let stored = match pictures_in(&path)? {
        Some(names) => {
            only_of_arrays(layout)?;
            let (stored, names) = of_files(&path, names, account)?;
            let first = layout.first_image;
            account.assumes(format!(
                "the images of the responses are the pictures in natural order of their names: image {first} is {}",
                names[0]
            ));
            stored
        }
        None => {
            let source = source::read(&path, layout.images.array.as_deref())?;
            of_array(asked, &settings, layout.images.stored, &source, account)?
        }
    };
    let count = stored.shape[0];
    if let Some((wanted, neurons)) = wanted.filter(|(wanted, _)| *wanted != count) {
        let expected = format!("{wanted} images, the size of the image axis of the responses");
        let advice = match neurons == count {
            true => "the axis named neuron has that size: correct responses.axes in the layout",
            false => "save the responses and the images for the same images, in the same order",
        };
        return Err(
            FileError::mismatch(&path, "images", expected, count.to_string(), advice).into()
        );
    }
    let gray = stored.into_gray(asked, &path, settings.luma, account)?;
    gray.into_size(asked, &path, settings.size, account)?.distinct(layout.first_image, account)
}

/// Checks that the layout does not set image properties that picture files define themselves.
fn only_of_arrays(layout: &Layout) -> Result<()> {
    for (key, is_there) in [
        ("images.array", layout.images.array.is_some()),
        ("images.axes", layout.images.axes.is_some()),
        ("images.stored", layout.images.stored.is_some()),
        ("images.range", layout.images.range.is_some()),
    ] {
        if is_there {
            let advice = "remove it from the layout: picture files define it themselves";
            return Err(layout.mismatch(key, "none for pictures", "one", advice).into());
        }
    }
    Ok(())
}
