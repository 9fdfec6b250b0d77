// What every kernel may use. Two compilers read it: NVRTC, and g++ for the emulator, which brings its own versions of
// what the hardware does (threads, barriers, shuffles, matrix fragments).
//
// House rules: one-dimensional blocks, static shared memory or one DYNAMIC_SHARED, one writer per element, no float atomics, a
// fixed order of every sum. Kernels are `extern "C" __global__ void __launch_bounds__(THREADS) name(...)`; build.rs reads
// signatures and integer `#define`s and writes them as Rust. A file that mentions PRECISION is compiled once per precision, but
// those that a `static_assert(PRECISION != F32`, `== TF32` or `== BF16` of its own excludes; one with a `static_assert(HOPPER`
// for Hopper alone.
#pragma once

#define F32 0   // float32 multiply-adds
#define TF32 1  // tensor cores, operands rounded to 10 mantissa bits, float32 sums
#define BF16 2  // tensor cores, operands rounded to 7 mantissa bits, float32 sums
#ifndef PRECISION
#define PRECISION F32
#endif

typedef unsigned int u32;
typedef unsigned long long u64;

#ifdef __CUDACC__

// Whether this is code of Hopper's own, sm_90a.
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
#define HOPPER 1
#else
#define HOPPER 0
#endif

// Nearest TF32 number, as its bits.
__device__ __forceinline__ u32 to_tf32(float v) {
    u32 bits;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(v));
    return bits;
}

// Two nearest bf16 numbers, the first in the low half.
__device__ __forceinline__ u32 pack_bf16(float low, float high) {
    u32 bits;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(bits) : "f"(high), "f"(low));
    return bits;
}

// d += a b, a (16, 8), b (8, 8), TF32. With g = lane / 4 and t = lane % 4 a lane holds
// a: (g, t) (g + 8, t) (g, t + 4) (g + 8, t + 4); b: (t, g) (t + 4, g); d: (g, 2t) (g, 2t + 1) (g + 8, 2t) (g + 8, 2t + 1).
__device__ __forceinline__ void mma_tf32(float (&d)[4], const u32 (&a)[4], const u32 (&b)[2]) {
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// d += a b, a (16, 16), b (16, 8), bf16; each word holds two neighbours along k. With g and t as above
// a: (g, 2t..) (g + 8, 2t..) (g, 2t + 8..) (g + 8, 2t + 8..); b: (2t.., g) (2t + 8.., g); d as above.
__device__ __forceinline__ void mma_bf16(float (&d)[4], const u32 (&a)[4], const u32 (&b)[2]) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// The same number, of which the compiler knows nothing: what is made of it is made anew, not kept in registers.
__device__ __forceinline__ int opaque(int v) {
    asm volatile("" : "+r"(v));
    return v;
}

// A pair of bf16 numbers by a pair.
__device__ __forceinline__ u32 multiply_pairs(u32 a, u32 b) {
    u32 product;
    asm("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(product) : "r"(a), "r"(b), "r"(0x80008000u));
    return product;
}

// Where it lies in shared memory, in bytes.
__device__ __forceinline__ u32 shared_address(const void* at) { return (u32)__cvta_generic_to_shared(at); }

// 8 x 8 matrices of 16-bit numbers from shared memory, r[i] of matrix i; lane 8 i + j says where row j of matrix i begins, 16
// bytes of it. A lane gets (g, 2t..), so of words the one at (g, t); turned: (2t, g) and (2t + 1, g).
__device__ __forceinline__ void load_matrices(u32 (&r)[4], const void* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(shared_address(row))
                 : "memory");
}
__device__ __forceinline__ void load_matrices_turned(u32 (&r)[4], const void* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(shared_address(row))
                 : "memory");
}

// Begins to copy 16 bytes of global memory to shared memory, or zeros if not `inside`. `reused`: through the first cache.
__device__ __forceinline__ void begin_copy(void* to, const void* from, bool inside, bool reused = false) {
    u32 at = shared_address(to), bytes = inside ? 16 : 0;
    if (reused) {
        asm volatile("cp.async.ca.shared.global [%0], [%1], 16, %2;" ::"r"(at), "l"(from), "r"(bytes) : "memory");
    } else {
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(at), "l"(from), "r"(bytes) : "memory");
    }
}
// What this thread began to copy since it last closed a group is one.
__device__ __forceinline__ void close_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Waits for all of this thread's groups but the last LEFT; other threads see them behind the next barrier.
template <int LEFT> __device__ __forceinline__ void wait_for_copies() {
    asm volatile("cp.async.wait_group %0;" ::"n"(LEFT) : "memory");
}

