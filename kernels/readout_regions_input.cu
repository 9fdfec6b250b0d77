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
static_assert(PRECISION != F32, "readout_windows.cu has that");
static_assert(THREADS == INPUT_THREADS && ROWS == INPUT_ROWS && UNITS == INPUT_UNITS, "");
static_assert(PATCH_HEIGHT * PATCH_WIDTH == INPUT_COLS, "a patch is what sums are of");
static_assert(INPUT_SHARED <= SHARED_WORDS, "stages");

// Neurons that see its upper third alone come first, then those that see two thirds, all of it, the lower two, the lowest.
struct Patch {
    static constexpr int AT_ONCE = 1;
    const u32* masks;
    const u32* viewers;
    int spans;
    u32 next;  // of the span to be copied

    __device__ __forceinline__ bool neurons(int, u32& word) const {
        u32 slots = next & NO_VIEWERS;
        word = slots * CHUNK;
        return slots != NO_VIEWERS;
    }
    __device__ __forceinline__ void look_at(int span, int chunk) {
        next = span < spans ? viewers[span * ROW_CHUNKS + chunk] : NO_VIEWERS;
    }
    __device__ __forceinline__ void copy_masks(u32* to, u32 span, int line, int chunk) const {
        auto sees = [&](int third) { return next >> (VIEWERS_BITS + third) & 1; };
        if constexpr (ACROSS) {
            constexpr int WORDS = INPUT_COLS / 2;
            const u32* from = masks + ((span * SPAN + line) * WORDS + chunk * CHUNK);
#pragma unroll
            for (int q = 0; q < SPAN / LINES; ++q)
#pragma unroll
                for (int slab = 0; slab < SLABS; ++slab)
                    if (sees(slab)) begin_copy(to + slab * SLAB + q * LINES * ROW_WORDS, from + q * LINES * WORDS + slab * ROW_WORDS, true);
        } else {
            const u32* from = masks + ((span * INPUT_COLS + line) * ROW_WORDS + chunk * CHUNK);
#pragma unroll
            for (int q = 0; q < INPUT_COLS / LINES; ++q)
                if (sees(q * LINES / 64)) begin_copy(to + q * LINES * ROW_WORDS, from + q * LINES * ROW_WORDS, true);
        }
    }
};

// Block: ROWS rows (b, c), in UNITs, by a patch; those with most work come first.
extern "C" __global__ void __launch_bounds__(THREADS)
readout_regions_backward_input(const Map* masks /* (spans, SPAN, pixels of a patch), for TF32 (spans, pixels, SPAN) */,
                               const Map* factors /* v (C, slots) and dh (B, slots), stored */,
                               const u32* viewers /* (spans, ROW_CHUNKS) */,
                               const u32* patches /* (patches, PATCH_WORDS): corner, first span, ends */, Map* dx /* (B, C, P) */,
                               int batch, int channels, int map_height, int map_width, int neurons) {
    DYNAMIC_SHARED(shared, SHARED_WORDS);
    const u32* patch = patches + blockIdx.y * PATCH_WORDS;
    int top = patch[0], left = patch[1];
    u32 first_span = patch[2];
    const u32* ends = patch + 3;
    Patch lies{(const u32*)masks + (size_t)first_span * MASKS, viewers + first_span * ROW_CHUNKS, (int)ends[4], NO_VIEWERS};
    lies.look_at(0, own_chunk());
    Input<Patch> input(lies, InputUnits(batch, blockIdx.x), shared, factors, channels, neurons);
    input.multiply<0, 1>(ends[0]);
    input.multiply<0, 2>(ends[1]);
    input.multiply<0, 3>(ends[2]);
    input.multiply<1, 3>(ends[3]);
    input.multiply<2, 3>(ends[4]);
    input.store(dx, in_runs(dx, map_width), map_height * map_width, [&](int col) {
        int y = top + col / PATCH_WIDTH, x = left + col % PATCH_WIDTH;
        return make_int2(y * map_width + x, y < map_height ? map_width - x : 0);
    });
}
