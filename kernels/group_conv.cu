// Rotation-equivariant convolution in the orientation-Fourier domain, for oriented inputs; PRECISION as fragments.cuh has it.
//
// A layer is three linear steps: a real DFT over input orientations, an expansion of every plane in the Hermite basis,
// and for each output frequency a product with mixing weights, made from the coefficients; then an inverse DFT
// (src/ops/group_conv/plan.rs has the mathematics). A block owns `rows` rows of 16 output pixels of one image and 16
// output features at all orientations, and walks over the input features f:
//
// - stages and expands f (steerable.cuh); `numbers` are left operands, (unit, step, row, lane);
// - mixes: per output unit, pixels x numbers times numbers x features, into registers. For a complex frequency a pair's
//   weights (x, y) give the real part and (-y, x) the imaginary one.
#include "steerable.cuh"
#include "line.cuh"
#include "mixing.cuh"

#define GROUP_CONV_THREADS 256
#define GROUP_CONV_COLUMNS 16
#define GROUP_CONV_STRIDE 24
#define GROUP_CONV_FEATURES 16
#define GROUP_CONV_NUMBERS 8192
#define GROUP_CONV_HALO 2688
#define GROUP_CONV_TABLES 512
#define GROUP_CONV_SLOTS 128
#define GROUP_CONV_ORIENTATIONS 16

static_assert(GROUP_CONV_THREADS == THREADS && GROUP_CONV_COLUMNS == COLUMNS && GROUP_CONV_ORIENTATIONS == ORIENTATIONS &&
                  GROUP_CONV_STRIDE == STRIDE,
              "what steerable.cuh takes");

// A warp's part of the output: two rows of pixels, two steps of features, both components of its unit.
struct Part {
    int unit, row, count;  // count: rows it has
};

__device__ __forceinline__ Part part_of(const Sizes& s) {
    int warp = threadIdx.x / 32, bits = s.rows >> 2;
    return {warp >> bits, (warp & bits) * 2, warp < s.units << bits ? min(s.rows, 2) : 0};
}

// d[component][row][n][2 pixel + feature] += numbers times weights of one input feature.
#if PRECISION == F32
// Weights of a step lie as (chunk of features, pair, feature); a lane has four features.
template <int NT, bool UNIT0>
__device__ __forceinline__ void mix_unit(const Shared& shared, const Sizes& s, Part part, const u32* weights, int across,
                                    float (&d)[2][2][2][4]) {
    const u32* right = weights + (size_t)part.unit * 2 * NT * across;
    const u32* left = shared.numbers + ((part.unit * 2 * NT * s.rows + part.row) * 32 + lane_g() * 4) * LEFT_WORDS;
    int step_stride = s.rows * 32 * LEFT_WORDS, lower = (part.count - 1) * 32 * LEFT_WORDS;
    auto at = [&](int component, int e) -> float& { return d[component][e / 8][e / 2 % 2][e / 4 % 2 * 2 + e % 2]; };
#pragma unroll
    for (int half = 0; half < 2; ++half) {
#pragma unroll 1
        for (int step = half * NT; step < half * NT + NT; ++step) {
#pragma unroll
            for (int pair = 0; pair < 4; ++pair) {
                if (pair == 2) __syncwarp();  // keeps loads out of registers
                const float4* from = reinterpret_cast<const float4*>(right + step * across + pair * 32);
                float4 b0 = __ldg(from), b1 = __ldg(from + 1);
                float re[4] = {b0.x, b0.z, b1.x, b1.z}, im[4] = {b0.y, b0.w, b1.y, b1.w};
                const u32* number = left + step * step_stride + pair * LEFT_WORDS;
                float4 a0 = *reinterpret_cast<const float4*>(number), a1 = *reinterpret_cast<const float4*>(number + lower);
                float x[4] = {a0.x, a0.y, a1.x, a1.y}, y[4] = {a0.z, a0.w, a1.z, a1.w};
#pragma unroll
                for (int e = 0; e < 16; ++e) {
                    float& sum = at(UNIT0 ? half : 0, e);
                    sum = fmaf(x[e / 4], re[e % 4], sum);
                    sum = fmaf(y[e / 4], im[e % 4], sum);
                }
                if constexpr (!UNIT0) {
#pragma unroll
                    for (int e = 0; e < 16; ++e) {
                        float& sum = at(1, e);
                        sum = fmaf(y[e / 4], re[e % 4], sum);
                        sum = fmaf(-x[e / 4], im[e % 4], sum);
                    }
                }
            }
        }
    }
}

