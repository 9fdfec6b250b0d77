// Codes turned against each other: the relaxed shift, its energy and gradients, for J fits side by side. The mathematics
// and the shapes are those of src/ops/align/mod.rs. Neurons lie interleaved, LANES to a block, zeros after the last.
//
//   c_i = exp(T cos(a - 2 pi i / O)) / sum,  spectrum p_k + i q_k,  |x|^2 = sum_k (p_k^2 + q_k^2) P_k,
//   m = mean of the spectra of x,  E = (2 / N) sum |x|^2 - 2 |m|^2,  Rec = sum_k (p_k(0) - 1)^2 (mean P_k)
//
// One thread per neuron and fit; sums over neurons in one block each.
#include "striate.cuh"

#define THREADS 128
#define LANES 64
#define TAU 6.283185307179586f

// Components of a spectrum: constant, cosine and sine of each frequency, alternating (even O).
struct Component {
    int frequency;
    bool pair, sine;

    __device__ __forceinline__ Component(int orientations, int c) {
        frequency = (c + 1) / 2;
        pair = frequency > 0 && 2 * frequency < orientations;
        sine = pair && c % 2 == 0;
    }
};

// T of its parameter t, and its slope; `cap` 0 is none.
__device__ __forceinline__ float temperature_of(float t, float cap) { return cap > 0.0f ? cap * sigmoid(t) : expf(t); }
__device__ __forceinline__ float temperature_slope(float t, float cap) {
    return cap > 0.0f ? cap * sigmoid(t) * sigmoid(-t) : expf(t);
}

// Where this thread's neuron and fit lie: logits (blocks, J, LANES), taps and turns (J, O, blocks LANES).
struct Place {
    int neuron, padded, fit, fits;

    __device__ __forceinline__ Place(int blocks, int all)
        : neuron(blockIdx.x * THREADS + threadIdx.x), padded(blocks * LANES), fit(blockIdx.y), fits(all) {}

    __device__ __forceinline__ bool inside() const { return neuron < padded; }
    __device__ __forceinline__ size_t logit() const {
        return ((size_t)(neuron / LANES) * fits + fit) * LANES + neuron % LANES;
    }
    __device__ __forceinline__ size_t t() const { return ((size_t)(padded / LANES) * fits + fit) * LANES; }
    __device__ __forceinline__ size_t row(int orientations, int i) const {
        return ((size_t)fit * orientations + i) * padded + neuron;
    }
    // Of P_k, of which a block has `rows`.
    __device__ __forceinline__ size_t power(int rows, int k) const {
        return ((size_t)(neuron / LANES) * rows + k) * LANES + neuron % LANES;
    }
};

// c and its spectrum, and each block's sum of |x|^2.
extern "C" __global__ void __launch_bounds__(THREADS)
    align_turns(const float* power /* (blocks, O / 2 + 1, LANES) */, const float* circle /* (2 + O, O) */,
                const float* point /* (blocks + 1, J, LANES) */, float* taps /* (J, O, blocks LANES) */,
                float* turns /* (J, O, blocks LANES) */, float* norms /* (J, grid) */, int blocks, int fits,
                int orientations, float cap) {
    __shared__ float scratch[THREADS / 32];
    Place at(blocks, fits);
    int o = orientations;
    float norm = 0.0f;
    if (at.inside()) {
        float temperature = temperature_of(point[at.t()], cap);
        float cosine, sine, largest = -1.0f, total = 0.0f;
        sincospif(2.0f * sigmoid(point[at.logit()]), &sine, &cosine);
        for (int i = 0; i < o; ++i) largest = fmaxf(largest, cosine * circle[i] + sine * circle[o + i]);
        for (int i = 0; i < o; ++i) {
            float tap = expf(temperature * fminf(cosine * circle[i] + sine * circle[o + i] - largest, 0.0f));
            total += tap;
            taps[at.row(o, i)] = tap;
        }
        float share = 1.0f / total;
        for (int i = 0; i < o; ++i) taps[at.row(o, i)] *= share;
        for (int c = 0; c < o; ++c) {
            float turn = 0.0f;
            for (int i = 0; i < o; ++i) turn = fmaf(taps[at.row(o, i)], circle[(2 + c) * o + i], turn);
            turns[at.row(o, c)] = turn;
            norm = fmaf(turn * turn, power[at.power(o / 2 + 1, Component(o, c).frequency)], norm);
        }
    }
    norm = block_sum<THREADS>(norm, scratch);
    if (threadIdx.x == 0) norms[(size_t)at.fit * gridDim.x + blockIdx.x] = norm;
}

