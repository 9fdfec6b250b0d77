// Ascent on images x (B, P), P = h w (its definition: src/ops/ascent/mod.rs). One block follows one image, except where
// images share a table.
//
// The frame of an image: top, left, bottom, right of what exists, half-open, counted from one pixel before its first.
#include "striate.cuh"

#define THREADS 256
#define IMAGES 8   // per block of the convolution with the table
#define PIECE 128  // pixels of each that lie in shared memory at a time

// Floats and counters of an image; the outcomes.
#define AVERAGES 3
#define COUNTERS 3
#define RUNNING 0
#define CONVERGED 1
#define OUT_OF_STEPS 2
#define DIVERGED 3

#define KEEP 0.9f  // of the moving average
#define NEW 0.1f

// Adam, as in optimiser.cu.
#define BETA_1 0.9f
#define BETA_2 0.999f
#define NEW_1 0.1f
#define NEW_2 0.001f
#define EPSILON 1e-8f

#define LARGEST 3.402823466e38f

__device__ __forceinline__ bool is_finite(float v) { return fabsf(v) <= LARGEST; }

// x = norm z / |z|.
extern "C" __global__ void __launch_bounds__(THREADS)
    ascent_constrain(const float* z /* (B, P) */, float* x /* (B, P) */, float* lengths /* (B) */, int pixels, float norm) {
    __shared__ float scratch[THREADS / 32];
    size_t first = (size_t)blockIdx.x * pixels;
    float sum = 0.0f;
    for (int p = threadIdx.x; p < pixels; p += THREADS) sum = fmaf(z[first + p], z[first + p], sum);
    float length = sqrtf(block_sum<THREADS>(sum, scratch));
    float factor = length > 0.0f ? norm / length : 0.0f;
    for (int p = threadIdx.x; p < pixels; p += THREADS) x[first + p] = factor * z[first + p];
    if (threadIdx.x == 0) lengths[blockIdx.x] = length;
}

struct Frame {
    int top, left, bottom, right;

    __device__ __forceinline__ Frame(const u32* frame) : top(frame[0]), left(frame[1]), bottom(frame[2]), right(frame[3]) {}

    // Whether row i and column j, counted from one pixel before the first, exist.
    __device__ __forceinline__ bool holds(int i, int j) const { return top <= i && i < bottom && left <= j && j < right; }
};

// The Laplacian's weight of a neighbour.
__device__ __forceinline__ float weight(int u, int v) { return u == 0 && v == 0 ? -3.0f : (u == 0 || v == 0 ? 0.5f : 0.25f); }

// L * x at row i and column j, counted from one pixel before the first; 0 where nothing exists.
__device__ __forceinline__ float edge(const float* x, const Frame& frame, int height, int width, int i, int j) {
    if (!frame.holds(i, j)) return 0.0f;
    float sum = 0.0f;
#pragma unroll
    for (int u = -1; u <= 1; ++u) {
#pragma unroll
        for (int v = -1; v <= 1; ++v) {
            int r = i - 1 + u, c = j - 1 + v;
            if (0 <= r && r < height && 0 <= c && c < width) sum = fmaf(weight(u, v), x[r * width + c], sum);
        }
    }
    return sum;
}

// values = strength sum (L * x)^2 over what exists, and its gradient.
extern "C" __global__ void __launch_bounds__(THREADS)
    ascent_smooth(const u32* frames /* (B, 4) */, const float* x /* (B, h, w) */, float* gradient /* (B, h, w) */,
                  float* values /* (B) */, int height, int width, float strength) {
    __shared__ float scratch[THREADS / 32];
    Frame frame(frames + 4 * blockIdx.x);
    size_t first = (size_t)blockIdx.x * height * width;
    const float* image = x + first;
    float sum = 0.0f;
    for (int p = threadIdx.x; p < (height + 2) * (width + 2); p += THREADS) {
        float e = edge(image, frame, height, width, p / (width + 2), p % (width + 2));
        sum = fmaf(e, e, sum);
    }
    sum = block_sum<THREADS>(sum, scratch);
    if (threadIdx.x == 0) values[blockIdx.x] = strength * sum;
    for (int p = threadIdx.x; p < height * width; p += THREADS) {
        int i = p / width + 1, j = p % width + 1;
        float g = 0.0f;
        if (frame.holds(i, j)) {
            for (int u = -1; u <= 1; ++u)
                for (int v = -1; v <= 1; ++v)
                    g = fmaf(weight(u, v), edge(image, frame, height, width, i + u, j + v), g);
        }
        gradient[first + p] = 2.0f * strength * g;
    }
}

