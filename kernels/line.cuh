// The normalisation as a straight line, for the kernels that normalise and those that end in it.
#pragma once
#include "stored.cuh"

#define EPSILON 1e-3f

// One group's u = slope (y - mean) + offset.
struct Line {
    float mean, inverse_sd, slope, offset;

    __device__ __forceinline__ float at(float y) const { return fmaf(y - mean, slope, offset); }
    __device__ __forceinline__ float normal(float y) const { return (y - mean) * inverse_sd; }
};

// What a layer hands on: products take it as it is.
__device__ __forceinline__ float handed_on(int activation, const Line& line, float y) { return rounded(activation_value(activation, line.at(y))); }

__device__ __forceinline__ Line line_of(const float* mean, const float* variance, const float* gain, const float* offset,
                                        int has_gain, int group) {
    Line line;
    line.mean = mean[group];
    line.inverse_sd = 1.0f / sqrtf(variance[group] + EPSILON);
    line.slope = has_gain ? gain[group] * line.inverse_sd : line.inverse_sd;
    line.offset = offset[group];
    return line;
}