template <int NT>
__device__ __forceinline__ void mix(const Shared& shared, const Sizes& s, Part part, const u32* weights, int across,
                                    float (&d)[2][2][2][4]) {
    if (part.unit == 0) {
        mix_unit<NT, true>(shared, s, part, weights, across, d);
    } else {
        mix_unit<NT, false>(shared, s, part, weights, across, d);
    }
}
#else
template <int NT>
__device__ __forceinline__ void mix(const Shared& shared, const Sizes& s, Part part, const u32* weights, int across,
                                    float (&d)[2][2][2][4]) {
    int lane = threadIdx.x % 32;
    const u32* right = weights + (size_t)part.unit * 2 * NT * across;
    const u32* left = shared.numbers + ((part.unit * 2 * NT * s.rows + part.row) * 32 + lane) * LEFT_WORDS;
    int step_stride = s.rows * 32 * LEFT_WORDS, lower = (part.count - 1) * 32 * LEFT_WORDS;
    // Weights come from afar: as many at once as there are registers for.
    constexpr int AHEAD = NT / STEPS;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
#pragma unroll 1
        for (int first = half * NT; first < half * NT + NT; first += AHEAD * STEPS) {
            u32 b[AHEAD][2][2];
#pragma unroll
            for (int i = 0; i < 2 * AHEAD; ++i)
                load_right(b[i / 2][i % 2], right + (first + i / 2 * STEPS) * across + i % 2 * 32 * RIGHT_WORDS, across);
#pragma unroll
            for (int i = 0; i < AHEAD; ++i) {
                u32 a[2][4];
                const u32* from = left + (first + i * STEPS) * step_stride;
                load_left(a[0], from, step_stride);
                load_left(a[1], from + lower, step_stride);
                if (part.unit == 0) {
                    multiply(d[half], a, b[i]);
                } else {
                    multiply(d[0], a, b[i]);
                    turn(b[i][0]);
                    turn(b[i][1]);
                    multiply(d[1], a, b[i]);
                }
            }
        }
    }
}
#endif

// How what leaves is finished; `code` < 0: not at all.
struct Ending {
    const float *mean, *variance, *gain, *offset;
    int groups, has_gain, code;
};

// Inverse transform of the block's sums, through shared memory.
__device__ __forceinline__ void finish(const Shared& shared, const Sizes& s, Tile tile, int chunk, Part part,
                                       const float (&d)[2][2][2][4], Ending ending, Map* y) {
    int t = lane_t(), pixels = s.rows * COLUMNS;
    float* sums = reinterpret_cast<float*>(shared.numbers);
    // Features differ in t: turn their pixels so that the lanes' banks differ.
    auto at = [&](int component, int feature, int pixel) {
        return (component * GROUP_CONV_FEATURES + feature) * pixels + (pixel ^ ((feature / 2 % 4 * 8) & (pixels - 1)));
    };
#pragma unroll
    for (int i = 0; i < 32; ++i) {
        int component = i / 16, r = i / 8 % 2, n = i / 4 % 2, e = i % 4;
        int feature = (PRECISION == F32 ? 4 * t + n * 2 : n * 8 + 2 * t) + e % 2, pixel = (part.row + r) * COLUMNS + lane_pixel(e / 2);
        if (r < part.count) sums[at(2 * part.unit + component, feature, pixel)] = d[component][r][n][e];
    }
    __syncthreads();
    size_t area = (size_t)s.out_height * s.out_width;
#pragma unroll 1
    for (int e = threadIdx.x; e < GROUP_CONV_FEATURES * pixels; e += GROUP_CONV_THREADS) {
        int pixel = e & (pixels - 1), feature = e / COLUMNS >> row_bits(s), channel = chunk * GROUP_CONV_FEATURES + feature;
        int row = tile.row + pixel / COLUMNS, column = tile.column + pixel % COLUMNS;
        if (channel >= s.out_features || row >= s.out_height || column >= s.out_width) continue;
        float v[ORIENTATIONS];
#pragma unroll
        for (int c = 0; c < ORIENTATIONS; ++c) v[c] = c < 2 * s.units ? sums[at(c, feature, pixel)] : 0.0f;
        int group = channel;
        while (group >= ending.groups) group -= ending.groups;
#pragma unroll 1
        for (int q = 0; q < s.orientations; ++q) {
            const float4* matrix = reinterpret_cast<const float4*>(shared.tables + (ORIENTATIONS + q) * ORIENTATIONS);
            float sum = 0.0f;
#pragma unroll
            for (int c = 0; c < ORIENTATIONS; c += 4) {
                if (c < 2 * s.units) {
                    float4 m = matrix[c / 4];
                    sum = fmaf(m.x, v[c], sum);
                    sum = fmaf(m.y, v[c + 1], sum);
                    sum = fmaf(m.z, v[c + 2], sum);
                    sum = fmaf(m.w, v[c + 3], sum);
                }
            }
            int out = q * s.out_features + channel;
            if (ending.code >= 0) {
                Line line = line_of(ending.mean, ending.variance, ending.gain, ending.offset, ending.has_gain, group);
                sum = handed_on(ending.code, line, sum);
                group += s.out_features;
                while (group >= ending.groups) group -= ending.groups;
            }
            store(y + (((size_t)tile.image * s.orientations * s.out_features + out) * area + row * s.out_width + column), sum);
        }
    }
}

