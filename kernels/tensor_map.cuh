// Copies by Hopper's copy engine, for all blocks of a cluster at once: one thread asks for a box of rows of a matrix, and barriers in
// shared memory, which count bytes and arrivals, tell when it is there.
//
//     global --copy_box--> stages in shared memory of every block of the cluster --multiply_group--> sums in registers
//
// A box is 128 bytes wide and arrives as an operand of warpgroup.cuh. Products see it once somebody has waited for its barrier.
#pragma once
#include "warpgroup.cuh"

typedef u64 Barrier;  // what it holds is the hardware's

// A matrix as the driver describes it to the copy engine: its rows of words, and how many of them a box takes.
struct alignas(64) TensorMap {
    u64 words[16];
};

#ifdef __CUDACC__

// How many arrivals complete a phase of it.
__device__ __forceinline__ void init_barrier(Barrier* barrier, int arrivals) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(barrier)), "r"(arrivals) : "memory");
}
// Shows barriers that this thread has made to the cluster and to the copy engine.
__device__ __forceinline__ void show_barriers() {
    asm volatile("fence.mbarrier_init.release.cluster;\nfence.proxy.async.shared::cta;" ::: "memory");
}
// Arrives, and the phase takes so many bytes more.
__device__ __forceinline__ void expect_bytes(Barrier* barrier, int bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(barrier)), "r"(bytes) : "memory");
}
// Arrives at the same barrier of another block of the cluster, or of this one.
__device__ __forceinline__ void arrive_at(const Barrier* barrier, int block) {
    asm volatile("{\n.reg .b32 there;\nmapa.shared::cluster.u32 there, %0, %1;\nmbarrier.arrive.shared::cluster.b64 _, [there];\n}"
                 ::"r"(shared_address(barrier)), "r"(block)
                 : "memory");
}
// Waits until the phase of this parity is complete: the first one has parity 0.
__device__ __forceinline__ void wait_at(const Barrier* barrier, int parity) {
    u32 complete;
    do {
        asm volatile("{\n.reg .pred p;\nmbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\nselp.u32 %0, 1, 0, p;\n}"
                     : "=r"(complete)
                     : "r"(shared_address(barrier)), "r"(parity)
                     : "memory");
    } while (!complete);
}
// Copies the box whose first row is `row` and first word `column`, zeros beyond the matrix, to this place of every block whose bit
// is set in `blocks`; the same barrier of each of them counts its bytes.
__device__ __forceinline__ void copy_box(const TensorMap& matrix, u32* to, const Barrier* barrier, int column, int row, int blocks) {
    asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes.multicast::cluster [%0], [%1, {%2, %3}], [%4], %5;"
                 ::"r"(shared_address(to)), "l"(&matrix), "r"(column), "r"(row), "r"(shared_address(barrier)), "h"((unsigned short)blocks)
                 : "memory");
}
// To this block alone.
__device__ __forceinline__ void copy_box(const TensorMap& matrix, u32* to, const Barrier* barrier, int column, int row) {
    asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], [%4];"
                 ::"r"(shared_address(to)), "l"(&matrix), "r"(column), "r"(row), "r"(shared_address(barrier))
                 : "memory");
}
// Which block of its cluster this is.
__device__ __forceinline__ int own_block() {
    int block;
    asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(block));
    return block;
}
// All threads of the cluster meet here. SHOWS: and see behind it what others wrote to memory before it; else barriers alone, if shown.
template <bool SHOWS = true> __device__ __forceinline__ void meet_cluster() {
    if constexpr (SHOWS) asm volatile("barrier.cluster.arrive.release.aligned;" ::: "memory");
    else asm volatile("barrier.cluster.arrive.relaxed.aligned;" ::: "memory");
    asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory");
}

#endif

// STAGES stages by turns, which the first thread of each of BLOCKS blocks fills, BYTES in all, for itself and the others.
//
//     for each span: arrive, products of stage `now`, wait for the products of the span before, release, fill
template <int STAGES, int BLOCKS, int WARPS, int BYTES> struct BoxRing {
    static constexpr int WORDS = 4 * STAGES;  // of its barriers
    Barrier *full, *free;                     // a stage has arrived; every warp of the cluster is done with it
    u32 now = 0, next = 0;                    // spans since the launch: to be multiplied and to be filled

    __device__ __forceinline__ explicit BoxRing(u32* barriers) : full((Barrier*)barriers), free(full + STAGES) {
        if (threadIdx.x == 0) {
            for (int stage = 0; stage < STAGES; ++stage) {
                init_barrier(full + stage, 1);
                init_barrier(free + stage, BLOCKS * WARPS);
            }
            show_barriers();
        }
        __syncwarp();
        meet_cluster<false>();
    }
    // copy(stage, barrier) begins to copy this block's share of a span.
    template <class Copy> __device__ __forceinline__ void fill(Copy copy) {
        if (threadIdx.x == 0) {
            u32 stage = next % STAGES;
            if (next >= STAGES) wait_at(free + stage, next / STAGES % 2 ^ 1);
            expect_bytes(full + stage, BYTES);
            copy(stage, full + stage);
        }
        __syncwarp();
        ++next;
    }
    // The stage of the next span, once it is there.
    __device__ __forceinline__ int arrive() const {
        wait_at(full + now % STAGES, now / STAGES % 2);
        __syncwarp();
        return now % STAGES;
    }
    // This warp's products of span `done` are over; `again`: its stage will be filled again, or nobody may hear of it, for a block may have
    // left. (A branch around the call makes the compiler wait for every single product.)
    __device__ __forceinline__ void release(u32 done, bool again) const {
        int lane = threadIdx.x % 32;
        if (again && lane < BLOCKS) arrive_at(free + done % STAGES, lane);
        __syncwarp();
    }
};
