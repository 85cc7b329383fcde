//! Compares with CIFAR-10-C's own construction: how much each corruption changes the same 100
//! images (`tests/golden/corruptions.py` made the numbers).
// Prints results, visible with --nocapture.
#![allow(clippy::print_stdout)]

use brainprior_robustness::Corruption;
use candle_core::Device;
use serde_json::Value;
use std::path::Path;

const IMAGES: usize = 100;
const AREA: usize = 1024;
const DRAWS: u64 = 10;

fn golden(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn images() -> Vec<Vec<f32>> {
    let tensors =
        candle_core::safetensors::load(golden("images.safetensors"), &Device::Cpu).unwrap();
    let bytes = tensors["images"].flatten_all().unwrap().to_vec1::<u8>().unwrap();
    bytes
        .chunks_exact(AREA)
        .take(IMAGES)
        .map(|image| image.iter().map(|byte| f32::from(*byte) / 255.0).collect())
        .collect()
}

fn corrupted(
    corruption: Corruption,
    severity: usize,
    seed: u64,
    images: &[Vec<f32>],
) -> Vec<Vec<f32>> {
    let one = |(number, image): (usize, &Vec<f32>)| {
        let mut pixels = image.clone();
        corruption.apply([1, 32, 32], &mut pixels, severity, seed, number).unwrap();
        pixels
    };
    images.iter().enumerate().map(one).collect()
}

/// Mean absolute change of a pixel.
fn change(images: &[Vec<f32>], corrupted: &[Vec<f32>]) -> f64 {
    let one = |(a, b): (&Vec<f32>, &Vec<f32>)| {
        a.iter().zip(b).map(|(a, b)| f64::from((a - b).abs())).sum::<f64>()
    };
    images.iter().zip(corrupted).map(one).sum::<f64>() / (images.len() * AREA) as f64
}

#[test]
fn every_family_changes_images_as_much_as_that_of_cifar_10_c() {
    let peers: Value =
        serde_json::from_str(&std::fs::read_to_string(golden("corruptions.json")).unwrap())
            .unwrap();
    let images = images();
    let mut apart = Vec::new();
    for corruption in Corruption::ALL {
        let peer = &peers[corruption.name()];
        let draws = if peer["first"].is_null() { DRAWS } else { 1 };
        let mut line = format!("| {} ", corruption.name());
        for severity in 1..=5 {
            let changes: Vec<f64> = (0..draws)
                .map(|seed| change(&images, &corrupted(corruption, severity, seed, &images)))
                .collect();
            let mean = changes.iter().sum::<f64>() / draws as f64;
            let square = changes.iter().map(|change| (change - mean).powi(2)).sum::<f64>();
            let error =
                if draws > 1 { (square / (draws * (draws - 1)) as f64).sqrt() } else { 0.0 };
            let number = |name: &str| peer[name][severity - 1].as_f64().unwrap();
            let (theirs, their_error) = (number("change"), number("error"));
            line += &format!("| {mean:.4}, {theirs:.4} ");
            // Allow 2% or a quarter of a byte beyond the uncertainty of ten draws.
            let open = 4.0 * (error * error + their_error * their_error).sqrt()
                + (0.02 * theirs).max(0.25 / 255.0);
            if (mean - theirs).abs() > open {
                apart.push(format!(
                    "{} {severity}: {mean:.5}, theirs {theirs:.5}",
                    corruption.name()
                ));
            }
        }
        println!("{line}|");
    }
    assert!(apart.is_empty(), "{apart:#?}");
}

/// Corruptions without randomness give the same image, except where two libraries round
/// differently.
#[test]
fn families_without_randomness_give_the_same_bytes() {
    let peers: Value =
        serde_json::from_str(&std::fs::read_to_string(golden("corruptions.json")).unwrap())
            .unwrap();
    let first = &images()[..1];
    for corruption in Corruption::ALL {
        let Some(severities) = peers[corruption.name()]["first"].as_array() else { continue };
        for (severity, theirs) in (1..=5).zip(severities) {
            let ours = corrupted(corruption, severity, 0, first).remove(0);
            let apart = |(ours, theirs): (&f32, &Value)| {
                (255.0 * f64::from(*ours) - theirs.as_f64().unwrap()).abs()
            };
            let differences: Vec<f64> =
                ours.iter().zip(theirs.as_array().unwrap()).map(apart).collect();
            let largest = differences.iter().copied().fold(0.0, f64::max);
            let share = differences.iter().filter(|difference| **difference > 0.5).count() as f64
                / AREA as f64;
            println!(
                "{} {severity}: {share:.4} of bytes differ, by at most {largest:.0}",
                corruption.name()
            );
            // These images were already JPEGs with half the quantization step: every odd
            // coefficient lies midway between two steps at quality 50 and rounds either way,
            // depending on the codec.
            let is_in_the_middle = corruption == Corruption::Jpeg && severity == 4;
            // If a value is an integer byte, the last digit of a sum decides whether it is
            // truncated to the byte below. JPEG codecs differ in their arithmetic.
            let (most, wide) =
                if corruption == Corruption::Jpeg { (0.6, 6.5) } else { (0.12, 1.5) };
            assert!(
                is_in_the_middle || (share <= most && largest <= wide),
                "{} {severity}: {share} of bytes differ, by {largest}",
                corruption.name()
            );
        }
    }
}
