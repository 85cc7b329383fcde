//! Precision and reproducibility of operations on CUDA devices, for the whole process.

use std::sync::atomic::{AtomicBool, Ordering};

static TF32: AtomicBool = AtomicBool::new(false);
static DETERMINISTIC: AtomicBool = AtomicBool::new(true);

/// Sets whether convolutions and matrix products of f32 may round their factors to TF32 (10 bits of
/// mantissa), which tensor cores multiply several times faster. Off by default; applies to the
/// whole process.
pub fn set_tf32(allowed: bool) {
    TF32.store(allowed, Ordering::Relaxed);
    candle_core::cuda::set_gemm_reduced_precision_f32(allowed);
}

/// Whether [`set_tf32`] allows it.
pub fn tf32() -> bool {
    TF32.load(Ordering::Relaxed)
}

/// Sets whether convolutions are limited to algorithms that give the same bits each time. On by
/// default; applies to the whole process.
pub fn set_deterministic(required: bool) {
    DETERMINISTIC.store(required, Ordering::Relaxed);
}

/// Whether [`set_deterministic`] requires it.
pub(crate) fn deterministic() -> bool {
    DETERMINISTIC.load(Ordering::Relaxed)
}
