// The gradients of the readout's weights on Hopper's warpgroups, of stored operands (see readout.cu): of whole masks
// (readout_warpgroup_weights.cu) and through windows (readout_regions_weights.cu), which differ in where things lie.
#pragma once
#include "warpgroup.cuh"
#include "readout.cuh"

constexpr int WEIGHTS_THREADS = 384, WEIGHTS_NEURONS = 192, WEIGHTS_PIXELS = 96;
constexpr int BATCHES = 4;  // most SPANs of images whose dh stays in shared memory
constexpr int STAGES = 8, GROUPS = WEIGHTS_THREADS / GROUP;
constexpr int LINES = WEIGHTS_THREADS / ROW_CHUNKS;  // rows that a block copies at once
constexpr int COLUMN_SLOTS = WEIGHTS_PIXELS / 8;
constexpr int RESIDENT = WEIGHTS_NEURONS * ROW_WORDS, STAGE = 2 * SLAB;
constexpr int WEIGHTS_SHARED = BATCHES * RESIDENT + STAGES * STAGE;

// A block's neurons by its pixels, `here` channels one after the other. dh of the images stays in shared memory. Each warpgroup is a
// stage behind the one before: while one uses its sums, the others' products are under way.
//
// Lies tells where things lie, rows and columns counted from the block's first:
//   holds(row), word(chunk, &word)   whether it is a neuron; whether the chunk of 8 pixels is one, and its first word in a map
//   dh()                             (neurons, B), stored, from the block's first row on
//   magnitude(row, word)             of two pixels
//   feature(row, c), keep(row, c, sum, first)
//   add(row, word, sums)             those that this thread holds, as they lie there; `row` and `word` are the first's
template <class Lies>
__device__ __forceinline__ void weights_of(const Lies& lies, u32* shared, const u32* x /* (B, C, words), at the first channel */, int batch,
                                           int channels, int here, int words) {
    u32* stages = shared + BATCHES * RESIDENT;
    int length = stored_words(batch), image = channels * words;
    int group = own_group(), t = threadIdx.x % 4;

    // Of this thread's sums the first, from which the others lie 8 rows and 4 words off.
    int row0 = threadIdx.x / 32 * 16 + threadIdx.x % 32 / 4;
    u32 magnitude[2][COLUMN_SLOTS];
    float g[COLUMN_SLOTS][4], total[COLUMN_SLOTS][4];
#pragma unroll
    for (int j = 0; j < COLUMN_SLOTS; ++j) {
#pragma unroll
        for (int r = 0; r < 2; ++r) magnitude[r][j] = lies.magnitude(row0 + r * 8, t + j * 4);
#pragma unroll
        for (int e = 0; e < 4; ++e) total[j][e] = 0.0f;
    }

    // What this thread copies of a stage: two chunks, in order of a warp so that they meet in no bank.
    int k[2] = {own_line(), LINES + own_line()}, chunk[2] = {own_chunk(), own_chunk()};
    if (threadIdx.x >= GROUP) {
        int i = threadIdx.x - GROUP;
        k[1] = i / 32 * 8 + i / 4 % 2 * 4 + i / 8 % 4;
        chunk[1] = ROW_CHUNKS + i % 4;
    }
    u32 from[2], to[2];
    bool inside[2];
#pragma unroll
    for (int q = 0; q < 2; ++q) {
        u32 word = 0;
        inside[q] = lies.word(chunk[q], word);
        from[q] = k[q] * image + word;
        to[q] = chunk[q] / ROW_CHUNKS * SLAB + place_in_row(k[q], chunk[q] % ROW_CHUNKS);
    }
    for (int first_image = 0; first_image < batch; first_image += BATCHES * SPAN) {
        int images = min(batch - first_image, BATCHES * SPAN), spans = spans_of(images);
        __syncthreads();
        for (int span = 0; span < spans; ++span)
#pragma unroll
            for (int q = 0; q < WEIGHTS_NEURONS / LINES; ++q) {
                int row = own_line() + q * LINES;
                int word = first_image / 2 + span * ROW_WORDS + own_chunk() * CHUNK;
                begin_copy(shared + span * RESIDENT + place_in_row(row, own_chunk()), lies.dh() + ((size_t)row * length + word),
                           lies.holds(row) && word < length);
            }
        const u32* maps = x + (size_t)first_image * image;
        int images_left = images, channels_left = here;
        auto copy = [&](int stage) {
#pragma unroll
            for (int q = 0; q < 2; ++q)
                begin_copy(stages + stage * STAGE + to[q], maps + from[q], inside[q] && k[q] < images_left && channels_left > 0);
            maps += SPAN * (size_t)image;
            images_left -= SPAN;
            if (images_left > 0) return;
            // From the last images of a channel to the first of the next.
            images_left = images;
            maps += words - spans * (SPAN * (size_t)image);
            --channels_left;
        };
        Ring<STAGES, GROUPS + 1> ring(copy);
        auto multiply = [&](int span) {
            Operand left(shared + span * RESIDENT + group * 64 * ROW_WORDS, false), right(stages + ring.now * STAGE, true);
            open_products();
#pragma unroll
            for (int step = 0; step < SPAN / DEPTH; ++step)
                multiply_group<true>(g, left.along(step), right.across(step), span > 0 || step > 0);
            close_products();
        };
        for (int lag = 0; lag < group; ++lag) {
            ring.arrive();
            ring.refill(copy);
        }
        ring.now = 0;
        ring.arrive();
        float kept[2];
#pragma unroll 1
        for (int channel = 0; channel < here; ++channel) {
            float v[2];
#pragma unroll
            for (int r = 0; r < 2; ++r) v[r] = lies.feature(row0 + r * 8, channel);
            multiply(0);
            ring.refill(copy);
#pragma unroll 1
            for (int span = 1; span < spans; ++span) {
                ring.arrive();
                multiply(span);
                ring.refill(copy);
                wait_for_products<1>();
            }
            ring.arrive();
            wait_for_products<0>();
            pin(g);
            float sum[2] = {0.0f, 0.0f};
#pragma unroll
            for (int j = 0; j < COLUMN_SLOTS; ++j)
#pragma unroll
                for (int e = 0; e < 4; ++e) {
                    u32 pair = magnitude[e / 2][j];
                    sum[e / 2] = fmaf(e % 2 ? high_half(pair) : low_half(pair), g[j][e], sum[e / 2]);
                    total[j][e] = fmaf(v[e / 2], g[j][e], total[j][e]);
                }
            pin(g);
            // Four channels by turns stay with the four lanes of a row.
#pragma unroll
            for (int r = 0; r < 2; ++r) {
#pragma unroll
                for (int step = 1; step < 4; step *= 2) sum[r] += __shfl_xor_sync(ALL_LANES, sum[r], step);
                if (channel % 4 == t) kept[r] = sum[r];
            }
            int own_channel = channel / 4 * 4 + t;
            if ((channel % 4 < 3 && channel + 1 < here) || own_channel > channel) continue;
#pragma unroll
            for (int r = 0; r < 2; ++r)
                if (lies.holds(row0 + r * 8)) lies.keep(row0 + r * 8, own_channel, kept[r], first_image == 0);
        }
        for (int lag = group; lag < GROUPS - 1; ++lag) {
            ring.refill(copy);
            ring.arrive();
        }
        wait_for_copies<0>();
    }
    lies.add(row0, t, total);
}
