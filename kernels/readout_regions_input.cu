// The way of the readout through windows to the maps on Hopper's warpgroups (see readout_regions.cuh): the product of
// readout_input.cuh, of patches of the map, whose k runs over the neurons that see some of the patch.
#include "readout_regions.cuh"
#include "readout_input.cuh"

#define THREADS 256
#define ROWS 256  // (b, c) of a block
#define UNITS 16  // of a block, UNIT rows each
#define PATCH_HEIGHT 12
#define PATCH_WIDTH 16
#define MOST_UNITS 1024  // of an image
#define SHARED_WORDS 57856

static_assert(HOPPER, "readout_windows.cu is for other cards");
static_assert(PRECISION == BF16, "and for other precisions");
static_assert(THREADS == INPUT_THREADS && ROWS == INPUT_ROWS && UNITS == INPUT_UNITS, "");
static_assert(PATCH_HEIGHT * PATCH_WIDTH == INPUT_COLS, "a patch is what sums are of");
static_assert(INPUT_SHARED <= SHARED_WORDS, "stages");

struct Patch {
    const u32* masks;  // of the patch
    const u32* eights;
    int spans;
    u32 next;  // of the span to be copied next

    __device__ __forceinline__ bool neurons(int, int, u32& word) const {
        word = next * CHUNK;
        return next != NO_CHUNK;
    }
    __device__ __forceinline__ void look_at(int span, int chunk) { next = span < spans ? eights[span * ROW_CHUNKS + chunk] : NO_CHUNK; }
    __device__ __forceinline__ void copy_masks(u32* to, int span, int line, int chunk) const {
        constexpr int WORDS = INPUT_COLS / 2;
        const u32* from = masks + ((span * SPAN + line) * WORDS + chunk * CHUNK);
#pragma unroll
        for (int q = 0; q < SPAN / LINES; ++q)
#pragma unroll
            for (int slab = 0; slab < INPUT_COLS / 64; ++slab)
                begin_copy(to + slab * SLAB + q * LINES * ROW_WORDS, from + q * LINES * WORDS + slab * ROW_WORDS, span < spans);
    }
};

// Block: ROWS rows (b, c), in UNITs, by a patch; those with most work come first. A patch has its spans of 8 times 8 slots in `eights`.
extern "C" __global__ void __launch_bounds__(THREADS)
readout_regions_backward_input(const Map* masks /* (spans, SPAN, pixels of a patch) */,
                               const Map* factors /* v (C, slots) and dh (B, slots), stored */, const u32* eights /* (spans, ROW_CHUNKS) */,
                               const u32* patches /* (patches, PATCH_WORDS): first span, spans, corner */, Map* dx /* (B, C, P) */,
                               int batch, int channels, int map_height, int map_width, int neurons) {
    DYNAMIC_SHARED(shared, SHARED_WORDS);
    const u32* patch = patches + blockIdx.y * PATCH_WORDS;
    u32 first_span = patch[0];
    int spans = patch[1], top = patch[2], left = patch[3];
    OwnUnits own(batch, channels, blockIdx.x);
    Patch lies{(const u32*)masks + (size_t)first_span * SPAN * (INPUT_COLS / 2), eights + first_span * ROW_CHUNKS, spans, NO_CHUNK};
    lies.look_at(0, own_chunk());
    InputSums sums;
    input_of(sums, lies, own, shared, (const u32*)factors, channels, stored_words(neurons), spans);
    own.store(sums, dx, in_runs(dx, map_width), batch, channels, map_height * map_width, [&](int col) {
        int y = top + col / PATCH_WIDTH, x = left + col % PATCH_WIDTH;
        return make_int2(y * map_width + x, y < map_height ? map_width - x : 0);
    });
}
