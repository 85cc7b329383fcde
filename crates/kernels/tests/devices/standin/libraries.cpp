// The parts of cuBLAS, cuDNN and cuRAND that are used: matrix products and convolutions as plain loops, summed in f64.
#include "standin.h"
#include "include/cuda_bf16.h"
#include "include/cuda_fp16.h"
#include <cstring>

namespace {
enum Type { F32, F64, F16, BF16 };

struct Values {
    Type type;
    uintptr_t start;

    double get(size_t at) const {
        switch (type) {
        case F32: return ((float *)start)[at];
        case F64: return ((double *)start)[at];
        case F16: return (float)((__half *)start)[at];
        default: return (float)((__nv_bfloat16 *)start)[at];
        }
    }
    void set(size_t at, double value) const {
        switch (type) {
        case F32: ((float *)start)[at] = (float)value; break;
        case F64: ((double *)start)[at] = value; break;
        case F16: ((__half *)start)[at] = (float)value; break;
        default: ((__nv_bfloat16 *)start)[at] = (float)value;
        }
    }
};

// cudaDataType_t
Type blas_type(int type) { return type == 0 ? F32 : type == 1 ? F64 : type == 2 ? F16 : BF16; }
// cudnnDataType_t
Type dnn_type(int type) { return type == 0 ? F32 : type == 1 ? F64 : type == 2 ? F16 : BF16; }

char handle;

// Column-major, C = alpha op(A) op(B) + beta C.
void product(bool turn_a, bool turn_b, int m, int n, int k, double alpha, Values a, int lda, Values b, int ldb, double beta, Values c,
             int ldc) {
    std::vector<double> rows((size_t)m * k), column(k);
    for (int i = 0; i < m; ++i) {
        for (int l = 0; l < k; ++l) rows[(size_t)i * k + l] = a.get(turn_a ? l + (size_t)i * lda : i + (size_t)l * lda);
    }
    for (int j = 0; j < n; ++j) {
        for (int l = 0; l < k; ++l) column[l] = b.get(turn_b ? j + (size_t)l * ldb : l + (size_t)j * ldb);
        for (int i = 0; i < m; ++i) {
            double sum = 0;
            for (int l = 0; l < k; ++l) sum += rows[(size_t)i * k + l] * column[l];
            size_t at = i + (size_t)j * ldc;
            c.set(at, alpha * sum + (beta == 0 ? 0 : beta * c.get(at)));
        }
    }
}

size_t width(Type type) { return type == F32 ? 4 : type == F64 ? 8 : 2; }
Values part(const void *start, Type type, size_t from) { return {type, (uintptr_t)start + from * width(type)}; }
} // namespace

EXPORT int cublasCreate_v2(void **found) { return *found = &handle, 0; }
EXPORT int cublasDestroy_v2(void *) { return 0; }
EXPORT int cublasSetStream_v2(void *, void *) { return 0; }
EXPORT int cublasGemmStridedBatchedEx(void *, int op_a, int op_b, int m, int n, int k, const void *alpha, const void *a, int type_a,
                                      int lda, long long stride_a, const void *b, int type_b, int ldb, long long stride_b,
                                      const void *beta, void *c, int type_c, int ldc, long long stride_c, int batch, int compute, int) {
    std::lock_guard<std::recursive_mutex> lock(standin_lock);
    Running name("cuBLAS, a product of matrices");
    // Factors have the type of the sums: 64 is f16; the others used here are f32.
    auto factor = [&](const void *at) { return compute == 64 ? (double)(float)*(__half *)at : (double)*(float *)at; };
    for (int i = 0; i < batch; ++i) {
        product(op_a, op_b, m, n, k, factor(alpha), part(a, blas_type(type_a), i * stride_a), lda,
                part(b, blas_type(type_b), i * stride_b), ldb, factor(beta), part(c, blas_type(type_c), i * stride_c), ldc);
    }
    return 0;
}
EXPORT int cublasDgemmStridedBatched(void *, int op_a, int op_b, int m, int n, int k, const double *alpha, const double *a, int lda,
                                     long long stride_a, const double *b, int ldb, long long stride_b, const double *beta, double *c,
                                     int ldc, long long stride_c, int batch) {
    std::lock_guard<std::recursive_mutex> lock(standin_lock);
    Running name("cuBLAS, a product of matrices");
    for (int i = 0; i < batch; ++i) {
        product(op_a, op_b, m, n, k, *alpha, part(a, F64, i * stride_a), lda, part(b, F64, i * stride_b), ldb, *beta,
                part(c, F64, i * stride_c), ldc);
    }
    return 0;
}

