// The CUDA that kernels may use, for g++: what `striate.cuh` and the compiler give them on a card.
//
// Threads of a block are fibers that meet at barriers (`emulator.cpp` runs them). Shared memory is static memory in a section of
// its own per translation unit, so that it can be filled with NaN before each block. Functions are static: a unit's watched build
// must not run those of the other.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

namespace emulator {

struct Index {
    unsigned x, y, z;
};

constexpr uint32_t FRESH = 0x7fc0fade;  // a NaN

extern Index thread_index, block_index, block_size, grid_size;

// Waits for all threads of the block. `line` says where: all must wait at the same place.
void block_barrier(int line);
// Waits for all lanes of the warp. Of what they wrote to memory before, they may read each other's behind __syncwarp alone.
void warp_barrier(int line, bool orders_memory = false);
// This lane's place for up to 64 bytes that the next warp_barrier shows to the others; two take turns, so that nobody overwrites
// what a slower lane still has to read.
void* deposit();
// Puts 16 bytes of shared memory there.
void deposit_row(const void* row);
// What lane `lane` left there before the last warp_barrier.
const void* deposited(int lane);

template <typename T> static inline T shuffle(T value, int source, int line) {
    static_assert(sizeof(T) <= 64, "shuffles move at most 64 bytes");
    std::memcpy(deposit(), &value, sizeof(T));
    warp_barrier(line);
    T result;
    std::memcpy(&result, deposited(source & 31), sizeof(T));
    return result;
}

// A launch went wrong here: the first such message is kept.
void fail(const char* format, ...) __attribute__((format(printf, 1, 2)));

static inline int lane() { return static_cast<int>(thread_index.x % 32); }

// Where the block's dynamic shared memory lies: from 1024 on, as on a card.
uint32_t* open_shared(void* memory, size_t bytes);
uint32_t shared_address(const void* at);

// Copies to shared memory that this thread began. A card makes each at any time until the thread waits for it: here the place is NaN
// at once, and what is copied is there after the wait.
void begin_copy(void* to, const void* from, bool inside);
void close_copies();
void wait_for_copies(unsigned left);

static inline float number(uint32_t bits) {
    float v;
    std::memcpy(&v, &bits, 4);
    return v;
}

static inline uint32_t bits_of(float v) {
    uint32_t bits;
    std::memcpy(&bits, &v, 4);
    return bits;
}

// bits rounded to nearest, ties to even, after the lowest `drop`; NaN stays NaN.
static inline uint32_t rounded(float v, int drop, bool ties_away) {
    uint32_t bits = bits_of(v);
    if ((bits & 0x7f800000u) == 0x7f800000u) return bits & ~((1u << drop) - 1) | (v != v ? 0x00400000u : 0u);
    uint32_t half = 1u << (drop - 1);
    uint32_t up = ties_away ? half : half - 1 + ((bits >> drop) & 1u);
    return (bits + up) & ~((1u << drop) - 1);
}

// d += a b with the fragments of mma.sync: `k` pairs of neighbours (bf16) or single numbers (TF32) per word.
template <typename Unpack> static inline void matrix_product(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], int per_word, Unpack unpack, int line) {
    struct Fragments {
        uint32_t a[4], b[2];
    } mine = {{a[0], a[1], a[2], a[3]}, {b[0], b[1]}};
    std::memcpy(deposit(), &mine, sizeof mine);
    warp_barrier(line);
    int group = lane() / 4, pair = lane() % 4;
    for (int out = 0; out < 4; ++out) {
        int upper = out / 2, column = 2 * pair + out % 2;
        float sum = d[out];
        for (int half = 0; half < 2; ++half)
            for (int t = 0; t < 4; ++t) {
                Fragments of_row, of_column;
                std::memcpy(&of_row, deposited(group * 4 + t), sizeof of_row);
                std::memcpy(&of_column, deposited(column * 4 + t), sizeof of_column);
                for (int i = 0; i < per_word; ++i)
                    sum += unpack(of_row.a[half * 2 + upper], i) * unpack(of_column.b[half], i);
            }
        d[out] = sum;
    }
}

}  // namespace emulator

#define HOPPER 1
#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __noinline__
#define __launch_bounds__(...)
#define __cluster_dims__(...)
#define __grid_constant__
#define __restrict__ __restrict
#define __constant__ static const
#define __shared__ static __attribute__((section(STRIATE_SHARED)))
#define DYNAMIC_SHARED(name, words)               \
    __shared__ __attribute__((aligned(1024))) uint4 name##_memory[(words) / 4]; \
    u32* name = emulator::open_shared(name##_memory, sizeof name##_memory)

#define threadIdx emulator::thread_index
#define blockIdx emulator::block_index
#define blockDim emulator::block_size
#define gridDim emulator::grid_size

#define __syncthreads() emulator::block_barrier(__LINE__)
#define __syncwarp(...) emulator::warp_barrier(__LINE__, true)
#define __shfl_sync(mask, value, source) emulator::shuffle(value, source, __LINE__)
#define __shfl_xor_sync(mask, value, bits) emulator::shuffle(value, emulator::lane() ^ (bits), __LINE__)
#define __shfl_down_sync(mask, value, by) \
    emulator::shuffle(value, emulator::lane() + (by) < 32 ? emulator::lane() + (by) : emulator::lane(), __LINE__)
#define __shfl_up_sync(mask, value, by) \
    emulator::shuffle(value, emulator::lane() >= (by) ? emulator::lane() - (by) : emulator::lane(), __LINE__)

namespace emulator {

// Which lanes' predicates hold, a bit each.
static inline unsigned ballot(bool holds, int line) {
    std::memcpy(deposit(), &holds, sizeof holds);
    warp_barrier(line);
    unsigned votes = 0;
    for (int other = 0; other < 32; ++other) {
        bool its;
        std::memcpy(&its, deposited(other), sizeof its);
        votes |= static_cast<unsigned>(its) << other;
    }
    return votes;
}

}  // namespace emulator

#define __ballot_sync(mask, predicate) emulator::ballot(predicate, __LINE__)

using std::max;
using std::min;

// Aligned as on a card, where a misaligned access is a fault; the build traps those here. Copied at once where accesses are watched.
#ifdef WATCHED
#define COPIED_AT_ONCE(name, bytes)                                               \
    typedef char Bytes __attribute__((vector_size(bytes), may_alias));            \
    name() = default;                                                             \
    name(const name& from) { *(Bytes*)this = *(const Bytes*)&from; }              \
    name& operator=(const name& from) { return *(Bytes*)this = *(const Bytes*)&from, *this; }
#else
#define COPIED_AT_ONCE(name, bytes)
#endif
#define TWO(name, T)                       \
    struct alignas(8) name {               \
        T x, y;                            \
        COPIED_AT_ONCE(name, 8)            \
    };                                     \
    static inline name make_##name(T x, T y) { \
        name v;                            \
        v.x = x, v.y = y;                  \
        return v;                          \
    }
