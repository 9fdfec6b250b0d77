// The gradients of the readout's weights on Hopper's warpgroups, of stored operands (see readout.cu).
#include "warpgroup.cuh"
#include "readout.cuh"

#define THREADS 384
#define NEURONS 192  // of a block
#define PIXELS 96
#define BATCHES 4    // most SPANs of images whose dh stays in shared memory
#define SHARED_WORDS 57344

static_assert(HOPPER, "readout_tensor.cu is for other cards");
static_assert(PRECISION == BF16, "and for TF32, whose k may not lie across");

constexpr int STAGES = 8, GROUPS = THREADS / GROUP;
constexpr int LINES = THREADS / ROW_CHUNKS;  // rows that a block copies at once

static_assert(BATCHES * NEURONS * ROW_WORDS + STAGES * 2 * SLAB <= SHARED_WORDS, "dh and stages");

// Block: NEURONS neurons by PIXELS pixels, all channels one after the other. dh of the images stays in shared memory. Each warpgroup is a
// span behind the one before, so that the others multiply while one takes the sums of a channel.
extern "C" __global__ void __launch_bounds__(THREADS)
readout_warpgroup_backward_weights(const Map* x /* (B, C, P), stored */, const Map* stored_mask /* (N, P), stored */,
                                   const float* mask /* (N, P) */, const float* features /* (N, C) */,
                                   const Map* dh /* (N, B), stored */, float* dmask /* (N, P) */,
                                   float* parts /* (tiles of P, N, C) */, int batch, int channels, int pixels, int neurons,
                                   int positive) {
    DYNAMIC_SHARED(shared, SHARED_WORDS);
    constexpr int RESIDENT = NEURONS * ROW_WORDS, STAGE = 2 * SLAB;
    u32* stages = shared + BATCHES * RESIDENT;
    int first_neuron = blockIdx.x * NEURONS, first_word = blockIdx.y * (PIXELS / 2);
    int words = stored_words(pixels), length = stored_words(batch), image = channels * words;
    int group = own_group(), t = threadIdx.x % 4;

    // Of this thread's sums the first, from which the others lie 8 rows and 4 words off.
    int row0 = first_neuron + threadIdx.x / 32 * 16 + threadIdx.x % 32 / 4, word0 = first_word + t;
    const u32* own_mask = (const u32*)stored_mask + ((size_t)row0 * words + word0);
    u32 magnitude[2][PIXELS / 8];
    float g[PIXELS / 8][4], total[PIXELS / 8][4];
#pragma unroll
    for (int j = 0; j < PIXELS / 8; ++j) {
#pragma unroll
        for (int r = 0; r < 2; ++r)
            magnitude[r][j] = r * 8 < neurons - row0 && j * 4 < words - word0 ? own_mask[r * 8 * words + j * 4] : 0;
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
        int word = first_word + chunk[q] * CHUNK;
        inside[q] = word < words;
        from[q] = k[q] * image + word;
        to[q] = chunk[q] / ROW_CHUNKS * SLAB + place_in_row(k[q], chunk[q] % ROW_CHUNKS);
    }
    for (int first_image = 0; first_image < batch; first_image += BATCHES * SPAN) {
        int images = min(batch - first_image, BATCHES * SPAN), spans = spans_of(images);
        __syncthreads();
        for (int span = 0; span < spans; ++span)
#pragma unroll
            for (int q = 0; q < NEURONS / LINES; ++q) {
                int row = own_line() + q * LINES, n = first_neuron + row;
                int word = first_image / 2 + span * ROW_WORDS + own_chunk() * CHUNK;
                begin_copy(shared + span * RESIDENT + place_in_row(row, own_chunk()), (const u32*)dh + ((size_t)n * length + word),
                           n < neurons && word < length);
            }
        const u32* maps = (const u32*)x + (size_t)first_image * image;
        int images_left = images, channels_left = channels;
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
        for (int channel = 0; channel < channels; ++channel) {
            float v[2];
#pragma unroll
            for (int r = 0; r < 2; ++r) v[r] = counted(features[min(row0 + r * 8, neurons - 1) * channels + channel], positive);
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
            for (int j = 0; j < PIXELS / 8; ++j)
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
            if ((channel % 4 < 3 && channel + 1 < channels) || own_channel > channel) continue;
#pragma unroll
            for (int r = 0; r < 2; ++r) {
                if (row0 + r * 8 >= neurons) continue;
                float* at = parts + ((size_t)blockIdx.y * neurons + row0 + r * 8) * channels + own_channel;
                *at = first_image == 0 ? kept[r] : *at + kept[r];
            }
        }
        for (int lag = group; lag < GROUPS - 1; ++lag) {
            ring.refill(copy);
            ring.arrive();
        }
        wait_for_copies<0>();
    }
#pragma unroll
    for (int j = 0; j < PIXELS / 8; ++j)
#pragma unroll
        for (int e = 0; e < 4; ++e) {
            int n = row0 + e / 2 * 8, p = (word0 + j * 4) * 2 + e % 2;
            if (n >= neurons || p >= pixels) continue;
            size_t at = (size_t)n * pixels + p;
            dmask[at] += sign_of(mask[at]) * total[j][e];
        }
}
