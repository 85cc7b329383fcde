// CUDA's small floating-point types, computed in f32 and rounded to nearest, ties to even.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

// Rounds f32 to a number with `EXPONENT` bits of exponent and `MANTISSA` of mantissa; all exponent and mantissa bits set mean NaN.
template <int EXPONENT, int MANTISSA> inline uint16_t rounded(float value) {
    const int bias = (1 << (EXPONENT - 1)) - 1;
    const uint16_t infinity = ((1u << EXPONENT) - 1) << MANTISSA;
    uint16_t sign = std::signbit(value) ? 1u << (EXPONENT + MANTISSA) : 0;
    if (std::isnan(value)) return sign | infinity | 1u << (MANTISSA - 1);
    double size = std::fabs((double)value);
    if (size == 0) return sign;
    int exponent = std::isinf(value) ? bias + 1 : std::ilogb(size);
    if (exponent < 1 - bias) exponent = 1 - bias;
    // Integer multiples of the unit in the last place; a carry into the exponent gives the right result.
    double units = std::isinf(value) ? 0 : std::nearbyint(std::ldexp(size, MANTISSA - exponent));
    double bits = units + std::ldexp(exponent + bias - 1, MANTISSA);
    return sign | (exponent > bias || bits >= infinity ? infinity : (uint16_t)bits);
}

template <int EXPONENT, int MANTISSA> inline float widened(uint16_t bits) {
    const int bias = (1 << (EXPONENT - 1)) - 1, top = (1 << EXPONENT) - 1;
    int exponent = bits >> MANTISSA & top, mantissa = bits & ((1 << MANTISSA) - 1);
    float size = exponent == top ? (mantissa ? NAN : INFINITY)
                 : exponent      ? std::ldexp((float)(mantissa + (1 << MANTISSA)), exponent - bias - MANTISSA)
                                 : std::ldexp((float)mantissa, 1 - bias - MANTISSA);
    return bits >> (EXPONENT + MANTISSA) & 1 ? -size : size;
}

// The upper half of f32 needs no arithmetic.
template <> inline uint16_t rounded<8, 7>(float value) {
    uint32_t bits;
    std::memcpy(&bits, &value, 4);
    if (std::isnan(value)) return bits >> 16 | 0x40;
    return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}
template <> inline float widened<8, 7>(uint16_t bits) {
    uint32_t wide = (uint32_t)bits << 16;
    float value;
    std::memcpy(&value, &wide, 4);
    return value;
}

template <int EXPONENT, int MANTISSA> struct SmallFloat {
    uint16_t bits;

    SmallFloat() = default;
    template <class N, class = std::enable_if_t<std::is_arithmetic<N>::value>>
    SmallFloat(N value) : bits(rounded<EXPONENT, MANTISSA>((float)value)) {}
    operator float() const { return widened<EXPONENT, MANTISSA>(bits); }

    template <class N> SmallFloat &operator+=(N other) { return *this = (float)*this + (float)other; }
    template <class N> SmallFloat &operator-=(N other) { return *this = (float)*this - (float)other; }
    template <class N> SmallFloat &operator*=(N other) { return *this = (float)*this * (float)other; }
    template <class N> SmallFloat &operator/=(N other) { return *this = (float)*this / (float)other; }
};

#define ARITHMETIC(OPERATOR)                                                                                                     \
    template <int E, int M> SmallFloat<E, M> operator OPERATOR(SmallFloat<E, M> a, SmallFloat<E, M> b) {                         \
        return (float)a OPERATOR(float) b;                                                                                       \
    }
ARITHMETIC(+)
ARITHMETIC(-)
ARITHMETIC(*)
ARITHMETIC(/)
#undef ARITHMETIC

template <int E, int M> SmallFloat<E, M> operator-(SmallFloat<E, M> a) { return -(float)a; }
template <int E, int M> bool __hisnan(SmallFloat<E, M> a) { return std::isnan((float)a); }
template <int E, int M> SmallFloat<E, M> hsqrt(SmallFloat<E, M> a) { return std::sqrt((float)a); }
template <int E, int M> SmallFloat<E, M> hcos(SmallFloat<E, M> a) { return std::cos((float)a); }
template <int E, int M> SmallFloat<E, M> hsin(SmallFloat<E, M> a) { return std::sin((float)a); }
template <int E, int M> SmallFloat<E, M> hlog(SmallFloat<E, M> a) { return std::log((float)a); }
template <int E, int M> SmallFloat<E, M> hexp(SmallFloat<E, M> a) { return std::exp((float)a); }
template <int E, int M> SmallFloat<E, M> __habs(SmallFloat<E, M> a) { return std::fabs((float)a); }
template <int E, int M> SmallFloat<E, M> __hmax_nan(SmallFloat<E, M> a, SmallFloat<E, M> b) {
    return __hisnan(a) || __hisnan(b) ? (float)NAN : std::fmax((float)a, (float)b);
}
template <int E, int M> SmallFloat<E, M> __hmin_nan(SmallFloat<E, M> a, SmallFloat<E, M> b) {
    return __hisnan(a) || __hisnan(b) ? (float)NAN : std::fmin((float)a, (float)b);
}

// Two at once.
template <class T> struct alignas(4) Two {
    T x, y;
};
template <class T> Two<T> __hadd2(Two<T> a, Two<T> b) { return {a.x + b.x, a.y + b.y}; }
template <class T> Two<T> __hsub2(Two<T> a, Two<T> b) { return {a.x - b.x, a.y - b.y}; }
template <class T> Two<T> __hmul2(Two<T> a, Two<T> b) { return {a.x * b.x, a.y * b.y}; }
template <class T> Two<T> __hdiv2(Two<T> a, Two<T> b) { return {a.x / b.x, a.y / b.y}; }
