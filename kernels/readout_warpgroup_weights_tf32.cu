// The gradients of the readout's weights on Hopper's warpgroups, of operands stored as TF32 (see readout.cu).
//
// Products read no TF32 across k, and k are images here. So x, whose pixels lie along, is the left operand: rows are pixels, columns
// neurons, and warps load their fragments of x from shared memory as it came.
#include "warpgroup.cuh"
#include "readout.cuh"

#define THREADS 256
#define NEURONS 192  // of a block, each warpgroup half of them
#define PIXELS 64
#define BATCHES 8  // most SPANs of images whose dh stays in shared memory
#define SHARED_WORDS 58112

static_assert(HOPPER, "readout_tensor.cu is for other cards");
static_assert(PRECISION == TF32, "readout_warpgroup_weights.cu is for BF16");

constexpr int STAGES = 4, COLS = NEURONS / (THREADS / GROUP), SLOTS = COLS / 8;
constexpr int LINES = THREADS / ROW_CHUNKS;  // rows of dh that a block copies at once
constexpr int CHUNKS = PIXELS / CHUNK;       // of an image, in a stage
constexpr int IMAGES = THREADS / CHUNKS;     // that a block copies at once
constexpr int STEPS = SPAN / DEPTH, HALF_STEPS = STEPS / 2;
constexpr int KEPT = COLS / 32;  // sums over a warp's pixels that stay with a lane
constexpr int RESIDENT = NEURONS * ROW_WORDS, STAGE = SPAN * PIXELS;

static_assert(BATCHES * RESIDENT + STAGES * STAGE + 4 * NEURONS <= SHARED_WORDS, "dh, stages, sums of three warps, v");

// The word of a stage: chunks in an order of each image, so that the lanes of a fragment meet in no bank.
__device__ __forceinline__ int place_in_stage(int image, int chunk) { return image * PIXELS + (chunk ^ image % 4 * 2) * CHUNK; }

// Sums over the eight lanes of one t: of 2 HALF sums in each lane, HALF / 4 in each.
template <int HALF> __device__ __forceinline__ void fold(float (&sum)[2 * SLOTS]) {
    constexpr int STEP = 16 * HALF / SLOTS;
    bool upper = threadIdx.x & STEP;
#pragma unroll
    for (int i = 0; i < HALF; ++i) {
        float given = upper ? sum[i] : sum[i + HALF], own = upper ? sum[i + HALF] : sum[i];
        sum[i] = own + __shfl_xor_sync(ALL_LANES, given, STEP);
    }
    if constexpr (STEP > 4) fold<HALF / 2>(sum);
}

