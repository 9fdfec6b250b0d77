// The products of the readout by warps, of stored operands (see readout.cu).
#include "pipeline.cuh"
#include "readout_products.cuh"

#define THREADS 256
#define ROWS 256           // (b, c) of a block
#define COLS 128           // neurons or pixels of a block
#define NEURONS 128        // rows of readout_tensor_backward_weights, which keeps two tiles
#define IMAGES 32          // most of a block of readout_tensor_forward
#define UNITS 16           // of a block of readout_tensor_backward_input, UNIT rows each
#define MOST_UNITS 1024    // of an image
#define FACTORS 260        // most rows of v and dh that ROWS rows have to do with, and a few to lie well
#define SHARED_WORDS 24832
#define WEIGHTS_WORDS 17408

static_assert(ROWS == UNITS * UNIT, "");
static_assert(STAGES * (ROWS + COLS) * SPAN_WORDS <= SHARED_WORDS, "stages of the forward pass");
static_assert(IMAGES * 4 * COLS <= SHARED_WORDS, "its parts");
static_assert(STAGES * (FACTORS + COLS) * SPAN_WORDS <= SHARED_WORDS, "stages of the input's pass");
static_assert(STAGES * (NEURONS + COLS) * SPAN_WORDS + 2 * 4 * NEURONS <= WEIGHTS_WORDS, "stages and parts of the weights' pass");

// Block: COLS neurons of `images` images, as many as there are whole ones in ROWS rows (b, c), at least one and at most IMAGES.
extern "C" __global__ void __launch_bounds__(THREADS)
readout_tensor_forward(const Map* x /* (B, C, P), stored */, const Map* mask /* (N, P), stored */, const float* features /* (N, C) */,
                       const float* bias /* (N) */, float* h /* (B, N) */, int batch, int channels, int pixels, int neurons,
                       int images, int positive) {
    DYNAMIC_SHARED(shared, SHARED_WORDS);
    typedef Sums<ROWS, COLS, 4> Tile;
    constexpr int MASKS = ROWS * SPAN_WORDS, STAGE = MASKS + COLS * SPAN_WORDS;
    float* parts = (float*)shared;  // (images, DOWN, COLS)
    Tiles tile;
    int first_neuron = tile.x * COLS, first_image = tile.y * images;
    int here = min(images, batch - first_image), rows = here * channels, words = stored_words(pixels);
    const u32* own_maps = (const u32*)x + (size_t)first_image * channels * words;
    const u32* own_masks = (const u32*)mask + (size_t)first_neuron * words;
    Outputs outputs{features, bias, h, first_image, here, first_neuron, channels, neurons, positive ? 0x7fffffffu : 0xffffffffu};
    LeftAlong left(Tile::first_row());
    RightAlong right(Tile::first_col(), MASKS);
    for (int first_row = 0; first_row < rows; first_row += ROWS) {
        CopyAlong<ROWS> maps(own_maps + (size_t)first_row * words, rows - first_row, words);
        CopyAlong<COLS> masks(own_masks, neurons - first_neuron, words);
        auto copy = [&](u32* stage, bool more, int half) {
            if (half == 0) {
                maps.copy(stage, more);
            } else {
                masks.copy(stage + MASKS, more);
            }
        };
        Tile sums;
        sums.clear();
        pipeline<STAGE>(sums, shared, spans_of(pixels), copy, left, right, [] {});
        outputs.add(sums, parts, first_row);
    }
}

// dh[b, n] v[n, c] along n as the left operand, of UNITs of rows (b, c). In a stage lie v of as many units as are distinct, and
// below them dh of the images.
template <int BLOCKS> struct Factors {
    int at[BLOCKS];  // bytes: of v, and of dh in the upper half

    __device__ __forceinline__ void load(float (&x)[2][CHUNK], const u32* stage, int chunk, int i) const {
        int v = at[i] & 0xffff, dh = at[i] >> 16;
        load_fours(x, after_bytes(stage, v ^ chunk * CHUNK * 4));
        float4 d = *(const float4*)after_bytes(stage, dh ^ chunk * CHUNK * 4);
#pragma unroll
        for (int e = 0; e < 2; ++e) x[e][0] *= d.x, x[e][1] *= d.y, x[e][2] *= d.z, x[e][3] *= d.w;
    }
    __device__ __forceinline__ void load(u32 (&a)[4], const u32* stage, int half, int i) const {
        int v = at[i] & 0xffff, dh = at[i] >> 16;
        load_matrices(a, after_bytes(stage, v ^ half * HALF_WORDS * 4));
        u32 first = *after_bytes(stage, dh ^ half * HALF_WORDS * 4);
        u32 second = *after_bytes(stage, dh ^ (half * HALF_WORDS + CHUNK) * 4);
#pragma unroll
        for (int e = 0; e < 4; ++e) a[e] = times(a[e], e < 2 ? first : second);
    }
};

