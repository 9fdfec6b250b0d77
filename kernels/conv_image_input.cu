// The way of a convolution back to images, of one channel or a few. As a convolution with input and output exchanged (conv.cu) it would
// have a row for every channel of the images, and most of a tile's rows would be empty. Here rows are taps:
//
//     terms[(u, v), j] = sum_o w[o, c, u, v] dy[o, y, j]                  a product, for a row y of dy
//     dx[c, y + u - p, j + v - p] += terms[(u, v), j]                     sums over v, row after row
//
// A block owns some rows of one channel of dx, adds to them in shared memory what row after row of dy gives, and stores them once.
// It sees COLS columns of dy: all of them, or those of a strip of dx.
#include "image.cuh"

#define THREADS 256
#define COLS 64      // of dy
#define ROWS 176     // taps at a time: whole rows of filters, the last tile of 16 filled up
#define UNITS 32     // channels of dy at a time, BF16 pairs of channels
#define MOST_OWN 3420  // numbers of dx that a block owns
#define SHARED_WORDS 18404

constexpr int PITCH = COLS + 8;  // what lanes of a fragment read lies in different banks
constexpr int TILES = ROWS / 16, WARP_ROWS = 4, OWN_TILES = (TILES + WARP_ROWS - 1) / WARP_ROWS, OWN_COLS = 4;  // tiles of 16, and of 8
constexpr int HELD = UNITS * COLS / THREADS;

static_assert(THREADS / 32 * OWN_COLS * 8 == WARP_ROWS * COLS, "warps cover the columns");
static_assert((UNITS + ROWS) * PITCH + MOST_OWN + 8 <= SHARED_WORDS, "dy, terms, dx, a Part");

__device__ __forceinline__ int steps_of(int channels) { return (channels + WIDE * DEPTH - 1) / (WIDE * DEPTH); }
// Of filters of width k, so that filter rows are whole.
__device__ __forceinline__ int taps_at_once(int kernel) { return ROWS / kernel * kernel; }

// What a thread holds of a row of dy before it is in shared memory: of every fourth unit one column.
struct Row {
    const Map* dy;
    int channels, area, column;
    bool inside;
    u32 held[HELD];

    __device__ __forceinline__ void fetch(int place, int first_unit) {
        int first = (first_unit + threadIdx.x / COLS) * WIDE, left = inside ? channels - first : 0;
        const Map* from = dy + (first * area + place + column);
#pragma unroll
        for (int i = 0; i < HELD; ++i) {
            bool there = i * (THREADS / COLS) * WIDE < left;
#if PRECISION == BF16
            bool other = i * (THREADS / COLS) * WIDE + 1 < left;
            held[i] = (there ? from->bits : 0) | (other ? from[area].bits : 0) << 16;
#else
            held[i] = there ? operand(*from) : 0;
#endif
            from += THREADS / COLS * WIDE * area;
        }
    }
    __device__ __forceinline__ void put(u32* units) const {
#pragma unroll
        for (int i = 0; i < HELD; ++i)
            units[(threadIdx.x / COLS + i * (THREADS / COLS)) * PITCH + threadIdx.x % COLS] = held[i];
    }
};

// What a block owns of dx. It lies in shared memory, for it is seldom needed.
struct Part {
    int first_row, first_col, rows, cols, shift;  // shift: from a column of dx to that of dy for v = 0, from the first seen on
};

