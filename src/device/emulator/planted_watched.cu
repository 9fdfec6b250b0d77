// Races that the emulator must see where it watches, their twins that are none, and accesses whose cost is known; for its own tests.
#include "striate.cuh"

#define WATCHED_THREADS 64

// Reads what a thread of another warp wrote, across a barrier or not.
extern "C" __global__ void __launch_bounds__(WATCHED_THREADS) watched_across_warps(float* y, int barrier) {
    __shared__ float line[WATCHED_THREADS];
    line[threadIdx.x] = 1.0f;
    if (barrier) __syncthreads();
    y[threadIdx.x] = line[(threadIdx.x + 32) % WATCHED_THREADS];
}

// The same within a warp: 0 nothing between, 1 a shuffle, which orders no memory, 2 __syncwarp.
extern "C" __global__ void __launch_bounds__(WATCHED_THREADS) watched_within_a_warp(float* y, int between) {
    __shared__ float line[WATCHED_THREADS];
    line[threadIdx.x] = 1.0f;
    if (between == 1) __shfl_sync(ALL_LANES, 1.0f, 0);
    if (between == 2) __syncwarp();
    y[threadIdx.x] = line[threadIdx.x ^ 1];
}

// Writes anew what others may still read, with the number that is there.
extern "C" __global__ void __launch_bounds__(WATCHED_THREADS) watched_writes_too_early(float* y, int barrier) {
    __shared__ float line[WATCHED_THREADS];
    line[threadIdx.x] = 1.0f;
    __syncthreads();
    y[threadIdx.x] = line[(threadIdx.x + 32) % WATCHED_THREADS];
    if (barrier) __syncthreads();
    line[threadIdx.x] = 1.0f;
}

// All threads write one number, or one does.
extern "C" __global__ void __launch_bounds__(WATCHED_THREADS) watched_same_number(float* y, int writers) {
    __shared__ float one;
    if (threadIdx.x % 32 == 0 && threadIdx.x / 32 < writers) one = 1.0f;
    __syncthreads();
    y[threadIdx.x] = one;
}

// Copies and reads its own: 0 without a wait, 1 behind it; 2 another thread's behind the wait alone, 3 behind a barrier too; 4 copies
// there again, while others read; 5 behind one more barrier.
extern "C" __global__ void __launch_bounds__(WATCHED_THREADS)
watched_copies(const float* x /* (THREADS, 4) */, float* y /* (THREADS) */, int how) {
    __shared__ float4 lines[WATCHED_THREADS];
    begin_copy(lines + threadIdx.x, x + 4 * threadIdx.x, true);
    close_copies();
    if (how > 0) wait_for_copies<0>();
    if (how > 2) __syncthreads();
    y[threadIdx.x] = lines[how < 2 ? threadIdx.x : (threadIdx.x + 32) % WATCHED_THREADS].x;
    if (how > 4) __syncthreads();
    if (how < 4) return;
    begin_copy(lines + threadIdx.x, x + 4 * threadIdx.x, true);
    close_copies();
    wait_for_copies<0>();
}

// Every block touches number 0: 0 all read it, 1 the last writes what it reads, 2 all write it.
extern "C" __global__ void __launch_bounds__(WATCHED_THREADS) watched_blocks(float* y, float* z, int how) {
    if (threadIdx.x > 0) return;
    z[blockIdx.x] = y[0];
    if (how == 2 || (how == 1 && blockIdx.x == gridDim.x - 1)) y[0] = 1.0f;
}

// Reads and writes of one word, `stride` words apart.
extern "C" __global__ void __launch_bounds__(WATCHED_THREADS) watched_words(const float* x, float* y, int stride) {
    __shared__ float line[33 * WATCHED_THREADS];
    line[threadIdx.x * stride] = x[threadIdx.x * stride];
    __syncthreads();
    y[threadIdx.x] = line[threadIdx.x * stride];
}

// The same of four words at once.
extern "C" __global__ void __launch_bounds__(WATCHED_THREADS) watched_fours(const float* x, float* y, int stride) {
    __shared__ float4 line[33 * WATCHED_THREADS];
    line[threadIdx.x * stride] = __ldg((const float4*)x + threadIdx.x * stride);
    __syncthreads();
    float4 v = line[threadIdx.x * stride];
    ((float4*)y)[threadIdx.x] = make_float4(v.w, v.z, v.y, v.x);
}

// Half of the lanes leave out the first of two reads: the second is one access all the same, behind an exchange.
extern "C" __global__ void __launch_bounds__(WATCHED_THREADS) watched_half_a_warp(const float* x, float* y) {
    float sum = 0.0f;
    for (int i = 0; i < 2; ++i) {
        if (i == 1 || threadIdx.x % 2) sum += x[i * WATCHED_THREADS + threadIdx.x];
        __syncwarp();
    }
    y[threadIdx.x] = sum;
}
