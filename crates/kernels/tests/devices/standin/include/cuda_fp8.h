// Declares the name for candle's sources. Nothing here computes in 8 bits; a kernel that did would fail.
#pragma once
#include "cuda_fp16.h"
#include <cstdlib>

#define __NV_E4M3 0
struct __nv_fp8_e4m3 {
    unsigned char __x;

    __nv_fp8_e4m3() = default;
    explicit __nv_fp8_e4m3(float) { std::abort(); }
    explicit operator float() const { std::abort(); }
};
inline __half __nv_cvt_fp8_to_halfraw(unsigned char, int) { std::abort(); }
