// Images become maps, and the gradient at a map becomes one at images: between float32 and what the precision stores.
#include "map.cuh"

#define THREADS 256

// Thread: one number.
extern "C" __global__ void __launch_bounds__(THREADS) maps_store(const float* from /* (n) */, Map* to /* (n) */, int n) {
    int i = blockIdx.x * THREADS + threadIdx.x;
    if (i < n) store(to + i, from[i]);
}

// Thread: one number.
extern "C" __global__ void __launch_bounds__(THREADS) maps_load(const Map* from /* (n) */, float* to /* (n) */, int n) {
    int i = blockIdx.x * THREADS + threadIdx.x;
    if (i < n) to[i] = load(from + i);
}
