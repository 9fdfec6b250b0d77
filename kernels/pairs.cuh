// Operands of a block's product (product.cuh) that are as the precision wants them in global memory already.
//
// A stored row is rounded, so that not every block rounds it again, and has zeros up to a whole step of the product, so that it
// has no tail. In BF16 two neighbours share a word (the first in the low half). In F32 it is the row as it is.
#pragma once
#include "product.cuh"

#if PRECISION == BF16
typedef u32 Stored;
#else
typedef float Stored;
#endif

// Words of `length` numbers as bf16.
__device__ __forceinline__ int pair_words(int length) { return steps_of(length) * (STEP / 2); }

// Words of a stored row of `length` numbers.
__device__ __forceinline__ int stored_words(int length) {
    return PRECISION == F32 ? length : PRECISION == TF32 ? steps_of(length) * STEP : pair_words(length);
}

// A number of a stored row.
__device__ __forceinline__ float rounded(float v) { return PRECISION == TF32 ? __uint_as_float(to_tf32(v)) : v; }

// Rows of pairs, k along them.
template <int ROWS> struct PairsAlongK {
    static constexpr int QUADS = ROWS * STEP / 8 / BLOCK;
    const u32* from;
    int rows, words;
    uint4 held[QUADS];

    // Two threads to a row; the eight rows that are stored together meet in no bank.
    static __device__ __forceinline__ int row(int q) {
        return q * (BLOCK / 2) + threadIdx.x / 16 * 8 + threadIdx.x % 8;
    }
    static __device__ __forceinline__ int word() { return threadIdx.x / 8 % 2 * 4; }

    __device__ __forceinline__ void fetch(int step) {
#pragma unroll
        for (int q = 0; q < QUADS; ++q) {
            const u32* at = from + row(q) * words + step * (STEP / 2) + word();
            held[q] = row(q) < rows ? *(const uint4*)at : make_uint4(0, 0, 0, 0);
        }
    }
    __device__ __forceinline__ void store(float* stage) const {
#pragma unroll
        for (int q = 0; q < QUADS; ++q)
            *(float4*)(stage + row(q) * PITCH + word()) = make_float4(__uint_as_float(held[q].x), __uint_as_float(held[q].y),
                                                                      __uint_as_float(held[q].z), __uint_as_float(held[q].w));
    }
};

// Which pair of rows and which k a thread loads when rows run along memory.
template <int ROWS> __device__ __forceinline__ int own_pair() { return threadIdx.x % (ROWS / 2); }
template <int ROWS> __device__ __forceinline__ int own_pair_k() {
    return threadIdx.x / (ROWS / 2) * (ROWS * STEP / 2 / BLOCK);
}

// Pairs of rows, regrouped as pairs along k. Source: Held = u32, fetch(step, k, u32 (&)[COUNT]).
template <int ROWS, class Source> struct PairsAcrossK {
    static constexpr int COUNT = ROWS * STEP / 2 / BLOCK;
    static_assert(COUNT % 4 == 0, "a thread stores two words of a row at once");
    Source source;
    u32 held[COUNT];

    static __device__ __forceinline__ float low(u32 a, u32 b) { return __uint_as_float((a & 0xffffu) | b << 16); }
    static __device__ __forceinline__ float high(u32 a, u32 b) { return __uint_as_float(a >> 16 | (b & 0xffff0000u)); }

    __device__ __forceinline__ void fetch(int step) { source.fetch(step, own_pair_k<ROWS>(), held); }
    __device__ __forceinline__ void store(float* stage) const {
        // Half of the threads begin with the second row: rows of one parity meet in half of the banks.
        bool second = threadIdx.x / 4 % 2 != 0;
        float* to = stage + own_pair<ROWS>() * 2 * PITCH + own_pair_k<ROWS>() / 2;
#pragma unroll
        for (int i = 0; i < COUNT; i += 4) {
            float2 even = make_float2(low(held[i], held[i + 1]), low(held[i + 2], held[i + 3]));
            float2 odd = make_float2(high(held[i], held[i + 1]), high(held[i + 2], held[i + 3]));
            *(float2*)(to + i / 2 + (second ? PITCH : 0)) = second ? odd : even;
            *(float2*)(to + i / 2 + (second ? 0 : PITCH)) = second ? even : odd;
        }
    }
};

// The rows of a stored matrix (rows, length), k along them; ABSOLUTE: by absolute value, as rounded ones have it already.
template <int ROWS, bool ABSOLUTE> __device__ __forceinline__ auto stored_along_k(const Stored* from, int rows, int length) {
    if constexpr (PRECISION == BF16) {
        return PairsAlongK<ROWS>{(const u32*)from, rows, pair_words(length)};
    } else if constexpr (PRECISION == TF32) {
        return AlongK<ROWS, Rows<false>, true>{{(const float*)from, rows, stored_words(length), true}};
    } else {
        return AlongK<ROWS, Rows<ABSOLUTE>>{{(const float*)from, rows, length, in_fours((const float*)from, length)}};
    }
}

// Where rows run along memory: the operand, and the word of a stored row at which a thread loads if the block's rows begin at
// `first`, which is even.
#if PRECISION == BF16
template <int ROWS, class Source> using StoredAcrossK = PairsAcrossK<ROWS, Source>;
template <int ROWS> __device__ __forceinline__ int own_word(int first) { return first / 2 + own_pair<ROWS>(); }
#else
template <int ROWS, class Source> using StoredAcrossK = AcrossK<ROWS, Source, PRECISION == TF32>;
template <int ROWS> __device__ __forceinline__ int own_word(int first) { return first + own_row<ROWS>(); }
#endif
