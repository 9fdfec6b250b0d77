// Standard normal numbers by the polar form of Box and Muller, two of each pair of words.
#include "random.cuh"

#define THREADS 256

// Two for every item of every row: the counter is item, row, number of the step, and stream.
extern "C" __global__ void __launch_bounds__(THREADS)
    random_normal_pairs(const u32* key /* (3): seed, low and high word; stream */, const u32* numbers /* (K) */,
                        const u32* step /* (1) */, float* out /* (rows, items, 2) */, int rows, int items) {
    int i = blockIdx.x * THREADS + threadIdx.x;
    if (i >= rows * items) return;
    u32 row = i / items, item = i - row * items;
    Words words = philox({item, row, numbers[step[0]], key[2]}, key[0], key[1]);
    float radius = sqrtf(-2.0f * logf(open_unit(words.x))), sine, cosine;
    sincospif(2.0f * open_unit(words.y), &sine, &cosine);
    out[2 * (size_t)i] = radius * cosine;
    out[2 * (size_t)i + 1] = radius * sine;
}
