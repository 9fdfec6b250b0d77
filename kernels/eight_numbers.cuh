// What a warp of group_conv_eight_gradient.cu does with SPAN neighbouring pixels of an input feature: numbers from the halo, and the
// sums of their products with the output's gradient.
//
// Functions are the rows of the expansion and pixels its columns: a lane holds slot g, its first function from row g and its second from
// row g + 8, of two columns. In BF16 even pixels and odd ones are two tiles, which read the same words with the basis one tap apart. As
// they come, and packed even beside odd, numbers are a left operand over pixels. Of a slot of order m output frequency k takes the
// numbers k + m and m - k, so that lanes choose:
//
//     orders    k = 0, 4       1           2           3
//     0         0+ 0-          1+ 1-       2+ 2-       3- 3+
//     1         1+ 3-          0+ 2+       1- 3+       0- 2-
//     2         2+ 2-          1+ 3+       0+ 0-       3- 1-
//     3         3+ 1-          0- 2+       3- 1+       0+ 2-
//     4         0- 0+          3+ 3-       2+ 2-       1- 1+
//
// (unit and sign; eight_warp.cuh has the words). A number n = (x, y) and the gradient (r, i) give x r + y i and y r - x i: two
// products, the second of the number turned. Where the frequency has the number's conjugate, x r - y i and y r + x i.
#pragma once
#include "eight.cuh"

constexpr int SPAN = 8 * WIDE;
constexpr int TILE_ROWS = PRECISION == BF16 ? 4 : 1;
constexpr int HALO_PAIRS = COLUMNS / 2 + 2;                       // of a row
constexpr int HALO_STRIDE = PRECISION == BF16 ? HALO_PAIRS : 44;  // words: no two lanes of a read share a bank
constexpr int FEATURES = 16;                                      // of the output's gradient

// d += a b
__device__ __forceinline__ void product(float (&d)[4], const u32 (&a)[4], const u32 (&b)[2]) {
#if PRECISION == BF16
    mma_bf16(d, a, b);
#else
    mma_tf32(d, a, b);
#endif
}

#if PRECISION == TF32
// The nearest TF32 number: half of its last bit added, and what is below that left, for products leave it out.
__device__ __forceinline__ u32 nearest(float v) {
    float power = __uint_as_float(__float_as_uint(v) & 0xff800000u);
    return __float_as_uint(fmaf(power, 0.00048828125f, v));
}
#endif

// (x, y) of a lane's first column and of its second.
struct Number {
    u32 w[4];

    // `flip`: all bits where it is the conjugate's.
    __device__ __forceinline__ Number turned(u32 flip) const {
        const u32 signs = PRECISION == BF16 ? 0x80008000u : 0x80000000u;
        return {{w[1] ^ (flip & signs), w[0] ^ (~flip & signs), w[3] ^ (flip & signs), w[2] ^ (~flip & signs)}};
    }
};

// `where`: all bits or none. No branches.
__device__ __forceinline__ void exchange(u32 where, Number& a, Number& b) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        u32 was = a.w[i];
        a.w[i] = (b.w[i] & where) | (was & ~where), b.w[i] = (was & where) | (b.w[i] & ~where);
    }
}

