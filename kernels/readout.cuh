// What the passes of the readout, on whole maps (readout.cu) and through windows (readout_windows.cu), share.
#pragma once
#include "product.cuh"

__device__ __forceinline__ float counted(float feature, int positive) { return positive ? fabsf(feature) : feature; }

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

// A channel's tile of G is in: takes it into dfeatures, keep(row, sum of magnitudes(r, c) G over the columns), and into the
// sums of feature(r) G, and clears it.
template <class Tile, class Magnitudes, class Feature, class Keep>
__device__ __forceinline__ void use_channel(Tile& g, Tile& total, float* quarters /* (4, rows) */, Magnitudes magnitudes,
                                            Feature feature, Keep keep) {
    g.over_cols(quarters, [&](int r, int c) {
        float2 both = magnitudes(r, c);
        return make_float2(both.x * g.at(r, c), both.y * g.at(r, c + 1));
    });
#pragma unroll
    for (int r = 0; r < Tile::ROW_SLOTS; ++r) {
        float v = feature(r);
#pragma unroll
        for (int c = 0; c < Tile::COL_SLOTS; ++c) total.at(r, c) = fmaf(v, g.at(r, c), total.at(r, c));
    }
    g.clear();
    __syncthreads();
    if (threadIdx.x < Tile::ROWS) {
        const float* q = quarters + threadIdx.x;
        keep(threadIdx.x, (q[0] + q[Tile::ROWS]) + (q[2 * Tile::ROWS] + q[3 * Tile::ROWS]));
    }
}
