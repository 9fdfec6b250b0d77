// The gradients of the readout's weights on Hopper's warpgroups, of operands stored as TF32 (see readout.cu): of whole masks
// (readout_warpgroup_weights_tf32.cu) and through windows (readout_regions_weights_tf32.cu), which differ in where things lie.
//
// Products read no TF32 across k, and k are images here. So x, whose pixels lie along, is the left operand: rows are pixels, columns
// neurons, and warps load their fragments of x from shared memory as it came.
#pragma once
#include "warpgroup.cuh"
#include "readout.cuh"

constexpr int WEIGHTS_THREADS = 256, WEIGHTS_PIXELS = 64;
constexpr int WEIGHTS_NEURONS = 192;  // each warpgroup has half of them
constexpr int BATCHES = 8;            // most SPANs of images whose dh stays in shared memory
constexpr int STAGES = 4, COLS = WEIGHTS_NEURONS / (WEIGHTS_THREADS / GROUP), SLOTS = COLS / 8;
constexpr int LINES = WEIGHTS_THREADS / ROW_CHUNKS;  // rows of dh that a block copies at once
constexpr int CHUNKS = WEIGHTS_PIXELS / CHUNK;       // of an image, in a stage
constexpr int IMAGES = WEIGHTS_THREADS / CHUNKS;     // that a block copies at once
constexpr int STEPS = SPAN / DEPTH, HALF_STEPS = STEPS / 2;
constexpr int KEPT = COLS / 32;  // sums over a warp's pixels that stay with a lane
constexpr int RESIDENT = WEIGHTS_NEURONS * ROW_WORDS, STAGE = SPAN * WEIGHTS_PIXELS;
constexpr int WEIGHTS_SHARED = BATCHES * RESIDENT + STAGES * STAGE + 4 * WEIGHTS_NEURONS;  // dh, stages, sums of three warps, v

// The word of a stage: chunks in an order of each image, so that the lanes of a fragment meet in no bank.
__device__ __forceinline__ int place_in_stage(int image, int chunk) { return image * WEIGHTS_PIXELS + (chunk ^ image % 4 * 2) * CHUNK; }

// Sums over the eight lanes of one t: of 2 HALF sums in each lane, HALF / 4 in each.
template <int HALF> __device__ __forceinline__ void fold(float (&sum)[2 * SLOTS]) {
    constexpr int STEP = 16 * HALF / SLOTS;
    halve<HALF, STEP>(sum);
    if constexpr (STEP > 4) fold<HALF / 2>(sum);
}

