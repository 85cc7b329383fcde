// bfloat16: the upper half of f32.
#pragma once
#include "small_floats.h"

typedef SmallFloat<8, 7> __nv_bfloat16;
typedef Two<__nv_bfloat16> __nv_bfloat162;

inline __nv_bfloat16 __float2bfloat16(float value) { return value; }
inline __nv_bfloat16 __float2bfloat16_rn(float value) { return value; }
inline float __bfloat162float(__nv_bfloat16 value) { return value; }
