//! The network used from candle: in a `VarMap`, with an optimizer, and from state dicts.

use brainprior_classifier::{NetConfig, ResNet};
use candle_core::{DType, Device, Tensor};
use candle_nn::{ModuleT, Optimizer, SGD, VarBuilder, VarMap};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

fn config() -> NetConfig {
    NetConfig { blocks: vec![1, 2], base_channels: 4, input_channels: 1, classes: 3, blur: None }
}

fn images(count: usize, side: usize) -> Tensor {
    let mut generator = ChaCha8Rng::seed_from_u64(1);
    let pixels: Vec<f32> = (0..count * side * side).map(|_| generator.random()).collect();
    Tensor::from_vec(pixels, (count, 1, side, side), &Device::Cpu).unwrap()
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// A network in a map, with the weights of a seed.
fn in_map() -> (VarMap, ResNet) {
    let mut map = VarMap::new();
    let network =
        ResNet::from_vars(&config(), &VarBuilder::from_varmap(&map, DType::F32, &Device::Cpu))
            .unwrap();
    map.set(ResNet::new(&config(), 3).unwrap().tensors().into_iter()).unwrap();
    (map, network)
}

#[test]
fn an_optimizer_of_candle_trains_it_and_the_running_statistics_follow() {
    let (map, network) = in_map();
    let (images, labels) =
        (images(6, 16), Tensor::new(&[0u32, 1, 2, 2, 1, 0], &Device::Cpu).unwrap());
    assert_eq!(
        values(&network.logits(&images).unwrap()),
        values(&network.forward_t(&images, false).unwrap())
    );
    let before = network
        .tensors()
        .into_iter()
        .map(|(name, tensor)| (name, values(&tensor)))
        .collect::<Vec<_>>();

    let mut optimizer = SGD::new(map.all_vars(), 0.05).unwrap();
    let mut step = || {
        let loss =
            candle_nn::loss::cross_entropy(&network.forward_t(&images, true).unwrap(), &labels)
                .unwrap();
        optimizer.backward_step(&loss).unwrap();
        loss.to_scalar::<f32>().unwrap()
    };
    let (first, second) = (step(), step());
    assert!(second < first, "{first}, then {second}");
    let after = network.tensors();
    for (name, before) in before {
        // Logits do not depend on gamma.
        assert_eq!(values(&after[&name]) == before, name == "gamma", "{name}");
    }
}

/// A pass does not change a network outside of a map, such as the trainer's.
#[test]
fn a_network_outside_of_a_map_keeps_its_running_statistics() {
    let network = ResNet::new(&config(), 3).unwrap();
    let images = images(6, 16);
    let before = values(&network.logits(&images).unwrap());
    let training = values(&network.forward_t(&images, true).unwrap());
    assert_ne!(before, training);
    assert_eq!(values(&network.logits(&images).unwrap()), before);
}

#[test]
fn running_statistics_are_no_parameters_in_evaluation() {
    let (map, network) = in_map();
    let loss = network.forward_t(&images(2, 16), false).unwrap().sqr().unwrap().sum_all().unwrap();
    let gradients = loss.backward().unwrap();
    for (name, variable) in map.data().lock().unwrap().iter() {
        let learned = !name.contains("running") && name != "gamma";
        assert_eq!(gradients.get(variable).is_some(), learned, "{name}");
    }
}

#[test]
fn weights_come_and_go_through_candles_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("network.safetensors");
    let images = images(2, 16);
    let (map, network) = in_map();
    let expected = values(&network.logits(&images).unwrap());
    map.save(&path).unwrap();
    let loaded = ResNet::load(&path).unwrap();
    assert_eq!(
        (loaded.config(), values(&loaded.logits(&images).unwrap())),
        (&config(), expected.clone())
    );

    loaded.save(&path).unwrap();
    let vars = VarBuilder::from_buffered_safetensors(
        std::fs::read(&path).unwrap(),
        DType::F32,
        &Device::Cpu,
    )
    .unwrap();
    let network = ResNet::from_vars(&config(), &vars).unwrap();
    assert_eq!(values(&network.logits(&images).unwrap()), expected);
    let (mut other, network) = in_map();
    other.set(ResNet::new(&config(), 4).unwrap().tensors().into_iter()).unwrap();
    assert_ne!(values(&network.logits(&images).unwrap()), expected);
    other.load(&path).unwrap();
    assert_eq!(values(&network.logits(&images).unwrap()), expected);
}

