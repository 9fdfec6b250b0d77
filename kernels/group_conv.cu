// Rotation-equivariant convolution in the orientation-Fourier domain, for oriented inputs; PRECISION as fragments.cuh has it.
//
// A layer is three linear steps: a real DFT over input orientations, an expansion of every plane in the Hermite basis,
// and for each output frequency a product with mixing weights, made from the coefficients; then an inverse DFT
// (src/ops/group_conv/plan.rs has the mathematics). A block owns `rows` rows of 16 output pixels of one image and 16
// output features at all orientations, and walks over the input features f:
//
// - stage: loads the planes' halo, transforms over orientation, puts operands in shared memory (`halo`). The packed
//   components go in units: unit 0 has frequencies 0 and O/2 (zero for odd O), unit v the parts of frequency v.
// - expand: pixels x taps times taps x functions. A lane gets the values of a slot, two neighbouring functions, for both
//   components of a unit: a cosine and a sine, or two round functions. From these it makes, without any exchange, two
//   complex numbers, and puts each where its output frequency's product wants it (`numbers`, left operands). Taps go in
//   pairs along a row, so a width k takes (k + 1) / 2 pairs.
// - mix: per output unit, pixels x numbers times numbers x features, into registers. Unit 0 has real frequencies, NT
//   steps each; any other a complex one, for which a pair's weights (x, y) give the real part and (-y, x) the imaginary.
//
// NT: steps (of four slots) of the functions, TS: of the taps' pairs; both even, as BF16 wants.
#include "fragments.cuh"
#include "finish.cuh"

#define GROUP_CONV_THREADS 256
#define GROUP_CONV_COLUMNS 16
#define GROUP_CONV_FEATURES 16
#define GROUP_CONV_ORIENTATIONS 16
#define GROUP_CONV_NUMBERS 8192
#define GROUP_CONV_HALO 2688
#define GROUP_CONV_TABLES 512
#define GROUP_CONV_SLOTS 128

#define WARPS (GROUP_CONV_THREADS / 32)
#define STRIDE 24  // of a halo row: no two lanes of an expansion's load share a bank

// The block's shared memory.
struct Shared {
    u32* numbers;     // (unit, step, row, lane) left operands; at the end (component, feature, pixel)
    u32* halo;        // (component, row, STRIDE)
    float* tables;    // the transform, (component, orientation), and its transpose
    u32* places;      // (unit, slot, 2): step among all units' of each number, and its sign bit
};

// Sizes of one launch.
struct Sizes {
    int orientations, units, in_features, out_features;
    int height, width, out_height, out_width, padding;
    int rows;  // of a tile: 1, 2 or 4
};

template <int K>
__device__ __forceinline__ Sizes sizes_of(int orientations, int in_features, int out_features, int height, int width,
                                          int padding, int rows) {
    int more = 2 * padding + 1 - K;
    return {orientations, (orientations + 1) / 2, in_features, out_features, height, width,
            height + more, width + more, padding, rows};
}

// What a filter's width decides.
template <int K> struct Taps {
    static constexpr int PER_ROW = (K + 1) / 2;
    static constexpr int PAIRS = K * PER_ROW;
    static constexpr int TS = (PAIRS + 7) / 8 * 2;
    static constexpr int ROUND = (K * K - 1) / 4;  // slots before the round functions'
    static constexpr int NT = K <= 5 ? 2 : 4;
    static constexpr int UNROLL = PRECISION == F32 ? 1 : K <= 5 ? TS : 2;  // as registers allow
};

// Where the block's tile begins.
struct Tile {
    int image, row, column;
};

__device__ __forceinline__ Tile tile_of(const Sizes& s, int index) {
    int across = (s.out_width + GROUP_CONV_COLUMNS - 1) / GROUP_CONV_COLUMNS, down = (s.out_height + s.rows - 1) / s.rows;
    return {index / (across * down), index / across % down * s.rows, index % across * GROUP_CONV_COLUMNS};
}

