// What the passes of the readout, on whole maps (readout_tensor.cu) and through windows (readout_windows.cu), share.
#pragma once
#include "product.cuh"

constexpr int BAND = 16;  // rows of tiles that blocks running together work on

// Which of gridDim.x columns (x) and gridDim.y rows (y) of tiles a block takes: BAND rows at a time, column after column. Blocks
// that run together then need few rows and few columns, and share them in the cache. Blocks of a cluster have neighbouring columns.
struct Tiles {
    int x, y;

    __device__ __forceinline__ explicit Tiles(int cluster = 1) {
        u32 columns = gridDim.x / cluster, column = blockIdx.x / cluster;
        u32 block = blockIdx.y * columns + column, band = block / (BAND * columns);
        u32 in_band = block - band * BAND * columns, rows = min(BAND, (int)(gridDim.y - band * BAND));
        x = in_band / rows * cluster + blockIdx.x % cluster;
        y = band * BAND + in_band % rows;
    }
};

__device__ __forceinline__ float counted(float feature, int positive) { return positive ? fabsf(feature) : feature; }

// A tile of products, rows (b, c) from `first_row` on, is in: calls keep(image, col, sum) with what its rows of each image give,
// weighted by weight(c, col).
template <class Tile, class Weight, class Keep>
__device__ __forceinline__ void contract(Tile& sums, float* parts /* (2, COLS) */, int first_row, int images, int channels, Weight weight,
                                         Keep keep) {
    for (int image = 0; image < images; ++image) {
        sums.over_rows(parts, [&](int row, int col, float sum) {
            int c = first_row + row - image * channels;
            return c >= 0 && c < channels ? weight(c, col) * sum : 0.0f;
        });
        __syncthreads();
        if (threadIdx.x < Tile::COLS) keep(image, threadIdx.x, parts[threadIdx.x] + parts[Tile::COLS + threadIdx.x]);
        __syncthreads();
    }
}

// A step of the weights' pass is 16 images of one channel: all images of channel 0, then of channel 1, ... Its operands are
// fetched step after step, and count along: a division here would stand before every load. This is x.
template <class Number> struct Images {
    const Number* x;  // this thread's place in the map of the channel
    int batch, steps;
    int image, channel;  // from one image and one channel to the next
    int now = 0;
    typedef Number Held;

    template <int COUNT> __device__ __forceinline__ void fetch(int, int k, Number (&held)[COUNT]) {
        int b = now * STEP + k, left = batch - b;
        const Number* at = x + (size_t)b * image;
#pragma unroll
        for (int i = 0; i < COUNT; ++i, at += image) held[i] = i < left ? *at : Number();
        if (++now == steps) now = 0, x += channel;
    }
    __device__ __forceinline__ float value(Number v) const { return number(v); }
};

// A channel's tile of G is in: takes the sums of magnitudes(r, c) G over its columns into `quarters`, and feature(r) G into
// `total`, and clears it.
template <class Tile, class Magnitudes, class Feature>
__device__ __forceinline__ void take_channel(Tile& g, Tile& total, float* quarters /* (4, rows) */, Magnitudes magnitudes,
                                             Feature feature) {
    float v[Tile::ROW_SLOTS];
#pragma unroll
    for (int r = 0; r < Tile::ROW_SLOTS; ++r) v[r] = feature(r);
    g.over_cols(quarters, [&](int r, int c) {
        float2 both = magnitudes(r, c);
        return make_float2(both.x * g.at(r, c), both.y * g.at(r, c + 1));
    });
#pragma unroll
    for (int r = 0; r < Tile::ROW_SLOTS; ++r)
#pragma unroll
        for (int c = 0; c < Tile::COL_SLOTS; ++c) total.at(r, c) = fmaf(v[r], g.at(r, c), total.at(r, c));
    g.clear();
}

// The same where a barrier may follow: then calls keep(row, sum over the columns).
template <class Tile, class Magnitudes, class Feature, class Keep>
__device__ __forceinline__ void use_channel(Tile& g, Tile& total, float* quarters /* (4, rows) */, Magnitudes magnitudes,
                                            Feature feature, Keep keep) {
    take_channel(g, total, quarters, magnitudes, feature);
    __syncthreads();
    if (threadIdx.x < Tile::ROWS) {
        const float* q = quarters + threadIdx.x;
        keep(threadIdx.x, (q[0] + q[Tile::ROWS]) + (q[2 * Tile::ROWS] + q[3 * Tile::ROWS]));
    }
}
