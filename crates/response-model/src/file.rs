//! Reads model states from an archive.

use brainprior_artifact::archive::Archive;
use candle_core::{Device, Tensor};

use crate::error::Result;
use crate::variables::{State, Variables};

/// The state of `variables` under `prefix`, with the same names and shapes.
pub(crate) fn state(archive: &Archive, prefix: &str, variables: &Variables) -> Result<State> {
    let tensor =
        |name: &String| tensor(archive, &format!("{prefix}{name}"), variables[name].dims());
    variables.keys().map(|name| Ok((name.clone(), tensor(name)?))).collect()
}

/// All tensors whose name starts with `prefix`, with the prefix removed.
pub(crate) fn under(archive: &Archive, prefix: &str) -> Result<State> {
    let names = archive.names();
    let own = names.iter().filter_map(|name| Some((name, name.strip_prefix(prefix)?)));
    own.map(|(name, short)| {
        Ok((short.to_owned(), tensor(archive, name, archive.tensor(name)?.shape())?))
    })
    .collect()
}

fn tensor(archive: &Archive, name: &str, shape: &[usize]) -> Result<Tensor> {
    let values = archive.values::<f32>(name, shape)?;
    let (expected, holds): (_, fn(&f32) -> bool) = match name.ends_with("running_variance") {
        true => ("variances of at least 0", |value| value.is_finite() && *value >= 0.0),
        false => ("finite numbers", |value| value.is_finite()),
    };
    match values.iter().position(|value| !holds(value)) {
        Some(index) => Err(archive
            .mismatch(name, expected, format!("element {index}, {}", values[index]))
            .into()),
        None => Ok(Tensor::from_vec(values, shape, &Device::Cpu)?),
    }
}