// out[b, ..] += factor scales[b] source[b, ..].
extern "C" __global__ void __launch_bounds__(THREADS)
    ascent_add(const float* scales /* (B) */, const float* source /* (B, width) */, float* out /* (B, width) */, int width,
               float factor) {
    int i = blockIdx.x * THREADS + threadIdx.x;
    if (i >= width) return;
    size_t at = (size_t)blockIdx.y * width + i;
    out[at] = fmaf(factor * scales[blockIdx.y], source[at], out[at]);
}

// out[i, j] = sum of table[|i - i'|, |j - j'|] g[i', j']. A thread owns one pixel of several images, which share each
// number of the table.
extern "C" __global__ void __launch_bounds__(THREADS)
    ascent_precondition(const float* table /* (h, w) */, const float* gradient /* (B, h, w) */, float* out /* (B, h, w) */,
                        int batch, int height, int width) {
    __shared__ float4 piece[PIECE][IMAGES / 4];
    int pixels = height * width, p = blockIdx.x * THREADS + threadIdx.x, image = blockIdx.y * IMAGES;
    int row = p / width, column = p % width;
    float sums[IMAGES] = {};
    for (int begin = 0; begin < pixels; begin += PIECE) {
        for (int t = threadIdx.x; t < PIECE * IMAGES; t += THREADS) {
            int b = image + t / PIECE, q = begin + t % PIECE;
            bool there = b < batch && q < pixels;
            ((float*)piece)[t % PIECE * IMAGES + t / PIECE] = there ? gradient[(size_t)b * pixels + q] : 0.0f;
        }
        __syncthreads();
        if (p < pixels) {
            int i = begin / width, j = begin % width, count = min(PIECE, pixels - begin);
            for (int q = 0; q < count; ++q) {
                float weight = table[abs(row - i) * width + abs(column - j)];
#pragma unroll
                for (int k = 0; k < IMAGES / 4; ++k) {
                    float4 g = piece[q][k];
                    sums[4 * k] = fmaf(weight, g.x, sums[4 * k]);
                    sums[4 * k + 1] = fmaf(weight, g.y, sums[4 * k + 1]);
                    sums[4 * k + 2] = fmaf(weight, g.z, sums[4 * k + 2]);
                    sums[4 * k + 3] = fmaf(weight, g.w, sums[4 * k + 3]);
                }
                if (++j == width) {
                    j = 0;
                    ++i;
                }
            }
        }
        __syncthreads();
    }
    if (p >= pixels) return;
#pragma unroll
    for (int k = 0; k < IMAGES; ++k)
        if (image + k < batch) out[(size_t)(image + k) * pixels + p] = sums[k];
}

