// The forward product of the readout on Hopper's warpgroups, of stored operands (see readout.cu). What bounds it is how much of its
// operands a multiprocessor is sent, so the tile is as large as its registers and its shared memory allow.
#include "warpgroup.cuh"
#include "readout_products.cuh"

#define THREADS 256
#define ROWS 256   // (b, c) of a block
#define COLS 192   // neurons
#define IMAGES 32  // most of a block
#define SHARED_WORDS 57344

static_assert(HOPPER, "readout_tensor.cu is for other cards");
static_assert(PRECISION != F32, "readout_tensor.cu has that");

constexpr int STAGES = 4;
constexpr int LINES = THREADS / ROW_CHUNKS;  // rows that a block copies at once

static_assert(STAGES * (ROWS + COLS) * ROW_WORDS <= SHARED_WORDS, "stages");
static_assert(IMAGES * (THREADS / 32) * COLS <= SHARED_WORDS, "parts");

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
