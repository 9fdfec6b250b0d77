// What a warp of group_conv_eight.cu does with an input feature: numbers from the halo, output sums from numbers.
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
// Weights know the rest (src/ops/group_conv/route.rs): signs, scales of the transforms, round functions from plus and minus.
#pragma once
#include "eight.cuh"

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
    static constexpr int TILES = Eight<K>::TILES, TS = Eight<K>::TS, PLANE = Eight<K>::PLANE, WINDOW = Eight<K>::WINDOW;
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
            int pair = min(i * 4 + t, K * Eight<K>::PER_ROW - 1);
            int word = pair / Eight<K>::PER_ROW * stride + pair % Eight<K>::PER_ROW * 2 / WIDE;
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
