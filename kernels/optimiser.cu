// One step over all parameters: the arena is one array. The rate stands in a table with a number per step; for Adam it
// holds the corrections for the moments' start at 0, so nothing else depends on the step.
//
//   m = b1 m + (1 - b1) g,  s = b2 s + (1 - b2) g g,  v -= rate m / (sqrt(s) + eps)
#include "striate.cuh"

#define THREADS 256
#define PAIR 2  // numbers per thread; with four some compilers spill
#define BETA_1 0.9f
#define BETA_2 0.999f
#define NEW_1 0.1f    // 1 - b1 and 1 - b2, each rounded once
#define NEW_2 0.001f
#define EPSILON 1e-8f

struct Adam {
    float rate;

    __device__ __forceinline__ void step(float& v, float g, float& m, float& s) const {
        m = BETA_1 * m + NEW_1 * g;
        s = BETA_2 * s + NEW_2 * g * g;
        v -= rate * m / (sqrtf(s) + EPSILON);
    }
};

extern "C" __global__ void __launch_bounds__(THREADS)
    optimiser_adam(const float* gradients /* (n) */, const float* rates /* (K) */, const u32* step /* (1) */,
                   float* values /* (n) */, float* first /* (n) */, float* second /* (n) */, int n) {
    Adam adam{rates[step[0]]};
    int i = (blockIdx.x * THREADS + threadIdx.x) * PAIR;
    bool aligned = (((size_t)gradients | (size_t)values | (size_t)first | (size_t)second) & 7) == 0;
    if (aligned && i + PAIR <= n) {
        float2 g = *(const float2*)(gradients + i);
        float2 v = *(float2*)(values + i), m = *(float2*)(first + i), s = *(float2*)(second + i);
        adam.step(v.x, g.x, m.x, s.x);
        adam.step(v.y, g.y, m.y, s.y);
        *(float2*)(values + i) = v;
        *(float2*)(first + i) = m;
        *(float2*)(second + i) = s;
    } else {
        for (int j = i; j < min(i + PAIR, n); ++j) adam.step(values[j], gradients[j], first[j], second[j]);
    }
}

// Groups take turns in pieces of `run` numbers, each with a rate of its own.
extern "C" __global__ void __launch_bounds__(THREADS)
    optimiser_adam_by_group(const float* gradients /* (n) */, const float* rates /* (K, groups) */,
                            const u32* step /* (1) */, float* values /* (n) */, float* first /* (n) */,
                            float* second /* (n) */, int n, int groups, int run) {
    int i = blockIdx.x * THREADS + threadIdx.x;
    if (i >= n) return;
    Adam adam{rates[(size_t)step[0] * groups + i / run % groups]};
    adam.step(values[i], gradients[i], first[i], second[i]);
}

// v -= rate g.
extern "C" __global__ void __launch_bounds__(THREADS)
    optimiser_sgd(const float* gradients /* (n) */, const float* rates /* (K) */, const u32* step /* (1) */,
                  float* values /* (n) */, int n) {
    int i = blockIdx.x * THREADS + threadIdx.x;
    if (i < n) values[i] -= rates[step[0]] * gradients[i];
}
