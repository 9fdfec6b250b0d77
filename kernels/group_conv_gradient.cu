// The coefficients' gradient of the orientation-Fourier form: sums over pixels of numbers times the output's gradient.
//
// The mix gives Y = A n for a complex weight A and a number n, of real frequencies the real part alone. So with a pair's
// numbers (x, y) and dY = (r, i) the weights (Re A, -Im A) have the gradient (x r + y i, y r - x i): two products, of the
// numbers with r and of the numbers turned to (y, -x) with i. A block owns some input features and 16 output features and
// walks over a slice of all images' tiles; per tile it transforms the output's gradient once, then stages and expands each
// of its input features (steerable.cuh) and multiplies into registers. Partial sums of the slices are added by
// group_conv_gradient_sum, and group_conv_gradient_coefficients is the adjoint of group_conv_weights.
//
// Numbers lie as (step, row, 8 numbers) of 16 pixels, the gradient as (component, row, 16 features) of 16 pixels: PITCH
// words, so that neither writing nor reading meets in a bank. In BF16 a word holds pixels p and p + 8.
#include "steerable.cuh"

#define GRADIENT_THREADS 256
#define GRADIENT_FEATURES 16
#define GRADIENT_NUMBERS 5120
#define GRADIENT_OUTPUTS 5120
#define GRADIENT_HALO 1344
#define GRADIENT_TABLES 512
#define GRADIENT_SLOTS 64

constexpr int PITCH = PRECISION == BF16 ? 12 : 20;
constexpr int PRODUCTS = PRECISION == BF16 ? 1 : 2;  // of a row's 16 pixels

// Input features of a block.
template <int K> constexpr int at_once() { return K <= 5 ? 4 : 2; }

// Of a tile, where O is usual.
template <int K> constexpr int usual_rows() { return K <= 5 ? 2 : 1; }

// The tile of the output's gradient, transformed over orientations.
__device__ __forceinline__ void stage_outputs(const Shared& shared, u32* outputs, const Sizes& s, Tile tile, int chunk,
                                              const Map* dy) {
    int pixels = s.rows * COLUMNS;
    int area = s.out_height * s.out_width, step = s.out_features * area;
#pragma unroll 1
    for (int e = threadIdx.x; e < GRADIENT_FEATURES * pixels; e += THREADS) {
        int feature = e / COLUMNS >> row_bits(s), row = e / COLUMNS & (s.rows - 1), column = e % COLUMNS, g = chunk * GRADIENT_FEATURES + feature;
        int i = tile.row + row, j = tile.column + column;
        bool inside = i < s.out_height && j < s.out_width && g < s.out_features;
        const Map* at = dy + (size_t)tile.image * s.orientations * step + g * area + i * s.out_width + j;
        Map v[8];
#pragma unroll
        for (int q = 0; q < 8; ++q) {
            v[q] = inside && q < s.orientations ? load_cached(at) : Map();
            at += step;
        }
        transform_pixel<8>(shared, s, v, [&](int component, float sum) {
            u32* to = outputs + ((component * s.rows + row) * GRADIENT_FEATURES + feature) * PITCH + column;
#if PRECISION == BF16
            u32 word = pack_bf16(sum, __shfl_down_sync(ALL_LANES, sum, 8));
            if (column < 8) *to = word;
#else
            *to = operand(sum);
#endif
        });
    }
}

// A pair's numbers of pixels g and g + 8.
__device__ __forceinline__ void keep_numbers(u32* to, float2 upper, float2 lower) {
#if PRECISION == BF16
    to[0] = pack_bf16(upper.x, lower.x), to[PITCH] = pack_bf16(upper.y, lower.y);
#else
    to[0] = operand(upper.x), to[8] = operand(lower.x), to[PITCH] = operand(upper.y), to[PITCH + 8] = operand(lower.y);
#endif
}

