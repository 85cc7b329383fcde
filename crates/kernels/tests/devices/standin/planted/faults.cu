// Kernels with a fault each, which the stand-in must find, and sound ones, which it must let pass. Blocks of 64 threads read and
// write 64 values.
#include <cuda_bf16.h>

const unsigned COUNT = 64;

extern "C" __global__ void sound(const float *from, float *to) {
    __shared__ float values[COUNT];
    values[threadIdx.x] = from[threadIdx.x];
    __syncthreads();
    float sum = values[(threadIdx.x + 1) % COUNT];
    for (int apart = 16; apart > 0; apart /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, apart);
    to[threadIdx.x] = sum + __popc(__ballot_sync(0xffffffffu, threadIdx.x % 2));
}

// Whole warps may end where others exchange values.
extern "C" __global__ void sound_without_a_warp(const float *from, float *to) {
    if (threadIdx.x >= 32) return;
    float sum = from[threadIdx.x];
    for (int apart = 16; apart > 0; apart /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, apart);
    to[threadIdx.x] = sum;
}

// The barrier is missing between writing and reading.
extern "C" __global__ void race_in_shared_memory(const float *from, float *to) {
    __shared__ float values[COUNT];
    for (unsigned i = threadIdx.x; i < COUNT; i += COUNT) values[i] = 0;
    __syncthreads();
    values[threadIdx.x] = from[threadIdx.x];
    to[threadIdx.x] = values[(threadIdx.x + 1) % COUNT];
}

extern "C" __global__ void race_between_blocks(const float *from, float *to) { to[threadIdx.x] = from[threadIdx.x] + blockIdx.x; }

extern "C" __global__ void write_beyond(const float *from, float *to) { to[threadIdx.x + 1] = from[threadIdx.x]; }

extern "C" __global__ void read_before(const float *from, float *to) { to[threadIdx.x] = from[(long)threadIdx.x - 4096]; }

extern "C" __global__ void shared_memory_left(const float *from, float *to) {
    __shared__ float values[COUNT];
    values[threadIdx.x + 1] = from[threadIdx.x];
    __syncthreads();
    to[threadIdx.x] = values[threadIdx.x];
}

struct alignas(16) Pack {
    float at[4];
};

extern "C" __global__ void pack_not_aligned(const float *from, float *to) {
    unsigned first = threadIdx.x < COUNT - 4 ? threadIdx.x : 0;
    to[threadIdx.x] = reinterpret_cast<const Pack *>(from + first)->at[0];
}

extern "C" __global__ void barrier_for_half(const float *from, float *to) {
    to[threadIdx.x] = from[threadIdx.x];
    if (threadIdx.x < COUNT / 2) __syncthreads();
}

extern "C" __global__ void two_barriers(const float *from, float *to) {
    if (threadIdx.x < COUNT / 2) {
        __syncthreads();
    } else {
        __syncthreads();
    }
    to[threadIdx.x] = from[threadIdx.x];
}

extern "C" __global__ void exchange_without_a_lane(const float *from, float *to) {
    if (threadIdx.x == 5) return;
    to[threadIdx.x] = __shfl_xor_sync(0xffffffffu, from[threadIdx.x], 1);
}

// Shared memory holds nothing until something is written there.
extern "C" __global__ void shared_memory_unset(const float *from, float *to) {
    __shared__ float values[COUNT];
    if (threadIdx.x % 2) values[threadIdx.x] = from[threadIdx.x];
    __syncthreads();
    to[threadIdx.x] = values[threadIdx.x];
}
