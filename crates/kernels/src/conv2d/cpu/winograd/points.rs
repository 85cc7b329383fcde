//! The six evaluation points, and the resulting transforms along one axis.
//!
//! With points 0, +-a, +-b and infinity, y = A^T ((G g) * (B^T d)) is the correlation of six inputs
//! d with three taps g. Rows of A and G are powers of a point; those of B^T are the coefficients of
//! the polynomial that vanishes at all other points (rows of G include its inverse value at the
//! point). A point and its negative share odd and even powers.

use crate::simd::Vector;

const A: f32 = 0.625;
const B: f32 = 1.375;
const A2: f32 = A * A;
const B2: f32 = B * B;
const A3: f32 = A2 * A;
const B3: f32 = B2 * B;

/// 1 / the value at 0, at +-a and at +-b of the polynomial that vanishes at all other finite
/// points.
const AT_0: f32 = 1.0 / (A2 * B2);
const AT_A: f32 = 1.0 / (2.0 * A2 * (A2 - B2));
const AT_B: f32 = 1.0 / (2.0 * B2 * (B2 - A2));

/// B^T d, for the inputs of a patch.
///
/// # Safety
///
/// The processor must have the instructions of the vector; this holds for all functions here.
#[inline(always)]
pub(super) unsafe fn patch<V: Vector>(d: [V; 6]) -> [V; 6] {
    // SAFETY: the caller guarantees the instructions.
    unsafe {
        let even_a = d[2].mul_add(V::splat(-B2), d[4]);
        let odd_a = d[1].mul_add(V::splat(-B2), d[3]);
        let even_b = d[2].mul_add(V::splat(-A2), d[4]);
        let odd_b = d[1].mul_add(V::splat(-A2), d[3]);
        [
            d[0].mul_add(V::splat(A2 * B2), d[2].mul_add(V::splat(-(A2 + B2)), d[4])),
            odd_a.mul_add(V::splat(A), even_a),
            odd_a.mul_add(V::splat(-A), even_a),
            odd_b.mul_add(V::splat(B), even_b),
            odd_b.mul_add(V::splat(-B), even_b),
            d[1].mul_add(V::splat(A2 * B2), d[3].mul_add(V::splat(-(A2 + B2)), d[5])),
        ]
    }
}

/// G g, for the taps of a kernel.
///
/// # Safety
///
/// See [`patch`].
#[inline(always)]
pub(super) unsafe fn kernel<V: Vector>(g: [V; 3]) -> [V; 6] {
    // SAFETY: the caller guarantees the instructions.
    unsafe {
        let even_a = g[2].mul_add(V::splat(A2 * AT_A), g[0].mul(V::splat(AT_A)));
        let even_b = g[2].mul_add(V::splat(B2 * AT_B), g[0].mul(V::splat(AT_B)));
        [
            g[0].mul(V::splat(AT_0)),
            g[1].mul_add(V::splat(A * AT_A), even_a),
            g[1].mul_add(V::splat(-A * AT_A), even_a),
            g[1].mul_add(V::splat(B * AT_B), even_b),
            g[1].mul_add(V::splat(-B * AT_B), even_b),
            g[2],
        ]
    }
}

/// A^T m, the outputs of a tile from products.
///
/// # Safety
///
/// See [`patch`].
#[inline(always)]
pub(super) unsafe fn tile<V: Vector>(m: [V; 6]) -> [V; 4] {
    // SAFETY: the caller guarantees the instructions.
    unsafe {
        let (even_a, odd_a) = (m[1].add(m[2]), m[1].sub(m[2]));
        let (even_b, odd_b) = (m[3].add(m[4]), m[3].sub(m[4]));
        [
            m[0].add(even_a.add(even_b)),
            odd_b.mul_add(V::splat(B), odd_a.mul(V::splat(A))),
            even_b.mul_add(V::splat(B2), even_a.mul(V::splat(A2))),
            odd_b.mul_add(V::splat(B3), odd_a.mul_add(V::splat(A3), m[5])),
        ]
    }
}

/// A y, for the output gradients of a tile: the transpose of [`tile`].
///
/// # Safety
///
/// See [`patch`].
#[inline(always)]
pub(super) unsafe fn tile_gradient<V: Vector>(y: [V; 4]) -> [V; 6] {
    // SAFETY: the caller guarantees the instructions.
    unsafe {
        let (even_a, odd_a) =
            (y[2].mul_add(V::splat(A2), y[0]), y[3].mul_add(V::splat(A3), y[1].mul(V::splat(A))));
        let (even_b, odd_b) =
            (y[2].mul_add(V::splat(B2), y[0]), y[3].mul_add(V::splat(B3), y[1].mul(V::splat(B))));
        [y[0], even_a.add(odd_a), even_a.sub(odd_a), even_b.add(odd_b), even_b.sub(odd_b), y[3]]
    }
}

/// G^T m, the tap gradients of a kernel from products: the transpose of [`kernel`].
///
/// # Safety
///
/// See [`patch`].
#[inline(always)]
pub(super) unsafe fn kernel_gradient<V: Vector>(m: [V; 6]) -> [V; 3] {
    // SAFETY: the caller guarantees the instructions.
    unsafe {
        let (even_a, odd_a) = (m[1].add(m[2]), m[1].sub(m[2]));
        let (even_b, odd_b) = (m[3].add(m[4]), m[3].sub(m[4]));
        [
            even_b
                .mul_add(V::splat(AT_B), even_a.mul_add(V::splat(AT_A), m[0].mul(V::splat(AT_0)))),
            odd_b.mul_add(V::splat(B * AT_B), odd_a.mul(V::splat(A * AT_A))),
            even_b.mul_add(V::splat(B2 * AT_B), even_a.mul_add(V::splat(A2 * AT_A), m[5])),
        ]
    }
}
