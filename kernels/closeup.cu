// Images that one neuron sees each: its readout, and the frame of the real image within a crop of it. Image b is seen by
// neuron s = seats[b] of G, with mask (G, P) and features (G, C), both as they count (no absolute value is taken here).
//
//   h[b] = bias[s] + sum_c v[s, c] sum_p m[s, p] x[b, c, p],   dx[b, c, p] = dh[b] v[s, c] m[s, p]
#include "map.cuh"

#define THREADS 256

extern "C" __global__ void __launch_bounds__(THREADS)
    closeup_forward(const Map* x /* (B, C, P) */, const u32* seats /* (B) */, const float* mask, const float* features,
                    const float* bias, float* h /* (B) */, int channels, int pixels) {
    __shared__ float scratch[THREADS / 32];
    size_t seat = seats[blockIdx.x];
    const float* m = mask + seat * pixels;
    const float* v = features + seat * channels;
    const Map* map = x + (size_t)blockIdx.x * channels * pixels;
    float sum = 0.0f;
    for (int c = 0; c < channels; ++c) {
        float inner = 0.0f;
        for (int p = threadIdx.x; p < pixels; p += THREADS) inner += m[p] * load(map + ((size_t)c * pixels + p));
        sum += v[c] * inner;
    }
    sum = block_sum<THREADS>(sum, scratch);
    if (threadIdx.x == 0) h[blockIdx.x] = bias[seat] + sum;
}

extern "C" __global__ void __launch_bounds__(THREADS)
    closeup_backward_input(const u32* seats, const float* mask, const float* features, const float* dh /* (B) */,
                           Map* dx /* (B, C, P) */, int channels, int pixels) {
    int image = blockIdx.x / channels, channel = blockIdx.x % channels;
    size_t seat = seats[image];
    float scale = dh[image] * features[seat * channels + channel];
    for (int p = threadIdx.x; p < pixels; p += THREADS) {
        store(dx + ((size_t)blockIdx.x * pixels + p), scale * mask[seat * pixels + p]);
    }
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
