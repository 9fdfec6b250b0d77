// The way of the readout to the maps on Hopper's warpgroups, of stored operands (see readout.cu).
#include "warpgroup.cuh"
#include "readout_products.cuh"

#define THREADS 256
#define ROWS 256         // (b, c) of a block
#define COLS 192         // pixels
#define UNITS 16         // of a block, UNIT rows each
#define MOST_UNITS 1024  // of an image
#define FACTORS 260      // most rows of v and dh that ROWS rows have to do with, and a few to lie well
#define SHARED_WORDS 57856

static_assert(HOPPER, "readout_tensor.cu is for other cards");
static_assert(PRECISION != F32, "readout_plain.cu has that");

constexpr int STAGES = 4;
constexpr int LINES = THREADS / ROW_CHUNKS;  // rows that a block copies at once

static_assert(ROWS == UNITS * UNIT, "");
static_assert(STAGES * (FACTORS + COLS) * ROW_WORDS <= SHARED_WORDS, "stages");

// Block: ROWS rows (b, c), in UNITs, by COLS pixels. In a stage lie v of as many units as are distinct, below them dh of the images, and
// |mask|.
extern "C" __global__ void __launch_bounds__(THREADS)
readout_warpgroup_backward_input(const Map* mask /* (N, P), for TF32 (P, N), stored */, const Map* factors /* v (C, N) and dh (B, N), stored */,
                                 Map* dx /* (B, C, P) */, int batch, int channels, int pixels, int neurons) {
    DYNAMIC_SHARED(shared, SHARED_WORDS);
    typedef Sums<ROWS, COLS, THREADS / 32> Tile;
    constexpr bool ACROSS = PRECISION == BF16;
    constexpr int MASKS = COLS * ROW_WORDS, VALUES = FACTORS * ROW_WORDS;
    u32* values = shared + STAGES * MASKS;
    Units<UNITS> own(batch, channels);
    int first_pixel = blockIdx.x * COLS, words = stored_words(pixels), length = stored_words(neurons), ahead = 0;
    auto copy = [&](int stage) {
        // Made anew for every stage: the sums leave few registers.
        int me = opaque(threadIdx.x), line = me / ROW_CHUNKS, chunk = me % ROW_CHUNKS, place = place_in_row(line, chunk);
        int at = ahead * ROW_WORDS + chunk * CHUNK;
        bool inside = at < length;
        u32* to = shared + stage * MASKS + place;
        if constexpr (ACROSS) {
            int word = first_pixel / 2 + chunk * CHUNK, left = neurons - line - ahead * SPAN;
            const u32* from = (const u32*)mask + ((u32)(ahead * SPAN + line) * words + word);
#pragma unroll
            for (int q = 0; q < SPAN / LINES; ++q)
#pragma unroll
                for (int slab = 0; slab < COLS / 64; ++slab)
                    begin_copy(to + slab * SLAB + q * LINES * ROW_WORDS, from + q * LINES * words + slab * ROW_WORDS,
                               q * LINES < left && word + slab * ROW_WORDS < words);
        } else {
            const u32* from = (const u32*)mask + ((u32)(first_pixel + line) * length + at);
#pragma unroll
            for (int q = 0; q < COLS / LINES; ++q)
                begin_copy(to + q * LINES * ROW_WORDS, from + q * LINES * length, inside && q * LINES < pixels - first_pixel - line);
        }
        to = values + stage * VALUES + place;
#pragma unroll
        for (int q = 0; q < ROWS / LINES; ++q) {
            int row = line + q * LINES, channel = own.first * UNIT + row;
            if (channel >= own.per_image * UNIT) channel -= own.per_image * UNIT;
            if (row < own.distinct * UNIT)
                begin_copy(to + q * LINES * ROW_WORDS, (const u32*)factors + ((u32)channel * length + at), inside && channel < channels);
        }
        u32 image = channels + own.first_image + line;
        if (line < own.images) begin_copy(to + own.distinct * UNIT * ROW_WORDS, (const u32*)factors + (image * length + at), inside);
        ++ahead;
    };
    int v[2], dh[2];  // bytes, of this thread's 16 rows each
#pragma unroll
    for (int i = 0; i < 2; ++i) {
        int lane = threadIdx.x % 32, unit = Tile::first_row() / UNIT + i, image = min(own.image_of(unit), own.images - 1);
        v[i] = place_in_row(unit % own.distinct * UNIT + lane % 16, lane / 16) * 4;
        dh[i] = (place_in_row(own.distinct * UNIT + image, 0) + lane % 4) * 4;
    }
    Tile sums;
    sums.clear();
    Ring<STAGES, 2> ring(copy);
#pragma unroll 1
    for (int span = 0; span < spans_of(neurons); ++span) {
        ring.arrive();
        const char* stage = (const char*)(values + ring.now * VALUES);
        Operand right(shared + ring.now * MASKS, ACROSS);
#pragma unroll
        for (int k = 0; k < SPAN / DEPTH; ++k) {
            wait_for_products<1>();
            u32 left[2][4];
#pragma unroll
            for (int i = 0; i < 2; ++i) {
                load_matrices(left[i], stage + (opaque(v[i]) ^ k * STEP_BYTES));
                int at = opaque(dh[i]) ^ k * STEP_BYTES;
                u32 first = *(const u32*)(stage + at), second = *(const u32*)(stage + (at ^ STEP_BYTES / 2));
#pragma unroll
                for (int e = 0; e < 4; ++e) left[i][e] = times(left[i][e], e < 2 ? first : second);
            }
            open_products();
#pragma unroll
            for (int i = 0; i < 2; ++i) multiply_group<ACROSS>(sums.d[i], left[i], ACROSS ? right.across(k) : right.along(k));
            close_products();
            if (k == 1) ring.refill(copy);
        }
    }
    wait_for_products<0>();
    wait_for_copies<0>();
    pin(sums.d[0]);
    pin(sums.d[1]);
    own.store(sums, dx, first_pixel, batch, channels, pixels);
}
