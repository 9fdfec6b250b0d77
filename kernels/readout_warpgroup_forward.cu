// The forward product of the readout on Hopper's warpgroups, of stored operands (see readout.cu). What bounds it is how much of its
// operands a multiprocessor is sent, so the tile is as large as its registers and its shared memory allow, and two blocks, of
// neighbouring neurons, are sent the same maps together.
#include "tensor_map.cuh"
#include "readout_products.cuh"

#define THREADS 256
#define ROWS 256     // (b, c) of a block
#define COLS 192     // neurons
#define IMAGES 32    // most of a block
#define CLUSTER 2    // blocks of the same maps
#define OWN_ROWS 128 // of the maps that a block copies for all
#define SHARED_WORDS 57360

static_assert(HOPPER, "readout_tensor.cu is for other cards");
static_assert(PRECISION != F32, "readout_tensor.cu has that");

constexpr int STAGES = 4, AHEAD = STAGES - 1;
constexpr int MASKS = ROWS * ROW_WORDS, STAGE = MASKS + COLS * ROW_WORDS;
static_assert(OWN_ROWS * CLUSTER == ROWS, "all rows");

typedef BoxRing<STAGES, CLUSTER, THREADS / 32, STAGE * 4> Stages;

static_assert(STAGES * STAGE + Stages::WORDS <= SHARED_WORDS, "stages");
static_assert(IMAGES * (THREADS / 32) * COLS <= STAGES * STAGE, "parts");

// The sums of two products, which have the eights of rows by turns.
struct Tile : Sums<ROWS, COLS, THREADS / 32> {
    __device__ __forceinline__ float& at(int r, int c) { return Sums::at(r % 2 * 2 + r / 2, c); }
};

// Block: COLS neurons of `images` images, as many as there are whole ones in ROWS rows (b, c), at least one and at most IMAGES.
extern "C" __global__ void __cluster_dims__(CLUSTER) __launch_bounds__(THREADS)
readout_warpgroup_forward(const __grid_constant__ TensorMap x /* (B C, P), stored */,
                          const __grid_constant__ TensorMap mask /* (N, P), stored */, const float* features /* (N, C) */,
                          const float* bias /* (N) */, float* h /* (B, N) */, int batch, int channels, int pixels, int neurons,
                          int images, int positive) {
    DYNAMIC_SHARED(shared, SHARED_WORDS);
    Tiles tile(CLUSTER);
    int first_neuron = tile.x * COLS, first_image = tile.y * images;
    int here = min(images, batch - first_image), rows = here * channels;
    Outputs outputs{features, bias, h, first_image, here, first_neuron, channels, neurons, positive ? 0x7fffffffu : 0xffffffffu};
    Stages stages(shared + STAGES * STAGE);
    for (int first_row = 0; first_row < rows; first_row += ROWS) {
        int own_row = first_image * channels + first_row + own_block() * OWN_ROWS, column = 0;
        auto copy = [&](int stage, Barrier* barrier) {
            u32* maps = shared + stage * STAGE + own_block() * OWN_ROWS * ROW_WORDS;
            copy_box(x, maps, barrier, column, own_row, (1 << CLUSTER) - 1);
            copy_box(mask, shared + stage * STAGE + MASKS, barrier, column, first_neuron);
            column += ROW_WORDS;
        };
        int spans = spans_of(pixels);
        bool more = first_row + ROWS < rows;
        for (int span = 0; span < min(AHEAD, spans); ++span) stages.fill(copy);
        Tile sums;
        sums.clear();
#pragma unroll 1
        for (int span = 0; span < spans; ++span) {
            const u32* stage = shared + stages.arrive() * STAGE;
            Operand left(stage + own_group() * GROUP * ROW_WORDS, false, 2), right(stage + MASKS, false);
            open_products();
#pragma unroll
            for (int k = 0; k < SPAN / DEPTH; ++k)
#pragma unroll
                for (int i = 0; i < 2; ++i)
                    multiply_group<false>(sums.d[i], left.along(k).after(i * 8 * ROW_WORDS * 4), right.along(k));
            close_products();
            wait_for_products<1>();
            if (span > 0) stages.release(stages.now - 1, more || span + AHEAD < spans);
            if (span + AHEAD < spans) stages.fill(copy);
            ++stages.now;
        }
        wait_for_products<0>();
        stages.release(stages.now - 1, more);
        pin(sums.d[0]);
        pin(sums.d[1]);
        __syncthreads();
        outputs.add(sums, (float*)shared, first_row);
        // What the outputs were added up in is filled again.
        if (more) {
            show_copies();
            meet_cluster();
        }
    }
}
