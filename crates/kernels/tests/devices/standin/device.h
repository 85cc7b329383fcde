// What nvcc provides to every kernel source, for a C++ compiler; the build includes it first.
#pragma once
#include <cassert>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

using std::isnan;
using std::signbit;

#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
// A host thread runs one block at a time.
#define __shared__ thread_local
// The build finds kernels by this word.
#ifndef LIST_KERNELS
#define __global__
#endif

struct uint3 {
    unsigned x, y, z;
};
struct float2 {
    float x, y;
};
struct alignas(16) float4 {
    float x, y, z, w;
};
inline float2 make_float2(float x, float y) { return {x, y}; }

// Indices of the running thread.
extern uint3 threadIdx, blockIdx, blockDim, gridDim;

// In `threads.cpp`. Barriers are identified by their source location.
struct Lane {
    alignas(16) unsigned char bytes[16];
};
extern "C" void standin_barrier(const char *file, int line);
extern "C" const Lane *standin_exchange(unsigned mask, const void *mine, size_t size, const char *file, int line);

inline void __syncthreads(const char *file = __builtin_FILE(), int line = __builtin_LINE()) { standin_barrier(file, line); }

template <class T>
T __shfl_xor_sync(unsigned mask, T value, int apart, int = 32, const char *file = __builtin_FILE(), int line = __builtin_LINE()) {
    static_assert(sizeof(T) <= sizeof(Lane), "a value that one exchange can carry");
    unsigned lane = (threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z)) % 32;
    T found;
    std::memcpy(&found, standin_exchange(mask, &value, sizeof value, file, line)[lane ^ apart].bytes, sizeof found);
    return found;
}

inline unsigned __ballot_sync(unsigned mask, int yes, const char *file = __builtin_FILE(), int line = __builtin_LINE()) {
    unsigned char mine = yes != 0;
    const Lane *lanes = standin_exchange(mask, &mine, 1, file, line);
    unsigned votes = 0;
    for (unsigned lane = 0; lane < 32; ++lane) {
        if (mask >> lane & 1 && lanes[lane].bytes[0]) votes |= 1u << lane;
    }
    return votes;
}

inline int __popc(unsigned bits) { return __builtin_popcount(bits); }
inline float rsqrtf(float value) { return 1 / std::sqrt(value); }
inline double normcdf(double value) { return std::erfc(-value * M_SQRT1_2) / 2; }
inline float normcdff(float value) { return (float)normcdf(value); }

template <class A, class B> std::common_type_t<A, B> min(A a, B b) {
    std::common_type_t<A, B> x = a, y = b;
    return y < x ? y : x;
}
template <class A, class B> std::common_type_t<A, B> max(A a, B b) {
    std::common_type_t<A, B> x = a, y = b;
    return x < y ? y : x;
}

template <class To, class From> To bits_as(From value) {
    static_assert(sizeof(To) == sizeof(From), "the same bits");
    To found;
    std::memcpy(&found, &value, sizeof found);
    return found;
}
inline int __float_as_int(float value) { return bits_as<int>(value); }
inline unsigned __float_as_uint(float value) { return bits_as<unsigned>(value); }
inline float __int_as_float(int bits) { return bits_as<float>(bits); }
inline float __uint_as_float(unsigned bits) { return bits_as<float>(bits); }
inline long long __double_as_longlong(double value) { return bits_as<long long>(value); }
inline double __longlong_as_double(long long bits) { return bits_as<double>(bits); }

// Threads switch only at barriers, so plain operations are atomic.
template <class T, class V> T atomicAdd(T *at, V value) {
    T old = *at;
    *at = old + (T)value;
    return old;
}
template <class T, class V> T atomicMin(T *at, V value) {
    T old = *at;
    if ((T)value < old) *at = value;
    return old;
}
template <class T, class V> T atomicMax(T *at, V value) {
    T old = *at;
    if (old < (T)value) *at = value;
    return old;
}
template <class T, class E, class V> T atomicCAS(T *at, E expected, V value) {
    T old = *at;
    if (old == (T)expected) *at = value;
    return old;
}
