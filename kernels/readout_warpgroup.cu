// The products of the readout on Hopper's warpgroups, of stored operands (see readout.cu): forward and to the maps. What bounds them
// is how much of its operands a multiprocessor is sent, so tiles are as large as its registers and its shared memory allow.
#include "warpgroup.cuh"
#include "readout_products.cuh"

#define THREADS 256
#define ROWS 256         // (b, c) of a block
#define COLS 192         // neurons or pixels of a block
#define IMAGES 32        // most of a block of readout_warpgroup_forward
#define UNITS 16         // of a block of readout_warpgroup_backward_input, UNIT rows each
#define MOST_UNITS 1024  // of an image
#define FACTORS 260      // most rows of v and dh that ROWS rows have to do with, and a few to lie well
#define SHARED_WORDS 57856

static_assert(HOPPER, "readout_tensor.cu is for other cards");
static_assert(PRECISION == BF16, "and for TF32, which products do not read across k");

constexpr int STAGES = 4;
constexpr int LINES = THREADS / ROW_CHUNKS;  // rows that a block copies at once

static_assert(ROWS == UNITS * UNIT, "");
static_assert(STAGES * (ROWS + COLS) * ROW_WORDS <= SHARED_WORDS, "stages of the forward pass");
static_assert(IMAGES * (THREADS / 32) * COLS <= SHARED_WORDS, "its parts");
static_assert(STAGES * (FACTORS * ROW_WORDS + COLS / 64 * SLAB) <= SHARED_WORDS, "stages of the input's pass");

// Block: COLS neurons of `images` images, as many as there are whole ones in ROWS rows (b, c), at least one and at most IMAGES.
extern "C" __global__ void __launch_bounds__(THREADS)
readout_warpgroup_forward(const Map* x /* (B, C, P), stored */, const Map* mask /* (N, P), stored */,
                          const float* features /* (N, C) */, const float* bias /* (N) */, float* h /* (B, N) */, int batch,
                          int channels, int pixels, int neurons, int images, int positive) {
    DYNAMIC_SHARED(shared, SHARED_WORDS);
    typedef Sums<ROWS, COLS, THREADS / 32> Tile;
    constexpr int MASKS = ROWS * ROW_WORDS, STAGE = MASKS + COLS * ROW_WORDS;
    Tiles tile;
    int first_neuron = tile.x * COLS, first_image = tile.y * images;
    int here = min(images, batch - first_image), rows = here * channels, words = stored_words(pixels);
    Outputs outputs{features, bias, h, first_image, here, first_neuron, channels, neurons, positive ? 0x7fffffffu : 0xffffffffu};
    // A warp's sums are of 32 neighbouring rows, whose halves belong to two products.
    int own_row = own_line() / 16 * 64 + own_line() % 16;
    for (int first_row = 0; first_row < rows; first_row += ROWS) {
        int word = own_chunk() * CHUNK;
        const u32* maps = (const u32*)x + ((size_t)first_image * channels + first_row + own_line()) * words + word;
        const u32* masks = (const u32*)mask + (size_t)(first_neuron + own_line()) * words + word;
        int maps_left = rows - first_row - own_line(), masks_left = neurons - first_neuron - own_line();
        auto copy = [&](int stage) {
            bool inside = word < words;
            u32* to = shared + stage * STAGE + place_in_row(own_row, own_chunk());
#pragma unroll
            for (int q = 0; q < ROWS / LINES; ++q)
                begin_copy(to + (q / 4 * 128 + q % 4 * 16) * ROW_WORDS, maps + q * LINES * words, inside && q * LINES < maps_left);
            to = shared + stage * STAGE + MASKS + place_in_row(own_line(), own_chunk());
#pragma unroll
            for (int q = 0; q < COLS / LINES; ++q)
                begin_copy(to + q * LINES * ROW_WORDS, masks + q * LINES * words, inside && q * LINES < masks_left);
            word += ROW_WORDS, maps += ROW_WORDS, masks += ROW_WORDS;
        };
        Tile sums;
        sums.clear();
        Ring<STAGES, 2> ring(copy);
#pragma unroll 1
        for (int span = 0; span < spans_of(pixels); ++span) {
            ring.arrive();
            const u32* stage = shared + ring.now * STAGE;
            Operand left(stage + own_group() * GROUP * ROW_WORDS, false), right(stage + MASKS, false);
            open_products();
#pragma unroll
            for (int k = 0; k < SPAN / DEPTH; ++k)
#pragma unroll
                for (int i = 0; i < 2; ++i)
                    multiply_group<false>(sums.d[i], left.along(k).after(i * 64 * ROW_WORDS * 4), right.along(k));
            close_products();
            ring.refill(copy);
            wait_for_products<1>();
        }
        wait_for_products<0>();
        wait_for_copies<0>();
        pin(sums.d[0]);
        pin(sums.d[1]);
        __syncthreads();
        outputs.add(sums, (float*)shared, first_row);
    }
}

