// Rotation-equivariant convolution over 8 orientations in the orientation-Fourier domain (group_conv.cu has the general one).
//
// A block owns `rows` x 32 `across` output pixels of one image and 16 output features at all orientations, and walks over the input
// features: transforms the halo of the next while its warps expand and mix their pixels of this one. Numbers stay in their warp, and
// in their lane: the sums of one product are operands of the next.
#include "eight_warp.cuh"
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
    using Eight<K>::PLANE;
    static constexpr int WEIGHTS = EIGHT_STEPS / WIDE * 128;  // words of a feature's weights
    static constexpr int SHARED = 2 * 8 * PLANE + 2 * WEIGHTS + 2 * PLACES * THREADS + 4;
    static constexpr int FINISH = Eight<K>::STRIPS * 2 * EIGHT_FEATURES * FINISH_PITCH;
    static_assert(SHARED <= (K == 3 ? EIGHT_SHARED_3 : EIGHT_SHARED_5) && FINISH <= SHARED, "the halo, the weights, the output");
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
                v.x = handed_on(ending.code, line, v.x), v.y = handed_on(ending.code, line, v.y);
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
