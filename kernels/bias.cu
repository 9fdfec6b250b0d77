// One bias per channel of maps (B, C, P) and what follows it: z = activation(y + b[c]).
//
// Upwards dy = dz activation'(y + b[c]), in dz's place, and db[c] += sum_{b, p} dy: one block sums one channel.
#include "map.cuh"

#define THREADS 256

// Thread: one number.
extern "C" __global__ void __launch_bounds__(THREADS)
    bias_forward(const Map* y /* (B, C, P) */, const float* bias /* (C) */, Map* z /* (B, C, P) */, int count /* B C P */,
                 int channels, int pixels, int activation) {
    int i = blockIdx.x * THREADS + threadIdx.x;
    if (i < count) store(z + i, activation_value(activation, load(y + i) + bias[i / pixels % channels]));
}

// Block: one channel.
extern "C" __global__ void __launch_bounds__(THREADS)
    bias_backward(const Map* y /* (B, C, P) */, const float* bias /* (C) */, Map* dz /* (B, C, P) */,
                  float* dbias /* (C) */, int batch, int channels, int pixels, int activation) {
    __shared__ float scratch[THREADS / 32];
    int c = blockIdx.x;
    float b = bias[c], sum = 0.0f;
    for (int i = threadIdx.x; i < batch * pixels; i += THREADS) {
        int at = (i / pixels * channels + c) * pixels + i % pixels;
        float d = load(dz + at) * activation_slope(activation, load(y + at) + b);
        store(dz + at, d);
        sum += d;
    }
    sum = block_sum<THREADS>(sum, scratch);
    if (threadIdx.x == 0) dbias[c] += sum;
}

// Thread: one number.
extern "C" __global__ void __launch_bounds__(THREADS)
    bias_backward_input(const Map* y /* (B, C, P) */, const float* bias /* (C) */, Map* dz /* (B, C, P) */,
                        int count /* B C P */, int channels, int pixels, int activation) {
    int i = blockIdx.x * THREADS + threadIdx.x;
    if (i < count)
        store(dz + i, load(dz + i) * activation_slope(activation, load(y + i) + bias[i / pixels % channels]));
}