// Adds the product of `steps` steps. A warp has every fourth tile of rows from its own on, and OWN_COLS tiles of columns.
__device__ __forceinline__ void multiply_row(float (&sums)[OWN_TILES][1][OWN_COLS][4], const float* taps, const u32* units, int steps,
                                             int tiles) {
    int thread = opaque(threadIdx.x), lane = thread % 32, g = lane / 4, t = lane % 4, first = thread / 32 % WARP_ROWS;
    const u32* own_units = units + thread / 32 / WARP_ROWS * OWN_COLS * 8;
#if PRECISION == F32
    for (int k = 0; k < steps * DEPTH; ++k) {
        float2 right[OWN_COLS];
#pragma unroll
        for (int j = 0; j < OWN_COLS; ++j) right[j] = *(const float2*)(own_units + k * PITCH + j * 8 + 2 * t);
#pragma unroll
        for (int i = 0; i < OWN_TILES; ++i) {
            int tile = first + i * WARP_ROWS;
            if (tile >= tiles) continue;
            const float* left = taps + k * ROWS + tile * 16 + g;
#pragma unroll
            for (int e = 0; e < 2; ++e) {
                float v = __ldg(left + e * 8);
#pragma unroll
                for (int j = 0; j < OWN_COLS; ++j) {
                    sums[i][0][j][2 * e] = fmaf(v, right[j].x, sums[i][0][j][2 * e]);
                    sums[i][0][j][2 * e + 1] = fmaf(v, right[j].y, sums[i][0][j][2 * e + 1]);
                }
            }
        }
    }
#else
    const uint4* left = (const uint4*)taps + lane;
#pragma unroll 1  // as registers allow
    for (int step = 0; step < steps; ++step) {
        u32 right[OWN_COLS][2];
#pragma unroll
        for (int j = 0; j < OWN_COLS; ++j)
#pragma unroll
            for (int e = 0; e < 2; ++e) right[j][e] = own_units[(step * DEPTH + t + 4 * e) * PITCH + j * 8 + g];
#pragma unroll
        for (int i = 0; i < OWN_TILES; ++i) {
            int tile = first + i * WARP_ROWS;
            if (tile >= tiles) continue;
            uint4 v = __ldg(left + (step * TILES + tile) * 32);
            u32 own[1][4] = {{v.x, v.y, v.z, v.w}};
            multiply(sums[i], own, right);
        }
    }
#endif
}

// The filters as left operands, zeros where there is no tap or channel: (c, taps at once, step), then in F32 (unit, row), else by lane what
// it has of tile after tile. Thread: one word.
extern "C" __global__ void __launch_bounds__(THREADS)
conv_image_taps(const float* w /* (C_out, C_in, k, k) */, float* taps /* (words) */, int in_channels, int out_channels, int kernel,
                int words) {
    int i = blockIdx.x * THREADS + threadIdx.x;
    if (i >= words) return;
    int steps = steps_of(out_channels), at_once = taps_at_once(kernel), area = kernel * kernel, chunks = (area + at_once - 1) / at_once;
    int word = i % (DEPTH * ROWS), step = i / (DEPTH * ROWS) % steps, chunk = i / (DEPTH * ROWS * steps) % chunks;
    int c = i / (DEPTH * ROWS * steps * chunks), row, unit;
    if (PRECISION == F32) {
        unit = word / ROWS, row = word % ROWS;
    } else {
        int lane = word / 4 % 32, e = word % 4;
        row = word / 128 * 16 + lane / 4 + e % 2 * 8, unit = lane % 4 + e / 2 * 4;
    }
    int tap = chunk * at_once + row, o = (step * DEPTH + unit) * WIDE;
    auto weight = [&](int o) {
        return row < at_once && tap < area && o < out_channels ? w[((size_t)o * in_channels + c) * area + tap] : 0.0f;
    };
    taps[i] = __uint_as_float(PRECISION == BF16 ? pack_bf16(weight(o), weight(o + 1)) : operand(weight(o)));
}

