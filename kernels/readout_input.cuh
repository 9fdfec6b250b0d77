// The way of the readout to the maps on Hopper's warpgroups, of stored operands (see readout.cu): of whole masks
// (readout_warpgroup_input.cu) and through windows (readout_regions_input.cu), which differ in where things lie.
#pragma once
#include "warpgroup.cuh"
#include "readout_products.cuh"

constexpr int INPUT_THREADS = 256, INPUT_ROWS = 256, INPUT_COLS = 192, INPUT_UNITS = 16;
constexpr int FACTORS = 260;  // most rows of v and dh that INPUT_ROWS rows have to do with, and a few to lie well
constexpr int STAGES = 4;
constexpr int LINES = INPUT_THREADS / ROW_CHUNKS;  // rows that a block copies at once
constexpr int MASKS = INPUT_COLS * ROW_WORDS, VALUES = FACTORS * ROW_WORDS;
constexpr int INPUT_SHARED = STAGES * (MASKS + VALUES);
constexpr bool ACROSS = PRECISION == BF16;  // how |mask| lies

typedef Units<INPUT_UNITS> OwnUnits;
typedef Sums<INPUT_ROWS, INPUT_COLS, INPUT_THREADS / 32> InputSums;

static_assert(INPUT_ROWS == INPUT_UNITS * UNIT, "");

// The sums of a block's INPUT_ROWS rows (b, c), in UNITs, by INPUT_COLS pixels, over `spans` of neurons. In a stage lie v of as many units as
// are distinct, below them dh of the images, and |mask|.
//
// Lies tells where things lie: neurons(span, chunk, &word), whether there are any in a chunk of a span, and at which word of a row of
// v and dh, when look_at(span, chunk) was called for the next; copy_masks(to, span, line, chunk), this thread's part of |mask|.
template <class Lies>
__device__ __forceinline__ void input_of(InputSums& sums, Lies& lies, const OwnUnits& own, u32* shared, const u32* factors /* v (C, N) and dh (B, N) */,
                                         int channels, int length, int spans) {
    u32* values = shared + STAGES * MASKS;
    int ahead = 0;
    auto copy = [&](int stage) {
        // Made anew for every stage: the sums leave few registers.
        int me = opaque(threadIdx.x), line = me / ROW_CHUNKS, chunk = me % ROW_CHUNKS, place = place_in_row(line, chunk);
        u32 at;
        bool inside = lies.neurons(ahead, chunk, at);
        lies.copy_masks(shared + stage * MASKS + place, ahead, line, chunk);
        u32* to = values + stage * VALUES + place;
#pragma unroll
        for (int q = 0; q < INPUT_ROWS / LINES; ++q) {
            int row = line + q * LINES, channel = own.first * UNIT + row;
            if (channel >= own.per_image * UNIT) channel -= own.per_image * UNIT;
            if (row < own.distinct * UNIT) begin_copy(to + q * LINES * ROW_WORDS, factors + ((u32)channel * length + at), inside && channel < channels);
        }
        u32 image = channels + own.first_image + line;
        if (line < own.images) begin_copy(to + own.distinct * UNIT * ROW_WORDS, factors + (image * length + at), inside);
        lies.look_at(++ahead, chunk);
    };
    int v[2], dh[2];  // bytes, of this thread's 16 rows each
#pragma unroll
    for (int i = 0; i < 2; ++i) {
        int lane = threadIdx.x % 32, unit = InputSums::first_row() / UNIT + i, image = min(own.image_of(unit), own.images - 1);
        v[i] = place_in_row(unit % own.distinct * UNIT + lane % 16, lane / 16) * 4;
        dh[i] = (place_in_row(own.distinct * UNIT + image, 0) + lane % 4) * 4;
    }
    sums.clear();
    Ring<STAGES, 2> ring(copy);
#pragma unroll 1
    for (int span = 0; span < spans; ++span) {
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
}
