// The coefficients' gradient over 8 orientations (group_conv_gradient.cu has the mathematics, and the general one).
//
// A block owns 4 input features, one per warp, and 16 output features, and walks over a slice of all images' tiles of 32 columns: it
// transforms the output's gradient, which its warps share, each of them the halo of its own feature, and multiplies numbers by
// gradients where they lie, in registers. group_conv_gradient_sum adds the slices' partial sums.
#include "eight_numbers.cuh"

#define EIGHT_GRADIENT_THREADS 128
#define EIGHT_GRADIENT_INPUTS 4
#define EIGHT_GRADIENT_OUTPUTS 16
#define EIGHT_GRADIENT_ROWS 1  // of a tile
#define EIGHT_GRADIENT_ROWS_BF16 4
#define EIGHT_GRADIENT_SUMS 128  // of an input and an output feature
#define EIGHT_GRADIENT_SHARED 12816

static_assert(PRECISION != F32, "matrix products");
static_assert(TILE_ROWS == (PRECISION == BF16 ? EIGHT_GRADIENT_ROWS_BF16 : EIGHT_GRADIENT_ROWS), "what eight_numbers.cuh takes");
static_assert(FEATURES == EIGHT_GRADIENT_OUTPUTS, "what eight_numbers.cuh takes");
static_assert(32 * EIGHT_GRADIENT_INPUTS == EIGHT_GRADIENT_THREADS, "a feature to a warp");

// Two neighbouring pixels at all orientations, zeros if not `inside`. Addresses are counted along.
__device__ __forceinline__ Twos load_twos(const Map* at, bool inside, int step) {
    Twos twos;
#pragma unroll
    for (int o = 0; o < 8; ++o) {
        twos.x[o] = inside ? load_two(at) : Two();
        at += step;
    }
    return twos;
}

// The tile of the output's gradient: (component, SPAN pixels, feature, word).
template <int K> __device__ __forceinline__ void stage_outputs(u32* outputs, const Layer& l, const Tile& tile, const Map* dy) {
    int area = l.out_height * l.out_width, step = opaque(l.out_features * area);
    int me = opaque(threadIdx.x), pair = me % 16, word = pair * 2 / WIDE, feature = me / 16;
    int g = blockIdx.z * FEATURES + feature, column = tile.column + 2 * pair;
    const Map* from = dy + (size_t)tile.image * 8 * step + (g * area + tile.row * l.out_width + column);
    u32* to = outputs + word / 8 * 8 * FEATURES + (feature * 8 ^ word / 8 % 2 * 16) + word % 8;
    constexpr int ROW = COLUMNS / WIDE * FEATURES;
#pragma unroll 1
    for (int row = 0; row < TILE_ROWS; row += WIDE) {
        Twos twos[2 * WIDE];
#pragma unroll
        for (int i = 0; i < 2 * WIDE; ++i) {
            bool inside = tile.row + row + i / 2 < l.out_height && column < l.out_width && g + i % 2 * 8 < l.out_features;
            twos[i] = load_twos(from + (i / 2 * l.out_width + i % 2 * 8 * area), inside, step);
        }
#pragma unroll
        for (int i = 0; i < 2 * WIDE; ++i) twos[i].put(to + (i / 2 * ROW + i % 2 * 64), Numbers<K>::OUTPUTS, {0, 0});
        from += WIDE * l.out_width, to += WIDE * ROW;
    }
}

// The tile's halo of one input feature: (component, row, pair); `kept`: the last tile was the one above.
template <int K>
__device__ __forceinline__ void stage_inputs(u32* halo, const Layer& l, const Tile& tile, const Map* x, int feature, bool kept) {
    using N = Numbers<K>;
    constexpr int PAIRS = N::HALO_ROWS * HALO_PAIRS, TIMES = (PAIRS + 31) / 32, MOST = PRECISION == BF16 ? (TIMES + 1) / 2 : 1;
    int area = l.height * l.width, step = opaque(l.in_features * area), lane = opaque(threadIdx.x) % 32;
    int top = tile.row - l.padding, begin = tile.column - l.padding - (l.padding & 1);
    const Map* planes = x + ((size_t)tile.image * 8 * l.in_features + feature) * area;
    int first = PRECISION == TF32 && kept ? (K - 1) * HALO_PAIRS : 0;
#pragma unroll
    for (int time = 0; time < TIMES; time += MOST) {
        if (first + time * 32 >= PAIRS) break;
        Twos twos[MOST];
#pragma unroll
        for (int i = 0; i < MOST; ++i) {
            int at = first + lane + (time + i) * 32, row = top + at / HALO_PAIRS, column = begin + at % HALO_PAIRS * 2;
            bool inside = at < PAIRS && row >= 0 && row < l.height && column >= 0 && column < l.width;
            if (time + i < TIMES) twos[i] = load_twos(planes + (row * l.width + column), inside, step);
        }
#pragma unroll
        for (int i = 0; i < MOST; ++i) {
            int at = first + lane + (time + i) * 32;
            int to = N::place_of_row(tile, at / HALO_PAIRS) * HALO_STRIDE + at % HALO_PAIRS * 2 / WIDE;
            if (time + i < TIMES) twos[i].put(halo, N::PLANE, {at < PAIRS ? 0 : -1, to});
        }
    }
}

