//! The configuration of a run, resolved and checked.

mod arm;
mod known;
mod overrides;
mod replaced;
mod targets;
mod training;
mod values;

pub(crate) use arm::{Arm, Keep};
pub(crate) use targets::{MatrixTarget, Target};
pub(crate) use training::Training;
pub(crate) use values::{Extent, FixedNetwork, Layer};

use anyhow::{Context, Result, bail, ensure};
use brainprior_artifact::hash;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

const DEFAULT: &str = include_str!("../../../../xtask/configs/default.toml");

/// Predictions that have seen a trial contain its noise, which combining them with the trial would
/// count twice.
const FOLDS_OF_COMBINED: usize = 5;

/// All settings that decide what a run computes.
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
    pub(crate) files: Option<Vec<PathBuf>>,
    pub(crate) truth: Option<Vec<PathBuf>>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Simulation {
    pub(crate) stimuli: Option<PathBuf>,
    pub(crate) scans: usize,
    pub(crate) neurons: usize,
    pub(crate) images: usize,
    pub(crate) oracle_images: usize,
    pub(crate) repeats: usize,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Images {
    pub(crate) file: Option<PathBuf>,
    pub(crate) corrupted: Option<PathBuf>,
    pub(crate) grayscale: bool,
    pub(crate) train: usize,
    pub(crate) test: usize,
    pub(crate) skip_test: usize,
}

/// How the fitted models predict the responses for targets.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Prediction {
    pub(crate) denoiser: Denoiser,
    pub(crate) seeds: u64,
    pub(crate) folds: Option<usize>,
    pub(crate) network: FixedNetwork,
    pub(crate) layers: Vec<Layer>,
}

/// The models that predict responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Denoiser {
    /// The convolutional model of `[response]`.
    Convolutional,
    /// This model mixed with linear readouts of fixed features, with weights chosen on held-out
    /// trials.
    Mixed,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Similarity {
    pub(crate) images: Extent,
    pub(crate) weights: Weights,
    pub(crate) threshold: f64,
    pub(crate) network: Option<PathBuf>,
    pub(crate) layer: Layer,
}

/// Weighting of neurons in targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Weights {
    /// One of the following, whichever brings targets closer to noise-free similarities of held-out
    /// images.
    #[serde(rename = "automatic")]
    Automatic,
    /// The inverse standard deviation.
    #[serde(rename = "equal")]
    Equal,
    /// The same times w for measured responses, times w v for predicted ones.
    #[serde(rename = "w v")]
    SignalToNoise,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Robustness {
    pub(crate) noise_images: usize,
    pub(crate) attack_images: usize,
    pub(crate) gaussian: Vec<f64>,
    pub(crate) linf: Vec<f64>,
    pub(crate) l2: Vec<f64>,
    pub(crate) passes: usize,
    pub(crate) corruption_images: usize,
    pub(crate) masking_images: usize,
    pub(crate) masking_queries: usize,
}

impl Config {
    /// Resolves the embedded default, an optional file and `settings` of the form
    /// `section.key=value`; relative paths are relative to the working directory.
    ///
    /// # Errors
    /// Returns an error if a key does not exist (with the nearest valid one), a value does not fit
    /// (with its key), or a file does not exist.
    pub fn load(file: Option<&Path>, settings: &[String]) -> Result<Self> {
        let table = overrides::layer(DEFAULT, file, settings)?;
        let config: Self = table.try_into().context("the configuration is not valid")?;
        config.response.check()?;
        config.check()?;
        Ok(config)
    }

