//! Activations and their derivatives, inlined into every loop that needs them.

/// Calls a function with the activation as a function of a value.
macro_rules! with_activation {
    ($activation:expr, |$active:ident| $call:expr) => {
        match $activation {
            Activation::Identity => {
                let $active = |z: f32| z;
                $call
            }
            Activation::Relu => {
                // Not `max`, which would turn NaN into 0.
                let $active = |z: f32| if z < 0.0 { 0.0 } else { z };
                $call
            }
            Activation::Elu => {
                let $active = |z: f32| {
                    let below = exp_minus_one(if z > 0.0 { 0.0 } else { z });
                    if z > 0.0 { z } else { below }
                };
                $call
            }
        }
    };
}

/// Calls a function with the backward function of the activation, from (its value, its gradient) to
/// the gradient before it.
macro_rules! with_slope {
    ($activation:expr, |$before:ident| $call:expr) => {
        match $activation {
            Activation::Identity => {
                let $before = |_: f32, gradient: f32| gradient;
                $call
            }
            Activation::Relu => {
                let $before = |y: f32, gradient: f32| if y > 0.0 { gradient } else { 0.0 };
                $call
            }
            Activation::Elu => {
                let $before =
                    |y: f32, gradient: f32| if y > 0.0 { gradient } else { gradient * (y + 1.0) };
                $call
            }
        }
    };
}

pub(super) use {with_activation, with_slope};
