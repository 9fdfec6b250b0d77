// Dropout: each unit of each trial is kept with one probability and divided by it, else 0. The mask is a function of the
// draw (step, recording, seed), trial and unit, so that the way back multiplies with the same one.
#include "map.cuh"
#include "random.cuh"

#define THREADS 256
#define LEVELS 16777216  // of a random number: 2^24

// Thread: one number.
extern "C" __global__ void __launch_bounds__(THREADS)
    dropout_apply(const u32* draw /* (4): step, recording, seed low, high */, Map* x /* (B, D) */, int count /* B D */,
                  int units, int kept /* of LEVELS */, float factor) {
    int i = blockIdx.x * THREADS + threadIdx.x;
    if (i >= count) return;
    Words counter{(u32)(i % units), (u32)(i / units), draw[0], draw[1]};
    u32 word = philox(counter, draw[2], draw[3]).x;
    store(x + i, (int)(word >> 8) < kept ? load(x + i) * factor : 0.0f);
}