// Notes the loss of each image: its moving average and that one's minimum, the best image, and who is done.
extern "C" __global__ void __launch_bounds__(THREADS)
    ascent_track(const float* rates /* (B) */, const float* smoothness /* (B) */, const float* x /* (B, P) */,
                 float* best /* (B, P) */, float* averages /* (B, AVERAGES) */, u32* counters /* (B, COUNTERS) */,
                 int pixels, int patience, int steps) {
    __shared__ int better;
    if (threadIdx.x == 0) {
        float* average = averages + AVERAGES * blockIdx.x;
        u32* counter = counters + COUNTERS * blockIdx.x;
        float loss = smoothness[blockIdx.x] - rates[blockIdx.x];
        bool begins = counter[0] == 0;
        better = 0;
        if (counter[2] == RUNNING && !is_finite(loss)) {
            counter[2] = DIVERGED;
        } else if (counter[2] == RUNNING) {
            average[0] = begins ? loss : KEEP * average[0] + NEW * loss;
            bool lowest = begins || average[0] < average[1];
            if (lowest) average[1] = average[0];
            counter[1] = lowest ? 0 : counter[1] + 1;
            better = begins || loss < average[2];
            if (better) average[2] = loss;
            if (counter[1] >= (u32)patience)
                counter[2] = CONVERGED;
            else if (counter[0] >= (u32)steps)
                counter[2] = OUT_OF_STEPS;
        }
    }
    __syncthreads();
    if (!better) return;
    size_t first = (size_t)blockIdx.x * pixels;
    for (int p = threadIdx.x; p < pixels; p += THREADS) best[first + p] = x[first + p];
}

// A step of Adam on z along the gradient at x, without its part along x.
extern "C" __global__ void __launch_bounds__(THREADS)
    ascent_advance(const float* x /* (B, h, w) */, const float* gradient /* (B, h, w) */, const float* lengths /* (B) */,
                   const float* rates /* (K) */, const u32* frames /* (B, 4) */, float* z /* (B, h, w) */,
                   float* first /* (B, h, w) */, float* second /* (B, h, w) */, u32* counters /* (B, COUNTERS) */,
                   int height, int width, float norm) {
    __shared__ float scratch[THREADS / 32];
    u32* counter = counters + COUNTERS * blockIdx.x;
    u32 step = counter[0];
    if (counter[2] != RUNNING) return;
    Frame frame(frames + 4 * blockIdx.x);
    int pixels = height * width;
    size_t begin = (size_t)blockIdx.x * pixels;
    float sum = 0.0f;
    for (int p = threadIdx.x; p < pixels; p += THREADS) sum = fmaf(x[begin + p], gradient[begin + p], sum);
    float along = block_sum<THREADS>(sum, scratch) / (norm * norm), length = lengths[blockIdx.x];
    float scale = length > 0.0f ? norm / length : 0.0f, rate = rates[step];
    for (int p = threadIdx.x; p < pixels; p += THREADS) {
        size_t at = begin + p;
        float dz = frame.holds(p / width + 1, p % width + 1) ? scale * (gradient[at] - along * x[at]) : 0.0f;
        float m = BETA_1 * first[at] + NEW_1 * dz;
        float s = BETA_2 * second[at] + NEW_2 * dz * dz;
        first[at] = m;
        second[at] = s;
        z[at] -= rate * m / (sqrtf(s) + EPSILON);
    }
    if (threadIdx.x == 0) counter[0] = step + 1;
}

