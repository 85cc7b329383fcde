//! Variables of a model as candle-nn keeps them, initialized from a seed, and copies of their
//! values.

use std::collections::BTreeMap;

use candle_core::{Result, Tensor, Var};
use candle_nn::{VarBuilder, VarMap};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

/// All variables of a model, sorted by name, so that files and sums over variables have a fixed
/// order.
pub(crate) type Variables = BTreeMap<String, Var>;

/// A copy of the values of [`Variables`].
pub(crate) type State = BTreeMap<String, Tensor>;

/// The variable `name` of `shape`, from `vars` if it exists there, else a new one with initial
/// values `start`.
pub(crate) fn variable(
    vars: &VarBuilder,
    name: &str,
    shape: &[usize],
    start: impl FnOnce() -> Vec<f32>,
) -> Result<Var> {
    let held = vars.contains_tensor(name);
    let var = Var::from_tensor(&vars.get(shape, name)?)?;
    if !held {
        var.set(&Tensor::from_vec(start(), shape, vars.device())?)?;
    }
    Ok(var)
}

/// Like [`variable`], initialized with normal values of standard deviation `std`.
pub(crate) fn normal(
    vars: &VarBuilder,
    name: &str,
    shape: &[usize],
    std: f32,
    rng: &mut ChaCha8Rng,
) -> Result<Var> {
    let count = shape.iter().product();
    variable(vars, name, shape, || {
        (0..count).map(|_| std * rng.sample::<f32, _>(StandardNormal)).collect()
    })
}

/// All variables of `map`.
pub(crate) fn all(map: &VarMap) -> Variables {
    map.data().lock().expect("no holder of the map panics").clone().into_iter().collect()
}

/// A copy of all values.
pub(crate) fn state(variables: &Variables) -> Result<State> {
    variables
        .iter()
        .map(|(name, var)| Ok((name.clone(), var.as_tensor().copy()?.detach())))
        .collect()
}

/// Sets all variables to a state with the same names and shapes, from any device.
pub(crate) fn restore(variables: &Variables, state: &State) -> Result<()> {
    assert_eq!(variables.len(), state.len(), "the state belongs to another model");
    variables.iter().try_for_each(|(name, var)| var.set(&state[name].to_device(var.device())?))
}
