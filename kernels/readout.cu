// Factorised readout: h[b, n] = bias[n] + sum_c v[n, c] sum_p |mask[n, p]| x[b, c, p], v = features or |features|.
//
// Each pass is one matrix product (product.cuh) whose (B, C, N)-sized part never leaves the registers:
//
// forward   over p: rows (b, c), columns n; the tile is contracted with v over c before it is given up.
// input     over n: rows (b, c), columns p; the factor dh[b, n] v[n, c] is formed on the way to shared memory.
// weights   over b: rows n, columns p, for one c after the other: G[n, c, p] = sum_b dh[b, n] x[b, c, p] serves both
//           dmask[n, p] += sign(mask) sum_c v[n, c] G, a second tile of sums in registers, and
//           dfeatures[n, c] += sum_p |mask[n, p]| G, one part per tile of pixels, added up by readout_backward_features.
//
// PRECISION decides how x, |mask|, dh and dh v enter the products, and how x and dx lie in memory; everything else is float32.
// What every pass reads many times is rounded once and lies in global memory as pairs.cuh has it, "stored": |mask|, and x, which
// in BF16 lies so already where its rows are whole steps.
#include "striate.cuh"
#include "pairs.cuh"
#include "readout.cuh"

#define THREADS 256
#define WHOLE_STEP 16  // numbers up to whole multiples of which a stored row is filled up
#define TILE 128    // rows and columns of a block's product
#define BAND 16     // rows of tiles that blocks running together work on
#define TURN 32
#define NEURONS 64  // rows of readout_backward_weights, which keeps two tiles

static_assert(WHOLE_STEP == STEP, "what pairs.cuh takes");

// Which of gridDim.x columns (x) and gridDim.y rows (y) of tiles a block takes: BAND rows at a time, column after column. Blocks
// that run together then need few rows and few columns, and share them in the cache.
struct Tiles {
    int x, y;

    __device__ __forceinline__ Tiles() {
        u32 block = blockIdx.y * gridDim.x + blockIdx.x, band = block / (BAND * gridDim.x);
        u32 in_band = block - band * BAND * gridDim.x, rows = min(BAND, (int)(gridDim.y - band * BAND));
        x = in_band / rows;
        y = band * BAND + in_band % rows;
    }
};

// Thread: four neighbours of a row.
template <class Held, class Number, class Filled, class F>
__device__ __forceinline__ void fill_rows(const Number* from, Filled* to, int rows, int length, F f) {
    int i = blockIdx.x * THREADS + threadIdx.x, per_row = steps_of(length) * (STEP / 4), row = i / per_row;
    if (row >= rows) return;
    Held v;
    fetch_quad(from + (size_t)row * length, i % per_row * 4, length, in_fours(from, length), v);
    store_four(to + (size_t)i * 4, make_float4(f(v.at(0)), f(v.at(1)), f(v.at(2)), f(v.at(3))));
}

// |mask|, stored.
extern "C" __global__ void __launch_bounds__(THREADS)
readout_store_mask(const float* from /* (rows, length) */, Map* to /* (rows, length filled up) */, int rows, int length) {
    fill_rows<Four<float>>(from, to, rows, length, [](float v) { return rounded(fabsf(v)); });
}

// x, stored.
extern "C" __global__ void __launch_bounds__(THREADS)
readout_store_maps(const Map* from /* (rows, length) */, Map* to /* (rows, length filled up) */, int rows, int length) {
    fill_rows<Quad>(from, to, rows, length, [](float v) { return rounded(v); });
}

// A matrix of float32, its rows filled up.
extern "C" __global__ void __launch_bounds__(THREADS)
readout_fill(const float* from /* (rows, length) */, float* to /* (rows, length filled up) */, int rows, int length) {
    fill_rows<Four<float>>(from, to, rows, length, [](float v) { return v; });
}

// A matrix turned, its new rows filled up; `positive`: by absolute value, `is_operand`: rounded. Block: TURN rows and columns.
extern "C" __global__ void __launch_bounds__(THREADS)
readout_turn(const float* from /* (rows, columns) */, float* to /* (columns, rows filled up) */, int rows, int columns, int positive,
             int is_operand) {
    __shared__ float tile[TURN][TURN + 1];
    int first_column = blockIdx.x * TURN, first_row = blockIdx.y * TURN, length = steps_of(rows) * STEP, lane = threadIdx.x % TURN;
    for (int i = threadIdx.x / TURN; i < TURN; i += THREADS / TURN) {
        int row = first_row + i, column = first_column + lane;
        tile[i][lane] = row < rows && column < columns ? from[(size_t)row * columns + column] : 0.0f;
    }
    __syncthreads();
    for (int i = threadIdx.x / TURN; i < TURN; i += THREADS / TURN) {
        int row = first_row + lane, column = first_column + i;
        float v = counted(tile[lane][i], positive);
        if (column < columns && row < length) to[(size_t)column * length + row] = is_operand ? rounded(v) : v;
    }
}

