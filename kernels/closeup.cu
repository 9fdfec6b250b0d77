// Images that one neuron sees each: its linear filter, and the frame of the real image within a crop of it. Image b is seen
// by neuron s = seats[b] of G, with filters w (G, I).
//
//   h[b] = bias[s] + sum_i w[s, i] x[b, i],   dx[b, i] = w[s, i]
#include "map.cuh"

#define THREADS 256
// Inputs that a block writes the gradients of.
#define SPAN 2048

extern "C" __global__ void __launch_bounds__(THREADS)
    closeup_forward(const Map* x /* (B, I) */, const u32* seats /* (B) */, const float* filters, const float* bias,
                    float* h /* (B) */, int inputs) {
    __shared__ float scratch[THREADS / 32];
    size_t seat = seats[blockIdx.x];
    const float* w = filters + seat * inputs;
    const Map* map = x + (size_t)blockIdx.x * inputs;
    float sum = 0.0f;
    for (int i = threadIdx.x; i < inputs; i += THREADS) sum += w[i] * load(map + i);
    sum = block_sum<THREADS>(sum, scratch);
    if (threadIdx.x == 0) h[blockIdx.x] = bias[seat] + sum;
}

extern "C" __global__ void __launch_bounds__(THREADS)
    closeup_backward_input(const u32* seats, const float* filters, Map* dx /* (B, I) */, int inputs) {
    const float* w = filters + (size_t)seats[blockIdx.y] * inputs;
    int end = min(inputs, (int)(blockIdx.x + 1) * SPAN);
    for (int i = blockIdx.x * SPAN + threadIdx.x; i < end; i += THREADS) {
        store(dx + ((size_t)blockIdx.y * inputs + i), w[i]);
    }
}

// x[b, i] *= factors[b]
extern "C" __global__ void __launch_bounds__(THREADS)
    closeup_scale(const float* factors, float* x /* (B, I) */, int inputs) {
    float factor = factors[blockIdx.y];
    int end = min(inputs, (int)(blockIdx.x + 1) * SPAN);
    for (int i = blockIdx.x * SPAN + threadIdx.x; i < end; i += THREADS) x[(size_t)blockIdx.y * inputs + i] *= factor;
}

// Zeroes what lies outside of the real image; a frame is its first row, row after the last, first and end column.
extern "C" __global__ void __launch_bounds__(THREADS)
    closeup_clear_outside(const u32* seats, const u32* frames /* (G, 4) */, Map* maps /* (B, C, H, W) */, int channels,
                          int height, int width) {
    const u32* frame = frames + (size_t)seats[blockIdx.x / channels] * 4;
    u32 top = frame[0], bottom = frame[1], left = frame[2], right = frame[3];
    if (top == 0 && left == 0 && bottom == (u32)height && right == (u32)width) return;
    Map* map = maps + (size_t)blockIdx.x * height * width;
    for (int p = threadIdx.x; p < height * width; p += THREADS) {
        u32 row = p / width, column = p % width;
        if (row < top || row >= bottom || column < left || column >= right) store(map + p, 0.0f);
    }
}
