// Factorised readout: h[b, n] = bias[n] + sum_c v[n, c] sum_p |mask[n, p]| x[b, c, p], v = features or |features|.
//
// Each pass is one matrix product whose (B, C, N)-sized part never leaves the registers:
//
// forward   over p: rows (b, c), columns n; the tile is contracted with v over c before it is given up.
// input     over n: rows (b, c), columns p; the factor dh[b, n] v[n, c] is formed on the way to the product.
// weights   over b: rows n, columns p, for one c after the other: G[n, c, p] = sum_b dh[b, n] x[b, c, p] serves both
//           dmask[n, p] = sign(mask) (sum_c v[n, c] G + sparsity[n]), a second tile of sums in registers, and
//           dfeatures[n, c] += sum_p |mask[n, p]| G, one part per tile of pixels, added up by readout_backward_features.
//
// PRECISION decides how x, |mask|, dh and v enter the products, and how x and dx lie in memory; everything else is float32. The
// products are in readout_tensor.cu, for Hopper in readout_warpgroup_*.cu where these know the precision. Here is what comes before
// and after them: what they read many times is stored (stored.cuh), |mask| and v and dh always, x where it does not lie so already.
#include "stored.cuh"
#include "readout.cuh"

#define THREADS 256
#define WHOLE_ROW 32  // numbers up to whole multiples of which a stored row is filled up
#define TURN 32

static_assert(WHOLE_ROW == WHOLE, "what stored.cuh takes");

// Thread: four neighbours of a row.
template <class Held, class Number, class F>
__device__ __forceinline__ void fill_rows(const Number* from, Map* to, int rows, int length, F f) {
    int i = blockIdx.x * THREADS + threadIdx.x, per_row = filled_up(length) / 4, row = i / per_row;
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

// A matrix stored, as a factor of what a product rounds.
extern "C" __global__ void __launch_bounds__(THREADS)
readout_fill(const float* from /* (rows, length) */, Map* to /* (rows, length filled up) */, int rows, int length) {
    fill_rows<Four<float>>(from, to, rows, length, [](float v) { return v; });
}

// A matrix turned and stored; `positive`: by absolute value, `is_operand`: of a product, not a factor. Block: TURN rows and columns.
extern "C" __global__ void __launch_bounds__(THREADS)
readout_turn(const float* from /* (rows, columns) */, Map* to /* (columns, rows filled up) */, int rows, int columns, int positive,
             int is_operand) {
    __shared__ float tile[TURN][TURN + 1];
    int first_column = blockIdx.x * TURN, first_row = blockIdx.y * TURN, length = filled_up(rows), lane = threadIdx.x % TURN;
    for (int i = threadIdx.x / TURN; i < TURN; i += THREADS / TURN) {
        int row = first_row + i, column = first_column + lane;
        tile[i][lane] = row < rows && column < columns ? from[(size_t)row * columns + column] : 0.0f;
    }
    __syncthreads();
    for (int i = threadIdx.x / TURN; i < TURN; i += THREADS / TURN) {
        int row = first_row + lane, column = first_column + i;
        float v = counted(tile[lane][i], positive);
        if (column < columns && row < length) store(to + ((size_t)column * length + row), is_operand ? rounded(v) : v);
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
