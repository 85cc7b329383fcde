// Optimizers: one thread per value, in place. The formulas are in `src/optimizer`.
#include "common.cuh"

extern "C" __global__ void sgd(const float *gradient, unsigned count, float rate, float momentum, float decay, float *values,
                               float *velocity) {
    unsigned at = element();
    if (at >= count) return;
    float v = momentum * velocity[at] + (gradient[at] + decay * values[at]);
    velocity[at] = v;
    values[at] -= rate * v;
}

// `rest1` and `rest2` are 1 - beta, rounded once.
extern "C" __global__ void adam(const float *gradient, unsigned count, float rate, float scale, float eps, float beta1,
                                float rest1, float beta2, float rest2, float *values, float *first, float *second) {
    unsigned at = element();
    if (at >= count) return;
    float g = gradient[at];
    float m = beta1 * first[at] + rest1 * g, v = beta2 * second[at] + rest2 * g * g;
    first[at] = m, second[at] = v;
    values[at] -= rate * m / (sqrtf(v) * scale + eps);
}