EXPORT int curandCreateGenerator(void **found, int) { return *found = &handle, 0; }
EXPORT int curandDestroyGenerator(void *) { return 0; }
EXPORT int curandSetStream(void *, void *) { return 0; }
EXPORT int curandSetPseudoRandomGeneratorSeed(void *, unsigned long long) { return 0; }
EXPORT int curandSetGeneratorOffset(void *, unsigned long long) { return 0; }

namespace {
enum Status { SUPPORTED = 0, BAD_PARAMETER = 2000, NOT_SUPPORTED = 3000 };
// The heuristics' first choice for windows of more than one pixel fails at the launch, as can happen with cuDNN.
const int REFUSED = 4;
const int SIMPLE = 1;

struct Tensor {
    Type type;
    bool channels_last;
    int sizes[4];

    size_t at(int n, int c, int h, int w) const {
        auto [N, C, H, W] = sizes;
        return channels_last ? ((size_t)(n * H + h) * W + w) * C + c : ((size_t)(n * C + c) * H + h) * W + w;
    }
    size_t count() const { return (size_t)sizes[0] * sizes[1] * sizes[2] * sizes[3]; }
};

struct Convolution {
    int padding[2], stride[2], dilation[2], groups = 1, math;
};

struct Performance {
    int algorithm, status;
    float time;
    size_t memory;
    int determinism, math, reserved[3];
};

// Returns [first][second][rows][columns], whatever the layout.
std::vector<double> gathered(const Tensor &tensor, const void *start) {
    std::vector<double> found;
    found.reserve(tensor.count());
    Values values = {tensor.type, (uintptr_t)start};
    for (int n = 0; n < tensor.sizes[0]; ++n)
        for (int c = 0; c < tensor.sizes[1]; ++c)
            for (int h = 0; h < tensor.sizes[2]; ++h)
                for (int w = 0; w < tensor.sizes[3]; ++w) found.push_back(values.get(tensor.at(n, c, h, w)));
    return found;
}

void scatter(const Tensor &tensor, void *start, const std::vector<double> &from, double alpha, double beta) {
    Values values = {tensor.type, (uintptr_t)start};
    size_t next = 0;
    for (int n = 0; n < tensor.sizes[0]; ++n)
        for (int c = 0; c < tensor.sizes[1]; ++c)
            for (int h = 0; h < tensor.sizes[2]; ++h)
                for (int w = 0; w < tensor.sizes[3]; ++w) {
                    size_t at = tensor.at(n, c, h, w);
                    values.set(at, alpha * from[next++] + (beta == 0 ? 0 : beta * values.get(at)));
                }
}

bool fit(const Tensor &x, const Tensor &w, const Convolution &conv, const Tensor &y) {
    bool channels = x.sizes[1] == w.sizes[1] * conv.groups && y.sizes[1] == w.sizes[0] && x.sizes[0] == y.sizes[0];
    for (int axis = 0; axis < 2; ++axis) {
        int reach = (w.sizes[2 + axis] - 1) * conv.dilation[axis] + 1;
        channels &= y.sizes[2 + axis] == (x.sizes[2 + axis] + 2 * conv.padding[axis] - reach) / conv.stride[axis] + 1;
    }
    return channels;
}

// Calls row(x, w, y, count, stride) for one weight and `count` neighboring outputs of a row with their inputs.
template <class Row> void each_row(const Tensor &x, const Tensor &w, const Convolution &conv, const Tensor &y, Row row) {
    auto [images, in, height, across] = x.sizes;
    auto [out, group_in, rows, columns] = w.sizes;
    int out_height = y.sizes[2], out_width = y.sizes[3], group_out = out / conv.groups, stride = conv.stride[1];
    for (int n = 0; n < images; ++n)
        for (int k = 0; k < out; ++k)
            for (int c = 0; c < group_in; ++c)
                for (int r = 0; r < rows; ++r)
                    for (int s = 0; s < columns; ++s) {
                        int channel = k / group_out * group_in + c, shift = s * conv.dilation[1] - conv.padding[1];
                        int first = 0, last = out_width;
                        while (first < last && first * stride + shift < 0) ++first;
                        while (first < last && (last - 1) * stride + shift >= across) --last;
                        for (int h = 0; h < out_height; ++h) {
                            int from = h * conv.stride[0] + r * conv.dilation[0] - conv.padding[0];
                            if (from < 0 || from >= height || first == last) continue;
                            row(((size_t)(n * in + channel) * height + from) * across + first * stride + shift,
                                ((size_t)(k * group_in + c) * rows + r) * columns + s,
                                ((size_t)(n * out + k) * out_height + h) * out_width + first, last - first, stride);
                        }
                    }
}

int algorithms(const Tensor &w, int asked, int *found, Performance *into) {
    int first = w.sizes[2] * w.sizes[3] > 1 ? REFUSED : SIMPLE, count = 0;
    for (int algorithm : {first, SIMPLE}) {
        if (count < asked) into[count++] = {algorithm, SUPPORTED, 0, algorithm == REFUSED ? (size_t)64 : 0, 1, 0, {}};
    }
    return *found = count, SUPPORTED;
}

int workspace(int algorithm, size_t *bytes) { return *bytes = algorithm == REFUSED ? 64 : 0, SUPPORTED; }

double factor(const Tensor &tensor, const void *at) { return tensor.type == F64 ? *(double *)at : *(float *)at; }
} // namespace