__device__ __forceinline__ void load_tables(const Shared& shared, const Sizes& s, const float* transform, const u32* places,
                                            int slots) {
    const int n = GROUP_CONV_ORIENTATIONS;
    for (int e = threadIdx.x; e < n * n; e += GROUP_CONV_THREADS) {
        int component = e / n, o = e % n;
        float v = component < 2 * s.units && o < s.orientations ? transform[component * s.orientations + o] : 0.0f;
        shared.tables[e] = v;
        shared.tables[n * n + o * n + component] = v;
    }
    for (int e = threadIdx.x; e < 2 * s.units * slots; e += GROUP_CONV_THREADS) shared.places[e] = places[e];
}

// One halo position of all orientations.
struct Column {
    float x[GROUP_CONV_ORIENTATIONS];
};

template <int K>
__device__ __forceinline__ void load_column(Column& c, const float* x, const Sizes& s, Tile tile, int f, int row) {
    int lane = threadIdx.x % 32, i = tile.row + row - s.padding, j = tile.column + lane - s.padding;
    bool inside = i >= 0 && i < s.height && j >= 0 && j < s.width && lane < GROUP_CONV_COLUMNS + K - 1 && row < s.rows + K - 1;
    int step = s.in_features * s.height * s.width;
    const float* at = x + (size_t)tile.image * s.orientations * step + (f * s.height + i) * s.width + j;
#pragma unroll
    for (int o = 0; o < GROUP_CONV_ORIENTATIONS; ++o) {
        c.x[o] = inside && o < s.orientations ? __ldg(at) : 0.0f;
        at += step;
    }
}

// Transforms it and puts the components into the halo. All lanes of the warp must come.
template <int K> __device__ __forceinline__ void put_column(const Shared& shared, const Column& c, const Sizes& s, int row) {
    int lane = threadIdx.x % 32, rows = s.rows + K - 1;
#pragma unroll 1
    for (int component = 0; component < 2 * s.units; ++component) {
        const float4* matrix = reinterpret_cast<const float4*>(shared.tables + component * GROUP_CONV_ORIENTATIONS);
        float sum = 0.0f;
#pragma unroll
        for (int o = 0; o < GROUP_CONV_ORIENTATIONS; o += 4) {
            if (o < s.orientations) {
                float4 m = matrix[o / 4];
                sum = fmaf(m.x, c.x[o], sum);
                sum = fmaf(m.y, c.x[o + 1], sum);
                sum = fmaf(m.z, c.x[o + 2], sum);
                sum = fmaf(m.w, c.x[o + 3], sum);
            }
        }
#if PRECISION == BF16
        // A pair of taps in one word.
        u32 word = pack_bf16(sum, __shfl_down_sync(ALL_LANES, sum, 1));
#else
        u32 word = operand(sum);
#endif
        if (lane < STRIDE && row < rows) shared.halo[(component * rows + row) * STRIDE + lane] = word;
    }
}

template <int K>
__device__ __forceinline__ void stage(const Shared& shared, const float* x, const Sizes& s, Tile tile, int f, int from) {
#pragma unroll 1
    for (int row = from + threadIdx.x / 32; row < s.rows + K - 1; row += WARPS) {
        Column c;
        load_column<K>(c, x, s, tile, f, row);
        put_column<K>(shared, c, s, row);
    }
}

