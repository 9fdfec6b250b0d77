// The matrix product of one block, in every precision: sums[row, col] += sum_k a[row, k] b[col, k].
//
// A block of 256 threads keeps ROWS x COLS sums in registers and walks along k in steps of 16. For each step the two operands
// lie in shared memory as rows of 16 numbers, already rounded to the precision of the product:
//
//     global --fetch--> registers --value, rounding, store--> shared --multiply--> sums in registers
//
// There are two such stages. While the block multiplies one, the loads for the next are under way, so their latency hides
// behind the arithmetic, and one barrier per step is enough.
//
// Eight warps share the tile as 2 x 4. With g = lane / 4 and t = lane % 4 a thread holds the sums of rows g, g + 8, ... and columns
// 2t, 2t + 1, 2t + 8, ... of its warp's part: the layout of the tensor core's result. Plain float32 has it with other lanes: of
// neighbours one reads the same row and one the same column, and shared memory gives such lanes in one pass what is up to 16 bytes.
// A row takes 20 words of shared memory (12 for bf16, two numbers a word), so that the 32 words that a warp reads for a
// fragment lie in 32 different banks.
//
// An operand is AlongK or AcrossK of a source, by what lies next to a number in memory: its neighbour along k or the next row.
// A source reads raw numbers (fetch) and makes of them the factor of the product (value); outside its matrix it gives 0.
//
// pipeline.cuh has the faster product of operands that are stored as the precision wants them.
#pragma once
#include "run.cuh"

constexpr int BLOCK = 256;
constexpr int STEP = 16;                             // k per stage
constexpr int PITCH = PRECISION == BF16 ? 12 : 20;  // words per row in shared memory

// float4s of shared memory that a product takes.
constexpr int product_shared(int rows, int cols) { return 2 * (rows + cols) * PITCH / 4; }

// g and t of this lane, and sums over the lanes of a column and of a row.
__device__ __forceinline__ int lane_row() {
    int lane = threadIdx.x % 32;
    return PRECISION == F32 ? (lane >> 2 & 6) | (lane & 1) : lane / 4;
}
__device__ __forceinline__ int lane_col() { return PRECISION == F32 ? threadIdx.x / 2 % 4 : threadIdx.x % 4; }
__device__ __forceinline__ float over_lane_rows(float v) {
#pragma unroll
    for (int step = 4; step < 32; step *= 2) v += __shfl_xor_sync(ALL_LANES, v, PRECISION == F32 && step == 4 ? 1 : step);
    return v;
}
// Sums over two lanes whose numbers differ in BIT, of half of the numbers in each: a lane gives the other half away. Returns the first of its own.
template <int HALF, int BIT, int N> __device__ __forceinline__ int halve(float (&sums)[N]) {
    bool upper = threadIdx.x & BIT;
#pragma unroll
    for (int i = 0; i < HALF; ++i) {
        float given = upper ? sums[i] : sums[i + HALF], own = upper ? sums[i + HALF] : sums[i];
        sums[i] = own + __shfl_xor_sync(ALL_LANES, given, BIT);
    }
    return upper ? HALF : 0;
}
__device__ __forceinline__ float over_lane_cols(float v) {
#pragma unroll
    for (int step = 1; step < 4; step *= 2) v += __shfl_xor_sync(ALL_LANES, v, PRECISION == F32 ? 2 * step : step);
    return v;
}

__device__ __forceinline__ int steps_of(int length) { return (length + STEP - 1) / STEP; }

// Four neighbours as they came from memory: what is done with them waits for them.
template <class Number> struct Four {
    Number v[4];

    __device__ __forceinline__ float at(int i) const { return number(v[i]); }
};

// Four neighbours k.. of a row, 0 from `length` on; `fours`: whether they may be read at once.
__device__ __forceinline__ void fetch_quad(const float* row, int k, int length, bool fours, Four<float>& quad) {
    float(&v)[4] = quad.v;
    if (fours) {
        float4 four = k < length ? *(const float4*)(row + k) : make_float4(0.0f, 0.0f, 0.0f, 0.0f);
        v[0] = four.x, v[1] = four.y, v[2] = four.z, v[3] = four.w;
    } else {
#pragma unroll
        for (int i = 0; i < 4; ++i) v[i] = k + i < length ? row[k + i] : 0.0f;
    }
}

#if PRECISION == BF16
// Two to a word.
struct Quad {
    uint2 pairs;

