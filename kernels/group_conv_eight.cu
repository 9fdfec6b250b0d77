// Rotation-equivariant convolution over 8 orientations in the orientation-Fourier domain (group_conv.cu has the general one).
//
// A block owns `rows` x 32 `across` output pixels of one image and 16 output features at all orientations, and walks over the input
// features: transforms the halo of the next while its warps expand and mix their pixels of this one. Numbers stay in their warp, and
// in their lane: the sums of one product are operands of the next.
//
// A lane holds a slot: a cosine and a sine of one order, or two round functions, of both components of a unit (0: frequencies 0 and
// 4; 1 to 3: the parts of a frequency). From these come two complex numbers, plus and minus; of unit 0 they are the pairs of
// frequency 0 and of 4. Slots are in two groups of four: odd orders, with what is left of the round functions behind them, and even
// ones: round functions, twice order 2, order 4. So a lane's place says which output unit takes which (plus, minus):
//
//     orders    unit 0    unit 1    unit 2    unit 3
//     odd       1, 3      0, 2      1, 3      2, 0
//     0         0, 0      1, 1      2, 2      3, 3
//     2         2, 2      1, 3      0, 0      1, 3
//     4         0, 0      3, 3      2, 2      1, 1
//
// Weights know the rest (src/ops/group_conv/eight.rs): signs, scales of the transforms, round functions from plus and minus.
#include "eight.cuh"
#include "line.cuh"
#include "mixing.cuh"

#define EIGHT_THREADS 256
#define EIGHT_FEATURES 16
#define EIGHT_STEPS 32  // of the weights: (unit, group, part, half)
#define EIGHT_SHARED_3 16516
#define EIGHT_SHARED_5 21380

static_assert(PRECISION != F32, "matrix products");
static_assert(EIGHT_THREADS == THREADS, "what eight.cuh takes");

constexpr int FINISH_PITCH = 36;

template <int K> struct Forward : Eight<K> {
    using Eight<K>::TILES;
    static constexpr int STRIPS = WARPS * TILES / 2;  // of a block
    static constexpr int PLANE = (STRIPS / 4 + K - 1) * 152 / WIDE;
    static constexpr int HALF = 4 / WIDE;                      // words of four numbers of 16 pixels
    static constexpr int WEIGHTS = EIGHT_STEPS / WIDE * 128;   // words of a feature's weights
    static constexpr int SHARED = 2 * 8 * PLANE + 2 * WEIGHTS + 2 * PLACES * THREADS + 4;
    static_assert(SHARED <= (K == 3 ? EIGHT_SHARED_3 : EIGHT_SHARED_5) && STRIPS * 2 * EIGHT_FEATURES * FINISH_PITCH <= SHARED, "the halo, the weights, the output");
};

// Four numbers of pixels g and g + 8, as half of a left operand.
struct Half {
    u32 w[4 / WIDE];
    __device__ __forceinline__ void set(float2 upper, float2 lower) {
#if PRECISION == BF16
        w[0] = pack_bf16(upper.x, upper.y), w[1] = pack_bf16(lower.x, lower.y);
#else
        w[0] = operand(upper.x), w[1] = operand(lower.x), w[2] = operand(upper.y), w[3] = operand(lower.y);
#endif
    }
};

__device__ __forceinline__ Half choose(bool yes, const Half& a, const Half& b) {
    Half r;
#pragma unroll
    for (int i = 0; i < 4 / WIDE; ++i) r.w[i] = yes ? a.w[i] : b.w[i];
    return r;
}

// The numbers of a unit's slots, odd and even, of each tile.
template <int TILES> struct Numbers {
    struct Pair {
        Half plus, minus;
    };
    Pair odd[TILES], even[TILES];
};