// More shared memory than may be static, at a multiple of 1024 bytes: up to 99 KiB, which every card from sm_80 on has, in code of
// Hopper's own 227. At the head of a kernel's body, with an integer `#define` as its size; the launch asks for it.
#define DYNAMIC_SHARED(name, words) extern __shared__ __align__(1024) uint4 name##_memory[]; u32* name = (u32*)name##_memory

// 2^v, log2(v) and 1 / v of the special function unit, one instruction each: off by less than 2^-22, relatively, of log2 near 1
// absolutely; numbers below 2^-126 count as 0.
__device__ __forceinline__ float fast_exp2(float v) {
    float r;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(v));
    return r;
}
__device__ __forceinline__ float fast_log2(float v) {
    float r;
    asm("lg2.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(v));
    return r;
}
__device__ __forceinline__ float fast_reciprocal(float v) {
    float r;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(v));
    return r;
}

#endif

#define ALL_LANES 0xffffffffu

// Sum over the lanes of a warp, the same bits in every lane.
__device__ __forceinline__ float warp_sum(float v) {
#pragma unroll
    for (int step = 16; step > 0; step /= 2) v += __shfl_xor_sync(ALL_LANES, v, step);
    return v;
}

// Sum over a block of THREADS threads, in every thread; `scratch` holds one number per warp and is free again afterwards.
template <int THREADS> __device__ __forceinline__ float block_sum(float v, float* scratch) {
    v = warp_sum(v);
    if (threadIdx.x % 32 == 0) scratch[threadIdx.x / 32] = v;
    __syncthreads();
    float total = 0.0f;
#pragma unroll
    for (int w = 0; w < THREADS / 32; ++w) total += scratch[w];
    __syncthreads();
    return total;
}

// What follows a layer's normalisation; the codes are `Activation::code`.
#define SOFTPLUS 0
#define RELU 1
#define NO_ACTIVATION 2

__device__ __forceinline__ float softplus(float x) { return fmaxf(x, 0.0f) + log1pf(expf(-fabsf(x))); }

__device__ __forceinline__ float sigmoid(float x) {
    float e = expf(-fabsf(x));
    float larger = 1.0f / (1.0f + e);
    return x >= 0.0f ? larger : e * larger;
}

// The same to 1e-5, relatively, down to -80, in a quarter of the instructions: for maps, whose passes must keep up with memory.
__device__ __forceinline__ float fast_softplus(float x) {
    float e = fast_exp2(-1.44269504f * fabsf(x));
    // The sum 1 + e loses what a small e has.
    float series = e * fmaf(e, fmaf(e, fmaf(e, -0.25f, 0.333333333f), -0.5f), 1.0f);
    float logarithm = 0.693147181f * fast_log2(1.0f + e);
    return fmaxf(x, 0.0f) + (e < 0.03125f ? series : logarithm);
}

__device__ __forceinline__ float fast_sigmoid(float x) {
    float e = fast_exp2(-1.44269504f * fabsf(x));
    float larger = fast_reciprocal(1.0f + e);
    return x >= 0.0f ? larger : e * larger;
}

__device__ __forceinline__ float activation_value(int code, float x) {
    if (code == SOFTPLUS) return fast_softplus(x);
    if (code == RELU) return x < 0.0f ? 0.0f : x;
    return x;
}

__device__ __forceinline__ float activation_slope(int code, float x) {
    if (code == SOFTPLUS) return fast_sigmoid(x);
    if (code == RELU) return x > 0.0f ? 1.0f : 0.0f;
    return 1.0f;
}

// -1, 0 or 1: the derivative of |v|, taken as 0 at 0.
__device__ __forceinline__ float sign_of(float v) { return v > 0.0f ? 1.0f : (v < 0.0f ? -1.0f : 0.0f); }
