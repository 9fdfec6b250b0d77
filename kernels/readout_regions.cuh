// The readout through windows on Hopper's warpgroups: what its kernels share. Neurons are sorted so that neighbours look at neighbouring
// places, each in a slot, and slots are cut into tiles. What the neurons of a tile look at is its region: chunks of CHUNK_NUMBERS pixels of
// the map, SPAN pixels to a span. |mask| is stored for all of a tile's region, zeros outside of the neuron's own window, and products run
// over regions.
//
// slots    (tiles of NEURONS, SLOT_WORDS): window and place of the mask; height 0 where there is no neuron
// tiles    (tiles + 1, TILE_WORDS): first span, first piece for the gradients of the weights
// chunks   (spans, ROW_CHUNKS): which chunk of the map
// sight    (spans): for every 64 neurons of the tile 4 bits, of two chunks each, whether any of them sees any of these
// viewers  (spans of patches, ROW_CHUNKS): which CHUNK_NUMBERS slots, in the lowest VIEWERS_BITS, and which thirds of the patch any of the
//          span sees
// features (slots, C) and order (slots), of neurons, end with the last neuron
#pragma once
#include "warpgroup.cuh"

constexpr u32 NO_CHUNK = 0xffffffffu;  // fills up the last span
constexpr int VIEWERS_BITS = 29;
constexpr u32 NO_VIEWERS = (1u << VIEWERS_BITS) - 1;  // likewise
constexpr int SLOT_WORDS = 8, TILE_WORDS = 2, PIECE_WORDS = 2, PATCH_WORDS = 8;
constexpr int CHUNK_NUMBERS = SPAN / ROW_CHUNKS;  // 16 bytes: neighbouring pixels of a map, or slots
constexpr int TILE_NEURONS = 192;

// The word of a chunk in a row of |mask| of a span: those that one lane multiplies lie side by side.
__device__ __forceinline__ int place_in_masks(int chunk, int word) { return word * ROW_CHUNKS + chunk; }

struct Slot {
    int top, left, height, width;
    u32 start;  // of the mask

    __device__ __forceinline__ Slot(const u32* slots, u32 slot) {
        const u32* words = slots + (size_t)slot * SLOT_WORDS;
        top = words[0], left = words[1], height = words[2], width = words[3], start = words[4];
    }
    __device__ __forceinline__ bool sees(int y, int x) const {
        return (u32)(y - top) < (u32)height && (u32)(x - left) < (u32)width;
    }
    // Where that pixel lies in the masks.
    __device__ __forceinline__ u32 place(int y, int x) const { return start + (y - top) * width + x - left; }
};