// What a warp keeps.
template <int K> struct Warp {
    static constexpr int TILES = Forward<K>::TILES, TS = Forward<K>::TS, PLANE = Forward<K>::PLANE, WINDOW = Forward<K>::WINDOW;
    u32 basis[TILES][TS][2][2];
    int shift, at[WINDOW];       // words from the first tile to the second, words of the halo
    float sums[TILES][4][2][2][4];  // (tile, unit, part, eight features)

    // `table`: of even and of odd pixels; `tile`: the first one; `first`: its word.
    __device__ __forceinline__ void open(const float* table, int tile, int padding, int stride, int first) {
        bool odd = padding & 1;
        shift = odd ? 2 / WIDE : 0;
        int lane = threadIdx.x % 32, t = lane % 4;
#pragma unroll
        for (int i = 0; i < TILES * TS * 2; ++i) {
            int r = i / (TS * 2), of = i % (TS * 2);
            const float2* from = reinterpret_cast<const float2*>(table) + ((tile + r + odd) % 2 * TS * 2 + of) * WIDE * 32 + lane;
            u32(&b)[2] = basis[r][of / 2][of % 2];
            float2 pair = __ldg(from);
#if PRECISION == BF16
            float2 more = __ldg(from + 32);
            b[0] = pack_bf16(pair.x, pair.y), b[1] = pack_bf16(more.x, more.y);
#else
            b[0] = operand(pair.x), b[1] = operand(pair.y);
#endif
        }
#pragma unroll
        for (int i = 0; i < WINDOW; ++i) {
            // Pairs beyond the last have zero weight; any place will do.
            int pair = min(i * 4 + t, K * Forward<K>::PER_ROW - 1);
            int word = pair / Forward<K>::PER_ROW * stride + pair % Forward<K>::PER_ROW * 2 / WIDE;
            at[i] = first + lane / 4 * 2 / WIDE + tile * shift + word;
        }
#pragma unroll
        for (int i = 0; i < TILES * 64; ++i) sums[i / 64][i / 16 % 4][i / 8 % 2][i / 4 % 2][i % 4] = 0.0f;
    }

    template <int UNIT> __device__ __forceinline__ void expand(const u32* halo, Numbers<TILES>& to) const {
        u32 window[2][WINDOW][4 / WIDE];
        if (UNIT > 0) __syncwarp();  // keeps the reads of one unit from crowding into another
#pragma unroll
        for (int r = 0; r < TILES; ++r) {
            // Both tiles of a strip read the same words, unless the padding is odd, which it is not for every width.
            if (r == 0 || K != 5) {
#pragma unroll
                for (int i = 0; i < 2 * WINDOW; ++i) {
                    u32(&w)[4 / WIDE] = window[i / WINDOW][i % WINDOW];
                    const u32* from = halo + (2 * UNIT + i / WINDOW) * PLANE + at[i % WINDOW] + r * shift;
                    w[0] = from[0], w[1] = from[16 / WIDE];
#if PRECISION == TF32
                    w[2] = from[1], w[3] = from[17];
#endif
                }
            }
            __syncwarp();
            float d[2][2][4];
#pragma unroll
            for (int i = 0; i < 16; ++i) d[i / 8][i / 4 % 2][i % 4] = 0.0f;
#pragma unroll
            for (int i = 0; i < TS * 4; ++i) {
                int s = i / 4, c = i / 2 % 2, n = i % 2;
#if PRECISION == BF16
                const u32(&first)[2] = window[c][2 * s], (&second)[2] = window[c][2 * s + 1];
                u32 a[4] = {first[0], first[1], second[0], second[1]};
                mma_bf16(d[c][n], a, basis[r][s][n]);
#else
                mma_tf32(d[c][n], window[c][s], basis[r][s][n]);
#endif
            }
            combine<UNIT, true>(d, to.odd[r]);
            combine<UNIT, false>(d, to.even[r]);
        }
    }

    // Plus and minus from the responses of both components.
    template <int UNIT, bool ODD> static __device__ __forceinline__ void combine(const float (&d)[2][2][4], typename Numbers<TILES>::Pair& to) {
        // Of the odd slots order 3 goes from unit 0 and from unit 2 the other way.
        bool other = ODD && K == 5 && UNIT % 2 == 0 && threadIdx.x % 4 == 2;
        float2 plus[2], minus[2];
#pragma unroll
        for (int h = 0; h < 2; ++h) {
            int n = ODD ? 0 : 1;
            float x0 = d[0][n][2 * h], y0 = d[0][n][2 * h + 1], x1 = d[1][n][2 * h], y1 = d[1][n][2 * h + 1];
            if (UNIT == 0) {
                plus[h] = make_float2(x0, y0), minus[h] = make_float2(x1, y1);
            } else {
                plus[h] = make_float2(x0 + y1, x1 - y0), minus[h] = make_float2(x0 - y1, x1 + y0);
            }
        }
        to.plus.set(plus[0], plus[1]), to.minus.set(minus[0], minus[1]);
        Half was = to.plus;
        to.plus = choose(other, to.minus, to.plus), to.minus = choose(other, was, to.minus);
    }

    // Adds to a unit's output what its weights make of a group's two times four numbers; `weights`: this lane's.
    __device__ __forceinline__ void mix(int unit, int group, const u32* weights, const Half (&first)[TILES], const Half (&second)[TILES]) {
#pragma unroll
        for (int i = 0; i < 4 / WIDE; ++i) {
            uint4 b = reinterpret_cast<const uint4*>(weights)[((unit * 2 + group) * 4 / WIDE + i) * 32];
            u32 right[2][2] = {{b.x, b.y}, {b.z, b.w}};
            int part = i * WIDE / 2;
#pragma unroll
            for (int j = 0; j < TILES * 2; ++j) {
                int r = j / 2, n = j % 2;
#if PRECISION == BF16
                u32 a[4] = {first[r].w[0], first[r].w[1], second[r].w[0], second[r].w[1]};
                mma_bf16(sums[r][unit][part][n], a, right[n]);
#else
                mma_tf32(sums[r][unit][part][n], i % 2 ? second[r].w : first[r].w, right[n]);
#endif
            }
        }
    }

    // A feature, of which `halo` and `weights` are in shared memory.
    __device__ __forceinline__ void feature(const u32* halo, const u32* weights) {
        int t = threadIdx.x % 4;
        bool two = t == 1 || t == 2, spare = K == 5 && t == 3;
        weights += threadIdx.x % 32 * 4;
        auto route = [&](int unit, int group, auto left, auto right) {
            Half first[TILES], second[TILES];
#pragma unroll
            for (int r = 0; r < TILES; ++r) first[r] = left(r), second[r] = right(r);
            mix(unit, group, weights, first, second);
        };
        Numbers<TILES> n0, n1, n2, n3;
        expand<0>(halo, n0);
        expand<2>(halo, n2);
        route(0, 1, [&](int r) { return choose(two, n2.even[r].plus, n0.even[r].plus); },
              [&](int r) { return choose(two, n2.even[r].minus, n0.even[r].minus); });
        route(2, 1, [&](int r) { return choose(two, n0.even[r].plus, n2.even[r].plus); },
              [&](int r) { return choose(two, n0.even[r].minus, n2.even[r].minus); });
        expand<1>(halo, n1);
        // Round functions stay in their unit.
        route(1, 0, [&](int r) { return choose(spare, n1.odd[r].plus, n0.odd[r].plus); }, [&](int r) { return n2.odd[r].plus; });
        Half to_unit_0[TILES], to_unit_2[TILES];
#pragma unroll
        for (int r = 0; r < TILES; ++r)
            to_unit_0[r] = choose(spare, n0.odd[r].plus, n1.odd[r].plus), to_unit_2[r] = choose(spare, n2.odd[r].plus, n1.odd[r].minus);
        expand<3>(halo, n3);
        route(1, 1, [&](int r) { return choose(t == 3, n3.even[r].minus, n1.even[r].plus); },
              [&](int r) { return choose(t == 0, n1.even[r].minus, n3.even[r].plus); });
        route(3, 1, [&](int r) { return choose(t == 0, n3.even[r].plus, n1.even[r].minus); },
              [&](int r) { return choose(t == 3, n1.even[r].plus, n3.even[r].minus); });
        route(3, 0, [&](int r) { return choose(spare, n3.odd[r].plus, n0.odd[r].minus); }, [&](int r) { return n2.odd[r].minus; });
        route(2, 0, [&](int r) { return to_unit_2[r]; }, [&](int r) { return n3.odd[r].plus; });
        route(0, 0, [&](int r) { return to_unit_0[r]; }, [&](int r) { return choose(spare, n0.odd[r].minus, n3.odd[r].minus); });
    }
};