    __device__ __forceinline__ float at(int i) const {
        u32 pair = i < 2 ? pairs.x : pairs.y;
        return i % 2 ? high_half(pair) : low_half(pair);
    }
};

__device__ __forceinline__ void fetch_quad(const Map* row, int k, int length, bool fours, Quad& quad) {
    if (fours) {
        quad.pairs = k < length ? *(const uint2*)(row + k) : make_uint2(0, 0);
    } else {
        u32 bits[4];
#pragma unroll
        for (int i = 0; i < 4; ++i) bits[i] = k + i < length ? row[k + i].bits : 0;
        quad.pairs = make_uint2(bits[0] | bits[1] << 16, bits[2] | bits[3] << 16);
    }
}
#else
typedef Four<Map> Quad;
#endif

// Rounds four neighbours along k and puts them into a row of shared memory.
__device__ __forceinline__ void store_quad(float* row, int k, float a, float b, float c, float d) {
    if constexpr (PRECISION == BF16) {
        *(float2*)(row + k / 2) = make_float2(__uint_as_float(pack_bf16(a, b)), __uint_as_float(pack_bf16(c, d)));
    } else if constexpr (PRECISION == TF32) {
        *(float4*)(row + k) = make_float4(__uint_as_float(to_tf32(a)), __uint_as_float(to_tf32(b)),
                                          __uint_as_float(to_tf32(c)), __uint_as_float(to_tf32(d)));
    } else {
        *(float4*)(row + k) = make_float4(a, b, c, d);
    }
}

// Which row and which four k of a stage a thread loads when k runs along memory: four threads to a row, and eight rows to
// a warp in an order (bits reversed) in which the rows stored together meet in no bank.
__device__ __forceinline__ int quad_row(int q) {
    int r = threadIdx.x / 4 % 8;
    return q * (BLOCK / 4) + threadIdx.x / 32 * 8 + (r & 1) * 4 + (r & 2) + r / 4;
}
__device__ __forceinline__ int quad_k() { return threadIdx.x % 4 * 4; }

// An operand whose numbers lie next to each other along k. Source: Held with at(i), fetch(step, q, row, k, Held&), value(float).
template <int ROWS, class Source> struct AlongK {
    static constexpr int QUADS = ROWS * STEP / 4 / BLOCK;
    Source source;
    typename Source::Held held[QUADS];

    __device__ __forceinline__ void fetch(int step) {
#pragma unroll
        for (int q = 0; q < QUADS; ++q) source.fetch(step, q, quad_row(q), quad_k(), held[q]);
    }
    __device__ __forceinline__ void store(float* stage) const {
#pragma unroll
        for (int q = 0; q < QUADS; ++q) {
            const typename Source::Held& v = held[q];
            store_quad(stage + quad_row(q) * PITCH, quad_k(), source.value(v.at(0)), source.value(v.at(1)),
                                source.value(v.at(2)), source.value(v.at(3)));
        }
    }
};

// Where a thread loads when rows run along memory: one row, a few k in sequence.
template <int ROWS> __device__ __forceinline__ int own_row() { return threadIdx.x % ROWS; }
template <int ROWS> __device__ __forceinline__ int own_k() { return threadIdx.x / ROWS * (ROWS * STEP / BLOCK); }

// An operand whose rows lie next to each other. Source: Held, fetch(step, k, Held (&)[COUNT]), value(Held).
template <int ROWS, class Source> struct AcrossK {
    static constexpr int COUNT = ROWS * STEP / BLOCK;
    Source source;
    typename Source::Held held[COUNT];

    __device__ __forceinline__ void fetch(int step) { source.fetch(step, own_k<ROWS>(), held); }
    __device__ __forceinline__ void store(float* stage) const {
#pragma unroll
        for (int i = 0; i < COUNT; i += 4)
            store_quad(stage + own_row<ROWS>() * PITCH, own_k<ROWS>() + i, source.value(held[i]), source.value(held[i + 1]),
                                source.value(held[i + 2]), source.value(held[i + 3]));
    }
};

// Two common sources.
//
// The rows of a matrix (rows, length), k along them.
template <bool ABSOLUTE> struct Rows {
    const float* from;
    int rows, length;
    bool fours;
    typedef Four<float> Held;

    __device__ __forceinline__ void fetch(int step, int, int row, int k, Four<float>& v) const {
        fetch_quad(from + row * length, step * STEP + k, row < rows ? length : 0, fours, v);
    }
    __device__ __forceinline__ float value(float v) const { return ABSOLUTE ? fabsf(v) : v; }
};

