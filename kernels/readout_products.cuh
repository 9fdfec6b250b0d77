// What both families of the readout's products, of warps (readout_tensor.cu) and of four together (readout_warpgroup_*.cu), do with
// their sums.
#pragma once
#include "readout.cuh"

constexpr int UNIT = 16;  // channels of one image, filled up: what blocks of the way to the maps count in
constexpr int INVERSE_BITS = 22;  // enough to divide by up to MOST_UNITS

// Words of v by words of dh, as an operand.
__device__ __forceinline__ u32 times(u32 v, u32 dh) {
#if PRECISION == BF16
    return multiply_pairs(v, dh);
#elif PRECISION == TF32
    return to_tf32(__uint_as_float(v) * __uint_as_float(dh));
#else
    return __float_as_uint(__uint_as_float(v) * __uint_as_float(dh));
#endif
}

// weight(r, col) of some columns from slot `first` on, for all rows of this lane.
template <class Tile, class Weight, int COLS>
__device__ __forceinline__ void load_weights(float (&v)[COLS][Tile::ROW_SLOTS], int first, Weight weight) {
#pragma unroll
    for (int c = 0; c < COLS; ++c)
#pragma unroll
        for (int r = 0; r < Tile::ROW_SLOTS; ++r) v[c][r] = weight(r, Tile::col(first + c));
}

// For every column the sum over this warp's rows of weight(r, col) times the sum in slot r.
template <class Tile, class Weight> __device__ __forceinline__ void over_own_rows(Tile& sums, float* parts /* (COLS) */, Weight weight) {
    constexpr int AT_ONCE = 4;
#pragma unroll
    for (int first = 0; first < Tile::COL_SLOTS; first += AT_ONCE) {
        float v[AT_ONCE][Tile::ROW_SLOTS];
        load_weights<Tile>(v, first, weight);
#pragma unroll
        for (int c = 0; c < AT_ONCE; ++c) {
            float total = 0.0f;
#pragma unroll
            for (int r = 0; r < Tile::ROW_SLOTS; ++r) total = fmaf(v[c][r], sums.at(r, first + c), total);
            total = over_lane_rows(total);
            if (lane_row() == 0) parts[Tile::col(first + c)] = total;
        }
        __syncwarp();  // keeps later weights out of registers
    }
}

// The same for a warp that has all columns, of tensor cores' sums, so many that it pays to halve them.
template <class Tile, class Weight> __device__ __forceinline__ void over_all_rows(Tile& sums, float* parts /* (COLS) */, Weight weight) {
    constexpr int AT_ONCE = 8;
    static_assert(PRECISION != F32 && Tile::COL_SLOTS % AT_ONCE == 0, "eight lanes have a column's rows");
#pragma unroll
    for (int first = 0; first < Tile::COL_SLOTS; first += AT_ONCE) {
        float v[AT_ONCE][Tile::ROW_SLOTS], total[AT_ONCE];
        load_weights<Tile>(v, first, weight);
#pragma unroll
        for (int c = 0; c < AT_ONCE; ++c) {
            total[c] = 0.0f;
#pragma unroll
            for (int r = 0; r < Tile::ROW_SLOTS; ++r) total[c] = fmaf(v[c][r], sums.at(r, first + c), total[c]);
        }
        __syncwarp();  // keeps later weights out of registers
        int slot = halve<4, 4>(total);
        slot += halve<2, 8>(total);
        slot += halve<1, 16>(total);
        parts[Tile::col(first + slot)] = total[0];
    }
}

// What a block of the forward pass makes of its sums: h of `here` images and a tile's columns of neurons.
struct Outputs {
    const float* features;  // (N, C)
    const float* bias;      // (N)
    float* h;               // (B, N)
    int first_image, here, first_neuron, channels, neurons;
    u32 bits;  // of v that count

    // Adds what the rows (b, c) from `first_row` of the block on give. `parts` is shared memory for (here, DOWN, COLS) numbers.
    template <class Tile> __device__ __forceinline__ void add(Tile& sums, float* parts, int first_row) const {
        for (int image = 0; image < here; ++image) {
            // Its first channel, counted from this warp's first row.
            int begin = image * channels - first_row - Tile::first_row();
            if (begin >= Tile::WARP_ROWS || begin + channels <= 0) continue;
            int channel[Tile::ROW_SLOTS];
            u32 kept[Tile::ROW_SLOTS];
#pragma unroll
            for (int r = 0; r < Tile::ROW_SLOTS; ++r) {
                int c = Tile::row(r) - Tile::first_row() - begin;
                channel[r] = min(max(c, 0), channels - 1);
                kept[r] = c == channel[r] ? bits : 0;
            }
            auto weight = [&](int r, int col) {
                // Nothing is kept of columns beyond the last neuron.
                int n = min(first_neuron + col, neurons - 1);
                return __uint_as_float(__float_as_uint(features[n * channels + channel[r]]) & kept[r]);
            };
            float* own = parts + (image * Tile::DOWN + Tile::warp_down()) * Tile::COLS;
            if constexpr (Tile::ACROSS == 1) over_all_rows(sums, own, weight);
            else over_own_rows(sums, own, weight);
        }
        __syncthreads();
        for (int i = threadIdx.x; i < here * Tile::COLS; i += BLOCK) {
            int image = i / Tile::COLS, col = i % Tile::COLS, n = first_neuron + col;
            int begin = max(image * channels - first_row, 0), end = min((image + 1) * channels - first_row, Tile::ROWS);
            if (begin >= end || n >= neurons) continue;
            float sum = 0.0f;
            for (int down = begin / Tile::WARP_ROWS; down * Tile::WARP_ROWS < end; ++down)
                sum += parts[(image * Tile::DOWN + down) * Tile::COLS + col];
            float* to = h + (size_t)(first_image + image) * neurons + n;
            *to = (first_row == 0 ? bias[n] : *to) + sum;
        }
        __syncthreads();
    }
};

// The rows (b, c) of a block of the way to the maps: MOST UNITs, counted from the first one of the block's first image, where no
// division stands beside the products. Blocks need v of as many units as are `distinct`.
template <int MOST> struct Units {
    int per_image, first, images, first_image, distinct, inverse;

    __device__ __forceinline__ Units(int batch, int channels) {
        int of_all = blockIdx.y * MOST;
        per_image = (channels + UNIT - 1) / UNIT;
        first_image = of_all / per_image;
        first = of_all - first_image * per_image;
        images = (of_all + min(MOST, batch * per_image - of_all) - 1) / per_image - first_image + 1;
        distinct = min(per_image, MOST);
        inverse = (1 << INVERSE_BITS) / per_image + 1;
    }
    // Of a unit of the block.
    __device__ __forceinline__ int image_of(int unit) const { return (first + unit) * inverse >> INVERSE_BITS; }

    template <class Tile>
    __device__ __forceinline__ void store(Tile& sums, Map* dx /* (B, C, P) */, int first_pixel, int batch, int channels, int pixels) const {
        bool whole = in_runs(dx, pixels);
        sums.for_each_run([&](int row, int i, const Run& run) {
            int unit = row / UNIT, of_block = image_of(unit), image = first_image + of_block;
            int channel = (first + unit - of_block * per_image) * UNIT + row % UNIT, pixel = first_pixel + sums.run_col(i);
            if (image >= batch || channel >= channels || pixel >= pixels) return;
            Map* to = dx + ((size_t)(image * channels + channel) * pixels + pixel);
            if (whole) return run.store(to);
#pragma unroll
            for (int e = 0; e < RUN; ++e)
                if (e < pixels - pixel) to[e] = run.at(e);
        });
    }
};
