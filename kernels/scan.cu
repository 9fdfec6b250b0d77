// A neuron's mask moved over what its features make of a canvas: the response at every place of the stimulus, and the best.
//
//   r[b, n, place] = sum_i m[n, i] (g[b, n, p_i - place] - blank[n]),  0 where p_i - place lies outside of g's window
//
// A mask is a list of pixels (row << 16 | column) and weights; starts[n] .. starts[n + 1] are neuron n's. Places are a
// rectangle, numbered down its columns; of equal responses the first counts. Offsets are those of
// the first place and of the window together. Block: one neuron and one canvas.
#include "map.cuh"

#define THREADS 128
#define LIST 512      // pixels of a mask held at once
#define ORIGIN 65536  // added to offsets, which may be negative

extern "C" __global__ void __launch_bounds__(THREADS)
    scan_best(const Map* g /* (B, N, H, W) */, const float* blank /* (N) */, const u32* starts /* (N + 1) */,
              const u32* pixels, const float* weights, float* sums /* (B, N, places) */, float* values /* (B, N) */,
              u32* at /* (B, N) */, int neurons, int height, int width, int row_offset, int rows, int column_offset,
              int columns) {
    __shared__ u32 pixel[LIST];
    __shared__ float weight[LIST];
    __shared__ float best_value[THREADS];
    __shared__ u32 best_at[THREADS];
    int n = blockIdx.x, places = rows * columns;
    size_t pair = (size_t)blockIdx.y * neurons + n;
    const Map* window = g + pair * height * width;
    float* sum = sums + pair * places;
    float base = blank[n];
    u32 first = starts[n], end = starts[n + 1];
    for (int place = threadIdx.x; place < places; place += THREADS) sum[place] = 0.0f;
    for (u32 from = first; from < end; from += LIST) {
        int count = min((int)(end - from), LIST);
        __syncthreads();
        for (int i = threadIdx.x; i < count; i += THREADS) {
            pixel[i] = pixels[from + i];
            weight[i] = weights[from + i];
        }
        __syncthreads();
        for (int place = threadIdx.x; place < places; place += THREADS) {
            int y = place % rows + row_offset - ORIGIN, x = place / rows + column_offset - ORIGIN;
            float r = sum[place];
            for (int i = 0; i < count; ++i) {
                u32 row = (pixel[i] >> 16) - y, column = (pixel[i] & 0xffffu) - x;
                if (row < (u32)height && column < (u32)width) r += weight[i] * (load(window + (row * width + column)) - base);
            }
            sum[place] = r;
        }
    }
    float value = -3.402823466e38f;
    u32 where = 0;
    for (int place = threadIdx.x; place < places; place += THREADS) {
        if (sum[place] > value) {
            value = sum[place];
            where = place;
        }
    }
    best_value[threadIdx.x] = value;
    best_at[threadIdx.x] = where;
    __syncthreads();
    for (int step = THREADS / 2; step > 0; step /= 2) {
        if (threadIdx.x < step) {
            float other = best_value[threadIdx.x + step];
            u32 there = best_at[threadIdx.x + step];
            if (other > best_value[threadIdx.x] || (other == best_value[threadIdx.x] && there < best_at[threadIdx.x])) {
                best_value[threadIdx.x] = other;
                best_at[threadIdx.x] = there;
            }
        }
        __syncthreads();
    }
    if (threadIdx.x == 0) {
        values[pair] = best_value[0];
        at[pair] = best_at[0];
    }
}
