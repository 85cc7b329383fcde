//! Gradients on their way from the readers of a value to the operation that made it.

use std::sync::{Mutex, PoisonError};

use candle_core::{Result, Tensor};

use super::backward::sum;
use crate::batch_norm::{Activation, before_activation};

/// The gradients of a value, one per operation that read it, until the operation that made it takes
/// them.
#[derive(Debug, Default)]
pub(super) struct Gradients {
    pending: Mutex<Vec<Pending>>,
    /// The value is the result of a ReLU whose operation also accepts gradients before it.
    rectified: bool,
}

#[derive(Debug)]
struct Pending {
    gradient: Tensor,
    before_activation: bool,
}

impl Gradients {
    /// Of a value whose operation calls [`Gradients::take_before`].
    pub(super) fn after(activation: Activation) -> Self {
        Self { rectified: activation == Activation::Relu, ..Self::default() }
    }

    pub(super) fn push(&self, gradient: Tensor) {
        self.change(|pending| pending.push(Pending { gradient, before_activation: false }));
    }

    /// Pushes the gradient that `of` computes from the gradient to be added to it, if there is one,
    /// and from the value if it is the result of a ReLU, in which case it is the gradient before
    /// that.
    pub(super) fn merge(
        &self,
        value: &Tensor,
        of: impl FnOnce(Option<&Tensor>, Option<&Tensor>) -> Result<Tensor>,
    ) -> Result<()> {
        let other = if self.rectified { self.change(Vec::pop) } else { None };
        let gradient =
            of(other.as_ref().map(|other| &other.gradient), self.rectified.then_some(value))?;
        self.change(|pending| {
            pending.push(Pending { gradient, before_activation: self.rectified })
        });
        Ok(())
    }

    /// At least one gradient, in the order in which candle's backward pass visited the readers.
    pub(super) fn take(&self) -> Result<Vec<Tensor>> {
        Ok(self.take_pending()?.into_iter().map(|pending| pending.gradient).collect())
    }

    pub(super) fn take_sum(&self) -> Result<Tensor> {
        sum(&self.take()?)
    }

    /// The gradient before the activation that led to the value.
    pub(super) fn take_before(&self, value: &Tensor, activation: Activation) -> Result<Tensor> {
        let pending = self.take_pending()?;
        match &pending[..] {
            [only] if only.before_activation || activation == Activation::Identity => {
                only.gradient.contiguous()
            }
            // What a ReLU has let through, it lets through again.
            _ => {
                let gradients: Vec<Tensor> =
                    pending.into_iter().map(|pending| pending.gradient).collect();
                before_activation(value, &gradients, activation)
            }
        }
    }

    fn take_pending(&self) -> Result<Vec<Pending>> {
        let taken = self.change(std::mem::take);
        if taken.is_empty() {
            candle_core::bail!(
                "nothing in the graph reads this feature map, so it has no gradient"
            );
        }
        Ok(taken)
    }

    fn change<R>(&self, change: impl FnOnce(&mut Vec<Pending>) -> R) -> R {
        change(&mut self.pending.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
