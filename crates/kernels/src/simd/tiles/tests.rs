use super::model::fused;
use super::*;
use crate::simd::widen;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Numbers of all magnitudes and both signs, some zero, some subnormal; neither infinite nor NaN.
fn any_numbers(count: usize, seed: u64) -> Vec<u16> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..count)
        .map(|_| {
            loop {
                let bits: u16 = rng.random();
                // Half of them are near 2^-63, so that their products are near the smallest normal
                // number.
                let bits =
                    if rng.random() { bits & 0x807f | (60 + (bits >> 7 & 7)) << 7 } else { bits };
                if widen(bits).is_finite() {
                    break bits;
                }
            }
        })
        .collect()
}

/// Numbers with magnitudes around 1.
fn usual_numbers(count: usize, seed: u64) -> Vec<u16> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..count)
        .map(|_| rng.random::<u16>() & 0x807f | (125 + rng.random::<u16>() % 4) << 7)
        .collect()
}

/// The sums of two by two tiles over a few steps, and the initial content of the tiles.
fn sums<T: Tiles>(left: &[u16], right: &[u16], resume: bool) -> Vec<f32> {
    let mut c: Vec<f32> = (0..32 * 40).map(|i| (i % 17) as f32 - 8.0).collect();
    let steps = [[0, 0], [7, NUMBERS], [32, 0]];
    let sums = TileSums {
        left,
        left_row: 37,
        left_tiles: &[0, 600],
        right,
        right_row: DEPTH,
        right_tiles: &[0, NUMBERS],
        steps: &steps,
    };
    // SAFETY: the caller has the instructions of `T`.
    unsafe { with_tiles::<T, _>(|tiles| sums.sum(tiles, &mut c, 40, resume)) };
    c
}

#[test]
fn the_model_sums_products_of_rows_and_columns() {
    let (left, right) = (usual_numbers(1300, 1), usual_numbers(3 * NUMBERS, 2));
    for resume in [false, true] {
        let found = sums::<Model>(&left, &right, resume);
        for row in 0..32 {
            for column in 0..40 {
                let before = ((row * 40 + column) % 17) as f32 - 8.0;
                let found = found[row * 40 + column];
                if column >= 32 {
                    assert_eq!(found, before, "what lies between rows is left as it is");
                    continue;
                }
                let (mut expected, mut magnitude) =
                    (if resume { f64::from(before) } else { 0.0 }, 8.0);
                for [a, b] in [[0, 0], [7, NUMBERS], [32, 0]] {
                    for k in 0..DEPTH {
                        let a = widen(left[row / 16 * 600 + row % 16 * 37 + a + k]);
                        let b = widen(
                            right[column / 16 * NUMBERS
                                + b
                                + k / 2 * DEPTH
                                + column % 16 * 2
                                + k % 2],
                        );
                        expected += f64::from(a) * f64::from(b);
                        magnitude += f64::from(a * b).abs();
                    }
                }
                let bound = 60.0 * 2f64.powi(-24) * magnitude;
                assert!(
                    (f64::from(found) - expected).abs() <= bound,
                    "({row}, {column}): {found} instead of {expected}"
                );
            }
        }
    }
}

/// Row 0 times column 0 of tiles that are otherwise zero, added to `start`.
fn one_sum(pairs: &[[f32; 4]], start: f32) -> f32 {
    let narrow = |value: f32| (value.to_bits() >> 16) as u16;
    let (mut left, mut right) = (vec![0; NUMBERS], vec![0; NUMBERS]);
    for (k, [a0, b0, a1, b1]) in pairs.iter().enumerate() {
        left[2 * k..2 * k + 2].copy_from_slice(&[narrow(*a0), narrow(*a1)]);
        right[k * DEPTH..k * DEPTH + 2].copy_from_slice(&[narrow(*b0), narrow(*b1)]);
    }
    let mut c = vec![start; 256];
    let sums = TileSums {
        left: &left,
        left_row: DEPTH,
        left_tiles: &[0],
        right: &right,
        right_row: DEPTH,
        right_tiles: &[0],
        steps: &[[0, 0]],
    };
    // SAFETY: the model has no instructions of its own.
    unsafe { with_tiles::<Model, _>(|tiles| sums.sum(tiles, &mut c, 16, true)) };
    c[0]
}

#[test]
fn the_model_adds_first_numbers_and_second_numbers_apart_and_both_to_the_tile_last() {
    let big = 2f32.powi(24);
    // Summed one after the other, 1 would be lost next to 2^24; separately, both ones are added
    // first.
    assert_eq!(one_sum(&[[big, 1.0, 1.0, 1.0], [-big, 1.0, 1.0, 1.0]], 0.0), 2.0);
    // In one chain the order matters: 1 is lost before 2^24 is subtracted.
    assert_eq!(
        one_sum(&[[big, 1.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0], [-big, 1.0, 0.0, 0.0]], 0.0),
        0.0
    );
    // The tile is added last: 1 + 1 is not lost next to 2^24, where each 1 alone would be.
    assert_eq!(one_sum(&[[1.0, 1.0, 1.0, 1.0]], big), big + 2.0);
    // Ties round to even.
    assert_eq!(one_sum(&[[1.0, 1.0, 0.0, 0.0]], big), big);
}

