// The product of one block for operands that are stored (stored.cuh): copied to shared memory as they lie.
//
//     global --begin_copy--> STAGES stages in shared memory --load_matrices--> fragments --mma--> sums in registers
//
// In F32 threads read four k of their rows and columns and multiply and add these.
//
// A stage holds a span of k: an operand with k along its rows as rows of SPAN_WORDS words, one with k across them as SPAN rows of
// all columns. While a span is multiplied, the copies of the next ones are under way, and while half of it is multiplied, the
// fragments of the next half are read. Rows lie in chunks of 16 bytes, each row in another order, so that what a warp reads at
// once meets in no bank.
#pragma once
#include "product.cuh"
#include "stored.cuh"

constexpr int STAGES = 4;
constexpr int SPAN = PRECISION == BF16 ? 32 : 16;
constexpr int SPAN_WORDS = 16;
constexpr int HALF_WORDS = 8;  // one instruction's worth of k
constexpr int CHUNK = 4;       // words

static_assert(WHOLE % SPAN == 0, "no stored row ends within a span");

__device__ __forceinline__ int spans_of(int length) { return (length + SPAN - 1) / SPAN; }

__device__ __forceinline__ const u32* after_bytes(const u32* from, int bytes) { return (const u32*)((const char*)from + bytes); }

// Operands with k along their rows.
//
// The word at which a chunk of a row lies.
__device__ __forceinline__ int place_along(int row, int chunk) { return row * SPAN_WORDS + (chunk ^ row / 2 % 4) * CHUNK; }

// Which chunk a thread copies, of its first row and of every ALONG_ROWSth on.
constexpr int ALONG_ROWS = BLOCK / 4;
__device__ __forceinline__ int along_row() { return threadIdx.x / 4; }
__device__ __forceinline__ int along_chunk() { return threadIdx.x % 4; }

// Copies span after span of the rows of a matrix. REUSED: other blocks on this multiprocessor, or this one later, read them again.
template <int ROWS, bool REUSED = false> struct CopyAlong {
    const u32* matrix;  // from the block's first row on
    u32 at;             // this thread's first chunk there
    int left;           // rows from its first on
    u32 jump;           // words from one of its rows to the next

    __device__ __forceinline__ CopyAlong(const u32* matrix, int rows, int words)
        : matrix(matrix), at(along_row() * words + along_chunk() * CHUNK), left(rows - along_row()), jump(ALONG_ROWS * words) {}

    __device__ __forceinline__ void copy(u32* stage, bool more) {
        u32* to = stage + place_along(along_row(), along_chunk());
        int rows = more ? left : 0;
#pragma unroll
        for (int q = 0; q < ROWS; q += ALONG_ROWS)
            begin_copy(to + q * SPAN_WORDS, matrix + (at + q / ALONG_ROWS * jump), q < rows, REUSED);
        at += SPAN_WORDS;
    }
};

// F32: four k of rows that are 8 apart.
template <int ROWS> __device__ __forceinline__ void load_fours(float (&v)[ROWS][CHUNK], const u32* row) {
#pragma unroll
    for (int r = 0; r < ROWS; ++r) {
        float4 four = *(const float4*)(row + r * 8 * SPAN_WORDS);
        v[r][0] = four.x, v[r][1] = four.y, v[r][2] = four.z, v[r][3] = four.w;
    }
}

// Fragments of the left operand, 16 rows i each.
struct LeftAlong {
    int at;  // bytes

    __device__ __forceinline__ explicit LeftAlong(int first_row) {
        int lane = threadIdx.x % 32;
        at = (PRECISION == F32 ? place_along(first_row + lane_row(), 0) : place_along(first_row + lane % 16, lane / 16)) * 4;
    }
    __device__ __forceinline__ void load(float (&x)[2][CHUNK], const u32* stage, int chunk, int i) const {
        load_fours(x, after_bytes(stage, at ^ chunk * CHUNK * 4) + i * 16 * SPAN_WORDS);
    }
    __device__ __forceinline__ void load(u32 (&a)[4], const u32* stage, int half, int i) const {
        load_matrices(a, after_bytes(stage, at ^ half * HALF_WORDS * 4) + i * 16 * SPAN_WORDS);
    }
};

// Fragments of the right operand, 8 columns j and the 8 after them.
struct RightAlong {
    int at;

