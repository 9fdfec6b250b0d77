// The gradients of the readout's weights on Hopper's warpgroups, of operands stored as TF32 (see readout.cu).
#include "readout_weights_tf32.cuh"

#define THREADS 256
#define NEURONS 192  // of a block
#define PIXELS 64
#define SHARED_WORDS 58112

static_assert(HOPPER, "readout_tensor.cu is for other cards");
static_assert(PRECISION == TF32, "readout_warpgroup_weights.cu is for BF16");
static_assert(THREADS == WEIGHTS_THREADS && NEURONS == WEIGHTS_NEURONS && PIXELS == WEIGHTS_PIXELS, "");
static_assert(WEIGHTS_SHARED <= SHARED_WORDS, "dh, stages, sums, v");

struct Whole {
    const Map* stored_mask;
    const u32* stored_dh;
    const float* mask;
    const float* all_features;
    float* dmask;
    float* parts;
    int first_neuron, first_pixel, words, channels, pixels, neurons, positive;

    __device__ __forceinline__ bool holds(int neuron) const { return first_neuron + neuron < neurons; }
    __device__ __forceinline__ bool word(int chunk, u32& word) const {
        word = first_pixel + chunk * CHUNK;
        return word < words;
    }
    __device__ __forceinline__ const u32* dh() const { return stored_dh; }
    __device__ __forceinline__ float magnitude(int neuron, int pixel) const {
        int n = first_neuron + neuron, p = first_pixel + pixel;
        return n < neurons && p < words ? stored_mask[(size_t)n * words + p] : 0.0f;
    }
    __device__ __forceinline__ const float* features(int neuron) const {
        return all_features + (size_t)min(first_neuron + neuron, neurons - 1) * channels;
    }
    __device__ __forceinline__ void keep(int neuron, int channel, float sum, bool first) const {
        int n = first_neuron + neuron;
        if (n >= neurons) return;
        float* at = parts + ((size_t)blockIdx.y * neurons + n) * channels + channel;
        *at = first ? sum : *at + sum;
    }
    __device__ __forceinline__ void add(int neuron, int pixel, const float (&sums)[SLOTS][4]) const {
#pragma unroll
        for (int j = 0; j < SLOTS; ++j)
#pragma unroll
            for (int e = 0; e < 4; ++e) {
                int n = first_neuron + neuron + 8 * j + e % 2, p = first_pixel + pixel + e / 2 * 8;
                if (n >= neurons || p >= pixels) continue;
                size_t at = (size_t)n * pixels + p;
                dmask[at] += sign_of(mask[at]) * sums[j][e];
            }
    }
};

// Block: NEURONS neurons by PIXELS pixels, all channels.
extern "C" __global__ void __launch_bounds__(THREADS)
readout_warpgroup_backward_weights_tf32(const Map* x /* (B, C, P), stored */, const Map* stored_mask /* (N, P), stored */,
                                        const float* mask /* (N, P) */, const float* features /* (N, C) */,
                                        const Map* dh /* (N, B), stored */, float* dmask /* (N, P) */,
                                        float* parts /* (tiles of P, N, C) */, int batch, int channels, int pixels, int neurons,
                                        int positive) {
    DYNAMIC_SHARED(shared, SHARED_WORDS);
    int first_neuron = blockIdx.x * NEURONS, words = stored_words(pixels);
    Whole lies{stored_mask, (const u32*)dh + (size_t)first_neuron * stored_words(batch), mask, features, dmask, parts,
               first_neuron, (int)blockIdx.y * PIXELS, words, channels, pixels, neurons, positive};
    weights_of(lies, shared, (const u32*)x, batch, channels, channels, words);
}