// Block: `rows` rows by `strip` columns of a channel of dx.
extern "C" __global__ void __launch_bounds__(THREADS, 2)
conv_image_backward_input(const Map* dy /* (B, C_out, H', W') */, const float* taps /* (words) */, Map* dx /* (B, C_in, H, W) */,
                          int out_channels, int height, int width, int kernel, int padding, int rows, int strip) {
    DYNAMIC_SHARED(shared, SHARED_WORDS);
    u32* units = shared;
    float* terms = (float*)(shared + UNITS * PITCH);
    float* own = terms + ROWS * PITCH;
    int out_height = height + 2 * padding + 1 - kernel, out_width = width + 2 * padding + 1 - kernel, area = kernel * kernel;
    int groups = (height + rows - 1) / rows, c = blockIdx.y, in_channels = gridDim.y;
    int first_row = blockIdx.x % groups * rows, first_col = blockIdx.x / groups * strip, own_rows = min(rows, height - first_row);
    Part& part = *(Part*)(own + MOST_OWN);
    int seen = out_width <= COLS ? 0 : first_col + padding - (kernel - 1);  // the first column of dy
    int begin = max(0, first_row + padding - (kernel - 1)), end = min(out_height, first_row + own_rows + padding);
    int at_once = taps_at_once(kernel), steps = steps_of(out_channels), words = DEPTH * ROWS * steps;
    int chunks = (area + at_once - 1) / at_once;
    taps += (size_t)c * chunks * words;
    if (threadIdx.x == 0) part = {first_row, first_col, own_rows, min(strip, width - first_col), padding - seen};
    for (int i = threadIdx.x; i < MOST_OWN; i += THREADS) own[i] = 0.0f;

    int column = seen + threadIdx.x % COLS;
    Row row{dy + (size_t)blockIdx.z * out_channels * out_height * out_width, out_channels, out_height * out_width, column,
            (u32)column < (u32)out_width};
    if (begin < end) row.fetch(begin * out_width, 0);
    for (int y = begin; y < end; ++y)
        for (int chunk = 0; chunk < chunks; ++chunk) {
            int first_tap = chunk * at_once, count = min(at_once, area - first_tap), tiles = (count + 15) / 16;
            float sums[OWN_TILES][1][OWN_COLS][4];
#pragma unroll
            for (int i = 0; i < OWN_TILES * OWN_COLS * 4; ++i) sums[i / (OWN_COLS * 4)][0][i / 4 % OWN_COLS][i % 4] = 0.0f;
            for (int step = 0; step < steps; step += UNITS / DEPTH) {
                row.put(units);
                __syncthreads();
                int next = step + UNITS / DEPTH;  // what comes after these, with the taps after these, in the row after this
                if (next < steps) {
                    row.fetch(y * out_width, next * DEPTH);
                } else if (chunk + 1 < chunks || y + 1 < end) {
                    row.fetch((chunk + 1 < chunks ? y : y + 1) * out_width, 0);
                }
                multiply_row(sums, taps + (size_t)chunk * words + step * DEPTH * ROWS, units, min(steps - step, UNITS / DEPTH), tiles);
                __syncthreads();
            }
            int thread = opaque(threadIdx.x), warp = thread / 32, g = thread % 32 / 4, t = thread % 4;
            float* own_terms = terms + (warp % WARP_ROWS * 16 + g) * PITCH + warp / WARP_ROWS * OWN_COLS * 8 + t * 2;
#pragma unroll
            for (int i = 0; i < OWN_TILES; ++i)
#pragma unroll
                for (int j = 0; j < OWN_COLS; ++j)
#pragma unroll
                    for (int e = 0; e < 2; ++e)
                        if (warp % WARP_ROWS + i * WARP_ROWS < tiles)
                            *(float2*)(own_terms + (i * WARP_ROWS * 16 + e * 8) * PITCH + j * 8) =
                                make_float2(sums[i][0][j][2 * e], sums[i][0][j][2 * e + 1]);
            __syncthreads();
            Part at_hand = part;
            int to = y + first_tap / kernel - padding - at_hand.first_row;
            for (int i = threadIdx.x; i < count / kernel * at_hand.cols; i += THREADS) {
                int u = i / at_hand.cols, j = i - u * at_hand.cols, at = at_hand.first_col + j + at_hand.shift;
                if ((u32)(to + u) >= (u32)at_hand.rows) continue;
                const float* term = terms + u * kernel * PITCH + at;
                float sum = 0.0f;
                for (int v = 0; v < kernel; ++v)
                    if ((u32)(at - v) < COLS) sum += term[v * PITCH - v];
                own[(to + u) * at_hand.cols + j] += sum;
            }
        }
    __syncthreads();
    Map* image = dx + ((size_t)blockIdx.z * in_channels + c) * height * width;
    for (int i = threadIdx.x; i < part.rows * part.cols; i += THREADS) {
        int r = i / part.cols, j = i - r * part.cols;
        store(image + (part.first_row + r) * width + part.first_col + j, own[i]);
    }
}
