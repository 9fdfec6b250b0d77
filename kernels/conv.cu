// Direct convolution (cross-correlation, stride 1) as a matrix product over windows that are never stored:
//
//     y[b, o, i, j] = sum_{c, u, v} w[o, c, u, v] x[b, c, i + u - p, j + v - p], zero outside the image.
//
// forward   over k = (c, u, v), as w lies in memory: rows o, columns (b, i, j), all images in one sequence. A thread gathers the
//           window of one output pixel and moves (c, u, v) on like a clock, without a division.
// input     is forward again, on dy, with the filters turned half around (conv_transpose_weights) and padding k - 1 - p.
// weights   over (b, i, j): rows o, columns (c, u, v). The steps are cut into slices, a block each, whose parts
//           conv_backward_weights_sum adds in order.
//
// PRECISION decides how x, w and dy enter the products, and how maps lie in memory; everything else is float32.
#include "striate.cuh"
#include "product.cuh"

#define THREADS 256
#define TILE 128   // rows and columns of a block's product
#define PIXELS 16  // images and pixels of one step of the weights' gradient
#define NARROW 64  // rows where there are no more output channels than this

static_assert(PIXELS == STEP, "what product.cuh takes");

// Moves a position in a filter (c, u, v) on by one.
__device__ __forceinline__ void next_tap(int& c, int& u, int& v, int kernel) {
    if (++v < kernel) return;
    v = 0;
    if (++u < kernel) return;
    u = 0;
    ++c;
}

// The window under this thread's output pixel, in the order of a filter's weights.
struct Window {
    const Map* x;
    int image;       // where its image begins
    int top, left;   // its first row and column, may lie outside
    int c, u, v;     // what is fetched next
    int du, dv;      // from the end of one fetch to the begin of the next, 8 taps: within a filter unless k = 1
    int channels, height, width, kernel;
    typedef Map Held;

    template <int COUNT> __device__ __forceinline__ void fetch(int, int, Map (&held)[COUNT]) {
#pragma unroll
        for (int i = 0; i < COUNT; ++i) {
            int row = top + u, col = left + v;
            bool inside = c < channels && (u32)row < (u32)height && (u32)col < (u32)width;
            held[i] = inside ? x[image + (c * height + row) * width + col] : Map();
            next_tap(c, u, v, kernel);
        }
        v += dv;
        if (v >= kernel) v -= kernel, ++u;
        u += du;
        if (u >= kernel) u -= kernel, ++c;
        if (kernel == 1) c += STEP - COUNT;
    }
    __device__ __forceinline__ float value(Map v) const { return number(v); }
};

// ROWS output channels by TILE output pixels.
template <int ROWS> __device__ __forceinline__ void
forward(float4* shared, const Map* x, const float* w, Map* y, int batch, int in_channels, int out_channels, int height,
        int width, int kernel, int padding) {
    int out_width = width + 2 * padding + 1 - kernel, out_pixels = (height + 2 * padding + 1 - kernel) * out_width;
    int pixels = batch * out_pixels, taps = in_channels * kernel * kernel;
    int first_pixel = blockIdx.x * TILE, first_row = blockIdx.y * ROWS;

    int pixel = first_pixel + own_row<TILE>(), in_image = pixel % out_pixels;
    int k = own_k<TILE>(), jump = STEP - AcrossK<TILE, Window>::COUNT;
    AcrossK<TILE, Window> windows;
    Window& window = windows.source;
    window.x = x, window.image = pixel / out_pixels * in_channels * height * width;
    // A pixel that is none looks above the image.
    window.top = pixel < pixels ? in_image / out_width - padding : -0x40000000;
    window.left = in_image % out_width - padding;
    window.c = k / (kernel * kernel), window.u = k / kernel % kernel, window.v = k % kernel;
    window.du = jump / kernel % kernel, window.dv = jump % kernel;
    window.channels = in_channels, window.height = height, window.width = width, window.kernel = kernel;

    const float* filters = w + (size_t)first_row * taps;
    AlongK<ROWS, Rows<false>> rows{{filters, out_channels - first_row, taps, in_fours(filters, taps)}};
    typedef Sums<ROWS, TILE> Tile;
    Tile sums;
    sums.clear();
    product(sums, rows, windows, steps_of(taps), shared, [](int) {});
    // Maps of one channel lie out_channels maps apart.
    int between = (out_channels - 1) * out_pixels, places[Tile::RUNS], lefts[Tile::RUNS];
#pragma unroll
    for (int i = 0; i < Tile::RUNS; ++i) {
        int first = first_pixel + Tile::run_col(i), image = first / out_pixels;
        places[i] = first + image * between;
        lefts[i] = (image + 1) * out_pixels - first;
    }
    bool whole = in_runs(y, out_pixels);
    sums.for_each_run([&](int row, int i, const Run& run) {
        int o = first_row + row, pixels_left = pixels - first_pixel - Tile::run_col(i), left = lefts[i];
        if (o >= out_channels || pixels_left <= 0) return;
        Map* to = y + (places[i] + o * out_pixels);
        if (whole) return run.store(to);
#pragma unroll
        for (int e = 0; e < RUN; ++e, ++to) {
            if (e < pixels_left) *to = run.at(e);
            if (--left == 0) left = out_pixels, to += between;
        }
    });
}