template <int K> struct Numbers {
    static constexpr int TILES = WIDE;
    static constexpr int PLACES = PRECISION == BF16 ? K * Eight<K>::PER_ROW : K * K;  // pairs of taps, or taps
    static constexpr int TS = (PLACES + 7) / 8, WINDOW = 2 * TS;                      // products over them, words that a lane reads
    static constexpr int HALO_ROWS = TILE_ROWS + K - 1;
    static constexpr int PLANE = HALO_ROWS * HALO_STRIDE;                             // words of a component's halo
    static constexpr int OUTPUTS = TILE_ROWS * COLUMNS / WIDE * FEATURES;             // words of a component of the output's gradient
    u32 basis[TILES][TS][4];
    int shift, at[WINDOW];  // 1 where the padding is odd, which it is not for every width; words of the halo
    int of_outputs;         // words from the first pixels' on
    u32 odd, two, high;     // all bits in lanes of odd orders, of order 2, of orders 3 and 4
    float sums[8][2][4];    // (frequency 0, 4, 1 twice, 2 twice, 3 twice; eight features)

    // `filters`: (2, 8 slots, K, K).
    __device__ __forceinline__ void open(const float* filters, int padding) {
        shift = K == 5 ? 0 : padding & 1;
        int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
#pragma unroll
        for (int i = 0; i < TILES * TS * 4; ++i) {
            int r = i / (TS * 4), place = i / 4 % TS * 8 + i / 2 % 2 * 4 + t;
            const float* filter = filters + (i % 2 * 8 + g) * K * K;
#if PRECISION == BF16
            // A pair of taps, of odd pixels one tap earlier.
            int row = place / Eight<K>::PER_ROW, column = place % Eight<K>::PER_ROW * 2 - (r + shift) % 2;
            auto tap = [&](int column) { return row < K && column >= 0 && column < K ? __ldg(filter + row * K + column) : 0.0f; };
            basis[r][i / 4 % TS][i % 4] = pack_bf16(tap(column), tap(column + 1));
#else
            basis[r][i / 4 % TS][i % 4] = place < K * K ? operand(__ldg(filter + place)) : 0;
#endif
        }
#pragma unroll
        for (int i = 0; i < 64; ++i) sums[i / 8][i / 4 % 2][i % 4] = 0.0f;
        odd = opaque(g < 3 ? -1 : 0), two = opaque(g == 5 || g == 6 ? -1 : 0), high = opaque(g == 2 || g == 7 ? -1 : 0);
    }

    // Where a row of the halo lies. In TF32, whose tiles are rows, those that the next tile has too stay where they are.
    static __device__ __forceinline__ int place_of_row(const Tile& tile, int row) {
        return PRECISION == BF16 ? row : (tile.row + row) % HALO_ROWS;
    }

    // Goes to a tile's first pixels.
    __device__ __forceinline__ void begin(const Tile& tile) {
        int lane = opaque(threadIdx.x) % 32, t = lane % 4;
#pragma unroll
        for (int i = 0; i < WINDOW; ++i) {
            // What is beyond the last tap has zero weight; any place will do.
            int place = min(i * 4 + t, PLACES - 1), across = PLACES / K;
            at[i] = place_of_row(tile, place / across) * HALO_STRIDE + place % across + lane / 4 + (PRECISION == BF16 ? 0 : shift);
        }
        of_outputs = lane * 2;
    }

    // Goes to the next ones, if there are any. Of every other SPAN pixels features lie in another order.
    __device__ __forceinline__ bool next() {
        constexpr int ACROSS = COLUMNS / SPAN;
        of_outputs = (of_outputs + 8 * FEATURES) ^ 16;
        bool new_row = of_outputs / (8 * FEATURES) % ACROSS == 0;
#pragma unroll
        for (int i = 0; i < WINDOW; ++i) at[i] += new_row ? HALO_STRIDE - (ACROSS - 1) * 8 : 8;
        return of_outputs < OUTPUTS;
    }

    template <int UNIT> __device__ __forceinline__ void expand(const u32* halo, Number& plus, Number& minus) const {
        u32 window[2][WINDOW];
        float d[TILES][2][4];  // (tile, component)
#pragma unroll
        for (int i = 0; i < TILES * 8; ++i) d[i / 8][i / 4 % 2][i % 4] = 0.0f;
        __syncwarp();  // keeps the reads of one unit from crowding into another
#pragma unroll
        for (int r = 0; r < TILES; ++r) {
            // Both tiles read the same words, unless the padding is odd.
            if (r == 0 || K != 5) {
#pragma unroll
                for (int i = 0; i < 2 * WINDOW; ++i)
                    window[i / WINDOW][i % WINDOW] = halo[(2 * UNIT + i / WINDOW) * PLANE + at[i % WINDOW] + r * shift];
            }
#pragma unroll
            for (int i = 0; i < TS * 2; ++i) {
                int step = i / 2, c = i % 2;
                u32 b[2] = {window[c][2 * step], window[c][2 * step + 1]};
                product(d[r][c], basis[r][step], b);
            }
        }
#pragma unroll
        for (int j = 0; j < 2; ++j) {
            float2 p[TILES], m[TILES];
#pragma unroll
            for (int r = 0; r < TILES; ++r) {
                float x0 = d[r][0][j], y0 = d[r][0][2 + j], x1 = d[r][1][j], y1 = d[r][1][2 + j];
                if (UNIT == 0) {
                    p[r] = make_float2(x0, y0), m[r] = make_float2(x1, y1);
                } else {
                    p[r] = make_float2(x0 + y1, x1 - y0), m[r] = make_float2(x0 - y1, x1 + y0);
                }
            }
#if PRECISION == BF16
            plus.w[2 * j] = pack_bf16(p[0].x, p[1].x), plus.w[2 * j + 1] = pack_bf16(p[0].y, p[1].y);
            minus.w[2 * j] = pack_bf16(m[0].x, m[1].x), minus.w[2 * j + 1] = pack_bf16(m[0].y, m[1].y);
#else
            plus.w[2 * j] = nearest(p[0].x), plus.w[2 * j + 1] = nearest(p[0].y);
            minus.w[2 * j] = nearest(m[0].x), minus.w[2 * j + 1] = nearest(m[0].y);
#endif
        }
    }

    // The right operand: a component of 8 features.
    __device__ __forceinline__ void gradient(u32 (&b)[2], const u32* outputs, int component, int n) const {
        uint2 pairs = *reinterpret_cast<const uint2*>(outputs + component * OUTPUTS + n * 64 + of_outputs);
        b[0] = pairs.x, b[1] = pairs.y;
    }

    // Of frequency 0 or 4.
    __device__ __forceinline__ void correlate(const u32* outputs, int frequency, const Number& number) {
#pragma unroll
        for (int n = 0; n < 2; ++n) {
            u32 real[2];
            gradient(real, outputs, frequency, n);
            product(sums[frequency][n], number.w, real);
        }
    }

    // Of another, its two numbers.
    __device__ __forceinline__ void correlate(const u32* outputs, int frequency, const Number& first, u32 flip_first, const Number& second,
                                              u32 flip_second) {
        Number turned_first = first.turned(flip_first), turned_second = second.turned(flip_second);
#pragma unroll
        for (int n = 0; n < 2; ++n) {
            u32 real[2], imaginary[2];
            gradient(real, outputs, 2 * frequency, n);
            gradient(imaginary, outputs, 2 * frequency + 1, n);
            product(sums[2 * frequency][n], first.w, real);
            product(sums[2 * frequency + 1][n], second.w, real);
            product(sums[2 * frequency][n], turned_first.w, imaginary);
            product(sums[2 * frequency + 1][n], turned_second.w, imaginary);
        }
    }

    // SPAN pixels.
    __device__ __forceinline__ void pixels(const u32* halo, const u32* outputs) {
        Number a0, a4, a2, b2, a1, b1, a3, b3;
        expand<0>(halo, a0, a4);
        if (K == 5) exchange(high, a0, a4);
        expand<2>(halo, a2, b2);
        exchange(two, a0, a2);
        exchange(two, a4, b2);
        expand<1>(halo, a1, b1);
        expand<3>(halo, a3, b3);
        if (K == 5) exchange(high, a1, a3), exchange(high, b1, b3);
        exchange(two, a3, b1);
        __syncwarp();
        exchange(odd, a0, a1);
        correlate(outputs, 0, a0);
        exchange(odd, a4, b3);
        correlate(outputs, 1, a4);
        __syncwarp();
        exchange(odd, a2, b1);
        correlate(outputs, 1, a1, two | high, b1, high);
        __syncwarp();
        exchange(odd, b2, a3);
        correlate(outputs, 2, a2, high, b2, two | high);
        __syncwarp();
        correlate(outputs, 3, b3, two | (odd ^ high), a3, high);
    }
};