// Right operands of the expansion, (tap step, function step, lane, pair), in registers where they fit.
template <int K> struct Basis {
    static constexpr bool KEPT = K <= 5 && PRECISION != F32;
    static constexpr int KEEP = KEPT ? Taps<K>::TS / STEPS * Taps<K>::NT : 1;
    const float2* table;
    u32 kept[KEEP][2];

    __device__ __forceinline__ void fetch(u32 (&b)[2], int step, int n) const {
        const float2* at = table + ((size_t)step * Taps<K>::NT + n) * 32 + threadIdx.x % 32;
        float2 first = __ldg(at);
#if PRECISION == BF16
        float2 second = __ldg(at + Taps<K>::NT * 32);
        b[0] = pack_bf16(first.x, first.y), b[1] = pack_bf16(second.x, second.y);
#else
        b[0] = operand(first.x), b[1] = operand(first.y);
#endif
    }

    __device__ __forceinline__ void open(const float* basis) {
        table = reinterpret_cast<const float2*>(basis);
        if constexpr (KEPT) {
#pragma unroll
            for (int i = 0; i < KEEP; ++i) fetch(kept[i], i / Taps<K>::NT * STEPS, i % Taps<K>::NT);
        }
    }

    __device__ __forceinline__ void load(u32 (&b)[2], int step, int n) const {
        if constexpr (KEPT) {
            b[0] = kept[step / STEPS * Taps<K>::NT + n][0], b[1] = kept[step / STEPS * Taps<K>::NT + n][1];
        } else {
            fetch(b, step, n);
        }
    }
};

// All numbers of the staged input feature.
template <int K> __device__ __forceinline__ void expand(const Shared& shared, const Sizes& s, const Basis<K>& basis) {
    using T = Taps<K>;
    int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4, plane = (s.rows + K - 1) * STRIDE;
#pragma unroll 1
    for (int job = threadIdx.x / 32; job < s.units * s.rows; job += WARPS) {
        int unit = job / s.rows, row = job % s.rows;
        const u32* at = shared.halo + 2 * unit * plane + row * STRIDE + g;
#pragma unroll 1
        for (int n = 0; n < T::NT; n += 2) {
            float d[2][2][4];
#pragma unroll
            for (int i = 0; i < 16; ++i) d[i / 8][i / 4 % 2][i % 4] = 0.0f;
#pragma unroll(T::UNROLL)
            for (int step = 0; step < T::TS; step += STEPS) {
                u32 a[2][4], b[2][2];
                // Pairs beyond the last have zero weight; any place will do.
                auto offset = [&](int step) {
                    int pair = min(step * 4 + t, T::PAIRS - 1);
                    return pair / T::PER_ROW * STRIDE + pair % T::PER_ROW * 2;
                };
                int first = offset(step);
#if PRECISION == BF16
                int second = offset(step + 1);
#else
                int second = first + 1;
#endif
#pragma unroll
                for (int c = 0; c < 2; ++c) {
                    const u32* from = at + c * plane;
                    a[c][0] = from[first], a[c][1] = from[first + 8], a[c][2] = from[second], a[c][3] = from[second + 8];
                }
                basis.load(b[0], step, n);
                basis.load(b[1], step, n + 1);
                multiply(d, a, b);
            }
#pragma unroll
            for (int i = 0; i < 2; ++i) {
                int slot = (n + i) * 4 + t;
                // Of pixel g (h = 0) and g + 8 (h = 1): the two numbers.
                float2 plus[2], minus[2];
                const u32* place = shared.places + (unit * T::NT * 4 + slot) * 2;
                u32 to_plus = place[0], to_minus = place[1];
#pragma unroll
                for (int h = 0; h < 2; ++h) {
                    float x0 = d[0][i][2 * h], y0 = d[0][i][2 * h + 1], x1 = d[1][i][2 * h], y1 = d[1][i][2 * h + 1];
                    if (unit == 0) {
                        plus[h] = make_float2(x0, y0), minus[h] = make_float2(x1, y1);
                    } else if (slot >= T::ROUND) {
                        plus[h] = make_float2(x0, x1), minus[h] = make_float2(y0, y1);
                    } else {
                        plus[h] = make_float2(x0 + y1, x1 - y0), minus[h] = make_float2(x0 - y1, x1 + y0);
                    }
                    plus[h].y = to_plus >> 31 ? -plus[h].y : plus[h].y;
                    minus[h].y = to_minus >> 31 ? -minus[h].y : minus[h].y;
                }
                store_left(shared.numbers + (((to_plus & 0xffffu) * s.rows + row) * 32 + lane) * LEFT_WORDS, plus[0], plus[1]);
                store_left(shared.numbers + (((to_minus & 0xffffu) * s.rows + row) * 32 + lane) * LEFT_WORDS, minus[0], minus[1]);
            }
        }
    }
}

