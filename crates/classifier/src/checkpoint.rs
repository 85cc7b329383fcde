//! Networks on disk, in the format of `data-specs/checkpoint.toml`.

use crate::architecture::Role;
use crate::{NetConfig, ResNet, Result, blur};
use brainprior_artifact::FileError;
use brainprior_artifact::archive::{self, Archive};
use candle_core::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const FORMAT: &str = "brainprior-checkpoint";
const VERSION: u32 = 1;
/// Advice to users whose file holds something else.
const ADVICE: &str =
    "use a file written by this version, or the state dict of an equivalent PyTorch module";
/// The weights of [`ResNet::built_in`].
const BUILT_IN: &[u8] = include_bytes!("../networks/cifar10-gray.safetensors");
const BATCHES: &str = "num_batches_tracked";

/// The header, written for readers of the file; only the provenance is read back.
#[derive(Serialize, Deserialize)]
struct Header {
    format: String,
    version: u32,
    net: NetConfig,
    crate_version: String,
    provenance: Vec<String>,
}

impl ResNet {
    /// Writes the network as safetensors under the names of the equivalent PyTorch module's state
    /// dict. The file is written under a temporary name in the same folder, synced, then renamed.
    ///
    /// # Errors
    /// Returns [`Error::File`](crate::Error::File) if the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let mut tensors: BTreeMap<String, Tensor> =
            self.named().map(|(slot, tensor)| (slot.name.clone(), tensor.detach())).collect();
        for norm in self.norms() {
            tensors.insert(
                format!("{norm}.{BATCHES}"),
                Tensor::new(self.batches() as i64, &Device::Cpu)?,
            );
        }
        let crate_version = env!("CARGO_PKG_VERSION").to_owned();
        let (format, net, provenance) =
            (FORMAT.to_owned(), self.config().clone(), self.provenance().to_vec());
        Ok(archive::write(
            path,
            &Header { format, version: VERSION, net, crate_version, provenance },
            tensors,
        )?)
    }

    /// Writes the network as safetensors under the names of torchvision's `ResNet` with basic
    /// blocks. To apply it, give that module a stem of stride 1 without max-pool, and rescale
    /// images x in [0, 1] to 5 (x - 0.5). The layer weights `gamma` are left out.
    ///
    /// # Errors
    /// Returns [`Error::File`](crate::Error::File) if the network has a blur in front, which a
    /// state dict cannot hold, or if the file cannot be written.
    pub fn save_for_torchvision(&self, path: &Path) -> Result<()> {
        if let Some(sigma) = self.config().blur {
            let (expected, found) = ("a network without a blur", format!("one of {sigma} pixels"));
            let advice = "a state dict cannot hold the blur; export a network trained without one";
            return Err(FileError::mismatch(path, "blur", expected, found, advice).into());
        }
        let named = self.named().filter(|(slot, _)| slot.role != Role::Gamma);
        let mut tensors: BTreeMap<String, Tensor> =
            named.map(|(slot, tensor)| (torchvision(&slot.name), tensor.detach())).collect();
        for norm in self.norms() {
            let name = torchvision(&format!("{norm}.{BATCHES}"));
            tensors.insert(name, Tensor::new(self.batches() as i64, &Device::Cpu)?);
        }
        // safetensors' own writers mark tensors from PyTorch this way.
        Ok(archive::write_noted(path, "format", "pt", tensors)?)
    }

    /// Reads a network written by [`ResNet::save`] or [`ResNet::save_for_torchvision`], or the
    /// state dict of an equivalent PyTorch module, in safetensors or as `torch.save` writes it
    /// ([`Archive::read_weights`]), in any floating-point type. The shape of the network follows
    /// from the names and shapes of the tensors, so that nothing else is needed. Without `gamma`,
    /// all layers have equal weight.
    ///
    /// A state dict does not say how to apply the network. If it uses torchvision's names, a
    /// warning says that the network is applied as here: with a stem of stride 1, no max-pool, and
    /// images in [0, 1] rescaled to 5 (x - 0.5).
    ///
    /// # Errors
    /// Returns [`Error::File`](crate::Error::File) if the file is damaged or in neither format, or
    /// if a tensor is missing, unexpected, of another shape or an integer type, or not finite.
    pub fn load(path: &Path) -> Result<Self> {
        let file = Archive::read_weights(path, ADVICE)?;
        if let Some(sentence) = file.left_out() {
            tracing::warn!("{sentence}");
        }
        let (network, of_torchvision) = Self::of_archive(&file)?;
        if of_torchvision {
            tracing::warn!(
                "{}: a state dict states neither the stem nor the scale of the images; assuming stride 1 without max-pool, and images \
                 in [0, 1] rescaled to 5 (x - 0.5). Networks trained by torchvision itself use others",
                path.display()
            );
        }
        Ok(network)
    }

    /// A classifier that is part of this crate: three stages of two blocks, 24 channels in the
    /// first, trained on the training images of CIFAR-10 in grayscale
    /// (`xtask/configs/built-in.toml`). It provides fixed features for response models.
    ///
    /// # Errors
    /// Returns [`Error::Tensor`](crate::Error::Tensor) if memory runs out.
    pub fn built_in() -> Result<Self> {
        let path = Path::new("the built-in network");
        Ok(Self::of_archive(&Archive::from_bytes(path, BUILT_IN.to_vec(), ADVICE)?)?.0)
    }

    /// Assembles the network of a file, and says whether its names are torchvision's.
    fn of_archive(file: &Archive) -> Result<(Self, bool)> {
        let names: BTreeSet<String> = file.names().into_iter().collect();
        let of_torchvision = names.contains("conv1.weight") && !names.contains("stem.0.weight");
        let name_of = |name: &str| if of_torchvision { torchvision(name) } else { name.to_owned() };
        let config = infer(file, &names, name_of)?;
        let counter = name_of(&format!("stem.1.{BATCHES}"));
        let batches =
            if names.contains(&counter) { file.values::<i64>(&counter, &[])?[0].max(0) } else { 0 };
        let mut known = BTreeSet::new();
        let network = Self::assemble(&config, batches as u64, |slot| {
            let name = name_of(&slot.name);
            if slot.name == "gamma" && !names.contains("gamma") {
                return Ok(Tensor::zeros(slot.shape.as_slice(), DType::F32, &Device::Cpu)?);
            }
            let read = weights(file, &name, &slot.shape)?;
            if slot.role == Role::Variance {
                let values = read.to_vec1::<f32>()?;
                if let Some(channel) = values.iter().position(|value| *value < 0.0) {
                    let found = format!("{} for channel {channel}", values[channel]);
                    return Err(file.mismatch(&name, "variances of at least 0", found).into());
                }
            }
            known.insert(name);
            Ok(read)
        })?;
        if let Some(name) =
            names.iter().find(|name| !known.contains(*name) && !name.ends_with(BATCHES))
        {
            return Err(file
                .mismatch(name, format!("no such tensor in a network of {config:?}"), "one")
                .into());
        }
        // State dicts from elsewhere lack our header.
        match file.header::<Header>() {
            Ok(found) if (found.format.as_str(), found.version) == (FORMAT, VERSION) => {
                Ok((network.with_provenance(found.provenance), of_torchvision))
            }
            _ => Ok((network, of_torchvision)),
        }
    }
}

