// How a product's results reach maps: in runs of neighbours, stored at once where the rows of the map allow it.
#pragma once
#include "map.cuh"

// Neighbouring results of a row, as a map takes them: whole 32-byte sectors from the four lanes that share the row.
#if PRECISION == BF16
constexpr int RUN = 8;

struct Run {
    u32 pairs[4];

    // Of the pairs 8 i + 2 t.. that lane t of four holds, those from 8 t on: in two exchanges, of halves and of quarters.
    __device__ __forceinline__ explicit Run(const u32 (&own)[4]) {
        bool upper = threadIdx.x & 2, odd = threadIdx.x & 1;
        u32 half[4];
#pragma unroll
        for (int i = 0; i < 2; ++i) {
            u32 other = __shfl_xor_sync(ALL_LANES, upper ? own[i] : own[i + 2], 2);
            half[2 * i] = upper ? other : own[i];
            half[2 * i + 1] = upper ? own[i + 2] : other;
        }
#pragma unroll
        for (int i = 0; i < 2; ++i) {
            u32 other = __shfl_xor_sync(ALL_LANES, odd ? half[i] : half[i + 2], 1);
            pairs[2 * i] = odd ? other : half[i];
            pairs[2 * i + 1] = odd ? half[i + 2] : other;
        }
    }
    __device__ __forceinline__ void store(Map* at) const { *(uint4*)at = make_uint4(pairs[0], pairs[1], pairs[2], pairs[3]); }
    __device__ __forceinline__ Map at(int i) const { return {(unsigned short)(pairs[i / 2] >> i % 2 * 16)}; }
};
#else
constexpr int RUN = 2;

struct Run {
    float first, second;

    __device__ __forceinline__ void store(Map* at) const { *(float2*)at = make_float2(first, second); }
    __device__ __forceinline__ Map at(int i) const { return i ? second : first; }
};
#endif

// Whether runs may be stored at once in a matrix whose rows are cut at multiples of RUN.
__device__ __forceinline__ bool in_runs(const Map* matrix, int row_length) {
    return ((u64)matrix & (RUN * sizeof(Map) - 1)) == 0 && row_length % RUN == 0;
}
