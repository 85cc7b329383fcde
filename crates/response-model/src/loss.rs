//! The output nonlinearity and the loss.

use candle_core::{Result, Tensor};

/// ELU(x) + 1: positive, x + 1 above zero, exp(x) below.
pub(crate) fn output(x: &Tensor) -> Result<Tensor> {
    // Written with relu on both sides, since candle's own ELU has a NaN gradient where exp(x) overflows.
    x.relu()? + x.neg()?.relu()?.neg()?.exp()?
}

/// Weighted Poisson loss, the sum over trials and neurons of weight (rate - response log(rate + eps)); all `[trials, neurons]`.
pub(crate) fn poisson(rates: &Tensor, responses: &Tensor, weights: &Tensor, eps: f64) -> Result<Tensor> {
    let loss = (rates - (responses * (rates + eps)?.log()?)?)?;
    (loss * weights)?.sum_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

    #[test]
    fn output_is_elu_plus_one_with_its_gradient() {
        let x = Var::new(&[-50f32, -1.0, -1e-3, 1e-3, 2.0, 200.0], &Device::Cpu).unwrap();
        let y = output(&x).unwrap();
        let gradient = y.sum_all().unwrap().backward().unwrap().get(&x).unwrap().to_vec1::<f32>().unwrap();
        let y: Vec<f32> = y.to_vec1().unwrap();
        for ((x, y), g) in x.to_vec1::<f32>().unwrap().iter().zip(y).zip(gradient) {
            let (value, slope) = if *x > 0.0 { (x + 1.0, 1.0) } else { (x.exp(), x.exp()) };
            assert!((y - value).abs() < 1e-5 && (g - slope).abs() < 1e-5, "x {x}: {y} {g}");
        }
    }

    #[test]
    fn poisson_loss_is_least_at_the_response() {
        let tensor = |v: f32| Tensor::new(&[[v]], &Device::Cpu).unwrap();
        let at = |rate| poisson(&tensor(rate), &tensor(0.7), &tensor(1.0), 1e-8).unwrap().to_scalar::<f32>().unwrap();
        assert!(at(0.7) < at(0.6) && at(0.7) < at(0.8));
        assert!((at(0.7) - (0.7 - 0.7 * 0.7f32.ln())).abs() < 1e-6);
    }
}
