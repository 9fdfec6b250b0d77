// Gradients of the three penalties (their definition: src/ops/penalty/mod.rs). Each adds to the parameters' gradient, but for masks,
// to whose gradient the readout adds `sparsity`, a number for each neuron, as it writes it.
//
// Smoothness and group sparsity of one output's filter W, with S = |W|^2 + eps, E = |L * W|^2 (L the Laplacian) and the
// sizes |W_in| of its input slices:
//
//   smoothness E / S + sparsity sum_in |W_in| / sqrt(S)
//
// Its gradient is a_in W_in + b (L * L * W)_in. For steerable filters W and L * L * W are products of an (M, M) form
// with the coefficients c, one pair of forms per orientation: a first launch forms all products, a second the factors
// a and b of each slice, and a third sums factors times products over the orientations.
#include "striate.cuh"

#define THREADS 256
#define WARPS (THREADS / 32)
#define EPSILON 1e-8f

// An output's sums over its input slices.
struct Sums {
    float norm2, edge2, sizes;

    // From each thread's shares.
    __device__ __forceinline__ Sums(float square, float edge, float size, float* scratch)
        : norm2(block_sum<THREADS>(square, scratch) + EPSILON), edge2(block_sum<THREADS>(edge, scratch)),
          sizes(block_sum<THREADS>(size, scratch)) {}

    // a of a slice of this size.
    __device__ __forceinline__ float of_norm(float smoothness, float sparsity, float size) const {
        float root = sqrtf(norm2), inverse = size > 0.0f ? 1.0f / size : 0.0f;
        return sparsity * (inverse / root - sizes / (norm2 * root)) - 2.0f * smoothness * edge2 / (norm2 * norm2);
    }

    // b.
    __device__ __forceinline__ float of_edge(float smoothness) const { return 2.0f * smoothness / norm2; }
};

// products[q, 0 and 1] = the two forms of orientation q times c. A thread computes one column of one row of both.
extern "C" __global__ void __launch_bounds__(THREADS)
    penalty_steerable_products(const float* forms /* (O, 2, M, M) */, const float* c /* (M, n_in F) */,
                               float* products /* (O, 2, M, n_in F) */, int functions, int slices) {
    int i = blockIdx.x * THREADS + threadIdx.x;
    if (i >= functions * slices) return;
    const float* norm_row = forms + ((size_t)blockIdx.y * 2 * functions + i / slices) * functions;
    const float* edge_row = norm_row + (size_t)functions * functions;
    const float* column = c + i % slices;
    float norm = 0.0f, edge = 0.0f;
    for (int l = 0; l < functions; ++l) {
        float value = column[(size_t)l * slices];
        norm = fmaf(norm_row[l], value, norm);
        edge = fmaf(edge_row[l], value, edge);
    }
    size_t size = (size_t)functions * slices, at = blockIdx.y * 2 * size + i;
    products[at] = norm;
    products[at + size] = edge;
}

// One block per output and orientation, one warp per slice. factors[q, 0] holds the slices' sizes in between.
extern "C" __global__ void __launch_bounds__(THREADS)
    penalty_steerable_factors(const float* c /* (M, n_in, F) */, const float* products /* (O, 2, M, n_in, F) */,
                              float* factors /* (O, 2, n_in, F) */, int functions, int inputs, int features,
                              float smoothness, float sparsity) {
    __shared__ float scratch[WARPS];
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32, slices = inputs * features;
    const float* norm = products + (size_t)blockIdx.y * 2 * functions * slices;
    const float* edge = norm + (size_t)functions * slices;
    float* of_norm = factors + (size_t)blockIdx.y * 2 * slices;
    float* of_edge = of_norm + slices;
    float square = 0.0f, edges = 0.0f, sizes = 0.0f;
    for (int input = warp; input < inputs; input += WARPS) {
        int slice = input * features + blockIdx.x;
        float of_slice = 0.0f, edge_of_slice = 0.0f;
        for (int l = lane; l < functions; l += 32) {
            size_t at = (size_t)l * slices + slice;
            of_slice = fmaf(c[at], norm[at], of_slice);
            edge_of_slice = fmaf(c[at], edge[at], edge_of_slice);
        }
        of_slice = fmaxf(warp_sum(of_slice), 0.0f);
        edge_of_slice = fmaxf(warp_sum(edge_of_slice), 0.0f);
        if (lane == 0) {
            of_norm[slice] = sqrtf(of_slice);
            square += of_slice;
            edges += edge_of_slice;
            sizes += sqrtf(of_slice);
        }
    }
    Sums sums(square, edges, sizes, scratch);
    for (int input = warp; input < inputs; input += WARPS) {
        int slice = input * features + blockIdx.x;
        if (lane == 0) {
            of_norm[slice] = sums.of_norm(smoothness, sparsity, of_norm[slice]);
            of_edge[slice] = sums.of_edge(smoothness);
        }
    }
}