    /// Default name of the run directory.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn check(&self) -> Result<()> {
        self.check_files()?;
        for (key, value) in [
            ("prediction.seeds", self.prediction.seeds as usize),
            ("training.seeds", self.training.seeds as usize),
            ("images.train", self.images.train),
            ("images.test", self.images.test),
            ("robustness.noise_images", self.robustness.noise_images),
            ("robustness.attack_images", self.robustness.attack_images),
            ("robustness.corruption_images", self.robustness.corruption_images),
            ("robustness.masking_images", self.robustness.masking_images),
        ] {
            ensure!(value > 0, "{key} is 0; set it to at least 1");
        }
        if let Some(folds @ (0 | 1)) = self.prediction.folds {
            bail!(
                "prediction.folds is {folds}; give at least 2, or leave it out for in-sample predictions"
            );
        }
        self.training.check()?;
        for levels in [&self.robustness.gaussian, &self.robustness.linf, &self.robustness.l2] {
            ensure!(
                !levels.is_empty() && levels.windows(2).all(|pair| pair[0] < pair[1]),
                "robustness: expected one or more increasing levels, found {levels:?}"
            );
        }
        Ok(())
    }

    fn check_files(&self) -> Result<()> {
        let Scans { files, truth } = &self.scans;
        ensure!(
            files.as_ref().is_none_or(|files| !files.is_empty()),
            "scans.files is empty; leave it out for simulated scans"
        );
        if let Some(truth) = truth {
            let scans = files.as_ref().map_or(0, Vec::len);
            ensure!(
                !truth.is_empty() && truth.len() == scans,
                "scans.truth has {} files, but scans.files has {scans}: give one truth file for each scan, in the same order, or leave it \
                 out",
                truth.len()
            );
        }
        let scans =
            files.iter().chain(truth).flatten().map(|path| ("scans", "simulated scans", path));
        let stimuli = self
            .simulation
            .stimuli
            .iter()
            .map(|path| ("simulation.stimuli", "procedural stimuli", path));
        let images = self.images.file.iter().map(|path| ("images.file", "procedural images", path));
        let corrupted = self
            .images
            .corrupted
            .iter()
            .map(|path| ("images.corrupted", "corruptions made here", path));
        let network = self
            .similarity
            .network
            .iter()
            .map(|path| ("similarity.network", "a run without features", path));
        let given = scans.chain(stimuli).chain(images).chain(corrupted);
        for (key, without, path) in given.chain(network) {
            ensure!(
                !path.as_os_str().is_empty(),
                "{key} is an empty path; leave it out for {without}"
            );
            ensure!(path.exists(), "{key}: {} does not exist", path.display());
        }
        if let Some(path) = self.prediction.network.file() {
            ensure!(
                path.is_file(),
                "prediction.network: expected \"built-in\", \"none\" or a file, found {path:?}, which is no file"
            );
        }
        let layers = &self.prediction.layers;
        ensure!(
            !layers.is_empty(),
            "prediction.layers is empty; for the filter bank only, set prediction.network = \"none\""
        );
        for (index, layer) in layers.iter().enumerate() {
            ensure!(
                !layers[..index].contains(layer),
                "prediction.layers holds {layer} twice; name each layer once"
            );
        }
        ensure!(
            self.images.corrupted.is_none() || self.images.file.is_some(),
            "images.corrupted holds the test images of a set; set images.file to that set, or leave images.corrupted out"
        );
        let features = Target::Matrix(MatrixTarget::Features);
        let wants_features = self.training.conditions.iter().any(|arm| arm.target() == features);
        ensure!(
            !wants_features || self.similarity.network.is_some(),
            "training.conditions: target `features` needs a trained network; set similarity.network to a checkpoint, for example \
             from an earlier run: runs/default/train/none-seed0/best.safetensors"
        );
        Ok(())
    }

    /// Number of folds for predicting each image with models that never saw it: the configured
    /// number, or [`FOLDS_OF_COMBINED`] if a target combines predictions with the trials
    /// themselves.
    pub(crate) fn folds(&self) -> Option<usize> {
        let combined = Target::Matrix(MatrixTarget::Combined);
        let wanted = self.training.conditions.iter().any(|arm| arm.target() == combined);
        self.prediction.folds.or(wanted.then_some(FOLDS_OF_COMBINED))
    }

    /// The seed of a stage or part. Each has its own, so that adding a part changes no other.
    pub(crate) fn seed_of(&self, part: &str) -> u64 {
        let hash = hash::of_bytes(format!("{}/{part}", self.seed).as_bytes());
        u64::from_str_radix(&hash[..16], 16).expect("a hash is hexadecimal")
    }

    /// The same with absolute paths, valid in any working directory.
    pub(crate) fn with_absolute_paths(mut self) -> Result<Self> {
        let files = self.scans.files.iter_mut().chain(&mut self.scans.truth).flatten();
        let networks = self.similarity.network.iter_mut().chain(self.prediction.network.file_mut());
        let images = self.images.file.iter_mut().chain(&mut self.images.corrupted);
        for path in files.chain(&mut self.simulation.stimuli).chain(images).chain(networks) {
            *path = std::fs::canonicalize(&path)
                .with_context(|| format!("could not resolve {}", path.display()))?;
        }
        Ok(self)
    }

    /// The configuration as TOML, for the run directory.
    pub(crate) fn to_toml(&self) -> Result<String> {
        toml::to_string_pretty(self).context("the configuration cannot be written as TOML")
    }
}