// d[step pair][feature step] += numbers times gradient, for this warp's unit and half of the unit's steps.
template <int NT>
__device__ __forceinline__ void correlate(const Shared& shared, const u32* outputs, const Sizes& s,
                                          float (&d)[NT / 2][2][4]) {
    int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4, unit = threadIdx.x / 64, half = threadIdx.x / 32 % 2;
    int block = 8 * PITCH, step_block = s.rows * block;
    const u32* numbers = shared.numbers + (unit * 2 + half) * NT * step_block + t;
    u32 sign = g % 2 ? (PRECISION == BF16 ? 0x80008000u : 0x80000000u) : 0u;
#pragma unroll 1
    for (int i = 0; i < s.rows * PRODUCTS; ++i) {
        int row = i / PRODUCTS, first = i % PRODUCTS * 8;
        u32 real[2][2], imaginary[2][2];
#pragma unroll
        for (int n = 0; n < 2; ++n) {
            // Of a real frequency its own component.
            int component = 2 * unit + (unit == 0 ? half : 0);
            const u32* from = outputs + ((component * s.rows + row) * GRADIENT_FEATURES + n * 8 + g) * PITCH + first + t;
            real[n][0] = from[0], real[n][1] = from[4];
            if (unit > 0) from += s.rows * GRADIENT_FEATURES * PITCH;
            imaginary[n][0] = from[0], imaginary[n][1] = from[4];
        }
        u32 a[NT / 2][4], turned[NT / 2][4];
#pragma unroll
        for (int m = 0; m < NT / 2; ++m)
#pragma unroll
            for (int lower = 0; lower < 2; ++lower) {
                const u32* from = numbers + (2 * m + lower) * step_block + row * block + first;
                a[m][lower] = from[g * PITCH], a[m][2 + lower] = from[g * PITCH + 4];
                turned[m][lower] = from[(g ^ 1) * PITCH] ^ sign, turned[m][2 + lower] = from[(g ^ 1) * PITCH + 4] ^ sign;
            }
        multiply(d, a, real);
        if (unit > 0) multiply(d, turned, imaginary);
    }
}

template <int K>
__device__ __forceinline__ void differentiate(const Shared& shared, u32* outputs, const Sizes& s, Tile tile, const Map* x,
                                              const Map* dy, const float* transform, const float* table,
                                              const u32* places, float* partial, int tiles, int per_slice) {
    using T = Taps<K>;
    constexpr int F = at_once<K>();
    int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4, warp = threadIdx.x / 32;
    int first = blockIdx.x * F, count = min(F, s.in_features - first), chunk = blockIdx.z;
    load_tables(shared, s, transform, places, T::NT * 4);
    Basis<K> basis;
    basis.open(table);
    float d[F][T::NT / 2][2][4];
#pragma unroll
    for (int i = 0; i < F * T::NT * 4; ++i) d[i / (T::NT * 4)][i / 8 % (T::NT / 2)][i / 4 % 2][i % 4] = 0.0f;
    int end = min(tiles, ((int)blockIdx.y + 1) * per_slice);
#pragma unroll 1
    for (int index = blockIdx.y * per_slice; index < end; ++index, next_tile(s, tile)) {
        __syncthreads();
        stage_outputs(shared, outputs, s, tile, chunk, dy);
        stage<K, 8>(shared, x, s, tile, first, 0);
#pragma unroll 1
        for (int f = 0; f < count; ++f) {
            __syncthreads();
            expand(shared, s, basis, [&](int step, int row, float2 upper, float2 lower) {
                keep_numbers(shared.numbers + ((step * s.rows + row) * 8 + 2 * t) * PITCH + g, upper, lower);
            });
            __syncthreads();
            // The next feature's loads fly while this one is multiplied, if there are registers for them.
            constexpr bool EARLY = PRECISION != F32;
            Column<8> next;
            bool more = f + 1 < count;
            if (EARLY && more) load_column<K>(next, x, s, tile, first + f + 1, warp);
            if (warp < 2 * s.units) {
#pragma unroll
                for (int i = 0; i < F; ++i)
                    if (i == f) correlate<T::NT>(shared, outputs, s, d[i]);
            }
            if (EARLY && more) put_column<K>(shared, next, s, warp);
            if (more) stage<K, 8>(shared, x, s, tile, first + f + 1, EARLY ? WARPS : 0);
        }
    }
    int across = (s.out_features + GRADIENT_FEATURES - 1) / GRADIENT_FEATURES * GRADIENT_FEATURES;
    int weights = s.units * 2 * T::NT * 8;
#pragma unroll
    for (int i = 0; i < F * T::NT * 4; ++i) {
        int f = i / (T::NT * 4), m = i / 8 % (T::NT / 2), n = i / 4 % 2, e = i % 4;
        int row = (warp * T::NT + 2 * m + e / 2) * 8 + g, column = chunk * GRADIENT_FEATURES + n * 8 + 2 * t + e % 2;
        if (f < count && warp < 2 * s.units)
            partial[(((size_t)blockIdx.y * s.in_features + first + f) * weights + row) * across + column] = d[f][m][n][e];
    }
}

// By the filters' width.
extern "C" __global__ void __launch_bounds__(GRADIENT_THREADS, 2) group_conv_gradient_3(
    const Map* x /* (B, O F_in, H, W) */, const Map* dy /* (B, O F_out, H', W') */, const float* transform /* (2 units, O) */,
    const float* basis /* (TS, NT, 32, 2) */, const u32* places /* (units, slots, 2) */,
    float* partial /* (slices, F_in, rows, padded F_out) */, int orientations, int in_features, int out_features, int height,
    int width, int padding, int rows, int tiles, int per_slice) {
    __shared__ float4 numbers[GRADIENT_NUMBERS / 4], tables[GRADIENT_TABLES / 4];
    __shared__ u32 outputs[GRADIENT_OUTPUTS], halo[GRADIENT_HALO], destinations[2 * GRADIENT_SLOTS];
    Shared shared = {reinterpret_cast<u32*>(numbers), halo, reinterpret_cast<float*>(tables), destinations};
    Sizes s = sizes_of<3>(orientations, in_features, out_features, height, width, padding, rows);
    Tile tile = tile_of(s, blockIdx.y * per_slice);
    by_orientations<usual_rows<3>()>(s, [&](const Sizes& s, auto) {
        differentiate<3>(shared, outputs, s, tile, x, dy, transform, basis, places, partial, tiles, per_slice);
    });
}

