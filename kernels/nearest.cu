// Rows and centres: products x.c of a tile of rows with a tile of centres in registers; what is made of them never goes to
// memory but as the nearest centre of a row or as squared distances.
//
// Every product is summed up along d in one order, and so are the norms, so that equal rows are at distance 0:
// (|x|^2 - 2 x.c) + |c|^2. Of equally near centres the first counts. Sums over the rows of a label have two stages: a block adds
// up the rows of its label in one piece of the rows, in their order; then a thread adds up the pieces.
#include "striate.cuh"

#define THREADS 256
#define TILE 64    // rows and centres of a block's products
#define DEPTH 16   // of d at a time
#define PIECE 512  // rows of a block of nearest_parts

// A thread's products: 4 rows by 4 centres. Threads stand 16 by 16; those of one set of rows are half a warp.
struct Products {
    float d[4][4];
    float norm[4];  // of the centres
    int row, centre;

    __device__ __forceinline__ Products() : row(threadIdx.x / 16 * 4), centre(threadIdx.x % 16 * 4) {}

    // x and c hold DEPTH lines of TILE numbers. Outside of the matrices numbers are 0.
    __device__ __forceinline__ void multiply(const float* rows, const float* centres, int first_row, int n, int first_centre,
                                             int k, int width, float (&x)[DEPTH][TILE + 4], float (&c)[DEPTH][TILE + 4]) {
#pragma unroll
        for (int j = 0; j < 4; ++j) {
            norm[j] = 0.0f;
#pragma unroll
            for (int i = 0; i < 4; ++i) d[i][j] = 0.0f;
        }
        for (int from = 0; from < width; from += DEPTH) {
            for (int i = threadIdx.x; i < TILE * DEPTH; i += THREADS) {
                int line = i / DEPTH, at = i % DEPTH, column = from + at;
                bool inside = column < width;
                x[at][line] = inside && first_row + line < n ? rows[(size_t)(first_row + line) * width + column] : 0.0f;
                c[at][line] = inside && first_centre + line < k ? centres[(size_t)(first_centre + line) * width + column] : 0.0f;
            }
            __syncthreads();
#pragma unroll
            for (int at = 0; at < DEPTH; ++at) {
                float a[4], b[4];
#pragma unroll
                for (int i = 0; i < 4; ++i) {
                    a[i] = x[at][row + i];
                    b[i] = c[at][centre + i];
                }
#pragma unroll
                for (int j = 0; j < 4; ++j) {
                    norm[j] = fmaf(b[j], b[j], norm[j]);
#pragma unroll
                    for (int i = 0; i < 4; ++i) d[i][j] = fmaf(a[i], b[j], d[i][j]);
                }
            }
            __syncthreads();
        }
    }
};

// Block: TILE rows against all centres.
extern "C" __global__ void __launch_bounds__(THREADS)
    nearest_assign(const float* rows /* (n, d) */, const float* centres /* (k, d) */, u32* labels /* (n) */,
                   float* distances /* (n) */, int n, int k, int width) {
    __shared__ float x[DEPTH][TILE + 4];
    __shared__ float c[DEPTH][TILE + 4];
    __shared__ int nearest[TILE];
    int first_row = blockIdx.x * TILE;
    float least[4];
    int best[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        least[i] = __int_as_float(0x7f800000);
        best[i] = 0;
    }
    Products p;
    for (int first = 0; first < k; first += TILE) {
        p.multiply(rows, centres, first_row, n, first, k, width, x, c);
#pragma unroll
        for (int j = 0; j < 4; ++j) {
            int centre = first + p.centre + j;
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                float score = p.norm[j] - 2.0f * p.d[i][j];
                if (centre < k && score < least[i]) {
                    least[i] = score;
                    best[i] = centre;
                }
            }
        }
    }