#define FOUR(name, T)                      \
    struct alignas(16) name {              \
        T x, y, z, w;                      \
        COPIED_AT_ONCE(name, 16)           \
    };                                     \
    static inline name make_##name(T x, T y, T z, T w) { \
        name v;                            \
        v.x = x, v.y = y, v.z = z, v.w = w; \
        return v;                          \
    }
TWO(float2, float)
TWO(int2, int)
TWO(uint2, unsigned)
FOUR(float4, float)
FOUR(int4, int)
FOUR(uint4, unsigned)
template <typename T> static inline T __ldg(const T* p) { return *p; }
static inline unsigned __float_as_uint(float v) { return emulator::bits_of(v); }
static inline float __uint_as_float(unsigned bits) { return emulator::number(bits); }
static inline int __float_as_int(float v) { return static_cast<int>(emulator::bits_of(v)); }
static inline float __int_as_float(int bits) { return emulator::number(static_cast<unsigned>(bits)); }
static inline int __popc(unsigned bits) { return __builtin_popcount(bits); }
static inline float rsqrtf(float v) { return 1.0f / std::sqrt(v); }
static inline float cospif(float v) { return static_cast<float>(std::cos(M_PI * v)); }
static inline void sincospif(float v, float* sine, float* cosine) {
    *sine = static_cast<float>(std::sin(M_PI * v));
    *cosine = cospif(v);
}

// As far off as the special function unit may be, to the side that the bits choose.
static inline float approximate(double exact, double scale, float of) {
    double off = std::ldexp(scale, -22);
    float v = static_cast<float>(emulator::bits_of(of) * 0x9e3779b9u >> 31 ? exact + off : exact - off);
    return std::fabs(v) < 0x1p-126f ? 0.0f : v;
}
static inline float fast_exp2(float v) { return approximate(std::exp2(double(v)), std::exp2(double(v)), v); }
static inline float fast_log2(float v) { return approximate(std::log2(double(v)), std::max(1.0, std::fabs(std::log2(double(v)))), v); }
static inline float fast_reciprocal(float v) { return approximate(1.0 / v, 1.0 / v, v); }

static inline uint32_t to_tf32(float v) { return emulator::rounded(v, 13, true); }
static inline uint32_t pack_bf16(float low, float high) {
    return (emulator::rounded(low, 16, false) >> 16) | emulator::rounded(high, 16, false);
}
static inline int opaque(int v) { return v; }
static inline uint32_t multiply_pairs(uint32_t a, uint32_t b) {
    using emulator::number;
    return pack_bf16(number(a << 16) * number(b << 16), number(a & 0xffff0000u) * number(b & 0xffff0000u));
}

namespace emulator {

template <bool TURNED> static inline void load_matrices(uint32_t (&r)[4], const void* row) {
    deposit_row(row);
    warp_barrier(TURNED ? -4 : -3);
    int g = lane() / 4, t = lane() % 4;
    auto half = [](int i, int row, int column) {
        return static_cast<const uint16_t*>(deposited(8 * i + row))[column];
    };
    for (int i = 0; i < 4; ++i) {
        uint32_t low = TURNED ? half(i, 2 * t, g) : half(i, g, 2 * t);
        uint32_t high = TURNED ? half(i, 2 * t + 1, g) : half(i, g, 2 * t + 1);
        r[i] = low | high << 16;
    }
}

}  // namespace emulator

static inline void load_matrices(uint32_t (&r)[4], const void* row) { emulator::load_matrices<false>(r, row); }
static inline void load_matrices_turned(uint32_t (&r)[4], const void* row) { emulator::load_matrices<true>(r, row); }
static inline void begin_copy(void* to, const void* from, bool inside, bool = false) { emulator::begin_copy(to, from, inside); }
static inline void close_copies() { emulator::close_copies(); }
template <int LEFT> static inline void wait_for_copies() { emulator::wait_for_copies(LEFT); }
static inline void mma_tf32(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    emulator::matrix_product(d, a, b, 1, [](uint32_t word, int) { return emulator::number(word & 0xffffe000u); }, -1);
}
static inline void mma_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    emulator::matrix_product(
        d, a, b, 2, [](uint32_t word, int i) { return emulator::number(i ? word & 0xffff0000u : word << 16); }, -2);
}

#include "warpgroup.h"
#include "boxes.h"
