//! Elementary functions that compilers can vectorize.

/// exp(x) - 1 for x <= 0, with an error of 1.5 units in the last place, without a branch; NaN for
/// NaN.
///
/// x = n ln 2 + r with |r| <= ln 2 / 2, a polynomial for exp(r) - 1, and 2^n (exp(r) - 1) + (2^n -
/// 1), which keeps the relative accuracy near zero, where n = 0 (the split is that of Cephes'
/// `expf`).
#[inline(always)]
pub(crate) fn exp_minus_one(x: f32) -> f32 {
    const LOG2_E: f32 = std::f32::consts::LOG2_E;
    /// ln 2 in two parts; the first one times a small integer is exact.
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    /// Adding this rounds to an integer, which is then in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    // For smaller x, the result is -1 to the last bit.
    let x = if x < -30.0 { -30.0 } else { x };
    let shifted = x * LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = x - n * LN_2[0] - n * LN_2[1];
    let mut polynomial = 1.0 / 5040.0;
    for coefficient in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5] {
        polynomial = polynomial * r + coefficient;
    }
    let fraction = polynomial * (r * r) + r;
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(1.0f32.to_bits()));
    power * fraction + (power - 1.0)
}

#[cfg(test)]
mod tests {
    use super::exp_minus_one;

    #[test]
    fn exp_minus_one_is_accurate_over_its_range() {
        // Every 257th float from -0 to -infinity.
        for bits in (0x8000_0000u32..=0xff80_0000).step_by(257) {
            let x = f32::from_bits(bits);
            let expected = f64::from(x).exp_m1();
            let found = f64::from(exp_minus_one(x));
            let unit = f64::from(f32::EPSILON) * expected.abs().max(f64::from(f32::MIN_POSITIVE));
            assert!((found - expected).abs() <= 1.5 * unit, "{x}: {found} against {expected}");
        }
        assert_eq!(exp_minus_one(0.0), 0.0);
        assert_eq!(exp_minus_one(f32::NEG_INFINITY), -1.0);
        assert!(exp_minus_one(f32::NAN).is_nan());
    }
}
