use super::*;
use crate::channels::Sums;
use crate::elementary::exp_minus_one;
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

/// Tries every operation of a vector, one after the other.
struct Tried<'a> {
    from: &'a [f32],
    tall: &'a [f32],
    found: &'a std::cell::RefCell<Vec<f32>>,
}

/// # Safety
///
/// The processor has the instructions of `V`; there are 64 floats to read.
#[inline(always)]
unsafe fn tried<V: Vector>(t: &Tried) {
    let mut found = t.found.borrow_mut();
    let from = t.from.as_ptr();
    let mut lanes = [0.0f32; 64];
    // SAFETY: no vector has more than 16 lanes, reads stay below float 48, and writes below lane
    // 64.
    unsafe {
        let (a, b) = (V::load(from), V::load(from.add(16)));
        let vectors = [
            V::splat(3.0),
            a,
            V::load_first(from, 5),
            V::load_every_second(from.add(1)),
            a.add(b),
            a.sub(b),
            a.mul(b),
            a.mul_add(b, V::splat(0.25)),
        ];
        for vector in vectors {
            vector.store(lanes.as_mut_ptr());
            found.extend(&lanes[..V::LANES.min(8)]);
        }
        lanes.fill(7.0);
        a.store_first(lanes.as_mut_ptr(), 3);
        found.extend(&lanes[..8]);
        found.push(V::load_first(from, 6).sum());
        V::transpose(from, 8, lanes.as_mut_ptr(), 8);
        found.extend(lanes);
        let mut columns = [0.0f32; 8 * 17];
        V::transpose_tall(t.tall.as_ptr(), 9, columns.as_mut_ptr(), 17);
        found.extend(columns);
    }
}

compiled_for_each!(tried, Tried);

#[test]
fn every_level_does_what_a_vector_is_said_to_do() {
    // Small integers, which no operation here rounds.
    let from: Vec<f32> = (0..64).map(|i| ((i * 37) % 23) as f32 - 9.0).collect();
    let mut expected = vec![3.0; 8];
    expected.extend(&from[..8]);
    expected.extend((0..8).map(|i| if i < 5 { from[i] } else { 0.0 }));
    expected.extend((0..8).map(|i| from[1 + 2 * i]));
    expected.extend((0..8).map(|i| from[i] + from[16 + i]));
    expected.extend((0..8).map(|i| from[i] - from[16 + i]));
    expected.extend((0..8).map(|i| from[i] * from[16 + i]));
    expected.extend((0..8).map(|i| from[i] * from[16 + i] + 0.25));
    expected.extend((0..8).map(|i| if i < 3 { from[i] } else { 7.0 }));
    expected.push(from[..6].iter().sum());
    expected.extend((0..64).map(|i| from[i % 8 * 8 + i / 8]));
    let tall: Vec<f32> = (0..16 * 9).map(|i| i as f32).collect();
    expected.extend((0..8 * 17).map(|i| if i % 17 < 16 { tall[i % 17 * 9 + i / 17] } else { 0.0 }));
    for isa in Isa::available() {
        let found = std::cell::RefCell::new(Vec::new());
        let kernel: unsafe fn(&Tried) = instance!(isa, tried);
        // SAFETY: the level was detected, `from` has 64 floats, and `tall` 16 rows of 9.
        unsafe { kernel(&Tried { from: &from, tall: &tall, found: &found }) };
        assert_eq!(found.into_inner(), expected, "{isa:?}");
    }
}

/// Loops of [`vectorized!`] take no level, and operations use that of the process, so each level
/// runs in its own process.
#[test]
fn all_tests_of_operations_pass_at_every_level() {
    let program = std::env::current_exe().unwrap();
    for isa in Isa::available().filter(|isa| *isa != Isa::active()) {
        let run = std::process::Command::new(&program)
            .args(["--skip", "at_every_level"])
            .env("BRAINPRIOR_SIMD", isa.name())
            .output()
            .unwrap();
        assert!(run.status.success(), "{isa:?}:\n{}", String::from_utf8_lossy(&run.stdout));
    }
}

#[test]
fn operations_refuse_a_level_that_the_processor_does_not_have() {
    const CHILD: &str = "simd::tests::operations_refuse_a_level_that_the_processor_does_not_have";
    let x =
        candle_core::Tensor::ones((1, 1, 4, 4), candle_core::DType::F32, &candle_core::Device::Cpu)
            .unwrap();
    let pooled = crate::area_pool(&x, 2);
    if std::env::var("BRAINPRIOR_SIMD").is_ok_and(|setting| setting == "unheard-of") {
        let error = pooled.unwrap_err().to_string();
        assert!(
            error.contains("BRAINPRIOR_SIMD is \"unheard-of\"") && error.contains("portable"),
            "{error}"
        );
        return;
    }
    pooled.unwrap();
    let run = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", CHILD])
        .env("BRAINPRIOR_SIMD", "unheard-of")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && said.contains("1 passed"), "{said}");
}