// A warp's part of the output: two rows of pixels, two steps of features, both components of its unit.
struct Part {
    int unit, row, count;  // count: rows it has
};

__device__ __forceinline__ Part part_of(const Sizes& s) {
    int warp = threadIdx.x / 32, per_unit = (s.rows + 1) / 2;
    return {warp / per_unit, warp % per_unit * 2, warp < s.units * per_unit ? min(s.rows, 2) : 0};
}

// d[component][row][feature step] += numbers times weights of one input feature.
template <int NT>
__device__ __forceinline__ void mix(const Shared& shared, const Sizes& s, Part part, const u32* weights, int across,
                                    float (&d)[2][2][2][4]) {
    int lane = threadIdx.x % 32;
    const u32* right = weights + (size_t)part.unit * 2 * NT * across;
    const u32* left = shared.numbers + ((part.unit * 2 * NT * s.rows + part.row) * 32 + lane) * LEFT_WORDS;
    int step_stride = s.rows * 32 * LEFT_WORDS, lower = (part.count - 1) * 32 * LEFT_WORDS;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
#pragma unroll 1
        for (int step = half * NT; step < half * NT + NT; step += STEPS) {
            u32 a[2][4], b[2][2];
            load_left(a[0], left + step * step_stride, step_stride);
            load_left(a[1], left + step * step_stride + lower, step_stride);
            load_right(b[0], right + step * across, across);
            load_right(b[1], right + step * across + 32 * RIGHT_WORDS, across);
            if (part.unit == 0) {
                multiply(d[half], a, b);
            } else {
                multiply(d[0], a, b);
                turn(b[0]);
                turn(b[1]);
                multiply(d[1], a, b);
            }
        }
    }
}

// How what leaves is finished; `code` < 0: not at all.
struct Ending {
    const float *mean, *variance, *gain, *offset;
    int groups, code;
};

// Inverse transform of the block's sums, through shared memory.
__device__ __forceinline__ void finish(const Shared& shared, const Sizes& s, Tile tile, int chunk, Part part,
                                       const float (&d)[2][2][2][4], Ending ending, float* y) {
    int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4, pixels = s.rows * GROUP_CONV_COLUMNS;
    float* sums = reinterpret_cast<float*>(shared.numbers);
    // Features differ in t: turn their pixels so that the lanes' banks differ.
    auto at = [&](int component, int feature, int pixel) {
        return (component * GROUP_CONV_FEATURES + feature) * pixels + (pixel ^ ((feature / 2 % 4 * 8) & (pixels - 1)));
    };
#pragma unroll
    for (int i = 0; i < 32; ++i) {
        int component = i / 16, r = i / 8 % 2, n = i / 4 % 2, e = i % 4;
        int feature = n * 8 + 2 * t + e % 2, pixel = (part.row + r) * GROUP_CONV_COLUMNS + g + e / 2 * 8;
        if (r < part.count) sums[at(2 * part.unit + component, feature, pixel)] = d[component][r][n][e];
    }
    __syncthreads();
    size_t area = (size_t)s.out_height * s.out_width;
#pragma unroll 1
    for (int e = threadIdx.x; e < GROUP_CONV_FEATURES * pixels; e += GROUP_CONV_THREADS) {
        int pixel = e % pixels, feature = e / pixels, channel = chunk * GROUP_CONV_FEATURES + feature;
        int row = tile.row + pixel / GROUP_CONV_COLUMNS, column = tile.column + pixel % GROUP_CONV_COLUMNS;
        if (channel >= s.out_features || row >= s.out_height || column >= s.out_width) continue;
        float v[GROUP_CONV_ORIENTATIONS];
#pragma unroll
        for (int c = 0; c < GROUP_CONV_ORIENTATIONS; ++c) v[c] = c < 2 * s.units ? sums[at(c, feature, pixel)] : 0.0f;
#pragma unroll 1
        for (int q = 0; q < s.orientations; ++q) {
            const float4* matrix = reinterpret_cast<const float4*>(shared.tables + (GROUP_CONV_ORIENTATIONS + q) * GROUP_CONV_ORIENTATIONS);
            float sum = 0.0f;
#pragma unroll
            for (int c = 0; c < GROUP_CONV_ORIENTATIONS; c += 4) {
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
                Line line = line_of(ending.mean, ending.variance, ending.gain, ending.offset, out % ending.groups);
                sum = finished(line, ending.code, sum);
            }
            y[((size_t)tile.image * s.orientations * s.out_features + out) * area + row * s.out_width + column] = sum;
        }
    }
}

