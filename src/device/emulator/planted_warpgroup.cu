// What the emulator must make of a warpgroup's products; for its own tests only.
#include "warpgroup.cuh"

#define PLANTED_THREADS 128
#define PLANTED_WORDS 6144

static_assert(HOPPER, "products of a warpgroup");
static_assert(PRECISION == BF16, "of bf16");

// Copies that are not shown to products (0), that are (1), and that are written over before the wait for the products (2).
extern "C" __global__ void __launch_bounds__(PLANTED_THREADS)
planted_group_product(const Map* a /* (64, 64) */, const Map* b /* (64, 128) */, float* d /* (64, 96) */, int how) {
    DYNAMIC_SHARED(shared, PLANTED_WORDS);
    for (int row = own_line(); row < 64; row += PLANTED_THREADS / ROW_CHUNKS) {
        u32* to = shared + place_in_row(row, own_chunk());
        begin_copy(to, a + row * 64 + own_chunk() * 8, true);
        for (int slab = 0; slab < 2; ++slab) begin_copy(to + (1 + slab) * SLAB, b + row * 128 + slab * 64 + own_chunk() * 8, true);
    }
    close_copies();
    wait_for_copies<0>();
    if (how > 0) show_copies();
    __syncthreads();
    float sums[12][4];
    open_products();
    for (int step = 0; step < SPAN / DEPTH; ++step)
        multiply_group<true>(sums, Operand(shared, false).along(step), Operand(shared + SLAB, true).across(step), step > 0);
    close_products();
    if (how == 2) shared[threadIdx.x] = 0;
    wait_for_products<0>();
    for (int j = 0; j < 12; ++j)
        for (int e = 0; e < 4; ++e) {
            int row = threadIdx.x / 32 * 16 + threadIdx.x % 32 / 4 + e / 2 * 8;
            d[row * 96 + j * 8 + threadIdx.x % 4 * 2 + e % 2] = sums[j][e];
        }
}