EXPORT size_t cudnnGetVersion() { return 91900; }
EXPORT size_t cudnnGetCudartVersion() { return 13000; }
EXPORT int cudnnCreate(void **found) { return *found = &handle, 0; }
EXPORT int cudnnDestroy(void *) { return 0; }
EXPORT int cudnnSetStream(void *, void *) { return 0; }
EXPORT int cudnnCreateTensorDescriptor(Tensor **found) { return *found = new Tensor(), 0; }
EXPORT int cudnnDestroyTensorDescriptor(Tensor *tensor) { return delete tensor, 0; }
EXPORT int cudnnSetTensor4dDescriptor(Tensor *tensor, int format, int type, int n, int c, int h, int w) {
    return *tensor = {dnn_type(type), format == 1, {n, c, h, w}}, 0;
}
EXPORT int cudnnCreateFilterDescriptor(Tensor **found) { return *found = new Tensor(), 0; }
EXPORT int cudnnDestroyFilterDescriptor(Tensor *tensor) { return delete tensor, 0; }
EXPORT int cudnnSetFilter4dDescriptor(Tensor *tensor, int type, int format, int k, int c, int h, int w) {
    return *tensor = {dnn_type(type), format == 1, {k, c, h, w}}, 0;
}
EXPORT int cudnnCreateConvolutionDescriptor(Convolution **found) { return *found = new Convolution(), 0; }
EXPORT int cudnnDestroyConvolutionDescriptor(Convolution *conv) { return delete conv, 0; }
EXPORT int cudnnSetConvolution2dDescriptor(Convolution *conv, int pad_h, int pad_w, int stride_h, int stride_w, int dilation_h,
                                           int dilation_w, int mode, int) {
    conv->padding[0] = pad_h, conv->padding[1] = pad_w, conv->stride[0] = stride_h, conv->stride[1] = stride_w;
    conv->dilation[0] = dilation_h, conv->dilation[1] = dilation_w;
    return mode == 1 ? SUPPORTED : NOT_SUPPORTED;
}
EXPORT int cudnnSetConvolutionGroupCount(Convolution *conv, int groups) { return conv->groups = groups, 0; }
EXPORT int cudnnSetConvolutionMathType(Convolution *conv, int math) { return conv->math = math, 0; }

