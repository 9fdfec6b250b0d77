// What comes before and after the products of the readout through windows on Hopper's warpgroups (see readout_regions.cuh).
#include "readout_regions.cuh"
#include "readout.cuh"

#define THREADS 256
#define NEURONS 192  // of a tile
#define PATCH_HEIGHT 12
#define PATCH_WIDTH 16
#define FILL_BLOCKS 6  // of a tile

static_assert(HOPPER, "readout_windows.cu is for other cards");
static_assert(PRECISION != F32, "readout_windows.cu has that");
static_assert(NEURONS == TILE_NEURONS && PATCH_WIDTH == 16, "");

static_assert(FILL_BLOCKS * THREADS == NEURONS * ROW_CHUNKS, "a thread for every chunk of a span");

__device__ __forceinline__ void store_chunk(u32 (&words)[CHUNK], const float (&v)[CHUNK_NUMBERS]) {
#pragma unroll
    for (int i = 0; i < CHUNK; ++i)
#if PRECISION == BF16
        words[i] = pack_bf16(v[2 * i], v[2 * i + 1]);
#else
        words[i] = to_tf32(v[i]);
#endif
}

// |mask| of a chunk's pixels, pixel i at(i) on the map: its words.
template <class At> __device__ __forceinline__ void read_chunk(u32 (&words)[CHUNK], const float* mask, const Slot& slot, At at) {
    float v[CHUNK_NUMBERS];
#pragma unroll
    for (int i = 0; i < CHUNK_NUMBERS; ++i) {
        int2 pixel = at(i);
        v[i] = slot.sees(pixel.y, pixel.x) ? fabsf(mask[slot.place(pixel.y, pixel.x)]) : 0.0f;
    }
    store_chunk(words, v);
}

// Thread: a chunk of every span of a tile.
extern "C" __global__ void __launch_bounds__(THREADS)
readout_regions_store_masks(const float* mask /* (inside) */, const u32* slots, const u32* tiles, const u32* chunks,
                            Map* to /* (spans, NEURONS, SPAN) */, int map_width) {
    u32 tile = blockIdx.y, own = blockIdx.x * THREADS + threadIdx.x, end = tiles[(tile + 1) * TILE_WORDS];
    Slot slot(slots, tile * NEURONS + own / ROW_CHUNKS);
    for (u32 span = tiles[tile * TILE_WORDS]; span < end; ++span) {
        u32 chunk = chunks[span * ROW_CHUNKS + own % ROW_CHUNKS];
        u32 words[CHUNK], *row = (u32*)to + ((size_t)span * NEURONS + own / ROW_CHUNKS) * ROW_WORDS;
        read_chunk(words, mask, slot, [&](int i) {
            int pixel = chunk * CHUNK_NUMBERS + i, y = pixel / map_width;
            return make_int2(pixel - y * map_width, chunk == NO_CHUNK ? -1 : y);
        });
#pragma unroll
        for (int i = 0; i < CHUNK; ++i) row[place_in_masks(own % ROW_CHUNKS, i)] = words[i];
    }
}

// Slot k of a chunk of those that see a patch; one that sees nothing, where there is none.
__device__ __forceinline__ Slot viewer(const u32* slots, u32 chunk, int k) {
    Slot slot(slots, chunk == NO_VIEWERS ? 0 : chunk * CHUNK_NUMBERS + k);
    if (chunk == NO_VIEWERS) slot.height = 0;
    return slot;
}

