// What the emulator must make of the copy engine, of barriers in shared memory and of clusters; for its own tests only.
#include "tensor_map.cuh"

#define PLANTED_THREADS 64
#define PLANTED_CLUSTER 2
#define PLANTED_ROWS 8     // of a box
#define PLANTED_WORDS 544  // the boxes of both blocks, a barrier
#define PLANTED_COLUMN 64

// Faults.
#define PLANTED_UNWAITED 1
#define PLANTED_FEWER 2
#define PLANTED_MORE 3
#define PLANTED_LEAVES 4
#define PLANTED_TWICE 5
#define PLANTED_UNMADE 6
#define PLANTED_LESS 7

static_assert(HOPPER, "the copy engine");
static_assert(PRECISION == TF32, "whose numbers are words");

// Each of two blocks copies one box for both.
extern "C" __global__ void __cluster_dims__(PLANTED_CLUSTER) __launch_bounds__(PLANTED_THREADS)
planted_boxes(const __grid_constant__ TensorMap a /* (12, 80) */, float* d /* (2, 16, 32) */, int how) {
    DYNAMIC_SHARED(shared, PLANTED_WORDS);
    constexpr int BOX = PLANTED_ROWS * ROW_WORDS, ALL = PLANTED_CLUSTER * BOX;
    Barrier* barrier = (Barrier*)(shared + ALL);
    if (threadIdx.x == 0 && how != PLANTED_UNMADE) {
        init_barrier(barrier, 1);
        show_barriers();
    }
    meet_cluster();
    if (how == PLANTED_LEAVES && own_block() == 1) return;
    if (threadIdx.x == 0) {
        int bytes = how == PLANTED_FEWER ? 2 : how == PLANTED_MORE ? 8 : how == PLANTED_LESS ? 1 : 4;
        expect_bytes(barrier, ALL * bytes);
        for (int time = 0; time < (how == PLANTED_TWICE ? 2 : 1); ++time)
            copy_box(a, shared + own_block() * BOX, barrier, PLANTED_COLUMN, own_block() * PLANTED_ROWS, 3);
    }
    if (how != PLANTED_UNWAITED) wait_at(barrier, 0);
    for (int i = threadIdx.x; i < ALL; i += PLANTED_THREADS)
        d[blockIdx.x * ALL + i] = __uint_as_float(shared[place_in_row(i / ROW_WORDS, i % ROW_WORDS / CHUNK) + i % CHUNK]);
    meet_cluster();
}
