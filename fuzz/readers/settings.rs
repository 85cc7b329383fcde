//! Text that people write.

use super::fixtures;
use brainprior_pipeline::config::Config;
use std::fs;
use std::hint::black_box;
use std::path::Path;

pub(super) fn config(path: &Path) {
    let _ = black_box(Config::load(Some(path), &[]));
}

pub(super) fn configs() -> Vec<Vec<u8>> {
    let text = fixtures::bytes("../xtask/configs/default.toml");
    let sections = String::from_utf8_lossy(&text).into_owned();
    let mut seeds: Vec<Vec<u8>> =
        sections.split("\n\n").map(|section| section.as_bytes().to_vec()).collect();
    seeds.push(text);
    seeds
}

/// Settings, one per line.
pub(super) fn overrides(path: &Path) {
    let text = fs::read_to_string(path).unwrap_or_default();
    let settings: Vec<String> = text.lines().map(str::to_owned).collect();
    let _ = black_box(Config::load(None, &settings));
}

pub(super) fn settings() -> Vec<Vec<u8>> {
    let lines = [
        "training.epochs=12",
        "name=lab",
        "training.conditions=[{ target = \"none\" }, { target = \"denoised\", alpha = 80 }]",
        "robustness.linf=[0.1, 0.2]\nseed=3",
        "response.core.channels=[4, 4]\nresponse.readout.levels=2",
        "similarity.layer='stage 2'",
    ];
    lines.iter().map(|line| line.as_bytes().to_vec()).collect()
}