// Block: ROWS rows (b, c), in UNITs, by COLS pixels. In a stage lie v of as many units as are distinct, below them dh of the images, and
// |mask|.
extern "C" __global__ void __launch_bounds__(THREADS)
readout_warpgroup_backward_input(const Map* mask /* (N, P), stored */, const Map* factors /* v (C, N) and dh (B, N), stored */,
                                 Map* dx /* (B, C, P) */, int batch, int channels, int pixels, int neurons) {
    DYNAMIC_SHARED(shared, SHARED_WORDS);
    typedef Sums<ROWS, COLS, THREADS / 32> Tile;
    constexpr int MASKS = COLS / 64 * SLAB, VALUES = FACTORS * ROW_WORDS;
    u32* values = shared + STAGES * MASKS;
    Units<UNITS> own(batch, channels);
    int first_pixel = blockIdx.x * COLS, words = stored_words(pixels), length = stored_words(neurons), ahead = 0;
    auto copy = [&](int stage) {
        // Made anew for every stage: the sums leave few registers.
        int me = opaque(threadIdx.x), line = me / ROW_CHUNKS, chunk = me % ROW_CHUNKS, place = place_in_row(line, chunk);
        int word = first_pixel / 2 + chunk * CHUNK, left = neurons - line - ahead * SPAN;
        const u32* from = (const u32*)mask + ((u32)(ahead * SPAN + line) * words + word);
        u32* to = shared + stage * MASKS + place;
#pragma unroll
        for (int q = 0; q < SPAN / LINES; ++q)
#pragma unroll
            for (int slab = 0; slab < COLS / 64; ++slab)
                begin_copy(to + slab * SLAB + q * LINES * ROW_WORDS, from + q * LINES * words + slab * ROW_WORDS,
                           q * LINES < left && word + slab * ROW_WORDS < words);
        int at = ahead * ROW_WORDS + chunk * CHUNK;
        bool inside = at < length;
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
        Operand right(shared + ring.now * MASKS, true);
#pragma unroll
        for (int k = 0; k < SPAN / DEPTH; ++k) {
            wait_for_products<1>();
            u32 left[2][4];
#pragma unroll
            for (int i = 0; i < 2; ++i) {
                load_matrices(left[i], stage + (opaque(v[i]) ^ k * DEPTH * 2));
                int at = opaque(dh[i]) ^ k * DEPTH * 2;
                u32 first = *(const u32*)(stage + at), second = *(const u32*)(stage + (at ^ DEPTH));
#pragma unroll
                for (int e = 0; e < 4; ++e) left[i][e] = multiply_pairs(left[i][e], e < 2 ? first : second);
            }
            open_products();
#pragma unroll
            for (int i = 0; i < 2; ++i) multiply_group<true>(sums.d[i], left[i], right.across(k));
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
