// Stimuli on a canvas (H, W), one set of parameters per image: Gabors and gratings, differences of Gaussians, patches made of
// steerable functions; and the gradients of their parameters. The formulas are in src/stimuli.
//
// What draws: a block owns PIECE pixels of one image. What goes back: a block sums over one image (and one component).
#include "striate.cuh"

#define THREADS 256
#define PIECE 1024    // pixels of an image per block
#define GABOR 7       // x, y, size, frequency, contrast, orientation, phase
#define DIFFERENCE 6  // x, y, sigma_centre, sigma_surround, contrast, surround_contrast

#define TWO_PI 6.283185307179586f
#define HALF_TURNS 0.318309886183790672f  // of a radian

// Places of a parameter.
enum { X, Y, SIZE, FREQUENCY, CONTRAST, ORIENTATION, PHASE };
enum { CENTRE = 2, SURROUND = 3, AMPLITUDE = 4, SHARE = 5 };

// Angles in half turns: what cospif takes is reduced exactly, whatever its size.
struct Wave {
    float x, y, cosine, sine, rate, phase;

    __device__ __forceinline__ Wave(const float* p)
        : x(p[X]), y(p[Y]), rate(2.0f * p[FREQUENCY]), phase(HALF_TURNS * p[PHASE]) {
        sincospif(HALF_TURNS * p[ORIENTATION], &sine, &cosine);
    }
    __device__ __forceinline__ float along(float dx, float dy) const { return cosine * dx - sine * dy; }
    __device__ __forceinline__ float across(float dx, float dy) const { return sine * dx + cosine * dy; }
};

// Calls `value(p, dx, dy)` for this thread's pixels of the block's piece, for each component, and writes the sums.
template <class F>
__device__ __forceinline__ void draw_waves(const float* parameters, float* images, int components, int height, int width,
                                           F value) {
    int pixels = height * width, first = blockIdx.y * PIECE + threadIdx.x;
    const float* parameter = parameters + (size_t)blockIdx.x * components * GABOR;
    float sums[PIECE / THREADS] = {};
    for (int k = 0; k < components; ++k, parameter += GABOR) {
        Wave wave(parameter);
#pragma unroll
        for (int i = 0; i < PIECE / THREADS; ++i) {
            int p = first + i * THREADS;
            float dx = (float)(p % width) - wave.x, dy = (float)(p / width) - wave.y;
            sums[i] += value(parameter, dx * dx + dy * dy) * cospif(wave.rate * wave.along(dx, dy) + wave.phase);
        }
    }
    float* image = images + (size_t)blockIdx.x * pixels;
#pragma unroll
    for (int i = 0; i < PIECE / THREADS; ++i)
        if (first + i * THREADS < pixels) image[first + i * THREADS] = sums[i];
}

extern "C" __global__ void __launch_bounds__(THREADS)
stimuli_gabor(const float* parameters /* (n, components, 7) */, float* images /* (n, H, W) */, int components, int height,
              int width) {
    draw_waves(parameters, images, components, height, width, [](const float* p, float square) {
        return 0.5f * p[CONTRAST] * expf(-8.0f / (p[SIZE] * p[SIZE]) * square);
    });
}

extern "C" __global__ void __launch_bounds__(THREADS)
stimuli_grating(const float* parameters /* (n, components, 7) */, float* images /* (n, H, W) */, int components, int height,
                int width) {
    draw_waves(parameters, images, components, height, width, [](const float* p, float square) {
        return 4.0f * square <= p[SIZE] * p[SIZE] ? 0.5f * p[CONTRAST] : 0.0f;
    });
}

