// The gradients of the weights of the readout through windows on Hopper's warpgroups (see readout_regions.cuh): the product of
// readout_weights.cuh, of a tile's neurons by pieces of its region.
#include "readout_regions.cuh"
#include "readout_weights.cuh"

#define THREADS 384
#define NEURONS 192  // of a tile
#define PIXELS 96    // of a piece
#define SHARED_WORDS 57360

static_assert(HOPPER, "readout_windows.cu is for other cards");
static_assert(PRECISION == BF16, "and for other precisions");
static_assert(THREADS == WEIGHTS_THREADS && NEURONS == WEIGHTS_NEURONS && NEURONS == TILE_NEURONS && PIXELS == WEIGHTS_PIXELS, "");
static_assert(WEIGHTS_SHARED + PIXELS / CHUNK_NUMBERS <= SHARED_WORDS, "dh, stages, chunks");

struct Piece {
    const u32* chunks;  // PIXELS / CHUNK_NUMBERS, in shared memory: they are seldom needed
    const u32* masks;
    const u32* sorted;  // dh
    const u32* slots;
    const float* features;
    float* grown;
    float* parts;
    u32 tile, first_span, first_chunk;
    int first_channel, batch, channels, neurons, inside, map_width, positive;

    __device__ __forceinline__ int slot_of(int row) const { return tile * NEURONS + row; }
    __device__ __forceinline__ bool holds(int row) const { return slot_of(row) < neurons; }
    __device__ __forceinline__ bool word(int chunk, u32& word) const {
        word = chunks[chunk] * CHUNK;
        return chunks[chunk] != NO_CHUNK;
    }
    __device__ __forceinline__ const u32* dh() const { return sorted + (size_t)slot_of(0) * stored_words(batch); }
    __device__ __forceinline__ u32 magnitude(int row, int word) const {
        int chunk = first_chunk + word / CHUNK;
        u32 line = (first_span + chunk / ROW_CHUNKS) * NEURONS + row;
        return chunks[word / CHUNK] == NO_CHUNK ? 0 : masks[(size_t)line * ROW_WORDS + place_in_masks(chunk % ROW_CHUNKS, word % CHUNK)];
    }
    __device__ __forceinline__ float feature(int row, int channel) const {
        return counted(features[min(slot_of(row), neurons - 1) * channels + first_channel + channel], positive);
    }
    __device__ __forceinline__ void keep(int row, int channel, float sum, bool first) const {
        float* at = parts + ((size_t)(blockIdx.x * NEURONS + row) * channels + first_channel + channel);
        *at = first ? sum : *at + sum;
    }
    __device__ __forceinline__ void add(int row, int word, const float (&sums)[COLUMN_SLOTS][4]) const {
        float* own = grown + (size_t)blockIdx.y * inside;
        Slot of_row[2] = {Slot(slots, slot_of(row)), Slot(slots, slot_of(row + 8))};
#pragma unroll
        for (int j = 0; j < COLUMN_SLOTS; ++j) {
            u32 chunk = chunks[j], pixel = chunk * CHUNK_NUMBERS + word * 2;
            if (chunk == NO_CHUNK) continue;
#pragma unroll
            for (int e = 0; e < 2; ++e) {
                int y = (pixel + e) / map_width, x = pixel + e - y * map_width;
#pragma unroll
                for (int r = 0; r < 2; ++r)
                    if (of_row[r].sees(y, x)) own[of_row[r].place(y, x)] = sums[j][r * 2 + e];
            }
        }
    }
};

// Block: NEURONS neurons by one of `pieces` (PIECE_WORDS: tile, first chunk of its region), `each` channels.
extern "C" __global__ void __launch_bounds__(THREADS)
readout_regions_backward_weights(const Map* x /* (B, C, P), stored */, const Map* masks /* (spans, NEURONS, SPAN) */,
                                 const float* features /* (slots, C) */,
                                 const Map* dh /* (slots, B), stored */, const u32* slots, const u32* tiles, const u32* chunks,
                                 const u32* pieces, float* grown /* (C / each, inside) */, float* parts /* (pieces, NEURONS, C) */,
                                 int batch, int channels, int pixels, int map_width, int neurons, int inside, int each, int positive) {
    DYNAMIC_SHARED(shared, SHARED_WORDS);
    u32* own_chunks = shared + WEIGHTS_SHARED;
    u32 tile = pieces[blockIdx.x * PIECE_WORDS], first_chunk = pieces[blockIdx.x * PIECE_WORDS + 1];
    u32 first_span = tiles[tile * TILE_WORDS], end = tiles[(tile + 1) * TILE_WORDS];
    int first_channel = blockIdx.y * each, words = stored_words(pixels);
    if (threadIdx.x < PIXELS / CHUNK_NUMBERS) {
        u32 at = first_span * ROW_CHUNKS + first_chunk + threadIdx.x;
        own_chunks[threadIdx.x] = at < end * ROW_CHUNKS ? chunks[at] : NO_CHUNK;
    }
    __syncthreads();
    Piece piece{own_chunks, (const u32*)masks, (const u32*)dh, slots, features, grown, parts, tile, first_span, first_chunk,
                first_channel, batch, channels, neurons, inside, map_width, positive};
    weights_of(piece, shared, (const u32*)x + (size_t)first_channel * words, batch, channels, min(each, channels - first_channel), words);
}