template <int K>
__device__ __forceinline__ void differentiate(u32* outputs, Layer l, const Map* x, const Map* dy, const float* filters, float* partial,
                                              int tiles, int per_slice) {
    using N = Numbers<K>;
    int warp = threadIdx.x / 32;
    u32* halo = outputs + 8 * N::OUTPUTS + warp * 8 * N::PLANE;
    // A warp's tile and how many are left, needed once a tile; registers are dear.
    int4* noted = reinterpret_cast<int4*>(outputs + 8 * N::OUTPUTS + EIGHT_GRADIENT_INPUTS * 8 * N::PLANE) + warp;
    int count = min(per_slice, tiles - (int)blockIdx.y * per_slice);
    if (threadIdx.x % 32 == 0) {
        int index = blockIdx.y * per_slice, down = (l.out_height + TILE_ROWS - 1) / TILE_ROWS, across = (l.out_width + COLUMNS - 1) / COLUMNS;
        *noted = make_int4(index / (across * down), index % down * TILE_ROWS, index / down % across * COLUMNS, count);
    }
    auto feature = [&] { return blockIdx.x * EIGHT_GRADIENT_INPUTS + opaque(threadIdx.x) / 32; };
    N numbers;
    numbers.open(filters, l.padding);
    __syncwarp();
#pragma unroll 1
    while (noted->w > 0) {
        auto tile = [&] { return Tile{noted->x, noted->y, noted->z}; };
        int f = feature();
        if (f < l.in_features) stage_inputs<K>(halo, l, tile(), x, f, noted->y > 0 && noted->w < count);
        __syncthreads();
        stage_outputs<K>(outputs, l, tile(), dy);
        __syncthreads();
        if (feature() < l.in_features) {
            numbers.begin(tile());
#pragma unroll 1
            do {
                numbers.pixels(halo, outputs);
            } while (numbers.next());
        }
        __syncwarp();
        if (opaque(threadIdx.x) % 32 == 0) {
            int4 next = *noted;
            --next.w;
            if ((next.y += TILE_ROWS) >= l.out_height) {
                next.y = 0;
                if ((next.z += COLUMNS) >= l.out_width) next.z = 0, ++next.x;
            }
            *noted = next;
        }
        __syncwarp();
    }
    int f = feature();
    if (f >= l.in_features) return;
    int across = (l.out_features + FEATURES - 1) / FEATURES * FEATURES, lane = threadIdx.x % 32;
    float* to = partial + ((size_t)blockIdx.y * l.in_features + f) * EIGHT_GRADIENT_SUMS * across + blockIdx.z * FEATURES;
#pragma unroll
    for (int i = 0; i < 32; ++i) {
        int row = i / 4 * 16 + i / 2 % 2 * 8 + lane / 4, column = i % 2 * 8 + lane % 4 * 2;
        const float(&sums)[4] = numbers.sums[i / 4][i % 2];
        *reinterpret_cast<float2*>(to + row * across + column) = make_float2(sums[i / 2 % 2 * 2], sums[i / 2 % 2 * 2 + 1]);
    }
}

extern "C" __global__ void __launch_bounds__(EIGHT_GRADIENT_THREADS, 3) group_conv_eight_gradient_3(
    const Map* x /* (B, 8 F_in, H, W) */, const Map* dy /* (B, 8 F_out, H', W') */, const float* filters /* (2, 8 slots, K, K) */,
    float* partial /* (slices, F_in, rows, padded F_out) */, int in_features, int out_features, int height, int width, int padding,
    int tiles, int per_slice) {
    DYNAMIC_SHARED(shared, EIGHT_GRADIENT_SHARED);
    Layer l = layer_of<3>(in_features, out_features, height, width, padding, 1, TILE_ROWS);
    differentiate<3>(shared, l, x, dy, filters, partial, tiles, per_slice);
}

extern "C" __global__ void __launch_bounds__(EIGHT_GRADIENT_THREADS, 3) group_conv_eight_gradient_5(
    const Map* x /* (B, 8 F_in, H, W) */, const Map* dy /* (B, 8 F_out, H', W') */, const float* filters /* (2, 8 slots, K, K) */,
    float* partial /* (slices, F_in, rows, padded F_out) */, int in_features, int out_features, int height, int width, int padding,
    int tiles, int per_slice) {
    DYNAMIC_SHARED(shared, EIGHT_GRADIENT_SHARED);
    Layer l = layer_of<5>(in_features, out_features, height, width, padding, 1, TILE_ROWS);
    differentiate<5>(shared, l, x, dy, filters, partial, tiles, per_slice);
}
