// Batch normalisation and the activation after it, on maps (B, C, P); channel c belongs to group c mod G.
//
//   u = slope (y - mean) + offset,  slope = gain / sqrt(variance + 1e-3),  z = activation(u)
//   dy = slope (du - average(du) - n average(du n)),  du = dz activation'(u),  n = (y - mean) / sqrt(variance + 1e-3)
//
// All of it is bound by memory. A pointwise pass gives each plane (one image's channel) a block. A sum over images gives
// each (channel, slice of consecutive images) a block, which leaves a few numbers; then one warp per group merges those
// of its channels in a fixed order. The backward pass computes du twice: that is cheaper than to write and read it.
//
// Where planes allow it, threads move four numbers at a time. z is rounded as products take it, in TF32 too.
#include "map.cuh"
#include "line.cuh"

#define THREADS 192  // three rounds of four numbers are a plane of 36 x 64
#define LANES 32     // of a merge

// out = f(in) over a plane.
template <class F> __device__ __forceinline__ void map(const Map* in, Map* out, int pixels, F f) {
    if (in_fours(in, pixels) && in_fours(out, pixels)) {
        for (int i = threadIdx.x; i < pixels / 4; i += THREADS) {
            float4 v = load_four(in + 4 * i);
            store_four(out + 4 * i, make_float4(f(v.x), f(v.y), f(v.z), f(v.w)));
        }
    } else {
        for (int i = threadIdx.x; i < pixels; i += THREADS) store(out + i, f(load(in + i)));
    }
}

// d = f(y, d) over a plane.
template <class F> __device__ __forceinline__ void update(const Map* y, Map* d, int pixels, F f) {
    if (in_fours(y, pixels) && in_fours(d, pixels)) {
        for (int i = threadIdx.x; i < pixels / 4; i += THREADS) {
            float4 a = load_four(y + 4 * i), b = load_four(d + 4 * i);
            store_four(d + 4 * i, make_float4(f(a.x, b.x), f(a.y, b.y), f(a.z, b.z), f(a.w, b.w)));
        }
    } else {
        for (int i = threadIdx.x; i < pixels; i += THREADS) store(d + i, f(load(y + i), load(d + i)));
    }
}

// f(y, d) for every pixel of a plane.
template <class F> __device__ __forceinline__ void visit(const Map* y, const Map* d, int pixels, F f) {
    if (in_fours(y, pixels) && in_fours(d, pixels)) {
        for (int i = threadIdx.x; i < pixels / 4; i += THREADS) {
            float4 a = load_four(y + 4 * i), b = load_four(d + 4 * i);
            f(a.x, b.x);
            f(a.y, b.y);
            f(a.z, b.z);
            f(a.w, b.w);
        }
    } else {
        for (int i = threadIdx.x; i < pixels; i += THREADS) f(load(y + i), load(d + i));
    }
}

// f(y) for every pixel of a plane.
template <class F> __device__ __forceinline__ void visit(const Map* y, int pixels, F f) {
    if (in_fours(y, pixels)) {
        for (int i = threadIdx.x; i < pixels / 4; i += THREADS) {
            float4 a = load_four(y + 4 * i);
            f(a.x);
            f(a.y);
            f(a.z);
            f(a.w);
        }
    } else {
        for (int i = threadIdx.x; i < pixels; i += THREADS) f(load(y + i));
    }
}

