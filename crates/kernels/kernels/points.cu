// Bilinear sampling at points of an image, for `grid_sample` (all channels of a point) and
// `point_readout` (their weighted sum). Positions [batch, points, 2] are (x, y) in [-1, 1], clamped
// to the centers of the border pixels.
//
// A readout's features are stored with the channels of a pixel together, [batch, height * width,
// channels], so that a warp reads four runs of memory. The gradient of the features is gathered,
// not scattered: a block owns part of a row of pixels and adds, in the order of the points, the
// contributions of those that touch it.
#include "common.cuh"

// A position along one axis.
struct Axis {
    int low, high;
    float share;
    bool clamped;

    __device__ Axis(float position, int size, int align_corners) {
        float last = (float)(size - 1);
        float pixel = align_corners ? (position + 1) / 2 * last : ((position + 1) * size - 1) / 2;
        // Comparisons, so that a NaN position gives NaN and has no gradient.
        float inside = pixel < 0 ? 0 : pixel > last ? last : pixel;
        clamped = !(pixel > 0 && pixel < last);
        low = inside > 0 ? min((int)inside, size - 1) : 0;
        high = min(low + 1, size - 1);
        share = inside - low;
    }
};

// The four pixels around a position, row by row, and their weights.
struct Corners {
    Axis x, y;
    int pixels[4];
    float shares[4];

    __device__ Corners(const float *position, int height, int width, int align_corners)
        : x(position[0], width, align_corners), y(position[1], height, align_corners) {
        pixels[0] = y.low * width + x.low, pixels[1] = y.low * width + x.high;
        pixels[2] = y.high * width + x.low, pixels[3] = y.high * width + x.high;
        shares[0] = (1 - y.share) * (1 - x.share), shares[1] = (1 - y.share) * x.share;
        shares[2] = y.share * (1 - x.share), shares[3] = y.share * x.share;
    }

    __device__ float mix(float a, float b, float c, float d) const {
        return (a * shares[0] + b * shares[1]) + (c * shares[2] + d * shares[3]);
    }

    // The derivative of the value along x and along y, per pixel.
    __device__ float along_x(float a, float b, float c, float d) const {
        return (1 - y.share) * (b - a) + y.share * (d - c);
    }
    __device__ float along_y(float a, float b, float c, float d) const {
        return (1 - x.share) * (c - a) + x.share * (d - b);
    }
};

// Pixels per unit of position.
__device__ __forceinline__ float pixels_per_unit(int size, int align_corners) { return (size - (align_corners ? 1 : 0)) / 2.0f; }

// One warp per point of an image: the weighted sum of its channels.
template <class T>
__device__ void readout(const T *features, const float *positions, const float *weights, unsigned channels, int height,
                        int width, unsigned points, unsigned count, float *y) {
    unsigned at = element() / 32, lane = threadIdx.x % 32;
    if (at >= count) return;
    unsigned image = at / points, point = at - image * points;
    Corners corners(positions + 2 * at, height, width, 0);
    const T *pixels = features + image * channels * height * width;
    float sum = 0;
    for (unsigned channel = lane; channel < channels; channel += 32) {
        float corner[4];
        for (int i = 0; i < 4; ++i) corner[i] = wide(pixels[corners.pixels[i] * channels + channel]);
        sum += weights[point * channels + channel] * corners.mix(corner[0], corner[1], corner[2], corner[3]);
    }
    sum = sum_over_warp(sum);
    if (lane == 0) y[at] = sum;
}

// One warp per point of an image: the gradient of its position.
template <class T>
__device__ void readout_positions(const T *features, const float *positions, const float *weights, const float *gradient,
                                  unsigned channels, int height, int width, unsigned points, unsigned count, float *into) {
    unsigned at = element() / 32, lane = threadIdx.x % 32;
    if (at >= count) return;
    unsigned image = at / points, point = at - image * points;
    Corners corners(positions + 2 * at, height, width, 0);
    const T *pixels = features + image * channels * height * width;
    float along_x = 0, along_y = 0;
    for (unsigned channel = lane; channel < channels; channel += 32) {
        float corner[4], weight = weights[point * channels + channel];
        for (int i = 0; i < 4; ++i) corner[i] = wide(pixels[corners.pixels[i] * channels + channel]);
        along_x += weight * corners.along_x(corner[0], corner[1], corner[2], corner[3]);
        along_y += weight * corners.along_y(corner[0], corner[1], corner[2], corner[3]);
    }
    along_x = sum_over_warp(along_x), along_y = sum_over_warp(along_y);
    if (lane == 0) {
        into[2 * at] = corners.x.clamped ? 0 : gradient[at] * along_x * pixels_per_unit(width, 0);
        into[2 * at + 1] = corners.y.clamped ? 0 : gradient[at] * along_y * pixels_per_unit(height, 0);
    }
}

