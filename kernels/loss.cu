// Rates and losses, on h (B, N) and responses r (B, N).
//
//   rate = output(h),  loss[b] = scale sum_n l(rate, r),  dh = scale l'(rate, r) output'(h)
//   Poisson l = rate - r ln(rate + 1e-5), squared error l = (rate - r)^2
//
// Responses that are NaN were not recorded and count for nothing. One block sums one image.
#include "striate.cuh"

#define THREADS 256
#define EPSILON 1e-5f

// The codes of `Output::code`, besides SOFTPLUS.
#define ELU_PLUS_ONE 1
#define EXPONENTIAL 2

// The codes of `Loss::code`: this, and the squared error.
#define POISSON 0

__device__ __forceinline__ float output_value(int output, float h) {
    if (output == SOFTPLUS) return softplus(h);
    if (output == EXPONENTIAL) return expf(h);
    if (output == ELU_PLUS_ONE) return h > 0.0f ? h + 1.0f : expf(h);
    return h;
}

__device__ __forceinline__ float output_slope(int output, float h) {
    if (output == SOFTPLUS) return sigmoid(h);
    if (output == EXPONENTIAL) return expf(h);
    if (output == ELU_PLUS_ONE) return h > 0.0f ? 1.0f : expf(h);
    return 1.0f;
}

extern "C" __global__ void __launch_bounds__(THREADS)
    loss_rates(const float* h /* (B, N) */, float* rates /* (B, N) */, int count /* B N */, int output) {
    int i = blockIdx.x * THREADS + threadIdx.x;
    if (i < count) rates[i] = output_value(output, h[i]);
}

// What a rate's gradient is at h.
extern "C" __global__ void __launch_bounds__(THREADS)
    loss_slopes(const float* h, float* slopes, int count, int output) {
    int i = blockIdx.x * THREADS + threadIdx.x;
    if (i < count) slopes[i] = output_slope(output, h[i]);
}

__device__ __forceinline__ float loss_value(int loss, float rate, float r) {
    return loss == POISSON ? rate - r * logf(rate + EPSILON) : (rate - r) * (rate - r);
}

__device__ __forceinline__ float loss_slope(int loss, float rate, float r) {
    return loss == POISSON ? 1.0f - r / (rate + EPSILON) : 2.0f * (rate - r);
}

// This thread's share of an image's loss; `gradient(n, dh)` receives dh.
template <class F>
__device__ __forceinline__ float share(const float* h, const float* responses, int neurons, int loss, int output,
                                       float scale, F gradient) {
    float sum = 0.0f;
    for (int n = threadIdx.x; n < neurons; n += THREADS) {
        float r = responses[n], dh = 0.0f;
        if (r == r) {
            float rate = output_value(output, h[n]);
            sum += loss_value(loss, rate, r);
            dh = scale * loss_slope(loss, rate, r) * output_slope(output, h[n]);
        }
        gradient(n, dh);
    }
    return sum;
}

extern "C" __global__ void __launch_bounds__(THREADS)
    loss_images(const float* h /* (B, N) */, const float* responses /* (B, N) */, float* losses /* (B) */, int neurons,
                int loss, int output, float scale) {
    __shared__ float scratch[THREADS / 32];
    size_t row = (size_t)blockIdx.x * neurons;
    float sum = share(h + row, responses + row, neurons, loss, output, scale, [](int, float) {});
    sum = block_sum<THREADS>(sum, scratch);
    if (threadIdx.x == 0) losses[blockIdx.x] = scale * sum;
}

extern "C" __global__ void __launch_bounds__(THREADS)
    loss_images_gradient(const float* h /* (B, N) */, const float* responses /* (B, N) */, float* dh /* (B, N) */,
                         float* losses /* (B) */, int neurons, int loss, int output, float scale) {
    __shared__ float scratch[THREADS / 32];
    size_t row = (size_t)blockIdx.x * neurons;
    float sum = share(h + row, responses + row, neurons, loss, output, scale, [=](int n, float d) { dh[row + n] = d; });
    sum = block_sum<THREADS>(sum, scratch);
    if (threadIdx.x == 0) losses[blockIdx.x] = scale * sum;
}

// totals[step] = the sum of the losses, or += it.
extern "C" __global__ void __launch_bounds__(THREADS)
    loss_total(const float* losses /* (B) */, const u32* step /* (1) */, float* totals /* (K) */, int batch, int add) {
    __shared__ float scratch[THREADS / 32];
    float sum = 0.0f;
    for (int i = threadIdx.x; i < batch; i += THREADS) sum += losses[i];
    sum = block_sum<THREADS>(sum, scratch);
    if (threadIdx.x == 0) {
        float* total = totals + step[0];
        *total = add ? *total + sum : sum;
    }
}