// Block: TILE neurons of `images` images, as many as there are whole ones in TILE rows (b, c), at least one.
extern "C" __global__ void __launch_bounds__(THREADS, 2)
readout_forward(const Map* x /* (B, C, P), stored */, const Map* mask /* (N, P), stored */,
                const float* features /* (N, C) */, const float* bias /* (N) */, float* h /* (B, N) */, int batch, int channels,
                int pixels, int neurons, int images, int positive) {
    __shared__ float4 shared[product_shared(TILE, TILE)];
    __shared__ float parts[2 * TILE];
    Tiles tile;
    int first_neuron = tile.x * TILE, first_image = tile.y * images;
    int here = min(images, batch - first_image), rows = here * channels, words = stored_words(pixels);
    const Stored* maps = (const Stored*)x + (size_t)first_image * channels * words;
    const Stored* own_masks = (const Stored*)mask + (size_t)first_neuron * words;
    auto masks = stored_along_k<TILE, true>(own_masks, neurons - first_neuron, pixels);
    for (int first_row = 0; first_row < rows; first_row += TILE) {
        auto a = stored_along_k<TILE, false>(maps + (size_t)first_row * words, rows - first_row, pixels);
        Sums<TILE, TILE> sums;
        sums.clear();
        product(sums, a, masks, steps_of(pixels), shared, [](int) {});
        for (int image = 0; image < here; ++image) {
            sums.over_rows(parts, [&](int row, int col, float sum) {
                int c = first_row + row - image * channels, n = first_neuron + col;
                if (c < 0 || c >= channels || n >= neurons) return 0.0f;
                return counted(features[n * channels + c], positive) * sum;
            });
            __syncthreads();
            int n = first_neuron + threadIdx.x;
            if (threadIdx.x < TILE && n < neurons) {
                float* to = h + (size_t)(first_image + image) * neurons + n;
                float before = first_row == 0 ? bias[n] : *to;
                *to = before + (parts[threadIdx.x] + parts[TILE + threadIdx.x]);
            }
            __syncthreads();
        }
    }
}

// dh[b, n] v[n, c] for QUADS rows (b, c), along n; both lie in rows along n, in whole steps (readout_turn, readout_fill).
template <int QUADS> struct Spread {
    const float *features[QUADS], *dh[QUADS];

    struct Held {
        float4 v, d;

        __device__ __forceinline__ float at(int i) const {
            return i == 0 ? v.x * d.x : i == 1 ? v.y * d.y : i == 2 ? v.z * d.z : v.w * d.w;
        }
    };

    __device__ __forceinline__ void fetch(int step, int q, int, int k, Held& held) const {
        held.v = *(const float4*)(features[q] + step * STEP + k);
        held.d = *(const float4*)(dh[q] + step * STEP + k);
    }
    __device__ __forceinline__ float value(float v) const { return v; }
};

// Block: TILE rows (b, c) by TILE pixels.
extern "C" __global__ void __launch_bounds__(THREADS, 2)
readout_backward_input(const Map* mask /* (N, P), stored */, const float* features /* v (C, N), filled up */,
                       const float* dh /* (B, N), filled up */, Map* dx /* (B, C, P) */, int batch, int channels, int pixels, int neurons) {
    __shared__ float4 shared[product_shared(TILE, TILE)];
    int first_pixel = blockIdx.x * TILE, first_row = blockIdx.y * TILE, rows = batch * channels;
    int word = own_word<TILE>(first_pixel), words = stored_words(pixels), length = steps_of(neurons) * STEP;
    AlongK<TILE, Spread<2>> spread;
#pragma unroll
    for (int q = 0; q < 2; ++q) {
        // What a row that is none makes is not stored.
        int row = min(first_row + quad_row(q), rows - 1);
        spread.source.features[q] = features + (size_t)(row % channels) * length;
        spread.source.dh[q] = dh + (size_t)(row / channels) * length;
    }
    StoredAcrossK<TILE, Column<PRECISION == F32, Stored>> masks{{(const Stored*)mask, word, words, word < words ? neurons : 0}};
    Sums<TILE, TILE> sums;
    sums.clear();
    product(sums, spread, masks, steps_of(neurons), shared, [](int) {});
    bool whole = in_runs(dx, pixels);
    sums.for_each_run([&](int row, int i, const Run& run) {
        int pixel = first_pixel + sums.run_col(i);
        if (first_row + row >= rows || pixel >= pixels) return;
        Map* to = dx + ((size_t)(first_row + row) * pixels + pixel);
        if (whole) return run.store(to);
#pragma unroll
        for (int e = 0; e < RUN; ++e)
            if (e < pixels - pixel) to[e] = run.at(e);
    });
}

// dh, in the steps of readout.cuh.
struct Gradients {
    const float* dh;  // this thread's neuron, along the images, in whole steps
    int steps;        // per channel
    int now = 0;
    typedef Four<float> Held;

