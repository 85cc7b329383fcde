//! Losses: distributions of responses around their rate.

use brainprior_kernels::poisson_loss;
use candle_core::{Result, Tensor, Var};
use candle_nn::VarBuilder;

use crate::config::{LossConfig, LossKind};
use crate::variables::variable;

/// Lower bound of rates and response probabilities, to avoid division by zero.
const LEAST: f64 = 1e-6;

/// Negative log-likelihood of responses, without terms that do not depend on parameters.
#[derive(Debug)]
pub(crate) enum Loss {
    Poisson { eps: f64 },
    Gaussian,
    Gamma,
    ZeroInflatedGamma(ZeroInflatedGamma),
}

/// Zero with probability exp(-a rate), else gamma distributed with shape k and a mean that makes
/// the rate the expected response.
#[derive(Debug)]
pub(crate) struct ZeroInflatedGamma {
    /// log a, `[neurons]`.
    log_events: Var,
    /// log k, `[neurons]`.
    log_shape: Var,
    threshold: f64,
}

impl Loss {
    /// The loss of one scan with its learned parameters per neuron. `zero_shares` are the fractions
    /// of trials with responses up to the threshold, `mean_rates` the mean responses.
    pub(crate) fn new(
        config: &LossConfig,
        zero_shares: &[f32],
        mean_rates: &[f32],
        vars: &VarBuilder,
    ) -> Result<Self> {
        Ok(match config.kind {
            LossKind::Poisson => Self::Poisson { eps: config.poisson_eps },
            LossKind::Gaussian => Self::Gaussian,
            LossKind::Gamma => Self::Gamma,
            LossKind::ZeroInflatedGamma => {
                let start = |(share, mean): (&f32, &f32)| {
                    (-share.clamp(0.02, 0.98).ln() / mean.max(1e-3)).ln()
                };
                let events = || zero_shares.iter().zip(mean_rates).map(start).collect();
                let neurons = mean_rates.len();
                Self::ZeroInflatedGamma(ZeroInflatedGamma {
                    log_events: variable(vars, "log_events", &[neurons], events)?,
                    log_shape: variable(vars, "log_shape", &[neurons], || vec![0.0; neurons])?,
                    threshold: config.zero_threshold,
                })
            }
        })
    }

    /// Sum over trials and neurons of weight times loss; all arguments are `[trials, neurons]`.
    pub(crate) fn sum(
        &self,
        rates: &Tensor,
        responses: &Tensor,
        weights: &Tensor,
    ) -> Result<Tensor> {
        let loss = match self {
            Self::Poisson { eps } => return poisson_loss(rates, responses, weights, *eps),
            Self::Gaussian => ((rates - responses)?.sqr()? * 0.5)?,
            Self::Gamma => {
                let rates = (rates + LEAST)?;
                (rates.log()? + (responses / rates)?)?
            }
            Self::ZeroInflatedGamma(of) => of.loss(rates, responses)?,
        };
        (loss * weights)?.sum_all()
    }
}

impl ZeroInflatedGamma {
    fn loss(&self, rates: &Tensor, responses: &Tensor) -> Result<Tensor> {
        let responded = responses.gt(self.threshold)?.to_dtype(responses.dtype())?;
        let log_response = responses.clamp(self.threshold, f64::INFINITY)?.log()?;
        let events = rates.broadcast_mul(&self.log_events.exp()?)?;
        let probability = ((events.neg()?.exp()?.neg()? + 1.0)? + LEAST)?;
        let shape = self.log_shape.exp()?;
        // Shape divided by mean: the rate parameter of the gamma distribution.
        let inverse_scale = (probability.broadcast_mul(&shape)? / (rates + LEAST)?)?;
        let log_density = (inverse_scale.log()?.broadcast_mul(&shape)?
            + log_response.broadcast_mul(&(&shape - 1.0)?)?)?
        .broadcast_sub(&log_gamma(&shape)?)?;
        let log_density = ((log_density - (inverse_scale * responses)?)? + probability.log()?)?;
        // The loss is `events` for a zero and -log density for a response.
        &events - (responded * (&events + log_density)?)?
    }
}