// Block: ROWS rows (b, c), in UNITs, by COLS pixels.
extern "C" __global__ void __launch_bounds__(THREADS)
readout_tensor_backward_input(const Map* mask /* (N, P), stored */, const Map* factors /* v (C, N) and dh (B, N), stored */,
                              Map* dx /* (B, C, P) */, int batch, int channels, int pixels, int neurons) {
    DYNAMIC_SHARED(shared, SHARED_WORDS);
    typedef Sums<ROWS, COLS, 4> Tile;
    typedef Across<COLS> Masks;
    constexpr int MASKS = FACTORS * SPAN_WORDS, STAGE = MASKS + COLS * SPAN_WORDS;
    constexpr int COPIES = (FACTORS + ALONG_ROWS - 1) / ALONG_ROWS;
    Units<UNITS> own(batch, channels);
    int first_pixel = blockIdx.x * COLS, words = stored_words(pixels), length = stored_words(neurons);

    u32 factor[COPIES];
#pragma unroll
    for (int q = 0; q < COPIES; ++q) {
        int row = along_row() + q * ALONG_ROWS, image = own.first_image + row - own.distinct * UNIT;
        // Nothing is kept of channels beyond the last.
        int channel = min((own.first + row / UNIT) % own.per_image * UNIT + row % UNIT, channels - 1);
        factor[q] = (row < own.distinct * UNIT ? channel : channels + image) * length;
    }
    int factors_left = own.distinct * UNIT + own.images - along_row();
    int word = Masks::own_word(first_pixel), masks_left = word < words ? neurons - Masks::own_k() : 0;
    u32 own_mask = Masks::own_k() * words + word, own_factor = along_chunk() * CHUNK;
    auto copy = [&](u32* stage, bool more, int half) {
        if (half == 0) {
            u32* to = stage + place_along(along_row(), along_chunk());
#pragma unroll
            for (int q = 0; q < COPIES; ++q)
                if (q * ALONG_ROWS < factors_left) begin_copy(to + q * ALONG_ROWS * SPAN_WORDS, (const u32*)factors + (own_factor + factor[q]), more);
            own_factor += SPAN_WORDS;
        } else {
            Masks::copy(stage + MASKS, (const u32*)mask + own_mask, more ? masks_left : 0, words);
            own_mask += SPAN * words;
            masks_left -= SPAN;
        }
    };

    Factors<Tile::ROW_SLOTS / 2> left;
#pragma unroll
    for (int i = 0; i < Tile::ROW_SLOTS / 2; ++i) {
        int lane = threadIdx.x % 32, unit = Tile::first_row() / UNIT + i;
        int image = min(own.image_of(unit), own.images - 1);
        int v = PRECISION == F32 ? place_along(unit % own.distinct * UNIT + lane_row(), 0)
                                 : place_along(unit % own.distinct * UNIT + lane % 16, lane / 16);
        int dh = place_along(own.distinct * UNIT + image, 0) + (PRECISION == F32 ? 0 : lane % 4);
        left.at[i] = v * 4 | dh * 4 << 16;
    }
    Tile sums;
    sums.clear();
    pipeline<STAGE>(sums, shared, spans_of(neurons), copy, left, RightAcross<COLS>(Tile::first_col(), MASKS), [] {});
    own.store(sums, dx, first_pixel, batch, channels, pixels);
}