// One number of m. Block: a component and feature, and a fit.
extern "C" __global__ void __launch_bounds__(THREADS)
    align_means(const float* spectra /* (blocks, O, F, LANES) */, const float* turns /* (J, O, blocks LANES) */,
                float* means /* (J, O, F) */, int blocks, int neurons, int features, int orientations) {
    __shared__ float scratch[THREADS / 32];
    int c = blockIdx.x / features, f = blockIdx.x % features, padded = blocks * LANES;
    Component component(orientations, c);
    int other = component.sine ? c - 1 : c + 1;
    const float* turn = turns + (size_t)blockIdx.y * orientations * padded;
    int first = component.sine ? other : c;
    float sum = 0.0f;
    for (int n = threadIdx.x; n < padded; n += THREADS) {
        const float* spectrum = spectra + (size_t)(n / LANES) * orientations * features * LANES + n % LANES;
        float own = spectrum[((size_t)c * features + f) * LANES];
        sum = fmaf(own, turn[(size_t)first * padded + n], sum);
        if (component.pair) {
            float across = turn[(size_t)(first + 1) * padded + n];
            float partner = spectrum[((size_t)other * features + f) * LANES];
            sum = fmaf(component.sine ? partner : -partner, across, sum);
        }
    }
    sum = block_sum<THREADS>(sum, scratch);
    if (threadIdx.x == 0) means[(size_t)blockIdx.y * orientations * features + blockIdx.x] = sum / neurons;
}

// Rec at T, and its derivative.
__device__ __forceinline__ float2 reconstruction(const float* mean_power, const float* circle, int o, float temperature) {
    float total = 0.0f, cosine = 0.0f;
    for (int i = 0; i < o; ++i) {
        float tap = expf(temperature * (circle[i] - 1.0f));
        total += tap;
        cosine = fmaf(tap, circle[i], cosine);
    }
    float value = 0.0f, slope = 0.0f;
    for (int k = 1; k <= o / 2; ++k) {
        float missing = 0.0f, by = 0.0f;
        for (int i = 0; i < o; ++i) {
            float tap = expf(temperature * (circle[i] - 1.0f)) / total, wave = circle[(2 + 2 * k - 1) * o + i] - 1.0f;
            missing = fmaf(tap, wave, missing);
            by = fmaf(tap * (circle[i] - cosine / total), wave, by);
        }
        value = fmaf(mean_power[k] * missing, missing, value);
        slope = fmaf(2.0f * mean_power[k] * missing, by, slope);
    }
    return make_float2(value, slope);
}

// Energy and reconstruction. Block: a fit.
extern "C" __global__ void __launch_bounds__(THREADS)
    align_losses(const float* mean_power /* (O / 2 + 1) */, const float* circle /* (2 + O, O) */,
                 const float* point /* (blocks + 1, J, LANES) */, const float* means /* (J, O, F) */,
                 const float* norms /* (J, parts) */, float* losses /* (J, 2) */, int blocks, int neurons, int parts,
                 int features, int orientations, float cap) {
    __shared__ float scratch[THREADS / 32];
    int size = orientations * features;
    const float* mean = means + (size_t)blockIdx.x * size;
    float norm = 0.0f, square = 0.0f;
    for (int i = threadIdx.x; i < parts; i += THREADS) norm += norms[(size_t)blockIdx.x * parts + i];
    for (int i = threadIdx.x; i < size; i += THREADS) square = fmaf(mean[i], mean[i], square);
    norm = block_sum<THREADS>(norm, scratch);
    square = block_sum<THREADS>(square, scratch);
    if (threadIdx.x == 0) {
        float t = point[((size_t)blocks * gridDim.x + blockIdx.x) * LANES];
        losses[2 * blockIdx.x] = 2.0f * (norm / neurons - square);
        losses[2 * blockIdx.x + 1] = reconstruction(mean_power, circle, orientations, temperature_of(t, cap)).x;
    }
}

