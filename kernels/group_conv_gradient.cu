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
// words, so that neither writing nor reading meets in a bank. In BF16 a word holds pixels p and p + 8. In F32 a lane has two pairs of
// numbers and four features, of every second four pixels.
#include "steerable.cuh"

#define GRADIENT_THREADS 256
#define GRADIENT_FEATURES 16
#define GRADIENT_NUMBERS 5120
#define GRADIENT_OUTPUTS 5120
#define GRADIENT_HALO 1344
#define GRADIENT_TABLES 256
#define GRADIENT_SLOTS 64

constexpr int PITCH = PRECISION == BF16 ? 12 : 20;

static_assert(GRADIENT_TABLES == ORIENTATIONS * ORIENTATIONS, "the transform");

// Input features of a block.
template <int K> constexpr int at_once() { return K <= 5 ? 4 : PRECISION == F32 ? 1 : 2; }

// Of a tile, where O is usual.
template <int K> constexpr int usual_rows() { return K <= 5 ? 2 : 1; }

// Words of the halo of all components.
template <int K> constexpr int halo_words() { return 8 * (usual_rows<K>() + K - 1) * STRIDE; }

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

// A pair's numbers of a lane's two pixels.
__device__ __forceinline__ void keep_numbers(u32* to, float2 upper, float2 lower) {
#if PRECISION == BF16
    to[0] = pack_bf16(upper.x, lower.x), to[PITCH] = pack_bf16(upper.y, lower.y);
#elif PRECISION == F32
    *reinterpret_cast<float2*>(to) = make_float2(upper.x, lower.x), *reinterpret_cast<float2*>(to + PITCH) = make_float2(upper.y, lower.y);
#else
    to[0] = operand(upper.x), to[8] = operand(lower.x), to[PITCH] = operand(upper.y), to[PITCH + 8] = operand(lower.y);
#endif
}

// A warp's sums for one input feature, of its unit and half of the unit's steps.
#if PRECISION == F32
// Lanes in bits: feature, low bit of the pairs, features, pixels, step of a pair. Then shared memory gives a warp four numbers in
// two passes, and no two of its lanes meet in a bank.
template <int NT> struct Correlation {
    float d[NT / 2][4][4];  // (step pair, number, feature)

    static __device__ __forceinline__ int number() { return threadIdx.x / 2 % 2 * 4; }
    static __device__ __forceinline__ int step() { return threadIdx.x / 16 % 2; }
    static __device__ __forceinline__ int pixels() { return threadIdx.x / 8 % 2 * 4; }
    static __device__ __forceinline__ int feature(int i) { return threadIdx.x % 2 * 2 + threadIdx.x / 4 % 2 * 4 + i % 2 + i / 2 * 8; }

    __device__ __forceinline__ void clear() {
#pragma unroll
        for (int i = 0; i < NT * 8; ++i) d[i / 16][i / 4 % 4][i % 4] = 0.0f;
    }

    template <bool UNIT0>
    __device__ __forceinline__ void add_of(const float* numbers, const float* outputs, int step_block, int component_block) {
#pragma unroll
        for (int m = 0; m < NT / 2; ++m) {
            float4 a[4];
#pragma unroll
            for (int j = 0; j < 4; ++j) a[j] = *reinterpret_cast<const float4*>(numbers + 2 * m * step_block + j * PITCH);
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                const float* from = outputs + (i % 2 + i / 2 * 8) * PITCH;
                float4 re = *reinterpret_cast<const float4*>(from);
#pragma unroll
                for (int j = 0; j < 4; ++j) take(d[m][j][i], a[j], re, 1.0f);
                if constexpr (!UNIT0) {
                    float4 im = *reinterpret_cast<const float4*>(from + component_block);
#pragma unroll
                    for (int j = 0; j < 4; ++j) take(d[m][j][i], a[j ^ 1], im, j % 2 ? -1.0f : 1.0f);
                }
            }
        }
    }
    static __device__ __forceinline__ void take(float& sum, float4 a, float4 b, float sign) {
        sum = fmaf(sign * a.x, b.x, sum);
        sum = fmaf(sign * a.y, b.y, sum);
        sum = fmaf(sign * a.z, b.z, sum);
        sum = fmaf(sign * a.w, b.w, sum);
    }

    __device__ __forceinline__ void add(const Shared& shared, const u32* outputs, const Sizes& s) {
        int unit = threadIdx.x / 64, half = threadIdx.x / 32 % 2, step_block = s.rows * 8 * PITCH;
        int component = 2 * unit + (unit == 0 ? half : 0), component_block = s.rows * GRADIENT_FEATURES * PITCH;
        const float* left = reinterpret_cast<const float*>(shared.numbers) + ((unit * 2 + half) * NT + step()) * step_block + number() * PITCH;
        const float* right = reinterpret_cast<const float*>(outputs) + component * component_block + feature(0) * PITCH;
        left += pixels(), right += pixels();
#pragma unroll 1
        for (int i = 0; i < s.rows * 2; ++i) {
            const float* numbers = left + i / 2 * 8 * PITCH + i % 2 * 8;
            const float* gradient = right + i / 2 * GRADIENT_FEATURES * PITCH + i % 2 * 8;
            if (unit == 0) {
                add_of<true>(numbers, gradient, step_block, component_block);
            } else {
                add_of<false>(numbers, gradient, step_block, component_block);
            }
        }
    }

    // Calls put(number, feature, sum). All lanes must come.
    template <class Put> __device__ __forceinline__ void for_each(Put put) const {
#pragma unroll
        for (int i = 0; i < NT * 8; ++i) {
            int m = i / 16, j = i / 4 % 4;
            float sum = d[m][j][i % 4];
            sum += __shfl_xor_sync(ALL_LANES, sum, 8);
            if (pixels() == 0) put((2 * m + step()) * 8 + number() + j, feature(i % 4), sum);
        }
    }
};
#else
constexpr int PRODUCTS = PRECISION == BF16 ? 1 : 2;  // of a row's 16 pixels