// Block: NEURONS neurons by PIXELS pixels, all channels one after the other. dh of the images stays in shared memory.
extern "C" __global__ void __launch_bounds__(THREADS)
readout_warpgroup_backward_weights_tf32(const Map* x /* (B, C, P), stored */, const Map* stored_mask /* (N, P), stored */,
                                        const float* mask /* (N, P) */, const float* features /* (N, C) */,
                                        const Map* dh /* (N, B), stored */, float* dmask /* (N, P) */,
                                        float* parts /* (tiles of P, N, C) */, int batch, int channels, int pixels, int neurons,
                                        int positive) {
    DYNAMIC_SHARED(shared, SHARED_WORDS);
    u32* stages = shared + BATCHES * RESIDENT;
    int words = stored_words(pixels), length = stored_words(batch), image = channels * words;
    int group = own_group(), in_group = threadIdx.x % GROUP, warp = in_group / 32, lane = threadIdx.x % 32, t = lane % 4;
    int first_pixel = blockIdx.y * PIXELS, first_neuron = blockIdx.x * NEURONS, own_neurons = first_neuron + group * COLS;
    float* quarters = (float*)(stages + STAGES * STAGE) + group * 4 * COLS;  // sums of all warps but the first; v
    float* v = quarters + 3 * COLS;

    // Of this thread's sums the first; the others lie 8 pixels and 8 j + 1 neurons off.
    int pixel0 = first_pixel + warp * 16 + lane / 4, neuron0 = own_neurons + 2 * t;
    float magnitude[SLOTS][4], g[SLOTS][4], total[SLOTS][4];
#pragma unroll
    for (int j = 0; j < SLOTS; ++j)
#pragma unroll
        for (int e = 0; e < 4; ++e) {
            int n = neuron0 + 8 * j + e % 2, p = pixel0 + e / 2 * 8;
            magnitude[j][e] = n < neurons && p < words ? stored_mask[(size_t)n * words + p] : 0.0f;
            total[j][e] = 0.0f;
        }

    // Of this lane's sums over pixels the first, which are KEPT out of 2 SLOTS.
    int kept0 = (lane / 16 * 4 + lane / 8 % 2 * 2 + lane / 4 % 2) * KEPT;
    auto kept_neuron = [&](int i) { return (kept0 + i) / 2 * 8 + (kept0 + i) % 2 + 2 * t; };

    int copied_image = threadIdx.x / CHUNKS, copied_chunk = threadIdx.x % CHUNKS, word = first_pixel + copied_chunk * CHUNK;
    int fragment = (place_in_stage(t, warp * 4 + lane / 16) + lane / 4 % 4) * 4;  // bytes
    for (int first_image = 0; first_image < batch; first_image += BATCHES * SPAN) {
        int images = min(batch - first_image, BATCHES * SPAN), spans = spans_of(images);
        __syncthreads();
        for (int span = 0; span < spans; ++span)
#pragma unroll
            for (int q = 0; q < NEURONS / LINES; ++q) {
                int row = own_line() + q * LINES, n = first_neuron + row, at = first_image + span * ROW_WORDS + own_chunk() * CHUNK;
                begin_copy(shared + span * RESIDENT + place_in_row(row, own_chunk()), (const u32*)dh + ((size_t)n * length + at),
                           n < neurons && at < length);
            }
        const u32* maps = (const u32*)x + ((size_t)(first_image + copied_image) * image + word);
        int images_left = images - copied_image, channels_left = channels;
        auto copy = [&](int stage) {
            u32* to = stages + stage * STAGE + place_in_stage(copied_image, copied_chunk);
#pragma unroll
            for (int q = 0; q < SPAN / IMAGES; ++q)
                begin_copy(to + q * IMAGES * PIXELS, maps + (size_t)(q * IMAGES) * image,
                           word < words && q * IMAGES < images_left && channels_left > 0);
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
            const char* stage = (const char*)(stages + from * STAGE) + half * (SPAN / 2 * PIXELS * 4);
#pragma unroll
            for (int step = 0; step < HALF_STEPS; ++step)
#pragma unroll
                for (int e = 0; e < 4; ++e)
                    left[half][step][e] = *(const u32*)(stage + (fragment ^ e % 2 * 32) + (step * DEPTH + e / 2 * 4) * PIXELS * 4);
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
                if (n >= neurons) continue;
                float* at = parts + ((size_t)blockIdx.y * neurons + n) * channels + channel;
                *at = first_image == 0 ? all : *at + all;
            }
        };
        const float* own_features = features + (size_t)min(own_neurons + in_group, neurons - 1) * channels;
        float next = in_group < COLS ? own_features[0] : 0.0f;
        ring.arrive();
        load(0, 0);
#pragma unroll 1
        for (int channel = 0; channel < channels; ++channel) {
            int now = ring.now;
            multiply(0, 0);
            if (channel > 0) fold_sums();
            show_next();
            if (in_group < COLS) {
                v[in_group] = counted(next, positive);
                next = own_features[min(channel + 1, channels - 1)];
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
        keep(channels - 1);
    }
#pragma unroll
    for (int j = 0; j < SLOTS; ++j)
#pragma unroll
        for (int e = 0; e < 4; ++e) {
            int n = neuron0 + 8 * j + e % 2, p = pixel0 + e / 2 * 8;
            if (n >= neurons || p >= pixels) continue;
            size_t at = (size_t)n * pixels + p;
            dmask[at] += sign_of(mask[at]) * total[j][e];
        }
}