// How what leaves is finished; `code` < 0: not at all.
struct Ending {
    const float *mean, *variance, *gain, *offset;
    int groups, has_gain, code;
};

// Of a strip of a row: the inverse transform, then by way of shared memory pixels in twos to memory.
template <int TILES>
__device__ __forceinline__ void finish(float (&sums)[TILES][4][2][2][4], float* strip, int tile, const Layer& l, int image, int row, int column,
                                       int chunk, Ending ending, Map* y) {
    int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4, area = l.out_height * l.out_width;
#pragma unroll
    for (int i = 0; i < TILES * 8; ++i) {
        float v[8];
#pragma unroll
        for (int c = 0; c < 8; ++c) v[c] = sums[i / 8][c / 2][c % 2][i / 4 % 2][i % 4];
        transform_back(v);
#pragma unroll
        for (int c = 0; c < 8; ++c) sums[i / 8][c / 2][c % 2][i / 4 % 2][i % 4] = v[c];
    }
    int j = column + lane % 16 * 2;
    Map* to = y + (size_t)image * 8 * l.out_features * area + row * l.out_width + j;
#pragma unroll
    for (int quarter = 0; quarter < 4; ++quarter) {
        __syncthreads();
#pragma unroll
        for (int q = 0; q < 2; ++q)
#pragma unroll
            for (int i = 0; i < 8; ++i) {
                float* at = strip + (q * EIGHT_FEATURES + i / 4 * 8 + 2 * t + i % 2) * FINISH_PITCH + (g + i / 2 % 2 * 8) * 2 + tile;
                at[0] = sums[0][quarter][q][i / 4][i % 4];
                if (TILES == 2) at[1] = sums[TILES - 1][quarter][q][i / 4][i % 4];
            }
        __syncthreads();
        if (row >= l.out_height || j >= l.out_width) continue;
#pragma unroll 2
        for (int i = lane / 16 + 2 * tile; i < 2 * EIGHT_FEATURES; i += 4 / TILES) {
            int feature = chunk * EIGHT_FEATURES + i % EIGHT_FEATURES, channel = (quarter * 2 + i / EIGHT_FEATURES) * l.out_features + feature;
            if (feature >= l.out_features) continue;
            float2 v = *reinterpret_cast<const float2*>(strip + i * FINISH_PITCH + lane % 16 * 2);
            if (ending.code >= 0) {
                int group = channel;
                while (group >= ending.groups) group -= ending.groups;
                Line line = line_of(ending.mean, ending.variance, ending.gain, ending.offset, ending.has_gain, group);
                v.x = activation_value(ending.code, line.at(v.x)), v.y = activation_value(ending.code, line.at(v.y));
            }
            store_two(to + (size_t)channel * area, v);
        }
    }
}

