// The gradients of the weights of the readout through windows on Hopper's warpgroups (see readout_regions.cuh): the product of
// readout_weights_tf32.cuh, of a tile's neurons by pieces of its region.
#include "readout_regions.cuh"
#include "readout_weights_tf32.cuh"

#define THREADS 256
#define NEURONS 192  // of a tile
#define PIXELS 64    // of a piece
#define SHARED_WORDS 58112

static_assert(HOPPER, "readout_windows.cu is for other cards");
static_assert(PRECISION == TF32, "readout_regions_weights.cu is for BF16");
static_assert(THREADS == WEIGHTS_THREADS && NEURONS == WEIGHTS_NEURONS && NEURONS == TILE_NEURONS && PIXELS == WEIGHTS_PIXELS, "");
static_assert(WEIGHTS_SHARED <= SHARED_WORDS, "dh, stages, sums, v");
static_assert(PIXELS % SPAN == 0, "pieces begin with a span");

// Neurons are the slots of a tile, counted from its first; chunks and masks begin with the piece.
struct Piece {
    static constexpr int first_neuron = 0;
    int neurons;
    const u32* dh;
    const float* features;
    int positive;
    const u32* chunks;
    int left;  // chunks of the tile
    const float* masks;
    const u32* slots;
    float* grown;
    float* parts;
    int channels, map_width;

    __device__ __forceinline__ u32 chunk_at(int i) const { return i < left ? chunks[i] : NO_CHUNK; }
    __device__ __forceinline__ bool word(int chunk, u32& word) const {
        u32 of_map = chunk_at(chunk);
        word = of_map * CHUNK;
        return of_map != NO_CHUNK;
    }
    __device__ __forceinline__ float magnitude(int n, int pixel) const {
        int chunk = pixel / CHUNK, line = chunk / ROW_CHUNKS * NEURONS + n;
        return chunk < left ? masks[line * ROW_WORDS + place_in_masks(chunk % ROW_CHUNKS, pixel % CHUNK)] : 0.0f;
    }
    __device__ __forceinline__ float* part(int n) const { return parts + n * channels; }
    __device__ __forceinline__ void add(int first_n, int first_pixel, const float (&sums)[SLOTS][4]) const {
        int y[2], x[2];
#pragma unroll
        for (int r = 0; r < 2; ++r) {
            int i = first_pixel + r * 8, pixel = chunk_at(i / CHUNK) * CHUNK + i % CHUNK;
            y[r] = chunk_at(i / CHUNK) == NO_CHUNK ? -1 : pixel / map_width;
            x[r] = pixel - y[r] * map_width;
        }
#pragma unroll
        for (int j = 0; j < SLOTS; ++j)
#pragma unroll
            for (int e = 0; e < 4; ++e) {
                Slot slot(slots, first_n + 8 * j + e % 2);
                if (slot.sees(y[e / 2], x[e / 2])) grown[slot.place(y[e / 2], x[e / 2])] = sums[j][e];
            }
    }
};

// Block: NEURONS neurons by one of `pieces` (PIECE_WORDS: tile, first chunk of its region), `each` channels.
extern "C" __global__ void __launch_bounds__(THREADS)
readout_regions_backward_weights_tf32(const Map* x /* (B, C, P), stored */, const Map* masks /* (spans, NEURONS, SPAN) */,
                                      const float* features /* (slots, C) */, const Map* dh /* (slots, B), stored */, const u32* slots,
                                      const u32* tiles, const u32* chunks, const u32* pieces, float* grown /* (C / each, inside) */,
                                      float* parts /* (pieces, NEURONS, C) */, int batch, int channels, int pixels, int map_width,
                                      int neurons, int inside, int each, int positive) {
    DYNAMIC_SHARED(shared, SHARED_WORDS);
    u32 tile = pieces[blockIdx.x * PIECE_WORDS], first_chunk = pieces[blockIdx.x * PIECE_WORDS + 1], first_slot = tile * NEURONS;
    u32 first_span = tiles[tile * TILE_WORDS], end = tiles[(tile + 1) * TILE_WORDS], before = first_span * ROW_CHUNKS + first_chunk;
    int first_channel = blockIdx.y * each, words = stored_words(pixels);
    Piece piece{neurons - (int)first_slot,
                (const u32*)dh + (size_t)first_slot * stored_words(batch),
                features + (first_slot * channels + first_channel),
                positive,
                chunks + before,
                (int)(end * ROW_CHUNKS - before),
                masks + (size_t)(before / ROW_CHUNKS) * (NEURONS * ROW_WORDS),
                slots + first_slot * SLOT_WORDS,
                grown + (size_t)blockIdx.y * inside,
                parts + ((size_t)blockIdx.x * (NEURONS * channels) + first_channel),
                channels,
                map_width};
    weights_of(piece, shared, (const u32*)x + (size_t)first_channel * words, batch, channels, min(each, channels - first_channel), words);
}