// Block: a span of a patch.
extern "C" __global__ void __launch_bounds__(THREADS)
readout_regions_store_patches(const float* mask /* (inside) */, const u32* slots, const u32* viewers /* (spans, ROW_CHUNKS) */,
                              const u32* corners /* (spans, 2) */,
                              Map* to /* (spans, SPAN, pixels of a patch), for TF32 (spans, pixels, SPAN) */) {
    constexpr int PIXELS = PATCH_HEIGHT * PATCH_WIDTH;
    u32 span = blockIdx.x;
    const u32* own = viewers + span * ROW_CHUNKS;
    int top = corners[span * 2], left = corners[span * 2 + 1];
    uint4* chunks = (uint4*)to + (size_t)span * (PIXELS * ROW_CHUNKS);
    u32 words[CHUNK];
#if PRECISION == BF16
    constexpr int PATCH_CHUNKS = PIXELS / CHUNK_NUMBERS;
    for (int i = threadIdx.x; i < SPAN * PATCH_CHUNKS; i += THREADS) {
        int k = i / PATCH_CHUNKS, first = i % PATCH_CHUNKS * CHUNK_NUMBERS;
        Slot slot = viewer(slots, own[k / CHUNK_NUMBERS] & NO_VIEWERS, k % CHUNK_NUMBERS);
        int y = top + first / PATCH_WIDTH, x = left + first % PATCH_WIDTH;
        read_chunk(words, mask, slot, [&](int p) { return make_int2(x + p, y); });
        chunks[i] = make_uint4(words[0], words[1], words[2], words[3]);
    }
#else
    // A warp has a row of pixels of two neighbouring chunks of slots.
    constexpr int PAIRS = ROW_CHUNKS / 2, ROWS = THREADS / 32 / PAIRS;
    int warp = threadIdx.x / 32, chunk = warp % PAIRS * 2 + threadIdx.x % 2, column = threadIdx.x % 32 / 2;
    u32 which = own[chunk] & NO_VIEWERS;
    Slot who[] = {viewer(slots, which, 0), viewer(slots, which, 1), viewer(slots, which, 2), viewer(slots, which, 3)};
    for (int row = warp / PAIRS; row < PATCH_HEIGHT; row += ROWS) {
        float v[CHUNK_NUMBERS];
        int y = top + row, x = left + column;
#pragma unroll
        for (int k = 0; k < CHUNK_NUMBERS; ++k) v[k] = who[k].sees(y, x) ? fabsf(mask[who[k].place(y, x)]) : 0.0f;
        store_chunk(words, v);
        chunks[(row * PATCH_WIDTH + column) * ROW_CHUNKS + chunk] = make_uint4(words[0], words[1], words[2], words[3]);
    }
#endif
}

// Thread: one output.
extern "C" __global__ void __launch_bounds__(THREADS)
readout_regions_add_outputs(const float* parts /* (parts, B, slots) */, const float* bias /* (N) */, const u32* order /* (slots) */,
                            float* h /* (B, N) */, int count, int batch, int neurons) {
    int i = blockIdx.x * THREADS + threadIdx.x, outputs = batch * neurons;
    if (i >= outputs) return;
    int image = i / neurons;
    u32 neuron = order[i - image * neurons];
    float sum = bias[neuron];
    for (int part = 0; part < count; ++part) sum += parts[(size_t)part * outputs + i];
    h[(size_t)image * neurons + neuron] = sum;
}

// Block: one neuron's mask.
extern "C" __global__ void __launch_bounds__(THREADS)
readout_regions_add_masks(const float* parts /* (parts, inside) */, const float* mask /* (inside) */,
                          const float* sparsity /* (N), as masks lie */, const u32* starts /* (N + 1) */, float* dmask /* (inside) */,
                          int count, int inside) {
    u32 end = starts[blockIdx.x + 1];
    float of_neuron = sparsity[blockIdx.x];
    for (u32 i = starts[blockIdx.x] + threadIdx.x; i < end; i += THREADS) {
        float sum = of_neuron;
        for (int part = 0; part < count; ++part) sum += parts[(size_t)part * inside + i];
        dmask[i] = sign_of(mask[i]) * sum;
    }
}

// Thread: one feature weight.
extern "C" __global__ void __launch_bounds__(THREADS)
readout_regions_add_features(const float* parts /* (pieces, NEURONS, C) */, const float* features /* (slots, C) */, const u32* tiles,
                             const u32* order /* (slots) */, float* dfeatures /* (N, C) */, int neurons, int channels, int positive) {
    int i = blockIdx.x * THREADS + threadIdx.x;
    if (i >= neurons * channels) return;
    u32 slot = i / channels, channel = i - slot * channels, tile = slot / NEURONS;
    u32 end = tiles[(tile + 1) * TILE_WORDS + 1];
    float sum = 0.0f;
    for (u32 piece = tiles[tile * TILE_WORDS + 1]; piece < end; ++piece)
        sum += parts[((size_t)piece * NEURONS + slot % NEURONS) * channels + channel];
    dfeatures[(size_t)order[slot] * channels + channel] += positive ? sign_of(features[i]) * sum : sum;
}
