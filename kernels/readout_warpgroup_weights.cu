// The gradients of the readout's weights on Hopper's warpgroups, of stored operands (see readout.cu).
#include "readout_weights.cuh"

#define THREADS 384
#define NEURONS 192  // of a block
#define PIXELS 96
#define SHARED_WORDS 57344

static_assert(HOPPER, "readout_tensor.cu is for other cards");
static_assert(PRECISION == BF16, "and for TF32, whose k may not lie across");
static_assert(THREADS == WEIGHTS_THREADS && NEURONS == WEIGHTS_NEURONS && PIXELS == WEIGHTS_PIXELS, "");
static_assert(WEIGHTS_SHARED <= SHARED_WORDS, "dh and stages");

struct Whole {
    const u32* stored_mask;
    const u32* stored_dh;
    const float* mask;
    const float* features;
    const float* sparsity;
    float* dmask;
    float* parts;
    int first_neuron, first_word, words, channels, pixels, neurons, positive;

    __device__ __forceinline__ bool holds(int row) const { return row < neurons - first_neuron; }
    __device__ __forceinline__ bool word(int chunk, u32& word) const {
        word = first_word + chunk * CHUNK;
        return word < words;
    }
    __device__ __forceinline__ const u32* dh() const { return stored_dh; }
    __device__ __forceinline__ u32 magnitude(int row, int word) const {
        return holds(row) && word < words - first_word ? stored_mask[(size_t)(first_neuron + row) * words + first_word + word] : 0;
    }
    __device__ __forceinline__ float feature(int row, int channel) const {
        return counted(features[min(first_neuron + row, neurons - 1) * channels + channel], positive);
    }
    __device__ __forceinline__ void keep(int row, int channel, float sum, bool first) const {
        float* at = parts + ((size_t)blockIdx.y * neurons + first_neuron + row) * channels + channel;
        *at = first ? sum : *at + sum;
    }
    __device__ __forceinline__ void add(int row, int word, const float (&sums)[COLUMN_SLOTS][4]) const {
#pragma unroll
        for (int j = 0; j < COLUMN_SLOTS; ++j)
#pragma unroll
            for (int e = 0; e < 4; ++e) {
                int n = first_neuron + row + e / 2 * 8, p = (first_word + word + j * CHUNK) * 2 + e % 2;
                if (n >= neurons || p >= pixels) continue;
                size_t at = (size_t)n * pixels + p;
                dmask[at] = sign_of(mask[at]) * (sums[j][e] + sparsity[n]);
            }
    }
};

// Block: NEURONS neurons by PIXELS pixels, all channels.
extern "C" __global__ void __launch_bounds__(THREADS)
readout_warpgroup_backward_weights(const Map* x /* (B, C, P), stored */, const Map* stored_mask /* (N, P), stored */,
                                   const float* mask /* (N, P) */, const float* features /* (N, C) */,
                                   const Map* dh /* (N, B), stored */, const float* sparsity /* (N) */, float* dmask /* (N, P) */,
                                   float* parts /* (tiles of P, N, C) */, int batch, int channels, int pixels, int neurons,
                                   int positive) {
    DYNAMIC_SHARED(shared, SHARED_WORDS);
    int first_neuron = blockIdx.x * NEURONS, words = stored_words(pixels);
    Whole lies{(const u32*)stored_mask, (const u32*)dh + (size_t)first_neuron * stored_words(batch), mask, features, sparsity, dmask, parts,
               first_neuron, (int)blockIdx.y * (PIXELS / 2), words, channels, pixels, neurons, positive};
    weights_of(lies, shared, (const u32*)x, batch, channels, channels, words);
}
