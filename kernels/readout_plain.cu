// The products of the readout in float32 (see readout.cu).
#include "stored.cuh"
#include "readout.cuh"

#define THREADS 256
#define TILE 128    // rows and columns of a block's product
#define NEURONS 64  // rows of readout_backward_weights, which keeps two tiles

static_assert(PRECISION == F32, "readout_tensor.cu has the others");

// Block: TILE neurons of `images` images, as many as there are whole ones in TILE rows (b, c), at least one.
extern "C" __global__ void __launch_bounds__(THREADS, 2)
readout_forward(const Map* x /* (B, C, P) */, const Map* mask /* (N, P) */,
                const float* features /* (N, C) */, const float* bias /* (N) */, float* h /* (B, N) */, int batch, int channels,
                int pixels, int neurons, int images, int positive) {
    __shared__ float4 shared[product_shared(TILE, TILE)];
    __shared__ float parts[2 * TILE];
    Tiles tile;
    int first_neuron = tile.x * TILE, first_image = tile.y * images;
    int here = min(images, batch - first_image), rows = here * channels;
    const float* maps = x + (size_t)first_image * channels * pixels;
    const float* own_masks = mask + (size_t)first_neuron * pixels;
    AlongK<TILE, Rows<true>> masks{{own_masks, neurons - first_neuron, pixels, in_fours(own_masks, pixels)}};
    for (int first_row = 0; first_row < rows; first_row += TILE) {
        const float* own_maps = maps + (size_t)first_row * pixels;
        AlongK<TILE, Rows<false>> a{{own_maps, rows - first_row, pixels, in_fours(own_maps, pixels)}};
        Sums<TILE, TILE> sums;
        sums.clear();
        product(sums, a, masks, steps_of(pixels), shared, [](int) {});
        auto weight = [&](int c, int col) {
            int n = first_neuron + col;
            return n < neurons ? counted(features[n * channels + c], positive) : 0.0f;
        };
        contract(sums, parts, first_row, here, channels, weight, [&](int image, int col, float sum) {
            int n = first_neuron + col;
            if (n >= neurons) return;
            float* to = h + (size_t)(first_image + image) * neurons + n;
            *to = (first_row == 0 ? bias[n] : *to) + sum;
        });
    }
}

// dh[b, n] v[n, c] for QUADS rows (b, c), along n; both lie in rows along n, filled up (readout_turn, readout_fill).
template <int QUADS> struct Spread {
    const float *features[QUADS], *dh[QUADS];

    struct Held {
        float4 v, d;

        __device__ __forceinline__ float at(int i) const {
            return i == 0 ? v.x * d.x : i == 1 ? v.y * d.y : i == 2 ? v.z * d.z : v.w * d.w;
        }
    };

    __device__ __forceinline__ void fetch(int step, int q, int, int k, Held& held) const {
        held.v = *(const float4*)(features[q] + step * STEP + k);
        held.d = *(const float4*)(dh[q] + step * STEP + k);
    }
    __device__ __forceinline__ float value(float v) const { return v; }
};

// Block: TILE rows (b, c) by TILE pixels.
extern "C" __global__ void __launch_bounds__(THREADS, 2)
readout_backward_input(const Map* mask /* (N, P) */, const Map* factors /* v (C, N) and dh (B, N), filled up */,
                       Map* dx /* (B, C, P) */, int batch, int channels, int pixels, int neurons) {
    __shared__ float4 shared[product_shared(TILE, TILE)];
    int first_pixel = blockIdx.x * TILE, first_row = blockIdx.y * TILE, rows = batch * channels;
    int pixel = first_pixel + own_row<TILE>(), length = filled_up(neurons);
    AlongK<TILE, Spread<2>> spread;
#pragma unroll
    for (int q = 0; q < 2; ++q) {
        // What a row that is none makes is not stored.
        int row = min(first_row + quad_row(q), rows - 1);
        spread.source.features[q] = factors + (size_t)(row % channels) * length;
        spread.source.dh[q] = factors + (size_t)(channels + row / channels) * length;
    }
    AcrossK<TILE, Column<true>> masks{{mask, pixel, pixels, pixel < pixels ? neurons : 0}};
    Sums<TILE, TILE> sums;
    sums.clear();
    product(sums, spread, masks, steps_of(neurons), shared, [](int) {});
    bool whole = in_runs(dx, pixels);
    sums.for_each_run([&](int row, int i, const Run& run) {
        int pixel = first_pixel + sums.run_col(i);
        if (first_row + row >= rows || pixel >= pixels) return;
        Map* to = dx + ((size_t)(first_row + row) * pixels + pixel);
        if (whole) return run.store(to);
#pragma unroll
        for (int e = 0; e < RUN; ++e)
            if (e < pixels - pixel) to[e] = run.at(e);
    });
}

