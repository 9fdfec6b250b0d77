// Products of a warpgroup: four warps, whose tensor cores read operands from shared memory by themselves while the warps go on.
// Hopper alone has them.
//
//     global --begin_copy--> stages in shared memory --multiply_group--> sums in registers
//
// An operand lies in rows of 128 bytes, at a multiple of 1024 bytes; chunks of 16 bytes in an order that differs from row
// to row (place_in_row). k along: a row holds a span of k of one row or column of the product. k across, which BF16 alone may have:
// it holds 64 columns of one k, and the next 64 columns follow SLAB words later.
#pragma once
#include "stored.cuh"

constexpr int GROUP = 128;     // threads
constexpr int ROW_WORDS = 32;  // of an operand in shared memory
constexpr int SPAN = PRECISION == BF16 ? 2 * ROW_WORDS : ROW_WORDS;  // k of a stage
constexpr int DEPTH = SPAN / 4;                                      // k of one product
constexpr int STEP_BYTES = 32;                                       // of a row
constexpr int ROW_CHUNKS = 8;
constexpr int CHUNK = 4;       // words
constexpr int SLAB = SPAN * ROW_WORDS;

__device__ __forceinline__ int spans_of(int length) { return (length + SPAN - 1) / SPAN; }

// The word of a row's chunk.
__device__ __forceinline__ int place_in_row(int row, int chunk) { return row * ROW_WORDS + (chunk ^ row % 8) * CHUNK; }

// Where an operand lies, as the hardware wants to know it.
struct Operand {
    u64 bits;

    // `every`: of the eights of rows that lie there it has one in so many.
    __device__ __forceinline__ Operand(const u32* at, bool across, int every = 1) {
        constexpr u64 EIGHT_ROWS = 8 * ROW_WORDS * 4, SWIZZLED_128 = 1;
        u64 between_slabs = across ? SLAB * 4 : 16;  // without meaning where k is along
        bits = (shared_address(at) & 0x3ffff) >> 4 | between_slabs >> 4 << 16 | every * EIGHT_ROWS >> 4 << 32 | SWIZZLED_128 << 62;
    }
    __device__ __forceinline__ operator u64() const { return bits; }
    __device__ __forceinline__ Operand after(int bytes) const {
        Operand moved = *this;
        moved.bits += bytes >> 4;
        return moved;
    }
    // Behind `steps` products along k.
    __device__ __forceinline__ Operand along(int steps) const { return after(steps * STEP_BYTES); }
    __device__ __forceinline__ Operand across(int steps) const { return after(steps * DEPTH * ROW_WORDS * 4); }
};

// A stored word by another, as an operand in registers. Products pass over the 13 lower bits of TF32, so that to round it is to add half of
// what they pass over, but not to NaN, which would become a zero.
__device__ __forceinline__ u32 multiply_stored(u32 a, u32 b) {
#if PRECISION == BF16
    return multiply_pairs(a, b);
#else
    float product = __uint_as_float(a) * __uint_as_float(b);
    constexpr u32 HALF = 1 << 12, INFINITE = 0x7f800000;
    u32 bits = __float_as_uint(product);
    return fabsf(product) < __uint_as_float(INFINITE) ? bits + HALF : bits;
#endif
}

#ifdef __CUDACC__

#define NAMES_48 \
    "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, " \
    "%24, %25, %26, %27, %28, %29, %30, %31, %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47"
#define NAMES_32 \
    "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, " \
    "%24, %25, %26, %27, %28, %29, %30, %31"
#define NAMES_64 NAMES_48 ", %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define NAMES_96 NAMES_48 ", " \
    "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, %64, %65, %66, %67, %68, %69, %70, %71, " \
    "%72, %73, %74, %75, %76, %77, %78, %79, %80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95"
#define SUMS_4(j) "+f"(d[j][0]), "+f"(d[j][1]), "+f"(d[j][2]), "+f"(d[j][3])
#define SUMS_24(j) SUMS_4(j), SUMS_4(j + 1), SUMS_4(j + 2), SUMS_4(j + 3), SUMS_4(j + 4), SUMS_4(j + 5)