// A step towards the target rate along the gradient: as far as would reach it were the rate linear, and no farther than
// allowed, which halves whenever the last step came no closer.
extern "C" __global__ void __launch_bounds__(THREADS)
    ascent_aim(const float* rates /* (B) */, const float* targets /* (B) */, const float* tolerances /* (B) */,
               const float* gradient /* (B, P) */, float* x /* (B, P) */, float* best /* (B, P) */,
               float* averages /* (B, AVERAGES) */, u32* counters /* (B, COUNTERS) */, int pixels, int steps,
               float longest) {
    __shared__ float scratch[THREADS / 32];
    __shared__ float along;
    __shared__ int better;
    u32* counter = counters + COUNTERS * blockIdx.x;
    if (counter[2] != RUNNING) return;
    size_t begin = (size_t)blockIdx.x * pixels;
    float sum = 0.0f;
    for (int p = threadIdx.x; p < pixels; p += THREADS) sum = fmaf(gradient[begin + p], gradient[begin + p], sum);
    float slope = sqrtf(block_sum<THREADS>(sum, scratch));
    if (threadIdx.x == 0) {
        float* average = averages + AVERAGES * blockIdx.x;
        float error = rates[blockIdx.x] - targets[blockIdx.x], size = fabsf(error);
        bool begins = counter[0] == 0;
        better = 0;
        along = 0.0f;
        if (!is_finite(error) || !is_finite(slope)) {
            counter[2] = DIVERGED;
        } else {
            float allowed = begins ? longest : (size >= average[0] ? 0.5f * average[1] : average[1]);
            average[1] = allowed;
            average[0] = size;
            better = begins || size < average[2];
            if (better) average[2] = size;
            if (size <= tolerances[blockIdx.x]) {
                counter[2] = CONVERGED;
            } else if (counter[0] >= (u32)steps || slope <= 0.0f) {
                counter[2] = OUT_OF_STEPS;
            } else {
                float length = fminf(size / slope, allowed) / slope;
                along = error > 0.0f ? -length : length;
                counter[0] += 1;
            }
        }
    }
    __syncthreads();
    for (int p = threadIdx.x; p < pixels; p += THREADS) {
        float value = x[begin + p];
        if (better) best[begin + p] = value;
        if (along != 0.0f) x[begin + p] = fmaf(along, gradient[begin + p], value);
    }
}

// x += sizes[step] g / mean |g|, clipped.
extern "C" __global__ void __launch_bounds__(THREADS)
    ascent_walk(const float* sizes /* (K) */, const float* gradient /* (B, P) */, float* x /* (B, P) */,
                u32* counters /* (B, COUNTERS) */, int pixels, float lowest, float highest) {
    __shared__ float scratch[THREADS / 32];
    u32* counter = counters + COUNTERS * blockIdx.x;
    u32 step = counter[0];
    if (counter[2] != RUNNING) return;
    size_t begin = (size_t)blockIdx.x * pixels;
    float sum = 0.0f;
    for (int p = threadIdx.x; p < pixels; p += THREADS) sum += fabsf(gradient[begin + p]);
    float mean = block_sum<THREADS>(sum, scratch) / pixels;
    float factor = mean > 0.0f ? sizes[step] / mean : 0.0f;
    for (int p = threadIdx.x; p < pixels; p += THREADS)
        x[begin + p] = fminf(fmaxf(fmaf(factor, gradient[begin + p], x[begin + p]), lowest), highest);
    if (threadIdx.x == 0) counter[0] = step + 1;
}

// Place of an element of n that are repeated back and forth.
__device__ __forceinline__ int mirrored(int at, int n) {
    at %= 2 * n;
    if (at < 0) at += 2 * n;
    return min(at, 2 * n - 1 - at);
}

// Blurs along columns (down) or rows with the weights of the step taken last.
extern "C" __global__ void __launch_bounds__(THREADS)
    ascent_blur(const float* x /* (B, h, w) */, const float* weights /* (K, taps) */, const u32* counters /* (B, COUNTERS) */,
                float* out /* (B, h, w) */, int height, int width, int taps, int down) {
    int p = blockIdx.x * THREADS + threadIdx.x;
    if (p >= height * width) return;
    const u32* counter = counters + COUNTERS * blockIdx.y;
    const float* image = x + (size_t)blockIdx.y * height * width;
    float sum = image[p];
    if (counter[0] > 0 && counter[2] == RUNNING) {
        weights += (size_t)(counter[0] - 1) * taps;
        int stride = down ? width : 1, n = down ? height : width, at = down ? p / width : p % width;
        const float* line = image + (p - at * stride);
        sum *= weights[0];
        for (int d = 1; d < taps; ++d)
            sum = fmaf(weights[d], line[mirrored(at - d, n) * stride] + line[mirrored(at + d, n) * stride], sum);
    }
    out[(size_t)blockIdx.y * height * width + p] = sum;
}