template <int K>
__device__ __forceinline__ void convolve(u32* shared, const Layer& l, const Map* x, const float* basis, const u32* weights, Ending ending,
                                         Map* y) {
    using F = Forward<K>;
    int warp = threadIdx.x / 32;
    Tile tile = tile_of(l, blockIdx.x);
    u32* kept = shared + 2 * 8 * F::PLANE;  // weights
    for (int i = threadIdx.x; i < 2 * 8 * F::PLANE; i += THREADS) shared[i] = 0;
    auto copy_weights = [&](int f) {
        int own = threadIdx.x * 4;
        const u32* from = weights + (size_t)(f * gridDim.y + blockIdx.y) * F::WEIGHTS + own;
        u32* to = kept + f % 2 * F::WEIGHTS + own;
#pragma unroll
        for (int i = 0; i < F::WEIGHTS; i += THREADS * 4)
            if (i + THREADS * 4 <= F::WEIGHTS || i + own < F::WEIGHTS) begin_copy(to + i, from + i, true);
        close_copies();
    };
    int area = l.height * l.width, step = l.in_features * area;
    // Needed once a feature or less; registers are dear.
    int2* noted = reinterpret_cast<int2*>(kept + 2 * F::WEIGHTS);
    int4* noted_tile = reinterpret_cast<int4*>(noted + PLACES * THREADS);
    if (threadIdx.x == 0) *noted_tile = make_int4(tile.image, tile.row, tile.column, 0);
    auto plane = [&](int f) { return x + ((size_t)noted_tile->x * 8 * l.in_features + f) * area; };
    Place places[PLACES];
    find_places<K>(places, l, tile);
#pragma unroll
    for (int i = 0; i < PLACES; ++i) noted[i * THREADS + threadIdx.x] = make_int2(places[i].from, places[i].to);
    auto place = [&](int i) {
        int2 words = noted[i * THREADS + opaque(threadIdx.x)];
        return Place{words.x, words.y};
    };
    auto put_others = [&](int f, u32* to) {
        if (place(1).from < 0) return;
        Twos twos;
        twos.load(plane(f), place(1), step);
        twos.put(to, F::PLANE, place(1));
    };
    Warp<K> w;
    int strip = warp * F::TILES / 2, first_tile = F::TILES == 2 ? 0 : warp % 2, row = strip / l.across, column = strip % l.across * COLUMNS;
    w.open(basis, first_tile, l.padding, stride_of(l), row * stride_of(l) + column / WIDE);
    __syncthreads();
    copy_weights(0);
    {
        Twos twos;
        twos.load(plane(0), place(0), step);
        twos.put(shared, F::PLANE, place(0));
    }
    put_others(0, shared);
#pragma unroll 1
    for (int f = 0; f < l.in_features; ++f) {
        wait_for_copies<0>();
        __syncthreads();
        bool more = f + 1 < l.in_features;
        if (more) copy_weights(f + 1);
        w.feature(shared, kept + f % 2 * F::WEIGHTS);
        __syncwarp();  // keeps registers for it
        Place own = place(0);
        Twos twos;
        twos.load(plane(f + 1), {more ? own.from : -1, own.to}, step);
        u32* to = shared + (f + 1) % 2 * 8 * F::PLANE;
        if (more) {
            twos.put(to, F::PLANE, place(0));
            put_others(f + 1, to);
        }
#pragma unroll
        for (int i = 0; i < F::WINDOW; ++i) w.at[i] += f % 2 ? -8 * F::PLANE : 8 * F::PLANE;
    }
    int4 noted_now = *noted_tile;
    tile = {noted_now.x, noted_now.y, noted_now.z}, strip = opaque(threadIdx.x) / 32 * F::TILES / 2;
    first_tile = F::TILES == 2 ? 0 : opaque(threadIdx.x) / 32 % 2;
    row = tile.row + strip / l.across, column = tile.column + strip % l.across * COLUMNS;
    finish<F::TILES>(w.sums, reinterpret_cast<float*>(shared) + strip * 2 * EIGHT_FEATURES * FINISH_PITCH, first_tile, l, tile.image, row, column,
                     blockIdx.y, ending, y);
}

