// A map between operations lies in memory as float, or as bf16 where products take bf16. Arithmetic is float32: numbers are
// widened as they are read and rounded to the nearest as they are written.
#pragma once
#include "striate.cuh"

__device__ __forceinline__ float number(float v) { return v; }
__device__ __forceinline__ float load(const float* at) { return *at; }
__device__ __forceinline__ float load_cached(const float* at) { return __ldg(at); }
__device__ __forceinline__ float4 load_four(const float* at) { return *(const float4*)at; }
__device__ __forceinline__ void store(float* at, float v) { *at = v; }
__device__ __forceinline__ void store_four(float* at, float4 v) { *(float4*)at = v; }

#if PRECISION == BF16
struct Map {
    unsigned short bits;  // the upper half of a float
};

__device__ __forceinline__ float low_half(u32 pair) { return __uint_as_float(pair << 16); }
__device__ __forceinline__ float high_half(u32 pair) { return __uint_as_float(pair & 0xffff0000u); }

__device__ __forceinline__ float number(Map v) { return low_half(v.bits); }
__device__ __forceinline__ float load(const Map* at) { return number(*at); }
__device__ __forceinline__ Map load_cached(const Map* at) { return {__ldg(&at->bits)}; }
__device__ __forceinline__ float4 load_four(const Map* at) {
    uint2 pairs = *(const uint2*)at;
    return make_float4(low_half(pairs.x), high_half(pairs.x), low_half(pairs.y), high_half(pairs.y));
}
__device__ __forceinline__ void store(Map* at, float v) { at->bits = (unsigned short)pack_bf16(v, 0.0f); }
__device__ __forceinline__ void store_four(Map* at, float4 v) {
    *(uint2*)at = make_uint2(pack_bf16(v.x, v.y), pack_bf16(v.z, v.w));
}
#else
typedef float Map;
#endif

// Whether every row of a matrix may be read and written in fours.
template <class Number> __device__ __forceinline__ bool in_fours(const Number* matrix, int row_length) {
    return ((u64)matrix & (4 * sizeof(Number) - 1)) == 0 && row_length % 4 == 0;
}
