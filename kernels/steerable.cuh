// What the orientation-Fourier kernels share: from an input feature's planes to the numbers that frequencies are mixed from.
//
// - stage: loads the planes' halo, transforms over orientation, puts operands in shared memory (`halo`). The packed
//   components go in units: unit 0 has frequencies 0 and O/2 (zero for odd O), unit v the parts of frequency v.
// - expand: pixels x taps times taps x functions. A lane gets the values of a slot, two neighbouring functions, for both
//   components of a unit: a cosine and a sine, or two round functions. From these it makes, without any exchange, two
//   complex numbers, and hands each on with its step: the place in the product of the frequency that takes it. Taps go
//   in pairs along a row, so a width k takes (k + 1) / 2 pairs.
//
// F32 has no fragments to share out: a lane reads the taps of two neighbouring pixels and of its four functions, and multiplies.
//
// NT: steps (of four slots) of the functions, TS: of the taps' pairs; both even, as BF16 wants. An output unit has 2 NT
// steps; in unit 0 each real frequency has NT.
#pragma once
#include "fragments.cuh"
#include "map.cuh"
#include "transform.cuh"

constexpr int THREADS = 256;
constexpr int WARPS = THREADS / 32;
constexpr int COLUMNS = 16;       // of a tile
constexpr int ORIENTATIONS = 16;  // at most
constexpr int USUAL = 8;          // orientations for which sizes are constants
constexpr int STRIDE = 24;        // of a halo row: no two lanes of an expansion's load share a bank

// The block's shared memory.
struct Shared {
    u32* numbers;     // what the kernel makes of the expansion
    u32* halo;        // (component, row, STRIDE)
    float* tables;    // the transform, (component, orientation), and, where it is wanted, its transpose
    u32* places;      // (unit, slot, 2): step among all units' of each number, and its sign bit
    float4* basis;    // F32: the basis, where there is room
};

// g and t of this lane. In F32 one neighbour has the same g and one the same t: what they read is one pass of shared memory.
__device__ __forceinline__ int lane_g() {
    int lane = threadIdx.x % 32;
    return PRECISION == F32 ? lane / 8 * 2 + lane % 2 : lane / 4;
}
__device__ __forceinline__ int lane_t() { return PRECISION == F32 ? threadIdx.x / 2 % 4 : threadIdx.x % 4; }
// The lane that has them in tables.
__device__ __forceinline__ int lane_of_tables() { return lane_g() * 4 + lane_t(); }
// Of the two pixels of a row of 16 that a lane has.
__device__ __forceinline__ int lane_pixel(int h) { return PRECISION == F32 ? lane_g() * 2 + h : lane_g() + 8 * h; }

