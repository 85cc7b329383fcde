//! The Poisson loss of a response model.

use super::{filled, here};
use crate::arguments::{has_shape, with_elements};
use crate::simd::vectorized;
use crate::uninit::Uninit;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

/// Sum of `weight (rate - response log(rate + eps))`, for tensors of one shape; differentiable in
/// the rates.
///
/// # Errors
/// Returns an error if shapes differ.
pub fn poisson_loss(
    rates: &Tensor,
    responses: &Tensor,
    weights: &Tensor,
    eps: f64,
) -> Result<Tensor> {
    has_shape("poisson_loss", "responses", responses, rates.dims())?;
    has_shape("poisson_loss", "weights", weights, rates.dims())?;
    if !here(&[rates, responses, weights]) || responses.track_op() || weights.track_op() {
        return ((rates - (responses * (rates + eps)?.log()?)?)? * weights)?.sum_all();
    }
    let (rates, eps) = (rates.contiguous()?, eps as f32);
    let terms = with_elements(&rates, |of_rates| {
        with_elements(responses, |responses| {
            with_elements(weights, |weights| {
                filled(&rates, |first, to| {
                    let part = first..first + to.len();
                    terms(
                        &of_rates[part.clone()],
                        &responses[part.clone()],
                        &weights[part],
                        eps,
                        to,
                    );
                })
            })
        })
    })?;
    let sum = terms.sum_all()?.to_scalar()?;
    rates.apply_op1(PoissonLoss {
        responses: responses.clone(),
        weights: weights.clone(),
        eps,
        sum,
    })
}

struct PoissonLoss {
    responses: Tensor,
    weights: Tensor,
    eps: f32,
    sum: f32,
}

impl CustomOp1 for PoissonLoss {
    fn name(&self) -> &'static str {
        "poisson_loss"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok((CpuStorage::F32(vec![self.sum]), Shape::from(())))
    }

    fn bwd(&self, rates: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let gradient = gradient.to_scalar()?;
        with_elements(rates, |of_rates| {
            with_elements(&self.responses, |responses| {
                with_elements(&self.weights, |weights| {
                    filled(rates, |first, to| {
                        let part = first..first + to.len();
                        let (rates, responses, weights) =
                            (&of_rates[part.clone()], &responses[part.clone()], &weights[part]);
                        slopes(rates, responses, weights, gradient, self.eps, to);
                    })
                })
            })
        })
        .map(Some)
    }
}

/// Uses the system's logarithm, like candle.
fn terms(rates: &[f32], responses: &[f32], weights: &[f32], eps: f32, to: &mut [Uninit]) {
    for (((to, rate), response), weight) in to.iter_mut().zip(rates).zip(responses).zip(weights) {
        to.write((rate - response * (rate + eps).ln()) * weight);
    }
}

vectorized! {
    fn slopes(rates: &[f32], responses: &[f32], weights: &[f32], gradient: f32, eps: f32, to: &mut [Uninit]) {
        for (((to, rate), response), weight) in to.iter_mut().zip(rates).zip(responses).zip(weights) {
            let of_term = gradient * weight;
            to.write(0.0 + of_term + (0.0 - of_term) * response / (rate + eps));
        }
    }
}
