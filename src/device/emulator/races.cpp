// Races of a watched launch: two threads touch a number, one of them writes it, and nothing orders the two, whatever the outcome.
//
// Ordered are: what one thread does; within a block, what lies on two sides of a barrier; within a warp, of __syncwarp.
// Blocks of a launch are not ordered. A copy that a thread began writes from then until that thread waits for it, and a product of
// a warpgroup reads from its begin until the wait. Barriers in shared memory order what the copy engine writes: of that is looked
// at only whether something else is under way there.
#include "cluster.h"
#include "cuda.h"
#include "watch.h"

#include <cstdio>
#include <dlfcn.h>
#include <string>
#include <vector>

namespace emulator {

namespace {

// Who touched it, between which barriers of the launch and exchanges of the warp, and where in the code.
struct Moment {
    uint32_t block, epoch, exchange, thread;  // epoch 0: nobody
    const void* place;
};

// What is known of 2 bytes, which the smallest numbers have: the last to write, the last to read, and one more reader whom nothing
// orders before that one.
struct Cell {
    Moment write, read, other;
};

// What is under way at 16 bytes of shared memory.
struct Chunk {
    const void* copy;  // where it was begun, or null
    uint32_t copier;
    uint32_t products;  // that read it
    const void* product;
};

// A block of the cluster.
struct Block {
    std::vector<Cell> shared;
    std::vector<Chunk> chunks;
    std::vector<uint32_t> exchanges;  // of each warp
    uint32_t epoch = 0;
};

std::vector<std::vector<Cell>> cells;  // of the arguments
std::vector<Block> blocks;
unsigned own;
size_t shared_cells;
uintptr_t first_shared;
std::string race;

// file:line of a call that returns to `place`.
std::string name_of(const void* place) {
    Dl_info found;
    if (!dladdr(place, &found) || !found.dli_fname) return "an unknown place";
    char command[1024], line[1024];
    size_t offset = static_cast<const char*>(place) - static_cast<const char*>(found.dli_fbase) - 1;
    std::snprintf(command, sizeof command, "addr2line -i -e '%s' 0x%zx 2>/dev/null", found.dli_fname, offset);
    std::snprintf(line, sizeof line, "code + 0x%zx", offset);
    std::string name = line;
    // From the innermost function outwards: the first line that is not the emulator's own.
    if (FILE* lines = popen(command, "r")) {
        while (std::fgets(line, sizeof line, lines)) {
            std::string text = line;
            text = text.substr(0, text.find_first_of(" \n"));
            // A program without lines.
            if (text.empty() || text[0] == '?') continue;
            size_t file = text.rfind('/');
            name = file == std::string::npos ? text : text.substr(file + 1);
            if (text.find("/emulator/cuda.h") == std::string::npos && text.find("/emulator/warpgroup.h") == std::string::npos) break;
        }
        while (std::fgets(line, sizeof line, lines)) {}
        pclose(lines);
    }
    return name;
}

std::string where(const Access& access, size_t byte) {
    if (access.shared()) return "byte " + std::to_string(byte) + " of shared memory";
    return "byte " + std::to_string(byte) + " of pointer " + std::to_string(access.region - 1);
}

std::string who(const Moment& m, const char* what) {
    return "thread " + std::to_string(m.thread) + " of block " + std::to_string(m.block) + " " + what + " at " + name_of(m.place);
}

void tell(const Access& access, size_t byte, const Moment& now, const Moment& before, bool wrote) {
    if (race.empty())
        race = "race on " + where(access, byte) + ": " + who(before, wrote ? "writes it" : "reads it") + ", " +
               who(now, access.write ? "writes it" : "reads it") + ", and nothing orders them";
}

// What orders two moments at one place, in shared memory or not.
struct Order {
    bool shared;
    // Nothing, as they are of two blocks or of two warps.
    bool apart(const Moment& a, const Moment& b) const {
        if (a.epoch == 0 || b.epoch == 0) return false;
        if (a.block != b.block) return !shared;
        return a.epoch == b.epoch && a.thread / 32 != b.thread / 32;
    }
    // Nothing at all.
    bool none(const Moment& a, const Moment& b) const {
        if (apart(a, b)) return true;
        return a.epoch != 0 && a.block == b.block && a.epoch == b.epoch && a.thread / 32 == b.thread / 32 && a.thread != b.thread &&
               a.exchange == b.exchange;
    }
};

void note(Cell& cell, const Moment& now, Order order) {
    if (order.apart(cell.read, cell.other) && cell.read.epoch == now.epoch) return;  // any write now is a race
    if (order.none(cell.read, now)) cell.other = cell.read;
    cell.read = now;
}

void look(Cell& cell, const Access& access, size_t byte, const Moment& now) {
    Order order{access.shared()};
    if (order.none(cell.write, now)) tell(access, byte, now, cell.write, true);
    if (!access.write) return note(cell, now, order);
    if (order.none(cell.read, now)) tell(access, byte, now, cell.read, false);
    if (order.none(cell.other, now)) tell(access, byte, now, cell.other, false);
    cell.write = now;
}

// What is under way there.
void look(const Chunk& chunk, const Access& access, size_t byte, const Moment& now) {
    if (!race.empty()) return;
    if (chunk.copy)
        race = "race on " + where(access, byte) + ": " + who(now, access.write ? "writes it" : "reads it") +
               " before thread " + std::to_string(chunk.copier) + " waited for its copy of " + name_of(chunk.copy);
    if (chunk.products > 0 && access.write)
        race = "race on " + where(access, byte) + ": " + who(now, "writes it") + " before the wait for the product of " +
               name_of(chunk.product);
}

}  // namespace

void open_races(const Region* regions, size_t count) {
    auto numbers = [](const Region& region) { return (region.end - region.begin + 1) / 2; };
    cells.assign(count, {});
    for (size_t i = 0; i < count; ++i)
        if (i != SHARED_REGION) cells[i].resize(numbers(regions[i]));
    shared_cells = numbers(regions[SHARED_REGION]);
    first_shared = regions[SHARED_REGION].begin;
    blocks.assign(1, {});
    own = 0;
    race.clear();
}

void watch_enter(unsigned block) {
    own = block;
    if (blocks.size() <= own) blocks.resize(own + 1);
}

void open_block(unsigned threads) {
    Block& b = blocks[own];
    ++b.epoch;
    b.exchanges.assign(threads / 32, 0);
    b.shared.resize(shared_cells);
    b.chunks.assign(shared_cells / 8 + 2, {});
}

void watch_barrier() {
    if (own < blocks.size()) ++blocks[own].epoch;
}

void watch_exchange(unsigned warp, bool orders_memory) {
    if (orders_memory && own < blocks.size() && warp < blocks[own].exchanges.size()) ++blocks[own].exchanges[warp];
}

const char* first_race() { return race.empty() ? nullptr : race.c_str(); }

void hold_against_others(const Access& access, Kind kind) {
    unsigned thread = thread_index.x;
    unsigned block = block_index.x + grid_size.x * (block_index.y + grid_size.y * block_index.z);
    Block& b = blocks[own];
    Moment now{block, b.epoch, b.exchanges[thread / 32], thread, access.place};
    std::vector<Cell>& numbers = access.shared() ? b.shared : cells[access.region];
    if (access.shared()) {
        auto chunk = [&](size_t byte) -> Chunk& { return b.chunks[((first_shared + byte) / 16) - first_shared / 16]; };
        Chunk& first = chunk(access.at);
        if (kind == Kind::BoxArrives) {
            first.copy = nullptr;
            std::fill_n(numbers.begin() + access.at / 2, access.size / 2, Cell{});
            return;
        }
        if (kind == Kind::BoxBegins) {
            look(first, access, access.at, now);
            first.copy = access.place, first.copier = thread;
            return;
        }
        if (kind == Kind::CopyArrives) {
            now.place = first.copy ? first.copy : now.place;
            first.copy = nullptr;
        }
        if (kind == Kind::ProductEnds && first.products > 0) --first.products;
        for (size_t byte = access.at; byte < access.at + access.size; byte += 16) look(chunk(byte), access, byte, now);
        look(chunk(access.at + access.size - 1), access, access.at + access.size - 1, now);
        if (kind == Kind::CopyBegins) first.copy = access.place, first.copier = thread;
        if (kind == Kind::ProductBegins) ++first.products, first.product = access.place;
    }
    for (size_t cell = access.at / 2; cell <= (access.at + access.size - 1) / 2; ++cell)
        if (cell < numbers.size()) look(numbers[cell], access, cell * 2, now);
}

}  // namespace emulator
