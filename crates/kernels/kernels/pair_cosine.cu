// Cosines of the centered features of pairs, [2 pairs, channels, area]: the first images of all
// pairs, then the second ones.
// `length` = channels * area.
#include "common.cuh"

// Feature vectors with a smaller norm have no direction.
const double SHORTEST = 1e-8;

// Sums of a a, b b and a b over stretch `blockIdx.y` of pair `blockIdx.x`.
template <class T, int WIDTH>
__device__ void products(const T *features, const float *center, unsigned pairs, unsigned area, unsigned length,
                         unsigned stretch, double *partial) {
    const T *first = features + blockIdx.x * length, *second = features + (pairs + blockIdx.x) * length;
    unsigned begin = blockIdx.y * stretch;
    unsigned end = length - begin < stretch ? length : begin + stretch;
    Sums<3> sums;
    for (unsigned index = begin + threadIdx.x * WIDTH; index < end; index += THREADS * WIDTH) {
        float middle = center[index / area];
        Pack<T, WIDTH> as = read<WIDTH>(first + index), bs = read<WIDTH>(second + index);
        for (int i = 0; i < WIDTH; ++i) {
            float a = wide(as.at[i]) - middle, b = wide(bs.at[i]) - middle;
            sums.run[0] += a * a, sums.run[1] += b * b, sums.run[2] += a * b;
        }
        sums.next();
    }
    sums.flush();
    sum_over_block(sums.total);
    if (threadIdx.x == 0) {
        for (int sum = 0; sum < 3; ++sum) partial[3 * (blockIdx.y * pairs + blockIdx.x) + sum] = sums.total[sum];
    }
}

// The cosine of each pair; `found` stores both norms and the cosine, with norms of 0 if the pair
// has no direction.
extern "C" __global__ void pair_cosines(const double *partial, unsigned pairs, unsigned stretches, float *cosine, double *found) {
    unsigned pair = element();
    if (pair >= pairs) return;
    double sums[3] = {0, 0, 0};
    for (unsigned stretch = 0; stretch < stretches; ++stretch) {
        for (int sum = 0; sum < 3; ++sum) sums[sum] += partial[3 * (stretch * pairs + pair) + sum];
    }
    double first = sqrt(sums[0]), second = sqrt(sums[1]);
    // Also false for NaN, which then shows in the cosine.
    bool none = first < SHORTEST || second < SHORTEST;
    double value = none ? 0 : sums[2] / (first * second);
    cosine[pair] = (float)value;
    found[3 * pair] = none ? 0 : first, found[3 * pair + 1] = none ? 0 : second, found[3 * pair + 2] = value;
}

// One thread per pack of a pair: the gradients of both images there.
template <class T, int WIDTH>
__device__ void gradients(const T *features, const float *center, const double *found, const float *gradient, unsigned pairs,
                          unsigned area, unsigned length, unsigned packs, T *into) {
    unsigned pack = element();
    if (pack >= packs) return;
    unsigned where = pack * WIDTH, pair = where / length, channel = (where - pair * length) / area;
    double first = found[3 * pair], second = found[3 * pair + 1], cosine = found[3 * pair + 2], g = gradient[pair];
    bool none = first == 0 && second == 0;
    float across = none ? 0 : (float)(g / (first * second));
    float along_first = none ? 0 : (float)(g * cosine / (first * first));
    float along_second = none ? 0 : (float)(g * cosine / (second * second));
    float middle = center[channel];
    unsigned other = where + pairs * length;
    Pack<T, WIDTH> as = read<WIDTH>(features + where), bs = read<WIDTH>(features + other), to_first, to_second;
    for (int i = 0; i < WIDTH; ++i) {
        float a = wide(as.at[i]) - middle, b = wide(bs.at[i]) - middle;
        to_first.at[i] = stored<T>(none ? 0 : across * b - along_first * a);
        to_second.at[i] = stored<T>(none ? 0 : across * a - along_second * b);
    }
    write<WIDTH>(into + where, to_first);
    write<WIDTH>(into + other, to_second);
}

#define PRODUCTS(T)                                                                                                              \
    (const T *features, const float *center, unsigned pairs, unsigned area, unsigned length, unsigned stretch, double *partial)
FOR_EACH_TYPE_AND_WIDTH(pair_products, products, PRODUCTS, (features, center, pairs, area, length, stretch, partial))

#define GRADIENTS(T)                                                                                                             \
    (const T *features, const float *center, const double *found, const float *gradient, unsigned pairs, unsigned area,          \
     unsigned length, unsigned packs, T *into)
FOR_EACH_TYPE_AND_WIDTH(pair_gradients, gradients, GRADIENTS,
                        (features, center, found, gradient, pairs, area, length, packs, into))
