// The packed DFT over 8 orientations by sums and differences.
#pragma once
#include "striate.cuh"

// The DFT, without its scale: frequencies 0 and 4, then real and imaginary parts of 1, 2 and 3.
__device__ __forceinline__ void transform(float (&v)[8]) {
    const float c = 0.70710678f;
    float a0 = v[0] + v[4], a1 = v[1] + v[5], a2 = v[2] + v[6], a3 = v[3] + v[7];
    float b0 = v[0] - v[4], b1 = v[1] - v[5], b2 = v[2] - v[6], b3 = v[3] - v[7];
    float even = a0 + a2, odd = a1 + a3, d = b1 - b3, s = b1 + b3;
    v[0] = even + odd, v[1] = even - odd;
    v[2] = fmaf(c, d, b0), v[3] = fmaf(-c, s, -b2);
    v[4] = a0 - a2, v[5] = a3 - a1;
    v[6] = fmaf(-c, d, b0), v[7] = fmaf(-c, s, b2);
}

// Its transpose.
__device__ __forceinline__ void transform_back(float (&v)[8]) {
    const float c = 0.70710678f;
    float p = v[0] + v[1], m = v[0] - v[1], r = v[2] + v[6], q = v[2] - v[6], i = v[3] + v[7], j = v[3] - v[7];
    float p0 = p + v[4], p2 = p - v[4], m1 = m - v[5], m3 = m + v[5], q1 = q - i, q3 = q + i;
    v[0] = p0 + r, v[4] = p0 - r, v[2] = p2 - j, v[6] = p2 + j;
    v[1] = fmaf(c, q1, m1), v[5] = fmaf(-c, q1, m1), v[3] = fmaf(-c, q3, m3), v[7] = fmaf(c, q3, m3);
}
