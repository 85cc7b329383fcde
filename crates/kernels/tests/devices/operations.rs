//! Runs the cases.

use super::cases::{self, Case};
use super::{close, device, elements};
use candle_core::{DType, Device, Result, Tensor, Var};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// How the arguments are stored.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    /// Contiguous.
    Plain,
    /// As parts of larger tensors, at arbitrary offsets.
    Parts,
    /// With their last two dimensions exchanged in memory.
    Transposed,
    /// As bf16 where allowed.
    Stored,
}

fn values(case: &Case) -> Vec<Vec<f32>> {
    let mut generator = ChaCha8Rng::seed_from_u64(7);
    let draw = |argument: &cases::Argument| {
        let count: usize = argument.shape.iter().product();
        // Representable as bf16, so that storing them as bf16 is exact.
        let round = |value: f32| {
            f32::from_bits(value.to_bits() & if argument.stored { 0xffff_0000 } else { !0 })
        };
        (0..count)
            .map(|_| round(generator.random_range(argument.range.0..argument.range.1)))
            .collect()
    };
    case.arguments.iter().map(draw).collect()
}

fn formed(tensor: &Tensor, form: Form, stored: bool) -> Result<Tensor> {
    match form {
        Form::Plain => Ok(tensor.clone()),
        Form::Stored if stored => tensor.to_dtype(DType::BF16),
        Form::Stored => Ok(tensor.clone()),
        Form::Parts => {
            Tensor::cat(&[&tensor.narrow(0, 0, 1)?, tensor], 0)?.narrow(0, 1, tensor.dim(0)?)
        }
        Form::Transposed if tensor.rank() >= 2 => {
            let last = tensor.rank() - 1;
            tensor.transpose(last - 1, last)?.contiguous()?.transpose(last - 1, last)
        }
        Form::Transposed => Ok(tensor.clone()),
    }
}

/// Results and gradients of `sum(direction * result)` with respect to the learned arguments, as
/// f32.
fn run(case: &Case, values: &[Vec<f32>], device: &Device, form: Form) -> Result<Vec<Tensor>> {
    let vars = case
        .arguments
        .iter()
        .zip(values)
        .map(|(a, v)| Var::from_slice(v, a.shape.as_slice(), device));
    let vars = vars.collect::<Result<Vec<Var>>>()?;
    let arguments = case.arguments.iter().zip(&vars).map(|(argument, var)| {
        let formed = formed(var.as_tensor(), form, argument.stored)?;
        Ok(if argument.learned { formed } else { formed.detach() })
    });
    let results = (case.run)(&arguments.collect::<Result<Vec<_>>>()?)?;
    let mut found = Vec::new();
    let mut sum: Option<Tensor> = None;
    for result in &results {
        let result = result.to_dtype(DType::F32)?;
        if result.track_op() {
            // Flattened, since candle's sums on a device need a dimension.
            let part = (&result * direction(&result, device)?)?.flatten_all()?.sum_all()?;
            sum = Some(match sum {
                Some(sum) => (sum + part)?,
                None => part,
            });
        }
        found.push(result.detach());
    }
    let gradients = sum.expect("a result has a gradient").backward()?;
    for (argument, var) in case.arguments.iter().zip(&vars) {
        match gradients.get(var) {
            Some(gradient) => found.push(gradient.clone()),
            None => assert!(
                !argument.learned,
                "{}: no gradient of an argument that is learned",
                case.name
            ),
        }
    }
    Ok(found)
}

fn direction(like: &Tensor, device: &Device) -> Result<Tensor> {
    let mut generator = ChaCha8Rng::seed_from_u64(11);
    let values: Vec<f32> =
        (0..like.elem_count()).map(|_| generator.random_range(-1.0f32..1.0)).collect();
    Tensor::from_vec(values, like.dims(), device)
}

