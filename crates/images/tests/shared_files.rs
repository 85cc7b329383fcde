//! Reads files of the sizes that labs have. Fixtures in the crate cover the same code where these
//! files are absent.

use brainprior_images::{LabeledImages, read_labeled};
use std::path::PathBuf;

#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn shared(name: &str) -> Option<PathBuf> {
    let path =
        PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")).join(name);
    if !path.exists() {
        eprintln!("skipped: {} is not there", path.display());
        return None;
    }
    Some(path)
}

#[test]
fn official_cifar_10_archive() {
    let Some(path) = shared("cifar-10-binary-mini.tar.gz") else { return };
    let split = read_labeled(&path).unwrap();
    assert_eq!((split.train.len(), split.test.len(), split.train.classes()), (2500, 500, 10));
    assert_eq!(split.train.class_names()[..2], ["airplane", "automobile"]);
    let gray = split.train.to_grayscale();
    let (mean, std) = moments(&gray);
    // Over all 50,000 training images the values are 0.48078 and 0.23885.
    assert!((mean - 0.481).abs() < 0.01 && (std - 0.239).abs() < 0.01, "mean {mean}, std {std}");
}

#[test]
fn packed_safetensors_are_refused_with_the_way_out() {
    let Some(path) = shared("cifar10-gray-u8.safetensors.xz") else { return };
    assert!(read_labeled(&path).unwrap_err().to_string().contains("xz --decompress"));
}

fn moments(images: &LabeledImages) -> (f64, f64) {
    let count = images.pixels().len() as f64;
    let mean = images.pixels().iter().map(|byte| f64::from(*byte) / 255.0).sum::<f64>() / count;
    let square =
        images.pixels().iter().map(|byte| (f64::from(*byte) / 255.0 - mean).powi(2)).sum::<f64>()
            / count;
    (mean, square.sqrt())
}
