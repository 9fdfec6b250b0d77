// What a block sees of an image of few channels, for products whose right operand is made of it where it lies: steps of DEPTH units, taps
// of a filter or pixels. In BF16 a unit is two neighbours of a row; since a word holds two, the image is kept twice, words that begin at
// even columns and words that begin at odd ones.
#pragma once
#include "fragments.cuh"
#include "map.cuh"

constexpr int DEPTH = 8;
constexpr int WIDE = PRECISION == BF16 ? 2 : 1;  // numbers of a unit

// Of a filter of width k, and steps of all of them.
__device__ __forceinline__ int units_of_row(int kernel) { return (kernel + WIDE - 1) / WIDE; }
__device__ __forceinline__ int filter_steps(int kernel) { return (kernel * units_of_row(kernel) + DEPTH - 1) / DEPTH; }

// A unit's first tap; beyond the last unit u is k or more.
struct Unit {
    int u, v;

    __device__ __forceinline__ Unit(int unit, int kernel) {
        int row = units_of_row(kernel);
        u = unit / row, v = (unit - u * row) * WIDE;
    }
};

// Rows and columns of the image in shared memory, zeros outside of it and in one more column.
struct Seen {
    int rows, words;  // of a row, of each copy

    __device__ __forceinline__ Seen(int rows, int columns) : rows(rows), words(WIDE == 2 ? columns / 2 + 1 : columns) {}

    // The word of a pixel; that of a pixel and of a unit's first tap lie apart by that unit's place.
    __device__ __forceinline__ int pixel(int row, int col) const {
        return WIDE == 2 ? (col % 2 * rows + row) * words + col / 2 : row * words + col;
    }
    __device__ __forceinline__ int place(int unit, int kernel) const {
        Unit at(unit, kernel);
        return at.u < kernel ? at.u * words + at.v / WIDE : 0;
    }

    // From a row and a column of the image on, that may lie outside. A warp has a row.
    template <int THREADS>
    __device__ __forceinline__ void load(u32* to, const Map* image, int height, int width, int top, int left) const {
        int lane = threadIdx.x % 32;
        for (int row = threadIdx.x / 32; row < rows; row += THREADS / 32) {
            bool there = (u32)(top + row) < (u32)height;
            const Map* from = image + (there ? top + row : 0) * width + left;
            auto bits = [&](int col) -> u32 {
                bool inside = there && (u32)(left + col) < (u32)width;
#if PRECISION == BF16
                return inside ? from[col].bits : 0;
#else
                return inside ? operand(from[col]) : 0;
#endif
            };
            u32* own = to + row * words;
#if PRECISION == BF16
            for (int i = 0; i < words; i += 32) {
                int col = 2 * (i + lane);
                u32 first = bits(col), second = bits(col + 1);
                u32 third = __shfl_down_sync(ALL_LANES, first, 1);
                if (lane == 31) third = bits(col + 2);
                if (i + lane < words) own[i + lane] = first | second << 16, own[rows * words + i + lane] = second | third << 16;
            }
#else
            for (int i = lane; i < words; i += 32) own[i] = bits(i);
#endif
        }
    }
};

// The word so many bytes on.
__device__ __forceinline__ u32 word_at(const u32* from, u32 bytes) { return *(const u32*)((const char*)from + bytes); }