// A block's neurons by its pixels, `here` channels one after the other. dh of the images stays in shared memory.
//
// Lies tells where things lie, pixels counted from the block's first:
//   first_neuron, neurons     the block's first, and how many there are
//   dh, features, positive    (neurons, B), stored; (neurons, C), at the first channel; whether they count by absolute value
//   word(chunk, &word)        whether the chunk of pixels is one, and its first word in a map
//   magnitude(n, pixel)
//   part(n)                   (C), at the first channel: where sums over all pixels go
//   add(n, pixel, sums)       those that this thread holds, as they lie there, from these two on
template <class Lies>
__device__ __forceinline__ void weights_of(const Lies& lies, u32* shared, const u32* x /* (B, C, words), at the first channel */, int batch,
                                           int channels, int here, int words) {
    u32* stages = shared + BATCHES * RESIDENT;
    int length = stored_words(batch), image = channels * words;
    int group = own_group(), in_group = threadIdx.x % GROUP, warp = in_group / 32, lane = threadIdx.x % 32, t = lane % 4;
    float* quarters = (float*)(stages + STAGES * STAGE) + group * 4 * COLS;  // sums of all warps but the first; v
    float* v = quarters + 3 * COLS;

    // Of this thread's sums the first; the others lie 8 pixels and 8 j + 1 neurons off.
    int own_neurons = lies.first_neuron + group * COLS;
    int pixel0 = warp * 16 + lane / 4, neuron0 = own_neurons + 2 * t;
    float magnitude[SLOTS][4], g[SLOTS][4], total[SLOTS][4];
#pragma unroll
    for (int j = 0; j < SLOTS; ++j)
#pragma unroll
        for (int e = 0; e < 4; ++e) {
            magnitude[j][e] = lies.magnitude(neuron0 + 8 * j + e % 2, pixel0 + e / 2 * 8);
            total[j][e] = 0.0f;
        }

    // Of this lane's sums over pixels the first, which are KEPT out of 2 SLOTS.
    int kept0 = (lane / 16 * 4 + lane / 8 % 2 * 2 + lane / 4 % 2) * KEPT;
    auto kept_neuron = [&](int i) { return (kept0 + i) / 2 * 8 + (kept0 + i) % 2 + 2 * t; };

    int copied_image = threadIdx.x / CHUNKS, copied_chunk = threadIdx.x % CHUNKS;
    u32 word = 0;
    bool inside = lies.word(copied_chunk, word);
    int fragment = (place_in_stage(t, warp * 4 + lane / 16) + lane / 4 % 4) * 4;  // bytes
    for (int first_image = 0; first_image < batch; first_image += BATCHES * SPAN) {
        int images = min(batch - first_image, BATCHES * SPAN), spans = spans_of(images);
        __syncthreads();
        for (int span = 0; span < spans; ++span)
#pragma unroll
            for (int q = 0; q < WEIGHTS_NEURONS / LINES; ++q) {
                int row = own_line() + q * LINES, n = lies.first_neuron + row, at = first_image + span * ROW_WORDS + own_chunk() * CHUNK;
                begin_copy(shared + span * RESIDENT + place_in_row(row, own_chunk()), lies.dh + ((size_t)n * length + at),
                           n < lies.neurons && at < length);
            }
        const u32* maps = x + ((size_t)(first_image + copied_image) * image + word);
        int images_left = images - copied_image, channels_left = here;
        auto copy = [&](int stage) {
            u32* to = stages + stage * STAGE + place_in_stage(copied_image, copied_chunk);
#pragma unroll
            for (int q = 0; q < SPAN / IMAGES; ++q)
                begin_copy(to + q * IMAGES * WEIGHTS_PIXELS, maps + (size_t)(q * IMAGES) * image,
                           inside && q * IMAGES < images_left && channels_left > 0);
            maps += SPAN * (size_t)image;
            images_left -= SPAN;
            if (images_left + copied_image > 0) return;
            // From the last images of a channel to the first of the next.
            images_left = images - copied_image;
            maps += words - spans * (SPAN * (size_t)image);
            --channels_left;
        };
        Ring<STAGES, 2> ring(copy);
        u32 left[2][HALF_STEPS][4];
        auto load = [&](int from, int half) {
            const char* stage = (const char*)(stages + from * STAGE) + half * (SPAN / 2 * WEIGHTS_PIXELS * 4);
#pragma unroll
            for (int step = 0; step < HALF_STEPS; ++step)
#pragma unroll
                for (int e = 0; e < 4; ++e)
                    left[half][step][e] = *(const u32*)(stage + (fragment ^ e % 2 * 32) + (step * DEPTH + e / 2 * 4) * WEIGHTS_PIXELS * 4);
        };
        auto multiply = [&](int span, int half) {
            Operand right(shared + span * RESIDENT + group * COLS * ROW_WORDS, false);
            open_products();
#pragma unroll
            for (int step = 0; step < HALF_STEPS; ++step)
                multiply_group<false>(g, left[half][step], right.along(half * HALF_STEPS + step), span > 0 || half > 0 || step > 0);
            close_products();
        };
        // The barrier that shows the next span stands where products are under way.
        auto show_next = [&] {
            ring.refill(copy);
            ring.template arrive<false>();
            wait_for_products<1>();
        };
        auto finish = [&](int span, int now) {
            load(now, 1);
            multiply(span, 1);
            wait_for_products<1>();
            load(ring.now, 0);
        };
        float sum[2 * SLOTS];  // over this thread's pixels
        auto fold_sums = [&] {
            fold<SLOTS>(sum);
#pragma unroll
            for (int i = 0; i < KEPT; ++i)
                if (warp > 0) quarters[(warp - 1) * COLS + kept_neuron(i)] = sum[i];
        };
        // The sums over all pixels, when a barrier has shown those of the other warps.
        auto keep = [&](int channel) {
            if (warp > 0) return;
#pragma unroll
            for (int i = 0; i < KEPT; ++i) {
                int col = kept_neuron(i), n = own_neurons + col;
                const float* other = quarters + col;
                float all = (sum[i] + other[0]) + (other[COLS] + other[2 * COLS]);
                if (n >= lies.neurons) continue;
                float* at = lies.part(n) + channel;
                *at = first_image == 0 ? all : *at + all;
            }
        };
        const float* own_features = lies.features + (size_t)min(own_neurons + in_group, lies.neurons - 1) * channels;
        float next = in_group < COLS ? own_features[0] : 0.0f;
        ring.arrive();
        load(0, 0);
#pragma unroll 1
        for (int channel = 0; channel < here; ++channel) {
            int now = ring.now;
            multiply(0, 0);
            if (channel > 0) fold_sums();
            show_next();
            if (in_group < COLS) {
                v[in_group] = counted(next, lies.positive);
                next = own_features[min(channel + 1, here - 1)];
            }
            finish(0, now);
            if (channel > 0) keep(channel - 1);
            if (spans == 1) __syncthreads();
#pragma unroll 1
            for (int span = 1; span < spans; ++span) {
                now = ring.now;
                multiply(span, 0);
                show_next();
                finish(span, now);
            }
            wait_for_products<0>();
            pin(g);
#pragma unroll
            for (int j = 0; j < SLOTS; ++j) {
                float2 of = *(const float2*)(v + 8 * j + 2 * t);
#pragma unroll
                for (int e = 0; e < 2; ++e) {
                    sum[2 * j + e] = fmaf(magnitude[j][2 + e], g[j][2 + e], magnitude[j][e] * g[j][e]);
                    total[j][e] = fmaf(e ? of.y : of.x, g[j][e], total[j][e]);
                    total[j][2 + e] = fmaf(e ? of.y : of.x, g[j][2 + e], total[j][2 + e]);
                }
            }
            pin(g);
        }
        fold_sums();
        wait_for_copies<0>();
        __syncthreads();
        keep(here - 1);
    }
    lies.add(neuron0, pixel0, total);
}
