//! The cases: argument shapes and operations.

use brainprior_kernels::{
    Activation, Conv2dGeometry, FixedStatistics, arctanh_squared_loss, area_pool, average_pool,
    batch_norm_eval, batch_norm_train, conv2d, cross_entropy, grid_sample, pair_cosine,
    point_readout,
};
use candle_core::{DType, Result, Tensor};

/// An argument: values in a range.
#[derive(Clone)]
pub(crate) struct Argument {
    pub shape: Vec<usize>,
    pub range: (f32, f32),
    /// Whether it may be stored as bf16.
    pub stored: bool,
    /// Whether its gradient is requested.
    pub learned: bool,
}

type Operation = Box<dyn Fn(&[Tensor]) -> Result<Vec<Tensor>>>;

/// An operation on arguments. Results with a gradient come first.
pub(crate) struct Case {
    pub name: String,
    pub arguments: Vec<Argument>,
    pub run: Operation,
    /// Whether small steps change the result as the gradient predicts, everywhere.
    pub smooth: bool,
    /// Largest difference between f32 results, relative to the largest one.
    pub tolerance: f32,
}

fn image(shape: &[usize]) -> Argument {
    Argument { shape: shape.to_vec(), range: (-1.0, 1.0), stored: true, learned: true }
}

fn parameter(shape: &[usize]) -> Argument {
    Argument { stored: false, ..image(shape) }
}

fn fixed(argument: Argument) -> Argument {
    Argument { learned: false, ..argument }
}

fn within(argument: Argument, low: f32, high: f32) -> Argument {
    Argument { range: (low, high), ..argument }
}

fn case(
    name: String,
    arguments: Vec<Argument>,
    run: impl Fn(&[Tensor]) -> Result<Vec<Tensor>> + 'static,
) -> Case {
    Case { name, arguments, run: Box::new(run), smooth: true, tolerance: 2e-5 }
}

/// Every case.
pub(crate) fn all() -> Vec<Case> {
    [convolutions(), batch_norms(), pools(), pairs(), losses(), points()]
        .into_iter()
        .flatten()
        .collect()
}

/// Only the convolutions, which TF32 affects.
pub(crate) fn convolutions() -> Vec<Case> {
    let geometry =
        |stride, padding, dilation, groups| Conv2dGeometry { stride, padding, dilation, groups };
    [
        ([2, 3, 9, 7], [4, 3, 3, 3], geometry(1, 1, 1, 1)),
        ([65, 1, 8, 8], [16, 1, 7, 7], geometry(1, 3, 1, 1)),
        ([3, 16, 12, 10], [32, 16, 3, 3], geometry(2, 1, 1, 1)),
        ([2, 16, 9, 9], [24, 16, 1, 1], geometry(2, 0, 1, 1)),
        ([1, 8, 11, 13], [8, 8, 3, 3], geometry(1, 2, 2, 1)),
        ([2, 6, 10, 12], [9, 2, 5, 5], geometry(1, 2, 1, 3)),
        ([2, 8, 9, 11], [8, 1, 7, 7], geometry(1, 3, 1, 8)),
        ([2, 5, 6, 9], [7, 5, 2, 4], geometry(3, 1, 1, 1)),
        ([1, 1, 1, 1], [1, 1, 1, 1], geometry(1, 0, 1, 1)),
    ]
    .map(|(x, w, g)| {
        let run = move |t: &[Tensor]| Ok(vec![conv2d(&t[0], &t[1], g)?]);
        case(format!("conv2d {x:?} {w:?} {g:?}"), vec![image(&x), image(&w)], run)
    })
    .into()
}

fn batch_norms() -> Vec<Case> {
    let mut cases = Vec::new();
    for activation in [Activation::Identity, Activation::Relu, Activation::Elu] {
        for x in [[5, 3, 4, 6], [3, 70, 3, 5], [65, 2, 1, 1], [40, 2, 24, 17]] {
            for residual in [false, true] {
                let channels = [x[1]];
                let name = |what: &str| {
                    format!("batch_norm_{what} {x:?} {activation:?} residual {residual}")
                };
                let mut arguments =
                    vec![image(&x), within(parameter(&channels), 0.5, 1.5), parameter(&channels)];
                arguments.extend(residual.then(|| image(&x)));
                cases.push(case(name("train"), arguments.clone(), move |t| {
                    let (y, found) =
                        batch_norm_train(&t[0], &t[1], &t[2], t.get(3), activation, 1e-5)?;
                    assert_eq!(found.count, x[0] * x[2] * x[3]);
                    Ok(vec![y, found.mean, found.variance])
                }));
                arguments.insert(3, fixed(parameter(&channels)));
                arguments.insert(4, fixed(within(parameter(&channels), 0.1, 2.0)));
                cases.push(case(name("eval"), arguments, move |t| {
                    Ok(vec![batch_norm_eval(
                        &t[0],
                        &t[1],
                        &t[2],
                        FixedStatistics { mean: &t[3], variance: &t[4], eps: 1e-3 },
                        t.get(5),
                        activation,
                    )?])
                }));
            }
        }
    }
    for case in &mut cases {
        case.smooth = !case.name.contains("Relu");
    }
    // Far from zero, where plain sums of squares would lose the variance.
    let mut far = case(
        "batch_norm_train far from zero".into(),
        vec![within(image(&[8, 3, 6, 6]), 1000.0, 1000.5)],
        |t| {
            let ones = Tensor::ones(3, DType::F32, t[0].device())?;
            let (y, found) =
                batch_norm_train(&t[0], &ones, &ones, None, Activation::Identity, 1e-5)?;
            Ok(vec![y, found.mean, found.variance])
        },
    );
    far.smooth = false;
    // The mean is rounded to 6e-5, which is 4e-4 standard deviations.
    far.tolerance = 1e-3;
    far.arguments[0].stored = false;
    cases.push(far);
    cases
}