    // `below`: words of the stage before the operand.
    __device__ __forceinline__ RightAlong(int first_col, int below) {
        int lane = threadIdx.x % 32;
        at = PRECISION == F32 ? place_along(first_col + 2 * lane_col(), 0)
                              : place_along(first_col + lane % 8 + lane / 16 * 8, lane / 8 % 2);
        at = (below + at) * 4;
    }
    template <int COLS> __device__ __forceinline__ void load(float (&y)[COLS][CHUNK], const u32* stage, int chunk) const {
        const u32* from = after_bytes(stage, at ^ chunk * CHUNK * 4);
#pragma unroll
        for (int c = 0; c < COLS; ++c) {
            float4 four = *(const float4*)(from + (c / 2 * 8 + c % 2) * SPAN_WORDS);
            y[c][0] = four.x, y[c][1] = four.y, y[c][2] = four.z, y[c][3] = four.w;
        }
    }
    __device__ __forceinline__ void load(u32 (&first)[2], u32 (&second)[2], const u32* stage, int half, int j) const {
        u32 both[4];
        load_matrices(both, after_bytes(stage, at ^ half * HALF_WORDS * 4) + j * 8 * SPAN_WORDS);
        first[0] = both[0], first[1] = both[1], second[0] = both[2], second[1] = both[3];
    }
};

// The right operand with k across its rows.
template <int COLS> struct Across {
    static constexpr int WORDS = PRECISION == BF16 ? COLS / 2 : COLS;
    static constexpr int CHUNKS = WORDS / CHUNK, ROWS = BLOCK / CHUNKS;  // copied at once

    // BF16 reads eight rows at once, turned. TF32, for which nothing turns, reads rows t and t + 4.
    static __device__ __forceinline__ int place(int k, int chunk) {
        return k * WORDS + (chunk ^ (PRECISION == BF16 ? k % 8 : k % 4 * 2)) * CHUNK;
    }
    // Which k and which word of the columns from `first` on a thread copies first.
    static __device__ __forceinline__ int own_k() { return threadIdx.x / CHUNKS; }
    static __device__ __forceinline__ int own_word(int first) {
        return first / (COLS / WORDS) + threadIdx.x % CHUNKS * CHUNK;
    }
    // `from`: that word; `left`: rows from there on; `jump`: words from a row to the next.
    static __device__ __forceinline__ void copy(u32* stage, const u32* from, int left, size_t jump) {
        u32* to = stage + place(own_k(), threadIdx.x % CHUNKS);
#pragma unroll
        for (int k = 0; k < SPAN; k += ROWS) begin_copy(to + k * WORDS, from + k * jump, k < left);
    }
};

template <int COLS> struct RightAcross {
    typedef Across<COLS> Lies;
    int at;

    __device__ __forceinline__ RightAcross(int first_col, int below) {
        int lane = threadIdx.x % 32;
        at = PRECISION == BF16   ? Lies::place(lane % 16, first_col / 8 + lane / 16)
             : PRECISION == TF32 ? Lies::place(lane % 4, first_col / 4 + lane / 16) + lane / 4 % 4
                                 : first_col + 2 * lane_col();
        at = (below + at) * 4;
    }
    template <int SLOTS> __device__ __forceinline__ void load(float (&y)[SLOTS][CHUNK], const u32* stage, int chunk) const {
        const u32* from = after_bytes(stage, at) + chunk * CHUNK * Lies::WORDS;
#pragma unroll
        for (int c = 0; c < SLOTS; c += 2)
#pragma unroll
            for (int k = 0; k < CHUNK; ++k) {
                float2 both = *(const float2*)(from + k * Lies::WORDS + (c / 8 * 4 + (c / 2 % 4 ^ k)) * 8);
                y[c][k] = both.x, y[c + 1][k] = both.y;
            }
    }
    __device__ __forceinline__ void load(u32 (&first)[2], u32 (&second)[2], const u32* stage, int half, int j) const {
        const u32* from = stage + half * (SPAN / 2) * Lies::WORDS;
        if constexpr (PRECISION == BF16) {
            u32 both[4];
            load_matrices_turned(both, after_bytes(from, at ^ j * CHUNK * 4));
            first[0] = both[0], first[1] = both[1], second[0] = both[2], second[1] = both[3];
        } else {
            // The order of chunks repeats after eight of them.
            const u32* one = after_bytes(from, at ^ j % 4 * 2 * CHUNK * 4) + j / 4 * 8 * CHUNK;
            const u32* other = after_bytes(from, at ^ (j % 4 + 1) * 2 * CHUNK * 4) + j / 4 * 8 * CHUNK;
            first[0] = one[0], first[1] = one[4 * Lies::WORDS], second[0] = other[0], second[1] = other[4 * Lies::WORDS];
        }
    }
};

