// Copies by the copy engine, barriers in shared memory and clusters, for g++: what `tensor_map.cuh` gives them on Hopper.
//
// A card makes a copy at any time until its barrier's phase is complete; here the place is NaN at once, and what is copied is there
// when somebody finds the phase complete.
#pragma once

namespace emulator {

void init_barrier(const void* barrier, unsigned arrivals);
void expect_bytes(const void* barrier, unsigned bytes);
void arrive_at(const void* barrier, unsigned block);
void wait_at(const void* barrier, unsigned parity, int line);
// `map`: where the matrix lies, its words of a row, its rows, rows of a box. `blocks`: a bit for each that it is copied to.
void begin_box(const void* map, void* to, const void* barrier, int column, int row, unsigned blocks);
unsigned own_block();
void meet_cluster(int line);

// For the emulator.
//
// Before a cluster of so many blocks.
void forget_barriers(unsigned blocks);
// Whether the phase of this parity is complete; its copies have arrived then.
bool is_complete(unsigned block, const void* barrier, unsigned parity);

// Whether copies to this block are under way that nobody has waited for.
bool has_copies(unsigned block);

}  // namespace emulator

static inline void init_barrier(const void* barrier, int arrivals) { emulator::init_barrier(barrier, arrivals); }
static inline void show_barriers() {}
static inline void expect_bytes(const void* barrier, int bytes) { emulator::expect_bytes(barrier, bytes); }
static inline void arrive_at(const void* barrier, int block) { emulator::arrive_at(barrier, block); }
static inline void wait_at(const void* barrier, int parity, int line = __builtin_LINE()) { emulator::wait_at(barrier, parity, line); }
template <class Map> static inline void copy_box(const Map& matrix, void* to, const void* barrier, int column, int row, int blocks) {
    emulator::begin_box(matrix.words, to, barrier, column, row, blocks);
}
template <class Map> static inline void copy_box(const Map& matrix, void* to, const void* barrier, int column, int row) {
    emulator::begin_box(matrix.words, to, barrier, column, row, 1u << emulator::own_block());
}
static inline int own_block() { return emulator::own_block(); }
template <bool SHOWS = true> static inline void meet_cluster(int line = __builtin_LINE()) { emulator::meet_cluster(line); }