template <int NT> struct Correlation {
    float d[NT / 2][2][4];  // (step pair, feature step)

    __device__ __forceinline__ void clear() {
#pragma unroll
        for (int i = 0; i < NT * 4; ++i) d[i / 8][i / 4 % 2][i % 4] = 0.0f;
    }

    __device__ __forceinline__ void add(const Shared& shared, const u32* outputs, const Sizes& s) {
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

    // Calls put(number, feature, sum).
    template <class Put> __device__ __forceinline__ void for_each(Put put) const {
        int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
#pragma unroll
        for (int i = 0; i < NT * 4; ++i) {
            int m = i / 8, n = i / 4 % 2, e = i % 4;
            put((2 * m + e / 2) * 8 + g, n * 8 + 2 * t + e % 2, d[m][n][e]);
        }
    }
};
#endif

template <int K>
__device__ __forceinline__ void differentiate(const Shared& shared, u32* outputs, const Sizes& s, Tile tile, const Map* x,
                                              const Map* dy, const float* transform, const float* table,
                                              const u32* places, float* partial, int tiles, int per_slice) {
    using T = Taps<K>;
    constexpr int F = at_once<K>();
    int warp = threadIdx.x / 32;
    int first = blockIdx.x * F, count = min(F, s.in_features - first), chunk = blockIdx.z;
    load_tables<false>(shared, s, transform, places, T::NT * 4);
    Basis<K> basis;
    basis.open(shared, table);
    Correlation<T::NT> sums[F];
#pragma unroll
    for (int i = 0; i < F; ++i) sums[i].clear();
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
                keep_numbers(shared.numbers + ((step * s.rows + row) * 8 + 2 * lane_t()) * PITCH + lane_pixel(0), upper, lower);
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
                    if (i == f) sums[i].add(shared, outputs, s);
            }
            if (EARLY && more) put_column<K>(shared, next, s, warp);
            if (more) stage<K, 8>(shared, x, s, tile, first + f + 1, EARLY ? WARPS : 0);
        }
    }
    int across = (s.out_features + GRADIENT_FEATURES - 1) / GRADIENT_FEATURES * GRADIENT_FEATURES;
    int weights = s.units * 2 * T::NT * 8;
#pragma unroll
    for (int f = 0; f < F; ++f)
        sums[f].for_each([&](int number, int feature, float sum) {
            int row = warp * T::NT * 8 + number, column = chunk * GRADIENT_FEATURES + feature;
            if (f < count && warp < 2 * s.units)
                partial[(((size_t)blockIdx.y * s.in_features + first + f) * weights + row) * across + column] = sum;
        });
}

