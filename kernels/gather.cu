// Picks rows: a batch of images or responses out of all that lie on the device. See src/ops/gather.rs.
#include "striate.cuh"

#define THREADS 256

extern "C" __global__ void __launch_bounds__(THREADS)
gather_rows(const float* source /* (R, width) */, const u32* rows /* (B) */, float* out /* (B, width) */, int width) {
    const float* from = source + static_cast<size_t>(rows[blockIdx.y]) * width;
    float* to = out + static_cast<size_t>(blockIdx.y) * width;
    for (int i = blockIdx.x * THREADS + threadIdx.x; i < width; i += gridDim.x * THREADS) to[i] = from[i];
}
