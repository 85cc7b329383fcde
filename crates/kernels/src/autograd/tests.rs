use super::{FeatureMap, Precision};
use crate::testing::values;
use crate::{
    Activation, Conv2dGeometry, FixedBatchNorm, FixedStatistics, area_pool, average_pool,
    batch_norm_eval, batch_norm_train, conv2d, pair_cosine, point_readout,
};
use candle_core::backprop::GradStore;
use candle_core::{Device, Result, Tensor, Var};

fn var(shape: &[usize], seed: u64) -> Var {
    Var::from_vec(values(shape.iter().product(), seed), shape, &Device::Cpu).unwrap()
}

/// A small residual network: its images, and its weights, scales and shifts.
struct Network {
    images: Tensor,
    variables: Vec<Var>,
}

impl Network {
    fn new(images: Tensor) -> Self {
        let shapes: [&[usize]; 9] = [
            &[16, 3, 5, 5],
            &[16],
            &[16],
            &[16, 16, 3, 3],
            &[16],
            &[16],
            &[20, 16, 3, 3],
            &[20],
            &[20],
        ];
        let variables =
            shapes.iter().enumerate().map(|(seed, shape)| var(shape, seed as u64 + 10)).collect();
        Self { images, variables }
    }

    fn geometry(stride: usize, padding: usize) -> Conv2dGeometry {
        Conv2dGeometry { stride, padding, ..Conv2dGeometry::default() }
    }

    /// The loss over feature maps: a value with two readers in the network and one in the loss, a
    /// residual, and a stride.
    fn traced(&self, training: bool) -> Result<Tensor> {
        let [w1, a1, b1, w2, a2, b2, w3, a3, b3] =
            std::array::from_fn(|i| self.variables[i].as_tensor());
        let norm = |x: FeatureMap,
                    a: &Tensor,
                    b: &Tensor,
                    residual: Option<&FeatureMap>,
                    activation| match training {
            true => Ok(x.batch_norm_train(a, b, residual, activation, 1e-5)?.0),
            false => x.batch_norm_eval(
                a,
                b,
                FixedStatistics { mean: &a.detach(), variance: &b.detach().sqr()?, eps: 1e-5 },
                residual,
                activation,
            ),
        };
        let stem = norm(
            FeatureMap::new(&self.images)?.conv2d(w1, Self::geometry(1, 2))?,
            a1,
            b1,
            None,
            Activation::Elu,
        )?;
        let first =
            norm(stem.conv2d(w2, Self::geometry(1, 1))?, a2, b2, Some(&stem), Activation::Relu)?;
        let second =
            norm(first.conv2d(w3, Self::geometry(2, 1))?, a3, b3, None, Activation::Identity)?;
        let cosines = (first.pair_cosine(&b1.detach())?.sum_all()?
            + stem.pair_cosine(&b2.detach())?.sqr()?.sum_all()?)?;
        let pooled = second.average_pool(2, 2)?.sqr()?.sum_all()?;
        let mean = (second.tensor()?.powf(3.0)?.mean_all()? + stem.tensor()?.mean_all()?)?;
        (cosines + pooled)? + mean
    }

    /// The same over tensors.
    fn plain(&self, training: bool) -> Result<Tensor> {
        let [w1, a1, b1, w2, a2, b2, w3, a3, b3] =
            std::array::from_fn(|i| self.variables[i].as_tensor());
        let norm = |x: Tensor, a: &Tensor, b: &Tensor, residual: Option<&Tensor>, activation| {
            match training {
                true => Ok(batch_norm_train(&x, a, b, residual, activation, 1e-5)?.0),
                false => batch_norm_eval(
                    &x,
                    a,
                    b,
                    FixedStatistics { mean: &a.detach(), variance: &b.detach().sqr()?, eps: 1e-5 },
                    residual,
                    activation,
                ),
            }
        };
        let stem =
            norm(conv2d(&self.images, w1, Self::geometry(1, 2))?, a1, b1, None, Activation::Elu)?;
        let first =
            norm(conv2d(&stem, w2, Self::geometry(1, 1))?, a2, b2, Some(&stem), Activation::Relu)?;
        let second =
            norm(conv2d(&first, w3, Self::geometry(2, 1))?, a3, b3, None, Activation::Identity)?;
        let cosines = (pair_cosine(&first, &b1.detach())?.sum_all()?
            + pair_cosine(&stem, &b2.detach())?.sqr()?.sum_all()?)?;
        let pooled = average_pool(&second, 2, 2)?.sqr()?.sum_all()?;
        let mean = (second.powf(3.0)?.mean_all()? + stem.mean_all()?)?;
        (cosines + pooled)? + mean
    }
}

