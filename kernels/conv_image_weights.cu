// The gradient of the weights of a convolution of images of one channel or a few by tensor cores: rows are output channels, columns taps of
// one channel, k goes over pixels.
//
//     dw[o, c, u, v] = sum over images and pixels of dy[o, i, j] x[c, i + u - p, j + v - p]
//
// dy comes in spans of pixels that lie side by side (pipeline.cuh), x is read where the image lies (image.cuh): a piece is a band of an
// image's rows. Warps share out rows, columns and, where there are few of these, pixels; those that have other pixels leave other parts.
#include "image.cuh"
#include "pipeline.cuh"

#define THREADS 256
#define CHANNELS 128     // of a block, half of them to a warp
#define TAPS 176         // likewise
#define MOST_WORDS 8192  // of the image
#define SHARED_WORDS 16384

static_assert(PRECISION != F32, "matrix products");

constexpr int STAGE_WORDS = CHANNELS * SPAN_WORDS, SLOTS = TAPS / 16, PARTS = CHANNELS / 32, HALF = SPAN / 2, IN_CHUNK = CHUNK * WIDE;

static_assert(THREADS == BLOCK && HALF == DEPTH * WIDE, "what pipeline.cuh takes");
static_assert(STAGES * STAGE_WORDS + MOST_WORDS <= SHARED_WORDS, "dy, the image");

// Where a lane's unit of pixels lies, of the band.
struct Pixel {
    int row, col;

    __device__ __forceinline__ Pixel(int pixel, int width) : row(pixel / width), col(pixel - pixel / width * width) {}
    __device__ __forceinline__ void move(int pixels, int width) {
        for (col += pixels; col >= width; col -= width) ++row;
    }
};

// Block: CHANNELS channels, TAPS taps of one channel of x, `each` pieces; a piece is `rows` rows.
extern "C" __global__ void __launch_bounds__(THREADS)
conv_image_backward_weights(const Map* x /* (B, C_in, H, W) */, const Map* dy /* (B, C_out, H', W') */,
                            float* parts /* (slices splits, C_out, C_in, k, k) */, int batch, int in_channels, int out_channels, int height,
                            int width, int kernel, int padding, int rows, int each) {
    DYNAMIC_SHARED(shared, SHARED_WORDS);
    u32* image = shared + STAGES * STAGE_WORDS;
    int out_height = height + 2 * padding + 1 - kernel, out_width = width + 2 * padding + 1 - kernel, area = out_height * out_width;
    int taps = kernel * kernel, groups = (taps + TAPS - 1) / TAPS, c = blockIdx.x / groups, first_tap = blockIdx.x % groups * TAPS;
    int first_channel = blockIdx.y * CHANNELS;
    int by_rows = out_channels <= CHANNELS / 2 ? 1 : 2, by_cols = taps <= TAPS / 2 ? 1 : 2, splits = THREADS / 32 / (by_rows * by_cols);
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
    int own_rows = warp % by_rows * (CHANNELS / 2), own_tap = first_tap + warp / by_rows % by_cols * (TAPS / 2) + g;
    int split = warp / (by_rows * by_cols), jump = splits * HALF;

    Seen seen(rows + kernel - 1, out_width + kernel - 1);
    u32 places[SLOTS];
#pragma unroll
    for (int j = 0; j < SLOTS; ++j) {
        int tap = own_tap + j * 8, u = tap / kernel;
        places[j] = tap < taps ? 4 * seen.pixel(u, tap - u * kernel) : 0;
    }
    float sums[SLOTS][PARTS][1][4];
#pragma unroll
    for (int i = 0; i < SLOTS * PARTS * 4; ++i) sums[i / (PARTS * 4)][i / 4 % PARTS][0][i % 4] = 0.0f;
    LeftAlong left(own_rows);

    int bands = (out_height + rows - 1) / rows, first = blockIdx.z * each, last = min(first + each, batch * bands);
#pragma unroll 1
    for (int piece = first; piece < last; ++piece) {
        int b = piece / bands, top = (piece - b * bands) * rows, pixels = min(rows, out_height - top) * out_width, spans = spans_of(pixels);
        int pixel = along_chunk() * IN_CHUNK;  // of the span that is copied next
        const Map* from = dy + (((size_t)b * out_channels + first_channel + along_row()) * area + top * out_width + pixel);
        auto copy = [&](u32* stage) {
            u32* to = stage + place_along(along_row(), along_chunk());
#pragma unroll
            for (int q = 0; q < CHANNELS; q += ALONG_ROWS)
                begin_copy(to + q * SPAN_WORDS, from + q * area, pixel < pixels && first_channel + along_row() + q < out_channels);
            pixel += SPAN, from += SPAN;
            close_copies();
        };
        __syncthreads();
#pragma unroll
        for (int stage = 0; stage < STAGES - 1; ++stage) copy(shared + stage * STAGE_WORDS);
        seen.load<THREADS>(image, x + ((size_t)b * in_channels + c) * height * width, height, width, top - padding, -padding);
        Pixel at[2] = {Pixel(split * HALF + t * WIDE, out_width), Pixel(split * HALF + (t + 4) * WIDE, out_width)};
        int wait = split;  // halves of spans until this warp's next
#pragma unroll 1
        for (int span = 0; span < spans; ++span) {
            const u32* stage = shared + span % STAGES * STAGE_WORDS;
            wait_for_copies<STAGES - 2>();
            __syncthreads();
            copy(shared + (span + STAGES - 1) % STAGES * STAGE_WORDS);
#pragma unroll
            for (int half = 0; half < 2; ++half, --wait) {
                if (wait != 0) continue;
                wait = splits;
                u32 own[PARTS][4], word[2];
#pragma unroll
                for (int i = 0; i < PARTS; ++i) left.load(own[i], stage, half, i);
#pragma unroll
                for (int e = 0; e < 2; ++e) {
                    // Behind the last pixel dy is 0.
                    word[e] = 4 * (min(at[e].row, rows - 1) * seen.words + at[e].col / WIDE);
                    at[e].move(jump, out_width);
                }
#pragma unroll
                for (int j = 0; j < SLOTS; ++j) {
                    u32 right[1][2] = {{word_at(image, word[0] + places[j]), word_at(image, word[1] + places[j])}};
                    multiply(sums[j], own, right);
                }
            }
        }
        wait_for_copies<0>();
    }

    float* to = parts + (((size_t)blockIdx.z * splits + split) * out_channels * in_channels + c) * taps;
#pragma unroll
    for (int j = 0; j < SLOTS; ++j)
#pragma unroll
        for (int i = 0; i < PARTS; ++i)
#pragma unroll
            for (int e = 0; e < 4; ++e) {
                int o = first_channel + own_rows + i * 16 + g + e / 2 * 8, tap = own_tap - g + j * 8 + 2 * t + e % 2;
                if (o < out_channels && tap < taps) to[(size_t)o * in_channels * taps + tap] = sums[j][i][0][e];
            }
}
