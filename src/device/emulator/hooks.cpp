// What the compiler calls before each access of the watched build, and which of them matter: those to the launch's arguments
// and to shared memory. A thread's own variables lie elsewhere.
#include "watch.h"

#include <vector>

namespace emulator {

namespace {

bool open = false;
std::vector<Region> regions;

// The region that holds an address, or regions.size().
unsigned region_of(uintptr_t at) {
    static unsigned last = 0;
    if (last < regions.size() && at - regions[last].begin < regions[last].end - regions[last].begin) return last;
    for (unsigned i = 0; i < regions.size(); ++i)
        if (at - regions[i].begin < regions[i].end - regions[i].begin) return last = i;
    return static_cast<unsigned>(regions.size());
}

void see(const void* address, size_t size, bool write, const void* place, Kind kind = Kind::Access) {
    if (!open) return;
    auto at = reinterpret_cast<uintptr_t>(address);
    unsigned region = region_of(at);
    if (region == regions.size()) return;
    Access access{region, at - regions[region].begin, size, write, place};
    hold_against_others(access, kind);
    if (kind != Kind::Access && kind != Kind::CopyBegins) return;
    access.at += regions[region].begin % 16;  // arguments count as if they lay at a multiple of 128 bytes but for this
    count_access(access);
}

// Of more than 16 bytes, which no access of a thread has: piece by piece.
void see_range(const void* address, size_t size, bool write, const void* place) {
    for (size_t done = 0; done < size; done += 16) {
        const void* piece = static_cast<const char*>(address) + done;
        see(piece, size - done < 16 ? size - done : 16, write, place);
    }
}

}  // namespace

void watch_launch(Watch* watch, uint32_t* const* shared) {
    open = watch != nullptr;
    if (!open) return;
    regions.assign(1, {reinterpret_cast<uintptr_t>(shared[0]), reinterpret_cast<uintptr_t>(shared[1])});
    for (size_t i = 0; i < watch->count; ++i) {
        auto begin = reinterpret_cast<uintptr_t>(watch->pointers[i]);
        regions.push_back({begin, begin + watch->bytes[i]});
    }
    open_races(regions.data(), regions.size());
    open_traffic(&watch->traffic);
}

void watch_block(unsigned threads) {
    if (open) open_block(threads);
}

void watch_copy(const void* to, const void* from, bool inside, const void* place) {
    see(to, 16, true, place, Kind::CopyBegins);
    if (inside) see(from, 16, false, place);
}

void watch_arrival(const void* to) { see(to, 16, true, nullptr, Kind::CopyArrives); }

void watch_box(const void* to, const void* place) { see(to, 16, true, place, Kind::BoxBegins); }

void watch_box_arrival(const void* to) { see(to, 16, true, nullptr, Kind::BoxArrives); }

void watch_box_traffic(uint64_t rows, uint64_t bytes, uint64_t shared_rows, unsigned blocks) {
    if (open) count_box(rows, bytes, shared_rows, blocks);
}

void watch_read(const void* at, size_t size, const void* place) { see(at, size, false, place); }

void watch_operand(const void* chunk, bool begins, const void* place) {
    see(chunk, 16, false, place, begins ? Kind::ProductBegins : Kind::ProductEnds);
}

const char* watch_end() {
    if (!open) return nullptr;
    open = false;
    return first_race();
}

}  // namespace emulator

#define PLACE __builtin_return_address(0)
#define HOOK(name, size, write) \
    extern "C" void __tsan_##name(void* at) { emulator::see(at, size, write, PLACE); }
#define HOOKS(size)               \
    HOOK(read##size, size, false) \
    HOOK(write##size, size, true)

HOOKS(1)
HOOKS(2)
HOOKS(4)
HOOKS(8)
HOOKS(16)
extern "C" void __tsan_read_range(void* at, size_t size) { emulator::see_range(at, size, false, PLACE); }
extern "C" void __tsan_write_range(void* at, size_t size) { emulator::see_range(at, size, true, PLACE); }
extern "C" void __tsan_func_entry(void*) {}
extern "C" void __tsan_func_exit() {}
extern "C" void __tsan_init() {}