/// Infers the shape of a network from its tensors.
fn infer(
    file: &Archive,
    names: &BTreeSet<String>,
    name_of: impl Fn(&str) -> String,
) -> Result<NetConfig> {
    let rank = |name: &str, rank: usize| -> Result<Vec<usize>> {
        let name = &name_of(name);
        let shape = file.tensor(name)?.shape().to_vec();
        let wrong = || file.mismatch(name, format!("rank {rank}"), format!("{shape:?}")).into();
        if shape.len() == rank { Ok(shape) } else { Err(wrong()) }
    };
    let stem = rank("stem.0.weight", 4)?;
    let head = rank("head.weight", 2)?;
    let has = |stage: usize, block: usize| {
        names.contains(&name_of(&format!("stages.{stage}.{block}.conv1.weight")))
    };
    let blocks = (0..)
        .take_while(|stage| has(*stage, 0))
        .map(|stage| (0..).take_while(|block| has(stage, *block)).count());
    let blur = match names.contains(blur::NAME) {
        true => Some(blur::sigma(&file.values::<f32>(blur::NAME, &blur::shape(stem[1]))?)),
        false => None,
    };
    let config = NetConfig {
        blocks: blocks.collect(),
        base_channels: stem[0],
        input_channels: stem[1],
        classes: head[0],
        blur,
    };
    config
        .check()
        .map_err(|error| file.mismatch("tensors", "a residual network", error.to_string()))?;
    Ok(config)
}

