//! The output nonlinearity, from the readout's value to a rate.

use brainprior_kernels::elu_rate;
use candle_core::{Result, Tensor, Var};
use candle_nn::VarBuilder;

use crate::config::{OutputConfig, OutputKind};
use crate::variables::variable;

/// The output nonlinearity of one scan.
#[derive(Debug)]
pub(crate) enum Output {
    /// ELU(x) + 1: x + 1 above zero, exp(x) below; always positive.
    Elu,
    /// log(1 + exp(beta x)) / beta.
    Softplus(Beta),
}

/// The sharpness beta of Softplus.
#[derive(Debug)]
pub(crate) enum Beta {
    Set(f64),
    /// log beta, `[1]`.
    Learned(Var),
}

impl Output {
    pub(crate) fn new(config: &OutputConfig, vars: &VarBuilder) -> Result<Self> {
        Ok(match config.kind {
            OutputKind::Elu => Self::Elu,
            OutputKind::Softplus if config.learn_beta => {
                Self::Softplus(Beta::Learned(variable(vars, "log_beta", &[1], || {
                    vec![config.beta.ln() as f32]
                })?))
            }
            OutputKind::Softplus => Self::Softplus(Beta::Set(config.beta)),
        })
    }

    /// Rates from values of any shape.
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Elu => elu_rate(x),
            Self::Softplus(beta) => {
                let scaled = match beta {
                    Beta::Set(beta) => (x * *beta)?,
                    Beta::Learned(log) => x.broadcast_mul(&log.exp()?)?,
                };
                // Uses relu because exp overflows for large x, which makes the gradient NaN.
                let soft = (scaled.relu()? + (scaled.abs()?.neg()?.exp()? + 1.0)?.log()?)?;
                match beta {
                    Beta::Set(beta) => soft / *beta,
                    Beta::Learned(log) => soft.broadcast_mul(&log.neg()?.exp()?),
                }
            }
        }
    }
}

impl OutputConfig {
    /// The value whose rate is `rate`.
    pub(crate) fn inverse(&self, rate: f32) -> f32 {
        let least = rate.max(1e-3);
        match self.kind {
            OutputKind::Elu if rate > 1.0 => rate - 1.0,
            OutputKind::Elu => least.ln(),
            OutputKind::Softplus => {
                let scaled = self.beta * f64::from(least);
                // For large x, log(exp(x) - 1) is x.
                ((if scaled > 30.0 { scaled } else { scaled.exp_m1().ln() }) / self.beta) as f32
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};
    use candle_nn::VarMap;

    const VALUES: [f32; 6] = [-50.0, -1.0, -1e-3, 1e-3, 2.0, 200.0];

    fn output(config: &OutputConfig) -> Output {
        Output::new(config, &VarBuilder::from_varmap(&VarMap::new(), DType::F32, &Device::Cpu))
            .unwrap()
    }

    #[test]
    fn rates_and_their_gradients_are_the_definition() {
        let elu = |x: f64| if x > 0.0 { (x + 1.0, 1.0) } else { (x.exp(), x.exp()) };
        let softplus = |beta: f64| {
            move |x: f64| {
                let value = if beta * x > 30.0 { x } else { (beta * x).exp().ln_1p() / beta };
                (value, 1.0 / (1.0 + (-beta * x).exp()))
            }
        };
        let cases: [(OutputConfig, Box<dyn Fn(f64) -> (f64, f64)>); 4] = [
            (OutputConfig::default(), Box::new(elu)),
            (
                OutputConfig { kind: OutputKind::Softplus, beta: 1.0, learn_beta: false },
                Box::new(softplus(1.0)),
            ),
            (
                OutputConfig { kind: OutputKind::Softplus, beta: 2.5, learn_beta: false },
                Box::new(softplus(2.5)),
            ),
            (
                OutputConfig { kind: OutputKind::Softplus, beta: 0.5, learn_beta: true },
                Box::new(softplus(0.5)),
            ),
        ];
        for (config, definition) in cases {
            let x = Var::new(&VALUES, &Device::Cpu).unwrap();
            let y = output(&config).forward(&x).unwrap();
            let gradient =
                y.sum_all().unwrap().backward().unwrap().get(&x).unwrap().to_vec1::<f32>().unwrap();
            for ((x, y), g) in VALUES.iter().zip(y.to_vec1::<f32>().unwrap()).zip(gradient) {
                let (value, slope) = definition(f64::from(*x));
                assert!(
                    (f64::from(y) - value).abs() < 1e-5 && (f64::from(g) - slope).abs() < 1e-3,
                    "{config:?} {x}: {y} {g}"
                );
            }
        }
    }

    #[test]
    fn the_inverse_gives_the_rate_again() {
        for config in [
            OutputConfig::default(),
            OutputConfig { kind: OutputKind::Softplus, beta: 1.7, learn_beta: true },
        ] {
            for rate in [0.01f32, 0.4, 1.0, 3.0, 60.0] {
                let x = Tensor::new(&[config.inverse(rate)], &Device::Cpu).unwrap();
                let found = output(&config).forward(&x).unwrap().to_vec1::<f32>().unwrap()[0];
                assert!((found - rate).abs() < 1e-4 * (1.0 + rate), "{config:?} {rate}: {found}");
            }
        }
    }
}
