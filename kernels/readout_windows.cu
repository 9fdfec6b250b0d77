// Factorised readout through windows: h[b, n] = bias[n] + sum_c v[n, c] sum_{p in window of n} |mask[n, p]| x[b, c, p].
//
// Neurons with one window are a group; what is inside the windows lies group after group, (neurons, pixels of the window). Passes
// are the products of readout.cu, of a group each and of the numbers inside its window alone:
//
// forward   over p: rows (b, c), columns n.
// input     over n, one group after the other: rows (b, c), columns a patch of the map; groups that do not look there are passed over.
// weights   over b: rows n, columns p.
//
// Features and dh come in the order of the masks ("sorted"). A tile of the tables is a block's part of a group.
#include "striate.cuh"
#include "readout.cuh"

#define THREADS 256
#define TILE 128         // rows (b, c), or pixels
#define NEURONS 64       // of a group
#define PATCH_HEIGHT 8   // of the map
#define PATCH_WIDTH 16
#define GROUP_WORDS 8
#define TILE_WORDS 4

static_assert(PATCH_HEIGHT * PATCH_WIDTH == TILE, "a patch is a tile of pixels");

struct Group {
    int top, left, height, width, first, neurons;
    u32 start;

    __device__ __forceinline__ Group(const u32* groups, u32 group) {
        const u32* g = groups + (size_t)group * GROUP_WORDS;
        top = g[0], left = g[1], height = g[2], width = g[3], first = g[4], neurons = g[5], start = g[6];
    }
    __device__ __forceinline__ int pixels() const { return height * width; }
    // Where pixel p of the window lies on a map with rows of `columns`.
    __device__ __forceinline__ int on_map(int p, int columns) const { return (top + p / width) * columns + left + p % width; }
};

// A window of the maps (rows, P), k along it.
struct WindowRows {
    const Map* x;
    Group group;
    int rows, map_pixels, map_width;
    bool fours;
    typedef Four<float> Held;

    __device__ __forceinline__ void fetch(int step, int, int row, int k, Four<float>& quad) const {
        int p = step * STEP + k, left = row < rows ? group.pixels() - p : 0;
        const Map* from = x + (size_t)row * map_pixels;
        if (fours) {
            float4 v = left > 0 ? load_four(from + group.on_map(p, map_width)) : make_float4(0.0f, 0.0f, 0.0f, 0.0f);
            quad.v[0] = v.x, quad.v[1] = v.y, quad.v[2] = v.z, quad.v[3] = v.w;
        } else {
#pragma unroll
            for (int i = 0; i < 4; ++i) quad.v[i] = i < left ? load(from + group.on_map(p + i, map_width)) : 0.0f;
        }
    }
    __device__ __forceinline__ float value(float v) const { return v; }
};

// dh in the order of the masks.
extern "C" __global__ void __launch_bounds__(THREADS)
readout_windows_sort(const float* dh /* (B, N) */, const u32* order /* (N) */, float* sorted /* (B, N) */, int batch,
                     int neurons) {
    int i = blockIdx.x * THREADS + threadIdx.x;
    if (i >= batch * neurons) return;
    int image = i / neurons;
    sorted[i] = dh[(size_t)image * neurons + order[i - image * neurons]];
}

// Block: NEURONS neurons of a group, and `images` images, as many as there are whole ones in TILE rows (b, c), at least one.
extern "C" __global__ void __launch_bounds__(THREADS, 2)
readout_windows_forward(const Map* x /* (B, C, P) */, const float* mask /* (inside) */, const float* features /* (N, C) sorted */,
                        const float* bias /* (N) */, const u32* groups /* (G, 8) */, const u32* tiles /* (T, 4) */,
                        const u32* order /* (N) */, float* h /* (B, N) */, int batch, int channels, int map_height,
                        int map_width, int neurons, int images, int positive) {
    __shared__ float4 shared[product_shared(TILE, NEURONS)];
    __shared__ float parts[2 * NEURONS];
    const u32* tile = tiles + (size_t)blockIdx.x * TILE_WORDS;
    Group group(groups, tile[0]);
    int first_neuron = tile[1], first_image = blockIdx.y * images, pixels = group.pixels(), map_pixels = map_height * map_width;
    int here = min(images, batch - first_image), rows = here * channels;
    const Map* maps = x + (size_t)first_image * channels * map_pixels;
    const float* own_masks = mask + group.start + (size_t)first_neuron * pixels;
    AlongK<NEURONS, Rows<true>> masks{{own_masks, group.neurons - first_neuron, pixels, in_fours(own_masks, pixels)}};
    bool fours = in_fours(x, map_width) && group.left % 4 == 0 && group.width % 4 == 0;
    for (int first_row = 0; first_row < rows; first_row += TILE) {
        const Map* from = maps + (size_t)first_row * map_pixels;
        AlongK<TILE, WindowRows> a{{from, group, rows - first_row, map_pixels, map_width, fours}};
        Sums<TILE, NEURONS> sums;
        sums.clear();
        product(sums, a, masks, steps_of(pixels), shared, [](int) {});
        auto weight = [&](int c, int col) {
            int n = first_neuron + col;
            return n < group.neurons ? counted(features[(size_t)(group.first + n) * channels + c], positive) : 0.0f;
        };
        contract(sums, parts, first_row, here, channels, weight, [&](int image, int col, float sum) {
            int n = first_neuron + col;
            if (n >= group.neurons) return;
            u32 neuron = order[group.first + n];
            float* to = h + (size_t)(first_image + image) * neurons + neuron;
            *to = (first_row == 0 ? bias[neuron] : *to) + sum;
        });
    }
}