// Leaves of each slice a number close to its mean (the average of a sample), the mean less that number, and the sum of
// squared deviations from the mean. All sums are of differences from that number, so that nothing cancels.
extern "C" __global__ void __launch_bounds__(THREADS)
    norm_statistics_slices(const Map* y /* (B, C, P) */, float* slices /* (3, C, S) */, int batch, int channels,
                           int pixels, int images /* of a slice */) {
    __shared__ float scratch[THREADS / 32];
    int channel = blockIdx.x, slice = blockIdx.y;
    int first = slice * images, last = min(first + images, batch);
    const Map* sampled = y + ((size_t)first * channels + channel) * pixels;
    float centre = block_sum<THREADS>(load(sampled + (size_t)threadIdx.x * pixels / THREADS), scratch) / THREADS;
    float sum = 0.0f, squares = 0.0f;
    for (int image = first; image < last; ++image) {
        visit(y + ((size_t)image * channels + channel) * pixels, pixels, [&](float value) {
            float d = value - centre;
            sum += d;
            squares = fmaf(d, d, squares);
        });
    }
    sum = block_sum<THREADS>(sum, scratch);
    squares = block_sum<THREADS>(squares, scratch);
    if (threadIdx.x == 0) {
        float count = (float)(last - first) * pixels;
        size_t all = (size_t)channels * gridDim.y, at = (size_t)channel * gridDim.y + slice;
        slices[at] = centre;
        slices[all + at] = sum / count;
        slices[2 * all + at] = fmaxf(squares - sum * sum / count, 0.0f);
    }
}

// Merges the slices of a group and moves the running statistics. Means count from that of the group's first slice, and
// every term of the variance is positive.
extern "C" __global__ void __launch_bounds__(LANES)
    norm_statistics_merge(const float* slices /* (3, C, S) */, float* mean /* (G) */, float* variance /* (G) */,
                          float* moving_mean /* (G) */, float* moving_variance /* (G) */, int batch, int channels,
                          int groups, int pixels, int images /* of a slice */, float decay,
                          float correction /* n / (n - 1) */) {
    int group = blockIdx.x, count = (batch + images - 1) / images;
    int parts = channels / groups * count;
    size_t all = (size_t)channels * count;
    float per_image = 1.0f / ((float)batch * (channels / groups));
    float base = slices[(size_t)group * count];
    auto place = [=](int part) { return (size_t)(group + part / count * groups) * count + part % count; };
    auto weight = [=](int part) {
        int first = part % count * images;
        return (min(first + images, batch) - first) * per_image;
    };
    float whole = 0.0f;
    for (int i = threadIdx.x; i < parts; i += LANES) {
        size_t at = place(i);
        whole += weight(i) * (slices[at] - base + slices[all + at]);
    }
    whole = warp_sum(whole);
    float within = 0.0f, between = 0.0f;
    for (int i = threadIdx.x; i < parts; i += LANES) {
        size_t at = place(i);
        float d = slices[at] - base + slices[all + at] - whole;
        within += slices[2 * all + at];
        between = fmaf(weight(i) * d, d, between);
    }
    within = warp_sum(within);
    between = warp_sum(between);
    if (threadIdx.x == 0) {
        float group_mean = base + whole, group_variance = fmaf(within / pixels, per_image, between);
        mean[group] = group_mean;
        variance[group] = group_variance;
        moving_mean[group] = decay * moving_mean[group] + (1.0f - decay) * group_mean;
        moving_variance[group] = decay * moving_variance[group] + (1.0f - decay) * correction * group_variance;
    }
}

extern "C" __global__ void __launch_bounds__(THREADS)
    norm_forward(const Map* y /* (B, C, P) */, const float* mean /* (G) */, const float* variance /* (G) */,
                 const float* gain /* (G) */, const float* offset /* (G) */, Map* z /* (B, C, P) */, int channels,
                 int groups, int pixels, int has_gain, int activation) {
    Line line = line_of(mean, variance, gain, offset, has_gain, blockIdx.x % channels % groups);
    size_t plane = (size_t)blockIdx.x * pixels;
    map(y + plane, z + plane, pixels, [=](float v) { return handed_on(activation, line, v); });
}

// As norm_forward, from z to z.
extern "C" __global__ void __launch_bounds__(THREADS)
    norm_finish(const float* mean /* (G) */, const float* variance /* (G) */, const float* gain /* (G) */,
                const float* offset /* (G) */, Map* z /* (B, C, P) */, int channels, int groups, int pixels,
                int has_gain, int activation) {
    Line line = line_of(mean, variance, gain, offset, has_gain, blockIdx.x % channels % groups);
    Map* plane = z + (size_t)blockIdx.x * pixels;
    map(plane, plane, pixels, [=](float v) { return handed_on(activation, line, v); });
}

