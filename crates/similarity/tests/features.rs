//! Features of a small network created here, against a naive implementation of its definition.

use brainprior_artifact::archive::Archive;
use brainprior_images::StimulusSet;
use brainprior_similarity::{Error, Layer, Network, features, network_features, vectors};
use candle_core::{Device, Tensor};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::HashMap;

const HEIGHT: usize = 9;
const WIDTH: usize = 12;

fn stimuli(count: usize) -> StimulusSet {
    let mut generator = ChaCha8Rng::seed_from_u64(4);
    StimulusSet::new(
        HEIGHT,
        WIDTH,
        (0..count * HEIGHT * WIDTH).map(|_| generator.random_range(0.0f32..1.0)).collect(),
    )
    .unwrap()
}

/// One image, `[channel][row][column]`.
type Planes = Vec<Vec<Vec<f64>>>;

fn convolved(x: &Planes, weight: &[f32], bias: &[f32]) -> Planes {
    let (inputs, height, width) = (x.len(), x[0].len(), x[0][0].len());
    let at = |c: usize, i: isize, j: isize| match (usize::try_from(i), usize::try_from(j)) {
        (Ok(i), Ok(j)) if i < height && j < width => x[c][i][j],
        _ => 0.0,
    };
    let one = |o: usize, i: usize, j: usize| {
        let mut sum = f64::from(bias[o]);
        for c in 0..inputs {
            for di in 0..3 {
                for dj in 0..3 {
                    let tap = f64::from(weight[((o * inputs + c) * 3 + di) * 3 + dj]);
                    sum += tap * at(c, (i + di) as isize - 1, (j + dj) as isize - 1);
                }
            }
        }
        sum
    };
    (0..bias.len())
        .map(|o| (0..height).map(|i| (0..width).map(|j| one(o, i, j)).collect()).collect())
        .collect()
}

fn mapped(x: Planes, f: impl Fn(usize, f64) -> f64) -> Planes {
    let plane = |(c, plane): (usize, Vec<Vec<f64>>)| {
        plane.into_iter().map(|row| row.into_iter().map(|v| f(c, v)).collect()).collect()
    };
    x.into_iter().enumerate().map(plane).collect()
}

fn pooled(x: &Planes) -> Planes {
    let largest = |p: &Vec<Vec<f64>>, i: usize, j: usize| {
        p[2 * i][2 * j]
            .max(p[2 * i][2 * j + 1])
            .max(p[2 * i + 1][2 * j])
            .max(p[2 * i + 1][2 * j + 1])
    };
    x.iter()
        .map(|p| {
            (0..p.len() / 2)
                .map(|i| (0..p[0].len() / 2).map(|j| largest(p, i, j)).collect())
                .collect()
        })
        .collect()
}

/// A VGG with 3, 2, 3 and 4 channels, with or without a batch norm after each convolution, with
/// torchvision's names.
fn made(path: &std::path::Path, normed: bool) -> HashMap<String, Vec<f32>> {
    let mut generator = ChaCha8Rng::seed_from_u64(8);
    let (mut tensors, mut values) = (HashMap::new(), HashMap::new());
    let mut add = |name: String, shape: &[usize], low: f32| {
        let data: Vec<f32> =
            (0..shape.iter().product()).map(|_| generator.random_range(low..1.0)).collect();
        tensors.insert(name.clone(), Tensor::from_slice(&data, shape, &Device::Cpu).unwrap());
        values.insert(name, data);
    };
    let indices = if normed { [0, 3, 7] } else { [0, 2, 5] };
    for (index, [inputs, outputs]) in indices.into_iter().zip([[3, 2], [2, 3], [3, 4]]) {
        add(format!("features.{index}.weight"), &[outputs, inputs, 3, 3], -1.0);
        add(format!("features.{index}.bias"), &[outputs], -1.0);
        if normed {
            for (part, low) in
                [("weight", 0.5), ("bias", -1.0), ("running_mean", -1.0), ("running_var", 0.2)]
            {
                add(format!("features.{}.{part}", index + 1), &[outputs], low);
            }
        }
    }
    candle_core::safetensors::save(&tensors, path).unwrap();
    values
}