template <int K>
__device__ __forceinline__ void convolve(const Shared& shared, const Sizes& s, const float* x, const float* transform,
                                         const float* table, const u32* places, const u32* weights, Ending ending, float* y) {
    using T = Taps<K>;
    Tile tile = tile_of(s, blockIdx.x);
    Part part = part_of(s);
    int chunk = blockIdx.y, warp = threadIdx.x / 32;
    // Words of a step of all output features, and of an input feature.
    int across = (s.out_features + GROUP_CONV_FEATURES - 1) / GROUP_CONV_FEATURES * 2 * 32 * RIGHT_WORDS;
    size_t per_feature = (size_t)s.units * 2 * T::NT * across;
    weights += (chunk * 2 * 32 + threadIdx.x % 32) * RIGHT_WORDS;
    load_tables(shared, s, transform, places, T::NT * 4);
    Basis<K> basis;
    basis.open(table);
    float d[2][2][2][4];
#pragma unroll
    for (int i = 0; i < 32; ++i) d[i / 16][i / 8 % 2][i / 4 % 2][i % 4] = 0.0f;
    __syncthreads();
    stage<K>(shared, x, s, tile, 0, 0);
    for (int f = 0; f < s.in_features; ++f) {
        __syncthreads();
        expand(shared, s, basis);
        __syncthreads();
        // The next feature's loads fly while this one is mixed.
        Column next;
        bool more = f + 1 < s.in_features;
        if (more) load_column<K>(next, x, s, tile, f + 1, warp);
        if (part.count > 0) mix<T::NT>(shared, s, part, weights + f * per_feature, across, d);
        if (more) {
            put_column<K>(shared, next, s, warp);
            stage<K>(shared, x, s, tile, f + 1, WARPS);
        }
    }
    __syncthreads();
    finish(shared, s, tile, chunk, part, d, ending, y);
}

// By the filters' width. `ending`: 0 leaves y as it is, otherwise it is normalised with fixed statistics and then
// activated, by code `ending` - 1.
extern "C" __global__ void __launch_bounds__(GROUP_CONV_THREADS, 2) group_conv_forward_3(
    const float* x /* (B, O F_in, H, W) */, const float* transform /* (2 units, O) */, const float* basis /* (TS, NT, 32, 2) */,
    const u32* places /* (units, slots, 2) */, const float* weights /* as group_conv_weights leaves them */,
    const float* mean /* (groups) */, const float* variance /* (groups) */, const float* gain /* (groups) */,
    const float* offset /* (groups) */, float* y /* (B, O F_out, H', W') */, int orientations, int in_features,
    int out_features, int height, int width, int padding, int rows, int groups, int gained, int ending) {
    __shared__ float4 numbers[GROUP_CONV_NUMBERS / 4], tables[GROUP_CONV_TABLES / 4];
    __shared__ u32 halo[GROUP_CONV_HALO], destinations[2 * GROUP_CONV_SLOTS];
    Shared shared = {reinterpret_cast<u32*>(numbers), halo, reinterpret_cast<float*>(tables), destinations};
    Sizes s = sizes_of<3>(orientations, in_features, out_features, height, width, padding, rows);
    Ending end = {mean, variance, gained ? gain : nullptr, offset, groups, ending - 1};
    convolve<3>(shared, s, x, transform, basis, places, reinterpret_cast<const u32*>(weights), end, y);
}

