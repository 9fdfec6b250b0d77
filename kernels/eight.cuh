// The fields of the orientation-Fourier kernels for 8 orientations: tiles, halos, the transform.
#pragma once
#include "fragments.cuh"
#include "map.cuh"
#include "transform.cuh"

constexpr int THREADS = 256;
constexpr int WARPS = THREADS / 32;
constexpr int COLUMNS = 32;  // of a strip of a row: 16 even ones and 16 odd ones are tiles

constexpr int WIDE = PRECISION == BF16 ? 2 : 1;  // pixels in a word

// What a filter's width, 3 or 5, decides.
template <int K> struct Eight {
    static constexpr int TILES = PRECISION == BF16 ? 2 : 1;  // of a warp: both of a strip, or one
    static constexpr int PER_ROW = (K + 1) / 2;              // pairs of taps
    static constexpr int WINDOW = (K * PER_ROW + 3) / 4;     // words that a lane holds for a pixel
    static constexpr int TS = WINDOW / WIDE;                 // products over taps
    static constexpr int STRIPS = WARPS * TILES / 2;         // of a block
    static constexpr int PLANE = (STRIPS / 4 + K - 1) * 152 / WIDE;  // words of a component's halo
};

// Two neighbours of a map.
#if PRECISION == BF16
typedef u32 Two;
__device__ __forceinline__ void store_two(Map* at, float2 v) { *reinterpret_cast<u32*>(at) = pack_bf16(v.x, v.y); }
__device__ __forceinline__ Two load_two(const Map* at) { return __ldg(reinterpret_cast<const u32*>(at)); }
__device__ __forceinline__ float first(Two v) { return low_half(v); }
__device__ __forceinline__ float second(Two v) { return high_half(v); }
#else
typedef float2 Two;
__device__ __forceinline__ void store_two(Map* at, float2 v) { *reinterpret_cast<float2*>(at) = v; }
__device__ __forceinline__ Two load_two(const Map* at) { return __ldg(reinterpret_cast<const float2*>(at)); }
__device__ __forceinline__ float first(Two v) { return v.x; }
__device__ __forceinline__ float second(Two v) { return v.y; }
#endif

// Sizes of one launch; tiles are `rows` x 32 `across` pixels.
struct Layer {
    int in_features, out_features, height, width, out_height, out_width, padding, across, rows;
};

template <int K>
__device__ __forceinline__ Layer layer_of(int in_features, int out_features, int height, int width, int padding, int across, int rows) {
    int more = 2 * padding + 1 - K;
    return {in_features, out_features, height, width, height + more, width + more, padding, across, rows};
}

struct Tile {
    int image, row, column;
};

__device__ __forceinline__ Tile tile_of(const Layer& l, int index) {
    int wide = COLUMNS * l.across, across = (l.out_width + wide - 1) / wide, down = (l.out_height + l.rows - 1) / l.rows;
    return {index / (across * down), index / across % down * l.rows, index % across * wide};
}

// The halo of a tile in shared memory: (component, row, stride) words of WIDE pixels, of which those outside of the image stay zero.
// It begins at an even column, so that a word's pixels are a pair of taps of even pixels, and of odd ones one tap further on. A
// thread copies one or two pairs.
constexpr int PLACES = 2;

// Where a pair is in a plane of the image, negative if nowhere, and in one of the halo.
struct Place {
    int from, to;
};

__device__ __forceinline__ int stride_of(const Layer& l) { return (l.across == 1 ? 40 : l.across == 2 ? 88 : 152) / WIDE; }

template <int K> __device__ __forceinline__ void find_places(Place (&places)[PLACES], const Layer& l, const Tile& tile) {
    int shift = l.padding & 1, rows = l.rows + K - 1, top = tile.row - l.padding, begin = tile.column - l.padding - shift;
    // Pairs of a row that are within the image.
    int first = max(0, -begin / 2), live = max(1, min(COLUMNS / 2 * l.across + (K + shift) / 2, (l.width - begin) / 2) - first);
#pragma unroll
    for (int i = 0; i < PLACES; ++i) {
        int at = threadIdx.x + i * THREADS, row = at / live, column = 2 * (first + at % live);
        bool inside = row < rows && top + row >= 0 && top + row < l.height && begin + column < l.width;
        places[i] = {inside ? (top + row) * l.width + begin + column : -1, row * stride_of(l) + column / WIDE};
    }
}

// Two neighbouring pixels at all orientations.
struct Twos {
    Two x[8];

    __device__ __forceinline__ void load(const Map* planes, const Place& place, int step) {
        const Map* at = planes + place.from;
#pragma unroll
        for (int o = 0; o < 8; ++o) x[o] = place.from >= 0 ? load_two(at + o * step) : Two();
    }
    // Transforms them, `plane` words from component to component.
    __device__ __forceinline__ void put(u32* halo, int plane, const Place& place) const {
        float left[8], right[8];
#pragma unroll
        for (int o = 0; o < 8; ++o) left[o] = first(x[o]), right[o] = second(x[o]);
        transform(left);
        transform(right);
        if (place.from < 0) return;
#pragma unroll
        for (int c = 0; c < 8; ++c) {
#if PRECISION == BF16
            halo[c * plane + place.to] = pack_bf16(left[c], right[c]);
#else
            *reinterpret_cast<uint2*>(halo + c * plane + place.to) = make_uint2(operand(left[c]), operand(right[c]));
#endif
        }
    }
};
