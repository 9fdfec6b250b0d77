// A mixing weight is a sum over two functions and all input orientations of coefficients.
#pragma once
#include "striate.cuh"

// Two neighbours: row `pair` of `factors` (pairs, 2, 2, O) and `functions` (pairs, 2, 2), and c[(function O + s) size].
__device__ __forceinline__ float2 mixing_weights(const float* factors, const u32* functions, const float* c, int pair, int orientations,
                                                 int size) {
    float sums[2] = {0.0f, 0.0f};
#pragma unroll
    for (int e = 0; e < 2; ++e)
        for (int i = 0; i < 2; ++i) {
            int term = (pair * 2 + e) * 2 + i;
            size_t block = (size_t)functions[term] * orientations;
            for (int s = 0; s < orientations; ++s)
                sums[e] = fmaf(factors[term * orientations + s], c[(block + s) * size], sums[e]);
        }
    return make_float2(sums[0], sums[1]);
}
