// Matrix fragments by PRECISION, one interface: products over steps of four depth pairs.
//
// Depth goes in pairs of numbers. Of a step, lane (g, t) = (lane / 4, lane % 4) holds pair t: of the left operand for
// rows g and g + 8, of the right operand for column g. TF32 multiplies one step at a time, BF16 two. F32 keeps its numbers as TF32
// does, but has no fragments: who uses these multiplies for himself. Steps come in even numbers.
#pragma once
#include "striate.cuh"

#if PRECISION == BF16
#define STEPS 2
#define LEFT_WORDS 2
#define RIGHT_WORDS 1
#else
#define STEPS 1
#define LEFT_WORDS 4
#define RIGHT_WORDS 2
#endif

// A number as an operand.
__device__ __forceinline__ u32 operand(float v) {
#if PRECISION == TF32
    return to_tf32(v);
#else
    return __float_as_uint(v);
#endif
}

// Puts a lane's pairs of rows g and g + 8 where `load_left` finds them.
__device__ __forceinline__ void store_left(u32* at, float2 upper, float2 lower) {
#if PRECISION == BF16
    *reinterpret_cast<uint2*>(at) = make_uint2(pack_bf16(upper.x, upper.y), pack_bf16(lower.x, lower.y));
#else
    *reinterpret_cast<uint4*>(at) = make_uint4(operand(upper.x), operand(lower.x), operand(upper.y), operand(lower.y));
#endif
}

// STEPS steps, `stride` words apart.
__device__ __forceinline__ void load_left(u32 (&a)[4], const u32* at, int stride) {
#if PRECISION == BF16
    uint2 first = *reinterpret_cast<const uint2*>(at), second = *reinterpret_cast<const uint2*>(at + stride);
    a[0] = first.x, a[1] = first.y, a[2] = second.x, a[3] = second.y;
#else
    uint4 all = *reinterpret_cast<const uint4*>(at);
    a[0] = all.x, a[1] = all.y, a[2] = all.z, a[3] = all.w;
#endif
}

// The right operand's pair as words, to keep in memory.
__device__ __forceinline__ void store_right(u32* at, float first, float second) {
#if PRECISION == BF16
    *at = pack_bf16(first, second);
#else
    *reinterpret_cast<uint2*>(at) = make_uint2(operand(first), operand(second));
#endif
}

__device__ __forceinline__ void load_right(u32 (&b)[2], const u32* at, int stride) {
#if PRECISION == BF16
    b[0] = __ldg(at), b[1] = __ldg(at + stride);
#else
    uint2 pair = __ldg(reinterpret_cast<const uint2*>(at));
    b[0] = pair.x, b[1] = pair.y;
#endif
}

// Each pair (x, y) becomes (-y, x).
__device__ __forceinline__ void turn(u32 (&b)[2]) {
#if PRECISION == BF16
#pragma unroll
    for (int i = 0; i < 2; ++i) b[i] = (b[i] >> 16 | b[i] << 16) ^ 0x8000u;
#else
    u32 first = b[0];
    b[0] = b[1] ^ 0x80000000u, b[1] = first;
#endif
}

#if PRECISION != F32
// d[r][n] += a[r] b[n]
template <int R, int N>
__device__ __forceinline__ void multiply(float (&d)[R][N][4], const u32 (&a)[R][4], const u32 (&b)[N][2]) {
#pragma unroll
    for (int r = 0; r < R; ++r)
#pragma unroll
        for (int n = 0; n < N; ++n)
#if PRECISION == TF32
            mma_tf32(d[r][n], a[r], b[n]);
#else
            mma_bf16(d[r][n], a[r], b[n]);
#endif
}
#endif