// This thread's column of a matrix (length, columns), k down it; of numbers, or of words that hold two.
template <bool ABSOLUTE, class Number = float> struct Column {
    const Number* from;
    int column, columns, length;
    typedef Number Held;

    template <int COUNT> __device__ __forceinline__ void fetch(int step, int k, Number (&held)[COUNT]) const {
        int k0 = step * STEP + k, left = length - k0;
        const Number* at = from + (k0 * columns + column);
#pragma unroll
        for (int i = 0; i < COUNT; ++i, at += columns) held[i] = i < left ? *at : Number(0);
    }
    __device__ __forceinline__ Number value(Number v) const { return ABSOLUTE ? fabsf(v) : v; }
};

// This thread's share of a block's ROWS x COLS sums: SLOTS of rows by SLOTS of columns. Warps share the tile as DOWN x ACROSS.
template <int ROWS_, int COLS_, int DOWN_ = 2> struct Sums {
    static constexpr int ROWS = ROWS_, COLS = COLS_, DOWN = DOWN_, ACROSS = BLOCK / 32 / DOWN;
    static constexpr int WARP_ROWS = ROWS / DOWN, WARP_COLS = COLS / ACROSS;
    static constexpr int ROW_SLOTS = WARP_ROWS / 8, COL_SLOTS = WARP_COLS / 4;
    float d[ROW_SLOTS / 2][COL_SLOTS / 2][4];  // a tensor core's results

    static __device__ __forceinline__ int warp_down() { return threadIdx.x / 32 / ACROSS; }
    static __device__ __forceinline__ int warp_across() { return threadIdx.x / 32 % ACROSS; }
    static __device__ __forceinline__ int first_row() { return warp_down() * WARP_ROWS; }
    static __device__ __forceinline__ int first_col() { return warp_across() * WARP_COLS; }
    static __device__ __forceinline__ int row(int r) { return first_row() + r * 8 + lane_row(); }
    static __device__ __forceinline__ int col(int c) { return first_col() + c / 2 * 8 + lane_col() * 2 + c % 2; }

    __device__ __forceinline__ float& at(int r, int c) { return d[r / 2][c / 2][r % 2 * 2 + c % 2]; }

    // Calls visit(row, col, sum) for every sum that this thread holds.
    template <class Visit> __device__ __forceinline__ void for_each(Visit visit) {
#pragma unroll
        for (int r = 0; r < ROW_SLOTS; ++r)
#pragma unroll
            for (int c = 0; c < COL_SLOTS; ++c) visit(row(r), col(c), at(r, c));
    }

    __device__ __forceinline__ void clear() {
        for_each([](int, int, float& sum) { sum = 0.0f; });
    }

    // Calls put(row, i, run) for the runs of every row, run i from column run_col(i) on. All lanes must come.
    static constexpr int RUNS = COL_SLOTS / (PRECISION == BF16 ? 8 : RUN);
    static __device__ __forceinline__ int run_col(int i) {
        return PRECISION == BF16 ? first_col() + i * 4 * RUN + threadIdx.x % 4 * RUN : col(i * RUN);
    }
    template <class Put> __device__ __forceinline__ void for_each_run(Put put) {
#pragma unroll
        for (int r = 0; r < ROW_SLOTS; ++r) {
#pragma unroll
            for (int i = 0; i < RUNS; ++i) {
#if PRECISION == BF16
                static_assert(COL_SLOTS % 8 == 0, "the four lanes of a row exchange their four pairs");
                u32 pairs[4];
#pragma unroll
                for (int j = 0; j < 4; ++j) pairs[j] = pack_bf16(at(r, 8 * i + 2 * j), at(r, 8 * i + 2 * j + 1));
                put(row(r), i, Run(pairs));
#else
                put(row(r), i, Run{at(r, i * RUN), at(r, i * RUN + 1)});
#endif
            }
        }
    }

    // For every column the sum of term(row, col, sum) over its rows, as one part per row of warps: parts (DOWN, COLS).
    template <class Term> __device__ __forceinline__ void over_rows(float* parts, Term term) {
#pragma unroll
        for (int c = 0; c < COL_SLOTS; ++c) {
            float total = 0.0f;
#pragma unroll
            for (int r = 0; r < ROW_SLOTS; ++r) total += term(row(r), col(c), at(r, c));
            total = over_lane_rows(total);
            if (lane_row() == 0) parts[warp_down() * COLS + col(c)] = total;
            if (c % 2) __syncwarp();  // keeps what `term` loads for later columns out of registers
        }
    }

    // For every row the sum of both terms(r, c) of slots c and c + 1 over its columns, as one part per column of
    // warps: parts (ACROSS, ROWS).
    template <class Terms> __device__ __forceinline__ void over_cols(float* parts, Terms terms) {
#pragma unroll
        for (int r = 0; r < ROW_SLOTS; ++r) {
            float total = 0.0f;
#pragma unroll
            for (int c = 0; c < COL_SLOTS; c += 2) {
                float2 both = terms(r, c);
                total += both.x;
                total += both.y;
            }
            total = over_lane_cols(total);
            if (lane_col() == 0) parts[warp_across() * ROWS + row(r)] = total;
        }
    }

    // Adds the product of one stage.
    __device__ __forceinline__ void multiply(const float* a, const float* b) {
        if constexpr (PRECISION == F32) {
#pragma unroll 1  // else registers fill with what later iterations read
            for (int k = 0; k < STEP; k += 2) {
                float2 y[COL_SLOTS];
#pragma unroll
                for (int c = 0; c < COL_SLOTS; ++c) y[c] = *(const float2*)(b + col(c) * PITCH + k);
#pragma unroll
                for (int r = 0; r < ROW_SLOTS; ++r) {
                    float2 x = *(const float2*)(a + row(r) * PITCH + k);
#pragma unroll
                    for (int c = 0; c < COL_SLOTS; ++c) {
                        float& sum = at(r, c);
                        sum = fmaf(x.x, y[c].x, sum);
                        sum = fmaf(x.y, y[c].y, sum);
                    }
                }
            }
        } else {
            // Eight words along k are one instruction's worth: 8 TF32 numbers or 16 bf16 ones.
            int g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
            const float* mine_a = a + (first_row() + g) * PITCH + t;
            const float* mine_b = b + (first_col() + g) * PITCH + t;
#pragma unroll 1
            for (int word = 0; word < (PRECISION == BF16 ? 8 : STEP); word += 8) {
                u32 y[COL_SLOTS / 2][2];
#pragma unroll
                for (int j = 0; j < COL_SLOTS / 2; ++j) {
                    const float* from = mine_b + j * 8 * PITCH + word;
                    y[j][0] = __float_as_uint(from[0]);
                    y[j][1] = __float_as_uint(from[4]);
                }
#pragma unroll
                for (int i = 0; i < ROW_SLOTS / 2; ++i) {
                    const float* from = mine_a + i * 16 * PITCH + word;
                    u32 x[4] = {__float_as_uint(from[0]), __float_as_uint(from[8 * PITCH]), __float_as_uint(from[4]),
                                __float_as_uint(from[8 * PITCH + 4])};
#pragma unroll
                    for (int j = 0; j < COL_SLOTS / 2; ++j) {
                        if constexpr (PRECISION == BF16) {
                            mma_bf16(d[i][j], x, y[j]);
                        } else {
                            mma_tf32(d[i][j], x, y[j]);
                        }
                    }
                }
            }
        }
    }
};

// Adds steps 0.. of a product to `sums`, calling after(step) when each is in. `shared` is free again afterwards.
template <class S, class A, class B, class After>
__device__ __forceinline__ void product(S& sums, A& a, B& b, int steps, float4* shared, After after) {
    constexpr int OPERAND = S::ROWS * PITCH, STAGE = (S::ROWS + S::COLS) * PITCH;
    float* stages = (float*)shared;
    a.fetch(0);
    b.fetch(0);
    a.store(stages);
    b.store(stages + OPERAND);
    __syncthreads();
    for (int step = 0; step < steps; ++step) {
        float* now = stages + step % 2 * STAGE;
        float* next = stages + (step + 1) % 2 * STAGE;
        bool more = step + 1 < steps;
        if (more) {
            b.fetch(step + 1);
            a.fetch(step + 1);
        }
        sums.multiply(now, now + OPERAND);
        after(step);
        if (more) {
            a.store(next);
            b.store(next + OPERAND);
        }
        __syncthreads();
    }
}