// Fragments of half a span. Of the left operand every part is used once, and makes room for that of the next half.
template <int R, int N> struct Fragments {
    u32 left[R][4], right[2][N][2];

    __device__ __forceinline__ void clear() {
#pragma unroll
        for (int i = 0; i < R * 4; ++i) left[i / 4][i % 4] = 0;
#pragma unroll
        for (int j = 0; j < N * 2; ++j) right[1][j / 2][j % 2] = 0;
    }
    // Adds the product of the half before and reads half `half` of a stage, by turns.
    template <class Left, class Right>
    __device__ __forceinline__ void multiply_and_load(float (&d)[R][N][4], const Left& of_left, const Right& of_right, const u32* stage,
                                                      int half) {
#pragma unroll
        for (int i = 0; i < R; ++i) {
#pragma unroll
            for (int j = 0; j < N; j += 2)
                if (j * R / N == i) of_right.load(right[half][j], right[half][j + 1], stage, half, j);
            multiply(d, 1 - half, i);
            of_left.load(left[i], stage, half, i);
        }
    }
    __device__ __forceinline__ void multiply(float (&d)[R][N][4], int half, int i) const {
#pragma unroll
        for (int j = 0; j < N; ++j) {
            if constexpr (PRECISION == BF16) {
                mma_bf16(d[i][j], left[i], right[half][j]);
            } else {
                mma_tf32(d[i][j], left[i], right[half][j]);
            }
        }
    }
};

// F32: adds the product of a stage.
template <class S, class Left, class Right>
__device__ __forceinline__ void multiply_stage(S& sums, const Left& left, const Right& right, const u32* stage) {
#pragma unroll(S::COL_SLOTS > 8 ? 1 : 4)  // as registers allow
    for (int chunk = 0; chunk < SPAN_WORDS / CHUNK; ++chunk) {
        float y[S::COL_SLOTS][CHUNK];
        right.load(y, stage, chunk);
#pragma unroll
        for (int i = 0; i < S::ROW_SLOTS / 2; ++i) {
            float x[2][CHUNK];
            left.load(x, stage, chunk, i);
#pragma unroll
            for (int k = 0; k < CHUNK; ++k)
#pragma unroll
                for (int e = 0; e < 2; ++e)
#pragma unroll
                    for (int c = 0; c < S::COL_SLOTS; ++c) {
                        float& sum = sums.at(2 * i + e, c);
                        sum = fmaf(x[e][k], y[c][k], sum);
                    }
        }
    }
}

// Adds a product of `spans` spans to `sums`, calling after() before the first and when each is in; between two calls is a barrier.
// copy(stage, more, half) begins to copy half of the next span, or zeros if there is no `more`; `left` and `right` read fragments.
//
// The second half of a span is multiplied behind the barrier that shows the next one, so that nobody waits with nothing to do. F32,
// which has other warps for that, multiplies a span in one piece.
template <int STAGE_WORDS, class S, class Copy, class Left, class Right, class After>
__device__ __forceinline__ void pipeline(S& sums, u32* shared, int spans, Copy copy, const Left& left, const Right& right,
                                         After after) {
    constexpr int R = S::ROW_SLOTS / 2, LAST = (STAGES - 1) * STAGE_WORDS;
    Fragments<R, S::COL_SLOTS / 2> fragments;
    fragments.clear();
#pragma unroll
    for (int stage = 0; stage < STAGES - 1; ++stage) {
        copy(shared + stage * STAGE_WORDS, stage < spans, 0);
        copy(shared + stage * STAGE_WORDS, stage < spans, 1);
        close_copies();
    }
    int now = 0;
#pragma unroll 1
    for (; spans > 0; --spans) {
        const u32* stage = shared + now;
        u32* free = shared + (now == 0 ? LAST : now - STAGE_WORDS);
        wait_for_copies<STAGES - 2>();
        __syncthreads();
        copy(free, spans >= STAGES, 0);
        if constexpr (PRECISION == F32) {
            copy(free, spans >= STAGES, 1);
            close_copies();
            after();
            multiply_stage(sums, left, right, stage);
        } else {
            fragments.multiply_and_load(sums.d, left, right, stage, 0);
            after();
            __syncwarp();  // keeps the reads of one half from crowding into the other
            copy(free, spans >= STAGES, 1);
            close_copies();
            fragments.multiply_and_load(sums.d, left, right, stage, 1);
        }
        now = now == LAST ? 0 : now + STAGE_WORDS;
    }
    if constexpr (PRECISION != F32) {
#pragma unroll
        for (int i = 0; i < R; ++i) fragments.multiply(sums.d, 1, i);
    }
    wait_for_copies<0>();
    __syncthreads();
    after();
}