// Block: NEURONS neurons by COLS pixels, all channels one after the other.
extern "C" __global__ void __launch_bounds__(THREADS)
readout_tensor_backward_weights(const Map* x /* (B, C, P), stored */, const Map* stored_mask /* (N, P), stored */,
                                const float* mask /* (N, P) */, const float* features /* (N, C) */, const Map* dh /* (N, B), stored */,
                                const float* sparsity /* (N) */, float* dmask /* (N, P) */, float* parts /* (tiles of P, N, C) */, int batch, int channels, int pixels,
                                int neurons, int positive) {
    DYNAMIC_SHARED(shared, WEIGHTS_WORDS);
    typedef Sums<NEURONS, COLS> Tile;
    typedef Across<COLS> Maps;
    constexpr int MAPS = NEURONS * SPAN_WORDS, STAGE = MAPS + COLS * SPAN_WORDS;
    float* quarters = (float*)(shared + STAGES * STAGE);  // of two channels by turns, (ACROSS, NEURONS)
    int first_neuron = blockIdx.x * NEURONS, first_pixel = blockIdx.y * COLS, spans = spans_of(batch);
    int words = stored_words(pixels), length = stored_words(batch), image = channels * words;

    CopyAlong<NEURONS, true> gradients((const u32*)dh + (size_t)first_neuron * length, neurons - first_neuron, length);
    int word = Maps::own_word(first_pixel), images = word < words ? batch - Maps::own_k() : 0;
    const u32* maps = (const u32*)x + (size_t)Maps::own_k() * image + word;
    int images_left = images;
    auto copy = [&](u32* stage, bool more, int half) {
        if (half == 0) return gradients.copy(stage, more);
        Maps::copy(stage + MAPS, maps, more ? images_left : 0, image);
        maps += SPAN * (size_t)image;
        images_left -= SPAN;
        if (images_left > images - spans * SPAN) return;
        // From the last images of a channel to the first of the next.
        images_left = images;
        maps += words - spans * (SPAN * (size_t)image);
        gradients.at -= spans * SPAN_WORDS;
    };

    // Of this thread's first sum, from which its others lie a few rows and words off.
    int row0 = first_neuron + Tile::row(0), word0 = (first_pixel + Tile::col(0)) / (COLS / Maps::WORDS);
    const u32* own_mask = (const u32*)stored_mask + (size_t)row0 * words + word0;
    auto is_inside = [&](int r, int c) { return r * 8 < neurons - row0 && c * 4 < words - word0; };
#if PRECISION == BF16
    u32 magnitude[Tile::ROW_SLOTS][Tile::COL_SLOTS / 2];
#pragma unroll
    for (int r = 0; r < Tile::ROW_SLOTS; ++r)
#pragma unroll
        for (int c = 0; c < Tile::COL_SLOTS / 2; ++c) magnitude[r][c] = is_inside(r, c) ? own_mask[r * 8 * words + c * 4] : 0;
    auto magnitudes = [&](int r, int c) { return make_float2(low_half(magnitude[r][c / 2]), high_half(magnitude[r][c / 2])); };
#else
    auto magnitudes = [&](int r, int c) {
        return is_inside(r, c) ? *(const float2*)(own_mask + r * 8 * words + c * 4) : make_float2(0.0f, 0.0f);
    };
#endif
    Tile g, total;
    g.clear();
    total.clear();
    int channel = 0, left = spans + 1;
    // Takes the sums over rows of the channel before, which a barrier has shown.
    auto keep = [&] {
        int n = first_neuron + threadIdx.x;
        if (channel == 0 || threadIdx.x >= NEURONS || n >= neurons) return;
        const float* q = quarters + (channel - 1) % 2 * (Tile::ACROSS * NEURONS) + threadIdx.x;
        float sum = (q[0] + q[NEURONS]) + (q[2 * NEURONS] + q[3 * NEURONS]);
        parts[((size_t)blockIdx.y * neurons + n) * channels + channel - 1] = sum;
    };
    RightAcross<COLS> right(Tile::first_col(), MAPS);
    pipeline<STAGE>(g, shared, channels * spans, copy, LeftAlong(Tile::first_row()), right, [&] {
        if (left == spans) keep();
        if (--left > 0) return;
        int own = opaque(row0);
        auto feature = [&](int r) { return counted(features[min(own + r * 8, neurons - 1) * channels + channel], positive); };
        take_channel(g, total, quarters + channel % 2 * (Tile::ACROSS * NEURONS), magnitudes, feature);
        left = spans;
        ++channel;
    });
    __syncthreads();
    keep();
#pragma unroll
    for (int r = 0; r < Tile::ROW_SLOTS; ++r)
#pragma unroll
        for (int c = 0; c < Tile::COL_SLOTS; ++c) {
            int n = first_neuron + Tile::row(r), p = first_pixel + Tile::col(c);
            if (n >= neurons || p >= pixels) continue;
            size_t at = (size_t)n * pixels + p;
            dmask[at] = sign_of(mask[at]) * (total.at(r, c) + sparsity[n]);
        }
}