fn reference(values: &HashMap<String, Vec<f32>>, image: &[f32], normed: bool) -> Vec<f64> {
    let channels = [(0.485, 0.229), (0.456, 0.224), (0.406, 0.225)];
    let plane = |(mean, deviation): (f64, f64)| {
        image
            .chunks(WIDTH)
            .map(|row| row.iter().map(|pixel| (f64::from(*pixel) - mean) / deviation).collect())
            .collect()
    };
    let mut x: Planes = channels.into_iter().map(plane).collect();
    for (position, index) in (if normed { [0, 3, 7] } else { [0, 2, 5] }).into_iter().enumerate() {
        if position == 2 {
            x = pooled(&x);
        }
        x = convolved(
            &x,
            &values[&format!("features.{index}.weight")],
            &values[&format!("features.{index}.bias")],
        );
        if normed {
            let part = |part: &str, c: usize| {
                f64::from(values[&format!("features.{}.{part}", index + 1)][c])
            };
            x = mapped(x, |c, v| {
                (v - part("running_mean", c)) / (part("running_var", c) + 1e-5).sqrt()
                    * part("weight", c)
                    + part("bias", c)
            });
        }
        x = mapped(x, |_, v| v.max(0.0));
    }
    x.into_iter().flatten().flatten().collect()
}

#[test]
fn features_are_those_of_the_definition() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("small.safetensors");
    let stimuli = stimuli(40);
    for normed in [false, true] {
        let values = made(&path, normed);
        let network = Network::vgg(&path, "conv2_1").unwrap();
        let found = network_features(&network, &stimuli).unwrap();
        assert_eq!(found.dim(), (40, 4 * (HEIGHT / 2) * (WIDTH / 2)));
        for image in [0, 7, 39] {
            let expected = reference(&values, stimuli.image(image), normed);
            let worst = found
                .row(image)
                .iter()
                .zip(&expected)
                .map(|(a, b)| (f64::from(*a) - b).abs())
                .fold(0.0, f64::max);
            assert!(worst < 1e-4, "off by {worst}");
        }
        let matrix = features(&network, &stimuli).unwrap();
        let expected =
            vectors(stimuli.ids(), found.view(), &vec![1.0; found.ncols()], "same").unwrap();
        assert_eq!(matrix.packed(), expected.packed());
        assert!(
            matrix.provenance()[0].contains("small.safetensors conv2_1"),
            "{:?}",
            matrix.provenance()
        );
    }
}

#[test]
fn networks_that_do_not_fit_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("small.safetensors");
    made(&path, false);
    let error = |result: brainprior_similarity::Result<Network>| result.err().unwrap().to_string();
    let text = error(Network::vgg(&path, "conv3_1"));
    assert!(
        text.contains("small.safetensors")
            && text.contains("conv3_1")
            && text.contains("conv1_2, conv2_1"),
        "{text}"
    );
    let layer = |name: &str| Layer::Convolution { name: name.into(), stride: 1, padding: 0 };
    let text = error(Network::read(&path, &[layer("features.1")]));
    assert!(text.contains("features.1.weight") && text.contains("a tensor of this name"), "{text}");
    let text = error(Network::read(&path, &[Layer::Relu]));
    assert!(text.contains("a convolution first"), "{text}");
    std::fs::write(&path, "no tensors").unwrap();
    assert!(error(Network::vgg(&path, "conv1_1")).contains("small.safetensors"));
    assert!(matches!(Network::vgg(&folder.path().join("none"), "conv1_1"), Err(Error::File(_))));

    made(&path, false);
    let network = Network::read(
        &path,
        &[Layer::Convolution { name: "features.0".into(), stride: 2, padding: 0 }],
    )
    .unwrap();
    let small = StimulusSet::new(2, 2, vec![0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]).unwrap();
    let text = network_features(&network, &small).err().unwrap().to_string();
    assert!(text.contains("2 x 2"), "{text}");
}

/// `tests/data/vgg.py` wrote the files; the expected features are PyTorch's own.
#[test]
fn a_vgg_that_torch_saved_has_its_features() {
    let file =
        |name: &str| std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name);
    let expected = Archive::read(&file("vgg.safetensors"), "make it again").unwrap();
    let stimuli = StimulusSet::new(8, 6, expected.floats("images").unwrap().1).unwrap();
    let (shape, features) = expected.floats("conv2_1").unwrap();
    for name in ["vgg.pth", "vgg-half.pt"] {
        let found =
            network_features(&Network::vgg(&file(name), "conv2_1").unwrap(), &stimuli).unwrap();
        assert_eq!([found.nrows(), found.ncols()], [shape[0], shape[1..].iter().product()]);
        for (found, expected) in found.iter().zip(&features) {
            assert!((found - expected).abs() <= 1e-5, "{name}: {found}, {expected}");
        }
    }
}
