// Readout at sampled places: h[b, n] = bias[n] + sum_c w[n, c] x[b, c](place of b and n), between four pixels; beyond the
// map lie zeros.
//
//   place = position[n] + S[n] e[b, n], S a matrix or a number; -1 and 1 are the centres of the first and last pixels
//
// forward   a thread takes one neuron of one image, channel after channel, and leaves what the features make of the four
//           pixels, from which h and the place's gradient follow.
// features  a thread takes one weight, image after image.
// place     a thread takes one neuron, image after image.
// input     a block takes PIXELS pixels and CHANNELS channels of one image: it finds the neurons that look there, in order,
//           and each of its warps adds what they give to the pixels that are its own.
#include "map.cuh"

#define THREADS 256
#define WARPS (THREADS / 32)
#define PIXELS 64    // of a block of gaussian_backward_input
#define CHANNELS 32  // a lane each

// How the arguments that every pass shares are looked at.
struct Look {
    const float* position;  // (N, 2), x to the right and y down
    const float* spread;    // (N, 2, 2) or (N)
    const float* noise;     // (B, N, 2)
    int neurons, height, width, full, sampled;
};

// Between which pixels a neuron looks: the upper left of the four, which may lie beyond the map, and how far from it.
struct Place {
    int row, column;
    float down, right;

    // A coordinate on the map; far outside is all the same.
    __device__ __forceinline__ static float along(float at, int pixels) {
        float v = (at + 1.0f) * (0.5f * (float)(pixels - 1));
        return v < -2.0f ? -2.0f : (v > (float)(pixels + 1) ? (float)(pixels + 1) : v);
    }

    __device__ __forceinline__ static int before(float v) { return v == v ? (int)floorf(v) : 0; }

    __device__ __forceinline__ Place(const Look& look, int image, int n) {
        float x = look.position[2 * n], y = look.position[2 * n + 1];
        if (look.sampled) {
            const float* e = look.noise + 2 * ((size_t)image * look.neurons + n);
            if (look.full) {
                const float* s = look.spread + 4 * (size_t)n;
                x += s[0] * e[0] + s[1] * e[1];
                y += s[2] * e[0] + s[3] * e[1];
            } else {
                x += look.spread[n] * e[0];
                y += look.spread[n] * e[1];
            }
        }
        float u = along(x, look.width), v = along(y, look.height);
        column = before(u);
        row = before(v);
        right = u - (float)column;
        down = v - (float)row;
    }

    // Pixel k of the four, -1 beyond the map.
    __device__ __forceinline__ int pixel(int k, const Look& look) const {
        int r = row + k / 2, c = column + k % 2;
        return r >= 0 && r < look.height && c >= 0 && c < look.width ? r * look.width + c : -1;
    }

    __device__ __forceinline__ float weight(int k) const {
        return (k / 2 ? down : 1.0f - down) * (k % 2 ? right : 1.0f - right);
    }
};

extern "C" __global__ void __launch_bounds__(THREADS)
    gaussian_forward(const Map* x /* (B, C, H, W) */, const float* position /* (N, 2) */, const float* spread /* (N, 2, 2) or (N) */,
                     const float* features /* (N, C) */, const float* bias /* (N) */, const float* noise /* (B, N, 2) */,
                     float* h /* (B, N) */, float* corners /* (B, N, 4) */, int channels, int height, int width, int neurons,
                     int full, int sampled) {
    int image = blockIdx.x, n = blockIdx.y * THREADS + threadIdx.x;
    if (n >= neurons) return;
    Look look{position, spread, noise, neurons, height, width, full, sampled};
    Place place(look, image, n);
    int pixels[4];
    float sums[4] = {0.0f, 0.0f, 0.0f, 0.0f};
#pragma unroll
    for (int k = 0; k < 4; ++k) pixels[k] = place.pixel(k, look);
    size_t area = (size_t)height * width;
    const Map* map = x + (size_t)image * channels * area;
    const float* own = features + (size_t)n * channels;
    for (int c = 0; c < channels; ++c, map += area) {
        float w = own[c];
#pragma unroll
        for (int k = 0; k < 4; ++k) sums[k] = fmaf(w, pixels[k] < 0 ? 0.0f : load(map + pixels[k]), sums[k]);
    }
    size_t at = (size_t)image * neurons + n;
    float sum = bias[n];
#pragma unroll
    for (int k = 0; k < 4; ++k) {
        sum = fmaf(place.weight(k), sums[k], sum);
        corners[4 * at + k] = sums[k];
    }
    h[at] = sum;
}

extern "C" __global__ void __launch_bounds__(THREADS)
    gaussian_backward_features(const Map* x /* (B, C, H, W) */, const float* position /* (N, 2) */,
                               const float* spread /* (N, 2, 2) or (N) */, const float* noise /* (B, N, 2) */,
                               const float* dh /* (B, N) */, float* dfeatures /* (N, C) */, int batch, int channels, int height,
                               int width, int neurons, int full, int sampled) {
    int channel = blockIdx.x, n = blockIdx.y * THREADS + threadIdx.x;
    if (n >= neurons) return;
    Look look{position, spread, noise, neurons, height, width, full, sampled};
    size_t area = (size_t)height * width;
    float sum = 0.0f;
    for (int b = 0; b < batch; ++b) {
        Place place(look, b, n);
        const Map* map = x + ((size_t)b * channels + channel) * area;
        float value = 0.0f;
#pragma unroll
        for (int k = 0; k < 4; ++k) {
            int pixel = place.pixel(k, look);
            value = fmaf(place.weight(k), pixel < 0 ? 0.0f : load(map + pixel), value);
        }
        sum = fmaf(dh[(size_t)b * neurons + n], value, sum);
    }
    dfeatures[(size_t)n * channels + channel] += sum;
}

