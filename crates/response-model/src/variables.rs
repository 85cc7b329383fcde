//! Named parameters and buffers of a model, and copies of their state.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor, Var};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

/// Whether the optimiser moves an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Trained by the optimiser.
    Trained,
    /// Kept by the model itself: running statistics.
    Buffer,
}

/// All state of a model by name, in the names' order, so that files and sums over parameters have one order.
#[derive(Debug)]
pub(crate) struct Parameters {
    entries: BTreeMap<String, (Role, Var)>,
    device: Device,
}

/// A copy of the values of [`Parameters`].
pub(crate) type State = BTreeMap<String, Tensor>;

impl Parameters {
    /// None yet, to be kept on this device.
    pub(crate) fn on(device: &Device) -> Self {
        Self { entries: BTreeMap::new(), device: device.clone() }
    }

    /// Where they are.
    pub(crate) fn device(&self) -> &Device {
        &self.device
    }

    /// A state from elsewhere, on this device.
    pub(crate) fn brought(&self, state: State) -> candle_core::Result<State> {
        state.into_iter().map(|(name, tensor)| Ok((name, tensor.to_device(&self.device)?))).collect()
    }

    /// Registers `values` of `shape` under `name`.
    pub(crate) fn add(&mut self, name: &str, role: Role, values: Vec<f32>, shape: &[usize]) -> candle_core::Result<Var> {
        let var = Var::from_vec(values, shape, &self.device)?;
        let earlier = self.entries.insert(name.to_owned(), (role, var.clone()));
        assert!(earlier.is_none(), "parameter `{name}` registered twice");
        Ok(var)
    }

    /// Registers normal values of standard deviation `std`.
    pub(crate) fn normal(&mut self, name: &str, shape: &[usize], std: f32, rng: &mut ChaCha8Rng) -> candle_core::Result<Var> {
        let count = shape.iter().product();
        let values = (0..count).map(|_| std * rng.sample::<f32, _>(StandardNormal)).collect();
        self.add(name, Role::Trained, values, shape)
    }

    /// What the optimiser moves.
    pub(crate) fn trained(&self) -> Vec<(String, Var)> {
        let trained = self.entries.iter().filter(|(_, (role, _))| *role == Role::Trained);
        trained.map(|(name, (_, var))| (name.clone(), var.clone())).collect()
    }

    /// Everything by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Var)> {
        self.entries.iter().map(|(name, (_, var))| (name.as_str(), var))
    }

    /// A copy of everything.
    pub(crate) fn state(&self) -> candle_core::Result<State> {
        self.entries.iter().map(|(name, (_, var))| Ok((name.clone(), var.as_tensor().copy()?.detach()))).collect()
    }

    /// Sets everything to a state of the same names and shapes.
    pub(crate) fn restore(&self, state: &State) -> candle_core::Result<()> {
        assert_eq!(self.entries.len(), state.len(), "a state of another model");
        self.entries.iter().try_for_each(|(name, (_, var))| var.set(&state[name].to_device(&self.device)?))
    }
}
