// The O rotated filters of a steerable layer, the way back, and what else the direct path needs.
//
// W_q = sum_j H_j [R(phi_q) C]_j is linear in C: with T[q][j][tap] = sum_i H_i[tap] R(phi_q)[i][j], a constant table,
// W[(q, g), channel, tap] = sum_j T[q][j][tap] C[j, i, g], where input channel i lies at channel = i + q roll mod n_in.
// Forward, one product per orientation: a block makes 32 taps of 64 filters, lanes along taps. Back, a warp sums over
// orientations and taps for four functions of one column (i, g) of C.
#include "striate.cuh"

#define FILTERS_THREADS 256
#define FILTERS_TAPS 32
#define FILTERS_COLUMNS 64
#define FILTERS_FUNCTIONS 4
#define FILTERS_DEPTH 16

#define WARPS (FILTERS_THREADS / 32)
#define PER_WARP (FILTERS_COLUMNS / WARPS)

extern "C" __global__ void __launch_bounds__(FILTERS_THREADS) filters_rotate(
    const float* table /* (O, M, k k) */, const float* c /* (M, n_in, F_out) */, float* w /* (O F_out, n_in, k k) */,
    int functions, int channels, int features, int taps, int roll) {
    __shared__ float turned[FILTERS_DEPTH][FILTERS_TAPS];
    __shared__ float block[FILTERS_DEPTH][FILTERS_COLUMNS];
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32, q = blockIdx.z;
    int first_tap = blockIdx.x * FILTERS_TAPS, first_column = blockIdx.y * FILTERS_COLUMNS;
    int columns = channels * features;
    float sum[PER_WARP];
#pragma unroll
    for (int i = 0; i < PER_WARP; ++i) sum[i] = 0.0f;
    for (int first = 0; first < functions; first += FILTERS_DEPTH) {
        for (int e = threadIdx.x; e < FILTERS_DEPTH * FILTERS_TAPS; e += FILTERS_THREADS) {
            int j = first + e / FILTERS_TAPS, tap = first_tap + e % FILTERS_TAPS;
            bool inside = j < functions && tap < taps;
            turned[e / FILTERS_TAPS][e % FILTERS_TAPS] = inside ? table[(q * functions + j) * taps + tap] : 0.0f;
        }
        for (int e = threadIdx.x; e < FILTERS_DEPTH * FILTERS_COLUMNS; e += FILTERS_THREADS) {
            int j = first + e / FILTERS_COLUMNS, column = first_column + e % FILTERS_COLUMNS;
            bool inside = j < functions && column < columns;
            block[e / FILTERS_COLUMNS][e % FILTERS_COLUMNS] = inside ? c[(size_t)j * columns + column] : 0.0f;
        }
        __syncthreads();
#pragma unroll
        for (int j = 0; j < FILTERS_DEPTH; ++j) {
            float t = turned[j][lane];
#pragma unroll
            for (int i = 0; i < PER_WARP; ++i) sum[i] = fmaf(t, block[j][warp * PER_WARP + i], sum[i]);
        }
        __syncthreads();
    }
    int tap = first_tap + lane;
#pragma unroll
    for (int i = 0; i < PER_WARP; ++i) {
        int column = first_column + warp * PER_WARP + i;
        if (tap < taps && column < columns) {
            int channel = (column / features + q * roll) % channels, g = column % features;
            w[((size_t)(q * features + g) * channels + channel) * taps + tap] = sum[i];
        }
    }
}

// Adds to dc.
extern "C" __global__ void __launch_bounds__(FILTERS_THREADS) filters_rotate_adjoint(
    const float* table /* (O, M, k k) */, const float* dw /* (O F_out, n_in, k k) */, float* dc /* (M, n_in, F_out) */,
    int orientations, int functions, int channels, int features, int taps, int roll) {
    int lane = threadIdx.x % 32, columns = channels * features;
    int column = blockIdx.x * WARPS + threadIdx.x / 32, first = blockIdx.y * FILTERS_FUNCTIONS;
    bool inside = column < columns;
    int i = inside ? column / features : 0, g = inside ? column % features : 0;
    float sum[FILTERS_FUNCTIONS] = {0.0f, 0.0f, 0.0f, 0.0f};
    for (int e = lane; e < orientations * taps; e += 32) {
        int q = e / taps, tap = e % taps, channel = (i + q * roll) % channels;
        float d = dw[((size_t)(q * features + g) * channels + channel) * taps + tap];
#pragma unroll
        for (int j = 0; j < FILTERS_FUNCTIONS; ++j) {
            int row = min(first + j, functions - 1);
            sum[j] = fmaf(table[(q * functions + row) * taps + tap], d, sum[j]);
        }
    }
#pragma unroll
    for (int j = 0; j < FILTERS_FUNCTIONS; ++j) {
        float total = warp_sum(sum[j]);
        if (lane == j && inside && first + j < functions) dc[(size_t)(first + j) * columns + column] += total;
    }
}

extern "C" __global__ void __launch_bounds__(FILTERS_THREADS) filters_clear(float* w /* (n) */, int n) {
    int i = blockIdx.x * FILTERS_THREADS + threadIdx.x;
    if (i < n) w[i] = 0.0f;
}