/// Log-gamma of positive numbers, by Stirling's series at x + 3.
fn log_gamma(x: &Tensor) -> Result<Tensor> {
    let below = ((x * (x + 1.0)?)? * (x + 2.0)?)?.log()?;
    let y = (x + 3.0)?;
    let series = ((y.recip()? / 12.0)? - (y.powf(-3.0)? / 360.0)?)?;
    let leading = (((&y - 0.5)? * y.log()?)? - &y)?;
    ((leading + series)? + 0.5 * std::f64::consts::TAU.ln())? - below
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};
    use candle_nn::VarMap;

    const RATES: [f32; 6] = [0.05, 0.4, 0.9, 1.3, 2.5, 6.0];
    const RESPONSES: [f32; 6] = [0.0, 1.7, 0.0, 0.3, 2.2, 4.0];
    const EVENTS: [f64; 2] = [0.7, 1.9];
    const SHAPES: [f64; 2] = [0.6, 3.0];

    fn of_kind(kind: LossKind) -> (Loss, VarMap) {
        let map = VarMap::new();
        let vars = VarBuilder::from_varmap(&map, DType::F32, &Device::Cpu);
        let loss =
            Loss::new(&LossConfig { kind, ..Default::default() }, &[0.5, 0.2], &[1.0, 1.0], &vars)
                .unwrap();
        if let Loss::ZeroInflatedGamma(of) = &loss {
            for (var, values) in [(&of.log_events, EVENTS), (&of.log_shape, SHAPES)] {
                var.set(&Tensor::new(&values.map(|v| v.ln() as f32), &Device::Cpu).unwrap())
                    .unwrap();
            }
        }
        (loss, map)
    }

    /// `[3 trials, 2 neurons]`
    fn tensor(values: [f32; 6]) -> Tensor {
        Tensor::from_slice(&values, (3, 2), &Device::Cpu).unwrap()
    }

    /// Log-gamma in f64, by Lanczos' approximation.
    fn lanczos(x: f64) -> f64 {
        const C: [f64; 9] = [
            0.999_999_999_999_809_9,
            676.520_368_121_885_1,
            -1_259.139_216_722_402_8,
            771.323_428_777_653_1,
            -176.615_029_162_140_6,
            12.507_343_278_686_905,
            -0.138_571_095_265_720_12,
            9.984_369_578_019_572e-6,
            1.505_632_735_149_311_6e-7,
        ];
        let x = x - 1.0;
        let sum: f64 = C[0] + (1..9).map(|i| C[i] / (x + i as f64)).sum::<f64>();
        let t = x + 7.5;
        0.5 * std::f64::consts::TAU.ln() + (x + 0.5) * t.ln() - t + sum.ln()
    }

    /// The loss of one trial of one neuron, by its definition in f64.
    fn naive(kind: LossKind, neuron: usize, rate: f64, response: f64) -> f64 {
        match kind {
            LossKind::Poisson => rate - response * (rate + 1e-8).ln(),
            LossKind::Gaussian => (rate - response).powi(2) / 2.0,
            LossKind::Gamma => rate.ln() + response / rate,
            LossKind::ZeroInflatedGamma => {
                let zero = (-EVENTS[neuron] * rate).exp();
                if response == 0.0 {
                    return -zero.ln();
                }
                let (shape, mean) = (SHAPES[neuron], rate / (1.0 - zero));
                let scale = mean / shape;
                -((1.0 - zero).ln() - lanczos(shape) - shape * scale.ln()
                    + (shape - 1.0) * response.ln()
                    - response / scale)
            }
        }
    }

    const KINDS: [LossKind; 4] =
        [LossKind::Poisson, LossKind::Gaussian, LossKind::Gamma, LossKind::ZeroInflatedGamma];

    #[test]
    fn losses_are_their_definitions() {
        for kind in KINDS {
            let (loss, _) = of_kind(kind);
            let weights = [1.0, 0.5, 2.0, 1.0, 0.0, 3.0];
            let sum = loss
                .sum(&tensor(RATES), &tensor(RESPONSES), &tensor(weights))
                .unwrap()
                .to_scalar::<f32>()
                .unwrap();
            let naive: f64 = (0..6)
                .map(|i| {
                    f64::from(weights[i])
                        * naive(kind, i % 2, f64::from(RATES[i]), f64::from(RESPONSES[i]))
                })
                .sum();
            assert!(
                (f64::from(sum) - naive).abs() < 2e-4,
                "{kind:?}: {sum}, from the definition {naive}"
            );
        }
    }

    #[test]
    fn gradients_agree_with_differences() {
        for kind in KINDS {
            let (loss, map) = of_kind(kind);
            let vars = VarBuilder::from_varmap(&map, DType::F32, &Device::Cpu);
            let rates = variable(&vars, "rates", &[3, 2], || RATES.to_vec()).unwrap();
            let at = || loss.sum(&rates, &tensor(RESPONSES), &tensor([1.0; 6])).unwrap();
            let gradients = at().backward().unwrap();
            for (name, var) in crate::variables::all(&map) {
                let analytic: Vec<f32> =
                    gradients.get(&var).unwrap().flatten_all().unwrap().to_vec1().unwrap();
                let values: Vec<f32> = var.flatten_all().unwrap().to_vec1().unwrap();
                for (i, analytic) in analytic.iter().enumerate() {
                    let step = 4e-3 * values[i].abs().max(0.3);
                    let moved = |by: f32| {
                        let mut moved = values.clone();
                        moved[i] += by;
                        var.set(&Tensor::from_vec(moved, var.dims(), &Device::Cpu).unwrap())
                            .unwrap();
                        at().to_scalar::<f32>().unwrap()
                    };
                    let numeric = (moved(step) - moved(-step)) / (2.0 * step);
                    moved(0.0);
                    assert!(
                        (numeric - analytic).abs() < 5e-3 * (1.0 + analytic.abs()),
                        "{kind:?} {name}[{i}]: {analytic} {numeric}"
                    );
                }
            }
        }
    }

    #[test]
    fn every_loss_is_least_on_average_at_the_expected_response() {
        // The expected loss over any distribution of responses is smallest at their mean; for the
        // zero-inflated gamma, over its own distribution.
        let responses = [0.0f32, 0.0, 0.4, 1.0, 2.6, 0.2];
        let mean = responses.iter().sum::<f32>() / 6.0;
        for kind in [LossKind::Poisson, LossKind::Gaussian, LossKind::Gamma] {
            let (loss, _) = of_kind(kind);
            let at = |rate: f32| {
                loss.sum(&tensor([rate; 6]), &tensor(responses), &tensor([1.0; 6]))
                    .unwrap()
                    .to_scalar::<f32>()
                    .unwrap()
            };
            assert!(at(mean) < at(mean * 0.9) && at(mean) < at(mean * 1.1), "{kind:?}");
        }
    }

    #[test]
    fn log_gamma_agrees_with_lanczos() {
        let x = [0.05f32, 0.3, 1.0, 1.5, 2.0, 7.3, 40.0];
        let found: Vec<f32> =
            log_gamma(&Tensor::new(&x, &Device::Cpu).unwrap()).unwrap().to_vec1().unwrap();
        for (x, found) in x.iter().zip(found) {
            let expected = lanczos(f64::from(*x));
            assert!(
                (f64::from(found) - expected).abs() < 2e-5 * (1.0 + expected.abs()),
                "{x}: {found}, expected {expected}"
            );
        }
    }
}
