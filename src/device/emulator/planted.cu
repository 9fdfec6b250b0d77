// Faults that the emulator must see, and what it must run; for its own tests only.
#include "striate.cuh"

#define PLANTED_THREADS 64

// Element i + 1 guarded as if it were i.
extern "C" __global__ void __launch_bounds__(PLANTED_THREADS) planted_write_past_the_end(float* y, int n) {
    int i = blockIdx.x * PLANTED_THREADS + threadIdx.x;
    if (i <= n) y[i] = 1.0f;
}

extern "C" __global__ void __launch_bounds__(PLANTED_THREADS) planted_two_blocks_one_element(float* y) {
    if (threadIdx.x == 0) y[0] = static_cast<float>(blockIdx.x + 1);
}

extern "C" __global__ void __launch_bounds__(PLANTED_THREADS) planted_leave_before_a_barrier(float* y, int n) {
    if (static_cast<int>(threadIdx.x) >= n) return;
    __syncthreads();
    y[threadIdx.x] = 1.0f;
}

extern "C" __global__ void __launch_bounds__(PLANTED_THREADS) planted_half_a_warp_exchanges(float* y) {
    float v = 1.0f;
    if (threadIdx.x % 32 < 16) v = __shfl_xor_sync(ALL_LANES, v, 1);
    y[threadIdx.x] = v;
}

extern "C" __global__ void __launch_bounds__(PLANTED_THREADS) planted_two_barriers_for_one(float* y) {
    if (threadIdx.x < 32) {
        __syncthreads();
    } else {
        __syncthreads();
    }
    y[threadIdx.x] = 1.0f;
}

// Reads what its neighbour writes, without a barrier between.
extern "C" __global__ void __launch_bounds__(PLANTED_THREADS) planted_missing_barrier(float* y) {
    __shared__ float line[PLANTED_THREADS];
    line[threadIdx.x] = static_cast<float>(threadIdx.x);
    y[threadIdx.x] = line[(threadIdx.x + 1) % PLANTED_THREADS];
}

extern "C" __global__ void __launch_bounds__(PLANTED_THREADS) planted_read_past_the_end(const float* x, float* y, int n) {
    if (static_cast<int>(threadIdx.x) < n) y[threadIdx.x] = x[threadIdx.x + 1];
}

// Four numbers at once, wherever they lie.
extern "C" __global__ void __launch_bounds__(PLANTED_THREADS) planted_wide_load(const float* x, float* y) {
    if (threadIdx.x == 0) y[0] = reinterpret_cast<const float4*>(x)->w;
}

// Copies two groups, waits for one, and reads both.
extern "C" __global__ void __launch_bounds__(PLANTED_THREADS)
planted_wait_for_half(const float* x /* (2, THREADS, 4) */, float* y /* (2, THREADS) */) {
    __shared__ float4 lines[2][PLANTED_THREADS];
    for (int i = 0; i < 2; ++i) {
        begin_copy(&lines[i][threadIdx.x], x + 4 * (i * PLANTED_THREADS + threadIdx.x), true);
        close_copies();
    }
    wait_for_copies<1>();
    __syncthreads();
    for (int i = 0; i < 2; ++i) y[i * PLANTED_THREADS + threadIdx.x] = lines[i][(threadIdx.x + 1) % PLANTED_THREADS].y;
}

// What a lane gets of four matrices that hold 0, 1, 2 ..
extern "C" __global__ void __launch_bounds__(32) planted_matrices(u32* y /* (32, 2, 4) */) {
    __shared__ uint4 rows[32];
    u32 first = 8 * threadIdx.x, pair = first | first + 1 << 16;
    rows[threadIdx.x] = make_uint4(pair, pair + 0x20002, pair + 0x40004, pair + 0x60006);
    __syncthreads();
    u32 along[4], turned[4];
    load_matrices(along, rows + threadIdx.x);
    load_matrices_turned(turned, rows + threadIdx.x);
    for (int i = 0; i < 4; ++i) y[threadIdx.x * 8 + i] = along[i], y[threadIdx.x * 8 + 4 + i] = turned[i];
}

// One product a (16, k) b (k, 8), k = 8 for TF32 and 16 for bf16, one warp per block.
extern "C" __global__ void __launch_bounds__(32) planted_product(const float* a /* (16, k) */, const float* b /* (k, 8) */, float* d /* (16, 8) */) {
    int g = threadIdx.x / 4, t = threadIdx.x % 4;
    float sum[4] = {0.0f, 0.0f, 0.0f, 0.0f};
#if PRECISION == TF32
    u32 of_a[4] = {to_tf32(a[g * 8 + t]), to_tf32(a[(g + 8) * 8 + t]), to_tf32(a[g * 8 + t + 4]), to_tf32(a[(g + 8) * 8 + t + 4])};
    u32 of_b[2] = {to_tf32(b[t * 8 + g]), to_tf32(b[(t + 4) * 8 + g])};
    mma_tf32(sum, of_a, of_b);
#else
    u32 of_a[4], of_b[2];
    for (int half = 0; half < 2; ++half) {
        int k = 2 * t + 8 * half;
        of_a[2 * half] = pack_bf16(a[g * 16 + k], a[g * 16 + k + 1]);
        of_a[2 * half + 1] = pack_bf16(a[(g + 8) * 16 + k], a[(g + 8) * 16 + k + 1]);
        of_b[half] = pack_bf16(b[k * 8 + g], b[(k + 1) * 8 + g]);
    }
    mma_bf16(sum, of_a, of_b);
#endif
    for (int i = 0; i < 4; ++i) d[(g + 8 * (i / 2)) * 8 + 2 * t + i % 2] = sum[i];
}