fn pools() -> Vec<Case> {
    let mut cases = Vec::new();
    for x in [[2, 3, 7, 10], [1, 1, 1, 1], [65, 4, 8, 8]] {
        for factor in [1, 2, 3, 100, usize::MAX] {
            let name = format!("area_pool {x:?} factor {factor}");
            cases.push(case(name, vec![image(&x)], move |t| Ok(vec![area_pool(&t[0], factor)?])));
        }
        for (kernel, stride) in [(1, 1), (1, 3), (4, 4), (3, 2), (5, 1), (2, usize::MAX)] {
            if kernel <= x[2].min(x[3]) {
                let name = format!("average_pool {x:?} kernel {kernel} stride {stride}");
                cases.push(case(name, vec![image(&x)], move |t| {
                    Ok(vec![average_pool(&t[0], kernel, stride)?])
                }));
            }
        }
    }
    cases
}

fn pairs() -> Vec<Case> {
    [[2, 1, 1, 2], [6, 3, 5, 7], [4, 16, 36, 64], [130, 8, 4, 4]]
        .map(|x| {
            let arguments = vec![image(&x), fixed(within(parameter(&[x[1]]), -0.3, 0.3))];
            case(format!("pair_cosine {x:?}"), arguments, |t| Ok(vec![pair_cosine(&t[0], &t[1])?]))
        })
        .into()
}

fn losses() -> Vec<Case> {
    let mut cases = Vec::new();
    for pairs in [1, 65, 1000] {
        let arguments = vec![
            within(parameter(&[pairs]), -0.9, 0.9),
            fixed(within(parameter(&[pairs]), -0.9, 0.9)),
        ];
        cases.push(case(format!("arctanh_squared_loss of {pairs}"), arguments, |t| {
            Ok(vec![arctanh_squared_loss(&t[0], &t[1], 3.0)?])
        }));
    }
    // A third of them is clamped.
    let arguments =
        vec![within(parameter(&[500]), -1.5, 1.5), fixed(within(parameter(&[500]), -1.5, 1.5))];
    let mut clamped = case("arctanh_squared_loss of 500, some clamped".into(), arguments, |t| {
        Ok(vec![arctanh_squared_loss(&t[0], &t[1], 1.0)?])
    });
    clamped.smooth = false;
    cases.push(clamped);
    for (batch, classes) in [(1, 2), (65, 10), (7, 100), (300, 33)] {
        let arguments = vec![within(parameter(&[batch, classes]), -4.0, 4.0)];
        cases.push(case(
            format!("cross_entropy of {batch} among {classes}"),
            arguments,
            move |t| {
                let labels: Vec<u32> =
                    (0..batch as u32).map(|index| index * 7 % classes as u32).collect();
                Ok(vec![cross_entropy(&t[0], &Tensor::from_vec(labels, batch, t[0].device())?)?])
            },
        ));
    }
    cases
}

fn points() -> Vec<Case> {
    let mut cases = Vec::new();
    for ([batch, channels, height, width], neurons) in [
        ([2, 3, 5, 7], 11),
        ([3, 33, 4, 40], 300),
        ([5, 130, 3, 3], 20),
        ([1, 1, 1, 1], 2),
        ([65, 4, 2, 6], 9),
    ] {
        // Extends beyond the edges.
        let positions = within(parameter(&[batch, neurons, 2]), -1.3, 1.3);
        for align_corners in [false, true] {
            let name = format!(
                "grid_sample {batch} {channels} {height} {width}, {neurons} points, {align_corners}"
            );
            let arguments = vec![image(&[batch, channels, height, width]), positions.clone()];
            let mut one =
                case(name, arguments, move |t| Ok(vec![grid_sample(&t[0], &t[1], align_corners)?]));
            // The derivative jumps between pixels.
            one.smooth = false;
            cases.push(one);
        }
        let arguments = vec![
            image(&[batch, channels, height, width]),
            positions,
            parameter(&[neurons, channels]),
        ];
        let mut one = case(
            format!("point_readout {batch} {channels} {height} {width}, {neurons} neurons"),
            arguments,
            |t| Ok(vec![point_readout(&t[0], &t[1], &t[2])?]),
        );
        one.smooth = false;
        cases.push(one);
    }
    cases
}
