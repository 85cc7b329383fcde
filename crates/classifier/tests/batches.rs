//! The logits of an image do not depend on the images beside it.

use brainprior_classifier::{NetConfig, ResNet};
use candle_core::{Device, Tensor};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

#[test]
fn logits_have_the_same_bits_in_every_batch() {
    let sizes = [(1, 8, 4, 32, 10), (3, 16, 4, 33, 10), (1, 5, 2, 12, 3), (1, 64, 4, 32, 100)];
    for (input_channels, base_channels, stages, side, classes) in sizes {
        let config = NetConfig {
            blocks: vec![1; stages],
            base_channels,
            input_channels,
            classes,
            ..NetConfig::default()
        };
        let network = ResNet::new(&config, 3).unwrap();
        assert!(network.is_batch_invariant());
        let mut generator = ChaCha8Rng::seed_from_u64(4);
        let pixels: Vec<f32> =
            (0..70 * input_channels * side * side).map(|_| generator.random()).collect();
        let shape = (70, input_channels, side, side);
        let images = Tensor::from_vec(pixels, shape, &Device::Cpu).unwrap();
        let bits = |first, count| -> Vec<Vec<u32>> {
            let logits = network.logits(&images.narrow(0, first, count).unwrap()).unwrap();
            let rows = logits.to_vec2::<f32>().unwrap();
            rows.into_iter().map(|row| row.into_iter().map(f32::to_bits).collect()).collect()
        };
        let all = bits(0, 70);
        for count in [1, 2, 3, 5, 16, 33] {
            for first in [0, 1, 37] {
                assert_eq!(
                    bits(first, count),
                    all[first..first + count],
                    "{count} from {first} of {config:?}"
                );
            }
        }
    }
}