fn flat(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// Compares up to the rounding of sums in a different order.
#[track_caller]
fn check_close(found: &GradStore, expected: &GradStore, variable: &Tensor) {
    let (found, expected) =
        (flat(found.get(variable).unwrap()), flat(expected.get(variable).unwrap()));
    let largest = expected.iter().fold(0f32, |largest, value| largest.max(value.abs()));
    for (found, expected) in found.iter().zip(&expected) {
        assert!(
            (found - expected).abs() <= 1e-5 * largest,
            "{found} instead of {expected}, the largest is {largest}"
        );
    }
}

#[test]
fn gradients_are_those_of_the_graph() {
    for training in [true, false] {
        let images = var(&[4, 3, 9, 10], 1);
        let network = Network::new(images.as_tensor().clone());
        let (traced, plain) = (network.traced(training).unwrap(), network.plain(training).unwrap());
        assert_eq!(flat(&traced), flat(&plain));
        let (traced, plain) = (traced.backward().unwrap(), plain.backward().unwrap());
        check_close(&traced, &plain, &images);
        network.variables.iter().for_each(|variable| check_close(&traced, &plain, variable));
    }
}

/// Layers of a trained network: a stem, a block around which its input passes, one with a stride and
/// a shortcut, and an ELU; `layer` convolves, normalizes and activates.
fn frozen<V>(
    images: &V,
    parameters: &[Vec<Tensor>],
    layer: impl Fn(&V, &[Tensor], usize, Option<&V>, Activation) -> Result<V>,
    tensor: impl Fn(&V) -> Result<Tensor>,
) -> Result<Tensor> {
    let [stem, first, second, third, fourth, shortcut, last] =
        std::array::from_fn(|index| parameters[index].as_slice());
    let x = layer(images, stem, 1, None, Activation::Relu)?;
    let inner = layer(&x, first, 1, None, Activation::Relu)?;
    let y = layer(&inner, second, 1, Some(&x), Activation::Relu)?;
    let around = layer(&y, shortcut, 2, None, Activation::Identity)?;
    let inner = layer(&y, third, 2, None, Activation::Relu)?;
    let z = layer(&inner, fourth, 1, Some(&around), Activation::Relu)?;
    let end = layer(&z, last, 1, Some(&z), Activation::Elu)?;
    let read_twice = (tensor(&y)?.powf(3.0)?.mean_all()? + tensor(&y)?.mean_all()?)?;
    read_twice + (tensor(&end)?.sqr()?.sum_all()? + tensor(&x)?.mean_all()?)?
}

/// Weights, scales, shifts, means and variances of [`frozen`].
fn frozen_parameters() -> Vec<Vec<Tensor>> {
    let weights: [[usize; 4]; 7] = [
        [16, 3, 5, 5],
        [16, 16, 3, 3],
        [16, 16, 3, 3],
        [20, 16, 3, 3],
        [20, 20, 3, 3],
        [20, 16, 1, 1],
        [20, 20, 3, 3],
    ];
    let parameters = weights.iter().zip((100..).step_by(10)).map(|(shape, seed)| {
        let of = |shape: &[usize], seed| var(shape, seed).as_tensor().detach();
        let channels = |seed| of(&shape[..1], seed);
        let variance = (channels(seed + 4).sqr().unwrap() + 0.5).unwrap();
        vec![of(shape, seed), channels(seed + 1), channels(seed + 2), channels(seed + 3), variance]
    });
    parameters.collect()
}

fn frozen_layer(
    x: &FeatureMap,
    parameters: &[Tensor],
    stride: usize,
    residual: Option<&FeatureMap>,
    activation: Activation,
) -> Result<FeatureMap> {
    let [weight, scale, shift, mean, variance] = std::array::from_fn(|index| &parameters[index]);
    let geometry = Network::geometry(stride, weight.dims()[2] / 2);
    let statistics = FixedStatistics { mean, variance, eps: 1e-5 };
    let norm = FixedBatchNorm { scale, shift, statistics };
    x.conv2d_batch_norm_eval(weight, geometry, &norm, residual, activation)
}

#[test]
fn normalizing_at_once_is_convolving_and_normalizing() {
    for trained in [false, true] {
        let mut parameters = frozen_parameters();
        if trained {
            // A weight that needs a gradient is not normalized at once.
            parameters[2][0] = Var::from_tensor(&parameters[2][0]).unwrap().as_tensor().clone();
        }
        let images = var(&[4, 3, 9, 10], 1);
        let at_once = FeatureMap::new(&images)
            .and_then(|images| frozen(&images, &parameters, frozen_layer, FeatureMap::tensor))
            .unwrap();
        let one_by_one =
            |x: &Tensor, parameters: &[Tensor], stride, residual: Option<&Tensor>, activation| {
                let [weight, scale, shift, mean, variance] =
                    std::array::from_fn(|index| &parameters[index]);
                let x = conv2d(x, weight, Network::geometry(stride, weight.dims()[2] / 2))?;
                let statistics = FixedStatistics { mean, variance, eps: 1e-5 };
                batch_norm_eval(&x, scale, shift, statistics, residual, activation)
            };
        let expected =
            frozen(images.as_tensor(), &parameters, one_by_one, |x| Ok(x.clone())).unwrap();
        assert_eq!(flat(&at_once), flat(&expected));
        let (at_once, expected) = (at_once.backward().unwrap(), expected.backward().unwrap());
        check_close(&at_once, &expected, &images);
        if trained {
            check_close(&at_once, &expected, &parameters[2][0]);
        }
    }
}

#[test]
fn normalizing_at_once_gives_the_same_bits_for_any_number_of_threads() {
    crate::testing::same_for_any_threads(|| {
        let images = var(&[20, 3, 9, 10], 1);
        let loss = FeatureMap::new(&images)
            .and_then(|images| {
                frozen(&images, &frozen_parameters(), frozen_layer, FeatureMap::tensor)
            })
            .unwrap();
        let gradients = loss.backward().unwrap();
        vec![loss, gradients.get(&images).unwrap().clone()]
    });
}

/// A weight that candle's own operations read, too, and one that is read twice.
#[test]
fn gradients_beside_the_graph_are_those_of_the_graph() {
    let network = Network::new(var(&[4, 3, 9, 10], 1).as_tensor().detach());
    let geometry = Network::geometry(1, 1);
    let loss = || -> Result<Tensor> {
        let penalty = network.variables[0].as_tensor().sqr()?.sum_all()?;
        let again = FeatureMap::new(&var(&[2, 16, 6, 6], 3))?
            .conv2d(&network.variables[3], geometry)?
            .tensor()?
            .sqr()?
            .mean_all()?;
        (network.traced(true)? + penalty)? + again
    };
    let (beside, graph) =
        (crate::backward(&loss().unwrap()).unwrap(), loss().unwrap().backward().unwrap());
    network.variables.iter().for_each(|variable| check_close(&beside, &graph, variable));
}

/// Two losses of one network that both depend on all its variables.
#[test]
fn gradients_of_losses_one_after_the_other_are_those_of_their_sum() {
    let mut network = Network::new(var(&[4, 3, 9, 10], 1).as_tensor().detach());
    let first = network.traced(true).unwrap();
    network.images = var(&[6, 3, 8, 9], 2).as_tensor().detach();
    let second = (network.traced(true).unwrap() * 0.3).unwrap();
    let together = crate::backward(&(&first + &second).unwrap()).unwrap();
    let one_by_one = crate::backward_onto(crate::backward(&first).unwrap(), &second).unwrap();
    for variable in &network.variables {
        assert_eq!(flat(one_by_one.get(variable).unwrap()), flat(together.get(variable).unwrap()));
    }
}

/// A dense core and a pyramid, as in a response model: each layer is read by several others and at
/// every scale.
#[test]
fn gradients_of_a_pyramid_are_those_of_the_graph() {
    let shapes: [&[usize]; 5] = [&[5, 2, 3, 3], &[4, 5, 3, 3], &[6, 9], &[6, 9], &[6, 9]];
    let variables: Vec<Var> =
        shapes.iter().enumerate().map(|(seed, shape)| var(shape, seed as u64 + 30)).collect();
    let (images, positions) = (var(&[3, 2, 7, 9], 1), var(&[3, 6, 2], 2));
    let geometry = Network::geometry(1, 1);
    let traced = || -> Result<Tensor> {
        let first = FeatureMap::new(&images)?.conv2d(&variables[0], geometry)?;
        let second = first.conv2d(&variables[1], geometry)?;
        let mut scale = FeatureMap::concatenate(&[&first, &second])?;
        let mut values = scale.point_readout(&positions, &variables[2])?;
        for weights in &variables[3..] {
            scale = scale.area_pool(2)?;
            values = (values + scale.point_readout(&positions, weights)?)?;
        }
        values.sqr()?.sum_all()
    };
    let plain = || -> Result<Tensor> {
        let first = conv2d(&images, &variables[0], geometry)?;
        let second = conv2d(&first, &variables[1], geometry)?;
        let mut scale = Tensor::cat(&[&first, &second], 1)?;
        let mut values = point_readout(&scale, &positions, &variables[2])?;
        for weights in &variables[3..] {
            scale = area_pool(&scale, 2)?;
            values = (values + point_readout(&scale, &positions, weights)?)?;
        }
        values.sqr()?.sum_all()
    };
    let (traced, plain) = (traced().unwrap(), plain().unwrap());
    assert_eq!(flat(&traced), flat(&plain));
    let (beside, traced, plain) =
        (crate::backward(&traced).unwrap(), traced.backward().unwrap(), plain.backward().unwrap());
    for variable in variables.iter().chain([&images, &positions]) {
        check_close(&traced, &plain, variable);
        check_close(&beside, &plain, variable);
    }
}

#[test]
fn a_graph_can_be_gone_back_twice() {
    let network = Network::new(var(&[4, 3, 9, 10], 1).as_tensor().detach());
    let loss = network.traced(true).unwrap();
    let (once, twice) = (loss.backward().unwrap(), loss.backward().unwrap());
    for variable in &network.variables {
        assert_eq!(flat(once.get(variable).unwrap()), flat(twice.get(variable).unwrap()));
    }
}

#[test]
fn gives_gradients_only_where_they_are_asked_for() {
    let images = var(&[4, 3, 9, 10], 1);
    let mut network = Network::new(images.as_tensor().detach());
    let gradients = network.traced(true).unwrap().backward().unwrap();
    assert!(gradients.get(&images).is_none());
    network.images = images.as_tensor().clone();
    let plain = Network {
        images: network.images.clone(),
        variables: Network::new(images.as_tensor().clone()).variables,
    };
    let frozen = |network: &Network| -> Result<Tensor> {
        let x = FeatureMap::new(&network.images)?
            .conv2d(&network.variables[0].as_tensor().detach(), Network::geometry(1, 2))?;
        x.average_pool(3, 3)?.sqr()?.sum_all()
    };
    let gradients = frozen(&plain).unwrap().backward().unwrap();
    assert!(gradients.get(&images).is_some() && gradients.get(&plain.variables[0]).is_none());
}

#[test]
fn channel_means_are_means_over_images_and_pixels() {
    let x = var(&[5, 3, 7, 9], 1);
    let found = flat(&FeatureMap::new(&x).unwrap().channel_means().unwrap());
    let x = flat(&x);
    for (channel, found) in found.into_iter().enumerate() {
        let values = (0..5).flat_map(|image| &x[(image * 3 + channel) * 63..][..63]);
        let mean = values.map(|value| f64::from(*value)).sum::<f64>() / 315.0;
        assert!((f64::from(found) - mean).abs() < 1e-7, "{found} instead of {mean}");
    }
    let line = FeatureMap::new(&var(&[5, 3], 1)).unwrap();
    assert!(line.channel_means().is_err());
}

#[test]
fn refuses_what_the_operations_refuse() {
    let x = FeatureMap::new(var(&[3, 3, 9, 10], 1).as_tensor()).unwrap();
    let geometry = Conv2dGeometry::default();
    assert!(
        x.conv2d(var(&[4, 2, 3, 3], 1).as_tensor(), geometry)
            .unwrap_err()
            .to_string()
            .contains("weight")
    );
    assert!(
        x.batch_norm_train(&var(&[4], 1), &var(&[3], 1), None, Activation::Relu, 1e-5).is_err()
    );
    assert!(x.batch_norm_train(&var(&[3], 1), &var(&[3], 1), None, Activation::Relu, 0.0).is_err());
    let other = FeatureMap::new(var(&[3, 3, 9, 9], 1).as_tensor()).unwrap();
    assert!(
        x.batch_norm_train(&var(&[3], 1), &var(&[3], 1), Some(&other), Activation::Relu, 1e-5)
            .is_err()
    );
    let parameters = frozen_parameters().swap_remove(0);
    let frozen = |index: usize, shape: &[usize], residual: Option<&FeatureMap>| {
        let mut parameters = parameters.clone();
        parameters[index] = var(shape, 1).as_tensor().detach();
        frozen_layer(&x, &parameters, 1, residual, Activation::Relu).unwrap_err().to_string()
    };
    assert!(frozen(0, &[16, 2, 5, 5], None).contains("weight"));
    assert!(frozen(1, &[15], None).contains("scale"));
    assert!(frozen(4, &[16, 1], None).contains("variance"));
    assert!(frozen(2, &[16], Some(&other)).contains("residual"));
    assert!(x.average_pool(10, 1).unwrap_err().to_string().contains("kernel"));
    assert!(x.pair_cosine(&var(&[3], 1)).unwrap_err().to_string().contains("even number"));
    assert!(x.area_pool(0).unwrap_err().to_string().contains("factor"));
    assert!(
        x.point_readout(&var(&[3, 4, 2], 1), &var(&[4, 2], 1))
            .unwrap_err()
            .to_string()
            .contains("weights")
    );
    assert!(
        FeatureMap::concatenate(&[&x, &other]).is_err() && FeatureMap::concatenate(&[]).is_err()
    );
    let integers = FeatureMap::new(
        &Tensor::zeros((2, 3, 4, 4), candle_core::DType::U32, &Device::Cpu).unwrap(),
    )
    .unwrap();
    assert!(integers.average_pool(2, 2).is_err());
}

/// The network of [`Network::traced`] in mixed precision, with gradients through candle.
fn mixed_loss(network: &Network) -> Result<Tensor> {
    let [w1, a1, b1, w2, a2, b2, w3, a3, b3] =
        std::array::from_fn(|i| network.variables[i].as_tensor());
    let norm = |x: FeatureMap,
                a: &Tensor,
                b: &Tensor,
                residual: Option<&FeatureMap>,
                activation|
     -> Result<FeatureMap> {
        Ok(x.batch_norm_train(a, b, residual, activation, 1e-5)?.0)
    };
    let images = FeatureMap::new(&network.images)?.mixed()?;
    let stem = norm(images.conv2d(w1, Network::geometry(1, 2))?, a1, b1, None, Activation::Elu)?;
    let first =
        norm(stem.conv2d(w2, Network::geometry(1, 1))?, a2, b2, Some(&stem), Activation::Relu)?;
    let second =
        norm(first.conv2d(w3, Network::geometry(2, 1))?, a3, b3, None, Activation::Identity)?;
    let cosines = (first.pair_cosine(&b1.detach())?.sum_all()?
        + stem.pair_cosine(&b2.detach())?.sqr()?.sum_all()?)?;
    let pooled = second.average_pool(2, 2)?.sqr()?.sum_all()?;
    let mean = (second.tensor()?.powf(3.0)?.mean_all()? + stem.tensor()?.mean_all()?)?;
    (cosines + pooled)? + mean
}

#[test]
fn mixed_precision_has_the_same_gradients_up_to_its_rounding() {
    let images = var(&[4, 3, 9, 10], 1);
    let network = Network::new(images.as_tensor().clone());
    let (found, expected) = (mixed_loss(&network).unwrap(), network.traced(true).unwrap());
    let (loss, exact) = (found.to_scalar::<f32>().unwrap(), expected.to_scalar::<f32>().unwrap());
    assert!((loss - exact).abs() < 0.02 * exact.abs(), "{loss} against {exact}");
    let (found, expected) = (found.backward().unwrap(), expected.backward().unwrap());
    for variable in network.variables.iter().chain([&images]) {
        let (found, expected) =
            (flat(found.get(variable).unwrap()), flat(expected.get(variable).unwrap()));
        let norm = |values: &[f32]| values.iter().map(|value| value * value).sum::<f32>().sqrt();
        let difference: Vec<f32> =
            found.iter().zip(&expected).map(|(found, expected)| found - expected).collect();
        let (off, size) = (norm(&difference), norm(&expected));
        assert!(
            off < 0.1 * size,
            "a gradient of {:?} is off by {} of it",
            variable.dims(),
            off / size
        );
        assert!(off > 0.0, "nothing was rounded");
    }
}

#[test]
fn mixed_precision_gives_the_same_bits_for_any_number_of_threads() {
    crate::testing::same_for_any_threads(|| {
        let images = var(&[20, 3, 9, 10], 1);
        let network = Network::new(images.as_tensor().clone());
        let loss = mixed_loss(&network).unwrap();
        let gradients = loss.backward().unwrap();
        let of_variables =
            network.variables.iter().map(|variable| gradients.get(variable).unwrap().clone());
        std::iter::once(loss).chain(of_variables).collect()
    });
}

#[test]
fn mixed_precision_concatenates_and_pools_as_f32_does() {
    for channels in [[32, 16, 5], [5, 16, 3]] {
        let parts: Vec<Var> =
            channels.iter().enumerate().map(|(seed, n)| var(&[3, *n, 6, 5], seed as u64)).collect();
        let loss = |precision| {
            let maps: Vec<FeatureMap> = parts
                .iter()
                .map(|part| {
                    FeatureMap::new(part.as_tensor()).unwrap().in_precision(precision).unwrap()
                })
                .collect();
            let whole = FeatureMap::concatenate(&maps.iter().collect::<Vec<_>>()).unwrap();
            let pooled =
                whole.area_pool(2).unwrap().in_precision(Precision::F32).unwrap().tensor().unwrap();
            (pooled.sqr().unwrap().sum_all().unwrap()
                + whole.tensor().unwrap().powf(3.0).unwrap().sum_all().unwrap())
            .unwrap()
        };
        let (found, expected) =
            (loss(Precision::Mixed).backward().unwrap(), loss(Precision::F32).backward().unwrap());
        for part in &parts {
            let (found, expected) =
                (flat(found.get(part).unwrap()), flat(expected.get(part).unwrap()));
            // Values, pooled values and three gradients are rounded, each by a factor of 2^-8; no
            // gradient here is larger than 4.
            assert!(
                found
                    .iter()
                    .zip(&expected)
                    .all(|(found, expected)| (found - expected).abs() < 5.0 * 4.0 / 256.0)
            );
        }
    }
}
