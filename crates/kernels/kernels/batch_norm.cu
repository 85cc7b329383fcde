// Batch normalization of [batch, channels, area] with an optional residual and the activation; the
// formulas are in `src/batch_norm`. The `count` = batch * area values of a channel are numbered
// image by image.
#include "common.cuh"

enum Activation { IDENTITY = 0, RELU = 1, ELU = 2 };

// Not fmaxf, which would turn NaN into 0.
__device__ __forceinline__ float activate(int activation, float z) {
    if (activation == RELU) return z < 0 ? 0 : z;
    if (activation == ELU) return z > 0 ? z : expm1f(z);
    return z;
}

// The gradient before the activation, from the activation's value and its gradient.
__device__ __forceinline__ float before(int activation, float y, float gradient) {
    if (activation == RELU) return y > 0 ? gradient : 0;
    if (activation == ELU) return y > 0 ? gradient : gradient * (y + 1);
    return gradient;
}

// The index of value `index` of a channel.
__device__ __forceinline__ unsigned place(unsigned index, unsigned channel, unsigned channels, unsigned area) {
    unsigned image = index / area;
    return (image * channels + channel) * area + (index - image * area);
}

// Calls `take(where, sums)` for each pack of stretch `blockIdx.y` of channel `blockIdx.x`, then
// writes the sums of the stretch.
template <int WIDTH, class Take>
__device__ void sum_stretch(double *partial, unsigned channels, unsigned area, unsigned count, unsigned stretch, Take take) {
    unsigned begin = blockIdx.y * stretch;
    unsigned end = count - begin < stretch ? count : begin + stretch;
    Sums<2> sums;
    for (unsigned index = begin + threadIdx.x * WIDTH; index < end; index += THREADS * WIDTH) {
        take(place(index, blockIdx.x, channels, area), sums);
        sums.next();
    }
    sums.flush();
    sum_over_block(sums.total);
    if (threadIdx.x == 0) {
        double *target = partial + 2 * (blockIdx.y * channels + blockIdx.x);
        target[0] = sums.total[0], target[1] = sums.total[1];
    }
}

__device__ __forceinline__ void add_stretches(const double *partial, unsigned channels, unsigned stretches, double (&sums)[2]) {
    sums[0] = 0, sums[1] = 0;
    for (unsigned stretch = 0; stretch < stretches; ++stretch) {
        const double *source = partial + 2 * (stretch * channels + element());
        sums[0] += source[0], sums[1] += source[1];
    }
}

// Sums of x - x0 and its square, where x0 is the channel's first value, so that a large mean costs
// no accuracy.
template <class T, int WIDTH>
__device__ void sums(const T *x, unsigned channels, unsigned area, unsigned count, unsigned stretch, double *partial) {
    float first = wide(x[blockIdx.x * area]);
    sum_stretch<WIDTH>(partial, channels, area, count, stretch, [&](unsigned where, Sums<2> &sums) {
        Pack<T, WIDTH> pack = read<WIDTH>(x + where);
        for (int i = 0; i < WIDTH; ++i) {
            float value = wide(pack.at[i]) - first;
            sums.run[0] += value, sums.run[1] += value * value;
        }
    });
}

// Moments of each channel: all means, then all 1 / sqrt(variance + eps), then all variances.
template <class T>
__device__ void moments(const double *partial, const T *x, unsigned channels, unsigned area, unsigned count,
                        unsigned stretches, double eps, float *moments) {
    unsigned channel = element();
    if (channel >= channels) return;
    double sums[2];
    add_stretches(partial, channels, stretches, sums);
    double mean = sums[0] / count, variance = sums[1] / count - mean * mean;
    variance = variance < 0 ? 0 : variance;
    moments[channel] = (float)(wide(x[channel * area]) + mean);
    moments[channels + channel] = (float)(1 / sqrt((double)(float)variance + eps));
    moments[2 * channels + channel] = (float)variance;
}

// The same for a given mean and variance.
extern "C" __global__ void given_moments(const float *mean, const float *variance, unsigned channels, double eps,
                                         float *moments) {
    unsigned channel = element();
    if (channel >= channels) return;
    moments[channel] = mean[channel];
    moments[channels + channel] = (float)(1 / sqrt((double)variance[channel] + eps));
    moments[2 * channels + channel] = variance[channel];
}

// `affine` holds all scales, then all shifts. Without a residual, x is passed in its place but not
// read as one.
template <class T, int WIDTH>
__device__ void normalize(const T *x, const float *affine, const float *moments, const T *residual, int has_residual,
                          int activation, unsigned channels, unsigned area, unsigned packs, T *y) {
    unsigned pack = element();
    if (pack >= packs) return;
    unsigned where = pack * WIDTH, channel = where / area % channels;
    float mean = moments[channel], factor = affine[channel] * moments[channels + channel], shift = affine[channels + channel];
    Pack<T, WIDTH> from = read<WIDTH>(x + where), beside, to;
    if (has_residual) beside = read<WIDTH>(residual + where);
    for (int i = 0; i < WIDTH; ++i) {
        float z = (wide(from.at[i]) - mean) * factor + shift;
        if (has_residual) z += wide(beside.at[i]);
        to.at[i] = stored<T>(activate(activation, z));
    }
    write<WIDTH>(y + where, to);
}