// dh[b, n] v[n, c] for this thread's row (b, c), along n.
struct Spread {
    const float* features;  // (N, C), at this thread's channel
    const float* dh;        // of this thread's image
    int channels, neurons, positive;
    typedef float2 Held;

    template <int COUNT> __device__ __forceinline__ void fetch(int step, int k, float2 (&held)[COUNT]) const {
        int n = step * STEP + k, left = neurons - n;
        const float *feature = features + n * channels, *gradient = dh + n;
#pragma unroll
        for (int i = 0; i < COUNT; ++i, feature += channels) {
            held[i].x = i < left ? *feature : 0.0f;
            held[i].y = i < left ? gradient[i] : 0.0f;
        }
    }
    __device__ __forceinline__ float value(float2 v) const { return counted(v.x, positive) * v.y; }
};

// Block: TILE rows (b, c) by one patch of the map.
extern "C" __global__ void __launch_bounds__(THREADS, 2)
readout_windows_backward_input(const float* mask /* (inside) */, const float* features /* (N, C) sorted */,
                               const float* dh /* (B, N) sorted */, const u32* groups /* (G, 8) */, Map* dx /* (B, C, P) */,
                               int group_count, int batch, int channels, int map_height, int map_width, int neurons,
                               int positive) {
    __shared__ float4 shared[product_shared(TILE, TILE)];
    int patches = (map_width + PATCH_WIDTH - 1) / PATCH_WIDTH, rows = batch * channels, first_row = blockIdx.y * TILE;
    int top = blockIdx.x / patches * PATCH_HEIGHT, left = blockIdx.x % patches * PATCH_WIDTH;
    int row = first_row + own_row<TILE>(), own = own_row<TILE>();
    int y = top + own / PATCH_WIDTH, x = left + own % PATCH_WIDTH;
    Sums<TILE, TILE> sums;
    sums.clear();
    for (int g = 0; g < group_count; ++g) {
        Group group(groups, g);
        bool looks = top < group.top + group.height && group.top < top + PATCH_HEIGHT && left < group.left + group.width &&
                     group.left < left + PATCH_WIDTH;
        if (!looks) continue;
        int in_y = y - group.top, in_x = x - group.left, pixels = group.pixels();
        bool inside = in_y >= 0 && in_y < group.height && in_x >= 0 && in_x < group.width;
        AcrossK<TILE, Spread> spread{{features + (size_t)group.first * channels + row % channels,
                                      dh + (size_t)(row / channels) * neurons + group.first, channels,
                                      row < rows ? group.neurons : 0, positive}};
        AcrossK<TILE, Column<true>> masks{{mask + group.start, in_y * group.width + in_x, pixels, inside ? group.neurons : 0}};
        product(sums, spread, masks, steps_of(group.neurons), shared, [](int) {});
    }
    bool whole = in_runs(dx, map_width);
    sums.for_each_run([&](int r, int i, const Run& run) {
        int col = sums.run_col(i), to_y = top + col / PATCH_WIDTH, to_x = left + col % PATCH_WIDTH;
        if (first_row + r >= rows || to_y >= map_height || to_x >= map_width) return;
        Map* to = dx + (((size_t)(first_row + r) * map_height + to_y) * map_width + to_x);
        if (whole) return run.store(to);
#pragma unroll
        for (int e = 0; e < RUN; ++e)
            if (e < map_width - to_x) to[e] = run.at(e);
    });
}

// dh, in the steps of readout.cuh.
struct Gradients {
    Column<false> column;  // of dh (B, N)
    int steps;             // per channel
    int now = 0;
    typedef float Held;

    template <int COUNT> __device__ __forceinline__ void fetch(int, int k, float (&held)[COUNT]) {
        column.fetch(now, k, held);
        if (++now == steps) now = 0;
    }
    __device__ __forceinline__ float value(float v) const { return v; }
};