// By the filters' width.
extern "C" __global__ void __launch_bounds__(GRADIENT_THREADS, 2) group_conv_gradient_3(
    const Map* x /* (B, O F_in, H, W) */, const Map* dy /* (B, O F_out, H', W') */, const float* transform /* (2 units, O) */,
    const float* basis /* (TS, NT, 32, 2), in F32 (NT / 2, k k, 4, 4) */, const u32* places /* (units, slots, 2) */,
    float* partial /* (slices, F_in, rows, padded F_out) */, int orientations, int in_features, int out_features, int height,
    int width, int padding, int rows, int tiles, int per_slice) {
    __shared__ float4 numbers[GRADIENT_NUMBERS / 4], tables[GRADIENT_TABLES / 4];
    __shared__ float4 gradient[GRADIENT_OUTPUTS / 4], halo[halo_words<3>() / 4], taps[Taps<3>::BASIS];
    __shared__ u32 destinations[2 * GRADIENT_SLOTS];
    u32* outputs = reinterpret_cast<u32*>(gradient);
    Shared shared = {reinterpret_cast<u32*>(numbers), reinterpret_cast<u32*>(halo), reinterpret_cast<float*>(tables), destinations, taps};
    Sizes s = sizes_of<3>(orientations, in_features, out_features, height, width, padding, rows);
    Tile tile = tile_of(s, blockIdx.y * per_slice);
    by_orientations<usual_rows<3>()>(s, [&](const Sizes& s, auto) {
        differentiate<3>(shared, outputs, s, tile, x, dy, transform, basis, places, partial, tiles, per_slice);
    });
}

extern "C" __global__ void __launch_bounds__(GRADIENT_THREADS, 2) group_conv_gradient_5(
    const Map* x /* (B, O F_in, H, W) */, const Map* dy /* (B, O F_out, H', W') */, const float* transform /* (2 units, O) */,
    const float* basis /* (TS, NT, 32, 2), in F32 (NT / 2, k k, 4, 4) */, const u32* places /* (units, slots, 2) */,
    float* partial /* (slices, F_in, rows, padded F_out) */, int orientations, int in_features, int out_features, int height,
    int width, int padding, int rows, int tiles, int per_slice) {
    __shared__ float4 numbers[GRADIENT_NUMBERS / 4], tables[GRADIENT_TABLES / 4];
    __shared__ float4 gradient[GRADIENT_OUTPUTS / 4], halo[halo_words<5>() / 4], taps[Taps<5>::BASIS];
    __shared__ u32 destinations[2 * GRADIENT_SLOTS];
    u32* outputs = reinterpret_cast<u32*>(gradient);
    Shared shared = {reinterpret_cast<u32*>(numbers), reinterpret_cast<u32*>(halo), reinterpret_cast<float*>(tables), destinations, taps};
    Sizes s = sizes_of<5>(orientations, in_features, out_features, height, width, padding, rows);
    Tile tile = tile_of(s, blockIdx.y * per_slice);
    by_orientations<usual_rows<5>()>(s, [&](const Sizes& s, auto) {
        differentiate<5>(shared, outputs, s, tile, x, dy, transform, basis, places, partial, tiles, per_slice);
    });
}

extern "C" __global__ void __launch_bounds__(GRADIENT_THREADS, 2) group_conv_gradient_7(
    const Map* x /* (B, O F_in, H, W) */, const Map* dy /* (B, O F_out, H', W') */, const float* transform /* (2 units, O) */,
    const float* basis /* (TS, NT, 32, 2), in F32 (NT / 2, k k, 4, 4) */, const u32* places /* (units, slots, 2) */,
    float* partial /* (slices, F_in, rows, padded F_out) */, int orientations, int in_features, int out_features, int height,
    int width, int padding, int rows, int tiles, int per_slice) {
    __shared__ float4 numbers[GRADIENT_NUMBERS / 4], tables[GRADIENT_TABLES / 4];
    __shared__ float4 gradient[GRADIENT_OUTPUTS / 4], halo[halo_words<7>() / 4], taps[Taps<7>::BASIS];
    __shared__ u32 destinations[2 * GRADIENT_SLOTS];
    u32* outputs = reinterpret_cast<u32*>(gradient);
    Shared shared = {reinterpret_cast<u32*>(numbers), reinterpret_cast<u32*>(halo), reinterpret_cast<float*>(tables), destinations, taps};
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
