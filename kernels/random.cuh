// Random numbers that are a function of a key and a counter alone: Philox 4x32-10 (Salmon et al. 2011).
#pragma once
#include "striate.cuh"

struct Words {
    u32 x, y, z, w;
};

__device__ __forceinline__ Words philox(Words counter, u32 key_0, u32 key_1) {
#pragma unroll
    for (int round = 0; round < 10; ++round) {
        u64 a = (u64)0xd2511f53u * counter.x, b = (u64)0xcd9e8d57u * counter.z;
        counter = {(u32)(b >> 32) ^ counter.y ^ key_0, (u32)b, (u32)(a >> 32) ^ counter.w ^ key_1, (u32)a};
        key_0 += 0x9e3779b9u;
        key_1 += 0xbb67ae85u;
    }
    return counter;
}

// Inside (0, 1): the middles of 2^23 equal parts, which float32 holds exactly.
__device__ __forceinline__ float open_unit(u32 bits) { return ((float)(bits >> 9) + 0.5f) * (1.0f / 8388608.0f); }