extern "C" __global__ void __launch_bounds__(EIGHT_THREADS, 1) group_conv_eight_3(
    const Map* x /* (B, 8 F_in, H, W) */, const float* basis /* (2, TS, 2, 8 / TILES, 32, 2) */,
    const float* weights /* as group_conv_eight_weights leaves them */, const float* mean /* (groups) */,
    const float* variance /* (groups) */, const float* gain /* (groups) */, const float* offset /* (groups) */,
    Map* y /* (B, 8 F_out, H', W') */, int in_features, int out_features, int height, int width, int padding, int across, int rows,
    int groups, int has_gain, int ending) {
    DYNAMIC_SHARED(shared, EIGHT_SHARED_3);
    Layer l = layer_of<3>(in_features, out_features, height, width, padding, across, rows);
    Ending end = {mean, variance, gain, offset, groups, has_gain, ending - 1};
    convolve<3>(shared, l, x, basis, reinterpret_cast<const u32*>(weights), end, y);
}

extern "C" __global__ void __launch_bounds__(EIGHT_THREADS, 1) group_conv_eight_5(
    const Map* x /* (B, 8 F_in, H, W) */, const float* basis /* (2, TS, 2, 8 / TILES, 32, 2) */,
    const float* weights /* as group_conv_eight_weights leaves them */, const float* mean /* (groups) */,
    const float* variance /* (groups) */, const float* gain /* (groups) */, const float* offset /* (groups) */,
    Map* y /* (B, 8 F_out, H', W') */, int in_features, int out_features, int height, int width, int padding, int across, int rows,
    int groups, int has_gain, int ending) {
    DYNAMIC_SHARED(shared, EIGHT_SHARED_5);
    Layer l = layer_of<5>(in_features, out_features, height, width, padding, across, rows);
    Ending end = {mean, variance, gain, offset, groups, has_gain, ending - 1};
    convolve<5>(shared, l, x, basis, reinterpret_cast<const u32*>(weights), end, y);
}

// The mixing weights as right operands, (F_in, chunk of output features, step, lane): of two halves and eights of features beside
// each other (TF32: of two eights). Coefficients are c[(function 8 + s) size + f in_stride + g out_stride].
extern "C" __global__ void __launch_bounds__(EIGHT_THREADS) group_conv_eight_weights(
    const float* factors /* (steps 4, 2, 2, 8) */, const u32* functions /* (steps 4, 2, 2) */, const float* c /* (M, 8 F, F) */,
    float* weights /* (F_in, chunks, steps / WIDE, 32, 4) */, int in_features, int out_features, int in_stride, int out_stride) {
    int at = blockIdx.x * EIGHT_THREADS + threadIdx.x, lane = at % 32, eight = at / 32 % 2, step = at / 64 % EIGHT_STEPS;
    int chunks = (out_features + EIGHT_FEATURES - 1) / EIGHT_FEATURES, chunk = at / 64 / EIGHT_STEPS % chunks, f = at / 64 / EIGHT_STEPS / chunks;
    int g = chunk * EIGHT_FEATURES + eight * 8 + lane / 4;
    if (f >= in_features) return;
    float2 pair = make_float2(0.0f, 0.0f);
    if (g < out_features)
        pair = mixing_weights(factors, functions, c + f * in_stride + g * out_stride, step * 4 + lane % 4, 8, in_features * out_features);
    u32* to = reinterpret_cast<u32*>(weights) + (((size_t)f * chunks + chunk) * EIGHT_STEPS + step) / WIDE * 128 + lane * 4;
    store_right(to + (PRECISION == BF16 ? eight * 2 + step % 2 : eight * 2), pair.x, pair.y);
}