// Block: TILE output channels by TILE output pixels.
extern "C" __global__ void __launch_bounds__(THREADS, 2)
conv_forward(const Map* x /* (B, C_in, H, W) */, const float* w /* (C_out, C_in, k, k) */,
             Map* y /* (B, C_out, H', W') */, int batch, int in_channels, int out_channels, int height, int width,
             int kernel, int padding) {
    __shared__ float4 shared[product_shared(TILE, TILE)];
    forward<TILE>(shared, x, w, y, batch, in_channels, out_channels, height, width, kernel, padding);
}

// Block: NARROW output channels by TILE output pixels.
extern "C" __global__ void __launch_bounds__(THREADS, 2)
conv_forward_narrow(const Map* x /* (B, C_in, H, W) */, const float* w /* (C_out, C_in, k, k) */,
                    Map* y /* (B, C_out, H', W') */, int batch, int in_channels, int out_channels, int height, int width,
                    int kernel, int padding){
    __shared__ float4 shared[product_shared(NARROW, TILE)];
    forward<NARROW>(shared, x, w, y, batch, in_channels, out_channels, height, width, kernel, padding);
}

// The filters of the convolution that carries dy back: input and output exchanged, turned half around. Thread: one weight.
extern "C" __global__ void __launch_bounds__(THREADS)
conv_transpose_weights(const float* w /* (C_out, C_in, k, k) */, float* turned /* (C_in, C_out, k, k) */, int in_channels,
                       int out_channels, int area /* k k */) {
    int i = blockIdx.x * THREADS + threadIdx.x;
    if (i >= in_channels * out_channels * area) return;
    int tap = i % area, o = i / area % out_channels, c = i / (area * out_channels);
    turned[i] = w[(o * in_channels + c) * area + (area - 1 - tap)];
}

// Where a step of the sum over pixels lies: 16 pixels of one image. The last step of an image may be shorter. Steps come in order.
struct Place {
    int per_image;
    int image, begun;  // the step at which it began

    __device__ __forceinline__ Place(int first, int per_image)
        : per_image(per_image), image(first / per_image), begun(-(first % per_image)) {}

    // Whether that is another image.
    __device__ __forceinline__ bool move_to(int step) {
        bool next = step - begun == per_image;
        if (next) begun = step, ++image;
        return next;
    }
    __device__ __forceinline__ int pixel(int step) const { return (step - begun) * STEP; }
};

// Rows o of dy along the pixels.
struct OutputGradient {
    const Map* dy;
    Place place;
    int channels, first_row, pixels;
    bool fours;
    typedef Quad Held;

    __device__ __forceinline__ void fetch(int step, int q, int row, int k, Quad& v) {
        if (q == 0) place.move_to(step);
        int o = first_row + row;
        const Map* from = dy + (place.image * channels + o) * pixels;
        fetch_quad(from, place.pixel(step) + k, o < channels ? pixels : 0, fours, v);
    }
    __device__ __forceinline__ float value(float v) const { return v; }
};

