// A dense layer: y[b, n] = sum_i w[n, i] x[b, i] + bias[n], as a matrix product over i.
//
// input     dx[b, i] = sum_n dy[b, n] w[n, i], over n.
// weights   dw[n, i] += sum_b dy[b, n] x[b, i], over b; dbias[n] += sum_b dy[b, n].
//
// PRECISION decides how x, w and dy enter the products, and how x and dx lie in memory; everything else is float32.
#include "product.cuh"

#define THREADS 256
#define TILE 64  // rows and columns of a block's product

// The rows of maps (rows, length), k along them.
struct MapRows {
    const Map* from;
    int rows, length;
    bool fours;
    typedef Quad Held;

    __device__ __forceinline__ void fetch(int step, int, int row, int k, Quad& v) const {
        fetch_quad(from + (size_t)row * length, step * STEP + k, row < rows ? length : 0, fours, v);
    }
    __device__ __forceinline__ float value(float v) const { return v; }
};

// This thread's column of maps (length, columns), k down it.
struct MapColumn {
    const Map* from;
    int column, columns, length;
    typedef Map Held;

    template <int COUNT> __device__ __forceinline__ void fetch(int step, int k, Map (&held)[COUNT]) const {
        int k0 = step * STEP + k;
#pragma unroll
        for (int i = 0; i < COUNT; ++i)
            held[i] = k0 + i < length ? from[(size_t)(k0 + i) * columns + column] : Map();
    }
    __device__ __forceinline__ float value(Map v) const { return number(v); }
};

// Block: TILE trials by TILE units.
extern "C" __global__ void __launch_bounds__(THREADS, 2)
    dense_forward(const Map* x /* (B, I) */, const float* w /* (N, I) */, float* y /* (B, N) */, int batch, int inputs,
                  int units) {
    __shared__ float4 shared[product_shared(TILE, TILE)];
    int first_row = blockIdx.y * TILE, first_col = blockIdx.x * TILE;
    const Map* own = x + (size_t)first_row * inputs;
    const float* weights = w + (size_t)first_col * inputs;
    AlongK<TILE, MapRows> rows{{own, batch - first_row, inputs, in_fours(own, inputs)}};
    AlongK<TILE, Rows<false>> cols{{weights, units - first_col, inputs, in_fours(weights, inputs)}};
    Sums<TILE, TILE> sums;
    sums.clear();
    product(sums, rows, cols, steps_of(inputs), shared, [](int) {});
    sums.for_each([&](int row, int col, float& sum) {
        int b = first_row + row, n = first_col + col;
        if (b < batch && n < units) y[(size_t)b * units + n] = sum;
    });
}

// Block: TILE trials by TILE inputs.
extern "C" __global__ void __launch_bounds__(THREADS, 2)
    dense_backward_input(const float* w /* (N, I) */, const float* dy /* (B, N) */, Map* dx /* (B, I) */, int batch,
                         int inputs, int units) {
    __shared__ float4 shared[product_shared(TILE, TILE)];
    int first_row = blockIdx.y * TILE, first_col = blockIdx.x * TILE;
    const float* own = dy + (size_t)first_row * units;
    AlongK<TILE, Rows<false>> rows{{own, batch - first_row, units, in_fours(own, units)}};
    int i = first_col + own_row<TILE>();
    AcrossK<TILE, Column<false>> cols{{w, i, inputs, i < inputs ? units : 0}};
    Sums<TILE, TILE> sums;
    sums.clear();
    product(sums, rows, cols, steps_of(units), shared, [](int) {});
    sums.for_each([&](int row, int col, float& sum) {
        int b = first_row + row, i = first_col + col;
        if (b < batch && i < inputs) store(dx + ((size_t)b * inputs + i), sum);
    });
}

// Block: TILE units by TILE inputs.
extern "C" __global__ void __launch_bounds__(THREADS, 2)
    dense_backward_weights(const Map* x /* (B, I) */, const float* dy /* (B, N) */, float* dw /* (N, I) */, int batch,
                           int inputs, int units) {
    __shared__ float4 shared[product_shared(TILE, TILE)];
    int first_row = blockIdx.y * TILE, first_col = blockIdx.x * TILE;
    int n = first_row + own_row<TILE>(), i = first_col + own_row<TILE>();
    AcrossK<TILE, Column<false>> rows{{dy, n, units, n < units ? batch : 0}};
    AcrossK<TILE, MapColumn> cols{{x, i, inputs, i < inputs ? batch : 0}};
    Sums<TILE, TILE> sums;
    sums.clear();
    product(sums, rows, cols, steps_of(batch), shared, [](int) {});
    sums.for_each([&](int row, int col, float& sum) {
        int n = first_row + row, i = first_col + col;
        if (n < units && i < inputs) dw[(size_t)n * inputs + i] += sum;
    });
}

// Thread: one number of y.
extern "C" __global__ void __launch_bounds__(THREADS)
    dense_add_bias(const float* bias /* (N) */, float* y /* (B, N) */, int count /* B N */, int units) {
    int i = blockIdx.x * THREADS + threadIdx.x;
    if (i < count) y[i] += bias[i % units];
}

// Thread: one unit.
extern "C" __global__ void __launch_bounds__(THREADS)
    dense_backward_bias(const float* dy /* (B, N) */, float* dbias /* (N) */, int batch, int units) {
    int n = blockIdx.x * THREADS + threadIdx.x;
    if (n >= units) return;
    float sum = 0.0f;
    for (int b = 0; b < batch; ++b) sum += dy[(size_t)b * units + n];
    dbias[n] += sum;
}
