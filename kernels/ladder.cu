// For those who learn: the readout's and the convolution's forward pass, first as the formula stands, then with tiles in shared
// memory. The next steps, sums in registers, loads ahead of their use and tensor cores, are product.cuh. Benches compare them all.
#include "striate.cuh"

#define THREADS 256
#define SIDE 16    // of a block's square of outputs
#define WIDEST 33  // filter that ladder_conv_tiled takes
#define HALO 48    // SIDE + WIDEST - 1

// Thread: one output. Every product costs two reads of global memory.
extern "C" __global__ void __launch_bounds__(THREADS)
ladder_readout_plain(const float* x /* (B, C, P) */, const float* mask /* (N, P) */, const float* features /* (N, C) */,
                     const float* bias /* (N) */, float* h /* (B, N) */, int batch, int channels, int pixels, int neurons,
                     int positive) {
    int i = blockIdx.x * THREADS + threadIdx.x;
    if (i >= batch * neurons) return;
    int b = i / neurons, n = i % neurons;
    float sum = bias[n];
    for (int c = 0; c < channels; ++c) {
        const float* map = x + (size_t)(b * channels + c) * pixels;
        float t = 0.0f;
        for (int p = 0; p < pixels; ++p) t += fabsf(mask[(size_t)n * pixels + p]) * map[p];
        float v = features[n * channels + c];
        sum += (positive ? fabsf(v) : v) * t;
    }
    h[i] = sum;
}

// Block: SIDE neurons of one image; thread: one neuron and every SIDEth channel. What a block reads, SIDE threads share.
extern "C" __global__ void __launch_bounds__(THREADS)
ladder_readout_tiled(const float* x /* (B, C, P) */, const float* mask /* (N, P) */, const float* features /* (N, C) */,
                     const float* bias /* (N) */, float* h /* (B, N) */, int channels, int pixels, int neurons,
                     int positive) {
    __shared__ float maps[SIDE][SIDE + 1], masks[SIDE][SIDE + 1];  // one more column: no two rows in one bank
    int tx = threadIdx.x % SIDE, ty = threadIdx.x / SIDE, b = blockIdx.y, first = blockIdx.x * SIDE, n = first + tx;
    float sum = 0.0f;
    for (int c = ty; c - ty < channels; c += SIDE) {
        float t = 0.0f;
        for (int p0 = 0; p0 < pixels; p0 += SIDE) {
            int p = p0 + tx;
            maps[ty][tx] = c < channels && p < pixels ? x[((size_t)b * channels + c) * pixels + p] : 0.0f;
            masks[ty][tx] = first + ty < neurons && p < pixels ? fabsf(mask[(size_t)(first + ty) * pixels + p]) : 0.0f;
            __syncthreads();
            for (int i = 0; i < SIDE; ++i) t += maps[ty][i] * masks[tx][i];
            __syncthreads();
        }
        if (c < channels && n < neurons) {
            float v = features[n * channels + c];
            sum += (positive ? fabsf(v) : v) * t;
        }
    }
    maps[ty][tx] = sum;
    __syncthreads();
    if (ty == 0 && n < neurons) {
        float total = bias[n];
        for (int i = 0; i < SIDE; ++i) total += maps[i][tx];
        h[(size_t)b * neurons + n] = total;
    }
}

// Thread: one output.
extern "C" __global__ void __launch_bounds__(THREADS)
ladder_conv_plain(const float* x /* (B, C_in, H, W) */, const float* w /* (C_out, C_in, k, k) */,
                  float* y /* (B, C_out, H', W') */, int batch, int in_channels, int out_channels, int height, int width,
                  int kernel, int padding) {
    int out_height = height + 2 * padding + 1 - kernel, out_width = width + 2 * padding + 1 - kernel;
    int index = blockIdx.x * THREADS + threadIdx.x;
    if (index >= batch * out_channels * out_height * out_width) return;
    int j = index % out_width, i = index / out_width % out_height;
    int o = index / (out_width * out_height) % out_channels, b = index / (out_width * out_height * out_channels);
    float sum = 0.0f;
    for (int c = 0; c < in_channels; ++c)
        for (int u = 0; u < kernel; ++u)
            for (int v = 0; v < kernel; ++v) {
                int row = i + u - padding, col = j + v - padding;
                if (row < 0 || row >= height || col < 0 || col >= width) continue;
                sum += w[((o * in_channels + c) * kernel + u) * kernel + v] *
                       x[((size_t)(b * in_channels + c) * height + row) * width + col];
            }
    y[index] = sum;
}

// Block: SIDE x SIDE pixels of one map of y. Of each map of x it reads the pixels under its windows once.
extern "C" __global__ void __launch_bounds__(THREADS)
ladder_conv_tiled(const float* x /* (B, C_in, H, W) */, const float* w /* (C_out, C_in, k, k) */,
                  float* y /* (B, C_out, H', W') */, int in_channels, int out_channels, int height, int width, int kernel,
                  int padding) {
    __shared__ float halo[HALO * HALO];
    int out_height = height + 2 * padding + 1 - kernel, out_width = width + 2 * padding + 1 - kernel;
    int across = (out_width + SIDE - 1) / SIDE, side = SIDE + kernel - 1, o = blockIdx.y, b = blockIdx.z;
    int top = blockIdx.x / across * SIDE, left = blockIdx.x % across * SIDE;
    int tx = threadIdx.x % SIDE, ty = threadIdx.x / SIDE, i = top + ty, j = left + tx;
    float sum = 0.0f;
    for (int c = 0; c < in_channels; ++c) {
        const float* map = x + ((size_t)b * in_channels + c) * height * width;
        for (int at = threadIdx.x; at < side * side; at += THREADS) {
            int row = top + at / side - padding, col = left + at % side - padding;
            bool inside = row >= 0 && row < height && col >= 0 && col < width;
            halo[at] = inside ? map[row * width + col] : 0.0f;
        }
        __syncthreads();
        const float* filter = w + (size_t)(o * in_channels + c) * kernel * kernel;
        for (int u = 0; u < kernel; ++u)
            for (int v = 0; v < kernel; ++v) sum += filter[u * kernel + v] * halo[(ty + u) * side + tx + v];
        __syncthreads();
    }
    if (i < out_height && j < out_width) y[(((size_t)b * out_channels + o) * out_height + i) * out_width + j] = sum;
}
