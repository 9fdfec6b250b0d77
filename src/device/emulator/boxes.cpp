// Copies by the copy engine and the barriers that count them (see boxes.h).
#include "cluster.h"
#include "cuda.h"
#include "watch.h"

#include <map>
#include <vector>

namespace emulator {

namespace {

constexpr size_t CHUNK = 16, ROW = 128;

// A chunk of a box: from shared memory's first byte, and where it comes from, or null for zeros.
struct Piece {
    size_t to;
    const void* from;
};

struct Barrier {
    unsigned arrivals;  // that complete a phase
    unsigned awaited;   // of this phase
    unsigned phase = 0;
    uint64_t expected = 0, begun = 0;  // bytes of this phase
    std::vector<Piece> pieces;
};

std::vector<std::map<size_t, Barrier>> barriers;  // of each block, by place

Barrier* find(unsigned block, const void* at) {
    if (has_left(block)) return fail("a signal to block %u of a cluster, which has left", block), nullptr;
    auto found = barriers[block].find(shared_offset(at));
    if (found == barriers[block].end()) return fail("a barrier at byte %zu of shared memory that nobody made", shared_offset(at)), nullptr;
    return &found->second;
}

// Completes the phase if all that it counts is there.
void settle(unsigned block, Barrier& b) {
    if (b.awaited > 0) return;
    if (b.begun > b.expected) return fail("copies of %llu bytes where a barrier expects %llu", (unsigned long long)b.begun, (unsigned long long)b.expected);
    if (b.begun < b.expected) return;
    Visit visit(block);
    for (const Piece& piece : b.pieces) {
        void* to = shared_begin() + piece.to;
        if (piece.from) std::memcpy(to, piece.from, CHUNK);
        else std::memset(to, 0, CHUNK);
        show_copy(to);
        watch_box_arrival(to);
    }
    b.pieces.clear();
    b.expected = b.begun = 0;
    b.awaited = b.arrivals;
    ++b.phase;
}

void arrive(unsigned block, Barrier& b, unsigned bytes) {
    settle(block, b);
    if (b.awaited == 0) return fail("more arrivals at a barrier than complete its phase");
    b.expected += bytes;
    if (--b.awaited == 0 && b.pieces.empty() && b.expected == 0) settle(block, b);
}

}  // namespace

void forget_barriers(unsigned blocks) { barriers.assign(blocks, {}); }

void init_barrier(const void* barrier, unsigned arrivals) {
    if (reinterpret_cast<uintptr_t>(barrier) % 8 != 0) __builtin_trap();
    barriers[own_block()][shared_offset(barrier)] = {arrivals, arrivals};
}

void expect_bytes(const void* barrier, unsigned bytes) {
    if (Barrier* b = find(own_block(), barrier)) arrive(own_block(), *b, bytes);
}

void arrive_at(const void* barrier, unsigned block) {
    if (Barrier* b = find(block, barrier)) arrive(block, *b, 0);
}

bool is_complete(unsigned block, const void* barrier, unsigned parity) {
    Barrier* b = find(block, barrier);
    if (!b) return false;
    settle(block, *b);
    return b->phase % 2 != parity;
}

bool has_copies(unsigned block) {
    for (const auto& [place, barrier] : barriers[block])
        if (!barrier.pieces.empty()) return true;
    return false;
}

void begin_box(const void* map, void* to, const void* barrier, int column, int row, unsigned blocks) {
    uint64_t described[4];
    std::memcpy(described, map, sizeof described);
    auto address = reinterpret_cast<const char*>(described[0]);
    int64_t words = described[1], rows = described[2], of_box = described[3];
    if (shared_offset(to) % ROW != 0 || column % 4 != 0) __builtin_trap();
    const void* place = __builtin_return_address(0);
    size_t first = shared_offset(to);
    for (unsigned block = 0; blocks >> block; ++block) {
        if (!(blocks >> block & 1)) continue;
        Barrier* b = find(block, barrier);
        if (!b) return;
        settle(block, *b);
        b->begun += of_box * ROW;
        Visit visit(block);
        for (int64_t r = 0; r < of_box; ++r)
            for (size_t chunk = 0; chunk < ROW / CHUNK; ++chunk) {
                int64_t word = column + int64_t(chunk) * 4;
                bool inside = row + r >= 0 && row + r < rows && word >= 0 && word < words;
                // In each of eight rows in another order.
                size_t at = first + r * ROW + chunk * CHUNK;
                at ^= (at / ROW % 8) * CHUNK;
                void* here = shared_begin() + at;
                watch_box(here, place);
                for (size_t i = 0; i < CHUNK / 4; ++i) static_cast<uint32_t*>(here)[i] = FRESH;
                b->pieces.push_back({at, inside ? address + ((row + r) * words + word) * 4 : nullptr});
            }
    }
    int64_t there = std::min<int64_t>(rows - row, of_box), wide = std::min<int64_t>(words - column, ROW / 4);
    if (there > 0 && wide > 0) watch_box_traffic(there, wide * 4, of_box, blocks);
}

}  // namespace emulator
