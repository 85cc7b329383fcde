//! The definition of a convolution and its gradients, written out in `f64`.

use super::problem::Problem;

/// Calls `term(output index, input index, weight index)` for every product in the sums of a
/// convolution.
fn for_each_term(p: &Problem, mut term: impl FnMut(usize, usize, usize)) {
    for b in 0..p.batch {
        for co in 0..p.out_channels {
            for oy in 0..p.out_height {
                for ox in 0..p.out_width {
                    let output = ((b * p.out_channels + co) * p.out_height + oy) * p.out_width + ox;
                    for ci in 0..p.group_in() {
                        let channel = co / p.group_out() * p.group_in() + ci;
                        for ky in 0..p.kernel_height {
                            for kx in 0..p.kernel_width {
                                let (y, x) = (
                                    oy * p.stride + ky * p.dilation,
                                    ox * p.stride + kx * p.dilation,
                                );
                                let (Some(y), Some(x)) =
                                    (y.checked_sub(p.padding), x.checked_sub(p.padding))
                                else {
                                    continue;
                                };
                                if y < p.height && x < p.width {
                                    let input = ((b * p.in_channels + channel) * p.height + y)
                                        * p.width
                                        + x;
                                    let weight = ((co * p.group_in() + ci) * p.kernel_height + ky)
                                        * p.kernel_width
                                        + kx;
                                    term(output, input, weight);
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// `[output, magnitude]`: the sums and the sums of absolute values, which bound rounding errors.
type Sums = [Vec<f64>; 2];

fn sums(
    p: &Problem,
    len: usize,
    mut term: impl FnMut(usize, usize, usize) -> (usize, f64),
) -> Sums {
    let (mut value, mut magnitude) = (vec![0.0; len], vec![0.0; len]);
    for_each_term(p, |output, input, weight| {
        let (index, product) = term(output, input, weight);
        value[index] += product;
        magnitude[index] += product.abs();
    });
    [value, magnitude]
}

pub(super) fn forward(p: &Problem, x: &[f32], w: &[f32]) -> Sums {
    sums(p, p.output_dims().iter().product(), |o, i, k| (o, f64::from(x[i]) * f64::from(w[k])))
}

pub(super) fn input_gradient(p: &Problem, dy: &[f32], w: &[f32]) -> Sums {
    sums(p, p.input_dims().iter().product(), |o, i, k| (i, f64::from(dy[o]) * f64::from(w[k])))
}

pub(super) fn weight_gradient(p: &Problem, x: &[f32], dy: &[f32]) -> Sums {
    sums(p, p.weight_dims().iter().product(), |o, i, k| (k, f64::from(x[i]) * f64::from(dy[o])))
}
