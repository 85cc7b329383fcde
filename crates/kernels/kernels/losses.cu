// Losses at the end of a forward pass. They are small: all arithmetic is in double precision, and
// one block sums.
#include "common.cuh"

// Similarities are clamped to this distance from -1 and 1, as in `src/losses/mod.rs`.
const double CLAMP = 1e-5;

__device__ __forceinline__ double arctanh(double value) {
    double low = CLAMP - 1, high = 1 - CLAMP;
    return atanh(value < low ? low : value > high ? high : value);
}

// One block.
extern "C" __global__ void arctanh_loss(const float *similarity, const float *target, unsigned pairs, double scale,
                                        float *loss) {
    double sum[1] = {0};
    for (unsigned pair = threadIdx.x; pair < pairs; pair += THREADS) {
        double apart = arctanh(similarity[pair]) - arctanh(target[pair]);
        sum[0] += apart * apart;
    }
    sum_over_block(sum);
    if (threadIdx.x == 0) loss[0] = (float)(scale * sum[0] / pairs);
}

extern "C" __global__ void arctanh_gradient(const float *similarity, const float *target, const float *gradient,
                                            unsigned pairs, double scale, float *into) {
    unsigned pair = element();
    if (pair >= pairs) return;
    double s = similarity[pair], factor = (double)gradient[0] * scale * 2 / pairs;
    bool inside = fabs(s) < 1 - CLAMP;
    into[pair] = inside ? (float)(factor * (arctanh(s) - arctanh(target[pair])) / (1 - s * s)) : 0;
}

// log-sum-exp of a row, by one warp.
__device__ double log_sum_exp(const float *row, unsigned classes, unsigned lane) {
    double largest = -INFINITY;
    for (unsigned at = lane; at < classes; at += 32) largest = fmax(largest, (double)row[at]);
    for (int apart = 16; apart > 0; apart /= 2) largest = fmax(largest, __shfl_xor_sync(0xffffffffu, largest, apart));
    double sum = 0;
    for (unsigned at = lane; at < classes; at += 32) sum += exp((double)row[at] - largest);
    return largest + log(sum_over_warp(sum));
}

// One warp per row: its loss, or NaN if the label is not a class.
extern "C" __global__ void entropies(const float *logits, const unsigned *labels, unsigned rows, unsigned classes,
                                     double *entropy) {
    unsigned row = element() / 32, lane = threadIdx.x % 32;
    if (row >= rows) return;
    double norm = log_sum_exp(logits + row * classes, classes, lane);
    unsigned label = labels[row];
    if (lane == 0) entropy[row] = label < classes ? norm - (double)logits[row * classes + label] : NAN;
}

// One block.
extern "C" __global__ void mean_entropy(const double *entropy, unsigned rows, float *loss) {
    double sum[1] = {0};
    for (unsigned row = threadIdx.x; row < rows; row += THREADS) sum[0] += entropy[row];
    sum_over_block(sum);
    if (threadIdx.x == 0) loss[0] = (float)(sum[0] / rows);
}

// One warp per row.
extern "C" __global__ void entropy_gradient(const float *logits, const unsigned *labels, const float *gradient, unsigned rows,
                                            unsigned classes, float *into) {
    unsigned row = element() / 32, lane = threadIdx.x % 32;
    if (row >= rows) return;
    double norm = log_sum_exp(logits + row * classes, classes, lane), factor = (double)gradient[0] / rows;
    for (unsigned at = lane; at < classes; at += 32) {
        double probability = exp((double)logits[row * classes + at] - norm);
        into[row * classes + at] = (float)(factor * (probability - (at == labels[row] ? 1 : 0)));
    }
}