// Adds the sum over orientations of factors times products.
extern "C" __global__ void __launch_bounds__(THREADS)
    penalty_steerable_gradient(const float* products /* (O, 2, M, n_in F) */, const float* factors /* (O, 2, n_in F) */,
                               float* dc /* (M, n_in F) */, int orientations, int functions, int slices) {
    int i = blockIdx.x * THREADS + threadIdx.x;
    if (i >= functions * slices) return;
    size_t size = (size_t)functions * slices;
    const float* factor = factors + i % slices;
    const float* product = products + i;
    float sum = 0.0f;
    for (int form = 0; form < 2 * orientations; ++form) sum = fmaf(factor[(size_t)form * slices], product[form * size], sum);
    dc[i] += sum;
}

// (L * f)[p] on a zero-padded filter of width k. L is symmetric, so it is its own adjoint.
__device__ __forceinline__ float laplacian(const float* filter, int k, int p) {
    int row = p / k, column = p % k;
    float sum = 0.0f;
#pragma unroll
    for (int u = -1; u <= 1; ++u) {
#pragma unroll
        for (int v = -1; v <= 1; ++v) {
            float weight = u == 0 && v == 0 ? -3.0f : (u == 0 || v == 0 ? 0.5f : 0.25f);
            int r = row + u, c = column + v;
            if (r >= 0 && r < k && c >= 0 && c < k) sum = fmaf(weight, filter[r * k + c], sum);
        }
    }
    return sum;
}

// Filters of pixels: one block per output, one warp per input slice. `edges` and `sizes` are scratch.
extern "C" __global__ void __launch_bounds__(THREADS)
    penalty_filters(const float* w /* (C_out, C_in, k, k) */, float* edges /* (C_out, C_in, k, k) */,
                    float* sizes /* (C_out, C_in) */, float* dw /* (C_out, C_in, k, k) */, int inputs, int kernel,
                    float smoothness, float sparsity) {
    __shared__ float scratch[WARPS];
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32, area = kernel * kernel;
    size_t output = (size_t)blockIdx.x * inputs;
    float square = 0.0f, edge2 = 0.0f, size = 0.0f;
    for (int input = warp; input < inputs; input += WARPS) {
        const float* slice = w + (output + input) * area;
        float of_slice = 0.0f;
        for (int p = lane; p < area; p += 32) {
            float edge = laplacian(slice, kernel, p);
            edges[(output + input) * area + p] = edge;
            edge2 = fmaf(edge, edge, edge2);
            of_slice = fmaf(slice[p], slice[p], of_slice);
        }
        square += of_slice;
        of_slice = warp_sum(of_slice);
        if (lane == 0) {
            sizes[output + input] = sqrtf(of_slice);
            size += sqrtf(of_slice);
        }
    }
    // Its barriers also show every warp the others' edges.
    Sums sums(square, edge2, size, scratch);
    for (int input = warp; input < inputs; input += WARPS) {
        float of_norm = sums.of_norm(smoothness, sparsity, sizes[output + input]);
        float of_edge = sums.of_edge(smoothness);
        size_t at = (output + input) * area;
        for (int p = lane; p < area; p += 32)
            dw[at + p] += of_norm * w[at + p] + of_edge * laplacian(edges + at, kernel, p);
    }
}

__device__ __forceinline__ float absolute_sum(const float* values, int n, float* scratch) {
    float sum = 0.0f;
#pragma unroll 4
    for (int i = threadIdx.x; i < n; i += THREADS) sum += fabsf(values[i]);
    return block_sum<THREADS>(sum, scratch);
}