// Of `rows` rows, where O is usual.
template <int K> constexpr int usual_rows() { return K <= 5 ? 4 : 2; }

// N: orientations at most. `tile` is found before the paths part, so that no division stands between matrix products.
template <int K, int N>
__device__ __forceinline__ void convolve(const Shared& shared, const Sizes& s, Tile tile, const Map* x, const float* transform,
                                         const float* table, const u32* places, const u32* weights, Ending ending, Map* y) {
    using T = Taps<K>;
    Part part = part_of(s);
    int chunk = blockIdx.y, warp = threadIdx.x / 32;
    // Words of a step of all output features, and of an input feature.
    int across = (s.out_features + GROUP_CONV_FEATURES - 1) / GROUP_CONV_FEATURES * 2 * 32 * RIGHT_WORDS;
    size_t per_feature = (size_t)s.units * 2 * T::NT * across;
    weights += (chunk * 2 * 32 + (PRECISION == F32 ? lane_t() * 4 : threadIdx.x % 32)) * RIGHT_WORDS;
    load_tables<true>(shared, s, transform, places, T::NT * 4);
    Basis<K> basis;
    basis.open(shared, table);
    float d[2][2][2][4];
#pragma unroll
    for (int i = 0; i < 32; ++i) d[i / 16][i / 8 % 2][i / 4 % 2][i % 4] = 0.0f;
    __syncthreads();
    stage<K, N>(shared, x, s, tile, 0, 0);
    for (int f = 0; f < s.in_features; ++f) {
        __syncthreads();
        expand(shared, s, basis, [&](int step, int row, float2 upper, float2 lower) {
            store_left(shared.numbers + ((step * s.rows + row) * 32 + lane_of_tables()) * LEFT_WORDS, upper, lower);
        });
        __syncthreads();
        // The next feature's loads fly while this one is mixed.
        Column<N> next;
        bool more = f + 1 < s.in_features;
        if (more) load_column<K>(next, x, s, tile, f + 1, warp);
        if (part.count > 0) mix<T::NT>(shared, s, part, weights + f * per_feature, across, d);
        if (more) {
            put_column<K>(shared, next, s, warp);
            stage<K, N>(shared, x, s, tile, f + 1, WARPS);
        }
    }
    __syncthreads();
    finish(shared, s, tile, chunk, part, d, ending, y);
}

// By the filters' width. `ending`: 0 leaves y as it is, otherwise it is normalised with fixed statistics and then
// activated, by code `ending` - 1.
extern "C" __global__ void __launch_bounds__(GROUP_CONV_THREADS, 2) group_conv_forward_3(
    const Map* x /* (B, O F_in, H, W) */, const float* transform /* (2 units, O) */, const float* basis /* (TS, NT, 32, 2), in F32 (NT / 2, k k, 4, 4) */,
    const u32* places /* (units, slots, 2) */, const float* weights /* as group_conv_weights leaves them */,
    const float* mean /* (groups) */, const float* variance /* (groups) */, const float* gain /* (groups) */,
    const float* offset /* (groups) */, Map* y /* (B, O F_out, H', W') */, int orientations, int in_features,
    int out_features, int height, int width, int padding, int rows, int groups, int has_gain, int ending) {
    __shared__ float4 numbers[GROUP_CONV_NUMBERS / 4], tables[GROUP_CONV_TABLES / 4];
    __shared__ float4 halo[GROUP_CONV_HALO / 4], taps[Taps<3>::BASIS];
    __shared__ u32 destinations[2 * GROUP_CONV_SLOTS];
    Shared shared = {reinterpret_cast<u32*>(numbers), reinterpret_cast<u32*>(halo), reinterpret_cast<float*>(tables), destinations, taps};
    Sizes s = sizes_of<3>(orientations, in_features, out_features, height, width, padding, rows);
    Ending end = {mean, variance, gain, offset, groups, has_gain, ending - 1};
    Tile tile = tile_of(s, blockIdx.x);
    by_orientations<usual_rows<3>()>(s, [&](const Sizes& s, auto most) {
        convolve<3, most.COUNT>(shared, s, tile, x, transform, basis, places, reinterpret_cast<const u32*>(weights), end, y);
    });
}