// d += a b, a (64, DEPTH), b (DEPTH, 8 J), or = where not `add`. Warp w of the group holds rows 16 w.. of d and, in registers, of a, as
// those of mma_bf16 or mma_tf32; a and b in shared memory are Operands; ACROSS is of b. Until somebody waits, nobody may touch d, what lies in
// shared memory, or registers of a.
#if PRECISION == BF16
#define PRODUCT(columns) "wgmma.mma_async.sync.aligned.m64n" columns "k16.f32.bf16.bf16 "
template <bool ACROSS> __device__ __forceinline__ void multiply_group(float (&d)[12][4], u64 a, u64 b, bool add = true) {
    asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %50, 0;\n" PRODUCT("96") "{" NAMES_48 "}, %48, %49, p, 1, 1, 0, %51;\n}"
                 : SUMS_24(0), SUMS_24(6)
                 : "l"(a), "l"(b), "r"((int)add), "n"(ACROSS));
}
template <bool ACROSS> __device__ __forceinline__ void multiply_group(float (&d)[8][4], const u32 (&a)[4], u64 b) {
    asm volatile(PRODUCT("64") "{" NAMES_32 "}, {%32, %33, %34, %35}, %36, 1, 1, 1, %37;"
                 : SUMS_4(0), SUMS_4(1), SUMS_24(2)
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "n"(ACROSS));
}
template <bool ACROSS> __device__ __forceinline__ void multiply_group(float (&d)[16][4], const u32 (&a)[4], u64 b) {
    asm volatile(PRODUCT("128") "{" NAMES_64 "}, {%64, %65, %66, %67}, %68, 1, 1, 1, %69;"
                 : SUMS_4(0), SUMS_4(1), SUMS_4(2), SUMS_4(3), SUMS_24(4), SUMS_24(10)
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "n"(ACROSS));
}
template <bool ACROSS> __device__ __forceinline__ void multiply_group(float (&d)[24][4], u64 a, u64 b) {
    asm volatile(PRODUCT("192") "{" NAMES_96 "}, %96, %97, 1, 1, 1, 0, %98;"
                 : SUMS_24(0), SUMS_24(6), SUMS_24(12), SUMS_24(18)
                 : "l"(a), "l"(b), "n"(ACROSS));
}
template <bool ACROSS> __device__ __forceinline__ void multiply_group(float (&d)[24][4], const u32 (&a)[4], u64 b) {
    asm volatile(PRODUCT("192") "{" NAMES_96 "}, {%96, %97, %98, %99}, %100, 1, 1, 1, %101;"
                 : SUMS_24(0), SUMS_24(6), SUMS_24(12), SUMS_24(18)
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "n"(ACROSS));
}
#else
template <bool ACROSS> __device__ __forceinline__ void multiply_group(float (&d)[12][4], const u32 (&a)[4], u64 b, bool add) {
    static_assert(!ACROSS, "k lies along the rows of TF32");
    asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %53, 0;\n"
                 "wgmma.mma_async.sync.aligned.m64n96k8.f32.tf32.tf32 {" NAMES_48 "}, {%48, %49, %50, %51}, %52, p, 1, 1;\n}"
                 : SUMS_24(0), SUMS_24(6)
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"((int)add));
}
template <bool ACROSS> __device__ __forceinline__ void multiply_group(float (&d)[8][4], const u32 (&a)[4], u64 b) {
    static_assert(!ACROSS, "k lies along the rows of TF32");
    asm volatile("wgmma.mma_async.sync.aligned.m64n64k8.f32.tf32.tf32 {" NAMES_32 "}, {%32, %33, %34, %35}, %36, 1, 1, 1;"
                 : SUMS_4(0), SUMS_4(1), SUMS_24(2)
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}
template <bool ACROSS> __device__ __forceinline__ void multiply_group(float (&d)[16][4], const u32 (&a)[4], u64 b) {
    static_assert(!ACROSS, "k lies along the rows of TF32");
    asm volatile("wgmma.mma_async.sync.aligned.m64n128k8.f32.tf32.tf32 {" NAMES_64 "}, {%64, %65, %66, %67}, %68, 1, 1, 1;"
                 : SUMS_4(0), SUMS_4(1), SUMS_4(2), SUMS_4(3), SUMS_24(4), SUMS_24(10)
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}
template <bool ACROSS> __device__ __forceinline__ void multiply_group(float (&d)[24][4], u64 a, u64 b) {
    static_assert(!ACROSS, "k lies along the rows of TF32");
    asm volatile("wgmma.mma_async.sync.aligned.m64n192k8.f32.tf32.tf32 {" NAMES_96 "}, %96, %97, 1, 1, 1;"
                 : SUMS_24(0), SUMS_24(6), SUMS_24(12), SUMS_24(18)
                 : "l"(a), "l"(b));
}
template <bool ACROSS> __device__ __forceinline__ void multiply_group(float (&d)[24][4], const u32 (&a)[4], u64 b) {
    static_assert(!ACROSS, "k lies along the rows of TF32");
    asm volatile("wgmma.mma_async.sync.aligned.m64n192k8.f32.tf32.tf32 {" NAMES_96 "}, {%96, %97, %98, %99}, %100, 1, 1, 1;"
                 : SUMS_24(0), SUMS_24(6), SUMS_24(12), SUMS_24(18)
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}
#endif

// Before products whose sums, or a in registers, this warp has written.
__device__ __forceinline__ void open_products() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
// What this warp began since it last closed a batch is one.
__device__ __forceinline__ void close_products() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
// Waits for all of this warp's batches but the last LEFT.
template <int LEFT> __device__ __forceinline__ void wait_for_products() {
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(LEFT) : "memory");
}
// Shows copies that have arrived to products behind the next barrier.
__device__ __forceinline__ void show_copies() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

// Keeps the compiler from moving over this place what reads or writes sums.
template <int J> __device__ __forceinline__ void pin(float (&d)[J][4]) {
#pragma unroll
    for (int j = 0; j < J; ++j)
#pragma unroll
        for (int e = 0; e < 4; ++e) asm volatile("" : "+f"(d[j][e])::"memory");
}

#endif

// The warpgroup of this thread: the same register in all lanes.
__device__ __forceinline__ int own_group() { return __shfl_sync(ALL_LANES, (int)threadIdx.x / GROUP, 0); }

// Which chunk a thread copies, of a row and of every LINESth after it.
__device__ __forceinline__ int own_line() { return threadIdx.x / ROW_CHUNKS; }
__device__ __forceinline__ int own_chunk() { return threadIdx.x % ROW_CHUNKS; }

// STAGES stages by turns. copy(stage) begins to copy the next span; a stage is filled again BEHIND spans after it was multiplied.
//
//     for each span: arrive, products of stage `now`, refill, wait for the products of the span before
template <int STAGES, int BEHIND> struct Ring {
    static constexpr int AHEAD = STAGES - BEHIND;
    int now = 0, free = AHEAD;

    template <class Copy> __device__ __forceinline__ explicit Ring(Copy copy) {
#pragma unroll
        for (int stage = 0; stage < AHEAD; ++stage) {
            copy(stage);
            close_copies();
        }
    }
    // TO_PRODUCTS: where products read the copies themselves.
    template <bool TO_PRODUCTS = true> __device__ __forceinline__ void arrive() const {
        wait_for_copies<AHEAD - 1>();
        if constexpr (TO_PRODUCTS) show_copies();
        __syncthreads();
    }
    template <class Copy> __device__ __forceinline__ void refill(Copy copy) {
        copy(free);
        close_copies();
        now = now == STAGES - 1 ? 0 : now + 1;
        free = free == STAGES - 1 ? 0 : free + 1;
    }
};