extern "C" __global__ void __launch_bounds__(GROUP_CONV_THREADS, 2) group_conv_forward_5(
    const float* x /* (B, O F_in, H, W) */, const float* transform /* (2 units, O) */, const float* basis /* (TS, NT, 32, 2) */,
    const u32* places /* (units, slots, 2) */, const float* weights /* as group_conv_weights leaves them */,
    const float* mean /* (groups) */, const float* variance /* (groups) */, const float* gain /* (groups) */,
    const float* offset /* (groups) */, float* y /* (B, O F_out, H', W') */, int orientations, int in_features,
    int out_features, int height, int width, int padding, int rows, int groups, int gained, int ending) {
    __shared__ float4 numbers[GROUP_CONV_NUMBERS / 4], tables[GROUP_CONV_TABLES / 4];
    __shared__ u32 halo[GROUP_CONV_HALO], destinations[2 * GROUP_CONV_SLOTS];
    Shared shared = {reinterpret_cast<u32*>(numbers), halo, reinterpret_cast<float*>(tables), destinations};
    Sizes s = sizes_of<5>(orientations, in_features, out_features, height, width, padding, rows);
    Ending end = {mean, variance, gained ? gain : nullptr, offset, groups, ending - 1};
    convolve<5>(shared, s, x, transform, basis, places, reinterpret_cast<const u32*>(weights), end, y);
}

extern "C" __global__ void __launch_bounds__(GROUP_CONV_THREADS, 2) group_conv_forward_7(
    const float* x /* (B, O F_in, H, W) */, const float* transform /* (2 units, O) */, const float* basis /* (TS, NT, 32, 2) */,
    const u32* places /* (units, slots, 2) */, const float* weights /* as group_conv_weights leaves them */,
    const float* mean /* (groups) */, const float* variance /* (groups) */, const float* gain /* (groups) */,
    const float* offset /* (groups) */, float* y /* (B, O F_out, H', W') */, int orientations, int in_features,
    int out_features, int height, int width, int padding, int rows, int groups, int gained, int ending) {
    __shared__ float4 numbers[GROUP_CONV_NUMBERS / 4], tables[GROUP_CONV_TABLES / 4];
    __shared__ u32 halo[GROUP_CONV_HALO], destinations[2 * GROUP_CONV_SLOTS];
    Shared shared = {reinterpret_cast<u32*>(numbers), halo, reinterpret_cast<float*>(tables), destinations};
    Sizes s = sizes_of<7>(orientations, in_features, out_features, height, width, padding, rows);
    Ending end = {mean, variance, gained ? gain : nullptr, offset, groups, ending - 1};
    convolve<7>(shared, s, x, transform, basis, places, reinterpret_cast<const u32*>(weights), end, y);
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
    float pair[2] = {0.0f, 0.0f};
    if (g < out_features) {
        const float* from = c + f * in_stride + g * out_stride;
        int size = in_features * out_features, row = (step * 4 + lane % 4) * 2;
#pragma unroll
        for (int e = 0; e < 2; ++e)
            for (int i = 0; i < 2; ++i) {
                int term = (row + e) * 2 + i;
                size_t block = (size_t)functions[term] * orientations;
                for (int s = 0; s < orientations; ++s)
                    pair[e] = fmaf(factors[term * orientations + s], from[(block + s) * size], pair[e]);
            }
    }
    store_right(reinterpret_cast<u32*>(weights) + (size_t)at * RIGHT_WORDS, pair[0], pair[1]);
}