/// The sum that [`run`] differentiates, in f64.
fn objective(case: &Case, values: &[Vec<f32>]) -> f64 {
    let arguments: Vec<Tensor> = case
        .arguments
        .iter()
        .zip(values)
        .map(|(a, v)| Tensor::from_slice(v, a.shape.as_slice(), &Device::Cpu).unwrap())
        .collect();
    let y = &(case.run)(&arguments).unwrap()[0];
    let directions = elements(&direction(y, &Device::Cpu).unwrap());
    elements(y).iter().zip(directions).map(|(y, d)| f64::from(*y) * f64::from(d)).sum()
}

#[test]
fn the_cpus_gradients_are_the_slopes_along_their_own_direction() {
    for case in cases::all().iter().filter(|case| case.smooth) {
        let start = values(case);
        let found = run(case, &start, &Device::Cpu, Form::Plain).unwrap();
        let learned = case.arguments.iter().filter(|argument| argument.learned).count();
        let mut gradients = found[found.len() - learned..].iter().map(elements);
        for (at, argument) in case.arguments.iter().enumerate() {
            if !argument.learned {
                continue;
            }
            let gradient = gradients.next().unwrap();
            let norm = gradient.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
            // Large enough for the rounding of f32, small enough for the curvature.
            let step = 0.02 / norm.max(0.1);
            let moved = |by: f64| {
                let mut values = start.clone();
                values[at]
                    .iter_mut()
                    .zip(&gradient)
                    .for_each(|(value, g)| *value += (by * f64::from(*g)) as f32);
                objective(case, &values)
            };
            let slope = (moved(step) - moved(-step)) / (2.0 * step);
            let expected = norm * norm;
            let (name, tolerance) = (&case.name, 0.02 * expected + 2e-3);
            assert!(
                (slope - expected).abs() <= tolerance,
                "{name}, argument {at}: slope {slope}, gradient {expected}"
            );
        }
    }
}

#[test]
fn the_device_computes_what_the_cpu_does() {
    let Some(device) = device("operations") else { return };
    for case in cases::all() {
        let start = values(&case);
        let expected = run(&case, &start, &Device::Cpu, Form::Plain).unwrap();
        for form in [Form::Plain, Form::Parts, Form::Transposed, Form::Stored] {
            let found = run(&case, &start, &device, form).unwrap();
            let tolerance = if form == Form::Stored { 1.5e-2 } else { case.tolerance };
            assert_eq!(found.len(), expected.len(), "{}", case.name);
            for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
                close(
                    &format!("{} {form:?}, result or gradient {index}", case.name),
                    found,
                    expected,
                    tolerance,
                );
            }
            let again = run(&case, &start, &device, form).unwrap();
            for (one, other) in found.iter().zip(&again) {
                let same = elements(one)
                    .iter()
                    .map(|x| x.to_bits())
                    .eq(elements(other).iter().map(|x| x.to_bits()));
                assert!(same, "{} {form:?}: different bits in the second run", case.name);
            }
        }
    }
    tf32(&device);
}

/// In the same test, because the setting applies to the process.
fn tf32(device: &Device) {
    #[cfg(feature = "cuda")]
    {
        brainprior_kernels::cuda::set_tf32(true);
        for case in cases::convolutions() {
            let start = values(&case);
            let expected = run(&case, &start, &Device::Cpu, Form::Plain).unwrap();
            for (found, expected) in
                run(&case, &start, device, Form::Plain).unwrap().iter().zip(&expected)
            {
                close(&format!("{} in TF32", case.name), found, expected, 5e-3);
            }
        }
        brainprior_kernels::cuda::set_tf32(false);
    }
    #[cfg(not(feature = "cuda"))]
    unreachable!("{device:?} is no device without the feature cuda");
}

#[test]
fn tensors_of_two_devices_are_refused() {
    let Some(device) = device("two devices") else { return };
    for case in cases::all().iter().filter(|case| case.arguments.len() > 1) {
        let mut arguments: Vec<Tensor> = case
            .arguments
            .iter()
            .zip(values(case))
            .map(|(a, v)| Tensor::from_vec(v, a.shape.as_slice(), &device).unwrap())
            .collect();
        arguments[1] = arguments[1].to_device(&Device::Cpu).unwrap();
        let error = (case.run)(&arguments).unwrap_err().to_string();
        assert!(error.contains("move it with `to_device`"), "{}: {error}", case.name);
    }
}
