// The convolution of images of one channel or a few by tensor cores: conv.cu spends most of its time on bringing windows to shared memory,
// which here are read where the image lies.
//
// Rows of the product are output channels, columns pixels, k goes over units of a filter: its taps, in BF16 two neighbours of a row, as
// which the image is kept twice, from even columns on and from odd ones. A block owns CHANNELS channels of TILES runs of 8 neighbouring
// pixels, a warp as many channels of WARP_TILES runs: `across` side by side, then those of the next row.
#include "image.cuh"
#include "run.cuh"

#define THREADS 128
#define CHANNELS 64
#define TILES 32

static_assert(PRECISION != F32, "matrix products");

constexpr int WARP_TILES = TILES / (THREADS / 32), PARTS = CHANNELS / 16;
constexpr int MOST_UNITS = 632, MOST_WORDS = 2688;  // of filters of 25; of the image that a block sees

// The filters as left operands, zeros where there is no tap or channel: (c, step, part of 16 output channels, lane, 4). Thread: one word.
extern "C" __global__ void __launch_bounds__(THREADS)
conv_image_filters(const float* w /* (C_out, C_in, k, k) */, float* filters /* (words) */, int in_channels, int out_channels, int kernel,
                   int words) {
    int i = blockIdx.x * THREADS + threadIdx.x;
    if (i >= words) return;
    int parts = (out_channels + CHANNELS - 1) / CHANNELS * PARTS, steps = filter_steps(kernel), lane = i / 4 % 32, e = i % 4;
    int part = i / 128 % parts, step = i / (128 * parts) % steps, c = i / (128 * parts * steps);
    Unit unit(step * DEPTH + lane % 4 + e / 2 * 4, kernel);
    int o = part * 16 + lane / 4 + e % 2 * 8;
    const float* own = w + (((size_t)o * in_channels + c) * kernel + unit.u) * kernel + unit.v;
    bool inside = o < out_channels && unit.u < kernel;
    float first = inside ? own[0] : 0.0f;
#if PRECISION == BF16
    filters[i] = __uint_as_float(pack_bf16(first, inside && unit.v + 1 < kernel ? own[1] : 0.0f));
#else
    filters[i] = __uint_as_float(operand(first));
#endif
}

// Block: rows of a strip of an image, CHANNELS channels.
extern "C" __global__ void __launch_bounds__(THREADS, 2)
conv_image_forward(const Map* x /* (B, C_in, H, W) */, const float* filters /* (words) */, Map* y /* (B, C_out, H', W') */,
                   int in_channels, int out_channels, int height, int width, int kernel, int padding, int across) {
    __shared__ u32 image[MOST_WORDS], places[MOST_UNITS];
    int out_height = height + 2 * padding + 1 - kernel, out_width = width + 2 * padding + 1 - kernel;
    int rows = TILES / across, groups = (out_height + rows - 1) / rows;
    int first_row = blockIdx.x % groups * rows, first_col = blockIdx.x / groups * across * 8, first_channel = blockIdx.y * CHANNELS;
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
    int steps = filter_steps(kernel), parts = gridDim.y * PARTS;
    Seen seen(rows + kernel - 1, across * 8 + kernel - 1);
    for (int i = threadIdx.x; i < steps * DEPTH; i += THREADS) places[i] = seen.place(i, kernel) * 4;

    u32 at[WARP_TILES];  // of this lane's pixel of every run, in bytes as places
#pragma unroll
    for (int j = 0; j < WARP_TILES; ++j) {
        int tile = min(warp * WARP_TILES + j, rows * across - 1), row = tile / across;
        at[j] = seen.pixel(row, (tile - row * across) * 8 + g) * 4;
    }
    float sums[PARTS][WARP_TILES][4];
#pragma unroll
    for (int i = 0; i < PARTS * WARP_TILES * 4; ++i) sums[i / (WARP_TILES * 4)][i / 4 % WARP_TILES][i % 4] = 0.0f;
    const uint4* left = (const uint4*)filters + blockIdx.y * PARTS * 32 + lane;
    for (int c = 0; c < in_channels; ++c) {
        seen.load<THREADS>(image, x + ((size_t)blockIdx.z * in_channels + c) * height * width, height, width, first_row - padding,
                           first_col - padding);
        __syncthreads();
        // Of the next step: the filters, and what the pixels see.
        uint4 next_left[PARTS];
        u32 next_right[WARP_TILES][2];
        const u32* own_places = places + t;
        auto fetch = [&] {
#pragma unroll
            for (int i = 0; i < PARTS; ++i) next_left[i] = __ldg(left + i * 32);
            left += parts * 32;
            u32 first = own_places[0], second = own_places[4];
            own_places += DEPTH;
#pragma unroll
            for (int j = 0; j < WARP_TILES; ++j) next_right[j][0] = word_at(image, at[j] + first), next_right[j][1] = word_at(image, at[j] + second);
        };
        fetch();
#pragma unroll 1
        for (int step = 1; step <= steps; ++step) {
            u32 own[PARTS][4], right[WARP_TILES][2];
#pragma unroll
            for (int i = 0; i < PARTS; ++i) {
                uint4 v = next_left[i];
                own[i][0] = v.x, own[i][1] = v.y, own[i][2] = v.z, own[i][3] = v.w;
            }
#pragma unroll
            for (int j = 0; j < WARP_TILES; ++j) right[j][0] = next_right[j][0], right[j][1] = next_right[j][1];
            if (step < steps) fetch();
            multiply(sums, own, right);
        }
        __syncthreads();
    }

    Map* maps = y + ((size_t)blockIdx.z * out_channels + first_channel) * out_height * out_width;
    int area = out_height * out_width, channels = min(CHANNELS, out_channels - first_channel);
    bool whole = in_runs(y, out_width);
    // Run after run of one tile, of all channels.
    auto store = [&](int tile, int col, auto run_of) {
        int row = tile / across, i = first_row + row;
        col += first_col + (tile - row * across) * 8;
        Map* to = maps + i * out_width + col;
        bool inside = row < rows && i < out_height && col < out_width;
#pragma unroll
        for (int part = 0; part < PARTS; ++part)
#pragma unroll
            for (int r = 0; r < 2; ++r) {
                Run run = run_of(part, r);
                int channel = part * 16 + r * 8 + g;
                if (!inside || channel >= channels) continue;
                if (whole) {
                    run.store(to + channel * area);
                } else {
#pragma unroll
                    for (int e = 0; e < RUN; ++e)
                        if (col + e < out_width) to[channel * area + e] = run.at(e);
                }
            }
    };
#if PRECISION == BF16
#pragma unroll
    for (int q = 0; q < WARP_TILES; q += 4)
        store(warp * WARP_TILES + q + t, 0, [&](int part, int r) {
            u32 own[4];
#pragma unroll
            for (int k = 0; k < 4; ++k) own[k] = pack_bf16(sums[part][q + k][2 * r], sums[part][q + k][2 * r + 1]);
            return Run(own);
        });
#else
#pragma unroll
    for (int j = 0; j < WARP_TILES; ++j)
        store(warp * WARP_TILES + j, 2 * t, [&](int part, int r) { return Run{sums[part][j][2 * r], sums[part][j][2 * r + 1]}; });
#endif
}
