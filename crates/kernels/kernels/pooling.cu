// Averages over windows of [planes, height, width]; windows that extend beyond the image average
// the pixels inside.
#include "common.cuh"

// One thread per output.
template <class T>
__device__ void pool(const T *x, unsigned height, unsigned width, unsigned out_height, unsigned out_width, unsigned kernel,
                     unsigned stride, unsigned outputs, T *y) {
    unsigned output = element();
    if (output >= outputs) return;
    unsigned column = output % out_width, rest = output / out_width;
    unsigned row = rest % out_height, plane = rest / out_height;
    unsigned top = row * stride, left = column * stride;
    unsigned bottom = min(top + kernel, height), right = min(left + kernel, width);
    const T *image = x + plane * height * width;
    float sum = 0;
    for (unsigned at = top; at < bottom; ++at) {
        for (unsigned across = left; across < right; ++across) sum += wide(image[at * width + across]);
    }
    y[output] = stored<T>(sum / (float)((bottom - top) * (right - left)));
}

// One thread per input, which gathers from the windows that contain it.
template <class T>
__device__ void spread(const T *gradient, unsigned height, unsigned width, unsigned out_height, unsigned out_width,
                       unsigned kernel, unsigned stride, unsigned inputs, T *into) {
    unsigned input = element();
    if (input >= inputs) return;
    unsigned column = input % width, rest = input / width;
    unsigned row = rest % height, plane = rest / height;
    unsigned first_row = row < kernel ? 0 : (row - kernel) / stride + 1;
    unsigned first_column = column < kernel ? 0 : (column - kernel) / stride + 1;
    unsigned last_row = min(row / stride + 1, out_height), last_column = min(column / stride + 1, out_width);
    const T *windows = gradient + plane * out_height * out_width;
    float sum = 0;
    for (unsigned at = first_row; at < last_row; ++at) {
        unsigned rows = min(at * stride + kernel, height) - at * stride;
        for (unsigned across = first_column; across < last_column; ++across) {
            unsigned columns = min(across * stride + kernel, width) - across * stride;
            sum += wide(windows[at * out_width + across]) / (float)(rows * columns);
        }
    }
    into[input] = stored<T>(sum);
}

#define POOL(T)                                                                                                                  \
    (const T *from, unsigned height, unsigned width, unsigned out_height, unsigned out_width, unsigned kernel,                   \
     unsigned stride, unsigned count, T *to)
FOR_EACH_TYPE(pooling_forward, pool, POOL, (from, height, width, out_height, out_width, kernel, stride, count, to))
FOR_EACH_TYPE(pooling_backward, spread, POOL, (from, height, width, out_height, out_width, kernel, stride, count, to))
