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
    int first_neuron, neurons;
    const u32* dh;
    const float* features;
    int positive;
    const Map* stored_mask;
    const float* mask;
    const float* sparsity;
    float* dmask;
    float* parts;
    int first_pixel, words, channels, pixels;

    __device__ __forceinline__ bool word(int chunk, u32& word) const {
        word = first_pixel + chunk * CHUNK;
        return word < words;
    }
    __device__ __forceinline__ float magnitude(int n, int pixel) const {
        int p = first_pixel + pixel;
        return n < neurons && p < words ? stored_mask[(size_t)n * words + p] : 0.0f;
    }
    __device__ __forceinline__ float* part(int n) const { return parts + ((size_t)blockIdx.y * neurons + n) * channels; }
    __device__ __forceinline__ void add(int first_n, int pixel, const float (&sums)[SLOTS][4]) const {
#pragma unroll
        for (int j = 0; j < SLOTS; ++j)
#pragma unroll
            for (int e = 0; e < 4; ++e) {
                int n = first_n + 8 * j + e % 2, p = first_pixel + pixel + e / 2 * 8;
                if (n >= neurons || p >= pixels) continue;
                size_t at = (size_t)n * pixels + p;
                dmask[at] = sign_of(mask[at]) * (sums[j][e] + sparsity[n]);
            }
    }
};

// Block: NEURONS neurons by PIXELS pixels, all channels.
extern "C" __global__ void __launch_bounds__(THREADS)
readout_warpgroup_backward_weights_tf32(const Map* x /* (B, C, P), stored */, const Map* stored_mask /* (N, P), stored */,
                                        const float* mask /* (N, P) */, const float* features /* (N, C) */,
                                        const Map* dh /* (N, B), stored */, const float* sparsity /* (N) */, float* dmask /* (N, P) */,
                                        float* parts /* (tiles of P, N, C) */, int batch, int channels, int pixels, int neurons,
                                        int positive) {
    DYNAMIC_SHARED(shared, SHARED_WORDS);
    int words = stored_words(pixels);
    Whole lies{(int)blockIdx.x * NEURONS, neurons, (const u32*)dh, features, positive, stored_mask, mask, sparsity, dmask, parts,
               (int)blockIdx.y * PIXELS, words, channels, pixels};
    weights_of(lies, shared, (const u32*)x, batch, channels, channels, words);
}
