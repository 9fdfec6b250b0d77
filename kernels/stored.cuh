// Numbers that products read many times, as the precision wants them: in global memory, rounded once.
//
// A stored row has zeros up to a whole multiple of WHOLE numbers, so that a product has no tail. In BF16 two neighbours share a
// word, the first in the low half.
#pragma once
#include "map.cuh"

constexpr int WHOLE = 32;

__device__ __forceinline__ int filled_up(int length) { return (length + WHOLE - 1) / WHOLE * WHOLE; }

// Words of a stored row of `length` numbers.
__device__ __forceinline__ int stored_words(int length) { return filled_up(length) / (PRECISION == BF16 ? 2 : 1); }

// A number of a stored row; BF16 rounds as it stores.
__device__ __forceinline__ float rounded(float v) {
#if PRECISION == TF32
    return __uint_as_float(to_tf32(v));
#else
    return v;
#endif
}