EXPORT int cudnnGetConvolutionForwardAlgorithm_v7(void *, Tensor *x, Tensor *w, Convolution *conv, Tensor *y, int asked, int *found,
                                                  Performance *into) {
    return fit(*x, *w, *conv, *y) ? algorithms(*w, asked, found, into) : BAD_PARAMETER;
}
EXPORT int cudnnGetConvolutionBackwardDataAlgorithm_v7(void *, Tensor *w, Tensor *dy, Convolution *conv, Tensor *dx, int asked,
                                                       int *found, Performance *into) {
    return fit(*dx, *w, *conv, *dy) ? algorithms(*w, asked, found, into) : BAD_PARAMETER;
}
EXPORT int cudnnGetConvolutionBackwardFilterAlgorithm_v7(void *, Tensor *x, Tensor *dy, Convolution *conv, Tensor *dw, int asked,
                                                         int *found, Performance *into) {
    return fit(*x, *dw, *conv, *dy) ? algorithms(*dw, asked, found, into) : BAD_PARAMETER;
}
EXPORT int cudnnGetConvolutionForwardWorkspaceSize(void *, Tensor *, Tensor *, Convolution *, Tensor *, int algorithm, size_t *bytes) {
    return workspace(algorithm, bytes);
}
EXPORT int cudnnGetConvolutionBackwardDataWorkspaceSize(void *, Tensor *, Tensor *, Convolution *, Tensor *, int algorithm,
                                                        size_t *bytes) {
    return workspace(algorithm, bytes);
}
EXPORT int cudnnGetConvolutionBackwardFilterWorkspaceSize(void *, Tensor *, Tensor *, Convolution *, Tensor *, int algorithm,
                                                          size_t *bytes) {
    return workspace(algorithm, bytes);
}

EXPORT int cudnnConvolutionForward(void *, const void *alpha, Tensor *x, const void *xs, Tensor *w, const void *ws, Convolution *conv,
                                   int algorithm, void *, size_t, const void *beta, Tensor *y, void *ys) {
    if (algorithm == REFUSED) return NOT_SUPPORTED;
    if (!fit(*x, *w, *conv, *y)) return BAD_PARAMETER;
    std::lock_guard<std::recursive_mutex> lock(standin_lock);
    Running name("cuDNN, a convolution");
    std::vector<double> from = gathered(*x, xs), weights = gathered(*w, ws), sums(y->count());
    each_row(*x, *w, *conv, *y, [&](size_t x, size_t w, size_t y, int count, int stride) {
        double weight = weights[w];
        for (int i = 0; i < count; ++i) sums[y + i] += weight * from[x + (size_t)i * stride];
    });
    return scatter(*y, ys, sums, factor(*y, alpha), factor(*y, beta)), SUPPORTED;
}
EXPORT int cudnnConvolutionBackwardData(void *, const void *alpha, Tensor *w, const void *ws, Tensor *dy, const void *dys,
                                        Convolution *conv, int algorithm, void *, size_t, const void *beta, Tensor *dx, void *dxs) {
    if (algorithm == REFUSED) return NOT_SUPPORTED;
    if (!fit(*dx, *w, *conv, *dy)) return BAD_PARAMETER;
    std::lock_guard<std::recursive_mutex> lock(standin_lock);
    Running name("cuDNN, the input gradient of a convolution");
    std::vector<double> from = gathered(*dy, dys), weights = gathered(*w, ws), sums(dx->count());
    each_row(*dx, *w, *conv, *dy, [&](size_t x, size_t w, size_t y, int count, int stride) {
        double weight = weights[w];
        for (int i = 0; i < count; ++i) sums[x + (size_t)i * stride] += weight * from[y + i];
    });
    return scatter(*dx, dxs, sums, factor(*dx, alpha), factor(*dx, beta)), SUPPORTED;
}
EXPORT int cudnnConvolutionBackwardFilter(void *, const void *alpha, Tensor *x, const void *xs, Tensor *dy, const void *dys,
                                          Convolution *conv, int algorithm, void *, size_t, const void *beta, Tensor *dw, void *dws) {
    if (algorithm == REFUSED) return NOT_SUPPORTED;
    if (!fit(*x, *dw, *conv, *dy)) return BAD_PARAMETER;
    std::lock_guard<std::recursive_mutex> lock(standin_lock);
    Running name("cuDNN, the weight gradient of a convolution");
    std::vector<double> from = gathered(*x, xs), gradient = gathered(*dy, dys), sums(dw->count());
    each_row(*x, *dw, *conv, *dy, [&](size_t x, size_t w, size_t y, int count, int stride) {
        double sum = 0;
        for (int i = 0; i < count; ++i) sum += gradient[y + i] * from[x + (size_t)i * stride];
        sums[w] += sum;
    });
    return scatter(*dw, dws, sums, factor(*dw, alpha), factor(*dw, beta)), SUPPORTED;
}