// dh, in the steps of readout.cuh.
struct Gradients {
    const float* dh;  // this thread's neuron, along the images, in whole steps
    int steps;        // per channel
    int now = 0;
    typedef Four<float> Held;

    __device__ __forceinline__ void fetch(int, int, int, int k, Four<float>& held) {
        float4 v = *(const float4*)(dh + now * STEP + k);
        held.v[0] = v.x, held.v[1] = v.y, held.v[2] = v.z, held.v[3] = v.w;
        if (++now == steps) now = 0;
    }
    __device__ __forceinline__ float value(float v) const { return v; }
};

// Block: NEURONS neurons by TILE pixels, all channels one after the other.
extern "C" __global__ void __launch_bounds__(THREADS, 2)
readout_backward_weights(const Map* x /* (B, C, P) */, const Map* stored_mask /* (N, P): the mask */, const float* mask /* (N, P) */,
                         const float* features /* (N, C) */, const Map* dh /* (N, B), filled up */, float* dmask /* (N, P) */,
                         float* parts /* (tiles of P, N, C) */, int batch, int channels, int pixels, int neurons, int positive) {
    typedef Sums<NEURONS, TILE> Tile;
    __shared__ float4 shared[product_shared(NEURONS, TILE)];
    __shared__ float quarters[4 * NEURONS];
    int first_neuron = blockIdx.x * NEURONS, first_pixel = blockIdx.y * TILE, steps = steps_of(batch);
    int neuron = min(first_neuron + quad_row(0), neurons - 1), pixel = first_pixel + own_row<TILE>();
    AlongK<NEURONS, Gradients> gradients{{dh + (size_t)neuron * filled_up(batch), steps}};
    AcrossK<TILE, Images<float>> maps{{x + pixel, pixel < pixels ? batch : 0, steps, channels * pixels, pixels}};
    Tile g, total;
    g.clear();
    total.clear();
    auto mask_at = [&](int r, int c) {
        int n = first_neuron + Tile::row(r), p = first_pixel + Tile::col(c);
        return n < neurons && p < pixels ? stored_mask[(size_t)n * pixels + p] : 0.0f;
    };
    auto magnitudes = [&](int r, int c) { return make_float2(fabsf(mask_at(r, c)), fabsf(mask_at(r, c + 1))); };
    int channel = 0, left = steps;
    product(g, gradients, maps, channels * steps, shared, [&](int) {
        if (--left > 0) return;
        auto feature = [&](int r) {
            int n = first_neuron + Tile::row(r);
            return n < neurons ? counted(features[(size_t)n * channels + channel], positive) : 0.0f;
        };
        use_channel(g, total, quarters, magnitudes, feature, [&](int row, float sum) {
            int n = first_neuron + row;
            if (n < neurons) parts[((size_t)blockIdx.y * neurons + n) * channels + channel] = sum;
        });
        ++channel;
        left = steps;
    });
#pragma unroll
    for (int r = 0; r < Tile::ROW_SLOTS; ++r)
#pragma unroll
        for (int c = 0; c < Tile::COL_SLOTS; ++c) {
            int n = first_neuron + Tile::row(r), p = first_pixel + Tile::col(c);
            if (n >= neurons || p >= pixels) continue;
            size_t at = (size_t)n * pixels + p;
            dmask[at] += sign_of(mask[at]) * total.at(r, c);
        }
}