extern "C" __global__ void __launch_bounds__(THREADS)
    gaussian_backward_place(const float* corners /* (B, N, 4) */, const float* position /* (N, 2) */,
                            const float* spread /* (N, 2, 2) or (N) */, const float* noise /* (B, N, 2) */,
                            const float* dh /* (B, N) */, float* dposition /* (N, 2) */, float* dspread /* (N, 2, 2) or (N) */,
                            float* dbias /* (N) */, int batch, int height, int width, int neurons, int full, int sampled) {
    int n = blockIdx.x * THREADS + threadIdx.x;
    if (n >= neurons) return;
    Look look{position, spread, noise, neurons, height, width, full, sampled};
    float scale_x = 0.5f * (float)(width - 1), scale_y = 0.5f * (float)(height - 1);
    float x = 0.0f, y = 0.0f, xx = 0.0f, xy = 0.0f, yx = 0.0f, yy = 0.0f, bias = 0.0f;
    for (int b = 0; b < batch; ++b) {
        size_t at = (size_t)b * neurons + n;
        Place place(look, b, n);
        const float* q = corners + 4 * at;
        float d = dh[at];
        float dx = d * scale_x * ((1.0f - place.down) * (q[1] - q[0]) + place.down * (q[3] - q[2]));
        float dy = d * scale_y * ((1.0f - place.right) * (q[2] - q[0]) + place.right * (q[3] - q[1]));
        bias += d;
        x += dx;
        y += dy;
        if (sampled) {
            float e = noise[2 * at], f = noise[2 * at + 1];
            xx = fmaf(dx, e, xx);
            xy = fmaf(dx, f, xy);
            yx = fmaf(dy, e, yx);
            yy = fmaf(dy, f, yy);
        }
    }
    dbias[n] += bias;
    dposition[2 * n] += x;
    dposition[2 * n + 1] += y;
    if (full) {
        float* own = dspread + 4 * (size_t)n;
        own[0] += xx;
        own[1] += xy;
        own[2] += yx;
        own[3] += yy;
    } else {
        dspread[n] += xx + yy;
    }
}

extern "C" __global__ void __launch_bounds__(THREADS)
    gaussian_backward_input(const float* position /* (N, 2) */, const float* spread /* (N, 2, 2) or (N) */,
                            const float* noise /* (B, N, 2) */, const float* features /* (N, C) */, const float* dh /* (B, N) */,
                            Map* dx /* (B, C, H, W) */, int tiles /* of pixels */, int channels, int height, int width,
                            int neurons, int full, int sampled) {
    __shared__ float sums[PIXELS * (CHANNELS + 1)];
    __shared__ float weights[THREADS * 4];
    __shared__ int places[THREADS * 4];  // pixels of the tile, -1 outside of it
    __shared__ int found[THREADS];
    __shared__ int counts[WARPS];
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    int image = blockIdx.x / tiles, first = blockIdx.x % tiles * PIXELS, area = height * width;
    int first_channel = blockIdx.y * CHANNELS, channel = first_channel + lane;
    Look look{position, spread, noise, neurons, height, width, full, sampled};
    for (int i = threadIdx.x; i < PIXELS * (CHANNELS + 1); i += THREADS) sums[i] = 0.0f;
    for (int start = 0; start < neurons; start += THREADS) {
        int n = start + threadIdx.x;
        int pixels[4] = {-1, -1, -1, -1};
        float shares[4] = {0.0f, 0.0f, 0.0f, 0.0f};
        bool looks = false;
        if (n < neurons) {
            Place place(look, image, n);
            float d = dh[(size_t)image * neurons + n];
#pragma unroll
            for (int k = 0; k < 4; ++k) {
                int pixel = place.pixel(k, look) - first;
                shares[k] = d * place.weight(k);
                pixels[k] = pixel >= 0 && pixel < PIXELS ? pixel : -1;
                looks = looks || pixels[k] >= 0;
            }
        }
        u32 votes = __ballot_sync(ALL_LANES, looks);
        if (lane == 0) counts[warp] = __popc(votes);
        __syncthreads();
        int slot = __popc(votes & ((1u << lane) - 1)), total = 0;
#pragma unroll
        for (int w = 0; w < WARPS; ++w) {
            if (w < warp) slot += counts[w];
            total += counts[w];
        }
        if (looks) {
            found[slot] = n;
#pragma unroll
            for (int k = 0; k < 4; ++k) {
                weights[4 * slot + k] = shares[k];
                places[4 * slot + k] = pixels[k];
            }
        }
        __syncthreads();
        for (int i = 0; i < total; ++i) {
            float feature = channel < channels ? features[(size_t)found[i] * channels + channel] : 0.0f;
#pragma unroll
            for (int k = 0; k < 4; ++k) {
                int pixel = places[4 * i + k];
                if (pixel < 0 || pixel % WARPS != warp) continue;
                float* sum = sums + pixel * (CHANNELS + 1) + lane;
                *sum = fmaf(weights[4 * i + k], feature, *sum);
            }
        }
        __syncthreads();
    }
    for (int i = threadIdx.x; i < PIXELS * CHANNELS; i += THREADS) {
        int pixel = i % PIXELS, c = i / PIXELS;
        if (first + pixel < area && first_channel + c < channels)
            store(dx + ((size_t)image * channels + first_channel + c) * area + first + pixel, sums[pixel * (CHANNELS + 1) + c]);
    }
}

// Positions onto the map.
extern "C" __global__ void __launch_bounds__(THREADS) gaussian_clamp(float* position /* (n) */, int n) {
    int i = blockIdx.x * THREADS + threadIdx.x;
    if (i >= n) return;
    float v = position[i];
    position[i] = v < -1.0f ? -1.0f : (v > 1.0f ? 1.0f : v);
}
