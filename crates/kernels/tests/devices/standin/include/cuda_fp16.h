// IEEE half precision.
#pragma once
#include "small_floats.h"

typedef SmallFloat<5, 10> __half;
typedef Two<__half> __half2;

inline __half __float2half(float value) { return value; }
inline float __half2float(__half value) { return value; }
inline unsigned short __half_as_ushort(__half value) { return value.bits; }
inline __half __ushort_as_half(unsigned short bits) {
    __half value;
    value.bits = bits;
    return value;
}
