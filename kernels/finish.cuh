// The normalisation with fixed statistics and its activation, for kernels that end in it.
#pragma once
#include "striate.cuh"

// One group's u = slope (y - mean) + offset.
struct Line {
    float mean, slope, offset;
};

// `gain` may be null: 1.
__device__ __forceinline__ Line line_of(const float* mean, const float* variance, const float* gain, const float* offset,
                                        int group) {
    float inverse_sd = 1.0f / sqrtf(variance[group] + 1e-3f);
    return {mean[group], gain ? gain[group] * inverse_sd : inverse_sd, offset[group]};
}

__device__ __forceinline__ float finished(Line line, int activation, float y) {
    return activation_value(activation, fmaf(y - line.mean, line.slope, line.offset));
}