// Block: one component of one image.
extern "C" __global__ void __launch_bounds__(THREADS)
stimuli_gabor_backward(const float* parameters /* (n, components, 7) */, const float* dimages /* (n, H, W) */,
                       float* dparameters /* (n, components, 7) */, int components, int height, int width) {
    __shared__ float scratch[THREADS / 32];
    int pixels = height * width;
    size_t at = ((size_t)blockIdx.x * components + blockIdx.y) * GABOR;
    const float* p = parameters + at;
    const float* dimage = dimages + (size_t)blockIdx.x * pixels;
    Wave wave(p);
    float size = p[SIZE], steep = 8.0f / (size * size);
    // Sums over the image of dimage times envelope times: cos, sin, cos r^2, cos dx, cos dy, sin x', sin y'.
    float sums[7] = {};
    for (int i = threadIdx.x; i < pixels; i += THREADS) {
        float dx = (float)(i % width) - wave.x, dy = (float)(i / width) - wave.y, square = dx * dx + dy * dy;
        float along = wave.along(dx, dy), sine, cosine;
        sincospif(wave.rate * along + wave.phase, &sine, &cosine);
        float weight = dimage[i] * expf(-steep * square), even = weight * cosine, odd = weight * sine;
        sums[0] += even;
        sums[1] += odd;
        sums[2] += even * square;
        sums[3] += even * dx;
        sums[4] += even * dy;
        sums[5] += odd * along;
        sums[6] += odd * wave.across(dx, dy);
    }
#pragma unroll
    for (int i = 0; i < 7; ++i) sums[i] = block_sum<THREADS>(sums[i], scratch);
    if (threadIdx.x > 0) return;
    float amplitude = 0.5f * p[CONTRAST], omega = TWO_PI * p[FREQUENCY];
    float* d = dparameters + at;
    d[X] = amplitude * (2.0f * steep * sums[3] + omega * wave.cosine * sums[1]);
    d[Y] = amplitude * (2.0f * steep * sums[4] - omega * wave.sine * sums[1]);
    d[SIZE] = amplitude * 2.0f * steep / size * sums[2];
    d[FREQUENCY] = -amplitude * TWO_PI * sums[5];
    d[CONTRAST] = 0.5f * sums[0];
    d[ORIENTATION] = amplitude * omega * sums[6];
    d[PHASE] = -amplitude * sums[1];
}

extern "C" __global__ void __launch_bounds__(THREADS)
stimuli_difference(const float* parameters /* (n, 6) */, float* images /* (n, H, W) */, int height, int width) {
    int pixels = height * width;
    const float* p = parameters + (size_t)blockIdx.x * DIFFERENCE;
    float* image = images + (size_t)blockIdx.x * pixels;
    float x = p[X], y = p[Y], narrow = -0.5f / (p[CENTRE] * p[CENTRE]), wide = -0.5f / (p[SURROUND] * p[SURROUND]);
    float amplitude = p[AMPLITUDE], share = p[SHARE];
    int first = blockIdx.y * PIECE;
    for (int i = first + threadIdx.x; i < min(first + PIECE, pixels); i += THREADS) {
        float dx = (float)(i % width) - x, dy = (float)(i / width) - y, square = dx * dx + dy * dy;
        image[i] = amplitude * ((1.0f + share) * expf(narrow * square) - share * expf(wide * square));
    }
}