// Leaves of each slice the sums of du and of du n.
extern "C" __global__ void __launch_bounds__(THREADS)
    norm_backward_slices(const Map* y /* (B, C, P) */, const Map* d /* (B, C, P) */, const float* mean /* (G) */,
                         const float* variance /* (G) */, const float* gain /* (G) */, const float* offset /* (G) */,
                         float* slices /* (2, C, S) */, int batch, int channels, int groups, int pixels,
                         int images /* of a slice */, int has_gain, int activation) {
    __shared__ float scratch[THREADS / 32];
    int channel = blockIdx.x, slice = blockIdx.y;
    int first = slice * images, last = min(first + images, batch);
    Line line = line_of(mean, variance, gain, offset, has_gain, channel % groups);
    float sum = 0.0f, against = 0.0f;
    for (int image = first; image < last; ++image) {
        size_t plane = ((size_t)image * channels + channel) * pixels;
        visit(y + plane, d + plane, pixels, [&](float v, float dz) {
            float du = dz * activation_slope(activation, line.at(v));
            sum += du;
            against = fmaf(du, line.normal(v), against);
        });
    }
    sum = block_sum<THREADS>(sum, scratch);
    against = block_sum<THREADS>(against, scratch);
    if (threadIdx.x == 0) {
        size_t at = (size_t)channel * gridDim.y + slice;
        slices[at] = sum;
        slices[(size_t)channels * gridDim.y + at] = against;
    }
}

// Adds the sums of a group to its gain's and offset's gradients and leaves the averages.
extern "C" __global__ void __launch_bounds__(LANES)
    norm_backward_merge(const float* slices /* (2, C, S) */, float* averages /* (2, G) */, float* dgain /* (G) */,
                        float* doffset /* (G) */, int channels, int groups, int count /* S */, int has_gain,
                        float samples /* of a group */) {
    int group = blockIdx.x, parts = channels / groups * count;
    float sum = 0.0f, against = 0.0f;
    for (int i = threadIdx.x; i < parts; i += LANES) {
        size_t at = (size_t)(group + i / count * groups) * count + i % count;
        sum += slices[at];
        against += slices[(size_t)channels * count + at];
    }
    sum = warp_sum(sum);
    against = warp_sum(against);
    if (threadIdx.x == 0) {
        averages[group] = sum / samples;
        averages[groups + group] = against / samples;
        doffset[group] += sum;
        if (has_gain) dgain[group] += against;
    }
}

// Turns dz into dy, through the batch's statistics.
extern "C" __global__ void __launch_bounds__(THREADS)
    norm_backward(const Map* y /* (B, C, P) */, const float* mean /* (G) */, const float* variance /* (G) */,
                  const float* gain /* (G) */, const float* offset /* (G) */, const float* averages /* (2, G) */,
                  Map* d /* (B, C, P) */, int channels, int groups, int pixels, int has_gain, int activation) {
    int group = blockIdx.x % channels % groups;
    Line line = line_of(mean, variance, gain, offset, has_gain, group);
    float average = averages[group], against = averages[groups + group];
    size_t plane = (size_t)blockIdx.x * pixels;
    update(y + plane, d + plane, pixels, [=](float v, float dz) {
        float du = dz * activation_slope(activation, line.at(v));
        return line.slope * (du - average - line.normal(v) * against);
    });
}

// Turns dz into dy, the statistics held fixed.
extern "C" __global__ void __launch_bounds__(THREADS)
    norm_backward_fixed(const Map* y /* (B, C, P) */, const float* mean /* (G) */, const float* variance /* (G) */,
                        const float* gain /* (G) */, const float* offset /* (G) */, Map* d /* (B, C, P) */,
                        int channels, int groups, int pixels, int has_gain, int activation) {
    Line line = line_of(mean, variance, gain, offset, has_gain, blockIdx.x % channels % groups);
    size_t plane = (size_t)blockIdx.x * pixels;
    update(y + plane, d + plane, pixels,
           [=](float v, float dz) { return line.slope * dz * activation_slope(activation, line.at(v)); });
}