/// Collects all tensors of a network under a prefix.
pub(crate) fn collect(network: &ResNet, prefix: &str, into: &mut BTreeMap<String, Tensor>) {
    into.extend(
        network.named().map(|(slot, tensor)| (format!("{prefix}{}", slot.name), tensor.detach())),
    );
}

/// A tensor of finite f32 values with this shape.
pub(crate) fn tensor(file: &Archive, name: &str, shape: &[usize]) -> Result<Tensor> {
    finite(file, name, shape, file.values::<f32>(name, shape)?)
}

/// The same for any floating-point type, converted to f32.
fn weights(file: &Archive, name: &str, shape: &[usize]) -> Result<Tensor> {
    let (found, values) = file.floats(name)?;
    if found != shape {
        return Err(file.mismatch(name, format!("shape {shape:?}"), format!("{found:?}")).into());
    }
    finite(file, name, shape, values)
}

fn finite(file: &Archive, name: &str, shape: &[usize], values: Vec<f32>) -> Result<Tensor> {
    match values.iter().position(|value| !value.is_finite()) {
        Some(index) => Err(file
            .mismatch(name, "finite numbers", format!("element {index}, which is not finite"))
            .into()),
        None => Ok(Tensor::from_vec(values, shape, &Device::Cpu)?),
    }
}

/// Reads a network of known shape from tensors under a prefix.
pub(crate) fn restore(
    file: &Archive,
    prefix: &str,
    config: &NetConfig,
    batches: u64,
) -> Result<ResNet> {
    ResNet::assemble(config, batches, |slot| {
        tensor(file, &format!("{prefix}{}", slot.name), &slot.shape)
    })
}

