//! The network that is part of the crate.

use brainprior_classifier::ResNet;
use brainprior_images::read_labeled;
use candle_core::{Device, Tensor};
use std::path::Path;

#[test]
fn the_built_in_network_is_the_documented_one() {
    let network = ResNet::built_in().unwrap();
    let config = network.config();
    assert_eq!((&config.blocks[..], config.base_channels), (&[2, 2, 2][..], 24));
    assert_eq!((config.input_channels, config.classes, config.blur), (1, 10, None));
    let images = Tensor::zeros((2, 1, 40, 28), candle_core::DType::F32, &Device::Cpu).unwrap();
    let maps = network.layer_outputs(&images).unwrap();
    let shapes: Vec<_> = maps.iter().map(|map| map.dims()[1..].to_vec()).collect();
    assert_eq!(shapes, [[24, 40, 28], [24, 40, 28], [48, 20, 14], [96, 10, 7]]);
}

#[test]
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn it_classifies_test_images_of_cifar_10() {
    let file =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/cifar-10-binary-mini.tar.gz");
    if !Path::new(file).exists() {
        eprintln!("skipped: there is no {file}");
        return;
    }
    let test = read_labeled(Path::new(file)).unwrap().test.to_grayscale();
    let found = ResNet::built_in().unwrap().evaluate(&test).unwrap();
    // 500 images: the standard error at 86% is 1.6 points.
    assert!(test.len() == 500 && found.accuracy > 0.82, "{} images: {found:?}", test.len());
}
