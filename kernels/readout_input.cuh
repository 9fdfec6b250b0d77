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
constexpr int SLABS = INPUT_COLS / 64;

typedef Sums<INPUT_ROWS, INPUT_COLS, INPUT_THREADS / 32> InputSums;

static_assert(INPUT_ROWS == INPUT_UNITS * UNIT, "");

// The rows (b, c) of a block: UNITs of channels of an image each, all images of the first channels, then of the next. So a block needs v of
// few channels, and dh of as many images as are `distinct`.
struct InputUnits {
    int batch, first_image, first_channel, channels, distinct, inverse;

    __device__ __forceinline__ InputUnits(int batch, int block) : batch(batch) {
        int of_all = block * INPUT_UNITS, before = of_all / batch;
        first_image = of_all - before * batch;
        first_channel = before * UNIT;
        channels = ((first_image + INPUT_UNITS - 1) / batch + 1) * UNIT;
        distinct = min(batch, INPUT_UNITS);
        inverse = (1 << INVERSE_BITS) / distinct + 1;
    }
    // How often a unit of the block is behind the last image.
    __device__ __forceinline__ int rounds(int unit) const {
        int at = first_image + unit;
        return batch > INPUT_UNITS ? at >= batch : at * inverse >> INVERSE_BITS;
    }
    __device__ __forceinline__ int image(int unit) const { return first_image + unit - rounds(unit) * batch; }
    // Of a row of the block, counted from the first channel.
    __device__ __forceinline__ int channel(int row) const { return rounds(row / UNIT) * UNIT + row % UNIT; }
};

// The sums of a block's INPUT_ROWS rows (b, c) by INPUT_COLS pixels, over SPANs of neurons. In a stage lie |mask|, v, and below it dh.
//
// Lies tells where things lie: neurons(chunk, word), whether there are any in a chunk of the span that is copied, and at which word of
// a row of v and dh; copy_masks(to, span, line, chunk), this thread's part of |mask|; look_at(span, chunk) when that is copied next;
// AT_ONCE, of how many slabs of 64 pixels a product is.
template <class Lies> struct Input {
    Lies lies;
    InputUnits own;
    InputSums sums;
    u32* shared;
    const u32* factors;  // v (C, N) and dh (B, N)
    int channels, length, ahead = 0, span = 0;
    int v[2], dh[2];  // bytes, of this thread's 16 rows each
    Ring<STAGES, 2> ring;

    __device__ __forceinline__ Input(Lies of, InputUnits own, u32* shared, const Map* factors, int channels, int neurons)
        : lies(of), own(own), shared(shared), factors((const u32*)factors), channels(channels), length(stored_words(neurons)),
          ring([&](int stage) { copy(stage); }) {
#pragma unroll
        for (int i = 0; i < 2; ++i) {
            int lane = threadIdx.x % 32, unit = InputSums::first_row() / UNIT + i;
            int image = (own.image(unit) - own.first_image + own.batch) % own.batch;
            v[i] = place_in_row(own.channel(unit * UNIT) + lane % 16, lane / 16) * 4;
            dh[i] = (place_in_row(own.channels + image, 0) + lane % 4) * 4;
        }
        sums.clear();
    }

    __device__ __forceinline__ void copy(int stage) {
        // Made anew for every stage: the sums leave few registers.
        int me = opaque(threadIdx.x), line = me / ROW_CHUNKS, chunk = me % ROW_CHUNKS, place = place_in_row(line, chunk);
        u32 at;
        bool inside = lies.neurons(chunk, at);
        lies.copy_masks(shared + stage * MASKS + place, ahead, line, chunk);
        u32* to = shared + STAGES * MASKS + stage * VALUES + place;
#pragma unroll
        for (int q = 0; q < INPUT_ROWS / LINES; ++q) {
            if (q * LINES >= own.channels) break;
            int row = line + q * LINES, channel = own.first_channel + row;
            if (row < own.channels)
                begin_copy(to + q * LINES * ROW_WORDS, factors + ((u32)channel * length + at), inside && channel < channels);
        }
        int image = own.first_image + line;
        if (image >= own.batch) image -= own.batch;
        if (line < own.distinct)
            begin_copy(to + own.channels * ROW_WORDS, factors + ((u32)(channels + image) * length + at), inside);
        lies.look_at(++ahead, chunk);
    }

    // The spans up to `end`, of slabs FIRST to END.
    template <int FIRST, int END> __device__ __forceinline__ void multiply(int end) {
#pragma unroll 1
        for (; span < end; ++span) {
            ring.arrive();
            const char* stage = (const char*)(shared + STAGES * MASKS + ring.now * VALUES);
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
                    for (int e = 0; e < 4; ++e) left[i][e] = multiply_stored(left[i][e], e < 2 ? first : second);
                }
                open_products();
#pragma unroll
                for (int i = 0; i < 2; ++i)
#pragma unroll
                    for (int slab = FIRST; slab < END; slab += Lies::AT_ONCE) {
                        Operand at = ACROSS ? right.across(k).after(slab * SLAB * 4) : right.along(k).after(slab * 64 * ROW_WORDS * 4);
                        multiply_group<ACROSS>((float (&)[Lies::AT_ONCE * 8][4])sums.d[i][slab * 8], left[i], at);
                    }
                close_products();
                if (k == 1) ring.refill([&](int stage) { copy(stage); });
            }
        }
        wait_for_products<0>();
        pin(sums.d[0]);
        pin(sums.d[1]);
    }

    // lies(col): where in a map a run of pixels lies, and how many of them there are.
    template <class Where> __device__ __forceinline__ void store(Map* dx /* (B, C, P) */, bool whole, int pixels, Where where) {
        wait_for_copies<0>();
        sums.for_each_run([&](int row, int i, const Run& run) {
            int channel = own.first_channel + own.channel(row);
            int2 pixel = where(sums.run_col(i));
            if (channel >= channels || pixel.y <= 0) return;
            Map* to = dx + ((size_t)(own.image(row / UNIT) * channels + channel) * pixels + pixel.x);
            if (whole) return run.store(to);
#pragma unroll
            for (int e = 0; e < RUN; ++e)
                if (e < pixel.y) to[e] = run.at(e);
        });
    }
};