extern "C" __global__ void __launch_bounds__(GRADIENT_THREADS, 2) group_conv_gradient_5(
    const Map* x /* (B, O F_in, H, W) */, const Map* dy /* (B, O F_out, H', W') */, const float* transform /* (2 units, O) */,
    const float* basis /* (TS, NT, 32, 2) */, const u32* places /* (units, slots, 2) */,
    float* partial /* (slices, F_in, rows, padded F_out) */, int orientations, int in_features, int out_features, int height,
    int width, int padding, int rows, int tiles, int per_slice) {
    __shared__ float4 numbers[GRADIENT_NUMBERS / 4], tables[GRADIENT_TABLES / 4];
    __shared__ u32 outputs[GRADIENT_OUTPUTS], halo[GRADIENT_HALO], destinations[2 * GRADIENT_SLOTS];
    Shared shared = {reinterpret_cast<u32*>(numbers), halo, reinterpret_cast<float*>(tables), destinations};
    Sizes s = sizes_of<5>(orientations, in_features, out_features, height, width, padding, rows);
    Tile tile = tile_of(s, blockIdx.y * per_slice);
    by_orientations<usual_rows<5>()>(s, [&](const Sizes& s, auto) {
        differentiate<5>(shared, outputs, s, tile, x, dy, transform, basis, places, partial, tiles, per_slice);
    });
}

extern "C" __global__ void __launch_bounds__(GRADIENT_THREADS, 2) group_conv_gradient_7(
    const Map* x /* (B, O F_in, H, W) */, const Map* dy /* (B, O F_out, H', W') */, const float* transform /* (2 units, O) */,
    const float* basis /* (TS, NT, 32, 2) */, const u32* places /* (units, slots, 2) */,
    float* partial /* (slices, F_in, rows, padded F_out) */, int orientations, int in_features, int out_features, int height,
    int width, int padding, int rows, int tiles, int per_slice) {
    __shared__ float4 numbers[GRADIENT_NUMBERS / 4], tables[GRADIENT_TABLES / 4];
    __shared__ u32 outputs[GRADIENT_OUTPUTS], halo[GRADIENT_HALO], destinations[2 * GRADIENT_SLOTS];
    Shared shared = {reinterpret_cast<u32*>(numbers), halo, reinterpret_cast<float*>(tables), destinations};
    Sizes s = sizes_of<7>(orientations, in_features, out_features, height, width, padding, rows);
    Tile tile = tile_of(s, blockIdx.y * per_slice);
    by_orientations<usual_rows<7>()>(s, [&](const Sizes& s, auto) {
        differentiate<7>(shared, outputs, s, tile, x, dy, transform, basis, places, partial, tiles, per_slice);
    });
}

extern "C" __global__ void __launch_bounds__(GRADIENT_THREADS) group_conv_gradient_sum(
    const float* partial /* (slices, n) */, float* sums /* (n) */, int n, int slices) {
    int i = blockIdx.x * GRADIENT_THREADS + threadIdx.x;
    if (i >= n) return;
    float sum = 0.0f;
#pragma unroll 8
    for (int slice = 0; slice < slices; ++slice) sum += partial[(size_t)slice * n + i];
    sums[i] = sum;
}

// Adds to dc: each coefficient is in `count` weights.
extern "C" __global__ void __launch_bounds__(GRADIENT_THREADS) group_conv_gradient_coefficients(
    const float* sums /* (F_in, rows, across) */, const u32* weights /* (M, count): rows */, const float* factors /* (M, count, O) */,
    float* dc /* (M, O F_in, F_out) */, int orientations, int in_features, int out_features, int rows, int count, int n) {
    int at = blockIdx.x * GRADIENT_THREADS + threadIdx.x;
    if (at >= n) return;
    int across = (out_features + GRADIENT_FEATURES - 1) / GRADIENT_FEATURES * GRADIENT_FEATURES;
    int g = at % out_features, f = at / out_features % in_features, block = at / out_features / in_features;
    int s = block % orientations, j = block / orientations;
    float sum = 0.0f;
    for (int i = j * count; i < (j + 1) * count; ++i)
        sum = fmaf(factors[i * orientations + s], sums[((size_t)f * rows + weights[i]) * across + g], sum);
    dc[at] += sum;
}