    __device__ __forceinline__ void fetch(int, int, int, int k, Four<float>& held) {
        float4 v = *(const float4*)(dh + now * STEP + k);
        held.v[0] = v.x, held.v[1] = v.y, held.v[2] = v.z, held.v[3] = v.w;
        if (++now == steps) now = 0;
    }
    __device__ __forceinline__ float value(float v) const { return v; }
};

// Block: NEURONS neurons by TILE pixels, all channels one after the other.
extern "C" __global__ void __launch_bounds__(THREADS, 2)
readout_backward_weights(const Map* x /* (B, C, P), stored */, const Map* stored_mask /* (N, P), stored */,
                         const float* mask /* (N, P) */, const float* features /* (N, C) */,
                         const float* dh /* (N, B), filled up */, float* dmask /* (N, P) */, float* parts /* (tiles of P, N, C) */, int batch, int channels,
                         int pixels, int neurons, int positive) {
    typedef Sums<NEURONS, TILE> Tile;
    __shared__ float4 shared[product_shared(NEURONS, TILE)];
    __shared__ float quarters[4 * NEURONS];
    int first_neuron = blockIdx.x * NEURONS, first_pixel = blockIdx.y * TILE, steps = steps_of(batch);
    int neuron = min(first_neuron + quad_row(0), neurons - 1), word = own_word<TILE>(first_pixel), words = stored_words(pixels);
    AlongK<NEURONS, Gradients, PRECISION == TF32> gradients{{dh + (size_t)neuron * steps * STEP, steps}};
    StoredAcrossK<TILE, Images<Stored>> maps{{(const Stored*)x + word, word < words ? batch : 0, steps, channels * words, words}};
    Tile g, total;
    g.clear();
    total.clear();
    auto mask_at = [&](int r, int c) {
        int n = first_neuron + Tile::row(r), p = first_pixel + Tile::col(c);
        return n < neurons && p < pixels ? mask[(size_t)n * pixels + p] : 0.0f;
    };
#if PRECISION == BF16
    int first_pair = (first_pixel + Tile::col(0)) / 2, pairs_left = words - first_pair;
    int neurons_left = neurons - first_neuron - Tile::row(0);
    const u32* pairs = (const u32*)stored_mask + (size_t)(first_neuron + Tile::row(0)) * words + first_pair;
    auto magnitudes = [&](int r, int c) {
        bool inside = r * 8 < neurons_left && c / 2 * 4 < pairs_left;
        u32 both = inside ? pairs[r * 8 * words + c / 2 * 4] : 0;
        return make_float2(low_half(both), high_half(both));
    };
#else
    auto magnitudes = [&](int r, int c) { return make_float2(fabsf(mask_at(r, c)), fabsf(mask_at(r, c + 1))); };
#endif
    int channel = 0, left = steps;
    product(g, gradients, maps, channels * steps, shared, [&](int) {
        if (--left > 0) return;
        auto feature = [&](int r) {
            int n = first_neuron + Tile::row(r);
            return n < neurons ? counted(features[(size_t)n * channels + channel], positive) : 0.0f;
        };
        use_channel(g, total, quarters, magnitudes, feature, [&](int row, float sum) {
            int n = first_neuron + row;
            if (n < neurons) parts[((size_t)blockIdx.y * neurons + n) * channels + channel] = sum;
        });
        ++channel;
        left = steps;
    });
#pragma unroll
    for (int r = 0; r < Tile::ROW_SLOTS; ++r)
#pragma unroll
        for (int c = 0; c < Tile::COL_SLOTS; ++c) {
            int n = first_neuron + Tile::row(r), p = first_pixel + Tile::col(c);
            if (n < neurons && p < pixels) dmask[(size_t)n * pixels + p] += sign_of(mask_at(r, c)) * total.at(r, c);
        }
}

// Thread: one feature weight.
extern "C" __global__ void __launch_bounds__(THREADS)
readout_backward_features(const float* parts /* (tiles, N, C) */, const float* features /* (N, C) */,
                          float* dfeatures /* (N, C) */, int tiles, int weights, int positive) {
    int i = blockIdx.x * THREADS + threadIdx.x;
    if (i >= weights) return;
    float sum = 0.0f;
    for (int tile = 0; tile < tiles; ++tile) sum += parts[(size_t)tile * weights + i];
    dfeatures[i] += positive ? sign_of(features[i]) * sum : sum;
}

// Thread: one neuron.
extern "C" __global__ void __launch_bounds__(THREADS)
readout_backward_bias(const float* dh /* (B, N) */, float* dbias /* (N) */, int batch, int neurons) {
    int n = blockIdx.x * THREADS + threadIdx.x;
    if (n >= neurons) return;
    float sum = 0.0f;
    for (int b = 0; b < batch; ++b) sum += dh[(size_t)b * neurons + n];
    dbias[n] += sum;
}
