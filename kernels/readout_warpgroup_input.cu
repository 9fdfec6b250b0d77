// The way of the readout to the maps on Hopper's warpgroups, of stored operands (see readout.cu).
#include "readout_input.cuh"

#define THREADS 256
#define ROWS 256         // (b, c) of a block
#define COLS 192         // pixels
#define UNITS 16         // of a block, UNIT rows each
#define MOST_UNITS 1024  // of an image
#define SHARED_WORDS 57856

static_assert(HOPPER, "readout_tensor.cu is for other cards");
static_assert(PRECISION != F32, "readout_tensor.cu has that");
static_assert(THREADS == INPUT_THREADS && ROWS == INPUT_ROWS && COLS == INPUT_COLS && UNITS == INPUT_UNITS, "");
static_assert(INPUT_SHARED <= SHARED_WORDS, "stages");

struct Whole {
    static constexpr int AT_ONCE = SLABS;
    const u32* mask;
    int first_pixel, pixels, all_neurons, words, length, at = 0;  // the word of the span to be copied

    __device__ __forceinline__ bool neurons(int chunk, u32& word) const {
        word = at + chunk * CHUNK;
        return (int)word < length;
    }
    __device__ __forceinline__ void look_at(int span, int) { at = span * ROW_WORDS; }
    __device__ __forceinline__ void copy_masks(u32* to, int span, int line, int chunk) const {
        if constexpr (ACROSS) {
            int word = first_pixel / 2 + chunk * CHUNK, left = all_neurons - line - span * SPAN;
            const u32* from = mask + ((u32)(span * SPAN + line) * words + word);
#pragma unroll
            for (int q = 0; q < SPAN / LINES; ++q)
#pragma unroll
                for (int slab = 0; slab < SLABS; ++slab)
                    begin_copy(to + slab * SLAB + q * LINES * ROW_WORDS, from + q * LINES * words + slab * ROW_WORDS,
                               q * LINES < left && word + slab * ROW_WORDS < words);
        } else {
            int word = at + chunk * CHUNK;
            const u32* from = mask + ((u32)(first_pixel + line) * length + word);
#pragma unroll
            for (int q = 0; q < COLS / LINES; ++q)
                begin_copy(to + q * LINES * ROW_WORDS, from + q * LINES * length, word < length && q * LINES < pixels - first_pixel - line);
        }
    }
};

// Block: ROWS rows (b, c), in UNITs, by COLS pixels.
extern "C" __global__ void __launch_bounds__(THREADS)
readout_warpgroup_backward_input(const Map* mask /* (N, P), for TF32 (P, N), stored */, const Map* factors /* v (C, N) and dh (B, N), stored */,
                                 Map* dx /* (B, C, P) */, int batch, int channels, int pixels, int neurons) {
    DYNAMIC_SHARED(shared, SHARED_WORDS);
    int first_pixel = blockIdx.x * COLS;
    Whole lies{(const u32*)mask, first_pixel, pixels, neurons, stored_words(pixels), stored_words(neurons)};
    Input<Whole> input(lies, InputUnits(batch, blockIdx.y), shared, factors, channels, neurons);
    input.multiply<0, SLABS>(spans_of(neurons));
    input.store(dx, in_runs(dx, pixels), pixels, [&](int col) { return make_int2(first_pixel + col, pixels - first_pixel - col); });
}