#[test]
fn the_model_takes_subnormal_numbers_and_results_for_zero() {
    let least = f32::MIN_POSITIVE;
    assert_eq!(one_sum(&[[least / 2.0, 4.0, 0.0, 0.0]], 0.0), 0.0, "a factor");
    assert_eq!(one_sum(&[[least, 0.5, 0.0, 0.0]], 0.0), 0.0, "a product");
    assert_eq!(one_sum(&[], least / 2.0), 0.0, "a sum of the tile");
    assert_eq!(
        one_sum(&[[least, 1.5, 0.0, 0.0], [-least, 1.0, 0.0, 0.0]], 0.0),
        0.0,
        "a difference"
    );
    assert_eq!(one_sum(&[[least, 1.0, 0.0, 0.0]], 0.0), least);
}

/// The same step with the AVX-512 instruction, which has the same definition.
#[test]
#[cfg(target_arch = "x86_64")]
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn a_step_of_the_model_is_that_of_vdpbf16ps_bit_by_bit() {
    use crate::simd::{Avx512, Bf16, Isa, Native, Vector};
    if !Isa::available().any(|isa| isa.lanes() == 16 && isa.name().contains("bf16")) {
        eprintln!("skipped: this processor has no vdpbf16ps");
        return;
    }
    /// # Safety
    ///
    /// The processor has the instructions.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
    unsafe fn steps(a: &[u16], b: &[u16], sums: &[f32], to: &mut [f32]) {
        for (((a, b), sums), to) in a
            .chunks_exact(32)
            .zip(b.chunks_exact(32))
            .zip(sums.chunks_exact(16))
            .zip(to.chunks_exact_mut(16))
        {
            // SAFETY: the chunks are as long as vectors.
            unsafe {
                let (a, b) = (Native::load_pairs(a.as_ptr()), Native::load_pairs(b.as_ptr()));
                Native::add_dot(Avx512::load(sums.as_ptr()), a, b).store(to.as_mut_ptr());
            }
        }
    }
    const COUNT: usize = 1 << 16;
    let (a, b) = (any_numbers(2 * COUNT, 3), any_numbers(2 * COUNT, 4));
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    // Sums that a product nearly cancels, and others.
    let sums: Vec<f32> = (0..COUNT)
        .map(|i| match i % 4 {
            0 => 0.0,
            1 => {
                f32::from_bits(rng.random::<u32>() & 0x80ff_ffff | (rng.random::<u32>() % 3) << 23)
            }
            2 => -(widen(a[2 * i]) * widen(b[2 * i])),
            _ => f32::from_bits(
                (-(widen(a[2 * i]) * widen(b[2 * i]))).to_bits() ^ rng.random::<u32>() & 0xf,
            ),
        })
        .collect();
    let mut found = vec![0.0; COUNT];
    // SAFETY: the level was detected.
    unsafe { steps(&a, &b, &sums, &mut found) };
    let mut small = 0;
    for i in 0..COUNT {
        let pair = |which: usize| (widen(a[2 * i + which]), widen(b[2 * i + which]));
        let ((a0, b0), (a1, b1)) = (pair(0), pair(1));
        let expected = fused(a0, b0, fused(a1, b1, sums[i]));
        let same =
            expected.to_bits() == found[i].to_bits() || expected.is_nan() && found[i].is_nan();
        assert!(
            same,
            "{a0:e} {b0:e} + {a1:e} {b1:e} + {:e}: {:e} instead of {expected:e}",
            sums[i], found[i]
        );
        small += usize::from(expected.abs() <= f32::MIN_POSITIVE);
    }
    assert!(small > COUNT / 20, "only {small} results are so small that they could be subnormal");
}

#[test]
#[cfg(target_arch = "x86_64")]
fn the_instructions_give_the_bits_of_the_model() {
    if !has_amx() {
        return;
    }
    for (seed, numbers) in [
        (6, usual_numbers as fn(usize, u64) -> Vec<u16>),
        (7, usual_numbers),
        (8, any_numbers),
        (9, any_numbers),
    ] {
        let (left, right) = (numbers(1300, seed), numbers(3 * NUMBERS, seed + 10));
        for resume in [false, true] {
            let [model, hardware] =
                [sums::<Model>(&left, &right, resume), sums::<Amx>(&left, &right, resume)];
            for (i, (model, hardware)) in model.iter().zip(&hardware).enumerate() {
                let same =
                    model.to_bits() == hardware.to_bits() || model.is_nan() && hardware.is_nan();
                assert!(same, "sum {i}: {hardware:e} instead of {model:e}");
            }
        }
    }
}