#[test]
fn a_tensor_that_lacks_is_named_and_gamma_may() {
    let mut tensors = ResNet::new(&config(), 3).unwrap().tensors();
    let network = |tensors: &std::collections::HashMap<String, Tensor>| {
        ResNet::from_vars(
            &config(),
            &VarBuilder::from_tensors(tensors.clone(), DType::F32, &Device::Cpu),
        )
    };
    tensors.remove("gamma");
    assert_eq!(network(&tensors).unwrap().gamma().unwrap(), [1.0 / 3.0; 3]);
    tensors.remove("stages.1.0.bn2.bias");
    assert!(network(&tensors).unwrap_err().to_string().contains("stages.1.0.bn2.bias"));
}

/// `tests/golden/pth.py` made the files.
#[test]
fn state_dicts_that_torch_saved_are_networks_to_the_bit() {
    let path = |name: &str| {
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
    };
    let bits = |network: &ResNet| -> BTreeMap<String, Vec<u32>> {
        let bits = |tensor: &Tensor| values(tensor).into_iter().map(f32::to_bits).collect();
        network.tensors().iter().map(|(name, tensor)| (name.clone(), bits(tensor))).collect()
    };
    let expected = ResNet::load(&path("resnet18.safetensors")).unwrap();
    let loaded = ResNet::load(&path("resnet18.pth")).unwrap();
    assert_eq!(bits(&loaded), bits(&expected));
    // Candle's own reader finds the same tensors.
    for (name, tensor) in candle_core::pickle::read_all(path("resnet18.pth")).unwrap() {
        if tensor.dtype() == DType::F32 {
            let found: Vec<u32> = values(&tensor).into_iter().map(f32::to_bits).collect();
            assert_eq!(bits(&loaded)[&name], found, "{name}");
        }
    }
    // Under torchvision's names, from data-parallel training, channels last, in f64: the values
    // equal those of f32.
    let loaded = ResNet::load(&path("torchvision.pt")).unwrap();
    let shape = NetConfig {
        blocks: vec![1, 1],
        base_channels: 2,
        input_channels: 1,
        classes: 10,
        blur: None,
    };
    assert_eq!(loaded.config(), &shape);
    let whole = bits(&expected);
    for (name, found) in bits(&loaded) {
        match name.as_str() {
            "gamma" => assert_eq!(found, [0; 3]),
            "head.weight" => {
                let rows: Vec<u32> =
                    whole[&name].chunks(16).flat_map(|row| &row[..4]).copied().collect();
                assert_eq!(found, rows);
            }
            _ => assert_eq!(found, whole[&name], "{name}"),
        }
    }
}

/// `tests/golden/pth.py` made the file.
#[test]
fn a_state_dict_that_torch_saved_gives_the_logits_of_its_safetensors() {
    let path = |ending: &str| {
        std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/golden/resnet18")
            .with_extension(ending)
    };
    let expected = ResNet::load(&path("safetensors")).unwrap();
    let vars = VarBuilder::from_pth(path("pth"), DType::F32, &Device::Cpu).unwrap();
    let network = ResNet::from_vars(expected.config(), &vars).unwrap();
    let images = images(2, 32);
    assert_eq!(
        values(&network.logits(&images).unwrap()),
        values(&expected.logits(&images).unwrap())
    );
    assert_eq!(network.gamma().unwrap(), expected.gamma().unwrap());
}
