// Max pooling of maps: y[b, c, i, j] = max_{u, v < size} x[b, c, stride i + u, stride j + v].
//
// Windows lie inside the map. Of equal numbers the first in row-major order counts, and NaN counts as larger than any number.
// The gradient at a pixel is gathered from the windows that hold it: each looks again where its largest number lies.
#include "map.cuh"

#define THREADS 256

// Where in its plane the largest number of the window at (top, left) lies.
__device__ __forceinline__ int largest(const Map* plane, int top, int left, int width, int size) {
    int best = top * width + left;
    float most = load(plane + best);
#pragma unroll 1  // else registers spill
    for (int u = 0; u < size; ++u) {
#pragma unroll 1
        for (int v = 0; v < size; ++v) {
            int at = (top + u) * width + left + v;
            float x = load(plane + at);
            if (x > most || (x != x && most == most)) best = at, most = x;
        }
    }
    return best;
}

// Thread: one number of y.
extern "C" __global__ void __launch_bounds__(THREADS)
    pool_forward(const Map* x /* (B, C, H, W) */, Map* y /* (B, C, H', W') */, int count /* B C H' W' */, int height,
                 int width, int out_height, int out_width, int size, int stride) {
    int i = blockIdx.x * THREADS + threadIdx.x;
    if (i >= count) return;
    int row = i / out_width % out_height, col = i % out_width;
    const Map* plane = x + (size_t)(i / (out_height * out_width)) * height * width;
    store(y + i, load(plane + largest(plane, row * stride, col * stride, width, size)));
}

// Thread: one number of dx.
extern "C" __global__ void __launch_bounds__(THREADS)
    pool_backward(const Map* x /* (B, C, H, W) */, const Map* dy /* (B, C, H', W') */, Map* dx /* (B, C, H, W) */,
                  int count /* B C H W */, int height, int width, int out_height, int out_width, int size, int stride) {
    int i = blockIdx.x * THREADS + threadIdx.x;
    if (i >= count) return;
    int pixels = height * width, plane = i / pixels, pixel = i % pixels;
    int row = pixel / width, col = pixel % width;
    const Map* own = x + (size_t)plane * pixels;
    const Map* gradient = dy + (size_t)plane * out_height * out_width;
    // The first and the last window that hold this row, this column.
    int top = row < size ? 0 : (row - size) / stride + 1, bottom = min(row / stride, out_height - 1);
    int left = col < size ? 0 : (col - size) / stride + 1, right = min(col / stride, out_width - 1);
    float sum = 0.0f;
#pragma unroll 1
    for (int r = top; r <= bottom; ++r) {
#pragma unroll 1
        for (int c = left; c <= right; ++c) {
            if (largest(own, r * stride, c * stride, width, size) == pixel) sum += load(gradient + r * out_width + c);
        }
    }
    store(dx + i, sum);
}
