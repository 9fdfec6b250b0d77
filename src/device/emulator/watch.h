// Every access of a watched launch to its arguments and to shared memory: `hooks.cpp` learns of them, `races.cpp` holds each
// against those before it, `traffic.cpp` counts what a warp's accesses cost.
//
// A watched launch runs the kernels' second build, in which the compiler calls a hook before each access (-fsanitize=thread,
// without the sanitizer's runtime). In a launch that is not watched nothing here is done.
#pragma once
#include <cstddef>
#include <cstdint>

namespace emulator {

// A warp's access is the k-th of one place in the code, by all lanes that come there between two exchanges.
struct Traffic {
    uint64_t shared_accesses;
    uint64_t shared_passes;  // a pass serves a word of each of 32 banks; 8 bytes a lane are served in halves, 16 in quarters
    uint64_t global_accesses;
    uint64_t global_sectors;  // 32 bytes
    uint64_t global_lines;    // 128 bytes
};

// A launch that is to be watched: its pointers, and how much each points to.
struct Watch {
    const uint16_t* const* pointers;
    const size_t* bytes;
    size_t count;
    Traffic traffic;  // added to
};

// Memory that may be touched: shared memory, or what a pointer of the launch points to.
struct Region {
    uintptr_t begin, end;
};
constexpr unsigned SHARED_REGION = 0;  // pointer i is region i + 1

struct Access {
    unsigned region;
    size_t at, size;  // bytes, from the region's begin
    bool write;
    const void* place;  // in the code
    bool shared() const { return region == SHARED_REGION; }
};

// For the emulator. `watch` may be null: nothing is watched.
void watch_launch(Watch* watch, uint32_t* const* shared);
void watch_block(unsigned threads);
// The lanes of a warp meet; whether what they wrote before is there for all of them behind it.
void watch_exchange(unsigned warp, bool orders_memory);
void watch_barrier();
// The lanes of a warp have come to an exchange, a barrier or their end.
void watch_pause();
void watch_copy(const void* to, const void* from, bool inside, const void* place);
void watch_arrival(const void* to);
// The copy engine writes 16 bytes of shared memory from its begin until the barrier that counts them is complete.
void watch_box(const void* to, const void* place);
void watch_box_arrival(const void* to);
// What a box cost: so many rows of the matrix, `bytes` of each, for so many of shared memory in each block whose bit is set.
void watch_box_traffic(uint64_t rows, uint64_t bytes, uint64_t shared_rows, unsigned blocks);
void watch_read(const void* at, size_t size, const void* place);
// A warp's share of a product reads 16 bytes between its begin and the wait for it.
void watch_operand(const void* chunk, bool begins, const void* place);
// Closes the launch; the first fault, or null.
const char* watch_end();

// For the hooks.
enum class Kind { Access, CopyBegins, CopyArrives, BoxBegins, BoxArrives, ProductBegins, ProductEnds };
void open_races(const Region* regions, size_t count);
void open_block(unsigned threads);
void hold_against_others(const Access& access, Kind kind);
const char* first_race();
void open_traffic(Traffic* traffic);
void count_access(const Access& access);
void count_box(uint64_t rows, uint64_t bytes, uint64_t shared_rows, unsigned blocks);

}  // namespace emulator