template <int N> struct Most {
    static constexpr int COUNT = N;
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

// A tile's rows are a power of two; divisions by them are shifts.
__device__ __forceinline__ int row_bits(const Sizes& s) { return s.rows >> 1; }

// Calls body(sizes, most orientations): with constants in the sizes of the USUAL orientations, whose tiles have ROWS rows.
template <int ROWS, class Body> __device__ __forceinline__ void by_orientations(Sizes s, Body body) {
    if (s.orientations == USUAL && s.rows == ROWS) {
        s.orientations = USUAL, s.units = USUAL / 2, s.rows = ROWS;
        body(s, Most<USUAL>());
    } else {
        body(s, Most<ORIENTATIONS>());
    }
}

// What a filter's width decides.
template <int K> struct Taps {
    static constexpr int PER_ROW = (K + 1) / 2;
    static constexpr int PAIRS = K * PER_ROW;
    static constexpr int TS = (PAIRS + 7) / 8 * 2;
    static constexpr int ROUND = (K * K - 1) / 4;  // slots before the round functions'
    static constexpr int NT = K <= 5 ? 2 : 4;
    static constexpr int UNROLL = K <= 5 ? TS : 2;  // as registers allow
    static constexpr int BASIS = PRECISION == F32 && K <= 5 ? K * K * 4 : 1;  // quads of it in shared memory
};

// Where the block's tile begins.
struct Tile {
    int image, row, column;
};

__device__ __forceinline__ Tile tile_of(const Sizes& s, int index) {
    int across = (s.out_width + COLUMNS - 1) / COLUMNS, down = (s.out_height + s.rows - 1) / s.rows;
    return {index / (across * down), index / across % down * s.rows, index % across * COLUMNS};
}

// The one after it.
__device__ __forceinline__ void next_tile(const Sizes& s, Tile& tile) {
    if ((tile.column += COLUMNS) < s.out_width) return;
    tile.column = 0;
    if ((tile.row += s.rows) < s.out_height) return;
    tile.row = 0;
    ++tile.image;
}

// INVERSE: also the transpose of the transform.
template <bool INVERSE>
__device__ __forceinline__ void load_tables(const Shared& shared, const Sizes& s, const float* transform, const u32* places,
                                            int slots) {
    const int n = ORIENTATIONS;
    for (int e = threadIdx.x; e < n * n; e += THREADS) {
        int component = e / n, o = e % n;
        float v = component < 2 * s.units && o < s.orientations ? transform[component * s.orientations + o] : 0.0f;
        shared.tables[e] = v;
        if (INVERSE) shared.tables[n * n + o * n + component] = v;
    }
    for (int e = threadIdx.x; e < 2 * s.units * slots; e += THREADS) shared.places[e] = places[e];
}

// One halo position of all orientations, N at most: 8 or 16; as it came, so that nothing waits for it before it is used.
template <int N> struct Column {
    Map x[N];
};

template <int K, int N>
__device__ __forceinline__ void load_column(Column<N>& c, const Map* x, const Sizes& s, Tile tile, int f, int row) {
    int lane = threadIdx.x % 32, i = tile.row + row - s.padding, j = tile.column + lane - s.padding;
    bool inside = i >= 0 && i < s.height && j >= 0 && j < s.width && lane < COLUMNS + K - 1 && row < s.rows + K - 1;
    int step = s.in_features * s.height * s.width;
    const Map* at = x + (size_t)tile.image * s.orientations * step + (f * s.height + i) * s.width + j;
#pragma unroll
    for (int o = 0; o < N; ++o) {
        c.x[o] = inside && o < s.orientations ? load_cached(at) : Map();
        at += step;
    }
}

// Calls take(component, its value) for the transform of N numbers of a pixel.
template <int N, class Take> __device__ __forceinline__ void transform_pixel(const Shared& shared, const Sizes& s, const Map (&x)[N], Take take) {
    if constexpr (N == USUAL) {
        if (s.orientations == USUAL) {
            float v[USUAL];
#pragma unroll
            for (int o = 0; o < USUAL; ++o) v[o] = number(x[o]);
            transform(v);
#pragma unroll
            for (int c = 0; c < USUAL; ++c) take(c, v[c] * (c < 2 ? 0.35355339f : 0.5f));
            return;
        }
    }
#pragma unroll 1
    for (int component = 0; component < 2 * s.units; ++component) {
        const float4* matrix = reinterpret_cast<const float4*>(shared.tables + component * ORIENTATIONS);
        float sum = 0.0f;
#pragma unroll
        for (int o = 0; o < N; o += 4) {
            if (o < s.orientations) {
                float4 m = matrix[o / 4];
                sum = fmaf(m.x, number(x[o]), sum);
                sum = fmaf(m.y, number(x[o + 1]), sum);
                sum = fmaf(m.z, number(x[o + 2]), sum);
                sum = fmaf(m.w, number(x[o + 3]), sum);
            }
        }
        take(component, sum);
    }
}

// Transforms it and puts the components into the halo. All lanes of the warp must come.
template <int K, int N> __device__ __forceinline__ void put_column(const Shared& shared, const Column<N>& c, const Sizes& s, int row) {
    int lane = threadIdx.x % 32, rows = s.rows + K - 1;
    transform_pixel<N>(shared, s, c.x, [&](int component, float sum) {
#if PRECISION == BF16
        // A pair of taps in one word.
        u32 word = pack_bf16(sum, __shfl_down_sync(ALL_LANES, sum, 1));
#else
        u32 word = operand(sum);
#endif
        if (lane < STRIDE && row < rows) shared.halo[(component * rows + row) * STRIDE + lane] = word;
    });
}

template <int K, int N>
__device__ __forceinline__ void stage(const Shared& shared, const Map* x, const Sizes& s, Tile tile, int f, int from) {
#pragma unroll 1
    for (int row = from + threadIdx.x / 32; row < s.rows + K - 1; row += WARPS) {
        Column<N> c;
        load_column<K>(c, x, s, tile, f, row);
        put_column<K>(shared, c, s, row);
    }
}

#if PRECISION == F32
// The basis by the functions of a lane: (pair of steps, tap, t, 2 steps, 2), in shared memory where it fits.
template <int K> struct Basis {
    static constexpr bool SHARED = Taps<K>::BASIS > 1;
    const float4* table;

    __device__ __forceinline__ void open(const Shared& shared, const float* basis) {
        table = reinterpret_cast<const float4*>(basis);
        if (SHARED)
            for (int e = threadIdx.x; e < Taps<K>::BASIS; e += THREADS) shared.basis[e] = table[e];
    }
    __device__ __forceinline__ float4 load(const Shared& shared, int n, int tap) const {
        int at = (n / 2 * K * K + tap) * 4 + lane_t();
        return SHARED ? shared.basis[at] : __ldg(table + at);
    }
};

// Adds the values of functions n 8.. and (n + 1) 8.. of two components: d[component][n][2 pixel + function].
template <int K>
__device__ __forceinline__ void expand_taps(float (&d)[2][2][4], const Shared& shared, const u32* halo, int plane, const Basis<K>& basis, int n) {
    const u32* at = halo + 2 * lane_g();
#pragma unroll 1
    for (int i = 0; i < K; ++i, at += STRIDE) {
        float x[2][K + 1];
#pragma unroll
        for (int j = 0; j < K + 1; j += 2)
#pragma unroll
            for (int c = 0; c < 2; ++c) {
                float2 both = *reinterpret_cast<const float2*>(at + c * plane + j);
                x[c][j] = both.x, x[c][j + 1] = both.y;
            }
#pragma unroll
        for (int j = 0; j < K; ++j) {
            float4 four = basis.load(shared, n, i * K + j);
            float b[4] = {four.x, four.y, four.z, four.w};
#pragma unroll
            for (int e = 0; e < 16; ++e) {
                int c = e / 8, h = e / 4 % 2, f = e % 4;
                d[c][f / 2][2 * h + f % 2] = fmaf(x[c][j + h], b[f], d[c][f / 2][2 * h + f % 2]);
            }
        }
    }
}
#else
// Right operands of the expansion, (tap step, function step, lane, pair), in registers where they fit.
template <int K> struct Basis {
    static constexpr bool KEPT = K <= 5;
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

    __device__ __forceinline__ void open(const Shared&, const float* basis) {
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

// Adds the values of functions n 8.. and (n + 1) 8.. of two components: d[component][n][2 pixel + function].
template <int K>
__device__ __forceinline__ void expand_taps(float (&d)[2][2][4], const Shared&, const u32* halo, int plane, const Basis<K>& basis, int n) {
    using T = Taps<K>;
    const u32* at = halo + lane_g();
#pragma unroll(T::UNROLL)
    for (int step = 0; step < T::TS; step += STEPS) {
        u32 a[2][4], b[2][2];
        // Pairs beyond the last have zero weight; any place will do.
        auto offset = [&](int step) {
            int pair = min(step * 4 + lane_t(), T::PAIRS - 1);
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
}
#endif

// All numbers of the staged input feature: calls keep(step, row, those of one of the lane's pixels, those of the other).
template <int K, class Keep>
__device__ __forceinline__ void expand(const Shared& shared, const Sizes& s, const Basis<K>& basis, Keep keep) {
    using T = Taps<K>;
    int t = lane_t(), plane = (s.rows + K - 1) * STRIDE;
#pragma unroll 1
    for (int job = threadIdx.x / 32; job < s.units * s.rows; job += WARPS) {
        int unit = job >> row_bits(s), row = job & (s.rows - 1);
        const u32* at = shared.halo + 2 * unit * plane + row * STRIDE;
#pragma unroll 1
        for (int n = 0; n < T::NT; n += 2) {
            float d[2][2][4];
#pragma unroll
            for (int i = 0; i < 16; ++i) d[i / 8][i / 4 % 2][i % 4] = 0.0f;
            expand_taps<K>(d, shared, at, plane, basis, n);
#pragma unroll
            for (int i = 0; i < 2; ++i) {
                int slot = (n + i) * 4 + t;
                // Of the two pixels: the two numbers.
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
                keep(to_plus & 0xffffu, row, plus[0], plus[1]);
                keep(to_minus & 0xffffu, row, minus[0], minus[1]);
            }
        }
    }
}

