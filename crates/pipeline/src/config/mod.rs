//! The configuration of a run, resolved and checked.

mod conditions;
mod overrides;

pub(crate) use conditions::{Arm, Condition, Control, MatrixTarget};

use anyhow::{Context, Result, bail, ensure};
use brainprior_artifact::hash;
use brainprior_classifier::{Centering, RunningStatistics};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

const DEFAULT: &str = include_str!("../../../../xtask/configs/default.toml");

/// Everything that decides what a run computes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub(crate) name: String,
    pub(crate) seed: u64,
    pub(crate) scans: Scans,
    pub(crate) simulation: Simulation,
    pub(crate) images: Images,
    pub(crate) response: brainprior_response_model::Config,
    pub(crate) prediction: Prediction,
    pub(crate) similarity: Similarity,
    pub(crate) training: Training,
    pub(crate) robustness: Robustness,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scans {
    pub(crate) files: Vec<PathBuf>,
    pub(crate) truth: Vec<PathBuf>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Simulation {
    pub(crate) scans: usize,
    pub(crate) neurons: usize,
    pub(crate) images: usize,
    pub(crate) oracle_images: usize,
    pub(crate) repeats: usize,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Images {
    pub(crate) file: PathBuf,
    pub(crate) grayscale: bool,
    pub(crate) train: usize,
    pub(crate) test: usize,
}

/// How the fitted models predict the target's responses.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Prediction {
    pub(crate) seeds: u64,
    pub(crate) folds: usize,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Similarity {
    pub(crate) images: usize,
    pub(crate) threshold: f64,
    pub(crate) network: PathBuf,
    pub(crate) network_layer: String,
    pub(crate) layer: usize,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Training {
    pub(crate) conditions: Vec<Arm>,
    pub(crate) seeds: u64,
    pub(crate) alpha: f64,
    pub(crate) alpha_warm_up: f64,
    pub(crate) loss_scale: f64,
    pub(crate) layers: Vec<usize>,
    pub(crate) gamma: Vec<f64>,
    pub(crate) centering: Centering,
    pub(crate) running_statistics: RunningStatistics,
    pub(crate) target_limit: f64,
    pub(crate) early_matches: String,
    pub(crate) noise_std: f64,
    pub(crate) attack_epsilon: f64,
    pub(crate) attack_steps: usize,
    pub(crate) snapshots: bool,
    pub(crate) epochs: usize,
    pub(crate) batch: usize,
    pub(crate) pairs: usize,
    pub(crate) learning_rate: f64,
    pub(crate) weight_decay: f64,
    pub(crate) augmentation: bool,
    pub(crate) validation_fraction: f64,
    pub(crate) blocks: Vec<usize>,
    pub(crate) base_channels: usize,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Robustness {
    pub(crate) noise_images: usize,
    pub(crate) attack_images: usize,
    pub(crate) gaussian: Vec<f64>,
    pub(crate) linf: Vec<f64>,
    pub(crate) l2: Vec<f64>,
    pub(crate) decision_boundary_steps: usize,
    pub(crate) corruption_images: usize,
    pub(crate) masking_images: usize,
    pub(crate) masking_queries: usize,
}

impl Config {
    /// The embedded default under an optional file and `settings` of the form `section.key=value`; relative paths are relative
    /// to where the process runs.
    ///
    /// # Errors
    /// A key that does not exist, with the nearest that does; a value that does not fit, with its key; a file that does not exist.
    pub fn load(file: Option<&Path>, settings: &[String]) -> Result<Self> {
        let table = overrides::layer(DEFAULT, file, settings)?;
        let config: Self = table.try_into().context("the configuration does not fit")?;
        config.response.check()?;
        config.check()?;
        Ok(config)
    }

    /// As the run directory is called where no other was given.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn check(&self) -> Result<()> {
        if !self.scans.truth.is_empty() {
            ensure!(
                self.scans.truth.len() == self.scans.files.len(),
                "scans.truth has {} files, scans.files has {}: give one truth file for each scan, in the same order, or none",
                self.scans.truth.len(),
                self.scans.files.len()
            );
        }
        for path in self.scans.files.iter().chain(&self.scans.truth) {
            ensure!(path.exists(), "scans: {} does not exist", path.display());
        }
        if !self.images.file.as_os_str().is_empty() && !self.images.file.exists() {
            bail!("images.file: {} does not exist", self.images.file.display());
        }
        for (key, value) in [
            ("prediction.seeds", self.prediction.seeds as usize),
            ("training.seeds", self.training.seeds as usize),
            ("training.epochs", self.training.epochs),
            ("training.batch", self.training.batch),
            ("training.pairs", self.training.pairs),
            ("images.train", self.images.train),
            ("images.test", self.images.test),
            ("robustness.noise_images", self.robustness.noise_images),
            ("robustness.attack_images", self.robustness.attack_images),
            ("robustness.corruption_images", self.robustness.corruption_images),
            ("robustness.masking_images", self.robustness.masking_images),
        ] {
            ensure!(value > 0, "{key} is 0; it must be at least 1");
        }
        ensure!(self.prediction.folds != 1, "prediction.folds is 1; it must be 0, for predictions in-sample, or at least 2");
        self.check_conditions()?;
        for levels in [&self.robustness.gaussian, &self.robustness.linf, &self.robustness.l2] {
            ensure!(
                !levels.is_empty() && levels.windows(2).all(|pair| pair[0] < pair[1]),
                "robustness: levels must rise and be at least one, found {levels:?}"
            );
        }
        Ok(())
    }

    fn check_conditions(&self) -> Result<()> {
        let arms = &self.training.conditions;
        ensure!(!arms.is_empty(), "training.conditions is empty; name at least `none`");
        for (index, arm) in arms.iter().enumerate() {
            ensure!(!arms[..index].contains(arm), "training.conditions: `{}` stands there twice", arm.name());
            let settings = arm.settings(&self.training)?;
            match arm.condition() {
                Condition::Control(Control::StoppedEarly) => {
                    for needed in [Condition::NONE.name(), &settings.early_matches] {
                        ensure!(
                            arms.iter().any(|arm| arm.name() == needed && !arm.condition().is_stopped_early()),
                            "training.conditions: `{}` compares `none` with `{}`, but `{needed}` is not among them; add it",
                            arm.name(),
                            settings.early_matches
                        );
                    }
                }
                Condition::Matrix(MatrixTarget::Features) => {
                    let network = &self.similarity.network;
                    ensure!(
                        network.exists(),
                        "training.conditions: `features` takes those of a trained network, but similarity.network = {:?} does not \
                         exist; give a checkpoint, for example one of an earlier run: train/none-seed0/best.safetensors",
                        network.display().to_string()
                    );
                }
                Condition::Matrix(_) | Condition::Control(_) => {}
            }
        }
        Ok(())
    }

    /// A seed of its own for each stage and part, so that adding a part changes no other.
    pub(crate) fn seed_of(&self, part: &str) -> u64 {
        let hash = hash::of_bytes(format!("{}/{part}", self.seed).as_bytes());
        u64::from_str_radix(&hash[..16], 16).expect("a hash is hexadecimal")
    }

    /// The same with files named from the root, so that it holds wherever the command runs.
    pub(crate) fn with_absolute_paths(mut self) -> Result<Self> {
        let files = self.scans.files.iter_mut().chain(&mut self.scans.truth);
        for path in files.chain([&mut self.images.file, &mut self.similarity.network]) {
            if !path.as_os_str().is_empty() {
                *path = std::fs::canonicalize(&path).with_context(|| format!("could not resolve {}", path.display()))?;
            }
        }
        Ok(self)
    }

    /// As TOML, for the run directory.
    pub(crate) fn to_toml(&self) -> Result<String> {
        toml::to_string_pretty(self).context("the configuration cannot be written as TOML")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_configurations_hold() {
        let default = Config::load(None, &[]).unwrap();
        assert_eq!(default.name, "default");
        let paper = concat!(env!("CARGO_MANIFEST_DIR"), "/../../xtask/configs/paper.toml");
        let paper = Config::load(Some(Path::new(paper)), &[]).unwrap();
        assert_eq!(paper.training.base_channels, 64);
        let experiments = concat!(env!("CARGO_MANIFEST_DIR"), "/../../xtask/configs/experiments.toml");
        assert!(Config::load(Some(Path::new(experiments)), &[]).unwrap().training.snapshots);
    }

    #[test]
    fn settings_that_make_no_sense_name_their_key() {
        for (setting, part) in [
            ("training.epochs=0", "training.epochs is 0"),
            ("training.conditions=[]", "training.conditions is empty"),
            ("prediction.folds=1", "prediction.folds is 1"),
            ("robustness.gaussian=[0.2, 0.1]", "must rise"),
            ("scans.files=nowhere.h5", "nowhere.h5 does not exist"),
        ] {
            let error = Config::load(None, &[setting.to_owned()]).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        let error = format!("{:#}", Config::load(None, &["training.conditions=[\"denoise\"]".to_owned()]).unwrap_err());
        assert!(error.contains("denoise") && error.contains("denoised"), "{error}");
    }

    #[test]
    fn parts_have_seeds_of_their_own() {
        let config = Config::load(None, &[]).unwrap();
        assert_ne!(config.seed_of("scans"), config.seed_of("images"));
        assert_eq!(config.seed_of("scans"), Config::load(None, &["training.epochs=3".to_owned()]).unwrap().seed_of("scans"));
    }
}