/// torchvision's name for one of our tensors.
fn torchvision(name: &str) -> String {
    let mut parts: Vec<String> = name.split('.').map(str::to_owned).collect();
    let renamed = match (parts[0].as_str(), parts.get(1).map(String::as_str)) {
        ("stem", Some("0")) => Some("conv1".to_owned()),
        ("stem", _) => Some("bn1".to_owned()),
        ("stages", Some(stage)) => {
            stage.parse().ok().map(|stage: usize| format!("layer{}", stage + 1))
        }
        ("head", _) => {
            parts[0] = "fc".to_owned();
            None
        }
        _ => None,
    };
    if let Some(renamed) = renamed {
        parts.splice(..2, [renamed]);
    }
    parts
        .iter_mut()
        .filter(|part| *part == "shortcut")
        .for_each(|part| *part = "downsample".to_owned());
    parts.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;
    use candle_core::Var;

    fn tiny() -> NetConfig {
        NetConfig {
            blocks: vec![1, 2],
            base_channels: 2,
            input_channels: 3,
            classes: 5,
            blur: None,
        }
    }

    #[test]
    fn a_network_survives_the_disk_and_its_bytes_do_not_vary() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("network.safetensors");
        let network = ResNet::new(&tiny(), 3).unwrap().with_provenance(vec!["a test".into()]);
        network.save(&path).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let loaded = ResNet::load(&path).unwrap();
        assert_eq!(loaded.config(), &tiny());
        assert_eq!(loaded.provenance(), ["a test"]);
        let images = Tensor::full(0.3f32, (2, 3, 8, 8), &Device::Cpu).unwrap();
        let logits = |network: &ResNet| network.logits(&images).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!(logits(&loaded), logits(&network));
        loaded.save(&path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
        assert_eq!(
            std::fs::read_dir(folder.path()).unwrap().count(),
            1,
            "no temporary file is left"
        );
    }

    #[test]
    fn a_variance_below_zero_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("network.safetensors");
        ResNet::new(&tiny(), 3).unwrap().save(&path).unwrap();
        let mut tensors = candle_core::safetensors::load(&path, &Device::Cpu).unwrap();
        let name = "stages.1.0.bn2.running_var";
        tensors.insert(name.into(), Tensor::new(&[1.0f32, 0.5, -0.25, 0.0], &Device::Cpu).unwrap());
        candle_core::safetensors::save(&tensors, &path).unwrap();
        let error = ResNet::load(&path).unwrap_err().to_string();
        for part in ["network.safetensors", name, "variances of at least 0", "-0.25 for channel 2"]
        {
            assert!(error.contains(part), "{part:?} is not in {error:?}");
        }
    }

    /// Compares with PyTorch: `tests/golden/state_dict.py` made the files.
    #[test]
    fn state_dicts_of_pytorch_give_its_logits() {
        for (name, blocks, input_channels, classes) in
            [("resnet18", vec![2; 4], 1, 10), ("resnet34", vec![3, 4, 6, 3], 3, 100)]
        {
            let path = |suffix: &str| {
                Path::new(env!("CARGO_MANIFEST_DIR"))
                    .join(format!("tests/golden/{name}{suffix}.safetensors"))
            };
            let network = ResNet::load(&path("")).unwrap();
            assert_eq!(
                network.config(),
                &NetConfig { blocks, base_channels: 2, input_channels, classes, blur: None }
            );
            assert_eq!(network.batches(), 3);
            let file = Archive::read(&path(".expected"), ADVICE).unwrap();
            let values =
                |name: &str| tensor(&file, name, file.tensor(name).unwrap().shape()).unwrap();
            let found = network
                .logits(&values("images"))
                .unwrap()
                .flatten_all()
                .unwrap()
                .to_vec1::<f32>()
                .unwrap();
            let expected = values("logits").flatten_all().unwrap().to_vec1::<f32>().unwrap();
            let size = expected.iter().fold(0.0f32, |size, value| size.max(value.abs()));
            for (found, expected) in found.iter().zip(&expected) {
                assert!(
                    (found - expected).abs() <= 1e-5 * size,
                    "{name}: {found}, expected {expected}"
                );
            }
        }
    }

    /// `torchvision.models.resnet.ResNet(BasicBlock, [1, 1, 1, 1]).state_dict()` has these names
    /// (torchvision 0.29).
    #[test]
    fn networks_are_exported_under_the_names_of_torchvision() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.safetensors");
        let network = ResNet::new(&tiny(), 3).unwrap();
        network.save_for_torchvision(&path).unwrap();
        let file = Archive::read(&path, ADVICE).unwrap();
        let norm = |name: &str| {
            ["weight", "bias", "running_mean", "running_var", BATCHES]
                .map(|part| format!("{name}.{part}"))
        };
        let mut expected = vec!["conv1.weight".to_owned(), "fc.weight".into(), "fc.bias".into()];
        expected.extend(norm("bn1"));
        for (stage, blocks) in tiny().blocks.iter().enumerate() {
            for block in 0..*blocks {
                let name = |part: &str| format!("layer{}.{block}.{part}", stage + 1);
                expected.extend([name("conv1.weight"), name("conv2.weight")]);
                expected.extend(norm(&name("bn1")));
                expected.extend(norm(&name("bn2")));
                if stage > 0 && block == 0 {
                    expected.push(name("downsample.0.weight"));
                    expected.extend(norm(&name("downsample.1")));
                }
            }
        }
        expected.sort();
        assert_eq!(file.names(), expected);
        let (slot, tensor) =
            network.named().find(|(slot, _)| slot.name == "stages.1.0.shortcut.0.weight").unwrap();
        let written = file.values::<f32>("layer2.0.downsample.0.weight", &slot.shape).unwrap();
        assert_eq!(written, tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap());
        assert_eq!(file.note("format"), Some("pt"));
    }

    #[test]
    fn what_was_exported_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.safetensors");
        let network = ResNet::new(&tiny(), 3).unwrap();
        network.save_for_torchvision(&path).unwrap();
        let loaded = ResNet::load(&path).unwrap();
        assert_eq!((loaded.config(), loaded.batches()), (network.config(), network.batches()));
        let images = Tensor::full(0.3f32, (2, 3, 8, 8), &Device::Cpu).unwrap();
        let logits = |network: &ResNet| network.logits(&images).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!(logits(&loaded), logits(&network));
    }

    #[test]
    fn checkpoints_of_other_architectures_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("torchvision.safetensors");
        let ones = |shape: &[usize]| Tensor::ones(shape, DType::F32, &Device::Cpu).unwrap();
        let refused = |tensors: &[(&str, &[usize])], parts: &[&str]| {
            let tensors: BTreeMap<_, _> =
                tensors.iter().map(|(name, shape)| ((*name).to_owned(), ones(shape))).collect();
            archive::write(&path, &(), tensors).unwrap();
            let error = ResNet::load(&path).unwrap_err().to_string();
            parts
                .iter()
                .for_each(|part| assert!(error.contains(part), "{part:?} is not in {error}"));
        };
        refused(
            &[("features.0.weight", &[64, 3, 3, 3])],
            &["stem.0.weight: expected a tensor of this name", "only features.0.weight"],
        );
        // The bottleneck blocks of ResNet-50 have a third convolution.
        let (stem, head) = (("conv1.weight", &[64, 3, 7, 7][..]), ("fc.weight", &[10, 512][..]));
        let block = ("layer1.0.conv1.weight", &[64, 64, 1, 1][..]);
        refused(
            &[stem, head, block, ("layer1.0.conv3.weight", &[256, 64, 1, 1])],
            &["torchvision.safetensors"],
        );
        refused(&[stem, head], &["torchvision.safetensors: tensors: expected a residual network"]);
    }

    #[test]
    fn damaged_files_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("network.safetensors");
        let message = || ResNet::load(&path).unwrap_err().to_string();
        assert!(message().contains("network.safetensors: could not read"));
        std::fs::write(&path, "not safetensors").unwrap();
        assert!(
            message().contains("expected safetensors, found a file that begins with"),
            "{}",
            message()
        );

        let network = ResNet::new(&tiny(), 3).unwrap();
        network.save(&path).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 4]).unwrap();
        assert!(message().contains("header"), "{}", message());

        let with = |change: &dyn Fn(&mut BTreeMap<String, Tensor>)| {
            let mut tensors = BTreeMap::new();
            collect(&network, "", &mut tensors);
            change(&mut tensors);
            archive::write(&path, &(), tensors).unwrap();
            ResNet::load(&path).unwrap_err().to_string()
        };
        let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
        let error = with(&|tensors| drop(tensors.remove("stages.1.0.bn2.bias")));
        assert!(
            error.contains("stages.1.0.bn2.bias: expected a tensor of this name, found none"),
            "{error}"
        );
        let error = with(&|tensors| drop(tensors.insert("head.bias".into(), zeros(&[4]))));
        assert!(error.contains("head.bias: expected shape [5], found [4]"), "{error}");
        let error = with(&|tensors| drop(tensors.insert("extra".into(), zeros(&[1]))));
        assert!(error.contains("extra"), "{error}");
        let nan = Var::from_vec(vec![0.0, f32::NAN, 0.0], 3, &Device::Cpu).unwrap();
        let error = with(&|tensors| drop(tensors.insert("gamma".into(), nan.as_tensor().clone())));
        assert!(error.contains("gamma: expected finite numbers, found element 1"), "{error}");
    }

    #[test]
    fn a_failed_write_leaves_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("missing/network.safetensors");
        let error = ResNet::new(&tiny(), 3).unwrap().save(&path).unwrap_err();
        assert!(matches!(error, Error::File(_)), "{error}");
    }
}