// Block: one image.
extern "C" __global__ void __launch_bounds__(THREADS)
stimuli_difference_backward(const float* parameters /* (n, 6) */, const float* dimages /* (n, H, W) */,
                            float* dparameters /* (n, 6) */, int height, int width) {
    __shared__ float scratch[THREADS / 32];
    int pixels = height * width;
    const float* p = parameters + (size_t)blockIdx.x * DIFFERENCE;
    const float* dimage = dimages + (size_t)blockIdx.x * pixels;
    float x = p[X], y = p[Y], centre = p[CENTRE], surround = p[SURROUND];
    float narrow = 1.0f / (centre * centre), wide = 1.0f / (surround * surround);
    // Of the centre and then of the surround: sums of dimage times the Gaussian times 1, r^2, dx, dy.
    float sums[8] = {};
    for (int i = threadIdx.x; i < pixels; i += THREADS) {
        float dx = (float)(i % width) - x, dy = (float)(i / width) - y, square = dx * dx + dy * dy;
        float inner = dimage[i] * expf(-0.5f * narrow * square), outer = dimage[i] * expf(-0.5f * wide * square);
        sums[0] += inner;
        sums[1] += inner * square;
        sums[2] += inner * dx;
        sums[3] += inner * dy;
        sums[4] += outer;
        sums[5] += outer * square;
        sums[6] += outer * dx;
        sums[7] += outer * dy;
    }
#pragma unroll
    for (int i = 0; i < 8; ++i) sums[i] = block_sum<THREADS>(sums[i], scratch);
    if (threadIdx.x > 0) return;
    float inner = p[AMPLITUDE] * (1.0f + p[SHARE]), outer = p[AMPLITUDE] * p[SHARE];
    float* d = dparameters + (size_t)blockIdx.x * DIFFERENCE;
    d[X] = inner * narrow * sums[2] - outer * wide * sums[6];
    d[Y] = inner * narrow * sums[3] - outer * wide * sums[7];
    d[CENTRE] = inner * narrow / centre * sums[1];
    d[SURROUND] = -outer * wide / surround * sums[5];
    d[AMPLITUDE] = (1.0f + p[SHARE]) * sums[0] - p[SHARE] * sums[4];
    d[SHARE] = p[AMPLITUDE] * (sums[0] - sums[4]);
}

// Pixel i of a canvas as a pixel of the patch around `centre` (column, row), or -1 outside of it.
__device__ __forceinline__ int in_patch(const float* centre, int kernel, int i, int width) {
    int column = i % width - (int)centre[0] + kernel / 2, row = i / width - (int)centre[1] + kernel / 2;
    return (u32)column < (u32)kernel && (u32)row < (u32)kernel ? row * kernel + column : -1;
}

extern "C" __global__ void __launch_bounds__(THREADS)
stimuli_steerable(const float* basis /* (M, k, k) */, const float* coefficients /* (n, M) */, const float* centres /* (n, 2) */,
                  float* images /* (n, H, W) */, int functions, int kernel, int height, int width) {
    int pixels = height * width, first = blockIdx.y * PIECE;
    coefficients += (size_t)blockIdx.x * functions;
    images += (size_t)blockIdx.x * pixels;
    for (int i = first + threadIdx.x; i < min(first + PIECE, pixels); i += THREADS) {
        int at = in_patch(centres + 2 * (size_t)blockIdx.x, kernel, i, width);
        float sum = 0.0f;
        if (at >= 0)
            for (int j = 0; j < functions; ++j) sum = fmaf(coefficients[j], basis[j * kernel * kernel + at], sum);
        images[i] = sum;
    }
}

// Block: one coefficient of one image.
extern "C" __global__ void __launch_bounds__(THREADS)
stimuli_steerable_backward(const float* basis /* (M, k, k) */, const float* centres /* (n, 2) */,
                           const float* dimages /* (n, H, W) */, float* dcoefficients /* (n, M) */, int functions,
                           int kernel, int height, int width) {
    __shared__ float scratch[THREADS / 32];
    const float* centre = centres + 2 * (size_t)blockIdx.x;
    const float* dimage = dimages + (size_t)blockIdx.x * height * width;
    const float* function = basis + blockIdx.y * kernel * kernel;
    int left = (int)centre[0] - kernel / 2, top = (int)centre[1] - kernel / 2;
    float sum = 0.0f;
    for (int at = threadIdx.x; at < kernel * kernel; at += THREADS) {
        int column = left + at % kernel, row = top + at / kernel;
        if ((u32)column < (u32)width && (u32)row < (u32)height)
            sum = fmaf(dimage[row * width + column], function[at], sum);
    }
    sum = block_sum<THREADS>(sum, scratch);
    if (threadIdx.x == 0) dcoefficients[(size_t)blockIdx.x * functions + blockIdx.y] = sum;
}