#[cfg(test)]
mod tests {
    use super::known::Known;
    use super::*;

    fn load(settings: &[&str]) -> Result<Config> {
        Config::load(
            None,
            &settings.iter().map(|setting| (*setting).to_owned()).collect::<Vec<_>>(),
        )
    }

    #[test]
    fn the_shipped_configurations_hold() {
        let default = load(&[]).unwrap();
        assert_eq!(default.name, "default");
        let paper = concat!(env!("CARGO_MANIFEST_DIR"), "/../../xtask/configs/paper.toml");
        let paper = Config::load(Some(Path::new(paper)), &[]).unwrap();
        assert_eq!(
            (paper.training.common.base_channels, paper.training.common.weight_decay),
            (64, 0.0)
        );
        assert_eq!(paper.robustness.gaussian.last(), Some(&0.1));
        assert_eq!(paper.training.shorter().len(), 3);
        let walker = concat!(env!("CARGO_MANIFEST_DIR"), "/../../xtask/configs/walker2019.toml");
        let walker = Config::load(Some(Path::new(walker)), &[]).unwrap();
        assert_eq!(walker.response, brainprior_response_model::Config::walker2019());
        let experiments =
            concat!(env!("CARGO_MANIFEST_DIR"), "/../../xtask/configs/experiments.toml");
        assert!(Config::load(Some(Path::new(experiments)), &[]).unwrap().training.common.snapshots);
        let claim = concat!(env!("CARGO_MANIFEST_DIR"), "/../../xtask/configs/claim.toml");
        let claim = Config::load(Some(Path::new(claim)), &[]).unwrap();
        assert_eq!(
            (claim.images.skip_test, claim.images.test, claim.robustness.noise_images),
            (1000, 9000, 9000)
        );
    }

    #[test]
    fn what_is_commented_out_in_the_papers_configuration_holds() {
        let paper = concat!(env!("CARGO_MANIFEST_DIR"), "/../../xtask/configs/paper.toml");
        let text = std::fs::read_to_string(paper).unwrap();
        let uncommented = text.lines().map(|line| match line.strip_prefix('#') {
            Some(rest) if !rest.starts_with(' ') => rest,
            _ => line,
        });
        let folder = tempfile::tempdir().unwrap();
        let network = folder.path().join("vgg19.safetensors");
        std::fs::write(&network, "a state dict").unwrap();
        let file = folder.path().join("paper.toml");
        let text = uncommented.collect::<Vec<_>>().join("\n");
        assert!(text.contains("vgg19.safetensors"));
        std::fs::write(&file, text.replace("vgg19.safetensors", &network.display().to_string()))
            .unwrap();
        let config = Config::load(Some(&file), &[]).unwrap();
        assert_eq!(config.similarity.layer, Layer::Name("conv3_1".into()));
        assert!(
            config
                .training
                .conditions
                .iter()
                .any(|arm| arm.target() == Target::Matrix(MatrixTarget::Features))
        );
    }

    fn missing(value: &serde_json::Value, known: &Known, path: &str) -> Vec<String> {
        let fields = value.as_object().unwrap().iter();
        let missing =
            fields.flat_map(|(key, value)| match (known.examples(key), known.section(key)) {
                (Some(_), _) => Vec::new(),
                (None, Some(section)) => missing(value, section, &format!("{path}{key}.")),
                (None, None) => vec![format!("{path}{key}")],
            });
        missing.collect()
    }

    #[test]
    fn every_setting_stands_in_the_default() {
        let fields = serde_json::to_value(load(&[]).unwrap()).unwrap();
        assert_eq!(missing(&fields, &Known::of(DEFAULT).unwrap(), ""), [""; 0]);
    }