// What taps (c, u, v) of this thread's rows see of x along the output pixels.
template <int QUADS> struct Taps {
    const Map* x;
    Place place;
    int channels, height, width, out_width, pixels;
    int first_row, first_col, row, col;  // of this thread's pixel, in an image's first step and now
    int rows, cols;                      // from one step to the next
    int top[QUADS], left[QUADS];         // u - p, v - p
    int plane[QUADS];                    // where channel c begins
    typedef Four<Map> Held;

    __device__ __forceinline__ Taps(const Map* x, Place place, int channels, int height, int width, int out_width, int pixels)
        : x(x), place(place), channels(channels), height(height), width(width), out_width(out_width), pixels(pixels) {
        first_row = quad_k() / out_width, first_col = quad_k() % out_width;
        rows = STEP / out_width, cols = STEP % out_width;
        int pixel = place.pixel(0) + quad_k();
        row = pixel / out_width, col = pixel % out_width;
    }

    __device__ __forceinline__ void fetch(int step, int q, int, int k, Four<Map>& held) {
        if (q == 0 && step > 0) {
            row += rows, col += cols;
            if (col >= out_width) col -= out_width, ++row;
            if (place.move_to(step)) row = first_row, col = first_col;
        }
        const Map* from = x + (place.image * channels * height * width + plane[q]);
        int pixel = place.pixel(step) + k, i = row, j = col;
#pragma unroll
        for (int e = 0; e < 4; ++e) {
            int row = i + top[q], col = j + left[q];
            bool inside = pixel + e < pixels && (u32)row < (u32)height && (u32)col < (u32)width;
            held.v[e] = inside ? from[row * width + col] : Map();
            if (++j == out_width) j = 0, ++i;
        }
    }
    __device__ __forceinline__ float value(float v) const { return v; }
};

// ROWS output channels by TILE taps (c, u, v) over one slice of `steps` steps.
template <int ROWS> __device__ __forceinline__ void
backward_weights(float4* shared, const Map* x, const Map* dy, float* parts, int batch, int in_channels, int out_channels,
                 int height, int width, int kernel, int padding, int steps) {
    int out_width = width + 2 * padding + 1 - kernel, pixels = (height + 2 * padding + 1 - kernel) * out_width;
    int area = kernel * kernel, taps = in_channels * area;
    int first_tap = blockIdx.x * TILE, first_row = blockIdx.y * ROWS;
    int per_image = steps_of(pixels), first = blockIdx.z * steps;
    Place place(first, per_image);
    AlongK<ROWS, OutputGradient> rows{{dy, place, out_channels, first_row, pixels, in_fours(dy, pixels)}};
    AlongK<TILE, Taps<2>> columns{{x, place, in_channels, height, width, out_width, pixels}};
#pragma unroll
    for (int q = 0; q < 2; ++q) {
        int tap = first_tap + quad_row(q), c = tap / area;
        columns.source.plane[q] = c * height * width;
        // A tap that is none looks above the image.
        columns.source.top[q] = tap < taps ? tap / kernel % kernel - padding : -0x40000000;
        columns.source.left[q] = tap % kernel - padding;
    }
    Sums<ROWS, TILE> sums;
    sums.clear();
    product(sums, rows, columns, min(steps, batch * per_image - first), shared, [](int) {});
    sums.for_each([&](int row, int col, float& sum) {
        int o = first_row + row, tap = first_tap + col;
        if (o < out_channels && tap < taps) parts[((size_t)blockIdx.z * out_channels + o) * taps + tap] = sum;
    });
}

// Block: TILE output channels by TILE taps, one slice.
extern "C" __global__ void __launch_bounds__(THREADS, 2)
conv_backward_weights(const Map* x /* (B, C_in, H, W) */, const Map* dy /* (B, C_out, H', W') */,
                      float* parts /* (slices, C_out, C_in, k, k) */, int batch, int in_channels, int out_channels, int height,
                      int width, int kernel, int padding, int steps) {
    __shared__ float4 shared[product_shared(TILE, TILE)];
    backward_weights<TILE>(shared, x, dy, parts, batch, in_channels, out_channels, height, width, kernel, padding, steps);
}

// Block: NARROW output channels by TILE taps, one slice.
extern "C" __global__ void __launch_bounds__(THREADS, 2)
conv_backward_weights_narrow(const Map* x /* (B, C_in, H, W) */, const Map* dy /* (B, C_out, H', W') */,
                             float* parts /* (slices, C_out, C_in, k, k) */, int batch, int in_channels, int out_channels, int height,
                             int width, int kernel, int padding, int steps){
    __shared__ float4 shared[product_shared(NARROW, TILE)];
    backward_weights<NARROW>(shared, x, dy, parts, batch, in_channels, out_channels, height, width, kernel, padding, steps);
}

// Thread: one weight.
extern "C" __global__ void __launch_bounds__(THREADS)
conv_backward_weights_sum(const float* parts /* (slices, weights) */, float* dw /* (weights) */, int slices, int weights) {
    int i = blockIdx.x * THREADS + threadIdx.x;
    if (i >= weights) return;
    float sum = 0.0f;
    for (int slice = 0; slice < slices; ++slice) sum += parts[(size_t)slice * weights + i];
    dw[i] += sum;
}
