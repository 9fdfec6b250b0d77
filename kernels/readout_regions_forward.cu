// The forward product of the readout through windows on Hopper's warpgroups (see readout_regions.cuh), rows n, columns b, and k all pixels of
// all channels: h[b, n] = sum over c and p of (v[n, c] |mask[n, p]|) x[b, c, p]. For a span of pixels come all channels one after the other, so
// a thread's part of |mask| stays in its registers, and v is multiplied to it there.
#include "readout_regions.cuh"
#include "readout.cuh"

#define THREADS 384
#define NEURONS 192  // of a tile, 64 for a warpgroup
#define IMAGES 128   // of a block
#define CHANNELS 32  // most of a block
#define SHARED_WORDS 55328

static_assert(HOPPER, "readout_windows.cu is for other cards");
static_assert(PRECISION != F32, "readout_windows.cu has that");

constexpr int STAGES = 12, STAGE = IMAGES * ROW_WORDS, FACTORS = NEURONS + 1;
constexpr int LINES = THREADS / ROW_CHUNKS;  // images that a block copies at once

static_assert(NEURONS == TILE_NEURONS && NEURONS == THREADS / 2, "");
static_assert(CHANNELS == 32, "a lane each");
static_assert(STAGES * STAGE + CHANNELS * FACTORS <= SHARED_WORDS, "stages and v");

// Block: IMAGES images, `each` channels, a tile of neurons.
extern "C" __global__ void __launch_bounds__(THREADS)
readout_regions_forward(const Map* x /* (B, C, P), stored */, const Map* masks /* (spans, NEURONS, SPAN) */,
                        const float* features /* (slots, C) */, const u32* tiles, const u32* chunks, const u32* sight,
                        float* parts /* (C / each, B, slots) */, int batch, int channels, int pixels, int neurons, int each,
                        int positive) {
    DYNAMIC_SHARED(shared, SHARED_WORDS);
    u32* factors = shared + STAGES * STAGE;  // v of each channel and neuron, to multiply a word
    int first_slot = blockIdx.z * NEURONS, first_image = blockIdx.x * IMAGES, first_channel = blockIdx.y * each;
    int here = min(each, channels - first_channel), words = stored_words(pixels);
    int first_span = tiles[blockIdx.z * TILE_WORDS], end = tiles[(blockIdx.z + 1) * TILE_WORDS];
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
#pragma unroll
    for (int i = 0; i < NEURONS; i += THREADS / 32) {
        int slot = min(first_slot + i + warp, neurons - 1);
        float v = counted(features[(size_t)slot * channels + first_channel + min(lane, here - 1)], positive);
        factors[lane * FACTORS + i + warp] = PRECISION == BF16 ? pack_bf16(v, v) : __float_as_uint(v);
    }

    // Copies: one chunk of every image's map, channel after channel, then the next span.
    int line = own_line(), images_left = batch - first_image - line;
    const u32* maps = (const u32*)x + ((size_t)(first_image + line) * channels + first_channel) * words;
    const u32* next_chunk = chunks + first_span * ROW_CHUNKS + own_chunk();
    u32 chunk = *next_chunk, place = place_in_row(line, own_chunk()), jump = LINES * channels * words;
    int channel_copied = 0, spans_left = end - first_span;
    const u32* from = maps + chunk * CHUNK;
    auto copy = [&](int stage) {
        bool inside = spans_left > 0 && chunk != NO_CHUNK;
        u32* to = shared + stage * STAGE + place;
#pragma unroll
        for (int q = 0; q * LINES < IMAGES; ++q)
            if ((q + 1) * LINES <= IMAGES || threadIdx.x < (IMAGES - q * LINES) * ROW_CHUNKS)
                begin_copy(to + q * LINES * ROW_WORDS, from + q * jump, inside && q * LINES < images_left);
        from += words;
        if (++channel_copied < here) return;
        channel_copied = 0;
        --spans_left;
        next_chunk += ROW_CHUNKS;
        if (spans_left > 0) chunk = *next_chunk;
        from = maps + chunk * CHUNK;
    };

    int row = warp * 16 + lane / 4;
    const u32* own_masks = (const u32*)masks + ((size_t)first_span * NEURONS + row) * ROW_WORDS + place_in_masks(0, lane % 4);
    u32 mask[4][4];  // of this span, as left operands
    u32 seen = 0;    // whether any of the warpgroup's neurons sees the pixels of each
    const u32* own_sight = sight + first_span;
    auto load_masks = [&] {
#pragma unroll
        for (int r = 0; r < 2; ++r)
#pragma unroll
            for (int k = 0; k < 4; k += 2) {
                uint4 chunks = *(const uint4*)(own_masks + r * 8 * ROW_WORDS + 2 * k);
                mask[k][r] = chunks.x, mask[k][2 + r] = chunks.y, mask[k + 1][r] = chunks.z, mask[k + 1][2 + r] = chunks.w;
            }
        own_masks += NEURONS * ROW_WORDS;
        seen = *own_sight++ >> own_group() * 4;
    };
    float sums[IMAGES / 8][4];
#pragma unroll
    for (int j = 0; j < IMAGES / 8; ++j)
#pragma unroll
        for (int e = 0; e < 4; ++e) sums[j][e] = 0.0f;
    Ring<STAGES, 2> ring(copy);
    int left_of_span = 0, row_of_v = 0;
#pragma unroll 1
    for (int step = (end - first_span) * here; step > 0; --step) {
        if (left_of_span == 0) {
            load_masks();
            left_of_span = here;
            row_of_v = row;
        }
        --left_of_span;
        ring.arrive();
        Operand right(shared + ring.now * STAGE, false);
        u32 v[2] = {factors[row_of_v], factors[row_of_v + 8]};
        row_of_v += FACTORS;
        // Of all: across branches the compiler does not know which registers are still being read. Other warpgroups' products go on.
        wait_for_products<0>();
        u32 left[4][4];
#pragma unroll
        for (int k = 0; k < 4; ++k)
#pragma unroll
            for (int e = 0; e < 4; ++e) left[k][e] = multiply_stored(mask[k][e], v[e % 2]);
#pragma unroll
        for (int k = 0; k < 4; ++k)
            if (seen >> k & 1) {
                open_products();
                multiply_group<false>(sums, left[k], right.along(k));
                close_products();
            }
        ring.refill(copy);
    }
    wait_for_products<0>();
    wait_for_copies<0>();
    pin(sums);
    float* own_part = parts + ((size_t)blockIdx.y * batch + first_image) * neurons + first_slot + row;
#pragma unroll
    for (int j = 0; j < IMAGES / 8; ++j)
#pragma unroll
        for (int e = 0; e < 4; ++e) {
            int image = j * 8 + lane % 4 * 2 + e % 2, below = e / 2 * 8;
            if (first_image + image < batch && first_slot + row + below < neurons) own_part[(size_t)image * neurons + below] = sums[j][e];
        }
}