// One thread per weight, which adds the images in order. Blocks have one point and `blockDim.x`
// channels.
template <class T>
__device__ void readout_weights(const T *features, const float *positions, const float *gradient, unsigned batch,
                                unsigned channels, int height, int width, unsigned points, unsigned tiles, float *into) {
    unsigned point = blockIdx.x / tiles, channel = blockIdx.x % tiles * blockDim.x + threadIdx.x;
    if (channel >= channels) return;
    float sum = 0;
    for (unsigned image = 0; image < batch; ++image) {
        unsigned at = image * points + point;
        Corners corners(positions + 2 * at, height, width, 0);
        const T *pixels = features + image * channels * height * width + channel;
        float corner[4];
        for (int i = 0; i < 4; ++i) corner[i] = wide(pixels[corners.pixels[i] * channels]);
        sum += gradient[at] * corners.mix(corner[0], corner[1], corner[2], corner[3]);
    }
    into[point * channels + channel] = sum;
}

// One thread per value: features [batch, channels, height * width] to [batch, channels, points].
template <class T>
__device__ void sample(const T *features, const float *positions, unsigned channels, int height, int width, int align_corners,
                       unsigned points, unsigned count, T *y) {
    unsigned at = element();
    if (at >= count) return;
    unsigned plane = at / points, point = at - plane * points, image = plane / channels;
    Corners corners(positions + 2 * (image * points + point), height, width, align_corners);
    const T *pixels = features + plane * height * width;
    float corner[4];
    for (int i = 0; i < 4; ++i) corner[i] = wide(pixels[corners.pixels[i]]);
    y[at] = stored<T>(corners.mix(corner[0], corner[1], corner[2], corner[3]));
}

// One thread per point of an image: the gradient of its position.
template <class T>
__device__ void sample_positions(const T *features, const float *positions, const T *gradient, unsigned channels, int height,
                                 int width, int align_corners, unsigned points, unsigned count, float *into) {
    unsigned at = element();
    if (at >= count) return;
    unsigned image = at / points, point = at - image * points;
    Corners corners(positions + 2 * at, height, width, align_corners);
    float along_x = 0, along_y = 0;
    for (unsigned channel = 0; channel < channels; ++channel) {
        unsigned plane = image * channels + channel;
        const T *pixels = features + plane * height * width;
        float corner[4], g = wide(gradient[plane * points + point]);
        for (int i = 0; i < 4; ++i) corner[i] = wide(pixels[corners.pixels[i]]);
        along_x += g * corners.along_x(corner[0], corner[1], corner[2], corner[3]);
        along_y += g * corners.along_y(corner[0], corner[1], corner[2], corner[3]);
    }
    into[2 * at] = corners.x.clamped ? 0 : along_x * pixels_per_unit(width, align_corners);
    into[2 * at + 1] = corners.y.clamped ? 0 : along_y * pixels_per_unit(height, align_corners);
}

// Pixels of a row and channels that a block of the next kernel owns; that many points are examined
// together.
const int COLUMNS = 32;
const int CHANNELS = 128;

// The contribution of a point to a row of pixels.
struct Share {
    int point, low, high;
    float low_share, high_share;
};

