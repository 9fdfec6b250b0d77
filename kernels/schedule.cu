// The step counter, on the device: a recorded step then reads the line of its own tables (rows, rates, totals) each
// time it is replayed.
#include "striate.cuh"

#define THREADS 32

extern "C" __global__ void __launch_bounds__(THREADS) schedule_advance(u32* step /* (1) */) {
    if (threadIdx.x == 0) step[0] += 1;
}