#pragma unroll
    for (int i = 0; i < 4; ++i) {
#pragma unroll
        for (int step = 8; step > 0; step /= 2) {
            float other = __shfl_xor_sync(ALL_LANES, least[i], step);
            int there = __shfl_xor_sync(ALL_LANES, best[i], step);
            if (other < least[i] || (other == least[i] && there < best[i])) {
                least[i] = other;
                best[i] = there;
            }
        }
        if (threadIdx.x % 16 == 0) nearest[p.row + i] = best[i];
    }
    __syncthreads();
    for (int line = threadIdx.x / 32; line < TILE; line += THREADS / 32) {
        int row = first_row + line;
        if (row >= n) break;
        const float* from = rows + (size_t)row * width;
        const float* to = centres + (size_t)nearest[line] * width;
        float sum = 0.0f;
        for (int at = threadIdx.x % 32; at < width; at += 32) {
            float difference = from[at] - to[at];
            sum = fmaf(difference, difference, sum);
        }
        sum = warp_sum(sum);
        if (threadIdx.x % 32 == 0) {
            labels[row] = (u32)nearest[line];
            distances[row] = sum;
        }
    }
}

// Thread: one row.
extern "C" __global__ void __launch_bounds__(THREADS)
    nearest_norms(const float* rows /* (n, d) */, float* norms /* (n) */, int n, int width) {
    int row = blockIdx.x * THREADS + threadIdx.x;
    if (row >= n) return;
    const float* from = rows + (size_t)row * width;
    float sum = 0.0f;
    for (int at = 0; at < width; ++at) sum = fmaf(from[at], from[at], sum);
    norms[row] = sum;
}

// Block: TILE rows by TILE centres.
extern "C" __global__ void __launch_bounds__(THREADS)
    nearest_distances(const float* rows /* (n, d) */, const float* norms /* (n) */, const float* centres /* (k, d) */,
                      float* out /* (n, k) */, int n, int k, int width) {
    __shared__ float x[DEPTH][TILE + 4];
    __shared__ float c[DEPTH][TILE + 4];
    int first_row = blockIdx.x * TILE, first = blockIdx.y * TILE;
    Products p;
    p.multiply(rows, centres, first_row, n, first, k, width, x, c);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        int row = first_row + p.row + i;
        if (row >= n) continue;
        float norm = norms[row];
#pragma unroll
        for (int j = 0; j < 4; ++j) {
            int centre = first + p.centre + j;
            // Without a fused multiply-add: 2 x.c is exact.
            if (centre < k) out[(size_t)row * k + centre] = fmaxf((norm - 2.0f * p.d[i][j]) + p.norm[j], 0.0f);
        }
    }
}

// Block: the rows of one label in one piece of the rows. Thread: every THREADS-th column.
extern "C" __global__ void __launch_bounds__(THREADS)
    nearest_parts(const float* rows /* (n, d) */, const u32* labels /* (n) */, float* parts /* (pieces, k, d) */, int n, int k,
                  int width) {
    __shared__ u32 label[PIECE];
    int first = blockIdx.y * PIECE, count = min(n - first, PIECE);
    for (int i = threadIdx.x; i < count; i += THREADS) label[i] = labels[first + i];
    __syncthreads();
    float* to = parts + ((size_t)blockIdx.y * k + blockIdx.x) * width;
    for (int at = threadIdx.x; at < width; at += THREADS) {
        float sum = 0.0f;
        for (int i = 0; i < count; ++i) {
            if (label[i] == blockIdx.x) sum += rows[(size_t)(first + i) * width + at];
        }
        to[at] = sum;
    }
}

// Thread: one number.
extern "C" __global__ void __launch_bounds__(THREADS)
    nearest_sums(const float* parts /* (pieces, n) */, float* sums /* (n) */, int n, int pieces) {
    int i = blockIdx.x * THREADS + threadIdx.x;
    if (i >= n) return;
    float sum = 0.0f;
    for (int piece = 0; piece < pieces; ++piece) sum += parts[(size_t)piece * n + i];
    sums[i] = sum;
}

// Block: one label.
extern "C" __global__ void __launch_bounds__(THREADS)
    nearest_counts(const u32* labels /* (n) */, u32* counts /* (k) */, int n) {
    __shared__ u32 found[THREADS];
    u32 count = 0;
    for (int i = threadIdx.x; i < n; i += THREADS) count += labels[i] == blockIdx.x;
    found[threadIdx.x] = count;
    __syncthreads();
    for (int step = THREADS / 2; step > 0; step /= 2) {
        if (threadIdx.x < step) found[threadIdx.x] += found[threadIdx.x + step];
        __syncthreads();
    }
    if (threadIdx.x == 0) counts[blockIdx.x] = found[0];
}