extern "C" __global__ void __launch_bounds__(GROUP_CONV_THREADS, 2) group_conv_forward_5(
    const Map* x /* (B, O F_in, H, W) */, const float* transform /* (2 units, O) */, const float* basis /* (TS, NT, 32, 2), in F32 (NT / 2, k k, 4, 4) */,
    const u32* places /* (units, slots, 2) */, const float* weights /* as group_conv_weights leaves them */,
    const float* mean /* (groups) */, const float* variance /* (groups) */, const float* gain /* (groups) */,
    const float* offset /* (groups) */, Map* y /* (B, O F_out, H', W') */, int orientations, int in_features,
    int out_features, int height, int width, int padding, int rows, int groups, int has_gain, int ending) {
    __shared__ float4 numbers[GROUP_CONV_NUMBERS / 4], tables[GROUP_CONV_TABLES / 4];
    __shared__ float4 halo[GROUP_CONV_HALO / 4], taps[Taps<5>::BASIS];
    __shared__ u32 destinations[2 * GROUP_CONV_SLOTS];
    Shared shared = {reinterpret_cast<u32*>(numbers), reinterpret_cast<u32*>(halo), reinterpret_cast<float*>(tables), destinations, taps};
    Sizes s = sizes_of<5>(orientations, in_features, out_features, height, width, padding, rows);
    Ending end = {mean, variance, gain, offset, groups, has_gain, ending - 1};
    Tile tile = tile_of(s, blockIdx.x);
    by_orientations<usual_rows<5>()>(s, [&](const Sizes& s, auto most) {
        convolve<5, most.COUNT>(shared, s, tile, x, transform, basis, places, reinterpret_cast<const u32*>(weights), end, y);
    });
}

extern "C" __global__ void __launch_bounds__(GROUP_CONV_THREADS, 2) group_conv_forward_7(
    const Map* x /* (B, O F_in, H, W) */, const float* transform /* (2 units, O) */, const float* basis /* (TS, NT, 32, 2), in F32 (NT / 2, k k, 4, 4) */,
    const u32* places /* (units, slots, 2) */, const float* weights /* as group_conv_weights leaves them */,
    const float* mean /* (groups) */, const float* variance /* (groups) */, const float* gain /* (groups) */,
    const float* offset /* (groups) */, Map* y /* (B, O F_out, H', W') */, int orientations, int in_features,
    int out_features, int height, int width, int padding, int rows, int groups, int has_gain, int ending) {
    __shared__ float4 numbers[GROUP_CONV_NUMBERS / 4], tables[GROUP_CONV_TABLES / 4];
    __shared__ float4 halo[GROUP_CONV_HALO / 4], taps[Taps<7>::BASIS];
    __shared__ u32 destinations[2 * GROUP_CONV_SLOTS];
    Shared shared = {reinterpret_cast<u32*>(numbers), reinterpret_cast<u32*>(halo), reinterpret_cast<float*>(tables), destinations, taps};
    Sizes s = sizes_of<7>(orientations, in_features, out_features, height, width, padding, rows);
    Ending end = {mean, variance, gain, offset, groups, has_gain, ending - 1};
    Tile tile = tile_of(s, blockIdx.x);
    by_orientations<usual_rows<7>()>(s, [&](const Sizes& s, auto most) {
        convolve<7, most.COUNT>(shared, s, tile, x, transform, basis, places, reinterpret_cast<const u32*>(weights), end, y);
    });
}

// The mixing weights as right operands, (F_in, unit, step, feature step, lane) pairs: each a sum over two functions and
// all input orientations of coefficients, c[(function O + s) size + f in_stride + g out_stride].
extern "C" __global__ void __launch_bounds__(GROUP_CONV_THREADS) group_conv_weights(
    const float* factors /* (steps 4, 2, 2, O) */, const u32* functions /* (steps 4, 2, 2) */, const float* c /* (M, O F, F) */,
    float* weights /* (F_in, steps, across, 32, RIGHT_WORDS) */, int orientations, int steps, int in_features, int out_features,
    int in_stride, int out_stride) {
    int across = (out_features + GROUP_CONV_FEATURES - 1) / GROUP_CONV_FEATURES * 2;
    int at = blockIdx.x * GROUP_CONV_THREADS + threadIdx.x, lane = at % 32;
    int g = at / 32 % across * 8 + lane / 4, step = at / 32 / across % steps, f = at / 32 / across / steps;
    if (f >= in_features) return;
    float2 pair = make_float2(0.0f, 0.0f);
    if (g < out_features)
        pair = mixing_weights(factors, functions, c + f * in_stride + g * out_stride, step * 4 + lane % 4, orientations,
                              in_features * out_features);
    // In a step, F32 has the features of a chunk beside each other.
    int own = at % 64, place = PRECISION == F32 ? at - own + own % 4 * 16 + own / 4 : at;
    store_right(reinterpret_cast<u32*>(weights) + (size_t)place * RIGHT_WORDS, pair.x, pair.y);
}