// Block: NEURONS neurons of a group by TILE pixels of its window, all channels one after the other.
extern "C" __global__ void __launch_bounds__(THREADS, 2)
readout_windows_backward_weights(const Map* x /* (B, C, P) */, const float* mask /* (inside) */,
                                 const float* features /* (N, C) sorted */, const float* dh /* (B, N) sorted */,
                                 const float* sparsity /* (N) sorted */, const u32* groups /* (G, 8) */,
                                 const u32* tiles /* (T, 4) */, float* dmask /* (inside) */,
                                 float* parts /* (tiles of pixels, N, C) sorted */, int batch, int channels, int map_height,
                                 int map_width, int neurons, int positive) {
    typedef Sums<NEURONS, TILE> Tile;
    __shared__ float4 shared[product_shared(NEURONS, TILE)];
    __shared__ float quarters[4 * NEURONS];
    const u32* tile = tiles + (size_t)blockIdx.x * TILE_WORDS;
    Group group(groups, tile[0]);
    int first_neuron = tile[1], first_pixel = tile[2], steps = steps_of(batch), pixels = group.pixels();
    int neuron = first_neuron + own_row<NEURONS>(), pixel = first_pixel + own_row<TILE>();
    AcrossK<NEURONS, Gradients> gradients{{{dh + group.first, neuron, neurons, neuron < group.neurons ? batch : 0}, steps}};
    const Map* own_map = x + (pixel < pixels ? group.on_map(pixel, map_width) : 0);
    int map = map_height * map_width;
    AcrossK<TILE, Images<Map>> maps{{own_map, pixel < pixels ? batch : 0, steps, channels * map, map}};
    Tile g, total;
    g.clear();
    total.clear();
    // Of this thread's first sum, from which its others lie a few rows and columns off.
    int neurons_left = group.neurons - first_neuron - Tile::row(0), pixels_left = pixels - first_pixel - Tile::col(0);
    u32 first_place = group.start + (first_neuron + Tile::row(0)) * pixels + first_pixel + Tile::col(0);
    const float* own_mask = mask + first_place;
    const float* own_sparsity = sparsity + group.first + first_neuron;
    auto is_inside = [&](int r, int c) { return r * 8 < neurons_left && c / 2 * 8 + c % 2 < pixels_left; };
    auto place = [&](int r, int c) { return r * 8 * pixels + c / 2 * 8 + c % 2; };
    auto mask_at = [&](int r, int c) { return is_inside(r, c) ? own_mask[place(r, c)] : 0.0f; };
    auto magnitudes = [&](int r, int c) { return make_float2(fabsf(mask_at(r, c)), fabsf(mask_at(r, c + 1))); };
    int channel = 0, left = steps;
    product(g, gradients, maps, channels * steps, shared, [&](int) {
        if (--left > 0) return;
        auto feature = [&](int r) {
            int n = first_neuron + Tile::row(r);
            return n < group.neurons ? counted(features[(size_t)(group.first + n) * channels + channel], positive) : 0.0f;
        };
        use_channel(g, total, quarters, magnitudes, feature, [&](int row, float sum) {
            int n = first_neuron + row;
            if (n < group.neurons)
                parts[((size_t)(first_pixel / TILE) * neurons + group.first + n) * channels + channel] = sum;
        });
        ++channel;
        left = steps;
    });
#pragma unroll
    for (int r = 0; r < Tile::ROW_SLOTS; ++r)
#pragma unroll
        for (int c = 0; c < Tile::COL_SLOTS; ++c)
            if (is_inside(r, c))
                dmask[first_place + place(r, c)] = sign_of(mask_at(r, c)) * (total.at(r, c) + own_sparsity[Tile::row(r)]);
}

// Thread: one feature weight, in the order of the masks.
extern "C" __global__ void __launch_bounds__(THREADS)
readout_windows_backward_features(const float* parts /* (tiles of pixels, N, C) sorted */, const float* features /* (N, C) sorted */,
                                  const u32* starts /* (N + 1) */, const u32* order /* (N) */, float* dfeatures /* (N, C) */,
                                  int neurons, int channels, int positive) {
    int i = blockIdx.x * THREADS + threadIdx.x, weights = neurons * channels;
    if (i >= weights) return;
    int k = i / channels, c = i - k * channels, pixels = starts[k + 1] - starts[k];
    float sum = 0.0f;
    for (int tile = 0; tile * TILE < pixels; ++tile) sum += parts[(size_t)tile * weights + i];
    dfeatures[(size_t)order[k] * channels + c] += positive ? sign_of(features[i]) * sum : sum;
}