// Adds the gradient by the logits; each block's sum of the gradient by T.
extern "C" __global__ void __launch_bounds__(THREADS)
    align_gradient(const float* spectra /* (blocks, O, F, LANES) */, const float* power /* (blocks, O / 2 + 1, LANES) */,
                   const float* circle /* (2 + O, O) */, const float* point /* (blocks + 1, J, LANES) */,
                   const float* means /* (J, O, F) */, const float* taps /* (J, O, blocks LANES) */,
                   const float* turns /* (J, O, blocks LANES) */, float* dpoint /* (blocks + 1, J, LANES) */,
                   float* sums /* (J, grid) */, int blocks, int neurons, int fits, int features, int orientations,
                   float cap) {
    __shared__ float scratch[THREADS / 32];
    Place at(blocks, fits);
    int o = orientations;
    float by_angle = 0.0f, by_temperature = 0.0f;
    if (at.inside()) {
        float logit = point[at.logit()];
        float cosine, sine;
        sincospif(2.0f * sigmoid(logit), &sine, &cosine);
        float mean_cosine = 0.0f, mean_sine = 0.0f;
        for (int i = 0; i < o; ++i) {
            float tap = taps[at.row(o, i)];
            mean_cosine = fmaf(tap, cosine * circle[i] + sine * circle[o + i], mean_cosine);
            mean_sine = fmaf(tap, sine * circle[i] - cosine * circle[o + i], mean_sine);
        }
        const float* mean = means + (size_t)at.fit * o * features;
        const float* spectrum = spectra + (size_t)(at.neuron / LANES) * o * features * LANES + at.neuron % LANES;
        for (int c = 1; c < o; ++c) {
            Component component(o, c);
            // What of m this component of c's spectrum turns the code towards.
            int first = component.sine ? c - 1 : c;
            const float* a = spectrum + (size_t)first * features * LANES;
            const float* along = mean + c * features;
            const float* across = mean + (component.sine ? c - 1 : c + 1) * features;
            float towards = 0.0f;
            for (int f = 0; f < features; ++f) {
                towards = fmaf(a[f * LANES], along[f], towards);
                if (component.pair) {
                    float b = a[(size_t)(features + f) * LANES];
                    towards = fmaf(component.sine ? -b : b, across[f], towards);
                }
            }
            float own = turns[at.row(o, c)] * power[at.power(o / 2 + 1, component.frequency)];
            float d = 4.0f / neurons * (own - towards);
            float turn_by_angle = 0.0f, turn_by_temperature = 0.0f;
            for (int i = 0; i < o; ++i) {
                float weight = taps[at.row(o, i)] * circle[(2 + c) * o + i];
                float cosine_i = cosine * circle[i] + sine * circle[o + i];
                float sine_i = sine * circle[i] - cosine * circle[o + i];
                turn_by_angle = fmaf(weight, mean_sine - sine_i, turn_by_angle);
                turn_by_temperature = fmaf(weight, cosine_i - mean_cosine, turn_by_temperature);
            }
            by_angle = fmaf(d, turn_by_angle, by_angle);
            by_temperature = fmaf(d, turn_by_temperature, by_temperature);
        }
        float temperature = temperature_of(point[at.t()], cap);
        dpoint[at.logit()] += temperature * by_angle * TAU * sigmoid(logit) * sigmoid(-logit);
    }
    by_temperature = block_sum<THREADS>(by_temperature, scratch);
    if (threadIdx.x == 0) sums[(size_t)at.fit * gridDim.x + blockIdx.x] = by_temperature;
}

// Adds the gradient by t. Block: a fit.
extern "C" __global__ void __launch_bounds__(THREADS)
    align_temperature(const float* mean_power /* (O / 2 + 1) */, const float* circle /* (2 + O, O) */,
                      const float* penalties /* (J) */, const float* point /* (blocks + 1, J, LANES) */,
                      const float* sums /* (J, parts) */, float* dpoint /* (blocks + 1, J, LANES) */, int blocks, int parts,
                      int orientations, float cap) {
    __shared__ float scratch[THREADS / 32];
    float sum = 0.0f;
    for (int i = threadIdx.x; i < parts; i += THREADS) sum += sums[(size_t)blockIdx.x * parts + i];
    sum = block_sum<THREADS>(sum, scratch);
    if (threadIdx.x == 0) {
        size_t at = ((size_t)blocks * gridDim.x + blockIdx.x) * LANES;
        float t = point[at];
        float slope = reconstruction(mean_power, circle, orientations, temperature_of(t, cap)).y;
        dpoint[at] += (sum + penalties[blockIdx.x] * slope) * temperature_slope(t, cap);
    }
}