    fn examples(known: &Known, path: &str) -> Vec<String> {
        let names = known.names();
        let examples = names.flat_map(|name| match known.examples(name) {
            Some(examples) => {
                examples.iter().map(|example| format!("{path}{name}={example}")).collect()
            }
            None => examples(known.section(name).unwrap(), &format!("{path}{name}.")),
        });
        examples.collect()
    }

    #[test]
    fn every_value_that_the_default_shows_fits() {
        let examples = examples(&Known::of(DEFAULT).unwrap(), "");
        assert!(
            examples.iter().any(|example| example.starts_with("training.layers=")),
            "{examples:?}"
        );
        for example in examples {
            let table = overrides::layer(DEFAULT, None, std::slice::from_ref(&example)).unwrap();
            if let Err(error) = table.try_into::<Config>() {
                panic!("{example}: {error}");
            }
        }
    }

    #[test]
    fn what_is_written_for_a_run_is_read_as_the_same() {
        let config = load(&[
            "training.conditions=[{target=\"none\"},{target=\"raw\",force=3,name=\"weak\"},{target=\"none\",epochs=2,keep=\"last\"}]",
            "training.robust_training={noise={std=0.1}}",
            "response.core.contrast_window=none",
            "prediction.network=none",
            "similarity.images=20",
        ])
        .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        std::fs::write(&file, config.to_toml().unwrap()).unwrap();
        let json = |config: &Config| serde_json::to_string(config).unwrap();
        assert_eq!(json(&Config::load(Some(&file), &[]).unwrap()), json(&config));
    }

    #[test]
    fn settings_that_make_no_sense_name_their_key() {
        for (setting, part) in [
            ("training.epochs=0", "training.epochs: expected at least 1, found 0"),
            ("training.conditions=[]", "training.conditions is empty"),
            ("training.conditions=[{target=\"raw\"},{target=\"raw\"}]", "`raw` appears twice"),
            (
                "training.conditions=[{target=\"features\"}]",
                "set similarity.network to a checkpoint",
            ),
            ("training.centering=both", "both"),
            ("prediction.folds=1", "prediction.folds is 1"),
            ("robustness.gaussian=[0.2, 0.1]", "increasing levels"),
            ("scans.files=nowhere.h5", "nowhere.h5 does not exist"),
        ] {
            let error = format!("{:#}", load(&[setting]).unwrap_err());
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn what_stood_for_nothing_is_refused_with_what_to_write() {
        for (setting, part) in [
            ("scans.files=[]", "leave it out for simulated scans"),
            ("images.file=", "leave it out for procedural images"),
            ("images.corrupted=.", "set images.file to that set"),
            ("similarity.network=", "leave it out for"),
            ("prediction.network=", "found \"\", which is no file"),
            ("prediction.network=.", "found \".\", which is no file"),
            ("prediction.network=builtin", "expected \"built-in\", \"none\" or a file"),
            ("prediction.network=3", "`prediction.network` expects string (for example"),
            ("prediction.layers=[]", "set prediction.network = \"none\""),
            ("prediction.layers=[2, 3, 2]", "prediction.layers holds 2 twice"),
            ("similarity.images=0", "\"all\""),
            ("similarity.network_layer=conv3_1", "layer = \"conv3_1\""),
            ("prediction.folds=0", "leave it out for in-sample predictions"),
            ("response.core.contrast_window=0", "\"none\""),
            ("training.layers=[]", "leave it out for all layers"),
            ("training.alpha_warm_up=0", "leave it out for a constant alpha"),
            ("training.gamma=[]", "mixture = { fixed"),
            ("training.early_matches=raw", "keep = \"last\""),
            ("training.stop_after=3", "keep = \"last\""),
            ("training.noise_std=0.1", "robust_training = { noise"),
            (
                "training.conditions=[\"none\", \"raw alpha=3\"]",
                "{ target = \"none\" },\n    { target = \"raw\", alpha = 3 },\n",
            ),
            ("training.conditions=denoise", "found [\"denoise\"]"),
        ] {
            let error = format!("{:#}", load(&[setting]).unwrap_err());
            assert!(error.contains(part), "{setting}: {error}");
        }
    }

    #[test]
    fn parts_have_seeds_of_their_own() {
        let config = load(&[]).unwrap();
        assert_ne!(config.seed_of("scans"), config.seed_of("images"));
        assert_eq!(config.seed_of("scans"), load(&["training.epochs=3"]).unwrap().seed_of("scans"));
    }
}
