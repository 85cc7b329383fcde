//! Loops compiled for the vectors that the processor turns out to have.
//!
//! The loops are plain Rust over slices: sums keep a fixed number of lanes whatever the width of a vector, and nothing is
//! contracted to fused multiply-adds, so that every version gives the same bits.

/// Declares a function whose body is compiled for AVX-512, for AVX2 and for the baseline, and chosen at each call. What the
/// body calls must be `#[inline(always)]` to be compiled along with it.
macro_rules! vectorized {
    ($(#[$attribute:meta])* $visibility:vis fn $name:ident($($argument:ident: $type:ty),* $(,)?) $(-> $output:ty)? $body:block) => {
        $(#[$attribute])*
        #[allow(clippy::needless_lifetimes)]
        $visibility fn $name($($argument: $type),*) $(-> $output)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
                fn avx512($($argument: $type),*) $(-> $output)? $body

                #[target_feature(enable = "avx2")]
                fn avx2($($argument: $type),*) $(-> $output)? $body

                if is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                {
                    // SAFETY: the processor has just been asked for every feature that the function is compiled for.
                    return unsafe { avx512($($argument),*) };
                }
                if is_x86_feature_detected!("avx2") {
                    // SAFETY: as above.
                    return unsafe { avx2($($argument),*) };
                }
            }
            fn baseline($($argument: $type),*) $(-> $output)? $body
            baseline($($argument),*)
        }
    };
}
pub(crate) use vectorized;

/// exp(x) - 1 for x <= 0, to 1.5 units in the last place, without a branch; not a number stays not a number.
///
/// x = n ln 2 + r with |r| <= ln 2 / 2, a polynomial for exp(r) - 1, and 2^n (exp(r) - 1) + (2^n - 1), which keeps the
/// relative accuracy near zero, where n = 0 (the split is that of Cephes' `expf`).
#[inline(always)]
pub(crate) fn exp_minus_one(x: f32) -> f32 {
    const LOG2_E: f32 = std::f32::consts::LOG2_E;
    /// ln 2 in two parts, of which the first times a small whole number is exact.
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    /// Adding it rounds to a whole number, which then stands in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    // Below, the result is -1 to the last bit.
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
    use crate::channels::Sums;
    use crate::testing::values;

    #[inline(always)]
    fn work(x: &[f32], y: &mut [f32]) -> [f64; 2] {
        let mut sums = Sums::new();
        sums.add(x, x, x, |a, b, _| [a * b + 0.1, a]);
        y.iter_mut().zip(x).for_each(|(y, x)| *y = exp_minus_one(-9.0 * x.abs()) * x + 0.3);
        sums.totals()
    }

    vectorized! {
        fn wide_work(x: &[f32], y: &mut [f32]) -> [f64; 2] {
            work(x, y)
        }
    }

    #[test]
    fn wider_vectors_give_the_same_bits() {
        for length in [1, 16, 31, 1000] {
            let x = values(length, 1);
            let (mut y, mut z) = (vec![0.0; length], vec![0.0; length]);
            assert_eq!(wide_work(&x, &mut y), work(&x, &mut z));
            assert_eq!(y, z);
        }
    }

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
