// Copies rows: out[i, ..] = source[rows[i], ..]. A block copies one piece of one row, four numbers at a time where rows
// start on 16 bytes. Which rows may be written in a table with a line per step, of which line `step` counts.
#include "striate.cuh"

#define THREADS 256
#define PIECE 2048  // numbers of a row per block

__device__ __forceinline__ void copy_piece(const float* source, u32 row, float* out, int width) {
    const float* from = source + (size_t)row * width;
    float* to = out + (size_t)blockIdx.x * width;
    int first = blockIdx.y * PIECE, last = min(first + PIECE, width);
    if (width % 4 == 0 && (((size_t)from | (size_t)to) & 15) == 0) {
        for (int i = first / 4 + threadIdx.x; i < last / 4; i += THREADS) ((float4*)to)[i] = ((const float4*)from)[i];
    } else {
        for (int i = first + threadIdx.x; i < last; i += THREADS) to[i] = from[i];
    }
}

extern "C" __global__ void __launch_bounds__(THREADS)
    gather_rows(const float* source /* (R, width) */, const u32* rows /* (n) */, float* out /* (n, width) */, int width) {
    copy_piece(source, rows[blockIdx.x], out, width);
}

extern "C" __global__ void __launch_bounds__(THREADS)
    gather_scheduled_rows(const float* source /* (R, width) */, const u32* rows /* (K, n) */, const u32* step /* (1) */,
                          float* out /* (n, width) */, int width) {
    copy_piece(source, rows[(size_t)step[0] * gridDim.x + blockIdx.x], out, width);
}
