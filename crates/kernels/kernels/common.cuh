// Shared by the kernels. All sums have an order that depends only on sizes, without floating-point
// atomics, so that a kernel gives the same bits each time.
#pragma once
#include <cuda_bf16.h>

typedef __nv_bfloat16 bf16;

// Threads per block, as in `src/cuda/launch.rs`.
const int THREADS = 256;

__device__ __forceinline__ float wide(float value) { return value; }
__device__ __forceinline__ float wide(bf16 value) { return __bfloat162float(value); }

template <class T> __device__ __forceinline__ T stored(float value);
template <> __device__ __forceinline__ float stored<float>(float value) { return value; }
template <> __device__ __forceinline__ bf16 stored<bf16>(float value) { return __float2bfloat16(value); }

// Neighboring values that are read and written together.
template <class T, int WIDTH> struct alignas(sizeof(T) * WIDTH) Pack {
    T at[WIDTH];
};

template <int WIDTH, class T> __device__ __forceinline__ Pack<T, WIDTH> read(const T *from) {
    return *reinterpret_cast<const Pack<T, WIDTH> *>(from);
}

template <int WIDTH, class T> __device__ __forceinline__ void write(T *to, const Pack<T, WIDTH> &pack) {
    *reinterpret_cast<Pack<T, WIDTH> *>(to) = pack;
}

// The element of this thread in a one-dimensional grid.
__device__ __forceinline__ unsigned element() { return blockIdx.x * THREADS + threadIdx.x; }

// Sums over the threads of a block. Every thread must call this; the first one gets the sums.
template <int SUMS> __device__ void sum_over_block(double (&sums)[SUMS]) {
    __shared__ double lanes[SUMS][THREADS];
    for (int sum = 0; sum < SUMS; ++sum) lanes[sum][threadIdx.x] = sums[sum];
    for (int width = THREADS / 2; width > 0; width /= 2) {
        __syncthreads();
        if (threadIdx.x < width) {
            for (int sum = 0; sum < SUMS; ++sum) lanes[sum][threadIdx.x] += lanes[sum][threadIdx.x + width];
        }
    }
    for (int sum = 0; sum < SUMS; ++sum) sums[sum] = lanes[sum][threadIdx.x];
    __syncthreads();
}

// Sums over the lanes of a warp; every lane gets the result.
template <class T> __device__ __forceinline__ T sum_over_warp(T value) {
    for (int apart = 16; apart > 0; apart /= 2) value += __shfl_xor_sync(0xffffffffu, value, apart);
    return value;
}

// Accumulates `SUMS` sums: short runs in single precision, and these in double precision.
template <int SUMS> struct Sums {
    float run[SUMS];
    double total[SUMS];
    int held;

    __device__ Sums() : held(0) {
        for (int sum = 0; sum < SUMS; ++sum) run[sum] = 0, total[sum] = 0;
    }

    // Call after each pack of terms is added to `run`.
    __device__ __forceinline__ void next() {
        if (++held == 8) flush();
    }

    __device__ __forceinline__ void flush() {
        for (int sum = 0; sum < SUMS; ++sum) total[sum] += run[sum], run[sum] = 0;
        held = 0;
    }
};

// Instantiates a kernel for both types and both access widths; ARGUMENTS name the parameters.
#define FOR_EACH_TYPE(NAME, BODY, PARAMETERS, ARGUMENTS)                                                                         \
    extern "C" __global__ void NAME##_f32 PARAMETERS(float) { BODY<float> ARGUMENTS; }                                           \
    extern "C" __global__ void NAME##_bf16 PARAMETERS(bf16) { BODY<bf16> ARGUMENTS; }

#define FOR_EACH_TYPE_AND_WIDTH(NAME, BODY, PARAMETERS, ARGUMENTS)                                                               \
    extern "C" __global__ void NAME##_f32_1 PARAMETERS(float) { BODY<float, 1> ARGUMENTS; }                                      \
    extern "C" __global__ void NAME##_f32_4 PARAMETERS(float) { BODY<float, 4> ARGUMENTS; }                                      \
    extern "C" __global__ void NAME##_bf16_1 PARAMETERS(bf16) { BODY<bf16, 1> ARGUMENTS; }                                       \
    extern "C" __global__ void NAME##_bf16_4 PARAMETERS(bf16) { BODY<bf16, 4> ARGUMENTS; }