// Of strength (sum |mask|) (sum |features|), one block per neuron; the two sums.
__device__ __forceinline__ float2 sparse_neuron(const float* mask, int pixels, const float* features, int channels, float* sparsity,
                                                float* dfeatures, float strength, float* scratch) {
    float mask_sum = absolute_sum(mask, pixels, scratch);
    float feature_sum = absolute_sum(features, channels, scratch);
    if (threadIdx.x == 0) *sparsity = strength * feature_sum;
    for (int i = threadIdx.x; i < channels; i += THREADS) dfeatures[i] += strength * mask_sum * sign_of(features[i]);
    return make_float2(mask_sum, feature_sum);
}

extern "C" __global__ void __launch_bounds__(THREADS)
    penalty_readout(const float* mask /* (N, P) */, const float* features /* (N, C) */, float* sparsity /* (N) */,
                    float* dfeatures /* (N, C) */, int pixels, int channels, float strength) {
    __shared__ float scratch[WARPS];
    size_t n = blockIdx.x, c = n * channels;
    sparse_neuron(mask + n * pixels, pixels, features + c, channels, sparsity + n, dfeatures + c, strength, scratch);
}

// The same of masks that lie in windows, one after the other in an order of their own.
extern "C" __global__ void __launch_bounds__(THREADS)
    penalty_windowed_readout(const float* mask /* (starts[N]) */, const float* features /* (N, C) */, const u32* starts /* (N + 1) */,
                             const u32* order /* (N) */, float* sparsity /* (N), as masks lie */, float* dfeatures /* (N, C) */,
                             int channels, float strength) {
    __shared__ float scratch[WARPS];
    u32 start = starts[blockIdx.x];
    size_t c = (size_t)order[blockIdx.x] * channels;
    sparse_neuron(mask + start, starts[blockIdx.x + 1] - start, features + c, channels, sparsity + blockIdx.x, dfeatures + c, strength,
                  scratch);
}

// One neuron's part of strength exp(log_norm) (sum |mask|) (sum |features|) + precision log_norm^2.
__device__ __forceinline__ void adaptive_neuron(const float* mask, int pixels, const float* features, int channels, float log_norm,
                                                float* sparsity, float* dfeatures, float* dlog_norm, float strength, float precision,
                                                float* scratch) {
    float own = strength * expf(log_norm);
    float2 sums = sparse_neuron(mask, pixels, features, channels, sparsity, dfeatures, own, scratch);
    if (threadIdx.x == 0) *dlog_norm += own * sums.x * sums.y + 2.0f * precision * log_norm;
}

extern "C" __global__ void __launch_bounds__(THREADS)
    penalty_adaptive(const float* mask /* (N, P) */, const float* features /* (N, C) */, const float* log_norm /* (N) */,
                     float* sparsity /* (N) */, float* dfeatures /* (N, C) */, float* dlog_norm /* (N) */, int pixels, int channels,
                     float strength, float precision) {
    __shared__ float scratch[WARPS];
    size_t n = blockIdx.x, c = n * channels;
    adaptive_neuron(mask + n * pixels, pixels, features + c, channels, log_norm[n], sparsity + n, dfeatures + c, dlog_norm + n, strength,
                    precision, scratch);
}

extern "C" __global__ void __launch_bounds__(THREADS)
    penalty_windowed_adaptive(const float* mask /* (starts[N]) */, const float* features /* (N, C) */, const float* log_norm /* (N) */,
                              const u32* starts /* (N + 1) */, const u32* order /* (N) */, float* sparsity /* (N), as masks lie */,
                              float* dfeatures /* (N, C) */, float* dlog_norm /* (N) */, int channels, float strength,
                              float precision) {
    __shared__ float scratch[WARPS];
    u32 start = starts[blockIdx.x], n = order[blockIdx.x];
    size_t c = (size_t)n * channels;
    adaptive_neuron(mask + start, starts[blockIdx.x + 1] - start, features + c, channels, log_norm[n], sparsity + blockIdx.x,
                    dfeatures + c, dlog_norm + n, strength, precision, scratch);
}

// strength sum v^2.
extern "C" __global__ void __launch_bounds__(THREADS)
    penalty_squares(const float* values /* (n) */, float* gradient /* (n) */, int n, float strength) {
    int i = blockIdx.x * THREADS + threadIdx.x;
    if (i < n) gradient[i] += 2.0f * strength * values[i];
}

// strength sum |v|.
extern "C" __global__ void __launch_bounds__(THREADS)
    penalty_absolutes(const float* values /* (n) */, float* gradient /* (n) */, int n, float strength) {
    int i = blockIdx.x * THREADS + threadIdx.x;
    if (i < n) gradient[i] += strength * sign_of(values[i]);
}