// The gradient of the features, in the layout [batch, channels, height * width]. The contribution
// of point n in channel c is outer ? gradient[image, n] * weights[n, c] : gradient[image, n, c].
// Blocks have CHANNELS threads and are numbered by image, row, part of the row, and part of the
// channels.
template <class T, class G>
__device__ void features_gradient(const float *positions, const G *gradient, const float *weights, int outer,
                                  unsigned channels, int height, int width, int align_corners, unsigned points, T *into) {
    __shared__ float sums[COLUMNS][CHANNELS + 1];
    __shared__ Share shares[CHANNELS];
    __shared__ int found[CHANNELS / 32];
    int channel_parts = (channels + CHANNELS - 1) / CHANNELS, row_parts = (width + COLUMNS - 1) / COLUMNS;
    unsigned rest = blockIdx.x;
    int first_channel = rest % channel_parts * CHANNELS;
    rest /= channel_parts;
    int left = rest % row_parts * COLUMNS;
    rest /= row_parts;
    int row = rest % height;
    unsigned image = rest / height;
    unsigned thread = threadIdx.x, lane = thread % 32, warp = thread / 32, channel = first_channel + thread;
    for (int column = 0; column < COLUMNS; ++column) sums[column][thread] = 0;

    for (unsigned first = 0; first < points; first += CHANNELS) {
        // Each thread checks whether its point touches these pixels; those that do are listed in
        // order.
        Share share;
        bool touches = false;
        if (first + thread < points) {
            const float *position = positions + 2 * (image * points + first + thread);
            Axis x(position[0], width, align_corners), y(position[1], height, align_corners);
            touches = (y.low == row || y.high == row) && x.low < left + COLUMNS && x.high >= left;
            float vertical = (y.low == row ? 1 - y.share : 0) + (y.high == row ? y.share : 0);
            share.point = first + thread;
            share.low = x.low - left, share.high = x.high - left;
            share.low_share = vertical * (1 - x.share), share.high_share = vertical * x.share;
        }
        unsigned touching = __ballot_sync(0xffffffffu, touches);
        if (lane == 0) found[warp] = __popc(touching);
        __syncthreads();
        int place = __popc(touching & ((1u << lane) - 1)), count = 0;
        for (int other = 0; other < CHANNELS / 32; ++other) {
            if (other < warp) place += found[other];
            count += found[other];
        }
        if (touches) shares[place] = share;
        __syncthreads();
        if (channel < channels) {
            for (int at = 0; at < count; ++at) {
                Share share = shares[at];
                unsigned which = image * points + share.point;
                float g = outer ? wide(gradient[which]) * weights[share.point * channels + channel]
                                : wide(gradient[which * channels + channel]);
                if (share.low >= 0) sums[share.low][thread] += g * share.low_share;
                if (share.high < COLUMNS) sums[share.high][thread] += g * share.high_share;
            }
        }
        __syncthreads();
    }

    // Neighboring threads write neighboring pixels.
    int columns = min(COLUMNS, width - left);
    for (unsigned at = thread; at < CHANNELS * COLUMNS; at += CHANNELS) {
        unsigned column = at % COLUMNS, own = at / COLUMNS;
        if (column < columns && first_channel + own < channels) {
            into[((image * channels + first_channel + own) * height + row) * width + left + column] =
                stored<T>(sums[column][own]);
        }
    }
}

#define READOUT(T)                                                                                                               \
    (const T *features, const float *positions, const float *weights, unsigned channels, int height, int width,                  \
     unsigned points, unsigned count, float *y)
FOR_EACH_TYPE(point_readout, readout, READOUT, (features, positions, weights, channels, height, width, points, count, y))

#define READOUT_POSITIONS(T)                                                                                                     \
    (const T *features, const float *positions, const float *weights, const float *gradient, unsigned channels, int height,      \
     int width, unsigned points, unsigned count, float *into)
FOR_EACH_TYPE(point_readout_positions, readout_positions, READOUT_POSITIONS,
              (features, positions, weights, gradient, channels, height, width, points, count, into))

#define READOUT_WEIGHTS(T)                                                                                                       \
    (const T *features, const float *positions, const float *gradient, unsigned batch, unsigned channels, int height,            \
     int width, unsigned points, unsigned tiles, float *into)
FOR_EACH_TYPE(point_readout_weights, readout_weights, READOUT_WEIGHTS,
              (features, positions, gradient, batch, channels, height, width, points, tiles, into))

#define SAMPLE(T)                                                                                                                \
    (const T *features, const float *positions, unsigned channels, int height, int width, int align_corners, unsigned points,    \
     unsigned count, T *y)
FOR_EACH_TYPE(grid_sample, sample, SAMPLE, (features, positions, channels, height, width, align_corners, points, count, y))

#define SAMPLE_POSITIONS(T)                                                                                                      \
    (const T *features, const float *positions, const T *gradient, unsigned channels, int height, int width,                     \
     int align_corners, unsigned points, unsigned count, float *into)
FOR_EACH_TYPE(grid_sample_positions, sample_positions, SAMPLE_POSITIONS,
              (features, positions, gradient, channels, height, width, align_corners, points, count, into))

// The gradient of a readout's value is f32 whatever the type of the features.
#define READOUT_FEATURES(T)                                                                                                      \
    (const float *positions, const float *gradient, const float *weights, unsigned channels, int height, int width,              \
     unsigned points, T *into)
template <class T> __device__ void readout_features READOUT_FEATURES(T) {
    features_gradient<T, float>(positions, gradient, weights, 1, channels, height, width, 0, points, into);
}
FOR_EACH_TYPE(point_readout_features, readout_features, READOUT_FEATURES,
              (positions, gradient, weights, channels, height, width, points, into))

#define SAMPLE_FEATURES(T)                                                                                                       \
    (const float *positions, const T *gradient, unsigned channels, int height, int width, int align_corners, unsigned points,    \
     T *into)
template <class T> __device__ void sample_features SAMPLE_FEATURES(T) {
    features_gradient<T, T>(positions, gradient, positions, 0, channels, height, width, align_corners, points, into);
}
FOR_EACH_TYPE(grid_sample_features, sample_features, SAMPLE_FEATURES,
              (positions, gradient, channels, height, width, align_corners, points, into))