// Sums of the gradients before the activation, and of these times x - mean.
template <class T, int WIDTH>
__device__ void gradient_sums(const T *x, const T *y, const T *gradient, const float *moments, int activation,
                              unsigned channels, unsigned area, unsigned count, unsigned stretch, double *partial) {
    float mean = moments[blockIdx.x];
    sum_stretch<WIDTH>(partial, channels, area, count, stretch, [&](unsigned where, Sums<2> &sums) {
        Pack<T, WIDTH> xs = read<WIDTH>(x + where), ys = read<WIDTH>(y + where), gs = read<WIDTH>(gradient + where);
        for (int i = 0; i < WIDTH; ++i) {
            float g = before(activation, wide(ys.at[i]), wide(gs.at[i]));
            sums.run[0] += g, sums.run[1] += g * (wide(xs.at[i]) - mean);
        }
    });
}

// Gradients of scale and shift, and the terms subtracted from the input's gradient: all offsets,
// then all slopes along x - mean (both are 0 for given statistics).
extern "C" __global__ void affine_gradients(const double *partial, const float *moments, unsigned channels, unsigned count,
                                            unsigned stretches, int training, float *affine_gradient, float *along) {
    unsigned channel = element();
    if (channel >= channels) return;
    double sums[2];
    add_stretches(partial, channels, stretches, sums);
    double deviation = moments[channels + channel], scale = sums[1] * deviation;
    affine_gradient[channel] = (float)scale;
    affine_gradient[channels + channel] = (float)sums[0];
    along[channel] = training ? (float)(sums[0] / count) : 0;
    along[channels + channel] = training ? (float)(scale / count * deviation) : 0;
}

// Gradients of the input (bit 0 of `wanted`) and of the residual (bit 1).
template <class T, int WIDTH>
__device__ void input_gradients(const T *x, const T *y, const T *gradient, const float *affine, const float *moments,
                                const float *along, int activation, int training, int wanted, unsigned channels,
                                unsigned area, unsigned packs, T *into_input, T *into_residual) {
    unsigned pack = element();
    if (pack >= packs) return;
    unsigned where = pack * WIDTH, channel = where / area % channels;
    float mean = moments[channel], factor = affine[channel] * moments[channels + channel];
    float offset = along[channel], slope = along[channels + channel];
    Pack<T, WIDTH> xs = read<WIDTH>(x + where), ys = read<WIDTH>(y + where), gs = read<WIDTH>(gradient + where), to, beside;
    for (int i = 0; i < WIDTH; ++i) {
        float g = before(activation, wide(ys.at[i]), wide(gs.at[i]));
        beside.at[i] = stored<T>(g);
        to.at[i] = stored<T>(factor * (training ? g - offset - (wide(xs.at[i]) - mean) * slope : g));
    }
    if (wanted & 1) write<WIDTH>(into_input + where, to);
    if (wanted & 2) write<WIDTH>(into_residual + where, beside);
}

#define SUMS_OF(T) (const T *x, unsigned channels, unsigned area, unsigned count, unsigned stretch, double *partial)
FOR_EACH_TYPE_AND_WIDTH(batch_norm_sums, sums, SUMS_OF, (x, channels, area, count, stretch, partial))

#define MOMENTS_OF(T)                                                                                                            \
    (const double *partial, const T *x, unsigned channels, unsigned area, unsigned count, unsigned stretches, double eps,        \
     float *into)
FOR_EACH_TYPE(batch_norm_moments, moments, MOMENTS_OF, (partial, x, channels, area, count, stretches, eps, into))

#define NORMALIZE(T)                                                                                                             \
    (const T *x, const float *affine, const float *moments, const T *residual, int has_residual, int activation,                 \
     unsigned channels, unsigned area, unsigned packs, T *y)
FOR_EACH_TYPE_AND_WIDTH(batch_norm_normalize, normalize, NORMALIZE,
                        (x, affine, moments, residual, has_residual, activation, channels, area, packs, y))

#define GRADIENT_SUMS(T)                                                                                                         \
    (const T *x, const T *y, const T *gradient, const float *moments, int activation, unsigned channels, unsigned area,          \
     unsigned count, unsigned stretch, double *partial)
FOR_EACH_TYPE_AND_WIDTH(batch_norm_gradient_sums, gradient_sums, GRADIENT_SUMS,
                        (x, y, gradient, moments, activation, channels, area, count, stretch, partial))

#define INPUT_GRADIENTS(T)                                                                                                       \
    (const T *x, const T *y, const T *gradient, const float *affine, const float *moments, const float *along,                   \
     int activation, int training, int wanted, unsigned channels, unsigned area, unsigned packs, T *into_input,                  \
     T *into_residual)
FOR_EACH_TYPE_AND_WIDTH(batch_norm_input_gradients, input_gradients, INPUT_GRADIENTS,
                        (x, y, gradient, affine, moments, along, activation, training, wanted, channels, area, packs,
                         into_input, into_residual))
